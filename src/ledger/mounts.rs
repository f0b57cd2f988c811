//! Folders that were mount points when there was something in them: an empty folder in the place of one of
//! them is what an unmounted file system leaves, also after a restart.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::Ledger;
use super::error::Result;

pub(super) const ALL: &str = "SELECT path_bytes FROM mount_point";

pub(super) const ADD: &str = "INSERT INTO mount_point (path_bytes) VALUES ($1) ON CONFLICT DO NOTHING";

pub(super) const REMOVE: &str = "DELETE FROM mount_point WHERE path_bytes = $1";

impl Ledger {
    /// All of them.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn mount_points(&self) -> Result<HashSet<PathBuf>> {
        let mut connection = self.report().connection().await?;
        let paths: Vec<Vec<u8>> = sqlx::query_scalar(ALL).fetch_all(&mut *connection).await?;
        Ok(paths.iter().map(|path| PathBuf::from(OsStr::from_bytes(path))).collect())
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
        sqlx::query(query).bind(path.as_os_str().as_bytes()).execute(&mut *tx).await?;
        self.commit(tx).await
    }
}
