//! The ledger: what became of every file, in one SQLite database. The only SQL.
//!
//! **One way to write** a file's fate: [`Ledger::update`] loads its brand, applies a rule of `domain::brand`, and writes
//! back what changed; [`writer`] commits all updates that wait together. What is no file's fate (notices, the outbox of
//! alerts, leases) is a statement of its own, at the head of its file, in a transaction of its own.
//!
//! Transactions are short, begin as writers (`BEGIN IMMEDIATE`), and have nothing else inside them. A task that
//! waits for changes subscribes to [`Ledger::changes`], and then reads the table.

mod access;
mod alert_outbox;
mod attempts;
mod brands;
mod column;
mod commit_hook;
mod copy;
mod error;
mod gauges;
mod listing;
mod lock;
mod mounts;
mod notices;
mod objects;
mod operator;
mod other_processes;
#[cfg(test)]
mod plans;
mod queue;
mod reading;
mod recovery;
mod report;
mod row;
mod schema;
mod session;
mod snapshots;
mod store;
mod transitions;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, SqlitePool};
use tokio::sync::{mpsc, watch};

use crate::domain::clock::{Clock, rfc3339};
use crate::files::{self, Identity};
use session::{Session, Tx};

pub use access::{check_writable, prove_writable};
pub use alert_outbox::PendingAlerts;
pub use commit_hook::{CommitHook, Committer};
pub use error::{LedgerError, Result};
pub use gauges::{Counts, Outlook};
pub use listing::{Cursor, Filter, Taken, TakenBy};
pub use lock::{DaemonLock, PreviousRun};
pub use objects::Holder;
pub use operator::RetrySelection;
pub use queue::{Candidate, ClaimOrder};
pub use recovery::Started;
pub use report::{AttemptRow, Notice, Report, StatusRow, SummaryRow};
pub use row::BrandRow;
pub use snapshots::UploadSnapshot;

pub use crate::domain::brand::{
    AttemptEnd, Claim, ClaimTerms, InspectedFile, Inspection, RecordResult, Refusal,
};

/// Versions before it can corrupt a database when the WAL is reset.
const OLDEST_SQLITE: [u32; 3] = [3, 51, 3];

