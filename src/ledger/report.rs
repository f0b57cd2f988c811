//! Questions to the ledger, for people: read-only.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use serde::Serialize;
use sqlx::pool::PoolConnection;
use sqlx::sqlite::{SqlitePoolOptions, SqliteRow};
use sqlx::{QueryBuilder, Row, Sqlite, SqlitePool};

use super::brands::BrandRow;
use super::error::{LedgerError, Result};
use crate::domain::brand::Brand;
use crate::domain::upload::State;

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
            fn read(row: &SqliteRow) -> Result<Self> {
                Ok(Self { $($column: row.try_get(stringify!($column))?),* })
            }
        }
    };
}

row!(
    /// A row of `upload_status`.
    StatusRow {
        id: i64,
        brand_type: String,
        brand_id: i64,
        file_name: String,
        path: String,
        state: String,
        slot: Option<i64>,
        suffix: Option<String>,
        size_bytes: i64,
        width: Option<i64>,
        height: Option<i64>,
        sha256: Option<String>,
        revision: i64,
        attempts: i64,
        next_attempt_at: Option<String>,
        error_kind: Option<String>,
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
        brand_type: String,
        brand_id: i64,
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
        upload_id: i64,
        attempt: i64,
        started_at: String,
        finished_at: Option<String>,
        outcome: Option<String>,
        error_kind: Option<String>,
        error_code: Option<String>,
        error_message: Option<String>,
        request_id: Option<String>,
        bytes: Option<i64>,
        millis: Option<i64>,
    }
);

row!(
    /// Why the whole pipeline waits.
    Notice { name: String, message: String, since: String }
);

/// How many files are in each state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts([u64; State::ALL.len()]);

impl Counts {
    /// How many are in this state.
    pub fn of(&self, state: State) -> u64 {
        State::ALL.iter().zip(self.0).find(|(other, _)| **other == state).map_or(0, |(_, count)| count)
    }

    /// How many there are.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// Those that are still to be sent.
    pub fn pending(&self) -> u64 {
        State::ALL.into_iter().filter(|state| state.is_pending()).map(|state| self.of(state)).sum()
    }
}

/// What is left to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outlook {
    /// Files that wait for their turn.
    pub queued: u64,
    /// Files that are being sent.
    pub uploading: u64,
    /// When the next waiting or failed file is due.
    pub due: Option<jiff::Timestamp>,
}

/// Which files `status` lists.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Only this brand's.
    pub brand: Option<Brand>,
    /// Only these states; all when empty.
    pub states: Vec<State>,
    /// At most so many, the latest first.
    pub limit: Option<u32>,
}

/// Does no process have the database open?
fn is_at_rest(path: &Path) -> bool {
    !["-wal", "-shm"].iter().any(|end| super::beside(path, end).exists())
}

impl Report {
    /// Opens the database for reading.
    ///
    /// # Errors
    /// When there is none, or it cannot be read.
    pub async fn open(path: &Path) -> Result<Self> {
        if !path.exists() {
            let reason = "there is none yet; `brandpost run` makes it".to_owned();
            return Err(LedgerError::Open { path: path.into(), reason, passing: false });
        }
        let pool = SqlitePoolOptions::new().max_connections(4);
        let options = super::options(path).read_only(true);
        let connected = match pool.clone().connect_with(options.clone()).await {
            // whoever may only read cannot make the WAL's files; when there are none, nobody writes either
            Err(_) if is_at_rest(path) => pool.connect_with(options.immutable(true)).await,
            connected => connected,
        };
        Ok(Self(connected.map_err(|error| LedgerError::opening(path, error))?))
    }

    pub(super) async fn connection(&self) -> Result<PoolConnection<Sqlite>> {
        Ok(self.0.acquire().await?)
    }

    pub(super) async fn close(&self) {
        self.0.close().await;
    }

