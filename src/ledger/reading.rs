//! Files that it takes long to read: for `status`, which cannot ask the daemon.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::engine::{Row, sql};
use super::error::Result;
use super::row::BrandRow;
use super::{Ledger, Report};

pub(super) const FORGET_FOLDER: &str = "
    DELETE FROM reading WHERE inbox_id = $1 AND brand_id = $2 AND substr(path_bytes, 1, length($3)) = $3";

pub(super) const ADD: &str = "
    INSERT INTO reading (inbox_id, brand_id, path_bytes, bytes, size_bytes) VALUES ($1, $2, $3, $4, $5)";

pub(super) const FORGET: &str = "DELETE FROM reading WHERE inbox_id = $1";

pub(super) const ALL: &str =
    "SELECT path_bytes, bytes, size_bytes FROM reading WHERE inbox_id = $1 ORDER BY path_bytes";

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
        sql(FORGET_FOLDER)
            .bind(self.inbox_id())
            .bind(brand.id.0)
            .bind(folder.join("").as_os_str().as_bytes())
            .execute(&mut tx)
            .await?;
        for (name, bytes, size) in files {
            sql(ADD)
                .bind(self.inbox_id())
                .bind(brand.id.0)
                .bind(folder.join(name).as_os_str().as_bytes())
                .bind(bytes.cast_signed())
                .bind(size.cast_signed())
                .execute(&mut tx)
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
        sql(FORGET).bind(self.inbox_id()).execute(&mut tx).await?;
        self.commit(tx).await
    }
}

impl Report {
    /// The files that it takes long to read: how many bytes of how many were read.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn reading(&self) -> Result<Vec<(PathBuf, u64, u64)>> {
        let rows = sql(ALL).bind(self.inbox().id.0);
        let read = |row: &Row| {
            let path = PathBuf::from(OsStr::from_bytes(row.get("path_bytes")?));
            let (bytes, size): (i64, i64) = (row.get("bytes")?, row.get("size_bytes")?);
            Ok((path, bytes.cast_unsigned(), size.cast_unsigned()))
        };
        rows.all(self.pool()).await?.iter().map(read).collect()
    }
}
