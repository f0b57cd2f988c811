//! Scans of folders: which one is begun, and what follows from its end.

use std::path::{Path, PathBuf};
use std::pin::Pin;

use tokio::time::Instant;

use super::agenda::Priority;
use super::folder::Folder;
use super::reconcile::{Reconcile, ScanResult};
use super::tracked::{FirstScan, Job, Presence, TrackedFolder};
use super::{GATHER, Intake, IntakeError};
use crate::files::Identity;

/// How many scans go on side by side, and how many more of folders in which something has just happened.
pub(super) const AT_ONCE: usize = 8;
const URGENT: usize = 4;

/// One scan of a folder, or a look at some, to be run by the caller.
pub type FolderScan = Pin<Box<dyn Future<Output = CompletedScan> + Send>>;

/// Folders that were scanned, to be handed back with [`Intake::end`].
pub struct CompletedScan {
    pub(super) scanned: Vec<(Box<Folder>, Result<ScanResult, IntakeError>)>,
    /// Folders that were to be watched by the way, and whether they are.
    pub(super) watched: Vec<(PathBuf, Identity, bool)>,
}

impl Intake {
    /// How urgent a scan must be to be begun now; `None`: none is.
    pub(super) fn room(&self) -> Option<Priority> {
        match self.scanning {
            ..AT_ONCE => Some(Priority::Routine),
            count if count < AT_ONCE + URGENT => Some(Priority::Urgent),
            _ => None,
        }
    }

    /// The next scan that is due, for the caller to run; its end is handed back with [`Intake::end`].
    pub fn next_scan(&mut self) -> Option<FolderScan> {
        while let Some(least) = self.room() {
            let due = self.agenda.take_due(Instant::now(), least)?;
            if self.is_out_of_reach(&due.folder) {
                continue;
            }
            if let Some(scan) = self.glance(&due).or_else(|| self.scan(&due.folder)) {
                self.scanning += 1;
                return Some(scan);
            }
        }
        None
    }

    fn scan(&mut self, path: &Path) -> Option<FolderScan> {
        self.watch_before_first_scan(path);
        let mut folder = self.tracked.begin_scan(path)?;
        let ctx = self.ctx.clone();
        Some(Box::pin(async move {
            let outcome = Reconcile::new(&ctx, &mut folder).run().await;
            CompletedScan { scanned: vec![(folder, outcome)], watched: Vec::new() }
        }))
    }

    /// While the root is missing, or a type folder cannot be read, nothing is known of what is in it. All folders are
    /// scanned when it is back.
    pub(super) fn is_out_of_reach(&self, path: &Path) -> bool {
        let lost = self.root.missing && path.starts_with(&self.ctx.settings.watch.root);
        lost || path.parent().is_some_and(|parent| self.unreadable_parents.contains(parent))
    }

    /// A scan has come to its end.
    ///
    /// # Errors
    /// When the database failed for good.
    pub fn end(&mut self, scanned: CompletedScan) -> Result<(), IntakeError> {
        self.scanning -= 1;
        for (path, identity, is_watched) in scanned.watched {
            self.end_watch_in_look(&path, identity, is_watched);
        }
        for (folder, outcome) in scanned.scanned {
            self.end_folder(folder, outcome)?;
        }
        Ok(())
    }

    fn end_folder(
        &mut self,
        mut folder: Box<Folder>,
        outcome: Result<ScanResult, IntakeError>,
    ) -> Result<(), IntakeError> {
        folder.stability.shrink();
        let outcome = match outcome {
            Ok(outcome) => Some(outcome),
            Err(error) => {
                self.defer_if_transient(Err(error))?;
                None
            }
        };
        let path = folder.path.clone();
        let Some(presence) = self.tracked.get(&path).map(|tracked| tracked.presence) else { return Ok(()) };
        if folder.removed && presence == Presence::Removed && outcome.is_some() {
            self.unwatch(&path);
            self.tracked.remove(&path);
            return Ok(());
        }
        let readable = folder.problems.current().is_none();
        let next = self.take_back(folder, outcome);
        for (at, priority) in next {
            self.agenda.add(&path, at, priority);
        }
        if let Presence::Listed(identity) = presence
            && readable
            && !self.is_out_of_reach(&path)
        {
            // it may have been replaced while it was scanned
            self.watch_folder(&path, identity);
        }
        Ok(())
    }

    /// The folder is idle again. Gives back when it must be scanned next.
    fn take_back(&mut self, folder: Box<Folder>, outcome: Option<ScanResult>) -> Vec<(Instant, Priority)> {
        let (path, now) = (folder.path.clone(), Instant::now());
        let poll = now + self.ctx.settings.watch.poll_interval;
        let take_back = |tracked: &mut TrackedFolder| {
            let failed = outcome.is_none();
            let ScanResult { next, incomplete, full_scan_due } = outcome.unwrap_or_default();
            tracked.first_scan = match full_scan_due {
                _ if failed => tracked.first_scan,
                Some(_) => FirstScan::OwnScanDue,
                None => FirstScan::Done,
            };
            tracked.incomplete = incomplete;
            tracked.unreadable = folder.problems.current().is_some();
            let before = std::mem::replace(&mut tracked.job, Job::Idle(folder));
            let again = matches!(before, Job::Scanning { again: true }).then_some(now + GATHER);
            let urgent = next.into_iter().chain(again).map(|at| (at, Priority::Urgent));
            let full_scan_due = full_scan_due.map(|due| (due, Priority::Routine));
            let polled = tracked.watch.is_none().then_some((poll, Priority::Routine));
            urgent.chain(full_scan_due).chain(polled).collect()
        };
        self.tracked.update(&path, take_back).unwrap_or_default()
    }
}
