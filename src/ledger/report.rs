//! Questions to the ledger, for people: read-only.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use serde::Serialize;
use sqlx::pool::PoolConnection;
use sqlx::sqlite::{SqlitePoolOptions, SqliteRow};
use sqlx::{Row, Sqlite, SqlitePool};

use super::error::{LedgerError, Result};
use super::row::{BrandRow, path, stamp};
use crate::domain::brand::{BrandId, BrandKey, BrandType, Outcome, RecordId, UploadId};
use crate::domain::failure::ErrorKind;
use crate::domain::notice::NoticeName;
use crate::domain::upload::{Stamp, State};

pub(super) const PROBE: &str = "SELECT 1 FROM sqlite_schema LIMIT 1";

pub(super) const BY_ID: &str = "SELECT * FROM upload_status WHERE id = $1";

pub(super) const BY_PATH: &str = "
    SELECT * FROM upload_status WHERE id IN (SELECT id FROM upload WHERE path_bytes = $1) ORDER BY id LIMIT 1";

pub(super) const PICTURE: &str = "
    SELECT path_bytes, size_bytes, mtime_ns, inode, sha256 FROM upload
    WHERE id = $1 AND sha256 IS NOT NULL AND state <> 'gone'";

pub(super) const ATTEMPTS: &str = "SELECT * FROM attempt_log WHERE upload_id = $1 ORDER BY attempt";

pub(super) const BRAND: &str = "SELECT id, slots_total FROM brand WHERE type = $1 AND record_id = $2";

pub(super) const BRANDS: &str = "SELECT id, type || '/' || record_id AS brand, slots_total FROM brand";

pub(super) const NOTICES: &str = "SELECT * FROM notice ORDER BY since, name";

pub(super) const QUICK_CHECK: &str = "PRAGMA quick_check(1)";

/// The read-only side of the ledger.
#[derive(Debug, Clone)]
pub struct Report(SqlitePool);

