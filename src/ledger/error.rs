//! What the database can refuse, split by what follows from it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use sqlx::error::DatabaseError;
use sqlx::migrate::MigrateError;

use super::engine::postgres;
use crate::domain::brand::{Refusal, UploadId};
use crate::files;

/// An error of the ledger.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The database cannot be opened at all.
    #[error("cannot open the database {place}: {reason}")]
    Open {
        /// The file, or the server.
        place: String,
        /// Why, and what to do.
        reason: String,
        /// It may pass by itself.
        passing: bool,
    },
    /// There is no ledger yet.
    #[error("cannot open the database {0}: there is none yet; `brandpost run` creates it")]
    NoneYet(String),
    /// The file was deleted or replaced while a daemon worked with it.
    #[error("the database {path} {what} while brandpost worked with it; brandpost restarts")]
    Lost {
        /// Of the database.
        path: PathBuf,
        /// What became of it.
        what: &'static str,
    },
    /// Another daemon works with this database.
    #[error("{}", in_use(path, *process))]
    InUse {
        /// The database.
        path: PathBuf,
        /// Which process it is, if that is known.
        process: Option<u32>,
    },
    /// Another daemon keeps the inbox: this one may stand by.
    #[error("the inbox {inbox} is kept by the daemon on {host}, last seen {seen_at}; standing by")]
    Kept {
        /// The inbox that it keeps.
        inbox: String,
        /// The host of its keeper.
        host: String,
        /// When the keeper was heard of last.
        seen_at: String,
    },
    /// This daemon kept the inbox, and another one has taken it over, or may have.
    #[error("the inbox {0} is kept by another daemon now, or the server was out of reach for too long")]
    Deposed(String),
    /// Two hosts do not agree how many slots brands have.
    #[error(
        "{what} has {ours} slots on this host, and {theirs} on {host} (inbox {inbox}); set the same number on both"
    )]
    SlotsDiffer {
        /// A brand, or "a brand".
        what: String,
        /// As this host is configured.
        ours: u32,
        /// As the other host is configured.
        theirs: u32,
        /// The other host.
        host: String,
        /// Its inbox.
        inbox: String,
    },
    /// What an operator asked of an inbox cannot be.
    #[error("{0}")]
    Inbox(String),
    /// A transition found the row in another state than it must be in.
    #[error("upload {id} is not in the state that this step needs: {step}")]
    Conflict {
        /// The row of the file.
        id: UploadId,
        /// Which step it was.
        step: &'static str,
    },
    /// What the operator asked for cannot be.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The copy cannot be made there.
    #[error("{0}")]
    Copy(String),
    /// The commit that an update shared with others failed.
    #[error("{0}")]
    Group(Arc<LedgerError>),
    /// A column holds what it never should.
    #[error("the database holds an unknown value: {0}")]
    Corrupt(String),
    /// Anything else that the database says.
    #[error("database: {}", postgres::message(.0))]
    Sql(sqlx::Error),
    /// SQLite finds the file damaged.
    #[error("the database is damaged: {0}")]
    Damaged(String),
    /// A daemon has worked with it, and it is not there any more.
    #[error("the database {0} is missing")]
    Missing(PathBuf),
    /// A migration failed.
    #[error("the database cannot be brought to this version's schema")]
    Migrate(#[source] MigrateError),
}

impl From<MigrateError> for LedgerError {
    fn from(error: MigrateError) -> Self {
        match error {
            MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => error.into(),
            other => LedgerError::Migrate(other),
        }
    }
}

impl From<sqlx::Error> for LedgerError {
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::ColumnDecode { index, source } => LedgerError::Corrupt(format!("{index}: {source}")),
            other => LedgerError::Sql(other),
        }
    }
}

/// SQLite's primary result code.
fn primary(error: &sqlx::Error) -> Option<u32> {
    let sqlx::Error::Database(error) = error else { return None };
    let error = error.try_downcast_ref::<sqlx::sqlite::SqliteError>()?;
    Some(error.code()?.parse::<u32>().ok()? & 0xff)
}

