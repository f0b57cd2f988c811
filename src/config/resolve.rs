//! From the mirror to settings: what is impossible is named, all of it at once.

mod cloud;
mod database;
mod watched;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::civil::Time;

use super::file::File;
use super::problem::{Problem, Problems};
use super::read::Document;
use super::secret;
use super::settings::{
    AlertKind, Alerts, Check, Http, Images, Limits, Log, LogFormat, Mismatch, Retry, Settings, SlotsBy,
};
use super::token::TokenSource;
use crate::domain::alert::AlertTopic;
use crate::domain::backoff::Backoff;
use cloud::credential;

/// No qualification picture is smaller, bytes: who writes 20 means megabytes.
const LEAST_PICTURE: u64 = 100;

fn base(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.into());
    path.parent().map_or_else(|| PathBuf::from("/"), Path::to_path_buf)
}

/// Turns the mirror into settings; all that is impossible is named beside what could not be read.
pub(super) fn resolve(
    path: &Path,
    document: &Document,
    problems: Vec<Problem>,
) -> Result<Settings, Problems> {
    let mut resolver = Resolver { document, base: base(path), unread: problems.len(), problems };
    let settings = resolver.settings(path);
    match resolver.problems.is_empty() {
        true => Ok(settings),
        false => Err(Problems(resolver.problems)),
    }
}

/// Turns the mirror into settings and collects what is impossible.
struct Resolver<'a> {
    document: &'a Document,
    base: PathBuf,
    problems: Vec<Problem>,
    /// So many of them were found when the file was read: of those keys nothing more is known.
    unread: usize,
}

