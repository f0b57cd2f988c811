//! The ledger: what became of every file, in a SQLite file or, for several hosts, on a PostgreSQL server. The only SQL.
//!
//! **One way to write** a file's fate: `Ledger::update` loads its brand, applies a rule of `domain::brand`, and writes
//! back what changed; `writer` commits all updates that wait together. What is no file's fate (notices, the outbox of
//! alerts, leases) is a statement of its own, in a transaction of its own.
//!
//! Transactions are short, begin as writers (`BEGIN IMMEDIATE`; on a server, with a lock of the inbox's row), and have
//! nothing else inside them. A task that
//! waits for changes subscribes to [`Ledger::changes`], and then reads the table.

mod access;
mod alert_outbox;
mod attempts;
mod brands;
mod commit_hook;
mod copy;
mod copy_to_server;
mod engine;
mod error;
mod gauges;
mod inbox;
mod inboxes;
mod listing;
mod lock;
mod mounts;
mod notices;
mod objects;
mod operator;
mod other_hosts;
mod other_processes;
#[cfg(test)]
mod plans;
mod queue;
mod reading;
mod recovery;
mod report;
mod row;
mod schema;
mod server_check;
mod session;
mod store;
mod transitions;
mod upload_snapshots;
mod writer;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::Timestamp;
use tokio::sync::{mpsc, watch};

use crate::domain::clock::{Clock, rfc3339};
use crate::files::{self, Identity};
use engine::{Pool, Tx, postgres, sqlite};
use inbox::Keeper;
use session::Session;

pub use access::{check_writable, prove_writable};
pub use alert_outbox::PendingAlerts;
pub use commit_hook::{CommitHook, Committer};
pub use copy::write_copy;
pub use copy_to_server::{Moved, copy_to_server};
pub use engine::postgres::Server;
pub use error::{LedgerError, Result};
pub use gauges::{Counts, Outlook};
pub use inbox::Host;
pub use listing::{Cursor, Filter, Taken, TakenBy};
pub use lock::{DaemonLock, PreviousRun};
pub use objects::Holder;
pub use operator::RetrySelection;
pub use queue::{Candidate, ClaimOrder};
pub use recovery::Started;
pub use report::{AttemptRow, InboxRow, Notice, Report, StatusRow, SummaryRow};
pub use row::BrandRow;
pub use server_check::{ServerFindings, check_server};
pub use upload_snapshots::UploadSnapshot;

pub use crate::domain::brand::{
    AttemptEnd, Claim, ClaimTerms, InspectedFile, Inspection, RecordResult, Refusal,
};

/// Where the ledger is kept.
#[derive(Debug, Clone)]
pub enum Location {
    /// An SQLite file.
    File(PathBuf),
    /// A database on a PostgreSQL server.
    Server(Server),
}

impl From<&Path> for Location {
    fn from(path: &Path) -> Self {
        Location::File(path.to_owned())
    }
}

impl From<&PathBuf> for Location {
    fn from(path: &PathBuf) -> Self {
        Location::File(path.clone())
    }
}

impl From<&Location> for Location {
    fn from(location: &Location) -> Self {
        location.clone()
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Location::File(path) => path.display().fmt(f),
            Location::Server(server) => server.fmt(f),
        }
    }
}

/// The database of what became of every file.
#[derive(Debug, Clone)]
pub struct Ledger {
    session: Session,
    updates: mpsc::UnboundedSender<Box<dyn writer::Update>>,
    place: Arc<Place>,
    external_writes: Arc<AtomicU64>,
    /// How many files were proposed for a claim.
    claims: Arc<AtomicU64>,
}

/// Where the database is.
#[derive(Debug)]
enum Place {
    /// A file, and which one it was when it was opened.
    File(PathBuf, Identity),
    Server,
}

impl Place {
    fn of(location: Location) -> Result<Self> {
        Ok(match location {
            Location::File(path) => {
                let identity = files::identity(&path).map_err(sqlx::Error::Io)?;
                Place::File(path, identity)
            }
            Location::Server(_) => Place::Server,
        })
    }
}

