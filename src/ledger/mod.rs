//! The table between intake and publish: what became of every file. The only SQL.
//!
//! One writer, short transactions that begin as writers (`BEGIN IMMEDIATE`), nothing else inside them.
//! Every transition is compare-and-set: exactly one row must change. Whoever waits for news subscribes to
//! [`Ledger::changes`], arms it, and then asks the table.

mod access;
mod attempts;
mod brands;
mod claims;
mod commit_hook;
mod copy;
mod damage;
mod error;
mod gauges;
mod listing;
mod lock;
mod mounts;
mod objects;
mod reading;
mod record;
mod refusals;
mod report;
mod schema;
mod slots;
mod steer;
mod trouble;
mod uploads;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Sqlite, SqlitePool, Transaction};
use tokio::sync::watch;

use crate::domain::clock::{Clock, rfc3339};
use crate::files::{self, Identity};

pub use access::{check_writable, prove_writable};
pub use attempts::AttemptEnd;
pub use brands::BrandRow;
pub use claims::{Claim, ClaimOrder};
pub use commit_hook::CommitHook;
pub use damage::Started;
pub use error::{LedgerError, Result};
pub use gauges::{Counts, Outlook};
pub use listing::{Cursor, Filter, Taken, TakenBy};
pub use lock::{DaemonLock, Past};
pub use objects::Holder;
pub use record::{InspectedFile, Inspection, RecordResult};
pub use refusals::News;
pub use report::{AttemptRow, Notice, Report, StatusRow, SummaryRow};
pub use steer::{PAUSED, RetrySelection, SUSPENDED, THROTTLED};
pub use uploads::UploadSnapshot;

/// Versions before it can corrupt a database when the WAL is reset.
const OLDEST_SQLITE: [u32; 3] = [3, 51, 3];

/// How long a writer waits for another one (another process: `brandpost retry`, a backup).
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// A transaction of the one writer.
type Tx = Transaction<'static, Sqlite>;

/// The database of what became of every file.
#[derive(Debug, Clone)]
pub struct Ledger {
    writer: SqlitePool,
    report: Report,
    /// Where the database is, and which file it was when it was opened.
    file: Arc<(PathBuf, Identity)>,
    clock: Arc<dyn Clock>,
    changed: Arc<watch::Sender<u64>>,
    trouble: Arc<trouble::Trouble>,
    /// The connections must be opened again before they are used.
    stale: Arc<AtomicBool>,
    nudges: Arc<AtomicU64>,
    /// How many times a file was claimed.
    claims: Arc<AtomicU64>,
    commit_hook: Option<Arc<dyn CommitHook>>,
}

impl Ledger {
    /// Opens the database for writing, makes it if there is none, and brings its schema up to date.
    ///
    /// # Errors
    /// When the folder is missing, read-only or on a network file system, or the file is no database.
    pub async fn open(path: &Path, clock: Arc<dyn Clock>) -> Result<Self> {
        check_place(path)?;
        let options = options(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            // a megabyte of WAL is folded in at a time, and what it grew to beyond that is given back
            .pragma("wal_autocheckpoint", "256")
            .pragma("journal_size_limit", "1048576");
        // a database that others hold is said to be so by `complain`, once
        let pool = SqlitePoolOptions::new()
            .max_connections(1)
            .min_connections(1)
            .max_lifetime(None)
            .idle_timeout(None)
            .acquire_slow_threshold(Duration::from_hours(1));
        let writer = pool.connect_with(options).await.map_err(|error| LedgerError::opening(path, error))?;
        check_sqlite(path, &writer).await?;
        schema::migrate(&writer, path).await?;
        let report = Report::open(path).await?;
        let file = files::identity(path).map_err(sqlx::Error::Io)?;
        Ok(Self {
            writer,
            report,
            file: Arc::new((path.to_owned(), file)),
            clock,
            changed: Arc::new(watch::Sender::new(0)),
            trouble: Arc::default(),
            stale: Arc::default(),
            nudges: Arc::default(),
            claims: Arc::default(),
            commit_hook: None,
        })
    }

    /// The same ledger, with this between it and its disk.
    #[must_use]
    pub fn with_commit_hook(self, commit_hook: Arc<dyn CommitHook>) -> Self {
        Self { commit_hook: Some(commit_hook), ..self }
    }

    /// The read-only side.
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// Is marked whenever something was written, here or by another process.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Counts the times that another process wrote, or that a retry was asked for: an operator who wants something done.
    pub fn nudges(&self) -> u64 {
        self.nudges.load(Ordering::Relaxed)
    }

    /// Looks for writes of other processes, for as long as the database's file is where it was. `PRAGMA
    /// data_version` costs microseconds; on the only connection that writes, it changes when others have
    /// written.
    ///
    /// # Errors
    /// When the file was deleted or replaced.
    pub async fn watch_other_processes(&self, every: Duration) -> Result<()> {
        let mut seen: Option<i64> = None;
        loop {
            match self.stands_firm().await {
                // only here what was written can still be read: it is tried until there is room for it
                Err(error) if error.is_transient() => self.complain(&error),
                firm => firm?,
            }
            let version = sqlx::query_scalar("PRAGMA data_version").fetch_one(&self.writer).await;
            // errors are passed over: whoever needs the database meets them too, and says so
            if version.is_ok_and(|version| seen.replace(version).is_some_and(|before| before != version)) {
                self.nudges.fetch_add(1, Ordering::Relaxed);
                self.announce();
            }
            tokio::time::sleep(every).await;
        }
    }

    /// Closes the connections, which folds the WAL into the database.
    pub async fn close(&self) {
        self.report.close().await;
        self.writer.close().await;
    }

    /// The wall clock that the rows are stamped with.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Logs what is wrong with the database: when it begins, when it becomes something else, once an hour, and
    /// (after the next commit) when it is over. A connection that will not recover is not used again.
    pub fn complain(&self, error: &LedgerError) {
        self.stale.fetch_or(error.needs_new_connection(), Ordering::Relaxed);
        // a connection that was left inside a transaction is only what follows from the real trouble
        if !matches!(error, LedgerError::Sql(sqlx::Error::InvalidSavePointStatement)) {
            self.trouble.note(error);
        }
    }

    /// What is wrong with the database at present, so that nothing can be written.
    pub fn trouble(&self) -> Option<String> {
        self.trouble.text()
    }

    fn now_text(&self) -> String {
        rfc3339(self.now())
    }

    /// Begins a transaction. When SQLite has rolled one back by itself (disk full), sqlx takes the connection
    /// to be inside of it for ever: such a connection is thrown away.
    async fn begin(&self) -> Result<Tx> {
        if let Some(commit_hook) = &self.commit_hook {
            commit_hook.begin().await?;
        }
        if self.stale.swap(false, Ordering::Relaxed) {
            self.writer.acquire().await?.close().await?;
            self.report.reopen_idle().await;
        }
        match self.writer.begin_with("BEGIN IMMEDIATE").await {
            Err(sqlx::Error::InvalidSavePointStatement) => {
                self.writer.acquire().await?.close().await?;
                // what stands in the WAL needs no second place on a full disk
                let _ = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&self.writer).await;
                Ok(self.writer.begin_with("BEGIN IMMEDIATE").await?)
            }
            begun => Ok(begun?),
        }
    }

