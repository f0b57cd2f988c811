//! Which folder is scanned when. Folders in which something has just happened come before those that are scanned to be
//! sure: the first file of a new brand does not wait for ten thousand folders.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::time::Instant;

/// Every so many scans, one is taken that is not urgent, if it is due: those do not wait for ever.
const TURN: u64 = 4;

/// At most one appointment a folder: the earliest that was asked for.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    urgent: BTreeSet<(Instant, Arc<Path>)>,
    routine: BTreeSet<(Instant, Arc<Path>)>,
    by_folder: HashMap<Arc<Path>, (Instant, Priority)>,
    taken: u64,
}

/// Why a folder is scanned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Priority {
    /// To be sure: a discovery, a poll.
    Routine,
    /// Something has happened in it, or is waited for.
    Urgent,
}

/// A folder whose scan is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Due {
    pub(super) folder: PathBuf,
    pub(super) at: Instant,
    pub(super) priority: Priority,
}

impl Agenda {
    /// The folder is scanned at `at` or earlier.
    pub(super) fn add(&mut self, folder: &Path, at: Instant, priority: Priority) {
        let before = self.by_folder.get(folder).copied();
        if before.is_some_and(|(before, was)| before <= at && was >= priority) {
            return;
        }
        self.remove(folder);
        let (at, priority) =
            before.map_or((at, priority), |(before, was)| (before.min(at), was.max(priority)));
        let folder: Arc<Path> = folder.into();
        self.by_folder.insert(folder.clone(), (at, priority));
        self.list(priority).insert((at, folder));
    }

    /// If the folder is to be scanned at `from` because something happened in it, it is scanned at `to`.
    pub(super) fn put_off(&mut self, folder: &Path, from: Instant, to: Instant) {
        if self.by_folder.get(folder) == Some(&(from, Priority::Urgent)) {
            self.remove(folder);
            self.add(folder, to, Priority::Urgent);
        }
    }

    /// The folder needs no scan any more.
    pub(super) fn remove(&mut self, folder: &Path) {
        if let Some((folder, (at, priority))) = self.by_folder.remove_entry(folder) {
            self.list(priority).remove(&(at, folder));
        }
    }

    /// When the next scan is due that is at least so urgent.
    pub(super) fn next(&self, least: Priority) -> Option<Instant> {
        let routine = self.routine.first().filter(|_| least == Priority::Routine);
        self.urgent.first().into_iter().chain(routine).map(|(at, _)| *at).min()
    }

    /// Takes the folder that has been due for longest, among those that are at least so urgent.
    pub(super) fn take_due(&mut self, now: Instant, least: Priority) -> Option<Due> {
        let urgent = || first_due(&self.urgent, Priority::Urgent, now);
        let routine =
            || first_due(&self.routine, Priority::Routine, now).filter(|_| least == Priority::Routine);
        let due = match self.taken % TURN {
            0 => routine().or_else(urgent),
            _ => urgent().or_else(routine),
        }?;
        self.taken += 1;
        self.remove(&due.folder);
        Some(due)
    }

    /// The folder that is scanned next to be sure, if it is due.
    pub(super) fn next_routine(&self, now: Instant) -> Option<PathBuf> {
        first_due(&self.routine, Priority::Routine, now).map(|due| due.folder)
    }

    /// The folders that are scanned to be sure, in their order.
    pub(super) fn routine(&self) -> impl Iterator<Item = &Path> {
        self.routine.iter().map(|(_, folder)| &**folder)
    }

    fn list(&mut self, priority: Priority) -> &mut BTreeSet<(Instant, Arc<Path>)> {
        match priority {
            Priority::Urgent => &mut self.urgent,
            Priority::Routine => &mut self.routine,
        }
    }
}

fn first_due(list: &BTreeSet<(Instant, Arc<Path>)>, priority: Priority, now: Instant) -> Option<Due> {
    let (at, folder) = list.first().filter(|(at, _)| *at <= now)?;
    Some(Due { folder: folder.to_path_buf(), at: *at, priority })
}

#[cfg(test)]
mod tests {
    use super::Priority::{Routine, Urgent};
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_earliest_appointment_counts_and_is_kept_once() {
        let now = Instant::now();
        let later = now + Duration::from_secs(9);
        let mut agenda = Agenda::default();
        agenda.add(Path::new("a"), later, Routine);
        agenda.add(Path::new("b"), now, Routine);
        agenda.add(Path::new("a"), now + Duration::from_secs(1), Routine);
        agenda.add(Path::new("a"), later, Routine);
        assert_eq!(agenda.next(Routine), Some(now));
        assert_eq!(agenda.next(Urgent), None);
        let due = |folder: &str, at| Some(Due { folder: folder.into(), at, priority: Routine });
        assert_eq!(agenda.take_due(now, Routine), due("b", now));
        assert_eq!(agenda.take_due(now, Routine), None);
        assert_eq!(agenda.take_due(later, Routine), due("a", now + Duration::from_secs(1)));
        assert_eq!(agenda.next(Routine), None);
    }

    #[test]
    fn what_just_happened_comes_first_and_the_rest_is_not_forgotten() {
        let now = Instant::now();
        let later = now + Duration::from_secs(9);
        let mut agenda = Agenda::default();
        for name in ["a", "b", "c"] {
            agenda.add(Path::new(name), now, Routine);
        }
        agenda.add(Path::new("c"), later, Urgent);
        for name in ["w", "x", "y", "z"] {
            agenda.add(Path::new(name), later, Urgent);
        }
        let taken: Vec<_> =
            std::iter::from_fn(|| agenda.take_due(later, Routine)).map(|due| due.folder).collect();
        assert_eq!(taken, ["a", "c", "w", "x", "b", "y", "z"].map(PathBuf::from));
    }
}