impl LedgerError {
    /// What is wrong with a database that cannot be opened. Codes: <https://sqlite.org/rescode.html>.
    pub(super) fn opening(path: &Path, error: sqlx::Error) -> Self {
        let text = postgres::message(&error);
        let open = |reason: String, passing: bool| LedgerError::Open {
            place: path.display().to_string(),
            reason,
            passing,
        };
        match primary(&error) {
            // BUSY, LOCKED
            Some(5 | 6) => LedgerError::Sql(error),
            // READONLY, CANTOPEN
            Some(8 | 14) => open(
                format!("{text}; give the file and its folder to the service's user, or set database.path"),
                true,
            ),
            // IOERR, FULL
            Some(10 | 13) if path.parent().is_some_and(files::is_full) => {
                open("its disk is full; make room".into(), true)
            }
            Some(10 | 13) => open(format!("{text}; is its disk sound?"), true),
            // CORRUPT, NOTADB
            Some(11 | 26) => LedgerError::Damaged(format!(
                "{}: {text}; the daemon puts a database of its own aside when it starts; else restore a backup, or \
                 move it away",
                path.display()
            )),
            _ => open(format!("{text}; see what else uses it"), false),
        }
    }

    /// The error itself, however many updates it failed.
    pub fn root(&self) -> &Self {
        match self {
            LedgerError::Group(error) => error.root(),
            error => error,
        }
    }

    /// The ledger was closed.
    pub(super) fn closed() -> Self {
        LedgerError::Sql(sqlx::Error::PoolClosed)
    }

    /// Is the file itself damaged, so that neither waiting nor another try helps?
    pub fn is_damage(&self) -> bool {
        match self.root() {
            LedgerError::Damaged(_) => true,
            // CORRUPT, NOTADB
            LedgerError::Sql(error) => matches!(primary(error), Some(11 | 26)),
            _ => false,
        }
    }

    /// Is what the database knew lost?
    pub(super) fn is_loss(&self) -> bool {
        self.is_damage() || matches!(self.root(), LedgerError::Missing(_))
    }

    /// Is somebody else the keeper of the inbox?
    pub fn is_deposed(&self) -> bool {
        matches!(self.root(), LedgerError::Deposed(_))
    }

    /// Does another process hold the database?
    pub fn is_locked(&self) -> bool {
        // BUSY, LOCKED
        matches!(self.root(), LedgerError::Sql(error) if matches!(primary(error), Some(5 | 6)))
    }

    /// Does the connection stay unusable when the cause is over? A file that was opened while it could only be read
    /// stays one that can only be read.
    pub(super) fn needs_new_connection(&self) -> bool {
        match self.root() {
            // a connection that broke
            LedgerError::Sql(sqlx::Error::Io(_) | sqlx::Error::Protocol(_)) => true,
            // READONLY, IOERR, CANTOPEN
            LedgerError::Sql(error) => {
                let broken = postgres::state(error).is_some_and(|state| state.starts_with("57P"));
                broken || matches!(primary(error), Some(8 | 10 | 14))
            }
            _ => false,
        }
    }

    /// Does it pass by itself (locked, full disk, read-only for a while)? Then the work waits and goes on.
    /// Anything else is a mistake in the program or a damaged file, and waiting does not mend it.
    pub fn is_transient(&self) -> bool {
        // BUSY, LOCKED, READONLY, IOERR, FULL, CANTOPEN, PROTOCOL
        const PASSING: [u32; 7] = [5, 6, 8, 10, 13, 14, 15];
        match self.root() {
            LedgerError::Open { passing, .. } => *passing,
            LedgerError::Sql(error @ sqlx::Error::Database(_)) => match postgres::state(error) {
                Some(state) => postgres::is_transient(&state),
                None => primary(error).is_some_and(|code| PASSING.contains(&code)),
            },
            // the last is a connection that was left inside a transaction, see `Session::begin`
            LedgerError::Sql(
                sqlx::Error::PoolTimedOut
                | sqlx::Error::Io(_)
                | sqlx::Error::Protocol(_)
                | sqlx::Error::InvalidSavePointStatement,
            ) => true,
            _ => false,
        }
    }
}

/// Shorthand of this module.
pub type Result<T> = std::result::Result<T, LedgerError>;
fn in_use(path: &Path, process: Option<u32>) -> String {
    let path = path.display();
    match process {
        Some(process) => {
            format!(
                "another brandpost (process {process}) works with {path} already; stop it first (systemctl stop brandpost)"
            )
        }
        None => {
            format!("another brandpost works with {path} already; stop it first (systemctl stop brandpost)")
        }
    }
}