    /// Commits and wakes whoever waits for news.
    async fn commit(&self, tx: Tx) -> Result<()> {
        if let Some(commit_hook) = &self.commit_hook {
            commit_hook.commit()?;
        }
        tx.commit().await?;
        if let Some(commit_hook) = &self.commit_hook {
            commit_hook.committed()?;
        }
        self.trouble.over();
        self.announce();
        Ok(())
    }

    fn announce(&self) {
        self.changed.send_modify(|version| *version = version.wrapping_add(1));
    }
}

/// A file whose name is the database's with this behind it.
fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .busy_timeout(BUSY_TIMEOUT)
        .foreign_keys(true)
        .disable_statement_logging()
}

async fn check_sqlite(path: &Path, pool: &SqlitePool) -> Result<()> {
    let version: String = sqlx::query_scalar("SELECT sqlite_version()").fetch_one(pool).await?;
    let numbers: Vec<u32> = version.split('.').filter_map(|part| part.parse().ok()).collect();
    if numbers.as_slice() >= OLDEST_SQLITE.as_slice() {
        return Ok(());
    }
    let reason =
        format!("SQLite {version} is too old: before 3.51.3 resetting the WAL can corrupt a database");
    Err(LedgerError::Open { path: path.into(), reason, passing: false })
}

/// A WAL needs shared memory and locks that network file systems do not give.
fn check_place(path: &Path) -> Result<()> {
    let refuse = |reason: String| Err(LedgerError::Open { path: path.into(), reason, passing: false });
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !folder.is_dir() {
        return refuse(format!("there is no folder {}; make it, or set database.path", folder.display()));
    }
    match files::remote_file_system(folder) {
        Ok(Some(name)) => refuse(format!(
            "its folder is on {name}, where SQLite is not safe; put database.path on a local disk"
        )),
        Ok(None) => Ok(()),
        Err(error) => refuse(format!("its folder cannot be looked at: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::clock::SystemClock;

    #[tokio::test]
    async fn a_disk_that_was_full_is_used_again() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(&folder.path().join("x.db"), Arc::new(SystemClock)).await.unwrap();
        // this connection gets no more room, as on a full disk
        sqlx::query("PRAGMA max_page_count = 1").execute(&ledger.writer).await.unwrap();
        let brands: Vec<_> = (1..=500).map(|id| (format!("OWNBRAND/{id}").parse().unwrap(), 10)).collect();
        let error = ledger.register(&brands).await.unwrap_err();
        assert!(error.is_transient(), "{error}");
        sqlx::query("PRAGMA max_page_count = 1000000").execute(&ledger.writer).await.unwrap();
        assert_eq!(ledger.register(&brands).await.unwrap().len(), 500);
    }

    #[tokio::test]
    async fn a_connection_that_was_opened_while_nothing_could_be_written_is_opened_again() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(&folder.path().join("x.db"), Arc::new(SystemClock)).await.unwrap();
        // SQLite opens a file for reading where it cannot open it for writing, and never asks again
        sqlx::query("PRAGMA query_only = 1").execute(&ledger.writer).await.unwrap();
        let error = ledger.set_notice("root", "it is not there").await.unwrap_err();
        assert!(error.is_transient(), "{error}");
        ledger.complain(&error);
        ledger.set_notice("root", "it is not there").await.unwrap();
    }
}
