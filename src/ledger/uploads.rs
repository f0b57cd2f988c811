//! Files in the ledger: what is known of them, and what becomes of those that move or go.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fmt::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::Ledger;
use super::Tx;
use super::brands::BrandRow;
use super::damage;
use super::error::{LedgerError, Result};
use super::slots::{self};
use crate::domain::upload::{Stamp, State};
use crate::files::FileMeta;

/// What the table knows of a file, for the comparison with the folder.
#[derive(Debug, Clone)]
pub struct UploadSnapshot {
    /// The row.
    pub id: i64,
    /// The whole path.
    pub path: PathBuf,
    /// Its state.
    pub state: State,
    /// The file when it was last looked at.
    pub stamp: Stamp,
    /// When anything about it had changed last, nanoseconds since 1970.
    pub ctime_ns: Option<i64>,
    /// The number of the last request to look again, if it is not answered yet.
    pub asked: Option<i64>,
    /// It could not be read, which a `chmod` may have changed.
    pub unreadable: bool,
}

impl UploadSnapshot {
    /// May anything still become of it?
    pub fn is_open(&self) -> bool {
        match self.state {
            State::Queued | State::Retrying | State::Failed | State::Rejected => true,
            State::Uploaded => self.asked.is_some(),
            State::Uploading | State::Gone => false,
        }
    }

    /// Is the file still the one that the row tells of? Of an uploaded one, size, time and inode say so, as long as
    /// nobody asks; of another one, its ctime must be the same too.
    pub fn is_unchanged(&self, look: &FileMeta) -> bool {
        let settled = self.state == State::Uploaded && self.asked.is_none();
        let same_ctime = self.ctime_ns.is_none_or(|ctime| ctime == look.ctime_ns);
        let same = self.stamp == look.stamp && (settled || same_ctime);
        same && !self.unreadable && self.state != State::Gone
    }
}

impl Ledger {
    /// The object of the newest file that has one.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn last_object_url(&self) -> Result<Option<String>> {
        let mut connection = self.report().connection().await?;
        let query = sqlx::query_scalar(
            "SELECT object_url FROM upload WHERE object_url IS NOT NULL ORDER BY id DESC LIMIT 1",
        );
        Ok(query.fetch_optional(&mut *connection).await?)
    }

    /// All rows of a brand.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn known(&self, brand: BrandRow) -> Result<Vec<UploadSnapshot>> {
        let mut connection = self.report().connection().await?;
        let rows = sqlx::query(
            "SELECT id, path_bytes, state, size_bytes, mtime_ns, inode, ctime_ns, iif(asked > answered, asked, NULL) AS asked,
                    state = 'rejected' AND error_kind = 'unreadable' AS unreadable
             FROM upload WHERE brand_id = ?1",
        )
        .bind(brand.id)
        .fetch_all(&mut *connection)
        .await?;
        rows.iter().map(known).collect()
    }

    /// The files that intake is asked to look at again, and that nobody works on, with the rows of their brands.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn marked(&self) -> Result<Vec<(i64, PathBuf)>> {
        let mut connection = self.report().connection().await?;
        let rows = sqlx::query(
            "SELECT brand_id, path_bytes FROM upload WHERE asked > answered AND state <> 'uploading'",
        )
        .fetch_all(&mut *connection)
        .await?;
        rows.iter().map(|row| Ok((row.try_get("brand_id")?, path(row)?))).collect()
    }

    /// A file that was renamed: same inode, size and time under another name, which changed its ctime. False when its row has ended
    /// meanwhile, so that the file is a new one.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn moved(&self, id: i64, path: &Path, ctime_ns: i64) -> Result<bool> {
        let now = self.now_text();
        let mut tx = self.begin().await?;
        let moved = set_path(&mut tx, id, path, &now).await?;
        sqlx::query("UPDATE upload SET ctime_ns = ?2 WHERE id = ?1")
            .bind(id)
            .bind(ctime_ns)
            .execute(&mut *tx)
            .await?;
        self.commit(tx).await?;
        Ok(moved)
    }

    /// Files that are no longer there. Those of which nothing can be on OSS give their slot back.
    /// Uploaded files stay what they are. Returns how many became `gone`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn gone(&self, brand: BrandRow, ids: &[i64]) -> Result<u64> {
        let now = self.now_text();
        let mut tx = self.begin().await?;
        let mut count = 0;
        for id in ids {
            let result = sqlx::query(
                "UPDATE upload SET state = 'gone', next_attempt_at = NULL, answered = asked, updated_at = ?2,
                        error_kind = NULL, error_code = NULL, error_message = NULL, duplicate_of = NULL,
                        slot = iif(sent = 0, NULL, slot)
                 WHERE id = ?1 AND state IN ('queued', 'retrying', 'failed', 'rejected')",
            )
            .bind(id)
            .bind(&now)
            .execute(&mut *tx)
            .await?;
            count += result.rows_affected();
            slots::recheck_duplicates_of(&mut tx, *id).await?;
        }
        slots::promote(&mut tx, brand.id, &now).await?;
        damage::end_rebuild(&mut tx).await?;
        self.commit(tx).await?;
        Ok(count)
    }

    /// Intake is to look at the file again, once nobody works on it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn mark(&self, id: i64) -> Result<()> {
        let mut tx = self.begin().await?;
        sqlx::query("UPDATE upload SET asked = asked + 1 WHERE id = ?1").bind(id).execute(&mut *tx).await?;
        self.commit(tx).await
    }

    /// Intake has looked at these files as they were asked for by then. What was asked for since stays open.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn looked(&self, answers: &[(i64, i64)]) -> Result<()> {
        let mut tx = self.begin().await?;
        for (id, asked) in answers {
            sqlx::query("UPDATE upload SET answered = max(answered, ?2) WHERE id = ?1 AND asked >= ?2")
                .bind(id)
                .bind(asked)
                .execute(&mut *tx)
                .await?;
        }
        self.commit(tx).await
    }

    /// Brands with files whose fate is open.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn open_brands(&self) -> Result<Vec<BrandRow>> {
        let mut connection = self.report().connection().await?;
        let ids: Vec<i64> = sqlx::query_scalar(
            "SELECT id FROM brand b
             WHERE EXISTS (SELECT 1 FROM upload u WHERE u.brand_id = b.id AND u.state IN ('queued', 'retrying', 'failed', 'rejected'))
                OR EXISTS (SELECT 1 FROM upload u WHERE u.brand_id = b.id AND u.asked > u.answered)",
        )
        .fetch_all(&mut *connection)
        .await?;
        let ids: HashSet<i64> = ids.into_iter().collect();
        let brands = self.report().brand_rows().await?.into_values().map(|(brand, _)| brand);
        Ok(brands.filter(|brand| ids.contains(&brand.id)).collect())
    }

    /// Is the fate of any file in this folder, or in one below it, open?
    ///
    /// # Errors
    /// When the database fails.
    pub async fn has_open_files_below(&self, folder: &Path) -> Result<bool> {
        let mut connection = self.report().connection().await?;
        let prefix = folder.join("");
        let found = sqlx::query_scalar::<_, i64>(
            "SELECT EXISTS (SELECT 1 FROM upload WHERE state IN ('queued', 'retrying', 'failed', 'rejected')
                            AND substr(path_bytes, 1, length(?1)) = ?1)",
        )
        .bind(prefix.as_os_str().as_bytes())
        .fetch_one(&mut *connection)
        .await?;
        Ok(found != 0)
    }
}

