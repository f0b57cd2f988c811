//! The mirror of `config.toml`: every key, with its default. Unknown keys are errors.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::secret::Secret;
use super::values::{Size, Span};

macro_rules! section {
    ($(#[$doc:meta])* $name:ident { $($key:ident: $type:ty = $default:expr),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub(super) struct $name { $(pub(super) $key: $type),* }

        impl Default for $name {
            fn default() -> Self {
                Self { $($key: $default),* }
            }
        }

        #[cfg(test)]
        impl $name {
            const KEYS: &[&str] = &[$(stringify!($key)),*];
        }
    };
}

section!(
    /// The whole file.
    File {
        gateway: Gateway = Gateway::default(),
        oss: Oss = Oss::default(),
        network: Network = Network::default(),
        watch: Watch = Watch::default(),
        brand: Vec<BrandEntry> = Vec::new(),
        images: Images = Images::default(),
        slots: Slots = Slots::default(),
        limits: Limits = Limits::default(),
        retry: Retry = Retry::default(),
        upload: Upload = Upload::default(),
        database: Database = Database::default(),
        http: Http = Http::default(),
        alerts: Alerts = Alerts::default(),
        log: Log = Log::default(),
    }
);

section!(Gateway {
    url: String = "https://api.link.aliyun.com".into(),
    app_id: String = String::new(),
    app_key: String = String::new(),
    app_secret: Secret = Secret::default(),
    app_secret_file: String = String::new(),
    iot_token: Secret = Secret::default(),
    iot_token_file: String = String::new(),
    stage: String = String::new(),
    timeout: Span = Span::secs(5),
});

section!(Oss {
    signature: String = "auto".into(),
    region: String = String::new(),
    key_template: String = "qualification/{type}/{id}/{index}.{suffix}".into(),
    https: String = "upgrade".into(),
    allowed_hosts: Vec<String> = vec!["*.aliyuncs.com".into()],
    bucket: String = String::new(),
    connect_timeout: Span = Span::secs(5),
    timeout: Span = Span::secs(60),
});

section!(Network {
    ca_file: String = String::new(),
    resolve: BTreeMap<String, String> = BTreeMap::new(),
});

section!(Watch {
    root: String = "inbox".into(),
    inbox: String = String::new(),
    settle: Span = Span::secs(1),
    grace: Span = Span::secs(30),
    rescan: Span = Span::secs(600),
    ignore: Vec<String> = Vec::new(),
    mode: String = "auto".into(),
    poll_interval: Span = Span::secs(5),
});

/// One `[[brand]]`: a folder outside the root.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BrandEntry {
    pub(super) r#type: String,
    pub(super) id: i64,
    pub(super) path: String,
    pub(super) label: Option<String>,
    pub(super) max: Option<u32>,
}

section!(Images {
    max_per_brand: u32 = 10,
    max_bytes: Size = Size(20 << 20),
    max_pixels: u64 = 100_000_000,
    check: String = "decode".into(),
    mismatch: String = "correct".into(),
});

section!(Slots { by: String = "arrival".into() });

section!(Limits {
    concurrency: u32 = 4,
    uploads_per_second: u32 = 5,
    burst: u32 = 10,
    gateway_per_second: u32 = 5,
    bytes_per_second: Size = Size(0),
});

section!(Retry {
    first_delay: Span = Span::secs(2),
    max_delay: Span = Span::secs(900),
    max_attempts: u32 = 0,
});

section!(Upload { after: String = "keep".into(), archive: String = "archive".into() });

section!(Database {
    path: String = "brandpost.db".into(),
    url: String = String::new(),
    password_file: String = String::new(),
    keep_attempts: Span = Span::secs(90 * 86_400),
});

section!(Http {
    listen: String = String::new(),
    token_file: String = String::new(),
    hosts: Vec<String> = Vec::new(),
});

section!(Alerts {
    webhook: Secret = Secret::default(),
    webhook_file: String = String::new(),
    kind: String = "json".into(),
    secret: Secret = Secret::default(),
    secret_file: String = String::new(),
    command: Vec<String> = Vec::new(),
    min_interval: Span = Span::secs(300),
    on: Vec<String> = vec!["refused".into(), "paused".into(), "resumed".into()],
    summary_at: String = String::new(),
});

section!(Log { format: String = "auto".into(), level: String = "info".into() });

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_those_of_the_reference() {
        let file = File::default();
        assert_eq!(file.watch.settle, Span::secs(1));
        assert_eq!(file.images.max_bytes, Size(20 * 1024 * 1024));
        assert_eq!(file.database.keep_attempts, Span::secs(7_776_000));
    }

    /// The text with all keys that are commented out set, but for the folders of brands.
    fn uncommented(text: &str) -> String {
        let mut lines = Vec::new();
        for block in text.split("\n\n").filter(|block| !block.contains("[[brand]]")) {
            for line in block.lines() {
                let bare = line.strip_prefix("# ").unwrap_or(line);
                let key = bare.split_once(" = ").is_some_and(|(key, _)| !key.contains(' '));
                lines.push(if key || bare.starts_with('[') { bare } else { line });
            }
        }
        lines.join("\n")
    }

    /// A line about each key of each section: its name and its value.
    fn values(file: &File) -> Vec<String> {
        format!("{file:#?}").lines().map(str::to_owned).collect()
    }

    #[test]
    fn the_files_we_ship_name_each_key_with_its_default() {
        let here = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        // what they set on purpose
        let set = ["url", "app_id", "app_key", "root", "path", "archive", "https", "app_secret_file"];
        for name in ["config.toml", "packaging/config.toml"] {
            let shipped = std::fs::read_to_string(here.join(name)).unwrap();
            let text = uncommented(&shipped);
            let mut file: File = toml::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
            file.network.resolve.clear();
            for (shown, default) in values(&file).iter().zip(values(&File::default())) {
                let key = default.trim().split(':').next().unwrap();
                assert!(*shown == default || set.contains(&key), "{name}: {shown} is not {default}");
            }
            for (section, keys) in [
                ("gateway", Gateway::KEYS),
                ("oss", Oss::KEYS),
                ("network", Network::KEYS),
                ("watch", Watch::KEYS),
                ("images", Images::KEYS),
                ("slots", Slots::KEYS),
                ("limits", Limits::KEYS),
                ("retry", Retry::KEYS),
                ("upload", Upload::KEYS),
                ("database", Database::KEYS),
                ("http", Http::KEYS),
                ("alerts", Alerts::KEYS),
                ("log", Log::KEYS),
            ] {
                assert!(File::KEYS.contains(&section));
                let chapter = text.split(&format!("[{section}]\n")).nth(1).unwrap_or_default();
                let chapter = chapter.split("\n[").next().unwrap();
                for key in keys.iter().filter(|key| !["app_secret", "app_secret_file"].contains(key)) {
                    assert!(chapter.contains(&format!("{key} = ")), "{name} does not name {section}.{key}");
                }
            }
            let brand = shipped.split("[[brand]]").nth(1).unwrap_or_default().split("\n\n").next().unwrap();
            let keys: Vec<_> = brand.lines().skip(1).filter_map(|line| line.strip_prefix("# ")).collect();
            let entry = toml::from_str(&keys.join("\n")).unwrap_or_else(|error| panic!("{name}: {error}"));
            // a key that is new is asked for here; the others cannot be left out
            let BrandEntry { r#type: _, id: _, path: _, label, max } = entry;
            assert!(label.is_some() && max.is_some(), "{name} does not name all keys of [[brand]]");
        }
    }
}
