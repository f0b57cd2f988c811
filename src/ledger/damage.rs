//! A damaged database: it is put aside whole, and a new one is made from the folders. Nobody knows then what
//! was sent already, so files from before are held until an operator says: send again, or take as sent.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;

use super::error::{LedgerError, Result};
use super::{Ledger, Tx, beside};
use crate::domain::clock::{Clock, rfc3339};

/// The notice that stands while files are held.
pub(super) const REBUILT: &str = "rebuilt";

/// What SQLite keeps beside the database, and must stay with it.
const COMPANIONS: [&str; 3] = ["", "-wal", "-shm"];

impl Ledger {
    /// As [`Ledger::open`], for the daemon: after a crash or a report of damage the file is looked through, and
    /// a damaged one is replaced. `Some`: where it was put. `ours`: a daemon has worked with it before; a file
    /// that only stands in the database's place is nobody's to move.
    ///
    /// # Errors
    /// As `open`; also when the damaged files cannot be moved.
    pub async fn open_or_rebuild(
        path: &Path,
        clock: Arc<dyn Clock>,
        ours: bool,
    ) -> Result<(Self, Option<PathBuf>)> {
        let left = std::fs::metadata(beside(path, "-wal")).is_ok_and(|wal| wal.len() > 0);
        let suspected = left || beside(path, ".suspect").exists();
        let opened = match Self::open(path, clock.clone()).await {
            Ok(ledger) if suspected => ledger.look_through().await.map(|()| ledger),
            opened => opened,
        };
        match opened {
            Err(error) if error.is_damage() && ours => {
                let aside = put_aside(path, clock.now())?;
                let ledger = Self::open(path, clock).await?;
                ledger.hold_what_is_older(&aside).await?;
                Ok((ledger, Some(aside)))
            }
            opened => {
                // a missing mark is as good as a removed one
                let _ = std::fs::remove_file(beside(path, ".suspect"));
                Ok((opened?, None))
            }
        }
    }

    /// Leaves word for the next start that the database must be looked through.
    pub fn suspect(path: &Path) {
        // without it the next start fails as this one did, and says so
        let _ = std::fs::write(beside(path, ".suspect"), "");
    }

    async fn look_through(&self) -> Result<()> {
        let verdict: String = sqlx::query_scalar("PRAGMA quick_check(1)").fetch_one(&self.writer).await?;
        if verdict == "ok" {
            return Ok(());
        }
        self.close().await;
        Err(LedgerError::Damaged(verdict))
    }

    async fn hold_what_is_older(&self, aside: &Path) -> Result<()> {
        let message = format!(
            "the database was damaged and is now {}; files from before are held: `brandpost retry --held` sends \
             them again, `brandpost adopt --all` takes them as sent",
            aside.display()
        );
        self.set_notice(REBUILT, &message).await
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

/// When the database was rebuilt, if files are held because of it.
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

/// Moves the database and its companions to one dated name, so that they stay one database.
fn put_aside(path: &Path, now: Timestamp) -> Result<PathBuf> {
    let date: String = rfc3339(now).chars().filter(char::is_ascii_alphanumeric).collect();
    let aside = beside(path, &format!(".damaged-{date}"));
    for end in COMPANIONS {
        match std::fs::rename(beside(path, end), beside(&aside, end)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                let reason = format!("it is damaged, and cannot be put aside: {error}");
                return Err(LedgerError::Open { path: path.into(), reason });
            }
            _ => {}
        }
    }
    Ok(aside)
}
