//! Waiting for a database that cannot be used for a while.

use std::time::Duration;

use crate::ledger::{Ledger, LedgerError};

/// How long after a failure the database is tried again.
pub(super) const TRY_AGAIN: Duration = Duration::from_secs(2);

/// Repeats an operation for as long as it fails in passing.
///
/// # Errors
/// When the database fails for good.
pub(super) async fn until_available<T, F>(
    ledger: &Ledger,
    operation: impl Fn() -> F,
) -> Result<T, LedgerError>
where
    F: Future<Output = Result<T, LedgerError>>,
{
    loop {
        match operation().await {
            Err(error) if error.is_transient() => ledger.report_problem(&error),
            result => return result,
        }
        tokio::time::sleep(TRY_AGAIN).await;
    }
}
