//! What the daemon works with: nothing optional that must be there, nothing impossible.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::civil::Time;
use url::Url;

use super::secret::SecretSource;
use super::token::TokenSource;
use crate::domain::alert::AlertTopic;
use crate::domain::backoff::Backoff;
use crate::domain::brand::{BrandKey, read_folder_name};
use crate::domain::glob::Glob;
use crate::domain::text::readable;

/// The resolved configuration.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "named as the sections of config.toml, which describes them")]
pub struct Settings {
    /// The file it was read from.
    pub path: PathBuf,
    pub gateway: Gateway,
    pub oss: Oss,
    pub network: Network,
    pub watch: Watch,
    pub brands: Vec<BrandFolder>,
    pub images: Images,
    pub slots: SlotsBy,
    pub limits: Limits,
    pub retry: Retry,
    pub upload: Upload,
    pub database: Database,
    pub http: Http,
    pub alerts: Alerts,
    pub log: Log,
}

/// The IoT API gateway.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "named as the keys of config.toml, which describes them")]
pub struct Gateway {
    pub url: Url,
    pub app_id: String,
    pub app_key: String,
    pub secret: SecretSource,
    pub iot_token: Option<SecretSource>,
    pub stage: Option<String>,
    pub timeout: Duration,
}

/// Which signature OSS gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignatureChoice {
    /// V4 where the region is known.
    Auto,
    /// Always V4.
    V4,
    /// Always V1.
    V1,
}

/// What becomes of an `http:` upload URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Https {
    /// It is changed to `https:`.
    Upgrade,
    /// It is refused.
    Require,
    /// It is used as it is.
    Allow,
}

/// OSS.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "named as the keys of config.toml, which describes them")]
pub struct Oss {
    pub signature: SignatureChoice,
    pub region: Option<String>,
    pub key_template: String,
    pub https: Https,
    pub allowed_hosts: Vec<HostPattern>,
    pub bucket: Option<String>,
    pub connect_timeout: Duration,
    pub timeout: Duration,
}

/// One entry of `oss.allowed_hosts`: a host, or `*.` and a domain whose subdomains are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPattern(String);

impl HostPattern {
    /// Does the pattern mean this host? `*.` stands for one label or more, never for a part of one.
    pub fn matches(&self, host: &str) -> bool {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        match self.0.strip_prefix("*.") {
            Some(domain) => {
                host.strip_suffix(domain).is_some_and(|labels| labels.len() > 1 && labels.ends_with('.'))
            }
            None => host == self.0,
        }
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        let host = text.strip_prefix("*.").unwrap_or(text);
        let clean = !host.is_empty() && !host.contains(['*', '/', '@', ' ']);
        clean.then(|| Self(text.to_ascii_lowercase()))
    }
}

/// The way to the clouds.
#[derive(Debug, Clone)]
pub struct Network {
    /// Extra trust anchors, PEM.
    pub ca_file: Option<PathBuf>,
    /// Fixed addresses of hosts.
    pub resolve: BTreeMap<String, SocketAddr>,
}

/// How folders are watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WatchMode {
    /// inotify, and polling where it cannot see changes.
    Auto,
    /// inotify only.
    Native,
    /// Polling only.
    Poll,
}

/// The watched folders.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "named as the keys of config.toml, which describes them")]
pub struct Watch {
    pub root: PathBuf,
    pub inbox: String,
    pub settle: Duration,
    pub grace: Duration,
    pub rescan: Duration,
    pub ignore: Vec<Glob>,
    pub mode: WatchMode,
    pub poll_interval: Duration,
}

/// A `[[brand]]` entry: a folder outside the root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrandFolder {
    /// Whose pictures lie there.
    pub brand: BrandKey,
    /// What people call the brand.
    pub label: Option<String>,
    /// The folder.
    pub path: PathBuf,
    /// How many slots the brand has.
    pub max: u32,
}

/// How thoroughly pictures are checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Check {
    /// All coded data.
    Decode,
    /// Markers and chunks to the end of the file.
    Structure,
}

/// What happens to a name with the wrong suffix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mismatch {
    /// The bytes decide.
    Correct,
    /// The file is rejected.
    Reject,
}

/// What pictures must be like. `u64::MAX` stands for no limit.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "named as the keys of config.toml, which describes them")]
pub struct Images {
    pub max_per_brand: u32,
    pub max_bytes: u64,
    pub max_pixels: u64,
    pub check: Check,
    pub mismatch: Mismatch,
}

impl Default for Images {
    /// The defaults of config.toml.
    fn default() -> Self {
        Self {
            max_per_brand: 10,
            max_bytes: 20 << 20,
            max_pixels: 100_000_000,
            check: Check::Decode,
            mismatch: Mismatch::Correct,
        }
    }
}

