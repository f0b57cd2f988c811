//! How many reads a file system has at a time, and how many of them are of one folder. Reads that take long go on
//! beside the threads, but only a few may.

use std::sync::Arc;

use tokio::sync::OwnedSemaphorePermit;

use super::places::{Count, Counted, Places};

/// So many reads of one file system may go on beside its threads: slow ones, and stuck ones.
pub(super) const MOST_SLOW: usize = 16;
const MOST_STUCK: usize = 32;

/// So many of the slow ones may be of one folder, beside those that keep its places and their threads.
pub(super) const MOST_SLOW_OF_FOLDER: usize = MOST_SLOW / 8;

/// The threads that read from a file system, and what goes on beside them.
#[derive(Debug)]
pub(super) struct FileSystem {
    threads: Places,
    slow: Count,
    stuck: Count,
}

/// The reads of a folder's files, on whatever file systems.
#[derive(Debug)]
pub(super) struct Folder {
    places: Places,
    slow: Count,
}

impl FileSystem {
    /// There is one thread more than a folder may have: the last one is always for another folder.
    pub(super) fn new(most_of_folder: usize) -> Self {
        Self { threads: Places::new(most_of_folder + 1), slow: Count::default(), stuck: Count::default() }
    }
}

impl Folder {
    /// So many of its files are read at a time, beside slow ones.
    pub(super) fn new(most: usize) -> Self {
        Self { places: Places::new(most), slow: Count::default() }
    }
}

/// Whose limits hold for a read.
#[derive(Debug, Clone)]
pub(super) struct Limits {
    pub(super) file_system: Arc<FileSystem>,
    pub(super) folder: Arc<Folder>,
}

/// The right to read: a place of the folder, and a thread of the file system.
#[derive(Debug)]
pub(super) struct Permit {
    _place: OwnedSemaphorePermit,
    _thread: OwnedSemaphorePermit,
}

impl Limits {
    /// Waits for both, but not for reads that take long.
    pub(super) async fn permit(&self) -> Option<Permit> {
        let place = self.folder.places.take().await?;
        let thread = self.file_system.threads.take().await?;
        Some(Permit { _place: place, _thread: thread })
    }
}

/// What a read that takes long holds.
pub(super) enum Holding<'a> {
    /// It keeps its place and its thread, for which others wait.
    Thread {
        _permit: Permit,
        _counts: [Option<Counted<'a>>; 2],
    },
    Slow {
        _counts: [Counted<'a>; 2],
    },
    Stuck {
        _count: Counted<'a>,
    },
}

impl<'a> Holding<'a> {
    pub(super) fn keep(limits: &'a Limits, permit: Permit) -> Self {
        let counts = [limits.folder.places.slow(), limits.file_system.threads.slow()];
        Holding::Thread { _permit: permit, _counts: counts }
    }

    pub(super) fn or_slow(self, limits: &'a Limits) -> Self {
        let slow = || {
            let of_folder = limits.folder.slow.one_more(MOST_SLOW_OF_FOLDER)?;
            Some([of_folder, limits.file_system.slow.one_more(MOST_SLOW)?])
        };
        match self {
            Holding::Thread { .. } => slow().map_or(self, |counts| Holding::Slow { _counts: counts }),
            other => other,
        }
    }

    pub(super) fn or_stuck(self, limits: &'a Limits) -> Self {
        match self {
            Holding::Stuck { .. } => self,
            _ => limits
                .file_system
                .stuck
                .one_more(MOST_STUCK)
                .map_or(self, |count| Holding::Stuck { _count: count }),
        }
    }
}