    /// Files, the latest change first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn uploads(&self, filter: &Filter) -> Result<Vec<StatusRow>> {
        let mut query = QueryBuilder::<Sqlite>::new("SELECT * FROM upload_status WHERE 1 = 1");
        if let Some(brand) = filter.brand {
            query.push(" AND brand_type = ").push_bind(brand.kind().as_str());
            query.push(" AND brand_id = ").push_bind(brand.record());
        }
        if !filter.states.is_empty() {
            query.push(" AND state IN (");
            let mut states = query.separated(", ");
            for state in &filter.states {
                states.push_bind(state.as_str());
            }
            query.push(")");
        }
        query.push(" ORDER BY updated_at DESC, id DESC");
        if let Some(limit) = filter.limit {
            query.push(" LIMIT ").push_bind(limit);
        }
        let rows = query.build().fetch_all(&self.0).await?;
        rows.iter().map(StatusRow::read).collect()
    }

    /// One file by its id.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn by_id(&self, id: i64) -> Result<Option<StatusRow>> {
        let query = sqlx::query("SELECT * FROM upload_status WHERE id = ?1").bind(id);
        query.fetch_optional(&self.0).await?.as_ref().map(StatusRow::read).transpose()
    }

    /// The file at a path.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn by_path(&self, path: &OsStr) -> Result<Option<StatusRow>> {
        let query = sqlx::query(
            "SELECT * FROM upload_status WHERE id IN (SELECT id FROM upload WHERE path_bytes = ?1) ORDER BY id LIMIT 1",
        )
        .bind(path.as_bytes());
        query.fetch_optional(&self.0).await?.as_ref().map(StatusRow::read).transpose()
    }

    /// The attempts of a file, oldest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn attempts(&self, id: i64) -> Result<Vec<AttemptRow>> {
        let query = sqlx::query("SELECT * FROM attempt_log WHERE upload_id = ?1 ORDER BY attempt").bind(id);
        query.fetch_all(&self.0).await?.iter().map(AttemptRow::read).collect()
    }

    /// All brands with their slots and counts.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn brands(&self) -> Result<Vec<SummaryRow>> {
        let query = sqlx::query("SELECT * FROM brand_summary ORDER BY brand_type DESC, brand_id");
        query.fetch_all(&self.0).await?.iter().map(SummaryRow::read).collect()
    }

    /// A brand's row and how many slots it has.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn brand(&self, brand: Brand) -> Result<Option<(BrandRow, u32)>> {
        let row = sqlx::query("SELECT id, slots_total FROM brand WHERE type = ?1 AND record_id = ?2")
            .bind(brand.kind().as_str())
            .bind(brand.record())
            .fetch_optional(&self.0)
            .await?;
        row.map(|row| Ok((BrandRow { id: row.try_get("id")?, brand }, row.try_get("slots_total")?)))
            .transpose()
    }

    /// All brands with their rows and numbers of slots.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn brand_rows(&self) -> Result<HashMap<Brand, (BrandRow, u32)>> {
        let rows = sqlx::query("SELECT id, type || '/' || record_id AS brand, slots_total FROM brand");
        let read = |row: &SqliteRow| {
            let text: &str = row.try_get("brand")?;
            let brand = text.parse().map_err(|_| LedgerError::Corrupt(text.into()))?;
            Ok((brand, (BrandRow { id: row.try_get("id")?, brand }, row.try_get("slots_total")?)))
        };
        rows.fetch_all(&self.0).await?.iter().map(read).collect()
    }

    /// How many files are in each state, of one brand or of all.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn counts(&self, brand: Option<Brand>) -> Result<Counts> {
        let row = match brand {
            Some(brand) => match self.brand(brand).await? {
                Some((row, _)) => Some(row.id),
                None => return Ok(Counts::default()),
            },
            None => None,
        };
        let rows = match row {
            Some(id) => {
                sqlx::query("SELECT state, count(*) AS n FROM upload WHERE brand_id = ?1 GROUP BY state")
                    .bind(id)
            }
            None => sqlx::query("SELECT state, count(*) AS n FROM upload GROUP BY state"),
        };
        let mut counts = Counts::default();
        for row in rows.fetch_all(&self.0).await? {
            let state: State = row.try_get::<&str, _>("state")?.parse().map_err(LedgerError::Corrupt)?;
            let place = State::ALL.iter().position(|other| *other == state).unwrap_or_default();
            counts.0[place] = row.try_get::<i64, _>("n")?.unsigned_abs();
        }
        Ok(counts)
    }

    /// What is left to send, as it stood at one moment.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn outlook(&self) -> Result<Outlook> {
        // one statement sees one state of the table: a file that is claimed meanwhile is not overlooked
        let row = sqlx::query(
            "SELECT (SELECT count(*) FROM upload WHERE state = 'queued' AND held = 0) AS queued,
                    (SELECT count(*) FROM upload WHERE state = 'uploading') AS uploading,
                    (SELECT min(next_attempt_at) FROM upload INDEXED BY upload_due WHERE state IN ('queued', 'retrying') AND held = 0) AS due",
        )
        .fetch_one(&self.0)
        .await?;
        let due: Option<String> = row.try_get("due")?;
        let due = due.map(|due| due.parse().map_err(|_| LedgerError::Corrupt(due))).transpose()?;
        let count = |column| -> Result<u64> { Ok(row.try_get::<i64, _>(column)?.unsigned_abs()) };
        Ok(Outlook { queued: count("queued")?, uploading: count("uploading")?, due })
    }

    /// When the next waiting file is due.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn next_due(&self) -> Result<Option<jiff::Timestamp>> {
        let due: Option<String> = sqlx::query_scalar(
            "SELECT min(next_attempt_at) FROM upload INDEXED BY upload_due WHERE state IN ('queued', 'retrying') AND held = 0",
        )
        .fetch_one(&self.0)
        .await?;
        due.map(|due| due.parse().map_err(|_| LedgerError::Corrupt(due))).transpose()
    }

    /// Why the whole pipeline waits.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn notices(&self) -> Result<Vec<Notice>> {
        let query = sqlx::query("SELECT * FROM notice ORDER BY since, name");
        query.fetch_all(&self.0).await?.iter().map(Notice::read).collect()
    }

    /// Is the database sound?
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn quick_check(&self) -> Result<String> {
        Ok(sqlx::query_scalar("PRAGMA quick_check(1)").fetch_one(&self.0).await?)
    }
}
