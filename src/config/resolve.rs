//! From the mirror to settings: what is impossible is named, all of it at once.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use url::Url;

use super::file::File;
use super::folders;
use super::problem::{Problem, Problems};
use super::read::Document;
use super::secret::{self, Secret, SecretPlace, SecretSource};
use super::settings::{
    After, AlertKind, Alerts, BrandFolder, Check, Database, Gateway, HostPattern, Http, Https, Images,
    Limits, Log, LogFormat, Mismatch, Network, Oss, Retry, Settings, SignatureChoice, SlotsBy, Upload, Watch,
    WatchMode,
};
use super::token::TokenSource;
use crate::domain::address::is_for_the_machine_alone;
use crate::domain::backoff::Backoff;
use crate::domain::brand::{BrandKey, BrandType};
use crate::domain::glob::Glob;

fn base(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.into());
    path.parent().map_or_else(|| PathBuf::from("/"), Path::to_path_buf)
}

/// The most slots a brand can have; the platform's own limit is 10.
const MOST_SLOTS: u32 = 1000;

/// Turns the mirror into settings; all that is impossible is named beside what could not be read.
pub(super) fn resolve(
    path: &Path,
    document: &Document,
    problems: Vec<Problem>,
) -> Result<Settings, Problems> {
    let mut resolver = Resolver { document, base: base(path), problems };
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
}

