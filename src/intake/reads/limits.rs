//! How many reads a file system has at a time, and how many of them are of one folder. Reads that take long go on
//! beside the threads, but only a few may, and they stay in their folder's number.

use std::sync::Arc;

use tokio::sync::OwnedSemaphorePermit;

use super::places::{Count, Counted, Places};

/// It takes slow files in so many folders at a time to hold up the rest of their file system.
pub(super) const SLOW_FOLDERS: usize = 8;

/// So many stuck reads of one file system may go on beside its threads.
const MOST_STUCK: usize = 32;

/// The threads that read from a file system, and what goes on beside them.
#[derive(Debug)]
pub(super) struct FileSystem {
    threads: Places,
    slow: Count,
    most_slow: usize,
    stuck: Count,
}

/// The reads of a folder's files, on whatever file systems.
#[derive(Debug)]
pub(super) struct FolderReads {
    places: Places,
}

impl FileSystem {
    /// There is one thread more than a folder may have, and room for the slow reads of some folders.
    pub(super) fn new(most_of_folder: usize) -> Self {
        Self {
            threads: Places::new(most_of_folder + 1),
            slow: Count::default(),
            most_slow: SLOW_FOLDERS * most_of_folder,
            stuck: Count::default(),
        }
    }
}

impl FolderReads {
    /// So many of its files are read at a time, slow ones among them.
    pub(super) fn new(most: usize) -> Self {
        Self { places: Places::new(most) }
    }
}

/// Whose limits hold for a read.
#[derive(Debug, Clone)]
pub(super) struct Limits {
    pub(super) file_system: Arc<FileSystem>,
    pub(super) folder: Arc<FolderReads>,
}

/// The right to read: a place of the folder, and a thread of the file system.
#[derive(Debug)]
pub(super) struct Permit {
    place: OwnedSemaphorePermit,
    thread: OwnedSemaphorePermit,
}

impl Limits {
    /// Waits for both, but not for reads that take long.
    pub(super) async fn permit(&self) -> Option<Permit> {
        let place = self.folder.places.take().await?;
        let thread = self.file_system.threads.take().await?;
        Some(Permit { place, thread })
    }
}

/// What a read that is not brief holds.
#[derive(Debug)]
pub(super) enum Holding<'a> {
    /// A place of its folder, and a thread, for which others wait: there are too many slow ones already.
    Thread { place: Place<'a>, thread: OwnedSemaphorePermit, slow: Counted<'a> },
    /// A place of its folder only.
    Slow { place: Place<'a>, _slow: Counted<'a> },
    /// Neither: perhaps it never ends.
    Stuck { _stuck: Counted<'a> },
}

/// A place of a folder; counted among those of slow reads when the folder's other files are not to wait for it.
#[derive(Debug)]
pub(super) struct Place<'a> {
    _place: OwnedSemaphorePermit,
    slow: Option<Counted<'a>>,
}

impl<'a> Holding<'a> {
    /// Its thread is free for others, if there is room beside the threads.
    pub(super) fn slow(limits: &'a Limits, permit: Permit) -> Self {
        let place = Place { _place: permit.place, slow: None };
        let keep = Holding::Thread { place, thread: permit.thread, slow: limits.file_system.threads.slow() };
        keep.or_slow(limits)
    }

    fn or_slow(self, limits: &'a Limits) -> Self {
        let room = || limits.file_system.slow.one_more(limits.file_system.most_slow);
        match self {
            Holding::Thread { place, thread, slow } => match room() {
                Some(room) => Holding::Slow { place, _slow: room },
                None => Holding::Thread { place, thread, slow },
            },
            other => other,
        }
    }

    /// Nobody waits for it any more.
    pub(super) fn or_very_slow(self, limits: &'a Limits) -> Self {
        let mut holding = self.or_slow(limits);
        if let Holding::Thread { place, .. } | Holding::Slow { place, .. } = &mut holding {
            place.slow.get_or_insert_with(|| limits.folder.places.slow());
        }
        holding
    }

    pub(super) fn or_stuck(self, limits: &'a Limits) -> Self {
        match self {
            Holding::Stuck { .. } => self,
            other => match limits.file_system.stuck.one_more(MOST_STUCK) {
                Some(stuck) => Holding::Stuck { _stuck: stuck },
                None => other,
            },
        }
    }
}
