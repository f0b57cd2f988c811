//! A database that is damaged is put aside whole, and one that is lost or damaged is made anew from the
//! folders. Nobody knows then what was sent already, so files from before are held until an operator says:
//! send again, or take as sent.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;

use super::error::{LedgerError, Result};
use super::{DaemonLock, Ledger, Past, Tx, beside};
use crate::domain::clock::{Clock, rfc3339};
use crate::files;

/// The notice that stands while files are held.
pub(super) const REBUILT: &str = "rebuilt";

/// What SQLite keeps beside the database, and must stay with it.
const COMPANIONS: [&str; 3] = ["", "-wal", "-shm"];

/// A ledger to work with.
#[derive(Debug)]
pub struct Started {
    /// It.
    pub ledger: Ledger,
    /// So many files were being sent when the last daemon ended; they are queued again.
    pub reclaimed: u64,
    /// The database had to be made anew: why, and what to do.
    pub rebuilt: Option<String>,
}

impl Ledger {
    /// As [`Ledger::open`], for the daemon that begins: after a crash or a report of damage the file is looked
    /// through; a damaged one, and one that is lost, is made anew; what the last daemon left half-done is
    /// queued again. Called again after an error, it goes on where it was.
    ///
    /// # Errors
    /// As `open`; also when damaged files cannot be moved.
    pub async fn start(path: &Path, clock: Arc<dyn Clock>, lock: &DaemonLock) -> Result<Started> {
        let last_word = last_word(path);
        let (ledger, rebuilt) = match Self::open_sound(path, clock.clone(), lock.past()).await {
            Err(error) if error.is_loss() && lock.past() != Past::None => {
                let cutoff = last_word.filter(|_| error.is_damage()).unwrap_or_else(|| clock.now());
                let message = rebuild(path, clock.clone(), &error, cutoff).await?;
                (Self::open(path, clock).await?, Some(message))
            }
            opened => (opened?, None),
        };
        match ledger.reclaim(true).await {
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

    /// As `open`; a database that a daemon worked with must be there, and after a crash it must be sound.
    async fn open_sound(path: &Path, clock: Arc<dyn Clock>, past: Past) -> Result<Self> {
        let size = |end| std::fs::metadata(beside(path, end)).map_or(0, |file| file.len());
        if past == Past::Worked && size("") == 0 {
            return Err(LedgerError::Missing(path.into()));
        }
        let suspect = beside(path, ".suspect");
        let suspected = size("-wal") > 0 || suspect.exists();
        let ledger = Self::open(path, clock).await?;
        if suspected {
            ledger.look_through().await?;
            // a missing mark is as good as a removed one
            let _ = std::fs::remove_file(suspect);
        }
        Ok(ledger)
    }

    async fn look_through(&self) -> Result<()> {
        let verdict: String = sqlx::query_scalar("PRAGMA quick_check(1)").fetch_one(&self.writer).await?;
        if verdict == "ok" {
            return Ok(());
        }
        self.close().await;
        Err(LedgerError::Damaged(verdict))
    }

    /// Leaves word for the next start that the database must be looked through.
    pub fn suspect(path: &Path) {
        // without it the next start fails as this one did, and says so
        let _ = std::fs::write(beside(path, ".suspect"), "");
    }

    /// Is the file that is worked with still the one at its path? Nothing that is written to a deleted file
    /// lasts, but all that was written can still be read: it is put back.
    pub(super) async fn stands_firm(&self) -> Result<()> {
        let (path, identity) = &*self.file;
        let lost = |what| Err(LedgerError::Lost { path: path.clone(), what });
        match files::identity(path) {
            Ok(now) if now == *identity => Ok(()),
            Ok(_) => lost("was replaced"),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let fresh = fresh(path)?;
                let copy = sqlx::query("VACUUM INTO ?1").bind(fresh.to_string_lossy().into_owned());
                copy.execute(&self.writer).await?;
                std::fs::rename(&fresh, path).map_err(sqlx::Error::Io)?;
                lost("was deleted, and written back,")
            }
            // as long as it cannot be looked at, nothing is known
            Err(_) => Ok(()),
        }
    }

    /// Takes held files as sent: nothing is transferred. Returns how many.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn adopt(&self, brand: Option<i64>) -> Result<u64> {
        let mut tx = self.begin().await?;
        let result = sqlx::query(
            "UPDATE upload SET state = 'uploaded', held = 0, sent = 1, uploaded_at = ?1, updated_at = ?1,
                    next_attempt_at = NULL, error_message = NULL
             WHERE held = 1 AND state = 'queued' AND (?2 IS NULL OR brand_id = ?2)",
        )
        .bind(self.now_text())
        .bind(brand)
        .execute(&mut *tx)
        .await?;
        end_rebuild(&mut tx).await?;
        self.commit(tx).await?;
        Ok(result.rows_affected())
    }
}