impl Resolver<'_> {
    fn file(&self) -> &File {
        &self.document.file
    }

    fn wrong(&mut self, key: &str, message: impl Into<String>) {
        let place = self.document.place(key);
        self.problems.push(Problem { place, key: key.into(), message: message.into() });
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
            database: Database {
                path: self.own_path("database.path", &self.file().database.path.clone()),
                keep_attempts: self.file().database.keep_attempts.0,
            },
            http: self.http(),
            alerts: self.alerts(path),
            log: self.log(),
        }
    }

    fn gateway(&mut self, path: &Path) -> Gateway {
        let file = self.file().gateway.clone();
        for (key, value) in [("gateway.app_id", &file.app_id), ("gateway.app_key", &file.app_key)] {
            if value.is_empty() {
                self.wrong(key, "is missing: the platform's console shows it beside the app");
            } else if !is_header_text(value) {
                self.wrong(key, "has spaces or characters that no such id has");
            }
        }
        if !["", "RELEASE", "PRE", "TEST"].contains(&file.stage.as_str()) {
            self.wrong("gateway.stage", "it is \"RELEASE\", \"PRE\", \"TEST\" or \"\"");
        }
        let stage = Some(file.stage).filter(|stage| !stage.is_empty());
        Gateway {
            url: self.gateway_url(&file.url),
            app_id: file.app_id,
            app_key: file.app_key,
            secret: self.app_secret(path),
            iot_token: self.secret(secret::IOT_TOKEN, &file.iot_token, &file.iot_token_file, path),
            stage,
            timeout: self.at_least("gateway.timeout", file.timeout.0, Duration::from_millis(100)),
        }
    }

    fn gateway_url(&mut self, text: &str) -> Url {
        let url = Url::parse(text).ok().filter(|url| {
            let plain = url.username().is_empty() && url.password().is_none() && url.query().is_none();
            ["http", "https"].contains(&url.scheme()) && url.has_host() && plain && url.path() == "/"
        });
        url.unwrap_or_else(|| {
            self.wrong("gateway.url", "must be scheme and host only, as in \"https://api.link.aliyun.com\"");
            Url::parse("https://invalid.invalid").expect("a constant URL")
        })
    }

    /// Where a secret is; `None`: nowhere.
    fn secret(&self, key: secret::Key, inline: &Secret, file: &str, config: &Path) -> Option<SecretSource> {
        let inline = Some(inline).filter(|secret| !secret.is_empty());
        let place = if let Some(secret) = inline.filter(|_| self.document.is_overridden(key)) {
            SecretPlace::Environment(secret.clone())
        } else if !file.is_empty() {
            SecretPlace::File(self.path(file))
        } else if let Some(path) = credential(secret::credential_name(key)) {
            SecretPlace::Credential(path)
        } else {
            SecretPlace::Inline(inline?.clone(), config.into())
        };
        Some(SecretSource { key, place })
    }

    fn app_secret(&self, config: &Path) -> SecretSource {
        let gateway = &self.file().gateway;
        let set = self.secret(secret::APP_SECRET, &gateway.app_secret, &gateway.app_secret_file, config);
        set.unwrap_or_else(|| {
            // what the unit hands to the service as a credential; commands find it there
            let beside = Some(self.path("app_secret")).filter(|path| path.exists());
            let place = beside.map_or(SecretPlace::Missing, SecretPlace::File);
            SecretSource { key: secret::APP_SECRET, place }
        })
    }

    fn oss(&mut self) -> Oss {
        let file = self.file().oss.clone();
        let signatures =
            [("auto", SignatureChoice::Auto), ("v4", SignatureChoice::V4), ("v1", SignatureChoice::V1)];
        let https = [("upgrade", Https::Upgrade), ("require", Https::Require), ("allow", Https::Allow)];
        self.key_template(&file.key_template);
        let region_shape = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if !file.region.bytes().all(region_shape) {
            self.wrong("oss.region", "a region is written as in \"cn-hangzhou\"");
        }
        Oss {
            signature: self.choice("oss.signature", &file.signature, &signatures),
            region: Some(file.region).filter(|region| !region.is_empty()),
            https: self.choice("oss.https", &file.https, &https),
            allowed_hosts: self.allowed_hosts(&file.allowed_hosts),
            bucket: self.bucket(&file.bucket),
            key_template: file.key_template,
            connect_timeout: self.at_least(
                "oss.connect_timeout",
                file.connect_timeout.0,
                Duration::from_millis(100),
            ),
            timeout: self.at_least("oss.timeout", file.timeout.0, Duration::from_millis(100)),
        }
    }

    /// Without type, id and index two files would get the same key.
    fn key_template(&mut self, template: &str) {
        const KNOWN: [&str; 4] = ["{type}", "{id}", "{index}", "{suffix}"];
        for name in &KNOWN[..3] {
            if !template.contains(name) {
                self.wrong(
                    "oss.key_template",
                    format!("must contain {name}, or files would overwrite each other"),
                );
            }
        }
        let rest = KNOWN.iter().fold(template.to_owned(), |rest, name| rest.replace(name, ""));
        if rest.contains(['{', '}']) {
            self.wrong("oss.key_template", "has a placeholder that is none of {type} {id} {index} {suffix}");
        }
        let dots = template.split('/').any(|part| part == "." || part == "..");
        if template.starts_with('/') || dots || template.contains(['\\', '\n', '\r', '\0']) {
            self.wrong("oss.key_template", "is no OSS key: no leading \"/\", no \"..\", no backslash");
        }
    }

    fn bucket(&mut self, name: &str) -> Option<String> {
        let shape = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let good = (3..=63).contains(&name.len()) && name.bytes().all(shape);
        if !good && !name.is_empty() {
            self.wrong("oss.bucket", "is no name of a bucket: 3 to 63 of a-z, 0-9 and \"-\"");
        }
        Some(name.to_owned()).filter(|name| !name.is_empty())
    }

    fn allowed_hosts(&mut self, hosts: &[String]) -> Vec<HostPattern> {
        if hosts.is_empty() {
            self.wrong("oss.allowed_hosts", "is empty: no file could be sent anywhere");
        }
        let mut patterns = Vec::new();
        for host in hosts {
            let address = host.trim_matches(['[', ']']).parse().ok();
            match HostPattern::parse(host) {
                Some(_) if address.is_some_and(is_for_the_machine_alone) => self.wrong(
                    "oss.allowed_hosts",
                    format!("\"{host}\" is where clouds keep the credentials of machines; no picture belongs there"),
                ),
                Some(pattern) => patterns.push(pattern),
                None => self.wrong(
                    "oss.allowed_hosts",
                    format!("\"{host}\" is neither a host nor \"*.\" and a domain"),
                ),
            }
        }
        patterns
    }

    fn network(&mut self) -> Network {
        let file = self.file().network.clone();
        let mut resolve = BTreeMap::new();
        for (host, address) in &file.resolve {
            match address.parse() {
                Ok(address) => drop(resolve.insert(host.to_ascii_lowercase(), address)),
                Err(_) => self.wrong(
                    "network.resolve",
                    format!("\"{address}\" is no address with port, as in \"127.0.0.1:8443\""),
                ),
            }
        }
        let ca_file = Some(&file.ca_file).filter(|path| !path.is_empty()).map(|path| self.path(path));
        if let Some(path) = ca_file.as_ref().filter(|path| !path.is_file()) {
            self.wrong("network.ca_file", format!("there is no file {}", path.display()));
        }
        Network { ca_file, resolve }
    }

    fn watch(&mut self) -> Watch {
        let file = self.file().watch.clone();
        let modes = [("auto", WatchMode::Auto), ("native", WatchMode::Native), ("poll", WatchMode::Poll)];
        Watch {
            root: self.own_path("watch.root", &file.root),
            settle: self.at_least("watch.settle", file.settle.0, Duration::from_millis(10)),
            grace: file.grace.0,
            rescan: self.at_least("watch.rescan", file.rescan.0, Duration::from_millis(100)),
            ignore: self.ignored(&file.ignore),
            mode: self.choice("watch.mode", &file.mode, &modes),
            poll_interval: self.at_least(
                "watch.poll_interval",
                file.poll_interval.0,
                Duration::from_millis(50),
            ),
        }
    }

    fn ignored(&mut self, patterns: &[String]) -> Vec<Glob> {
        let mut globs = Vec::new();
        for pattern in patterns {
            match Glob::parse(pattern) {
                Ok(glob) => globs.push(glob),
                Err(why) => self.wrong("watch.ignore", format!("\"{pattern}\" {why}")),
            }
        }
        globs
    }

    fn brands(&mut self, max_per_brand: u32) -> Vec<BrandFolder> {
        let (mut folders, mut keys): (Vec<BrandFolder>, Vec<String>) = Default::default();
        for (number, entry) in self.file().brand.clone().into_iter().enumerate() {
            let key = format!("brand[{number}]");
            let brand = entry.r#type.parse::<BrandType>().and_then(|kind| BrandKey::new(kind, entry.id));
            let max = entry.max.unwrap_or(max_per_brand);
            self.slot_count(&key, max);
            match brand {
                Err(error) => self.wrong(&key, error.to_string()),
                Ok(brand) => {
                    let path = self.own_path(&key, &entry.path);
                    if folders.iter().any(|other| other.brand == brand || other.path == path) {
                        self.wrong(&key, format!("{brand} or its folder stands here twice"));
                    }
                    folders.push(BrandFolder { brand, path, max });
                    keys.push(key);
                }
            }
        }
        let root = self.path(&self.file().watch.root);
        for (at, why) in folders::clashes(&root, &folders) {
            self.wrong(&keys[at], why);
        }
        folders
    }

    /// As `path`, for those that people type.
    fn own_path(&mut self, key: &str, text: &str) -> PathBuf {
        if text.starts_with('~') {
            self.wrong(key, format!("\"~\" is not replaced here: write the whole path instead of {text}"));
        }
        self.path(text)
    }

    fn slot_count(&mut self, key: &str, count: u32) {
        if !(1..=MOST_SLOTS).contains(&count) {
            self.wrong(key, format!("a brand has from 1 to {MOST_SLOTS} slots, not {count}"));
        }
    }

    fn images(&mut self) -> Images {
        let file = self.file().images.clone();
        self.slot_count("images.max_per_brand", file.max_per_brand);
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

    fn upload(&mut self) -> Upload {
        let file = self.file().upload.clone();
        let choices = [("keep", After::Keep), ("archive", After::Archive), ("delete", After::Delete)];
        let after = self.choice("upload.after", &file.after, &choices);
        let archive = self.own_path("upload.archive", &file.archive);
        let root = self.path(&self.file().watch.root);
        if after == After::Archive && archive.starts_with(&root) {
            self.wrong("upload.archive", "lies in the watched folder; put it beside it");
        }
        Upload { after, archive }
    }

    fn http(&mut self) -> Http {
        let file = self.file().http.clone();
        let database = self.path(&self.file().database.path);
        let token_file = Some(&file.token_file).filter(|path| !path.is_empty()).map(|path| self.path(path));
        let token_file = token_file.or_else(|| credential(secret::credential_name(secret::PAGE_TOKEN)));
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
        }
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

fn is_header_text(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// A credential of systemd, if the service has one of this name.
fn credential(name: &str) -> Option<PathBuf> {
    let path = Path::new(&std::env::var_os("CREDENTIALS_DIRECTORY")?).join(name);
    path.exists().then_some(path)
}

/// The service's folder in `/run`, if systemd made one; the first, if there are several.
fn runtime_dir() -> Option<PathBuf> {
    let folders = std::env::var_os("RUNTIME_DIRECTORY")?.into_string().ok()?;
    folders.split(':').next().filter(|folder| !folder.is_empty()).map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "[gateway]\napp_id = \"a\"\napp_key = \"k\"\n";

    fn parse(text: &str) -> Result<Settings, Problems> {
        Settings::parse(Path::new("/etc/brandpost/config.toml"), text, std::iter::empty())
    }

    #[test]
    fn relative_paths_count_from_the_folder_of_the_file() {
        let settings = parse(GOOD).unwrap();
        assert_eq!(settings.watch.root, Path::new("/etc/brandpost/inbox"));
        assert_eq!(settings.database.path, Path::new("/etc/brandpost/brandpost.db"));
    }

    #[test]
    fn zero_means_no_limit() {
        let settings = parse(&format!("{GOOD}[images]\nmax_bytes = 0\nmax_pixels = 0\n")).unwrap();
        assert_eq!((settings.images.max_bytes, settings.images.max_pixels), (u64::MAX, u64::MAX));
    }

    #[test]
    fn impossible_values_are_all_named() {
        let text = format!(
            "{GOOD}url = \"ftp://x/y\"\nstage = \"LIVE\"\n[oss]\nkey_template = \"{{id}}\"\nallowed_hosts = []\n\
             [limits]\nconcurrency = 0\n[watch]\nmode = \"magic\"\n[http]\nlisten = \"0.0.0.0:80\"\n"
        );
        let problems = parse(&text).unwrap_err().to_string();
        let lines = [
            ":4: gateway.url:",
            ":5: gateway.stage:",
            ":7: oss.key_template:",
            ":8: oss.allowed_hosts:",
            ":10: limits.concurrency:",
            ":12: watch.mode:",
            ":14: http.listen:",
        ];
        for line in lines {
            assert!(problems.contains(line), "{line} not in\n{problems}");
        }
    }

    #[test]
    fn what_only_a_shell_understands_is_refused() {
        let text = format!(
            "{GOOD}[watch]\nroot = \"~/inbox\"\n[[brand]]\ntype = \"OWNBRAND\"\nid = 7\npath = \"~acme\"\n"
        );
        let problems = parse(&text).unwrap_err().to_string();
        for line in [":5: watch.root: \"~\" is not replaced here", "brand[0]: \"~\" is not replaced here"] {
            assert!(problems.contains(line), "{problems}");
        }
    }

    #[test]
    fn no_picture_is_sent_to_where_clouds_keep_credentials() {
        for host in ["169.254.169.254", "100.100.100.200", "[fe80::1]", "fd00:ec2::254"] {
            let problems =
                parse(&format!("{GOOD}[oss]\nallowed_hosts = [\"{host}\"]\n")).unwrap_err().to_string();
            assert!(
                problems.contains("oss.allowed_hosts: ") && problems.contains("credentials"),
                "{problems}"
            );
        }
    }

    #[test]
    fn hosts_match_on_label_boundaries() {
        let pattern = HostPattern::parse("*.aliyuncs.com").unwrap();
        for host in ["a.oss-cn-hangzhou.aliyuncs.com", "b.aliyuncs.com", "B.ALIYUNCS.COM", "b.aliyuncs.com."]
        {
            assert!(pattern.matches(host), "{host}");
        }
        for host in ["aliyuncs.com", ".aliyuncs.com", "evilaliyuncs.com", "aliyuncs.com.evil.net", "", "."] {
            assert!(!pattern.matches(host), "{host}");
        }
        assert!(HostPattern::parse("127.0.0.1").unwrap().matches("127.0.0.1"));
        assert!(HostPattern::parse("*").is_none());
    }
}
