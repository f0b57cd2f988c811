//! Folders that were mount points when there was something in them: an empty folder in the place of one of
//! them is what an unmounted file system leaves, also after a restart.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::Ledger;
use super::engine::sql;
use super::error::Result;

pub(super) const ALL: &str = "SELECT path_bytes FROM mount_point WHERE inbox_id = $1";

pub(super) const ADD: &str =
    "INSERT INTO mount_point (inbox_id, path_bytes) VALUES ($1, $2) ON CONFLICT DO NOTHING";

pub(super) const REMOVE: &str = "DELETE FROM mount_point WHERE inbox_id = $1 AND path_bytes = $2";

impl Ledger {
    /// All of them.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn mount_points(&self) -> Result<HashSet<PathBuf>> {
        let rows = sql(ALL).bind(self.inbox_id()).all(self.report().pool()).await?;
        rows.iter().map(|row| Ok(PathBuf::from(OsStr::from_bytes(row.first()?)))).collect()
    }

    /// The folder is one, or is none any more.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn set_mount_point(&self, path: &Path, is_one: bool) -> Result<()> {
        let query = match is_one {
            true => ADD,
            false => REMOVE,
        };
        let mut tx = self.begin().await?;
        sql(query).bind(self.inbox_id()).bind(path.as_os_str().as_bytes()).execute(&mut tx).await?;
        self.commit(tx).await
    }
}
