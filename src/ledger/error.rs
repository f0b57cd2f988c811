//! What the database can refuse, split by what follows from it.

use std::path::PathBuf;

/// An error of the ledger.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The database cannot be opened at all.
    #[error("cannot open the database {path}: {reason}")]
    Open {
        /// The file.
        path: PathBuf,
        /// Why, and what to do.
        reason: String,
    },
    /// Another daemon works with this database.
    #[error("another brandpost works with {0} already; stop it first (systemctl stop brandpost)")]
    InUse(PathBuf),
    /// A transition found the row in another state than it must be in.
    #[error("upload {id} is not in the state that this step needs: {step}")]
    Conflict {
        /// The row.
        id: i64,
        /// Which step it was.
        step: &'static str,
    },
    /// What the operator asked for cannot be.
    #[error("{0}")]
    Refused(String),
    /// A column holds what it never should.
    #[error("the database holds an unknown value: {0}")]
    Corrupt(String),
    /// Anything that SQLite says.
    #[error("database: {}", words(.0))]
    Sql(sqlx::Error),
    /// SQLite finds the file damaged.
    #[error("the database is damaged: {0}")]
    Damaged(String),
    /// A migration failed.
    #[error("the database cannot be brought to this version's schema")]
    Migrate(#[from] sqlx::migrate::MigrateError),
}

impl From<sqlx::Error> for LedgerError {
    fn from(error: sqlx::Error) -> Self {
        LedgerError::Sql(error)
    }
}

/// SQLite's primary result code.
fn primary(error: &sqlx::Error) -> Option<u32> {
    let sqlx::Error::Database(error) = error else { return None };
    Some(error.code()?.parse::<u32>().ok()? & 0xff)
}

/// What SQLite says, once.
fn words(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Database(error) => error.message().to_owned(),
        other => other.to_string(),
    }
}

impl LedgerError {
    /// Is the file itself damaged, so that neither waiting nor another try helps?
    pub fn is_damage(&self) -> bool {
        // SQLITE_CORRUPT, NOTADB: https://sqlite.org/rescode.html
        let damaged = |error: &sqlx::Error| matches!(primary(error), Some(11 | 26));
        match self {
            LedgerError::Damaged(_) => true,
            LedgerError::Sql(error) | LedgerError::Migrate(sqlx::migrate::MigrateError::Execute(error)) => {
                damaged(error)
            }
            _ => false,
        }
    }

    /// Does another process hold the database?
    pub fn is_locked(&self) -> bool {
        match self {
            LedgerError::Sql(error) => matches!(primary(error), Some(5 | 6)),
            _ => false,
        }
    }

    /// Does it pass by itself (locked, full disk, read-only for a while)? Then the work waits and goes on.
    /// Anything else is a mistake in the program or a damaged file, and waiting does not mend it.
    pub fn is_transient(&self) -> bool {
        // SQLITE_BUSY, LOCKED, READONLY, IOERR, FULL, CANTOPEN, PROTOCOL: https://sqlite.org/rescode.html
        const PASSING: [u32; 7] = [5, 6, 8, 10, 13, 14, 15];
        match self {
            LedgerError::Sql(error @ sqlx::Error::Database(_)) => {
                primary(error).is_some_and(|code| PASSING.contains(&code))
            }
            // the last is a connection that was left inside a transaction, see `Ledger::begin`
            LedgerError::Sql(
                sqlx::Error::PoolTimedOut | sqlx::Error::Io(_) | sqlx::Error::InvalidSavePointStatement,
            ) => true,
            _ => false,
        }
    }
}

/// Shorthand of this module.
pub type Result<T> = std::result::Result<T, LedgerError>;
