//! Secrets: where the app secret may come from, and a type that does not show what it holds.

use std::fmt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use zeroize::Zeroizing;

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

/// Where the app secret is taken from: the first of the four places that is set.
#[derive(Debug, Clone)]
pub enum SecretSource {
    /// `BRANDPOST_GATEWAY__APP_SECRET`.
    Environment(Secret),
    /// `gateway.app_secret_file`.
    File(PathBuf),
    /// The systemd credential `app_secret` (a file in `$CREDENTIALS_DIRECTORY`).
    Credential(PathBuf),
    /// `gateway.app_secret` in this configuration file.
    Inline(Secret, PathBuf),
    /// Nowhere.
    Missing,
}

/// Why there is no app secret.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// None of the four places has one.
    #[error(
        "there is no app secret: set gateway.app_secret_file, or BRANDPOST_GATEWAY__APP_SECRET, \
         or the systemd credential app_secret"
    )]
    Missing,
    /// The file that should hold it cannot be read.
    #[error("cannot read the app secret from {path}")]
    Unreadable {
        /// Which file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The file is there and holds nothing.
    #[error("the app secret in {0} is empty")]
    Empty(String),
    /// It stands in a configuration file that others can read.
    #[error(
        "gateway.app_secret stands in {0}, which other users can read: run `chmod 600 {0}`, or use app_secret_file"
    )]
    Exposed(String),
}

impl SecretSource {
    /// Reads the secret.
    ///
    /// # Errors
    /// When there is none, it is empty or unreadable, or it lies open to other users.
    pub fn load(&self) -> Result<Secret, SecretError> {
        match self {
            SecretSource::Environment(secret) => Ok(secret.clone()),
            SecretSource::File(path) | SecretSource::Credential(path) => read(path),
            SecretSource::Inline(secret, config) => guarded(secret, config),
            SecretSource::Missing => Err(SecretError::Missing),
        }
    }
}

fn read(path: &Path) -> Result<Secret, SecretError> {
    let name = || path.display().to_string();
    let text = std::fs::read_to_string(path)
        .map(Zeroizing::new)
        .map_err(|source| SecretError::Unreadable { path: name(), source })?;
    match text.trim() {
        "" => Err(SecretError::Empty(name())),
        secret => Ok(Secret::from(secret.to_owned())),
    }
}

fn guarded(secret: &Secret, config: &Path) -> Result<Secret, SecretError> {
    const READABLE_BY_OTHERS: u32 = 0o044;
    let name = || config.display().to_string();
    let mode =
        std::fs::metadata(config).map_err(|source| SecretError::Unreadable { path: name(), source })?.mode();
    if mode & READABLE_BY_OTHERS == 0 { Ok(secret.clone()) } else { Err(SecretError::Exposed(name())) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_secret_is_not_shown() {
        let secret = Secret::from("s3cret".to_owned());
        assert_eq!(format!("{secret:?}"), "(hidden)");
        assert!(!format!("{:?}", SecretSource::Environment(secret)).contains("s3cret"));
    }

    #[test]
    fn a_file_is_trimmed_and_must_hold_something() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        std::fs::write(&path, "abc\n").unwrap();
        assert_eq!(SecretSource::File(path.clone()).load().unwrap().expose(), "abc");
        std::fs::write(&path, "\n").unwrap();
        assert!(matches!(SecretSource::File(path).load(), Err(SecretError::Empty(_))));
    }

    #[test]
    fn an_inline_secret_needs_a_private_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        std::fs::write(&path, "").unwrap();
        let inline = SecretSource::Inline(Secret::from("abc".to_owned()), path.clone());
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(inline.load(), Err(SecretError::Exposed(_))));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(inline.load().unwrap().expose(), "abc");
    }
}
