//! Questions to the ledger, for people: read-only.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use serde::Serialize;

use super::Location;
use super::engine::{Pool, Row, postgres, sql, sqlite};
use super::error::{LedgerError, Result};
use super::row::{BrandRow, path, stamp};
use crate::domain::brand::{
    BrandId, BrandKey, BrandType, Inbox, InboxId, Outcome, RecordId, UploadId, with_label,
};
use crate::domain::failure::ErrorKind;
use crate::domain::notice::NoticeName;
use crate::domain::upload::{Stamp, State};

pub(super) const BY_ID: &str = "SELECT * FROM upload_status WHERE id = $1";

pub(super) const BY_PATH: &str = "
    SELECT * FROM upload_status WHERE id IN (SELECT id FROM upload WHERE path_bytes = $1) ORDER BY id LIMIT 1";

pub(super) const PICTURE: &str = "
    SELECT path_bytes, size_bytes, mtime_ns, inode, sha256 FROM upload
    WHERE id = $1 AND inbox_id = $2 AND sha256 IS NOT NULL AND state <> 'gone'";

pub(super) const ATTEMPTS: &str = "SELECT * FROM attempt_log WHERE upload_id = $1 ORDER BY attempt";

pub(super) const BRAND: &str = "SELECT id, slots_total FROM brand WHERE type = $1 AND record_id = $2";

pub(super) const BRANDS: &str = "SELECT id, type || '/' || record_id AS brand, slots_total FROM brand";

pub(super) const NOTICES: &str = "
    SELECT * FROM notice WHERE inbox_id = $1 OR name = 'suspended' ORDER BY since, name";

const INBOX_NAME: &str = "SELECT name FROM inbox";
const INBOX: &str = "SELECT id FROM inbox WHERE name = $1";

pub(super) const QUICK_CHECK: &str = "PRAGMA quick_check(1)";

/// The read-only side of the ledger.
#[derive(Debug, Clone)]
pub struct Report {
    pool: Pool,
    inbox: Inbox,
}

