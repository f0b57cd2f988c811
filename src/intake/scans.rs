//! Scans of folders: which one is begun, and what follows from its end.

use std::io;
use std::path::Path;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::time::Instant;

use super::agenda::{Due, Priority};
use super::discover::{Discovered, DiscoveryStep};
use super::folder::{Folder, WatchAttempt};
use super::orphans::OrphansFollowed;
use super::places::Group;
use super::reconcile::{Reconcile, ScanResult};
use super::registration::Registered;
use super::renamed_folders::Work;
use super::tracked::{FirstScan, Job, Presence, TrackedFolder};
use super::{GATHER, Intake, IntakeError};
use crate::files;

/// Work of intake that waits for file systems or for the database, to be run by the caller: a scan of a folder, a look at
/// some, a discovery.
pub type FolderScan = BoxFuture<'static, CompletedScan>;

/// What came of it, to be handed back with [`Intake::end`].
pub struct CompletedScan(pub(super) Completed);

pub(super) enum Completed {
    /// Folders, which took the place of one scan, by its number.
    Folders(u64, Vec<ScannedFolder>),
    Discovery(Discovered),
    Registration(Registered),
    Orphans(OrphansFollowed),
}

fn completed<T: 'static>(
    work: BoxFuture<'static, T>,
    as_what: impl FnOnce(T) -> Completed + Send + 'static,
) -> FolderScan {
    work.map(|done| CompletedScan(as_what(done))).boxed()
}

/// A folder that was scanned.
pub(super) type ScannedFolder = (Box<Folder>, Result<ScanResult, IntakeError>);

impl Intake {
    /// How urgent a scan must be to be begun now; `None`: none is.
    pub(super) fn room(&self) -> Option<Priority> {
        self.scanning.room(Instant::now())
    }

    /// The next piece of work that is due, for the caller to run; its end is handed back with [`Intake::end`].
    pub fn next_scan(&mut self) -> Option<FolderScan> {
        let discovery = self.next_discovery().map(|work| completed(work, Completed::Discovery));
        let registration = || self.next_registration().map(|work| completed(work, Completed::Registration));
        let beside = discovery.or_else(registration);
        let orphans = || self.next_orphans().map(|work| completed(work, Completed::Orphans));
        beside.or_else(orphans).or_else(|| self.next_folder())
    }

    fn next_folder(&mut self) -> Option<FolderScan> {
        for Due { folder, at, priority } in self.scanning.take_waiting(Instant::now()) {
            self.agenda.add(&folder, at, priority);
        }
        while let Some(least) = self.room() {
            let due = self.agenda.take_due(Instant::now(), least)?;
            if self.is_out_of_reach(&due.folder) {
                if let Some(brand) = self.tracked.get(&due.folder).map(|folder| folder.brand) {
                    self.release(brand, &Work::Scan(due.folder));
                }
                continue;
            }
            if self.hold_back(&due.folder) {
                continue;
            }
            let group = self.group(&due.folder);
            if self.scanning.places(group, Instant::now()) == 0 {
                self.scanning.wait(group, due);
                continue;
            }
            if let Some(scan) = self.glance(&due).or_else(|| self.scan(&due.folder)) {
                let id = self.scanning.begin(group, Instant::now());
                return Some(completed(scan, move |scanned| Completed::Folders(id, scanned)));
            }
        }
        None
    }

    /// Who may hold up a scan of the folder. The kernel has most folders in memory; otherwise it is as the last discovery
    /// found it.
    fn group(&self, path: &Path) -> Group {
        let (device, stranger) = match files::place_in_memory(path) {
            Ok(place) => (Some(place.device), place.stranger),
            Err(error) if error.kind() == io::ErrorKind::NotFound => (None, None),
            Err(_) => (self.tracked.device(path), None),
        };
        match (device.filter(|device| !self.ctx.devices.is_local(*device)), stranger) {
            (Some(device), _) => Group::Device(device),
            (None, Some(user)) => Group::Owner(user),
            (None, None) => Group::Ours,
        }
    }

    fn scan(&mut self, path: &Path) -> Option<BoxFuture<'static, Vec<ScannedFolder>>> {
        let mut folder = self.begin_scan(path)?;
        let ctx = self.ctx.clone();
        Some(Box::pin(async move {
            let outcome = Reconcile::new(&ctx, &mut folder).run().await;
            vec![(folder, outcome)]
        }))
    }

    /// Hands the folder out, to be scanned and, if need be, watched. `None`: it is not idle.
    pub(super) fn begin_scan(&mut self, path: &Path) -> Option<Box<Folder>> {
        if !self.tracked.is_idle(path) {
            return None;
        }
        let identity = self.begin_watch(path);
        let mut folder = self.tracked.begin_scan(path)?;
        folder.watch = identity.map(|identity| WatchAttempt { identity, end: None });
        if folder.removed {
            folder.moved_to = self.held_back.folders_of(folder.brand.brand);
        }
        Some(folder)
    }

    /// While the root is missing, or a type folder cannot be read, nothing is known of what is in it. All folders are
    /// scanned when it is back.
    pub(super) fn is_out_of_reach(&self, path: &Path) -> bool {
        let lost = self.root.missing && path.starts_with(&self.ctx.settings.watch.root);
        // who reads a folder can hold up its listing, and not the folders in it, which are known
        let is_held_up = |parent: &Path| self.silent_parents.contains(parent) && self.is_on_local_disk(path);
        let is_lost = |parent: &Path| self.unreadable_parents.contains_key(parent) && !is_held_up(parent);
        lost || path.parent().is_some_and(is_lost)
    }

    fn is_on_local_disk(&self, path: &Path) -> bool {
        self.tracked.device(path).is_some_and(|device| self.ctx.devices.is_local(device))
    }

    /// A piece of work has come to its end.
    ///
    /// # Errors
    /// When the database failed for good.
    pub fn end(&mut self, CompletedScan(completed): CompletedScan) -> Result<(), IntakeError> {
        match completed {
            Completed::Folders(id, scanned) => {
                self.scanning.end(id);
                scanned.into_iter().try_for_each(|(folder, outcome)| self.end_folder(folder, outcome))
            }
            Completed::Discovery(discovered) => {
                self.discovery = DiscoveryStep::Listed(Box::new(discovered));
                Ok(())
            }
            Completed::Registration(registered) => self.end_registration(registered),
            Completed::Orphans(followed) => self.end_orphans(followed),
        }
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
        let watched = folder.watch.take();
        let attempted = watched.as_ref().map(|attempt| attempt.identity);
        if let Some(attempt) = watched {
            self.end_watch(&path, attempt);
        }
        self.end_hold_back(&folder, outcome.is_some());
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
        // it may have been replaced while it was scanned
        let unwatched = self.unwatched(&path).filter(|identity| attempted != Some(*identity));
        if unwatched.is_some() && readable && !self.is_out_of_reach(&path) {
            self.request_scan(&path, Instant::now(), Priority::Urgent);
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
            tracked.unreadable = folder.problems.current().map(String::into_boxed_str);
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
