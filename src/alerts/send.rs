//! The ways out: a webhook, a program.

use std::process::Stdio;
use std::time::Duration;

use jiff::Timestamp;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use super::digest::Digest;
use super::robot;
use crate::cloud::{Clients, post_json};
use crate::config::{AlertKind, Alerts};

/// A program that takes longer than this is stopped.
const PROGRAM: Duration = Duration::from_secs(30);

/// How alerts are sent.
pub(super) struct Ways {
    alerts: Alerts,
    clients: Clients,
}

impl Ways {
    /// `None`: nobody is to be told.
    pub(super) fn new(alerts: &Alerts, clients: Clients) -> Option<Self> {
        let any = alerts.webhook.is_some() || !alerts.command.is_empty();
        any.then(|| Self { alerts: alerts.clone(), clients })
    }

    /// Sends it on all ways. When one of them fails, all are tried again: better twice than never.
    pub(super) async fn send(&self, digest: &Digest, now: Timestamp) -> Result<(), String> {
        if let Some(url) = &self.alerts.webhook {
            let message = robot::message(self.alerts.kind, digest, self.alerts.secret.as_ref(), now);
            let answer = post_json(&self.clients, url, &message.query, &message.body).await?;
            is_accepted(self.alerts.kind, &answer)?;
        }
        if !self.alerts.command.is_empty() {
            let text = robot::data(digest, now).to_string();
            let ended = tokio::time::timeout(PROGRAM, run(&self.alerts.command, &text)).await;
            ended.map_err(|_| "alerts.command took too long".to_owned())??;
        }
        Ok(())
    }
}

/// Robots answer 200 also when they refuse; the code in the body decides.
fn is_accepted(kind: AlertKind, answer: &[u8]) -> Result<(), String> {
    let (code, words) = match kind {
        AlertKind::Json => return Ok(()),
        AlertKind::Dingtalk | AlertKind::Wecom => ("errcode", "errmsg"),
        AlertKind::Feishu => ("code", "msg"),
    };
    let answer: serde_json::Value = serde_json::from_slice(answer).unwrap_or_default();
    match answer[code].as_i64() {
        Some(0) => Ok(()),
        Some(number) => {
            let words = crate::domain::text::one_line(answer[words].as_str().unwrap_or_default(), 200);
            Err(format!("the robot refuses it [{number}]: {words}"))
        }
        None => Err("what answers at alerts.webhook is no such robot; see alerts.kind".into()),
    }
}

async fn run(command: &[String], text: &str) -> Result<(), String> {
    let (program, arguments) = command.split_first().ok_or("alerts.command is empty")?;
    let cannot = |error: std::io::Error| format!("alerts.command {program}: {error}");
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(cannot)?;
    if let Some(mut input) = child.stdin.take() {
        // a program that does not read all may have seen enough: its exit code says
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
}