macro_rules! row {
    ($(#[$doc:meta])* $name:ident { $($column:ident: $type:ty),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize)]
        #[expect(missing_docs, reason = "the columns of the view, which docs/reference.md describes")]
        pub struct $name { $(pub $column: $type),* }

        impl $name {
            /// The names of the columns.
            pub const COLUMNS: [&'static str; [$(stringify!($column)),*].len()] = [$(stringify!($column)),*];

            pub(super) fn read(row: &Row) -> Result<Self> {
                Ok(Self { $($column: row.get(stringify!($column))?),* })
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
        inbox: String,
        brand_label: Option<String>,
        held: bool,
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
        label: Option<String>,
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
        inbox: String,
    }
);

row!(
    /// A row of `inbox_status`.
    InboxRow {
        inbox: String,
        host: String,
        version: String,
        epoch: i64,
        seen_at: Option<String>,
        lease_until: Option<String>,
        retired_at: Option<String>,
        queued: i64,
        uploading: i64,
        retrying: i64,
    }
);

row!(
    /// Why files wait, or what else needs an operator.
    Notice { name: NoticeName, message: String, since: String }
);

impl StatusRow {
    /// The file's brand.
    pub fn brand(&self) -> BrandKey {
        (self.brand_type, self.brand_id).into()
    }

    /// The brand and its label, for people.
    pub fn brand_name(&self) -> String {
        with_label(self.brand(), self.brand_label.as_deref())
    }
}

impl SummaryRow {
    /// The brand.
    pub fn brand(&self) -> BrandKey {
        (self.brand_type, self.brand_id).into()
    }

    /// The brand and its label, for people.
    pub fn brand_name(&self) -> String {
        with_label(self.brand(), self.label.as_deref())
    }
}

impl Report {
    /// Opens the database for reading.
    ///
    /// # Errors
    /// When there is none, or it cannot be read.
    pub async fn open(location: impl Into<Location>) -> Result<Self> {
        let (pool, inbox) = match &location.into() {
            Location::File(path) => {
                let pool = Pool::Sqlite(sqlite::reader(path).await?);
                // of a database that an older version made, the name is not known
                let name = sql(INBOX_NAME).scalar(&pool).await.unwrap_or_default();
                (pool, Inbox::new(InboxId(1), &Option::<String>::unwrap_or_default(name)))
            }
            Location::Server(server) => {
                let pool = Pool::Postgres(postgres::connect(server, true).await?);
                let found = sql(INBOX).bind(&server.inbox).optional(&pool).await;
                let found = found.map_err(|error| postgres::opening(server, &error))?;
                let id = found.map_or(Ok(0), |row| row.get("id"))?;
                (pool, Inbox::new(InboxId(id), &server.inbox))
            }
        };
        Ok(Self { pool, inbox })
    }

    /// This host's inbox; its number is 0 if no daemon has kept it yet.
    pub fn inbox(&self) -> &Inbox {
        &self.inbox
    }

    pub(super) fn pool(&self) -> &Pool {
        &self.pool
    }

    /// Closes the connections that nobody uses now; those who need one open it.
    pub(super) async fn close_idle(&self) {
        self.pool.close_idle().await;
    }

    pub(super) async fn close(&self) {
        self.pool.close().await;
    }

    /// One file by its id.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn by_id(&self, id: UploadId) -> Result<Option<StatusRow>> {
        let query = sql(BY_ID).bind(id.0);
        query.optional(&self.pool).await?.as_ref().map(StatusRow::read).transpose()
    }

    /// The file at a path.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn by_path(&self, path: &OsStr) -> Result<Option<StatusRow>> {
        let query = sql(BY_PATH).bind(path.as_bytes());
        query.optional(&self.pool).await?.as_ref().map(StatusRow::read).transpose()
    }

    /// Where a file of this host's inbox lies that passed inspection, what it was like then, and its SHA-256.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn picture(&self, id: UploadId) -> Result<Option<(PathBuf, Stamp, String)>> {
        let query = sql(PICTURE);
        let row = query.bind(id.0).bind(self.inbox.id.0).optional(&self.pool).await?;
        row.map(|row| Ok((path(&row)?, stamp(&row)?, row.get("sha256")?))).transpose()
    }

    /// The attempts of a file, oldest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn attempts(&self, id: UploadId) -> Result<Vec<AttemptRow>> {
        let query = sql(ATTEMPTS).bind(id.0);
        query.all(&self.pool).await?.iter().map(AttemptRow::read).collect()
    }

    /// A brand's row and how many slots it has.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn brand(&self, brand: BrandKey) -> Result<Option<(BrandRow, u32)>> {
        let row = sql(BRAND).bind(brand.kind().as_str()).bind(brand.record()).optional(&self.pool).await?;
        row.map(|row| Ok((BrandRow { id: BrandId(row.get("id")?), brand }, row.get("slots_total")?)))
            .transpose()
    }

    /// All brands with their rows and numbers of slots.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn brand_rows(&self) -> Result<HashMap<BrandKey, (BrandRow, u32)>> {
        let rows = sql(BRANDS);
        let read = |row: &Row| {
            let text: &str = row.get("brand")?;
            let brand = text.parse().map_err(|_| LedgerError::Corrupt(text.into()))?;
            Ok((brand, (BrandRow { id: BrandId(row.get("id")?), brand }, row.get("slots_total")?)))
        };
        rows.all(&self.pool).await?.iter().map(read).collect()
    }

    /// Why the whole pipeline waits.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn notices(&self) -> Result<Vec<Notice>> {
        let query = sql(NOTICES).bind(self.inbox.id.0);
        query.all(&self.pool).await?.iter().map(Notice::read).collect()
    }

    /// Is the database sound?
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn quick_check(&self) -> Result<String> {
        match &self.pool {
            Pool::Sqlite(_) => Ok(sql(QUICK_CHECK).scalar(&self.pool).await?),
            // the server looks after its files itself
            Pool::Postgres(_) => Ok("ok".into()),
        }
    }
}
