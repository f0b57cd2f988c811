//! The token of the page: the operator's own, or one that the daemon generates.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use uuid::Uuid;
use zeroize::Zeroizing;

use super::secret::{self, Secret, SecretError};

/// What a token must have, as far as its length and its characters show.
const BITS: f64 = 128.0;

/// The most that is read of a file, in bytes.
const MAX_LENGTH: u64 = 4096;

/// Where the token comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenSource {
    /// `http.token_file`.
    File(PathBuf),
    /// The daemon generates one, unless the file has a usable one.
    Generated {
        /// `token` in the service's runtime folder (`$RUNTIME_DIRECTORY`), or a file beside the database.
        file: PathBuf,
        /// A link to it beside the database, where the command line looks for it.
        link: Option<PathBuf>,
    },
}

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The operator's own cannot be used.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// It has too few bits.
    #[error(
        "http.token_file {0} holds a token that could be guessed: it must have 128 bits, which is 32 hexadecimal \
         digits, or 22 letters and digits; `openssl rand -hex 24` makes a good one"
    )]
    Weak(String),
    /// The daemon has not generated one.
    #[error(
        "there is no token yet: the daemon generates one when http.listen is set and it has started or reloaded"
    )]
    NotGenerated,
    /// This user may not read it.
    #[error(
        "this user may not read the token: run `sudo brandpost page`, or become a member of the service's group"
    )]
    PermissionDenied,
    /// The generated one is damaged.
    #[error("the token in {path} cannot be used ({reason}); restart the daemon to get a new one")]
    Unusable {
        /// Which file.
        path: String,
        /// Why.
        reason: String,
    },
}

impl TokenSource {
    pub(super) fn new(token_file: Option<PathBuf>, runtime_dir: Option<PathBuf>, database: &Path) -> Self {
        let mut beside = database.as_os_str().to_owned();
        beside.push(".token");
        match (token_file, runtime_dir) {
            (Some(file), _) => Self::File(file),
            (None, None) => Self::Generated { file: beside.into(), link: None },
            (None, Some(folder)) => Self::Generated { file: folder.join("token"), link: Some(beside.into()) },
        }
    }

    /// The token as it is now.
    ///
    /// # Errors
    /// When there is none, it cannot be read, or it is not safe.
    pub fn load(&self) -> Result<Secret, TokenError> {
        match self {
            Self::File(path) => load_configured(path),
            Self::Generated { file, .. } => load_generated(file),
        }
    }

    /// For the daemon: the token, which is generated if there is none yet. A generated one that cannot be written is
    /// logged and is no error: uploads go on.
    ///
    /// # Errors
    /// When the operator's own token cannot be read or is not safe.
    pub fn load_or_generate(&self) -> Result<Secret, TokenError> {
        let Self::Generated { file, link } = self else { return self.load() };
        // the runtime folder is for the service's group
        let mode = if link.is_some() { 0o640 } else { 0o600 };
        let token = reuse_or_generate(file, mode).unwrap_or_else(|error| {
            tracing::warn!(
                "{}: {error}: the token of the page cannot be written, and nobody can open the page; make the folder \
                 writable for the service and restart it",
                file.display()
            );
            random_token()
        });
        if let Some(link) = link
            && let Err(error) = write_atomically(link, |new| symlink(file, new))
        {
            tracing::warn!(
                "{}: {error}: `brandpost page` will not find the token; make the folder writable for the service and \
                 restart it",
                link.display()
            );
        }
        Ok(token)
    }
}

fn load_configured(path: &Path) -> Result<Secret, TokenError> {
    let token = secret::read(secret::PAGE_TOKEN, path, true)?;
    match bits(token.expose()) {
        BITS.. => Ok(token),
        _ => Err(TokenError::Weak(path.display().to_string())),
    }
}

/// Opens a file; a FIFO does not block it.
fn open(path: &Path, flags: i32) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | flags).open(path)
}

/// An upper bound of the entropy: length times bits of a character, by the kinds of characters it has.
fn bits(token: &str) -> f64 {
    let any = |kind: fn(u8) -> bool| token.bytes().any(kind);
    let letters = if any(|byte| byte.is_ascii_alphabetic() && !byte.is_ascii_hexdigit()) { 26 } else { 6 };
    let kinds = [
        (any(|byte| byte.is_ascii_digit()), 10),
        (any(|byte| byte.is_ascii_lowercase()), letters),
        (any(|byte| byte.is_ascii_uppercase()), letters),
        (any(|byte| byte.is_ascii_punctuation()), 2),
    ];
    let alphabet: u32 = kinds.iter().filter(|(there, _)| *there).map(|(_, size)| size).sum();
    let different: std::collections::BTreeSet<u8> = token.bytes().collect();
    // few different characters are a pattern
    let length = if different.len() < 8 { different.len() } else { token.len() };
    f64::from(alphabet.max(1)).log2() * f64::from(u32::try_from(length).unwrap_or(u32::MAX))
}

/// Two random UUIDs: 244 bits.
fn random_token() -> Secret {
    Secret::from(format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple()))
}

/// Reads a file that the daemon wrote, or follows the link that it made.
fn load_generated(path: &Path) -> Result<Secret, TokenError> {
    let file = open(path, 0).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => TokenError::NotGenerated,
        io::ErrorKind::PermissionDenied => TokenError::PermissionDenied,
        _ => TokenError::Unusable { path: path.display().to_string(), reason: error.to_string() },
    })?;
    let unusable = |reason| TokenError::Unusable { path: path.display().to_string(), reason };
    read_generated(&file).map_err(|error| unusable(error.to_string()))
}

