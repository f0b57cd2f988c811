//! Which folder is to be looked at when.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::time::Instant;

/// At most one appointment a folder: the earliest that was asked for.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    by_time: BTreeSet<(Instant, Arc<Path>)>,
    by_folder: HashMap<Arc<Path>, Instant>,
}

impl Agenda {
    /// The folder is to be looked at by `at`.
    pub(super) fn add(&mut self, folder: &Path, at: Instant) {
        if self.by_folder.get(folder).is_some_and(|before| *before <= at) {
            return;
        }
        self.remove(folder);
        let folder: Arc<Path> = folder.into();
        self.by_folder.insert(folder.clone(), at);
        self.by_time.insert((at, folder));
    }

    /// The folder needs no look any more.
    pub(super) fn remove(&mut self, folder: &Path) {
        if let Some((folder, at)) = self.by_folder.remove_entry(folder) {
            self.by_time.remove(&(at, folder));
        }
    }

    /// When the next look is due.
    pub(super) fn next(&self) -> Option<Instant> {
        self.by_time.first().map(|(at, _)| *at)
    }

    /// Takes the folder that has been due for longest.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<PathBuf> {
        let (_, folder) = self.by_time.first().filter(|(at, _)| *at <= now)?;
        let folder = folder.to_path_buf();
        self.remove(&folder);
        Some(folder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_earliest_appointment_counts_and_is_kept_once() {
        let now = Instant::now();
        let later = now + Duration::from_secs(9);
        let mut agenda = Agenda::default();
        agenda.add(Path::new("a"), later);
        agenda.add(Path::new("b"), now);
        agenda.add(Path::new("a"), now + Duration::from_secs(1));
        agenda.add(Path::new("a"), later);
        assert_eq!(agenda.next(), Some(now));
        assert_eq!(agenda.take_due(now), Some(PathBuf::from("b")));
        assert_eq!(agenda.take_due(now), None);
        assert_eq!(agenda.take_due(later), Some(PathBuf::from("a")));
        assert_eq!(agenda.next(), None);
    }
}
