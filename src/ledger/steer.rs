//! What operators ask for: try again, free a slot, keep one free; and the notices that tell them why
//! nothing moves.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::atomic::Ordering;

use sqlx::Row;

use super::Ledger;
use super::Tx;
use super::brands::BrandRow;
use super::copy::copy;
use super::damage;
use super::error::{LedgerError, Result};
use super::slots::{self, Slots};
use crate::domain::clock::rfc3339;
use crate::domain::upload::State;

/// The notice that stands while the clouds take nothing.
pub const PAUSED: &str = "paused";

/// The notice that stands while a cloud asks to slow down and takes nothing.
pub const THROTTLED: &str = "throttled";

/// The notice that stands while an operator has paused the uploads.
pub const SUSPENDED: &str = "suspended";

/// Which files are meant.
#[derive(Debug, Clone)]
pub enum RetrySelection {
    /// These rows, whatever became of them.
    Ids(Vec<i64>),
    /// All of a brand that are not uploaded.
    Brand(BrandRow),
    /// All that are held since the database was rebuilt.
    Held,
    /// All that the cloud refused.
    Failed,
    /// All that we refused.
    Rejected,
}

impl Ledger {
    /// Queues files again, now. Refused ones are looked at again. Returns how many are on their way.
    ///
    /// # Errors
    /// When a file that was named is unknown, gone or being sent; then nothing changes.
    pub async fn retry(&self, which: &RetrySelection) -> Result<u64> {
        let now = self.now_text();
        let mut tx = self.begin().await?;
        let ids = select(&mut tx, which).await?;
        for id in &ids {
            retry_one(&mut tx, *id, &now).await?;
        }
        sqlx::query("UPDATE upload SET held = 0 WHERE held = 1 AND id IN (SELECT value FROM json_each(?1))")
            .bind(serde_json::to_string(&ids).unwrap_or_default())
            .execute(&mut *tx)
            .await?;
        damage::end_rebuild(&mut tx).await?;
        // counted before the commit wakes whoever asks
        self.nudges.fetch_add(1, Ordering::Relaxed);
        self.commit(tx).await?;
        Ok(ids.len() as u64)
    }

    /// Frees slots: an uploaded file keeps its row without a slot, a reservation ends.
    ///
    /// # Errors
    /// When a slot is free already, is none of the brand's, or its file is still to be sent.
    pub async fn release(&self, brand: BrandRow, slots: &[u32]) -> Result<()> {
        let now = self.now_text();
        let mut tx = self.begin().await?;
        for slot in slots {
            release_one(&mut tx, brand, *slot, &now).await?;
        }
        slots::promote(&mut tx, brand.id, &now).await?;
        self.commit(tx).await
    }

    /// Keeps slots free of our files. Reserving a reserved one changes nothing.
    ///
    /// # Errors
    /// When a slot belongs to a file or is none of the brand's.
    pub async fn reserve(&self, brand: BrandRow, slots: &[u32]) -> Result<()> {
        let now = self.now_text();
        let mut tx = self.begin().await?;
        for slot in slots {
            reserve_one(&mut tx, brand, *slot, &now).await?;
        }
        self.commit(tx).await
    }

