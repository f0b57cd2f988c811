//! The brands' folders that intake knows, and what they add up to.

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use tokio::time::Instant;

use super::discovery::BrandFolder;
use super::event_rate::EventRate;
use super::events::MAX_NAMES;
use super::folder::Folder;
use super::{GATHER, LONGEST_GATHER};
use crate::domain::brand::BrandKey;
use crate::files::Identity;
use crate::ledger::BrandRow;

/// What is known of one brand's folder.
#[derive(Debug)]
pub(super) struct TrackedFolder {
    pub(super) brand: BrandKey,
    pub(super) job: Job,
    /// What the last discovery found, and whether that is another folder than before.
    pub(super) presence: Presence,
    pub(super) presence_changed: bool,
    /// The folder that inotify watches; `None`: it is polled.
    pub(super) watch: Option<Identity>,
    /// It was watched, and was moved away or removed. If it is there all the same, it is watched again.
    pub(super) watch_lost: bool,
    pub(super) first_scan: FirstScan,
    /// So many of its files are still being copied.
    pub(super) incomplete: usize,
    /// Why it could not be read when it was scanned last.
    pub(super) unreadable: Option<Box<str>>,
    /// Names that were closed after writing since the last scan began.
    pub(super) closed: HashSet<OsString>,
    /// How many events come.
    pub(super) events: EventRate,
    /// When the first event came that no scan has seen yet, and until when others are gathered.
    gathering: Option<(Instant, Instant)>,
}

/// Events of a folder are gathered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Gathering {
    /// Until then, as it was before the last event.
    pub(super) before: Instant,
    /// Until then, as it is now.
    pub(super) until: Instant,
}

/// Where the folder's own memory is.
#[derive(Debug)]
pub(super) enum Job {
    /// The database has no row of the brand yet.
    Unregistered,
    Idle(Box<Folder>),
    /// A scan has it; `again`: another scan must follow.
    Scanning {
        again: bool,
    },
}

/// Was it scanned since the start?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FirstScan {
    /// Nobody has looked into it.
    Due,
    /// As `Due`, and it waited for the last scan of a folder that is gone, or does so.
    HeldBack,
    /// A look at many folders found that this one must be scanned.
    OwnScanDue,
    Done,
}

/// What becomes of the request of a scan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ScanRequest {
    /// The caller puts the folder on the agenda.
    PutOnAgenda,
    /// It is being scanned, and will be scanned again.
    FollowsScan,
    /// It cannot be scanned before it is registered.
    Refused,
}

/// Is there such a folder?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Presence {
    /// Yes, with this identity; `None`: the configuration names it, and it is not there.
    Listed(Option<Identity>),
    Removed,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct TrackedFolders {
    folders: HashMap<PathBuf, TrackedFolder>,
    totals: Totals,
}

/// What the folders add up to: kept with each change, because there may be ten thousands of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Totals {
    pub(super) scanning: usize,
    pub(super) watched: usize,
    /// Scanned at least once, and not watched.
    pub(super) polled: usize,
    pub(super) first_scans_pending: usize,
    /// Files, in all folders.
    pub(super) incomplete: usize,
    pub(super) unreadable: usize,
}

impl TrackedFolder {
    fn new(brand: BrandKey) -> Self {
        Self {
            brand,
            job: Job::Unregistered,
            presence: Presence::Removed,
            presence_changed: false,
            watch: None,
            watch_lost: false,
            first_scan: FirstScan::Due,
            incomplete: 0,
            unreadable: None,
            closed: HashSet::new(),
            events: EventRate::default(),
            gathering: None,
        }
    }

    /// These names were closed after writing. A scan may take long, so no more are remembered than of one look.
    pub(super) fn note_closed(&mut self, names: HashSet<OsString>) {
        let room = MAX_NAMES.saturating_sub(self.closed.len());
        self.closed.extend(names.into_iter().take(room));
    }

