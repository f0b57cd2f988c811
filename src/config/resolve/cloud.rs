//! What concerns the clouds: who we are to them, where pictures may go, and by which way.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use url::Url;

use super::Resolver;
use crate::config::secret::{self, Secret, SecretPlace, SecretSource};
use crate::config::settings::{Gateway, HostPattern, Https, Network, Oss, SignatureChoice};
use crate::domain::address::is_for_the_machine_alone;

impl Resolver<'_> {
    pub(super) fn gateway(&mut self, path: &Path) -> Gateway {
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
    pub(super) fn secret(
        &self,
        key: secret::Key,
        inline: &Secret,
        file: &str,
        config: &Path,
    ) -> Option<SecretSource> {
        let inline = Some(inline).filter(|secret| !secret.is_empty());
        let place = if let Some(secret) = inline.filter(|_| self.document.is_overridden(key.name())) {
            SecretPlace::Environment(secret.clone())
        } else if !file.is_empty() {
            SecretPlace::File(self.path(file))
        } else if let Some(path) = credential(key.credential()) {
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

    pub(super) fn oss(&mut self) -> Oss {
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

    pub(super) fn network(&mut self) -> Network {
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
}

fn is_header_text(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// A credential of systemd, if the service has one of this name.
pub(super) fn credential(name: &str) -> Option<PathBuf> {
    let path = Path::new(&std::env::var_os("CREDENTIALS_DIRECTORY")?).join(name);
    path.exists().then_some(path)
}
