//! A database that is damaged is put aside whole, and one that is lost or damaged is rebuilt from the folders.
//! Nobody knows then what was sent already, so files from before are held until an operator decides: send again, or
//! take as sent.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use rustix::fs::CWD;

use super::copy::VACUUM_INTO;
use super::engine::{Tx, sql};
use super::error::{LedgerError, Result};
use super::inbox::Host;
use super::report::QUICK_CHECK;
use super::{DaemonLock, Ledger, Location, Place, PreviousRun, with_suffix};
use crate::domain::brand::InboxId;
use crate::domain::clock::{Clock, rfc3339};
use crate::domain::event;
use crate::domain::notice::NoticeName;
use crate::files;

pub(super) const END_REBUILD: &str = "
    DELETE FROM notice WHERE inbox_id = $1 AND name = $2 AND open = 0
       AND NOT EXISTS (SELECT 1 FROM upload WHERE held = 1)";

const IS_REBUILT: &str = "SELECT count(*) FROM notice WHERE inbox_id = $1 AND name = $2";
pub(super) const INTEGRITY_CHECK: &str = "PRAGMA integrity_check(1)";
const REINDEX: &str = "REINDEX";
const ALL_FOUND: &str = "UPDATE notice SET open = 0 WHERE inbox_id = $1";

/// What SQLite keeps beside the database, and must stay with it.
const COMPANIONS: [&str; 3] = ["", "-wal", "-shm"];

/// A ledger to work with.
#[derive(Debug)]
pub struct Started {
    /// Open; this daemon keeps its inbox.
    pub ledger: Ledger,
    /// So many files were being sent when the last daemon ended; they are queued again.
    pub reclaimed: u64,
    /// The database had to be rebuilt: why, and what to do.
    pub rebuilt: Option<String>,
}

impl Ledger {
    /// As [`Ledger::open`], for the daemon that begins, and becomes the keeper of its inbox. After a crash or a report of
    /// damage an SQLite file is looked through; a damaged one, and one that is lost, is rebuilt; what the last daemon left
    /// half-done is queued again. Called again after an error, it goes on where it was.
    ///
    /// # Errors
    /// As `open`; also when damaged files cannot be moved, and when another daemon keeps the inbox.
    pub async fn start(
        location: &Location,
        clock: Arc<dyn Clock>,
        lock: &DaemonLock,
        host: &Host,
    ) -> Result<Started> {
        let (ledger, rebuilt) = match location {
            Location::File(path) => Self::open_file(path, clock, lock).await?,
            Location::Server(_) => (Self::open(location, clock).await?, None),
        };
        match ledger.take_over(host).await {
            Ok(reclaimed) => {
                lock.remember();
                Ok(Started { ledger, reclaimed, rebuilt })
            }
            Err(error) => {
                ledger.close().await;
                Err(error)
            }
        }
    }

    /// The database in a file, rebuilt if it must be.
    async fn open_file(
        path: &Path,
        clock: Arc<dyn Clock>,
        lock: &DaemonLock,
    ) -> Result<(Self, Option<String>)> {
        let last_word = last_word(path);
        match Self::open_sound(path, clock.clone(), lock.past()).await {
            Err(error) if error.is_loss() && lock.past() != PreviousRun::None => {
                // a clock that was reset by a power loss must not make all files look new
                let now = clock.now().max(lock.first_worked_at().unwrap_or(Timestamp::MIN));
                let cutoff = last_word.filter(|_| error.is_damage()).unwrap_or(now);
                let message = rebuild(path, clock.clone(), &error, cutoff).await?;
                Ok((Self::open(path, clock).await?, Some(message)))
            }
            opened => Ok((opened?, None)),
        }
    }

    /// The inbox is kept by this daemon, and what the last one left half-done is queued again. What cannot be written yet
    /// is an error, also if there is nothing of that.
    async fn take_over(&self, host: &Host) -> Result<u64> {
        self.take_inbox(host).await?;
        self.reclaim(true).await
    }