/// From before when files are held, if the database was made anew.
pub(super) async fn rebuilt_at(tx: &mut Tx) -> Result<Option<Timestamp>> {
    let since: Option<String> = sqlx::query_scalar("SELECT since FROM notice WHERE name = ?1")
        .bind(REBUILT)
        .fetch_optional(&mut **tx)
        .await?;
    Ok(since.and_then(|since| since.parse().ok()))
}

/// The notice goes when no file is held any more.
pub(super) async fn end_rebuild(tx: &mut Tx) -> Result<()> {
    sqlx::query(
        "DELETE FROM notice WHERE name = ?1 AND NOT EXISTS (SELECT 1 FROM upload WHERE held = 1 AND state = 'queued')",
    )
    .bind(REBUILT)
    .execute(&mut **tx)
    .await?;
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
    let aside = put_aside(path, clock.now())?;
    let what = match loss {
        LedgerError::Missing(_) => "the database was missing".to_owned(),
        _ => format!("the database was damaged and is now {}", aside.display()),
    };
    let cutoff = rfc3339(cutoff);
    let message = format!(
        "{what}; it was made anew from the folders. Files from before {cutoff} are held: `brandpost retry --held` \
         sends them again, `brandpost adopt --all` takes them as sent"
    );
    let fresh = fresh(path)?;
    let ledger = Ledger::open(&fresh, clock).await?;
    ledger.set_notice_since(REBUILT, &message, &cutoff).await?;
    ledger.close().await;
    std::fs::rename(&fresh, path).map_err(sqlx::Error::Io)?;
    let _ = std::fs::remove_file(beside(path, ".suspect"));
    Ok(message)
}

/// When the database was last written. What is newer, no daemon has sent.
fn last_word(path: &Path) -> Option<Timestamp> {
    let written =
        ["", "-wal"].map(|end| std::fs::metadata(beside(path, end)).and_then(|file| file.modified()));
    written.into_iter().flatten().max()?.try_into().ok()
}

/// The name of a database that is being made, with nothing under it.
fn fresh(path: &Path) -> Result<PathBuf> {
    let fresh = beside(path, ".new");
    for end in COMPANIONS {
        match std::fs::remove_file(beside(&fresh, end)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(sqlx::Error::Io(error).into());
            }
            _ => {}
        }
    }
    Ok(fresh)
}

/// Moves the database and its companions to one dated name, so that they stay one database.
fn put_aside(path: &Path, now: Timestamp) -> Result<PathBuf> {
    let date: String = rfc3339(now).chars().filter(char::is_ascii_alphanumeric).collect();
    let aside = beside(path, &format!(".damaged-{date}"));
    for end in COMPANIONS {
        match std::fs::rename(beside(path, end), beside(&aside, end)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                let reason = format!("it is damaged, and cannot be put aside: {error}");
                return Err(LedgerError::Open { path: path.into(), reason, passing: false });
            }
            _ => {}
        }
    }
    Ok(aside)
}
