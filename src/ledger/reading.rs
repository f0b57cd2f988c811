//! Files that it takes long to read: for `status`, which cannot ask the daemon.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::error::Result;
use super::row::BrandRow;
use super::{Ledger, Report};

pub(super) const FORGET_FOLDER: &str = "
    DELETE FROM reading WHERE brand_id = $1 AND substr(path_bytes, 1, length($2)) = $2";

pub(super) const ADD: &str = "
    INSERT INTO reading (brand_id, path_bytes, bytes, size_bytes) VALUES ($1, $2, $3, $4)";

pub(super) const FORGET: &str = "DELETE FROM reading";

pub(super) const ALL: &str = "SELECT path_bytes, bytes, size_bytes FROM reading ORDER BY path_bytes";

impl Ledger {
    /// These files of a folder are being read, with the bytes that were read and their sizes; no others are.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn set_reading(
        &self,
        brand: BrandRow,
        folder: &Path,
        files: &[(OsString, u64, u64)],
    ) -> Result<()> {
        let mut tx = self.begin().await?;
        sqlx::query(FORGET_FOLDER)
            .bind(brand.id.0)
            .bind(folder.join("").as_os_str().as_bytes())
            .execute(&mut *tx)
            .await?;
        for (name, bytes, size) in files {
            sqlx::query(ADD)
                .bind(brand.id.0)
                .bind(folder.join(name).as_os_str().as_bytes())
                .bind(bytes.cast_signed())
                .bind(size.cast_signed())
                .execute(&mut *tx)
                .await?;
        }
        self.commit(tx).await
    }

    /// Nothing is being read: what a daemon before this one read was broken off.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn nothing_is_read(&self) -> Result<()> {
        if self.report().reading().await?.is_empty() {
            return Ok(());
        }
        let mut tx = self.begin().await?;
        sqlx::query(FORGET).execute(&mut *tx).await?;
        self.commit(tx).await
    }
}

impl Report {
    /// The files that it takes long to read: how many bytes of how many were read.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn reading(&self) -> Result<Vec<(PathBuf, u64, u64)>> {
        let rows = sqlx::query(ALL);
        let read = |row: &SqliteRow| {
            let path = PathBuf::from(OsStr::from_bytes(row.try_get("path_bytes")?));
            let (bytes, size): (i64, i64) = (row.try_get("bytes")?, row.try_get("size_bytes")?);
            Ok((path, bytes.cast_unsigned(), size.cast_unsigned()))
        };
        rows.fetch_all(self.pool()).await?.iter().map(read).collect()
    }
}