pub(super) async fn set_path(tx: &mut Tx, id: i64, path: &Path, now: &str) -> Result<bool> {
    let result = sqlx::query(
        "UPDATE upload SET path_bytes = ?2, path = ?3, file_name = ?4, updated_at = ?5,
                next_attempt_at = iif(state = 'retrying' AND error_kind = 'file_changed', ?5, next_attempt_at)
         WHERE id = ?1 AND state <> 'gone'",
    )
    .bind(id)
    .bind(path.as_os_str().as_bytes())
    .bind(readable(path.as_os_str()))
    .bind(readable(path.file_name().unwrap_or_default()))
    .bind(now)
    .execute(&mut **tx)
    .await?;
    Ok(result.rows_affected() == 1)
}

/// A name as text; bytes that are no UTF-8 are written `\xff`, so that two names stay two (the bytes themselves
/// are kept beside it).
pub(super) fn readable(name: &OsStr) -> String {
    let mut text = String::new();
    for chunk in name.as_bytes().utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            // a String takes everything
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
    text
}

pub(super) fn known(row: &SqliteRow) -> Result<UploadSnapshot> {
    Ok(UploadSnapshot {
        id: row.try_get("id")?,
        path: path(row)?,
        state: state(row)?,
        stamp: stamp(row)?,
        ctime_ns: row.try_get("ctime_ns")?,
        asked: row.try_get("asked")?,
        unreadable: row.try_get("unreadable")?,
    })
}

pub(super) fn path(row: &SqliteRow) -> Result<PathBuf> {
    let bytes: &[u8] = row.try_get("path_bytes")?;
    Ok(PathBuf::from(OsStr::from_bytes(bytes)))
}

pub(super) fn state(row: &SqliteRow) -> Result<State> {
    let text: &str = row.try_get("state")?;
    text.parse().map_err(LedgerError::Corrupt)
}

pub(super) fn stamp(row: &SqliteRow) -> Result<Stamp> {
    Ok(Stamp {
        size: row.try_get::<i64, _>("size_bytes")?.cast_unsigned(),
        mtime_ns: row.try_get("mtime_ns")?,
        inode: row.try_get::<i64, _>("inode")?.cast_unsigned(),
    })
}
