//! Places that reads take and give back.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Who waits for a place asks this often whether those who have them take long.
pub(super) const ASK: Duration = Duration::from_secs(1);

/// So many reads may go on at a time.
#[derive(Debug)]
pub(super) struct Places {
    free: Arc<Semaphore>,
    /// How many there are.
    count: usize,
    /// Reads that take long and keep their place.
    slow: Count,
}

impl Places {
    pub(super) fn new(count: usize) -> Self {
        Self { free: Arc::new(Semaphore::new(count)), count, slow: Count::default() }
    }

    /// Waits for a place, but not when all are of those who take long: any other is free again soon.
    pub(super) async fn take(&self) -> Option<OwnedSemaphorePermit> {
        let mut place = std::pin::pin!(self.free.clone().acquire_owned());
        loop {
            let waits = self.slow.get() < self.count;
            let patience = if waits { ASK } else { Duration::ZERO };
            match tokio::time::timeout(patience, &mut place).await {
                Ok(place) => return place.ok(),
                Err(_) if waits => {}
                Err(_) => return None,
            }
        }
    }

    /// A read that has a place takes long.
    pub(super) fn slow(&self) -> Counted<'_> {
        self.slow.0.fetch_add(1, Ordering::Relaxed);
        Counted(&self.slow)
    }
}

/// How many there are of something.
#[derive(Debug, Default)]
pub(super) struct Count(AtomicUsize);

impl Count {
    fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// One more, if there are fewer than `most`.
    pub(super) fn one_more(&self, most: usize) -> Option<Counted<'_>> {
        let more = |count: usize| (count < most).then_some(count + 1);
        let counted = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        counted.ok().map(|_| Counted(self))
    }
}

/// One of them, until it is dropped.
#[derive(Debug)]
pub(super) struct Counted<'a>(&'a Count);

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}
