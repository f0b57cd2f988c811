//! The channels by which alerts are sent: a webhook, a command.

use std::process::Stdio;
use std::time::Duration;

use jiff::Timestamp;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use super::digest::Digest;
use super::robot;
use crate::cloud::{Clients, post_json};
use crate::config::{AlertKind, Alerts, SECRETS, Secret, SecretError, SecretSource};

/// A program that takes longer than this is stopped.
const PROGRAM: Duration = Duration::from_secs(30);

const WEBHOOK: &str = "webhook";
const COMMAND: &str = "command";

/// Where alerts are sent.
pub(super) enum Channel {
    /// A POST to a robot of a chat system, or to a program.
    Webhook { kind: AlertKind, url: Secret, secret: Option<Secret>, clients: Clients },
    /// A program on this machine.
    Command(Vec<String>),
}

impl Channel {
    /// Those that are configured.
    ///
    /// # Errors
    /// When a secret cannot be loaded.
    pub(super) fn all(alerts: &Alerts, clients: &Clients) -> Result<Vec<Self>, SecretError> {
        let mut channels = Vec::new();
        if let Some(webhook) = &alerts.webhook {
            let url = webhook.load()?;
            let secret = alerts.secret.as_ref().map(SecretSource::load).transpose()?;
            channels.push(Channel::Webhook { kind: alerts.kind, url, secret, clients: clients.clone() });
        }
        if !alerts.command.is_empty() {
            channels.push(Channel::Command(alerts.command.clone()));
        }
        Ok(channels)
    }

    /// Their names.
    pub(super) fn names(alerts: &Alerts) -> Vec<&'static str> {
        let webhook = alerts.webhook.as_ref().map(|_| WEBHOOK);
        webhook.into_iter().chain((!alerts.command.is_empty()).then_some(COMMAND)).collect()
    }

    /// Its name in the database.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Channel::Webhook { .. } => WEBHOOK,
            Channel::Command(_) => COMMAND,
        }
    }

    pub(super) async fn send(&self, digest: &Digest, now: Timestamp) -> Result<(), String> {
        match self {
            Channel::Webhook { kind, url, secret, clients } => {
                let message = robot::message(*kind, digest, secret.as_ref(), now);
                let answer = post_json(clients, url, &message.query, &message.body).await?;
                is_accepted(*kind, &answer)
            }
            Channel::Command(command) => {
                let text = robot::data(digest, now).to_string();
                let ended = tokio::time::timeout(PROGRAM, run(command, &text)).await;
                ended.map_err(|_| "alerts.command took too long".to_owned())?
            }
        }
    }
}

/// Robots answer 200 also when they refuse; the code in the body decides.
fn is_accepted(kind: AlertKind, answer: &[u8]) -> Result<(), String> {
    let (code, text) = match kind {
        AlertKind::Json => return Ok(()),
        AlertKind::Dingtalk | AlertKind::Wecom => ("errcode", "errmsg"),
        AlertKind::Feishu => ("code", "msg"),
    };
    let answer: serde_json::Value = serde_json::from_slice(answer).unwrap_or_default();
    match answer[code].as_i64() {
        Some(0) => Ok(()),
        Some(number) => {
            let text = crate::domain::text::one_line(answer[text].as_str().unwrap_or_default(), 200);
            Err(format!("the robot refuses it [{number}]: {text}"))
        }
        None => Err("what answers at alerts.webhook is no such robot; see alerts.kind".into()),
    }
}

/// The program needs none of our secrets.
fn without_secrets(mut program: Command) -> Command {
    for secret in SECRETS {
        program.env_remove(secret.variable());
    }
    program.env_remove("CREDENTIALS_DIRECTORY");
    program
}

async fn run(command: &[String], text: &str) -> Result<(), String> {
    let (program, arguments) = command.split_first().ok_or("alerts.command is empty")?;
    let cannot = |error: std::io::Error| format!("alerts.command {program}: {error}");
    let mut child = without_secrets(Command::new(program))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(cannot)?;
    if let Some(mut input) = child.stdin.take() {
        // a program may stop reading early: its exit code decides
        let _ = input.write_all(text.as_bytes()).await;
    }
    let status = child.wait().await.map_err(cannot)?;
    if status.success() { Ok(()) } else { Err(format!("alerts.command {program}: {status}")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_robots_code_decides() {
        assert!(is_accepted(AlertKind::Dingtalk, br#"{"errcode":0,"errmsg":"ok"}"#).is_ok());
        assert!(is_accepted(AlertKind::Feishu, br#"{"code":0}"#).is_ok());
        let error = is_accepted(AlertKind::Wecom, br#"{"errcode":93000,"errmsg":"invalid webhook url"}"#);
        assert_eq!(error.unwrap_err(), "the robot refuses it [93000]: invalid webhook url");
        assert!(is_accepted(AlertKind::Feishu, b"<html>").is_err());
    }

    #[test]
    fn no_secret_is_in_the_environment_of_a_program() {
        let program = without_secrets(Command::new("true"));
        let removed: Vec<_> =
            program.as_std().get_envs().filter(|(_, value)| value.is_none()).map(|(name, _)| name).collect();
        for name in ["BRANDPOST_GATEWAY__APP_SECRET", "BRANDPOST_HTTP__TOKEN", "CREDENTIALS_DIRECTORY"] {
            assert!(removed.contains(&std::ffi::OsStr::new(name)), "{name}");
        }
        assert_eq!(removed.len(), SECRETS.len() + 1);
    }
}