    /// Something has happened in the folder: the scan waits until it is quiet, but not for long. `None`: bytes were
    /// written and nothing else, which needs no scan so soon.
    pub(super) fn gather(&mut self, now: Instant, writing_only: bool) -> Option<Gathering> {
        if writing_only && self.gathering.is_none() {
            return None;
        }
        let (first, before) = self.gathering.unwrap_or((now, now));
        let until = (now + GATHER).min(first + LONGEST_GATHER);
        self.gathering = Some((first, until));
        Some(Gathering { before, until })
    }

    pub(super) fn request_scan(&mut self) -> ScanRequest {
        match &mut self.job {
            Job::Unregistered => ScanRequest::Refused,
            Job::Idle(_) => ScanRequest::PutOnAgenda,
            Job::Scanning { again } => {
                *again = true;
                ScanRequest::FollowsScan
            }
        }
    }

    /// It was moved away or removed. Gives back which folder was watched.
    pub(super) fn lose_watch(&mut self) -> Option<Identity> {
        self.watch_lost |= self.watch.is_some();
        self.watch.take()
    }

    pub(super) fn set_presence(&mut self, presence: Presence) {
        self.presence_changed |= self.presence != presence;
        self.presence = presence;
    }

    pub(super) fn is_first_scan_pending(&self) -> bool {
        self.first_scan != FirstScan::Done
    }

    /// Which folder it is, if nobody has looked into it yet and no event told of it.
    pub(super) fn untouched(&self) -> Option<Identity> {
        let is_new = self.first_scan == FirstScan::Due && self.closed.is_empty();
        match self.presence {
            Presence::Listed(identity) if is_new && self.gathering.is_none() => identity,
            Presence::Listed(_) | Presence::Removed => None,
        }
    }

    fn is_polled(&self) -> bool {
        self.watch.is_none() && !self.is_first_scan_pending()
    }

    fn is_forgotten(&self) -> bool {
        matches!(self.job, Job::Unregistered) && self.presence == Presence::Removed
    }
}

impl TrackedFolders {
    pub(super) fn get(&self, path: &Path) -> Option<&TrackedFolder> {
        self.folders.get(path)
    }

    /// The folders that were there, or configured, at the last discovery.
    pub(super) fn listed(&self) -> impl Iterator<Item = &TrackedFolder> {
        self.folders.values().filter(|folder| folder.presence != Presence::Removed)
    }

    /// On which device the last discovery found it.
    pub(super) fn device(&self, path: &Path) -> Option<u64> {
        match self.get(path)?.presence {
            Presence::Listed(identity) => identity.map(|(device, _)| device),
            Presence::Removed => None,
        }
    }

    /// Those that cannot be read, and why.
    pub(super) fn unreadable(&self) -> impl Iterator<Item = (&Path, &str)> {
        self.folders.iter().filter_map(|(path, folder)| Some((&**path, folder.unreadable.as_deref()?)))
    }

    pub(super) fn totals(&self) -> Totals {
        self.totals
    }

    /// Was the folder there, or configured, at the last discovery?
    pub(super) fn is_listed(&self, path: &Path) -> bool {
        self.get(path).is_some_and(|folder| folder.presence != Presence::Removed)
    }

    /// The brands whose folders the last discovery found to be removed, and those folders, which are scanned once more.
    pub(super) fn removed_just_now(&self) -> Vec<(BrandKey, PathBuf)> {
        let removed = |folder: &TrackedFolder| {
            let is_registered = !matches!(folder.job, Job::Unregistered);
            folder.presence_changed && folder.presence == Presence::Removed && is_registered
        };
        let removed = self.folders.iter().filter(|(_, folder)| removed(folder));
        removed.map(|(path, folder)| (folder.brand, path.clone())).collect()
    }

    /// The folders of these brands that are there, or configured.
    pub(super) fn folders_of(&self, brands: &HashSet<BrandKey>) -> HashMap<BrandKey, Vec<PathBuf>> {
        let mut folders: HashMap<_, Vec<_>> = HashMap::new();
        let wanted =
            |folder: &TrackedFolder| folder.presence != Presence::Removed && brands.contains(&folder.brand);
        for (path, folder) in self.folders.iter().filter(|(_, folder)| wanted(folder)) {
            folders.entry(folder.brand).or_default().push(path.clone());
        }
        folders
    }