impl Resolver<'_> {
    fn file(&self) -> &File {
        &self.document.file
    }

    fn wrong(&mut self, key: &str, message: impl Into<String>) {
        let place = self.document.place(key);
        let is_unread = |problem: &Problem| problem.key == key && problem.place == place;
        if !self.problems[..self.unread].iter().any(is_unread) {
            self.problems.push(Problem { place, key: key.into(), message: message.into() });
        }
    }

    fn choice<T: Copy>(&mut self, key: &str, value: &str, choices: &[(&str, T)]) -> T {
        if let Some((_, choice)) = choices.iter().find(|(name, _)| *name == value) {
            *choice
        } else {
            let known: Vec<_> = choices.iter().map(|(name, _)| format!("\"{name}\"")).collect();
            self.wrong(key, format!("\"{value}\" is unknown here; it is one of {}", known.join(", ")));
            choices[0].1
        }
    }

    fn path(&self, text: &str) -> PathBuf {
        let path = self.base.join(text);
        // `./inbox` and `inbox` must not be two paths of one file
        std::path::absolute(&path).unwrap_or(path)
    }

    fn at_least(&mut self, key: &str, value: Duration, least: Duration) -> Duration {
        if value < least {
            self.wrong(key, format!("must be at least {}ms", least.as_millis()));
        }
        value
    }

    fn settings(&mut self, path: &Path) -> Settings {
        for (key, file) in self.document.doubled() {
            let key = key.rsplit('.').next().unwrap_or_default();
            self.wrong(&file, format!("`{key}` is set too; keep one of them"));
        }
        let images = self.images();
        Settings {
            path: path.into(),
            gateway: self.gateway(path),
            oss: self.oss(),
            network: self.network(),
            watch: self.watch(),
            brands: self.brands(images.max_per_brand),
            images,
            slots: self.choice(
                "slots.by",
                &self.file().slots.by.clone(),
                &[("arrival", SlotsBy::Arrival), ("filename", SlotsBy::Filename)],
            ),
            limits: self.limits(),
            retry: self.retry(),
            upload: self.upload(),
            database: self.database(path),
            http: self.http(),
            alerts: self.alerts(path),
            log: self.log(),
        }
    }

    fn images(&mut self) -> Images {
        let file = self.file().images.clone();
        self.slot_count("images.max_per_brand", file.max_per_brand);
        if (1..LEAST_PICTURE).contains(&file.max_bytes.0) {
            let bytes = file.max_bytes.0;
            self.wrong(
                "images.max_bytes",
                format!("{bytes} bytes would refuse every picture; write a size, as in \"20MiB\""),
            );
        }
        let checks = [("decode", Check::Decode), ("structure", Check::Structure)];
        let mismatches = [("correct", Mismatch::Correct), ("reject", Mismatch::Reject)];
        Images {
            max_per_brand: file.max_per_brand,
            max_bytes: unlimited(file.max_bytes.0),
            max_pixels: unlimited(file.max_pixels),
            check: self.choice("images.check", &file.check, &checks),
            mismatch: self.choice("images.mismatch", &file.mismatch, &mismatches),
        }
    }

    fn limits(&mut self) -> Limits {
        let file = self.file().limits.clone();
        if !(1..=256).contains(&file.concurrency) {
            self.wrong("limits.concurrency", "must be from 1 to 256");
        }
        Limits {
            concurrency: file.concurrency.max(1),
            uploads_per_second: file.uploads_per_second,
            burst: file.burst.max(1),
            gateway_per_second: file.gateway_per_second,
            bytes_per_second: file.bytes_per_second.0,
        }
    }

    fn retry(&mut self) -> Retry {
        let file = self.file().retry.clone();
        let first = self.at_least("retry.first_delay", file.first_delay.0, Duration::from_millis(1));
        if file.max_delay.0 < first {
            self.wrong("retry.max_delay", "must not be shorter than retry.first_delay");
        }
        Retry { backoff: Backoff::new(first, file.max_delay.0), max_attempts: file.max_attempts }
    }

    fn http(&mut self) -> Http {
        let file = self.file().http.clone();
        let database = self.path(&self.file().database.path);
        let token_file = Some(&file.token_file).filter(|path| !path.is_empty()).map(|path| self.path(path));
        let token_file = token_file.or_else(|| credential(secret::PAGE_TOKEN.credential()));
        let listen: Option<SocketAddr> = file.listen.parse().ok();
        match listen {
            None if !file.listen.is_empty() => {
                self.wrong("http.listen", "is no address with port, as in \"127.0.0.1:9600\"");
            }
            Some(address) if !address.ip().is_loopback() && token_file.is_none() => {
                self.wrong(
                    "http.listen",
                    "lets other machines in: set http.token_file too, or use a loopback address",
                );
            }
            _ => {}
        }
        Http { listen, token: TokenSource::new(token_file, runtime_dir(), &database), hosts: file.hosts }
    }

    fn alerts(&mut self, path: &Path) -> Alerts {
        let file = self.file().alerts.clone();
        let kinds = [
            ("json", AlertKind::Json),
            ("dingtalk", AlertKind::Dingtalk),
            ("wecom", AlertKind::Wecom),
            ("feishu", AlertKind::Feishu),
        ];
        Alerts {
            webhook: self.secret(secret::WEBHOOK, &file.webhook, &file.webhook_file, path),
            kind: self.choice("alerts.kind", &file.kind, &kinds),
            secret: self.secret(secret::ALERT_SECRET, &file.secret, &file.secret_file, path),
            command: file.command,
            min_interval: self.at_least(
                "alerts.min_interval",
                file.min_interval.0,
                Duration::from_millis(100),
            ),
            on: file
                .on
                .iter()
                .map(|topic| {
                    self.choice("alerts.on", topic, &AlertTopic::ALL.map(|topic| (topic.as_str(), topic)))
                })
                .collect(),
            summary_at: self.time_of_day("alerts.summary_at", &file.summary_at),
        }
    }

    fn time_of_day(&mut self, key: &str, text: &str) -> Option<Time> {
        if text.is_empty() {
            return None;
        }
        let time = Time::strptime("%H:%M", text).ok();
        if time.is_none() {
            self.wrong(key, format!("\"{text}\" is no time of the day, as in \"08:00\""));
        }
        time
    }

    fn log(&mut self) -> Log {
        let file = self.file().log.clone();
        let formats = [
            ("auto", LogFormat::Auto),
            ("text", LogFormat::Text),
            ("json", LogFormat::Json),
            ("journald", LogFormat::Journald),
        ];
        if let Err(error) = file.level.parse::<tracing_subscriber::filter::targets::Targets>() {
            self.wrong(
                "log.level",
                format!("is no log filter, as in \"info\" or \"warn,brandpost=debug\": {error}"),
            );
        }
        Log { format: self.choice("log.format", &file.format, &formats), level: file.level }
    }
}

fn unlimited(limit: u64) -> u64 {
    if limit == 0 { u64::MAX } else { limit }
}

/// The service's folder in `/run`, if systemd made one; the first, if there are several.
fn runtime_dir() -> Option<PathBuf> {
    let folders = std::env::var_os("RUNTIME_DIRECTORY")?.into_string().ok()?;
    folders.split(':').next().filter(|folder| !folder.is_empty()).map(PathBuf::from)
}

#[cfg(test)]
mod tests;