macro_rules! row {
    ($(#[$doc:meta])* $name:ident { $($column:ident: $type:ty),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize)]
        #[expect(missing_docs, reason = "the columns of the view, which the contract describes")]
        pub struct $name { $(pub $column: $type),* }

        impl $name {
            /// The names of the columns.
            pub const COLUMNS: [&'static str; [$(stringify!($column)),*].len()] = [$(stringify!($column)),*];

            pub(super) fn read(row: &SqliteRow) -> Result<Self> {
                Ok(Self { $($column: row.try_get(stringify!($column))?),* })
            }
        }
    };
}

row!(
    /// A row of `upload_status`.
    StatusRow {
        id: UploadId,
        brand_type: BrandType,
        brand_id: RecordId,
        file_name: String,
        path: String,
        state: State,
        slot: Option<i64>,
        suffix: Option<String>,
        size_bytes: i64,
        width: Option<i64>,
        height: Option<i64>,
        sha256: Option<String>,
        revision: i64,
        attempts: i64,
        next_attempt_at: Option<String>,
        error_kind: Option<ErrorKind>,
        error_code: Option<String>,
        error_message: Option<String>,
        object_url: Option<String>,
        etag: Option<String>,
        request_id: Option<String>,
        detected_at: String,
        uploaded_at: Option<String>,
        updated_at: String,
    }
);

row!(
    /// A row of `brand_summary`.
    SummaryRow {
        brand_type: BrandType,
        brand_id: RecordId,
        slots_total: i64,
        slots_used: i64,
        slots_reserved: i64,
        queued: i64,
        uploading: i64,
        retrying: i64,
        uploaded: i64,
        failed: i64,
        rejected: i64,
        gone: i64,
        last_uploaded_at: Option<String>,
    }
);

row!(
    /// A row of `attempt_log`.
    AttemptRow {
        upload_id: UploadId,
        attempt: i64,
        started_at: String,
        finished_at: Option<String>,
        outcome: Option<Outcome>,
        error_kind: Option<ErrorKind>,
        error_code: Option<String>,
        error_message: Option<String>,
        request_id: Option<String>,
        bytes: Option<i64>,
        millis: Option<i64>,
    }
);

row!(
    /// Why the whole pipeline waits.
    Notice { name: NoticeName, message: String, since: String }
);

impl StatusRow {
    /// The file's brand.
    pub fn brand(&self) -> BrandKey {
        (self.brand_type, self.brand_id).into()
    }
}

impl SummaryRow {
    /// The brand.
    pub fn brand(&self) -> BrandKey {
        (self.brand_type, self.brand_id).into()
    }
}

/// Does no process have the database open, and is all of it in its file?
fn is_at_rest(path: &Path) -> bool {
    let wal = std::fs::metadata(super::with_suffix(path, "-wal")).map_or(0, |wal| wal.len());
    wal == 0 && !super::with_suffix(path, "-shm").exists()
}

impl Report {
    /// Opens the database for reading.
    ///
    /// # Errors
    /// When there is none, or it cannot be read.
    pub async fn open(path: &Path) -> Result<Self> {
        if !path.exists() {
            let reason = "there is none yet; `brandpost run` creates it".to_owned();
            return Err(LedgerError::Open { path: path.into(), reason, passing: false });
        }
        // sqlx tests a connection when it comes back, too
        let pool = SqlitePoolOptions::new().max_connections(4).test_before_acquire(false);
        // there are four: what is read once needs no large cache, and the kernel has one
        let options = super::options(path).read_only(true).pragma("cache_size", "-512");
        let opening = |error| LedgerError::opening(path, error);
        let connect = async {
            let connected = pool.clone().connect_with(options.clone()).await?;
            sqlx::query(PROBE).execute(&connected).await?;
            Ok(connected)
        };
        match connect.await {
            // a user who may only read cannot create the WAL's files; when there are none, nobody writes either
            Err(_) if is_at_rest(path) => {
                Ok(Self(pool.connect_with(options.immutable(true)).await.map_err(opening)?))
            }
            Err(error) => Err(opening(error)),
            Ok(connected) => Ok(Self(connected)),
        }
    }

    pub(super) async fn connection(&self) -> Result<PoolConnection<Sqlite>> {
        Ok(self.0.acquire().await?)
    }

    pub(super) fn pool(&self) -> &SqlitePool {
        &self.0
    }

    /// Closes the connections that nobody uses now; those who need one open it.
    pub(super) async fn reopen_idle(&self) {
        while let Some(connection) = self.0.try_acquire() {
            // it is given up either way
            let _ = connection.close().await;
        }
    }

    pub(super) async fn close(&self) {
        self.0.close().await;
    }

    /// One file by its id.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn by_id(&self, id: UploadId) -> Result<Option<StatusRow>> {
        let query = sqlx::query(BY_ID).bind(id.0);
        query.fetch_optional(&self.0).await?.as_ref().map(StatusRow::read).transpose()
    }

    /// The file at a path.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn by_path(&self, path: &OsStr) -> Result<Option<StatusRow>> {
        let query = sqlx::query(BY_PATH).bind(path.as_bytes());
        query.fetch_optional(&self.0).await?.as_ref().map(StatusRow::read).transpose()
    }

    /// Where a file that passed inspection lies, what it was like then, and its SHA-256.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn picture(&self, id: UploadId) -> Result<Option<(PathBuf, Stamp, String)>> {
        let query = sqlx::query(PICTURE);
        let row = query.bind(id.0).fetch_optional(&self.0).await?;
        row.map(|row| Ok((path(&row)?, stamp(&row)?, row.try_get("sha256")?))).transpose()
    }

    /// The attempts of a file, oldest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn attempts(&self, id: UploadId) -> Result<Vec<AttemptRow>> {
        let query = sqlx::query(ATTEMPTS).bind(id.0);
        query.fetch_all(&self.0).await?.iter().map(AttemptRow::read).collect()
    }

    /// A brand's row and how many slots it has.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn brand(&self, brand: BrandKey) -> Result<Option<(BrandRow, u32)>> {
        let row = sqlx::query(BRAND)
            .bind(brand.kind().as_str())
            .bind(brand.record())
            .fetch_optional(&self.0)
            .await?;
        row.map(|row| Ok((BrandRow { id: BrandId(row.try_get("id")?), brand }, row.try_get("slots_total")?)))
            .transpose()
    }

    /// All brands with their rows and numbers of slots.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn brand_rows(&self) -> Result<HashMap<BrandKey, (BrandRow, u32)>> {
        let rows = sqlx::query(BRANDS);
        let read = |row: &SqliteRow| {
            let text: &str = row.try_get("brand")?;
            let brand = text.parse().map_err(|_| LedgerError::Corrupt(text.into()))?;
            Ok((brand, (BrandRow { id: BrandId(row.try_get("id")?), brand }, row.try_get("slots_total")?)))
        };
        rows.fetch_all(&self.0).await?.iter().map(read).collect()
    }

    /// Why the whole pipeline waits.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn notices(&self) -> Result<Vec<Notice>> {
        let query = sqlx::query(NOTICES);
        query.fetch_all(&self.0).await?.iter().map(Notice::read).collect()
    }

    /// Is the database sound?
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn quick_check(&self) -> Result<String> {
        Ok(sqlx::query_scalar(QUICK_CHECK).fetch_one(&self.0).await?)
    }
}
