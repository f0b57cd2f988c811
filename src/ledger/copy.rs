//! A consistent copy of the database, also while others work with it.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;
use sqlx::SqlitePool;

use super::error::{LedgerError, Result};
use super::with_suffix;

pub(super) const VACUUM_INTO: &str = "VACUUM INTO $1";

/// Writes a copy, which is for its owner alone. It is whole and on the disk, or it is not there.
///
/// # Errors
/// When the file exists already or cannot be written.
pub(super) async fn copy(pool: &SqlitePool, to: &Path) -> Result<()> {
    // SQLite would take `file:` for the beginning of a URI
    let to = std::path::absolute(to).map_err(sqlx::Error::Io)?;
    let name = to
        .to_str()
        .ok_or_else(|| LedgerError::Copy(format!("{}: the name of the copy must be UTF-8", to.display())))?;
    // SQLite fills a file that is empty
    let file = create(&to)?;
    let written = sqlx::query(VACUUM_INTO).bind(name).execute(pool).await.map_err(LedgerError::from);
    let written = written.and_then(|_| Ok(sync(&file, &to).map_err(sqlx::Error::Io)?));
    if written.is_err() {
        let _ = std::fs::remove_file(with_suffix(&to, "-journal"));
        let _ = std::fs::remove_file(&to);
    }
    written
}

/// A copy beside the database as an open file without a name, for somebody else to write where he wants.
///
/// # Errors
/// When it cannot be written.
pub(super) async fn nameless_copy(pool: &SqlitePool, database: &Path) -> Result<File> {
    let path = with_suffix(database, &format!(".backup-{}", std::process::id()));
    // what a run that was killed left behind
    let _ = std::fs::remove_file(&path);
    copy(pool, &path).await?;
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let opened = OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(&path);
    let _ = std::fs::remove_file(&path);
    Ok(opened.map_err(sqlx::Error::Io)?)
}

/// Writes what `from` holds into a new file, which is for its owner alone. It is whole and on the disk, or it is not there.
///
/// # Errors
/// When the file exists already or cannot be written, or `from` is no regular file.
pub fn write_copy(from: &File, to: &Path) -> Result<()> {
    let mut file = create(to)?;
    let length = from.metadata().and_then(|about| match about.is_file() {
        true => Ok(about.len()),
        false => Err(io::ErrorKind::InvalidData.into()),
    });
    let written = length.and_then(|length| io::copy(&mut from.take(length), &mut file));
    let written = written.and_then(|_| sync(&file, to));
    if written.is_err() {
        let _ = std::fs::remove_file(to);
    }
    Ok(written.map_err(sqlx::Error::Io)?)
}

/// Made by us, so that it is closed to others from the beginning.
fn create(path: &Path) -> Result<File> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    file.map_err(|error| cannot_be_made(path, &error))
}

fn cannot_be_made(path: &Path, error: &io::Error) -> LedgerError {
    let path = path.display();
    if error.kind() == io::ErrorKind::AlreadyExists {
        return LedgerError::Copy(format!("{path} exists already; name a new file"));
    }
    sqlx::Error::Io(io::Error::new(error.kind(), format!("{path} cannot be made: {error}"))).into()
}

fn sync(file: &File, path: &Path) -> io::Result<()> {
    file.sync_all()?;
    // the name too; not every file system can do that
    let folder = path.parent().and_then(|folder| OpenOptions::new().read(true).open(folder).ok());
    let _ = folder.map(|folder| folder.sync_all());
    Ok(())
}
