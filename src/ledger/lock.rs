//! One daemon a database. The lock's file also remembers whether a daemon has worked with it, so that a
//! database that is missing later is known to be lost, and not taken for one that was never made.

use std::fs::{File, Metadata, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::FlockOperation;

use super::engine::sqlite::check_place;
use super::error::{LedgerError, Result};
use super::with_suffix;

/// How often, and how far apart, the daemon asks for its lock.
const TRIES: u32 = 5;
const AGAIN: Duration = Duration::from_millis(100);

/// What the file says when a daemon has worked with the database.
const WORKED: &str = "a daemon has worked with the database beside this file\n";

/// Who can open the file can lock it, and keep the daemon from its start.
const MODE: u32 = 0o600;

/// What is known of daemons before this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PreviousRun {
    /// There was none.
    None,
    /// One began; it may not have got so far as to make the database.
    Begun,
    /// One worked with the database.
    Worked,
}

/// Held by the one daemon that works with a database.
#[derive(Debug)]
pub struct DaemonLock {
    file: File,
    path: PathBuf,
    past: PreviousRun,
}

impl DaemonLock {
    /// Makes sure that no other daemon works with the database at `path`. `check` may look at the lock in the
    /// same moment, so it is tried more than once.
    ///
    /// # Errors
    /// When one does, or the lock file cannot be made.
    pub async fn take(path: &Path) -> Result<Self> {
        check_place(path)?;
        let name = lock_file(path);
        let cannot = |error: std::io::Error| LedgerError::Open {
            place: path.display().to_string(),
            reason: format!("its lock file {} cannot be made: {error}", name.display()),
            passing: false,
        };
        let there = name.exists();
        let opened =
            File::options().create(true).truncate(false).read(true).write(true).mode(MODE).open(&name);
        let mut file = match opened {
            // to lock it, it need not be written: a disk that is read-only for a while is waited for later
            Err(_) if there => File::options().read(true).open(&name).map_err(cannot)?,
            opened => opened.map_err(cannot)?,
        };
        // of an earlier version, or of an operator's umask; somebody else's file cannot be closed to him
        let _ = file.set_permissions(Permissions::from_mode(MODE));
        for _ in 0..TRIES {
            if rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok() {
                let mut text = String::new();
                file.read_to_string(&mut text).map_err(cannot)?;
                let past = match (there, text.is_empty()) {
                    (false, _) => PreviousRun::None,
                    (true, true) => PreviousRun::Begun,
                    (true, false) => PreviousRun::Worked,
                };
                return Ok(Self { file, path: path.to_owned(), past });
            }
            tokio::time::sleep(AGAIN).await;
        }
        let process = file.metadata().and_then(|lock| holders(&lock)).unwrap_or_default().first().copied();
        Err(LedgerError::InUse { path: path.into(), process })
    }

    /// Which daemon this is among those of all hosts: a name that chance made when it began for the first time.
    ///
    /// # Errors
    /// When it cannot be kept beside the lock.
    pub fn identity(&self) -> Result<String> {
        let path = with_suffix(&self.path, ".daemon");
        let cannot = |error: io::Error| LedgerError::Open {
            place: self.path.display().to_string(),
            reason: format!("{} cannot be made: {error}", path.display()),
            passing: false,
        };
        match std::fs::read_to_string(&path) {
            Ok(name) if !name.trim().is_empty() => return Ok(name.trim().to_owned()),
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(cannot(error)),
            _ => {}
        }
        let name = uuid::Uuid::new_v4().to_string();
        std::fs::write(&path, &name).map_err(cannot)?;
        Ok(name)
    }

    /// What was before this daemon.
    pub fn past(&self) -> PreviousRun {
        self.past
    }

    /// When a daemon first worked with the database; the time now cannot be earlier.
    pub(super) fn first_worked_at(&self) -> Option<jiff::Timestamp> {
        self.file.metadata().and_then(|file| file.modified()).ok()?.try_into().ok()
    }

    /// Lets later daemons know that the database was worked with.
    pub(super) fn remember(&self) {
        if self.past != PreviousRun::Worked {
            // without it a lost database is later taken for one that was never made, as on the first day
            let _ = (&self.file).write_all(WORKED.as_bytes()).and_then(|()| self.file.sync_all());
        }
    }

    /// Does a daemon work with the database at `path`?
    pub fn is_held(path: &Path) -> bool {
        // a FIFO or device must not block the caller
        let name = lock_file(path);
        match File::options().read(true).custom_flags(libc::O_NONBLOCK).open(&name) {
            Ok(file) => rustix::fs::flock(&file, FlockOperation::NonBlockingLockShared).is_err(),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                is_locked_by_its_owner(&name).unwrap_or_default()
            }
            Err(_) => false,
        }
    }
}

/// For users who may not open the file: as the kernel's list of locks has it. It counts files by numbers that may come
/// twice, so the process must be the owner's.
fn is_locked_by_its_owner(name: &Path) -> io::Result<bool> {
    Ok(!holders(&std::fs::metadata(name)?)?.is_empty())
}

/// The processes of the file's owner that hold locks on it.
fn holders(file: &Metadata) -> io::Result<Vec<u32>> {
    let is_owners = |process: &u32| {
        std::fs::metadata(format!("/proc/{process}")).is_ok_and(|process| process.uid() == file.uid())
    };
    let locks = std::fs::read_to_string("/proc/locks")?;
    Ok(locks.lines().filter_map(|line| holder(line, file.ino())).filter(is_owners).collect())
}

/// The process that holds the lock of this line, if it is on this file.
fn holder(line: &str, inode: u64) -> Option<u32> {
    let mut columns = line.split_ascii_whitespace().skip(1);
    let (kind, process) = (columns.next()?, columns.nth(2)?);
    let file = columns.next()?.rsplit(':').next()?;
    (kind == "FLOCK" && file.parse() == Ok(inode)).then(|| process.parse().ok())?
}

fn lock_file(path: &Path) -> PathBuf {
    with_suffix(path, ".lock")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_kernel_knows_who_holds_the_lock() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.db");
        let lock = DaemonLock::take(&path).await.unwrap();
        let name = lock_file(&path);
        assert_eq!(std::fs::metadata(&name).unwrap().mode() & 0o777, MODE);
        assert!(is_locked_by_its_owner(&name).unwrap() && DaemonLock::is_held(&path));
        drop(lock);
        assert!(!is_locked_by_its_owner(&name).unwrap() && !DaemonLock::is_held(&path));
    }

    #[test]
    fn a_line_of_the_list_of_locks_is_read() {
        assert_eq!(holder("1: FLOCK  ADVISORY  WRITE 708 08:01:1234 0 EOF", 1234), Some(708));
        for other in [
            "1: FLOCK  ADVISORY  WRITE 708 08:01:1235 0 EOF",
            "1: POSIX  ADVISORY  WRITE 708 08:01:1234 0 EOF",
            "1: -> FLOCK  ADVISORY  WRITE 708 08:01:1234 0 EOF",
            "1: FLOCK",
            "",
        ] {
            assert_eq!(holder(other, 1234), None, "{other}");
        }
    }
}
