//! What operators select, and the copy that they ask for.

use std::fs::File;
use std::path::Path;

use sqlx::SqlitePool;

use super::Ledger;
use super::copy::{copy, nameless_copy};
use super::engine::sql;
use super::error::{LedgerError, Result};
use super::queue::Candidate;
use super::row::BrandRow;
use crate::domain::brand::{BrandId, UploadId};

/// Which files are to be tried again.
#[derive(Debug, Clone)]
pub enum RetrySelection {
    /// These, whatever became of them.
    Ids(Vec<UploadId>),
    /// All of a brand that are held, failed or refused, or that are tried again later.
    Brand(BrandRow),
    /// All that are held since the database was rebuilt.
    Held,
    /// All that the cloud refused.
    Failed,
    /// All that we refused.
    Rejected,
}

pub(super) const OF_BRAND: &str = "
    SELECT id, brand_id FROM upload
    WHERE brand_id = $1 AND (held = 1 OR state IN ('failed', 'rejected', 'retrying')) ORDER BY brand_id, id";

pub(super) const HELD: &str = "SELECT id, brand_id FROM upload WHERE held = 1 ORDER BY brand_id, id";

pub(super) const IN_STATE: &str = "SELECT id, brand_id FROM upload WHERE state = $1 ORDER BY brand_id, id";

pub(super) const BRANDS_WITH_HELD: &str =
    "SELECT DISTINCT brand_id FROM upload WHERE held = 1 ORDER BY brand_id";

impl Ledger {
    /// The files that are meant, a brand after the other.
    pub(super) async fn selected(&self, selection: &RetrySelection) -> Result<Vec<Candidate>> {
        let query = match selection {
            RetrySelection::Ids(_) => return Ok(Vec::new()),
            RetrySelection::Brand(brand) => sql(OF_BRAND).bind(brand.id.0),
            RetrySelection::Held => sql(HELD),
            RetrySelection::Failed => sql(IN_STATE).bind("failed"),
            RetrySelection::Rejected => sql(IN_STATE).bind("rejected"),
        };
        query.all(self.report().pool()).await?.iter().map(Candidate::read).collect()
    }

    pub(super) async fn brands_with_held_files(&self) -> Result<Vec<BrandId>> {
        let rows = sql(BRANDS_WITH_HELD).all(self.report().pool()).await?;
        rows.iter().map(|row| Ok(BrandId(row.first()?))).collect()
    }

    /// Writes a consistent copy of the database, also while a daemon works with it. No other user can read it.
    ///
    /// # Errors
    /// When the file exists already or cannot be written; then there is none.
    pub async fn backup(&self, to: &Path) -> Result<()> {
        copy(self.file()?, to).await
    }

    /// As `backup`, but as an open file that has no name.
    ///
    /// # Errors
    /// When it cannot be written beside the database.
    pub async fn nameless_backup(&self, database: &Path) -> Result<File> {
        nameless_copy(self.file()?, database).await
    }

    fn file(&self) -> Result<&SqlitePool> {
        let on_a_server = || LedgerError::Copy("the server is backed up with its own tools (pg_dump)".into());
        self.session.pool.sqlite().ok_or_else(on_a_server)
    }
}