/// How long a writer waits for another one (another process: `brandpost retry`, a backup).
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The database of what became of every file.
#[derive(Debug, Clone)]
pub struct Ledger {
    session: Session,
    updates: mpsc::UnboundedSender<Box<dyn writer::Update>>,
    /// Where the database is, and which file it was when it was opened.
    file: Arc<(PathBuf, Identity)>,
    external_writes: Arc<AtomicU64>,
    /// How many files were proposed for a claim.
    claims: Arc<AtomicU64>,
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
            // four megabytes of WAL are folded in at a time, which takes two fsyncs, and what it grew to beyond that is
            // given back
            .pragma("wal_autocheckpoint", "1024")
            .pragma("journal_size_limit", "4194304");
        // `report_problem` logs that others hold the database, once
        let generation = Arc::new(AtomicU64::new(0));
        let connections = generation.clone();
        let pool = SqlitePoolOptions::new()
            .after_connect(move |_, _| {
                connections.fetch_add(1, Ordering::Relaxed);
                Box::pin(async { Ok(()) })
            })
            .max_connections(1)
            .min_connections(1)
            // sqlx tests a connection when it comes back, too
            .test_before_acquire(false)
            .max_lifetime(None)
            .idle_timeout(None)
            .acquire_slow_threshold(Duration::from_hours(1));
        let writer = pool.connect_with(options).await.map_err(|error| LedgerError::opening(path, error))?;
        check_sqlite(path, &writer).await?;
        schema::migrate(&writer, path).await?;
        let report = Report::open(path).await?;
        let file = files::identity(path).map_err(sqlx::Error::Io)?;
        let session = Session::new(writer, report, clock, generation);
        let (updates, waiting) = mpsc::unbounded_channel();
        // it ends with the last handle to this ledger
        tokio::spawn(writer::run(session.clone(), waiting));
        Ok(Self {
            session,
            updates,
            file: Arc::new((path.to_owned(), file)),
            external_writes: Arc::default(),
            claims: Arc::default(),
        })
    }

    /// The same ledger, with this between it and its disk.
    #[must_use]
    pub fn with_commit_hook(self, hook: Arc<dyn CommitHook>) -> Self {
        // a ledger gets one hook, before anybody works with it
        let _ = self.session.hook.set(hook);
        self
    }

    /// The read-only side.
    pub fn report(&self) -> &Report {
        &self.session.report
    }

    /// Is marked whenever something was written, here or by another process.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.session.changed.subscribe()
    }

    /// Is marked when intake is to look at files again: somebody requested it, or another process has written.
    pub fn recheck_requests(&self) -> watch::Receiver<u64> {
        self.session.rechecks.subscribe()
    }

    /// Counts writes of other processes, and retries that were asked for on the page: an operator wants something done.
    pub fn external_writes(&self) -> u64 {
        self.external_writes.load(Ordering::Relaxed)
    }

    /// Closes the connections, which folds the WAL into the database.
    pub async fn close(&self) {
        self.session.report.close().await;
        self.session.pool.close().await;
    }

    /// The wall clock that the rows are stamped with.
    pub fn now(&self) -> Timestamp {
        self.session.now()
    }

    /// Logs what is wrong with the database: when it begins, when it becomes something else, once an hour, and
    /// (after the next commit) when it is over. A connection that will not recover is not used again.
    pub fn report_problem(&self, error: &LedgerError) {
        self.session.stale.fetch_or(error.needs_new_connection(), Ordering::Relaxed);
        // a connection that was left inside a transaction only follows from the real problem
        if !matches!(error.root(), LedgerError::Sql(sqlx::Error::InvalidSavePointStatement)) {
            self.session.log_problem(error);
        }
    }

    /// What is wrong with the database at present, so that nothing can be written.
    pub fn current_problem(&self) -> Option<String> {
        self.session.problems.current()
    }

    fn now_text(&self) -> String {
        rfc3339(self.now())
    }

    async fn begin(&self) -> Result<Tx> {
        self.session.before_begin(Committer::Caller).await?;
        self.session.begin().await
    }

    async fn commit(&self, tx: Tx) -> Result<()> {
        self.session.commit(tx).await
    }

    /// An operator has written something, in this process or another one.
    fn note_external_write(&self) {
        self.external_writes.fetch_add(1, Ordering::Relaxed);
        self.session.announce();
    }
}

/// A file whose name is the database's with this behind it.
fn with_suffix(path: &Path, end: &str) -> PathBuf {
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
    use crate::domain::notice::NoticeName;

    #[tokio::test]
    async fn a_disk_that_was_full_is_used_again() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(&folder.path().join("x.db"), Arc::new(SystemClock)).await.unwrap();
        // this connection gets no more room, as on a full disk
        sqlx::query("PRAGMA max_page_count = 1").execute(&ledger.session.pool).await.unwrap();
        let brands: Vec<_> = (1..=500).map(|id| (format!("OWNBRAND/{id}").parse().unwrap(), 10)).collect();
        let error = ledger.register(&brands).await.unwrap_err();
        assert!(error.is_transient(), "{error}");
        sqlx::query("PRAGMA max_page_count = 1000000").execute(&ledger.session.pool).await.unwrap();
        assert_eq!(ledger.register(&brands).await.unwrap().len(), 500);
    }

    #[tokio::test]
    async fn a_connection_that_was_opened_while_nothing_could_be_written_is_opened_again() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(&folder.path().join("x.db"), Arc::new(SystemClock)).await.unwrap();
        // SQLite opens a file for reading where it cannot open it for writing, and never asks again
        sqlx::query("PRAGMA query_only = 1").execute(&ledger.session.pool).await.unwrap();
        let error = ledger.set_notice(NoticeName::Root, "it is not there").await.unwrap_err();
        assert!(error.is_transient(), "{error}");
        ledger.report_problem(&error);
        ledger.set_notice(NoticeName::Root, "it is not there").await.unwrap();
    }
}
