//! Which configuration file is used, and which one root does not obey.

use std::fs::Metadata;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::encoding;
use super::problem::{Problem, Problems};
use crate::files;

/// The file in the current folder.
const LOCAL: &str = "config.toml";

/// The configuration file to use: the one asked for, `$BRANDPOST_CONFIG`, `./config.toml`, or
/// `/etc/brandpost/config.toml`.
///
/// # Errors
/// When root would take `./config.toml`, and somebody else can decide what it says.
pub fn locate(asked: Option<PathBuf>) -> Result<PathBuf, Problems> {
    if let Some(path) = asked.or_else(|| std::env::var_os("BRANDPOST_CONFIG").map(PathBuf::from)) {
        return Ok(path);
    }
    if !Path::new(LOCAL).exists() {
        return Ok("/etc/brandpost/config.toml".into());
    }
    let only_roots = |path: &str| std::fs::metadata(path).is_ok_and(|about| is_only_roots(&about));
    if is_root() && !(only_roots(".") && only_roots(LOCAL)) {
        return Err(refused(
            Path::new(LOCAL),
            "root does not obey it, because other users can decide what it says (it, and the folder that it is in, must \
             belong to root and be writable for nobody else): go to another folder, or name the file that you mean with \
             --config",
        ));
    }
    Ok(LOCAL.into())
}

/// Reads a configuration file.
///
/// # Errors
/// When it cannot be read, or root reads it and it belongs to others or they can write it.
pub(super) fn read(path: &Path) -> Result<String, Problems> {
    let cannot = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => refused(
            path,
            "there is no such file: name one with --config, or put config.toml here or in /etc/brandpost",
        ),
        _ => refused(path, &format!("cannot be read: {error}")),
    };
    let mut file = files::open_named(path).map_err(cannot)?;
    if is_root() && !is_only_roots(&file.metadata().map_err(cannot)?) {
        let path_text = path.display();
        let advice =
            format!("run `chown root {path_text}` and `chmod go-w {path_text}`, or use it as its owner");
        return Err(refused(
            path,
            &format!("root does not obey it, because other users can write it: {advice}"),
        ));
    }
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(cannot)?;
    let text = encoding::text(&bytes);
    text.map(str::to_owned)
        .map_err(|encoding| refused(path, &format!("is no UTF-8 but {encoding}: save it as UTF-8")))
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn is_only_roots(about: &Metadata) -> bool {
    about.uid() == 0 && !is_writable_by_others(about)
}

/// By anybody, or by a group: its bits are the mask of an access list too.
fn is_writable_by_others(about: &Metadata) -> bool {
    about.mode() & 0o022 != 0
}

fn refused(path: &Path, message: &str) -> Problems {
    Problems(vec![Problem {
        place: path.display().to_string(),
        key: String::new(),
        message: message.to_owned(),
    }])
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{CWD, FileType, Mode};

    #[test]
    fn what_is_no_file_holds_up_nobody_and_is_no_configuration() {
        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join("config.toml");
        rustix::fs::mknodat(CWD, &fifo, FileType::Fifo, Mode::RUSR, 0).unwrap();
        let problems = read(&fifo).unwrap_err();
        assert!(problems.0[0].message.contains("cannot be read: not a regular file"), "{problems:?}");
    }
}