    /// Sends nothing from now on, until `resume`, also after a restart; what is being sent ends. Files are
    /// taken in meanwhile.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn suspend(&self, why: &str) -> Result<()> {
        let reason = if why.is_empty() { String::new() } else { format!(": {why}") };
        let message =
            format!("uploads are paused by an operator{reason}; `brandpost resume` lets them go on");
        self.set_notice(SUSPENDED, &message).await
    }

    /// Lets uploads go on. False when they were not suspended.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn resume(&self) -> Result<bool> {
        let suspended = self.report().notices().await?.iter().any(|notice| notice.name == SUSPENDED);
        if suspended {
            self.clear_notice(SUSPENDED).await?;
        }
        Ok(suspended)
    }

    /// Says why the whole pipeline waits, until `clear_notice`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn set_notice(&self, name: &str, message: &str) -> Result<()> {
        self.write_notice(name, message, &self.now_text(), false).await
    }

    /// Says why publish waits, and until when at least.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn set_paused(&self, message: &str, next: jiff::Timestamp) -> Result<()> {
        let query = "INSERT INTO notice (name, message, since, next_at) VALUES (?1, ?2, ?3, ?4)
                     ON CONFLICT (name) DO UPDATE SET message = excluded.message, next_at = excluded.next_at";
        let mut tx = self.begin().await?;
        let (now, next) = (self.now_text(), rfc3339(next));
        sqlx::query(query).bind(PAUSED).bind(message).bind(now).bind(next).execute(&mut *tx).await?;
        self.commit(tx).await
    }

    /// `open`: what it concerns may still be found.
    pub(super) async fn write_notice(
        &self,
        name: &str,
        message: &str,
        since: &str,
        open: bool,
    ) -> Result<()> {
        let query = "INSERT INTO notice (name, message, since, open) VALUES (?1, ?2, ?3, ?4)
                     ON CONFLICT (name) DO UPDATE SET message = excluded.message";
        let mut tx = self.begin().await?;
        sqlx::query(query).bind(name).bind(message).bind(since).bind(open).execute(&mut *tx).await?;
        self.commit(tx).await
    }

    /// Takes a notice back.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn clear_notice(&self, name: &str) -> Result<()> {
        let mut tx = self.begin().await?;
        let gone = sqlx::query("DELETE FROM notice WHERE name = ?1").bind(name).execute(&mut *tx).await?;
        if gone.rows_affected() == 0 {
            return Ok(());
        }
        self.commit(tx).await
    }

    /// Writes a consistent copy of the database, also while a daemon works with it. No other user can read it.
    ///
    /// # Errors
    /// When the file exists already or cannot be written; then there is none.
    pub async fn backup(&self, to: &Path) -> Result<()> {
        copy(&self.writer, to).await
    }
}

async fn select(tx: &mut Tx, which: &RetrySelection) -> Result<Vec<i64>> {
    let query = match which {
        RetrySelection::Ids(ids) => return Ok(ids.clone()),
        RetrySelection::Brand(brand) => sqlx::query_scalar(
            "SELECT id FROM upload WHERE brand_id = ?1 AND (held = 1 OR state IN ('failed', 'rejected', 'retrying')) ORDER BY id",
        )
        .bind(brand.id),
        RetrySelection::Held => sqlx::query_scalar("SELECT id FROM upload WHERE held = 1 AND state = 'queued' ORDER BY id"),
        RetrySelection::Failed => sqlx::query_scalar("SELECT id FROM upload WHERE state = 'failed' ORDER BY id"),
        RetrySelection::Rejected => sqlx::query_scalar("SELECT id FROM upload WHERE state = 'rejected' ORDER BY id"),
    };
    Ok(query.fetch_all(&mut **tx).await?)
}

async fn retry_one(tx: &mut Tx, id: i64, now: &str) -> Result<()> {
    let row = sqlx::query("SELECT brand_id, path_bytes, state, slot, wanted_slot FROM upload WHERE id = ?1")
        .bind(id)
        .fetch_optional(&mut **tx)
        .await?;
    let row = row.ok_or_else(|| {
        LedgerError::Refused(format!("there is no upload {id}; `brandpost status` lists them"))
    })?;
    let state: State = row.try_get::<&str, _>("state")?.parse().map_err(LedgerError::Corrupt)?;
    let path: &[u8] = row.try_get("path_bytes")?;
    let there = Path::new(OsStr::from_bytes(path)).exists();
    match state {
        State::Uploaded if !there => Err(LedgerError::Refused(format!(
            "the local file of upload {id} is not there any more; it is on OSS"
        ))),
        State::Gone => Err(LedgerError::Refused(format!("the file of upload {id} is gone; drop it again"))),
        State::Uploading => Err(LedgerError::Refused(format!("upload {id} is being sent right now"))),
        State::Rejected => look_again(tx, id).await,
        State::Queued | State::Retrying | State::Failed | State::Uploaded => {
            let brand = row.try_get("brand_id")?;
            let slot = match row.try_get::<Option<u32>, _>("slot")? {
                Some(slot) => Some(slot),
                None => free_slot(tx, brand, row.try_get("wanted_slot")?).await?,
            };
            match slot {
                Some(slot) => slots::queue(tx, brand, id, slot, now).await,
                None => wait_for_slot(tx, id, now).await,
            }
        }
    }
}

