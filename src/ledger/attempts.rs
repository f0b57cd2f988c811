//! The log of attempts that have ended.

use jiff::Timestamp;

use super::Ledger;
use super::engine::sql;
use super::error::Result;
use crate::domain::brand::UploadId;
use crate::domain::clock::rfc3339;
use crate::domain::failure::Failure;

/// Whether the last attempts of a file ended with just this error, the last one first.
pub(super) const LAST_ERRORS: &str = "
    SELECT error_kind = $2 AND error_code IS NOT DISTINCT FROM $3 AS same
    FROM attempt WHERE upload_id = $1 ORDER BY attempt DESC LIMIT 20";

pub(super) const FORGET: &str = "
    DELETE FROM attempt WHERE id IN (SELECT id FROM attempt WHERE finished_at < $1 LIMIT $2)";

impl Ledger {
    /// How many of the last attempts of a file ended with just this error.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn streak(&self, id: UploadId, failure: &Failure) -> Result<u32> {
        let query = sql(LAST_ERRORS).bind(id.0).bind(failure.kind.as_str()).bind(failure.code.as_deref());
        let mut streak = 0;
        for row in query.all(self.report().pool()).await? {
            if row.get::<Option<bool>>("same")? != Some(true) {
                break;
            }
            streak += 1;
        }
        Ok(streak)
    }

    /// Drops attempts that ended before `before`, a batch at a time. Gives back how many.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn forget_attempts(&self, before: Timestamp, batch: u32) -> Result<u64> {
        let mut tx = self.begin().await?;
        let result = sql(FORGET).bind(rfc3339(before)).bind(batch).execute(&mut tx).await?;
        self.commit(tx).await?;
        Ok(result)
    }
}
