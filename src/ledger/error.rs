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
    #[error("database")]
    Sql(#[from] sqlx::Error),
    /// A migration failed.
    #[error("database migration")]
    Migrate(#[from] sqlx::migrate::MigrateError),
}

impl LedgerError {
    /// Does it pass by itself (locked, disk full, read-only for a while)? Then the work waits and goes on.
    pub fn is_transient(&self) -> bool {
        matches!(self, LedgerError::Sql(_))
    }
}

/// Shorthand of this module.
pub type Result<T> = std::result::Result<T, LedgerError>;
