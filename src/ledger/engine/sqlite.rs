//! SQLite: a file, opened for writing by one connection, and for reading by a few.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, SqlitePool};

use crate::files;
use crate::ledger::error::{LedgerError, Result};
use crate::ledger::with_suffix;

/// Versions before it can corrupt a database when the WAL is reset.
const OLDEST: [u32; 3] = [3, 51, 3];

/// How long a writer waits for another one (another process: `brandpost retry`, a backup).
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// None: the daemon is about to make them.
const TABLES: &str = "SELECT count(*) FROM sqlite_schema WHERE tbl_name <> '_sqlx_migrations'";

/// The one connection that writes. `connections` counts how often it was opened.
pub(in crate::ledger) async fn writer(path: &Path, connections: Arc<AtomicU64>) -> Result<SqlitePool> {
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
    let pool = pool.connect_with(options).await.map_err(|error| LedgerError::opening(path, error))?;
    check_version(path, &pool).await?;
    Ok(pool)
}

/// The connections that read.
pub(in crate::ledger) async fn reader(path: &Path) -> Result<SqlitePool> {
    let none_yet = || LedgerError::NoneYet(path.display().to_string());
    if !path.exists() {
        return Err(none_yet());
    }
    // sqlx tests a connection when it comes back, too
    let pool = SqlitePoolOptions::new().max_connections(4).test_before_acquire(false);
    // there are four: what is read once needs no large cache, and the kernel has one
    let options = options(path).read_only(true).pragma("cache_size", "-512");
    let connect = async |options: SqliteConnectOptions| {
        let connected = pool.clone().connect_with(options).await?;
        let tables: i64 = sqlx::query_scalar(TABLES).fetch_one(&connected).await?;
        Ok((connected, tables))
    };
    let connected = match connect(options.clone()).await {
        // a user who may only read cannot create the WAL's files; when there are none, nobody writes either
        Err(_) if is_at_rest(path) => connect(options.immutable(true)).await,
        connected => connected,
    };
    match connected.map_err(|error| LedgerError::opening(path, error))? {
        (_, 0) => Err(none_yet()),
        (connected, _) => Ok(connected),
    }
}

/// Does no process have the database open, and is all of it in its file?
fn is_at_rest(path: &Path) -> bool {
    let wal = std::fs::metadata(with_suffix(path, "-wal")).map_or(0, |wal| wal.len());
    wal == 0 && !with_suffix(path, "-shm").exists()
}

pub(in crate::ledger) fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .busy_timeout(BUSY_TIMEOUT)
        .foreign_keys(true)
        .disable_statement_logging()
}

async fn check_version(path: &Path, pool: &SqlitePool) -> Result<()> {
    let version: String = sqlx::query_scalar("SELECT sqlite_version()").fetch_one(pool).await?;
    let numbers: Vec<u32> = version.split('.').filter_map(|part| part.parse().ok()).collect();
    if numbers.as_slice() >= OLDEST.as_slice() {
        return Ok(());
    }
    let reason =
        format!("SQLite {version} is too old: before 3.51.3 resetting the WAL can corrupt a database");
    Err(LedgerError::Open { place: path.display().to_string(), reason, passing: false })
}

/// A WAL needs shared memory and locks that network file systems do not give.
pub(in crate::ledger) fn check_place(path: &Path) -> Result<()> {
    let refuse =
        |reason: String| Err(LedgerError::Open { place: path.display().to_string(), reason, passing: false });
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