    pub(super) fn is_unregistered(&self, path: &Path) -> bool {
        self.get(path).is_some_and(|folder| matches!(folder.job, Job::Unregistered))
    }

    /// May a scan of it begin?
    pub(super) fn is_idle(&self, path: &Path) -> bool {
        self.get(path).is_some_and(|folder| matches!(folder.job, Job::Idle(_)))
    }

    /// Whose folder it is; `None` while it is being scanned, too.
    pub(super) fn brand(&self, path: &Path) -> Option<BrandRow> {
        match &self.get(path)?.job {
            Job::Idle(folder) => Some(folder.brand),
            Job::Unregistered | Job::Scanning { .. } => None,
        }
    }

    /// Changes one folder. `None`: there is none at this path.
    pub(super) fn update<T>(
        &mut self,
        path: &Path,
        change: impl FnOnce(&mut TrackedFolder) -> T,
    ) -> Option<T> {
        let folder = self.folders.get_mut(path)?;
        self.totals.subtract(folder);
        let result = change(folder);
        self.totals.add(folder);
        Some(result)
    }

    /// Changes all folders.
    pub(super) fn update_all(&mut self, mut change: impl FnMut(&Path, &mut TrackedFolder)) {
        self.folders.iter_mut().for_each(|(path, folder)| change(path, folder));
        self.count();
    }

    pub(super) fn remove(&mut self, path: &Path) {
        if let Some(folder) = self.folders.remove(path) {
            self.totals.subtract(&folder);
        }
    }

    /// Takes over what a discovery found. Where `is_unknown` says so it found out nothing, and all stays as it was.
    pub(super) fn set_presence(&mut self, found: &[BrandFolder], is_unknown: impl Fn(&Path) -> bool) {
        for folder in found {
            self.folders.entry(folder.path.clone()).or_insert_with(|| TrackedFolder::new(folder.brand));
        }
        let found: HashMap<_, _> = found.iter().map(|folder| (&*folder.path, folder.identity)).collect();
        self.update_all(|path, folder| match found.get(path) {
            Some(identity) => folder.set_presence(Presence::Listed(*identity)),
            None if is_unknown(path) => {}
            None => folder.set_presence(Presence::Removed),
        });
        self.folders.retain(|_, folder| !folder.is_forgotten());
        self.count();
    }

    /// Hands the folder out, to be scanned. `None`: it is not idle.
    pub(super) fn begin_scan(&mut self, path: &Path) -> Option<Box<Folder>> {
        let begin = |tracked: &mut TrackedFolder| match std::mem::replace(
            &mut tracked.job,
            Job::Scanning { again: false },
        ) {
            Job::Idle(mut folder) => {
                folder.removed = tracked.presence == Presence::Removed;
                folder.stability.closed(std::mem::take(&mut tracked.closed));
                tracked.gathering = None;
                Some(folder)
            }
            other => {
                tracked.job = other;
                None
            }
        };
        self.update(path, begin).flatten()
    }

    fn count(&mut self) {
        self.totals = Totals::default();
        self.folders.values().for_each(|folder| self.totals.add(folder));
    }
}

impl Totals {
    fn add(&mut self, folder: &TrackedFolder) {
        self.scanning += usize::from(matches!(folder.job, Job::Scanning { .. }));
        self.watched += usize::from(folder.watch.is_some());
        self.polled += usize::from(folder.is_polled());
        self.first_scans_pending += usize::from(folder.is_first_scan_pending());
        self.incomplete += folder.incomplete;
        self.unreadable += usize::from(folder.unreadable.is_some());
    }

    fn subtract(&mut self, folder: &TrackedFolder) {
        self.scanning -= usize::from(matches!(folder.job, Job::Scanning { .. }));
        self.watched -= usize::from(folder.watch.is_some());
        self.polled -= usize::from(folder.is_polled());
        self.first_scans_pending -= usize::from(folder.is_first_scan_pending());
        self.incomplete -= folder.incomplete;
        self.unreadable -= usize::from(folder.unreadable.is_some());
    }
}

#[cfg(test)]
mod tests;
