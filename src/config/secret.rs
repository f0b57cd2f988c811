//! Secrets: where each may come from, what is wrong with one, and a type that does not show what it holds.

use std::fmt;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use url::Url;
use zeroize::Zeroizing;

use crate::files;

/// A text that is wiped when dropped and never printed.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// The text itself. Only for signing and for headers.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Is there nothing?
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(Zeroizing::new(text))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_empty() { "(none)" } else { "(hidden)" })
    }
}

/// Which secret it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    /// Its key in `config.toml`, as `section.key`. A `_file` behind it names its file.
    name: &'static str,
    /// What its systemd credential is called.
    credential: &'static str,
}

impl Key {
    /// Its key in `config.toml`.
    pub(super) fn name(self) -> &'static str {
        self.name
    }

    /// What its systemd credential is called.
    pub(super) fn credential(self) -> &'static str {
        self.credential
    }

    /// The environment variable that may hold it.
    pub fn variable(self) -> String {
        let (section, key) = self.name.split_once('.').unwrap_or_default();
        format!("{}{}__{}", super::ENV_PREFIX, section.to_uppercase(), key.to_uppercase())
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// Signs the calls of the gateway.
pub(super) const APP_SECRET: Key = Key { name: "gateway.app_secret", credential: "app_secret" };
/// A user token for the gateway.
pub(super) const IOT_TOKEN: Key = Key { name: "gateway.iot_token", credential: "iot_token" };
/// Opens the database on its server. It is never in the configuration itself.
pub(super) const DATABASE_PASSWORD: Key = Key { name: "database.password", credential: "db_password" };
/// Where alerts go; the URL holds a key.
pub(super) const WEBHOOK: Key = Key { name: "alerts.webhook", credential: "alerts_webhook" };
/// Signs alerts.
pub(super) const ALERT_SECRET: Key = Key { name: "alerts.secret", credential: "alerts_secret" };
/// Opens the page. It is never in the configuration itself.
pub(super) const PAGE_TOKEN: Key = Key { name: "http.token", credential: "http_token" };

/// All of them: what is done with every secret is done with these.
pub const ALL: [Key; 6] = [APP_SECRET, IOT_TOKEN, DATABASE_PASSWORD, WEBHOOK, ALERT_SECRET, PAGE_TOKEN];

/// Where a secret is taken from.
#[derive(Debug, Clone)]
pub struct SecretSource {
    /// Which one it is.
    pub key: Key,
    /// Where it is.
    pub place: SecretPlace,
}

/// The first of these that is set counts.
#[derive(Debug, Clone)]
pub enum SecretPlace {
    /// `BRANDPOST_<SECTION>__<KEY>`, or what was read before.
    Environment(Secret),
    /// The file that `<key>_file` names.
    File(PathBuf),
    /// A systemd credential (a file in `$CREDENTIALS_DIRECTORY`).
    Credential(PathBuf),
    /// `<key>` in this configuration file.
    Inline(Secret, PathBuf),
    /// Nowhere.
    Missing,
}

/// Why there is no secret.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// None of the places has one.
    #[error("there is no {0}: set {0}_file, or {env}, or the systemd credential {credential}", env = dollar(.0), credential = .0.credential)]
    Missing(Key),
    /// The file that should hold it cannot be read.
    #[error("cannot read {key} from {path}")]
    Unreadable {
        /// Which secret.
        key: Key,
        /// Which file.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// The place is there and holds nothing.
    #[error("{0} in {1} is empty")]
    Empty(Key, String),
    /// It lies in a file that every user of the machine can read.
    #[error(
        "{1} holds {0}, and other users can read it: run `chmod {2} {1}` (it must stay readable for the service)"
    )]
    Exposed(Key, String, &'static str),
    /// It is in a configuration file that others can read.
    #[error("{0} is in {1}, which other users can read: run `chmod {2} {1}`, or use {0}_file")]
    ExposedInline(Key, String, &'static str),
    /// Nothing like it can be a secret; it was pasted wrongly.
    #[error("{0} in {1} cannot be used: it {2}")]
    Unusable(Key, String, String),
}

impl SecretSource {
    /// Reads the secret.
    ///
    /// # Errors
    /// When there is none, it is empty, unreadable or no such text, or it lies open to other users.
    pub fn load(&self) -> Result<Secret, SecretError> {
        let key = self.key;
        match &self.place {
            SecretPlace::Environment(secret) => clean(key, &dollar(&key), secret.expose()),
            SecretPlace::File(path) => read(key, path, true),
            // systemd guards it
            SecretPlace::Credential(path) => read(key, path, false),
            SecretPlace::Inline(secret, config) => {
                guard(key, config)?;
                clean(key, &config.display().to_string(), secret.expose())
            }
            SecretPlace::Missing => Err(SecretError::Missing(key)),
        }
    }

    /// The same secret, already read: who loads it later need not be able to read its file.
    ///
    /// # Errors
    /// As of `load`.
    pub fn read_ahead(&self) -> Result<Self, SecretError> {
        Ok(Self { key: self.key, place: SecretPlace::Environment(self.load()?) })
    }
}

fn dollar(key: &Key) -> String {
    format!("${}", key.variable())
}

/// Reads a secret's file, at most so many bytes of it.
pub(super) fn read(key: Key, path: &Path, guarded: bool) -> Result<Secret, SecretError> {
    const LONGEST: u64 = 64 << 10;
    let name = path.display().to_string();
    let unreadable = |source| SecretError::Unreadable { key, path: path.display().to_string(), source };
    let file = files::open_named(path).map_err(unreadable)?;
    let about = file.metadata().map_err(unreadable)?;
    // staff may read the database, and who has its password may write it
    let (readable, advice) = if key == DATABASE_PASSWORD { (0o044, "go-r") } else { (0o004, "o-r") };
    if guarded && about.mode() & readable != 0 {
        return Err(SecretError::Exposed(key, name, advice));
    }
    let mut bytes = Zeroizing::new(Vec::new());
    file.take(LONGEST).read_to_end(&mut bytes).map_err(unreadable)?;
    let not_utf8 =
        |_| SecretError::Unusable(key, name.clone(), "is no text in UTF-8: save it as UTF-8".into());
    clean(key, &name, std::str::from_utf8(&bytes).map_err(not_utf8)?)
}

/// Staff may read the configuration of the package. An app secret is for nobody but the service.
fn guard(key: Key, config: &Path) -> Result<(), SecretError> {
    let (readable, advice) = if key == APP_SECRET { (0o044, "600") } else { (0o004, "o-r") };
    let name = || config.display().to_string();
    let about = std::fs::metadata(config);
    let mode = about.map_err(|source| SecretError::Unreadable { key, path: name(), source })?.mode();
    if mode & readable == 0 { Ok(()) } else { Err(SecretError::ExposedInline(key, name(), advice)) }
}

/// Takes away what programs and web pages put around a secret; what is in the middle of it is named, without
/// showing any of it.
fn clean(key: Key, place: &str, text: &str) -> Result<Secret, SecretError> {
    const QUOTES: &str = "\"'`“”‘’„「」『』«»";
    let text = text.trim_matches(|c: char| c.is_whitespace() || c.is_control() || is_invisible(c));
    let unusable = |flaw: String| Err(SecretError::Unusable(key, place.to_owned(), flaw));
    if text.is_empty() {
        return Err(SecretError::Empty(key, place.to_owned()));
    }
    if text.chars().count() > 1
        && text.starts_with(|c| QUOTES.contains(c))
        && text.ends_with(|c| QUOTES.contains(c))
    {
        return unusable("is in quotation marks: remove them".into());
    }
    // a URL may have letters of any script
    // people choose passwords
    let strange = |c: char| {
        if key == DATABASE_PASSWORD {
            return c.is_control() || is_invisible(c);
        }
        !c.is_ascii_graphic() && (key != WEBHOOK || c.is_whitespace() || c.is_control() || is_invisible(c))
    };
    match text.chars().enumerate().find(|(_, c)| strange(*c)) {
        None if key == WEBHOOK && !is_url(text) => {
            unusable("is no URL: copy it whole from the robot's settings".into())
        }
        None => Ok(Secret::from(text.to_owned())),
        Some((_, '\n' | '\r')) => unusable("has more than one line: leave only the secret".into()),
        Some((at, c)) => unusable(format!(
            "has {} (U+{:04X}) as its character number {}: copy it once more, or type it",
            kind(c),
            u32::from(c),
            at + 1
        )),
    }
}

fn is_url(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| ["http", "https"].contains(&url.scheme()) && url.has_host())
}

fn kind(c: char) -> &'static str {
    match c {
        c if c.is_whitespace() => "a blank",
        c if c.is_control() || is_invisible(c) => "a character that cannot be seen",
        _ => "a character that no such secret has",
    }
}

/// Zero-width characters, a byte-order mark, a soft hyphen, what turns the direction of writing.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests;