async fn free_slot(tx: &mut Tx, brand: i64, wanted: Option<u32>) -> Result<Option<u32>> {
    let slots = Slots::of(tx, brand).await?;
    Ok(match wanted {
        Some(wanted) => slots.is_free(wanted).then_some(wanted),
        None => slots.lowest_free(),
    })
}

async fn look_again(tx: &mut Tx, id: i64) -> Result<()> {
    sqlx::query("UPDATE upload SET asked = asked + 1 WHERE id = ?1").bind(id).execute(&mut **tx).await?;
    Ok(())
}

async fn wait_for_slot(tx: &mut Tx, id: i64, now: &str) -> Result<()> {
    sqlx::query(
        "UPDATE upload SET state = 'rejected', next_attempt_at = NULL, updated_at = ?2,
                error_kind = iif(wanted_slot IS NULL, 'limit_reached', 'slot_taken'), error_code = NULL,
                error_message = 'its slot went to another file; this one waits for a free one'
         WHERE id = ?1 AND state IN ('failed', 'uploaded')",
    )
    .bind(id)
    .bind(now)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

async fn release_one(tx: &mut Tx, brand: BrandRow, slot: u32, now: &str) -> Result<()> {
    let reserved = sqlx::query("DELETE FROM reserved_slot WHERE brand_id = ?1 AND slot = ?2")
        .bind(brand.id)
        .bind(slot)
        .execute(&mut **tx)
        .await?;
    if reserved.rows_affected() > 0 {
        return Ok(());
    }
    let owner = owner(tx, brand.id, slot).await?;
    let Some((id, name, state)) = owner else {
        return Err(LedgerError::Refused(format!("slot {slot} of {} is free already", brand.brand)));
    };
    if state.is_pending() {
        let message = format!(
            "slot {slot} of {} belongs to {name}, which is {state}; delete the file to stop it",
            brand.brand
        );
        return Err(LedgerError::Refused(message));
    }
    sqlx::query(
        "UPDATE upload SET slot = NULL, sent = 0, object_sha256 = NULL, updated_at = ?2 WHERE id = ?1",
    )
    .bind(id)
    .bind(now)
    .execute(&mut **tx)
    .await?;
    // its copies are copies of nothing that will last
    slots::recheck_duplicates_of(tx, id).await
}

async fn owner(tx: &mut Tx, brand: i64, slot: u32) -> Result<Option<(i64, String, State)>> {
    let row = sqlx::query("SELECT id, file_name, state FROM upload WHERE brand_id = ?1 AND slot = ?2")
        .bind(brand)
        .bind(slot)
        .fetch_optional(&mut **tx)
        .await?;
    let Some(row) = row else { return Ok(None) };
    let state = row.try_get::<&str, _>("state")?.parse().map_err(LedgerError::Corrupt)?;
    Ok(Some((row.try_get("id")?, row.try_get("file_name")?, state)))
}

async fn reserve_one(tx: &mut Tx, brand: BrandRow, slot: u32, now: &str) -> Result<()> {
    let total = Slots::of(tx, brand.id).await?.total();
    if !(1..=total).contains(&slot) {
        return Err(LedgerError::Refused(format!("{} has slots 1 to {total}, not {slot}", brand.brand)));
    }
    if let Some((_, name, state)) = owner(tx, brand.id, slot).await? {
        let message = format!("slot {slot} of {} belongs to {name} ({state}); release it first", brand.brand);
        return Err(LedgerError::Refused(message));
    }
    sqlx::query(
        "INSERT INTO reserved_slot (brand_id, slot, reserved_at) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
    )
    .bind(brand.id)
    .bind(slot)
    .bind(now)
    .execute(&mut **tx)
    .await?;
    Ok(())
}
