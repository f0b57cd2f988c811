//! What is logged of the folders that a discovery finds.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use super::discovery::Discovery;
use super::watch::PollReason;
use crate::domain::event;
use crate::domain::text::shown;
use crate::telemetry::repeat::RepeatLimiter;

/// So many folders that are left alone are logged by name at a time.
const MAX_NAMED: usize = 20;

/// What is logged of folders, each thing once.
#[derive(Debug)]
pub(super) struct FolderLog {
    /// Type folders that cannot be read.
    unreadable: RepeatLimiter<PathBuf>,
    /// What is no brand's folder.
    unrecognized: RepeatLimiter<PathBuf>,
    polled: RepeatLimiter<PollReason>,
}

impl Default for FolderLog {
    fn default() -> Self {
        Self {
            unreadable: RepeatLimiter::default(),
            unrecognized: RepeatLimiter::without_reminder(),
            polled: RepeatLimiter::without_reminder(),
        }
    }
}

impl FolderLog {
    /// Logs what is left alone, and which of the folders that could not be read before can be read again.
    pub(super) fn found(&self, found: &Discovery, unreadable_before: &HashMap<PathBuf, String>) {
        self.log_left_alone(found);
        let is_unread = |path: &Path| found.unread.iter().any(|(unread, _)| unread == path);
        for folder in unreadable_before.keys().filter(|path| !is_unread(path)) {
            let resolved = self.unreadable.resolved_where(|path| path == folder);
            if resolved.is_some() && found.parents.iter().any(|parent| parent.path == *folder) {
                let folder = shown(folder.as_os_str());
                tracing::info!(message_id = event::FOLDER_BACK, %folder, "the folder can be read again");
            }
        }
    }

    /// Not thousands of names at a time.
    fn log_left_alone(&self, found: &Discovery) {
        let there: HashSet<_> = found.unrecognized.iter().map(|(path, _)| path).collect();
        self.unrecognized.resolved_where(|path| !there.contains(path));
        for (path, why) in &found.unread {
            if self.unreadable.should_log(path.clone()).is_some() {
                let folder = shown(path.as_os_str());
                tracing::warn!(message_id = event::FOLDER_LOST, %folder, "the folder cannot be read; what is in it waits: {why}");
            }
        }
        let new = found
            .unrecognized
            .iter()
            .filter(|(path, _)| self.unrecognized.should_log(path.clone()).is_some());
        let new: Vec<_> = new.collect();
        for (path, why) in new.iter().take(MAX_NAMED) {
            let path = shown(path.as_os_str());
            tracing::warn!(message_id = event::STRAY, %path, "left alone: {why}");
        }
        if new.len() > MAX_NAMED {
            tracing::warn!("{} more are left alone; `brandpost check` lists them", new.len() - MAX_NAMED);
        }
    }

    /// Each reason once: of a limit, of rights, of a file system.
    pub(super) fn polled(&self, path: &Path, reason: PollReason) {
        if self.polled.should_log(reason.clone()).is_none() {
            return;
        }
        let path = shown(path.as_os_str());
        match reason {
            PollReason::Remote(name) => {
                tracing::info!(%path, "on {name}, where inotify does not see changes that others make; it is polled");
            }
            PollReason::Unwatched(why) => {
                tracing::warn!(%path, "cannot be watched by inotify ({why}); it is polled");
            }
            PollReason::Flooded(_) => {
                tracing::warn!(%path, "so much happens in it that others' events could be lost; it is polled for a while");
            }
        }
    }
}