    /// As `open`; a database that a daemon worked with must be there, and after a crash it must be sound.
    async fn open_sound(path: &Path, clock: Arc<dyn Clock>, past: PreviousRun) -> Result<Self> {
        let size = |end| std::fs::metadata(with_suffix(path, end)).map_or(0, |file| file.len());
        if past == PreviousRun::Worked && size("") == 0 {
            return Err(LedgerError::Missing(path.into()));
        }
        let suspect = with_suffix(path, ".suspect");
        let after_a_crash = size("-wal") > 0;
        let ledger = Self::open(path, clock).await?;
        let sound = match suspect.exists() {
            true => ledger.check_and_repair().await,
            false if after_a_crash => ledger.integrity_check(QUICK_CHECK).await,
            false => Ok(()),
        };
        if let Err(error) = sound {
            ledger.close().await;
            return Err(error);
        }
        // a missing mark is as good as a removed one
        let _ = std::fs::remove_file(suspect);
        Ok(ledger)
    }

    async fn integrity_check(&self, how: &'static str) -> Result<()> {
        let verdict: String = sql(how).scalar(&self.session.pool).await?;
        if verdict == "ok" { Ok(()) } else { Err(LedgerError::Damaged(verdict)) }
    }

    /// SQLite has met damage, which may be in an index alone: those are rebuilt from their tables.
    async fn check_and_repair(&self) -> Result<()> {
        let Err(damage) = self.integrity_check(INTEGRITY_CHECK).await else { return Ok(()) };
        if !damage.is_damage() {
            return Err(damage);
        }
        match sql(REINDEX).execute(&self.session.pool).await.map_err(LedgerError::from) {
            Err(error) if error.is_transient() => return Err(error),
            // what the index should have kept out is in the table
            Err(error) => return Err(LedgerError::Damaged(format!("{damage}; {error}"))),
            Ok(_) => {}
        }
        self.integrity_check(INTEGRITY_CHECK).await?;
        tracing::warn!(
            message_id = event::DATABASE_REBUILT,
            "an index of the database was damaged and has been rebuilt ({damage}); nothing is lost, but check the disk"
        );
        Ok(())
    }

    /// Leaves word for the next start that the database must be looked through.
    pub fn request_integrity_check(path: &Path) {
        // without it the next start fails as this one did, and says so
        let _ = std::fs::write(with_suffix(path, ".suspect"), "");
    }

    /// Is the file that is worked with still the one at its path? Nothing that is written to a deleted file
    /// lasts, but all that was written can still be read: it is put back.
    pub(super) async fn restore_if_deleted(&self) -> Result<()> {
        let Place::File(path, identity) = &*self.place else { return Ok(()) };
        let lost = |what| Err(LedgerError::Lost { path: path.clone(), what });
        match files::identity(path) {
            Ok(now) if now == *identity => Ok(()),
            Ok(_) => {
                self.leave_no_wal(path)?;
                lost("was replaced")
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let fresh = fresh(path)?;
                let copy = sql(VACUUM_INTO).bind(fresh.to_string_lossy().into_owned());
                copy.execute(&self.session.pool).await?;
                self.leave_no_wal(path)?;
                // another one that was put there meanwhile is wanted there
                files::rename_new(CWD, &fresh, CWD, path)
                    .map_err(io::Error::from)
                    .map_err(sqlx::Error::Io)?;
                lost("was deleted, and written back,")
            }
            // as long as it cannot be looked at, nothing is known
            Err(_) => Ok(()),
        }
    }