fn read_generated(file: &File) -> io::Result<Secret> {
    let is_token = |text: &str| text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let mut text = Zeroizing::new(String::new());
    if file.metadata()?.is_file() {
        file.take(MAX_LENGTH).read_to_string(&mut text)?;
    }
    match text.trim() {
        token if is_token(token) => Ok(Secret::from(token.to_owned())),
        _ => Err(io::Error::other("it holds no token")),
    }
}

/// The token of an earlier start, if no one else can write or read its file; else a new one.
fn reuse_or_generate(path: &Path, mode: u32) -> io::Result<Secret> {
    let earlier = open(path, libc::O_NOFOLLOW).ok().filter(|file| {
        let ours = rustix::process::geteuid().as_raw();
        file.metadata().is_ok_and(|file| file.uid() == ours && file.mode() & 0o777 & !mode == 0)
    });
    if let Some(token) = earlier.and_then(|file| read_generated(&file).ok()) {
        return Ok(token);
    }
    let token = random_token();
    write_atomically(path, |new| {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(new)?;
        writeln!(file, "{}", token.expose())?;
        // whatever the umask
        file.set_permissions(std::fs::Permissions::from_mode(mode))
    })?;
    Ok(token)
}

/// Creates a file or link under another name, then renames it.
fn write_atomically(path: &Path, make: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<()> {
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let _ = std::fs::remove_file(&new);
    make(Path::new(&new))?;
    std::fs::rename(&new, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    #[test]
    fn a_token_needs_128_bits() {
        let good = [
            "0123456789abcdef0123456789abcdef",
            "8Zr2kLq9Xw4Tn7Vb1Mc5Pd",
            "mF5yHq0R+2Zt/8kWb1nXvA==",
            "correct-horse-battery-staple-x",
        ];
        let weak = [
            "0123456789abcdef",
            "0123456789abcdef-token",
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "12345678901234567890123456789012345678",
            "8Zr2kLq9Xw4Tn7Vb1Mc5P",
        ];
        let folder = folder();
        let path = folder.path().join("token");
        let mode = |mode| std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        let read = |token: &str| {
            std::fs::write(&path, format!("{token}\n")).unwrap();
            mode(0o640);
            TokenSource::File(path.clone()).load()
        };
        for token in good {
            assert_eq!(read(token).unwrap().expose(), token);
        }
        for token in weak {
            assert!(matches!(read(token), Err(TokenError::Weak(_))), "{token}");
        }
        for token in ["two words that are long enough to be one", "口令口令口令口令口令口令口令口令"]
        {
            assert!(matches!(read(token), Err(TokenError::Secret(SecretError::Unusable(..)))), "{token}");
        }
        read(good[0]).unwrap();
        mode(0o644);
        assert!(matches!(
            TokenSource::File(path.clone()).load(),
            Err(TokenError::Secret(SecretError::Exposed(..)))
        ));
    }

    #[test]
    fn a_generated_token_is_kept_and_is_for_user_and_group() {
        let folder = folder();
        let (runtime, database) = (folder.path().join("run"), folder.path().join("a.db"));
        std::fs::create_dir(&runtime).unwrap();
        let daemon = TokenSource::new(None, Some(runtime.clone()), &database);
        let reader = TokenSource::new(None, None, &database);
        assert!(matches!(reader.load(), Err(TokenError::NotGenerated)));
        let token = daemon.load_or_generate().unwrap();
        assert_eq!(std::fs::metadata(runtime.join("token")).unwrap().mode() & 0o7777, 0o640);
        assert_eq!(
            (reader.load().unwrap(), daemon.load_or_generate().unwrap()),
            (token.clone(), token.clone())
        );
        std::fs::remove_file(runtime.join("token")).unwrap();
        assert!(matches!(reader.load(), Err(TokenError::NotGenerated)));
        assert_ne!(daemon.load_or_generate().unwrap(), token);
        // the same database without a runtime folder: the link is not written through
        let before = daemon.load().unwrap();
        let beside = reader.load_or_generate().unwrap();
        assert_eq!(std::fs::metadata(folder.path().join("a.db.token")).unwrap().mode() & 0o7777, 0o600);
        assert_eq!((daemon.load().unwrap(), reader.load().unwrap()), (before, beside));
    }

    #[test]
    fn a_file_that_others_can_write_or_read_is_replaced() {
        let folder = folder();
        let path = folder.path().join("token");
        let source = TokenSource::Generated { file: path.clone(), link: None };
        let planted = "ab".repeat(32);
        for mode in [0o660, 0o640, 0o602, 0o604] {
            std::fs::write(&path, &planted).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            assert_ne!(source.load_or_generate().unwrap().expose(), planted, "{mode:o}");
            std::fs::remove_file(&path).unwrap();
        }
        let elsewhere = folder.path().join("elsewhere");
        std::fs::write(&elsewhere, &planted).unwrap();
        symlink(&elsewhere, &path).unwrap();
        assert_ne!(source.load_or_generate().unwrap().expose(), planted);
        assert_eq!(std::fs::read_to_string(elsewhere).unwrap(), planted);
        std::fs::write(&path, "half a tok").unwrap();
        assert_eq!(source.load_or_generate().unwrap().expose().len(), 64);
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_no_error() {
        let source = TokenSource::Generated { file: "/proc/no/such/token".into(), link: None };
        assert_eq!(source.load_or_generate().unwrap().expose().len(), 64);
    }
}
