//! The threads that read from one file system, and the reads that take long: they go on beside the threads, but only
//! a few may.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A caller that waits for a thread asks this often whether those who have them take long.
pub(super) const ASK: Duration = Duration::from_secs(1);

/// So many reads of one file system may go on beside its threads: slow ones, and stuck ones.
pub(super) const MOST_SLOW: usize = 4;
const MOST_STUCK: usize = 16;

/// The threads that read from a file system, and how it behaves.
#[derive(Debug)]
pub(super) struct FileSystem {
    threads: Arc<Semaphore>,
    /// Slow and stuck reads beside the threads, and slow ones on a thread.
    slow: AtomicUsize,
    stuck: AtomicUsize,
    slow_on_threads: AtomicUsize,
}

impl FileSystem {
    /// So many threads read side by side.
    pub(super) fn new(threads: usize) -> Self {
        Self {
            threads: Arc::new(Semaphore::new(threads)),
            slow: AtomicUsize::default(),
            stuck: AtomicUsize::default(),
            slow_on_threads: AtomicUsize::default(),
        }
    }

    /// Waits for a thread, but not for those who take long.
    pub(super) async fn thread(&self) -> Option<OwnedSemaphorePermit> {
        loop {
            if self.slow_on_threads.load(Ordering::Relaxed) > 0 {
                return self.threads.clone().try_acquire_owned().ok();
            }
            if let Ok(thread) = tokio::time::timeout(ASK, self.threads.clone().acquire_owned()).await {
                return thread.ok();
            }
        }
    }
}

/// What a read that takes long holds.
pub(super) enum Holding<'a> {
    /// It keeps one of the threads that others wait for.
    Thread {
        _thread: OwnedSemaphorePermit,
        _count: Option<Counted<'a>>,
    },
    Slow {
        _count: Counted<'a>,
    },
    Stuck {
        _count: Counted<'a>,
    },
}

impl<'a> Holding<'a> {
    pub(super) fn keep(file_system: &'a FileSystem, thread: OwnedSemaphorePermit) -> Self {
        Holding::Thread { _thread: thread, _count: Counted::new(&file_system.slow_on_threads, usize::MAX) }
    }

    pub(super) fn or_slow(self, file_system: &'a FileSystem) -> Self {
        match self {
            Holding::Thread { .. } => Counted::new(&file_system.slow, MOST_SLOW)
                .map_or(self, |count| Holding::Slow { _count: count }),
            other => other,
        }
    }

    pub(super) fn or_stuck(self, file_system: &'a FileSystem) -> Self {
        match self {
            Holding::Stuck { .. } => self,
            _ => Counted::new(&file_system.stuck, MOST_STUCK)
                .map_or(self, |count| Holding::Stuck { _count: count }),
        }
    }
}

/// One more, until it is dropped.
pub(super) struct Counted<'a>(&'a AtomicUsize);

impl<'a> Counted<'a> {
    fn new(count: &'a AtomicUsize, most: usize) -> Option<Self> {
        let more = |count: usize| (count < most).then_some(count + 1);
        count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok().then_some(Self(count))
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
