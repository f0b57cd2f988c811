//! Unmounted, or emptied? A file system that is not mounted leaves an empty folder behind, and its files are
//! not gone. (A folder that was deleted and made again was no mount point: it is really empty.)

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use tokio::sync::Mutex;

use super::IntakeError;
use crate::ledger::Ledger;

/// Why nothing is known of such a folder.
pub(super) const UNMOUNTED: &str = "an empty folder is in its place: is it unmounted?";

/// Which folders were mount points when there was something in them.
#[derive(Debug)]
pub(super) struct Mounts {
    ledger: Ledger,
    /// As the database has them; `None`: they were not read yet.
    known: Mutex<Option<HashSet<PathBuf>>>,
}

impl Mounts {
    pub(super) fn new(ledger: Ledger) -> Self {
        Self { ledger, known: Mutex::new(None) }
    }

    /// Is the folder, of which it is known whether it is a mount point now, only what an unmounted file system left? One with
    /// something in it is remembered.
    pub(super) async fn is_left(&self, path: &Path, is_one: bool, empty: bool) -> Result<bool, IntakeError> {
        let mut known = self.known.lock().await;
        let known = match &mut *known {
            Some(known) => known,
            unread => unread.insert(self.ledger.mount_points().await?),
        };
        let was_one = known.contains(path);
        if empty || is_one == was_one {
            return Ok(empty && was_one && !is_one);
        }
        self.ledger.set_mount_point(path, is_one).await?;
        match is_one {
            true => known.insert(path.to_owned()),
            false => known.remove(path),
        };
        Ok(false)
    }
}
