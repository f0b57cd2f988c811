//! Fault injection between the ledger and its disk: where a test makes it fail, or holds it.

use std::fmt::Debug;
use std::pin::Pin;

use super::error::Result;

/// Who commits a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Committer {
    /// The writer task, together with all other updates that wait then.
    Group,
    /// Whoever begins it, alone.
    Caller,
}

/// What happens to every transaction that writes. A ledger has none of it unless it is given one.
pub trait CommitHook: Debug + Send + Sync {
    /// Before it begins, or before an update is handed to the writer task.
    ///
    /// # Errors
    /// As if it could not begin: the database is locked.
    fn begin(&self, committer: Committer) -> Pin<Box<dyn Future<Output = Result<()>> + Send + '_>>;

    /// Before it is committed: once for all updates of a group.
    ///
    /// # Errors
    /// As if it could not be: the disk is full. It is rolled back.
    fn commit(&self) -> Result<()>;

    /// After it was committed.
    ///
    /// # Errors
    /// As if nobody knew whether it was.
    fn committed(&self) -> Result<()>;
}