/// How a slot is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SlotsBy {
    /// The lowest free one.
    Arrival,
    /// The one that the name says.
    Filename,
}

/// The pace. 0 means no limit.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "named as the keys of config.toml, which describes them")]
pub struct Limits {
    pub concurrency: u32,
    pub uploads_per_second: u32,
    pub burst: u32,
    pub gateway_per_second: u32,
    pub bytes_per_second: u64,
}

/// Tries after transient failures.
#[derive(Debug, Clone, Copy)]
pub struct Retry {
    /// From `first_delay` to `max_delay`.
    pub backoff: Backoff,
    /// 0: for ever.
    pub max_attempts: u32,
}

/// What becomes of a local file after its upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum After {
    /// It stays.
    Keep,
    /// It moves to the archive.
    Archive,
    /// It is deleted.
    Delete,
}

/// After the upload.
#[derive(Debug, Clone)]
pub struct Upload {
    /// What to do.
    pub after: After,
    /// Where the archive is.
    pub archive: PathBuf,
}

/// The database.
#[derive(Debug, Clone)]
pub struct Database {
    /// The SQLite file.
    pub path: PathBuf,
    /// PostgreSQL, in place of it.
    pub server: Option<DatabaseServer>,
    /// How long attempts are kept.
    pub keep_attempts: Duration,
}

/// A PostgreSQL server.
#[derive(Debug, Clone)]
pub struct DatabaseServer {
    /// Its name or address; a folder: the one with its Unix socket.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The role.
    pub user: String,
    /// The database on it.
    pub database: String,
    /// The role's password.
    pub password: Option<SecretSource>,
}

/// The HTTP service.
#[derive(Debug, Clone)]
pub struct Http {
    /// Where it listens; `None` is off.
    pub listen: Option<SocketAddr>,
    /// The token that every visitor must show.
    pub token: TokenSource,
    /// Names of this machine that pages may be opened by, beside `localhost` and addresses.
    pub hosts: Vec<String>,
}

/// How the log looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// By what stderr is.
    Auto,
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
    /// With the journal's priorities.
    Journald,
}

/// Whose robot alerts are sent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "named as the chat systems are")]
pub enum AlertKind {
    /// JSON for a program.
    Json,
    Dingtalk,
    Wecom,
    Feishu,
}

/// Where alerts are sent.
#[derive(Debug, Clone)]
pub struct Alerts {
    /// Where; the URL holds a key.
    pub webhook: Option<SecretSource>,
    /// What is understood there.
    pub kind: AlertKind,
    /// Signs messages to `DingTalk` and Feishu.
    pub secret: Option<SecretSource>,
    /// A program and its arguments; it gets JSON on stdin.
    pub command: Vec<String>,
    /// At most one alert in so long.
    pub min_interval: Duration,
    /// What about.
    pub on: Vec<AlertTopic>,
    /// When the daily summary is sent, by the machine's clock; `None`: never.
    pub summary_at: Option<Time>,
}

/// The log.
#[derive(Debug, Clone)]
pub struct Log {
    /// Its shape.
    pub format: LogFormat,
    /// tracing's filter syntax.
    pub level: String,
}

impl Settings {
    /// Beneath which folder a brand's folder is opened without following links: the root. `None`: it is one of
    /// `[[brand]]`, which the operator named itself.
    pub fn top_of(&self, folder: &Path) -> Option<&Path> {
        let mapped = self.brands.iter().any(|brand| brand.path == folder);
        if mapped { None } else { Some(&self.watch.root) }
    }

    /// Is this where files of this brand lie: its folder below the root, or one of `[[brand]]`?
    pub fn is_folder_of(&self, folder: &Path, brand: BrandKey) -> bool {
        let in_root = folder.parent() == Some(&self.watch.root.join(brand.kind().as_str()));
        let name = folder.file_name().filter(|_| in_root).map(readable);
        let record = name.and_then(|name| read_folder_name(&name).ok()).map(|(record, _)| record);
        let is_own = record.is_some_and(|record| brand == (brand.kind(), record).into());
        is_own || self.brands.iter().any(|other| other.brand == brand && other.path == folder)
    }

    /// How many slots a brand has.
    pub fn slots_of(&self, brand: BrandKey) -> u32 {
        let own = self.brands.iter().find(|folder| folder.brand == brand);
        own.map_or(self.images.max_per_brand, |folder| folder.max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_of_pictures_are_those_of_a_configuration_that_names_none() {
        let text = "[gateway]\nurl = \"https://api.link.aliyun.com\"\napp_id = \"a\"\napp_key = \"b\"\n";
        let variables = [("BRANDPOST_GATEWAY__APP_SECRET".into(), "secret".into())];
        let settings = Settings::parse(Path::new("/x/config.toml"), text, variables.into_iter()).unwrap();
        assert_eq!(format!("{:?}", settings.images), format!("{:?}", Images::default()));
    }
}