impl Ledger {
    /// Opens the database for writing, makes it if there is none, and brings its schema up to date.
    ///
    /// # Errors
    /// When the folder is missing, read-only or on a network file system, or the file is no database; when the server
    /// cannot be reached, does not let us in, or holds something else.
    pub async fn open(location: impl Into<Location>, clock: Arc<dyn Clock>) -> Result<Self> {
        let location = location.into();
        let connection_number = Arc::new(AtomicU64::new(0));
        let pool = match &location {
            Location::File(path) => {
                let pool = sqlite::writer(path, connection_number.clone()).await?;
                schema::migrate(&pool, path).await?;
                Pool::Sqlite(pool)
            }
            Location::Server(server) => {
                let pool = postgres::connect(server, false).await?;
                schema::migrate_server(&pool, server).await?;
                let pool = Pool::Postgres(pool);
                inbox::add(&pool, &server.inbox).await?;
                pool
            }
        };
        let report = Report::open(&location).await?;
        let place = Place::of(location)?;
        let keeper = Arc::new(Keeper::new(report.inbox().clone()));
        let session = Session::new(pool, report, keeper, clock, connection_number);
        let (updates, waiting) = mpsc::unbounded_channel();
        // it ends with the last handle to this ledger
        tokio::spawn(writer::run(session.clone(), waiting));
        Ok(Self {
            session,
            updates,
            place: Arc::new(place),
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
        self.give_inbox_up().await;
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

    /// Says in `current_problem` why this daemon does nothing.
    pub fn stand_by(&self, why: &LedgerError) {
        // it does so until it is closed, whatever is written meanwhile on the page
        let _ = self.session.standing_by.set(why.to_string());
    }

    /// Why nothing is written and sent at present: another daemon keeps the inbox, or may soon do so, or something is wrong
    /// with the database.
    pub fn current_problem(&self) -> Option<String> {
        let standing_by = self.session.standing_by.get().cloned();
        let deposed = || self.is_keeper_lease_over().then(|| self.deposed().to_string());
        standing_by.or_else(deposed).or_else(|| self.session.problems.current())
    }

    fn inbox_id(&self) -> i64 {
        self.session.keeper.inbox().id.0
    }

    fn now_text(&self) -> String {
        rfc3339(self.now())
    }

    async fn begin(&self) -> Result<Tx> {
        self.session.before_begin(Committer::Caller).await?;
        self.session.begin_alone().await
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

#[cfg(test)]
mod tests {
    use super::engine::sql;
    use super::*;
    use crate::domain::clock::SystemClock;
    use crate::domain::notice::NoticeName;

    #[tokio::test]
    async fn a_disk_that_was_full_is_used_again() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(&*folder.path().join("x.db"), Arc::new(SystemClock)).await.unwrap();
        // this connection gets no more room, as on a full disk
        sql("PRAGMA max_page_count = 1").execute(&ledger.session.pool).await.unwrap();
        let brands: Vec<_> = (1..=500).map(|id| (format!("OWNBRAND/{id}").parse().unwrap(), 10)).collect();
        let error = ledger.register(&brands).await.unwrap_err();
        assert!(error.is_transient(), "{error}");
        sql("PRAGMA max_page_count = 1000000").execute(&ledger.session.pool).await.unwrap();
        assert_eq!(ledger.register(&brands).await.unwrap().len(), 500);
    }

    #[tokio::test]
    async fn a_connection_that_was_opened_while_nothing_could_be_written_is_opened_again() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(&*folder.path().join("x.db"), Arc::new(SystemClock)).await.unwrap();
        // SQLite opens a file for reading where it cannot open it for writing, and never asks again
        sql("PRAGMA query_only = 1").execute(&ledger.session.pool).await.unwrap();
        let error = ledger.set_notice(NoticeName::Root, "it is not there").await.unwrap_err();
        assert!(error.is_transient(), "{error}");
        ledger.report_problem(&error);
        ledger.set_notice(NoticeName::Root, "it is not there").await.unwrap();
    }
}