    /// The WAL of a file that is gone would be taken for a part of the one in its place.
    fn leave_no_wal(&self, path: &Path) -> Result<()> {
        for end in ["-wal", "-shm"] {
            let aside = with_suffix(path, &format!(".replaced-{}{end}", date(self.now())));
            match std::fs::rename(with_suffix(path, end), aside) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(sqlx::Error::Io(error).into());
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// All files that there are have their rows: what must be held since the database was rebuilt is held now.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn all_found(&self) -> Result<()> {
        let inbox = self.session.keeper.inbox().id;
        let query = sql(IS_REBUILT).bind(inbox.0).bind(NoticeName::Rebuilt.as_str());
        let rebuilt: i64 = query.scalar(self.report().pool()).await?;
        if rebuilt == 0 {
            return Ok(());
        }
        let mut tx = self.begin().await?;
        sql(ALL_FOUND).bind(inbox.0).execute(&mut tx).await?;
        end_rebuild(&mut tx, inbox).await?;
        self.commit(tx).await
    }
}

/// The notice goes when no file is held any more.
pub(super) async fn end_rebuild(tx: &mut Tx, inbox: InboxId) -> Result<()> {
    sql(END_REBUILD).bind(inbox.0).bind(NoticeName::Rebuilt.as_str()).execute(tx).await?;
    Ok(())
}

/// Puts a damaged database aside and a new one in its place, which knows that files from before are held. A
/// crash in the middle leaves a database that is missing, which the next start finds.
async fn rebuild(
    path: &Path,
    clock: Arc<dyn Clock>,
    loss: &LedgerError,
    cutoff: Timestamp,
) -> Result<String> {
    let aside = put_aside(path, clock.now(), matches!(loss, LedgerError::Missing(_)))?;
    let what = match loss {
        LedgerError::Missing(_) => "the database was missing".to_owned(),
        _ => format!("the database was damaged and is now {}", aside.display()),
    };
    let cutoff = rfc3339(cutoff);
    let message = format!(
        "{what}; it was rebuilt from the folders, without its reservations: `brandpost reserve` them again. \
         Files from before {cutoff} are held: `brandpost retry --held` sends them again, `brandpost adopt --all` takes them as sent"
    );
    let fresh = fresh(path)?;
    let ledger = Ledger::open(&fresh, clock).await?;
    ledger.write_notice(NoticeName::Rebuilt, &message, &cutoff, true).await?;
    ledger.close().await;
    if with_suffix(&fresh, "-wal").exists() {
        // it could not be folded in (a full disk): without it the new database does not know that files are held
        return Err(sqlx::Error::Io(io::Error::other("the new database cannot be written out")).into());
    }
    std::fs::rename(&fresh, path).map_err(sqlx::Error::Io)?;
    let _ = std::fs::remove_file(with_suffix(path, ".suspect"));
    Ok(message)
}

/// When the database was last written. What is newer, no daemon has sent.
fn last_word(path: &Path) -> Option<Timestamp> {
    let written =
        ["", "-wal"].map(|end| std::fs::metadata(with_suffix(path, end)).and_then(|file| file.modified()));
    written.into_iter().flatten().max()?.try_into().ok()
}

/// The name of a database that is being made, with nothing under it.
fn fresh(path: &Path) -> Result<PathBuf> {
    let fresh = with_suffix(path, ".new");
    for end in COMPANIONS {
        match std::fs::remove_file(with_suffix(&fresh, end)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(sqlx::Error::Io(error).into());
            }
            _ => {}
        }
    }
    Ok(fresh)
}

pub(super) fn date(now: Timestamp) -> String {
    rfc3339(now).chars().filter(char::is_ascii_alphanumeric).collect()
}

/// The last one that was put aside, if that was broken off before its companions followed.
fn half_aside(path: &Path) -> Option<PathBuf> {
    let start = with_suffix(path, ".damaged-");
    let start = start.file_name()?.to_str()?;
    let names = std::fs::read_dir(path.parent()?)
        .ok()?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let last = names
        .filter(|name| name.starts_with(start) && !name.ends_with("-wal") && !name.ends_with("-shm"))
        .max()?;
    let last = path.with_file_name(last);
    let alone = |end| !with_suffix(&last, end).exists();
    let alone = alone("-wal") && alone("-shm");
    alone.then_some(last)
}

/// Moves the database and its companions to one dated name, so that they stay one database.
fn put_aside(path: &Path, now: Timestamp, missing: bool) -> Result<PathBuf> {
    let again = if missing { half_aside(path) } else { None };
    let aside = again.unwrap_or_else(|| with_suffix(path, &format!(".damaged-{}", date(now))));
    for end in COMPANIONS.into_iter().filter(|end| !(missing && end.is_empty())) {
        match std::fs::rename(with_suffix(path, end), with_suffix(&aside, end)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                let reason = format!("it is damaged, and cannot be put aside: {error}");
                return Err(LedgerError::Open { place: path.display().to_string(), reason, passing: false });
            }
            _ => {}
        }
    }
    Ok(aside)
}
