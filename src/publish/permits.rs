//! Permits: how many attempts may begin now.
//!
//! At full load a permit that has just become free waits a moment for others: files that are claimed together share a
//! query and a commit.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// The longest that a free permit waits for others.
const GATHER: Duration = Duration::from_millis(5);

/// With so many permits in all, none waits.
const FEW: usize = 4;

/// The permits of the attempts.
#[derive(Debug)]
pub(super) struct Permits {
    total: usize,
    free: Arc<Semaphore>,
    given_back: Arc<Notify>,
    /// The first of those that are free became so then, if they wait for others.
    free_since: Option<Instant>,
}

/// The right to send one file at a time. It is given back when it is dropped.
#[derive(Debug)]
pub(super) struct Permit {
    permit: Option<OwnedSemaphorePermit>,
    given_back: Arc<Notify>,
}

impl Drop for Permit {
    fn drop(&mut self) {
        drop(self.permit.take());
        self.given_back.notify_one();
    }
}

impl Permits {
    /// So many files may be sent at a time.
    pub(super) fn new(total: usize) -> Self {
        Self { total, free: Arc::new(Semaphore::new(total)), given_back: Arc::default(), free_since: None }
    }

    /// How many attempts may begin now; or when to ask again, if none is given back before.
    pub(super) fn free(&mut self, now: Instant) -> Result<usize, Option<Instant>> {
        let free = self.free.available_permits();
        if free == 0 {
            self.free_since = None;
            return Err(None);
        }
        let enough = self.total <= FEW || free >= self.total / 4;
        let gathered = *self.free_since.get_or_insert(now) + GATHER;
        if !enough && now < gathered {
            return Err(Some(gathered));
        }
        self.free_since = None;
        Ok(free)
    }

    /// Takes one of those that are free.
    pub(super) fn take(&self) -> Permit {
        Permit { permit: self.free.clone().try_acquire_owned().ok(), given_back: self.given_back.clone() }
    }

    /// Resolves when one was given back.
    pub(super) async fn given_back(&self) {
        self.given_back.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_permits_wait_a_moment_for_others() {
        let (mut permits, now) = (Permits::new(16), Instant::now());
        assert_eq!(permits.free(now), Ok(16));
        let mut taken: Vec<_> = (0..16).map(|_| permits.take()).collect();
        assert_eq!(permits.free(now), Err(None));
        taken.truncate(15);
        assert_eq!(permits.free(now), Err(Some(now + GATHER)));
        taken.truncate(14);
        let later = now + GATHER / 2;
        assert_eq!(permits.free(later), Err(Some(now + GATHER)), "from the first one on");
        taken.truncate(12);
        assert_eq!(permits.free(later), Ok(4), "a quarter of them is enough");
        taken.extend((0..3).map(|_| permits.take()));
        assert_eq!(permits.free(later), Err(Some(later + GATHER)));
        assert_eq!(permits.free(later + GATHER), Ok(1), "the others may take their time");
    }

    #[test]
    fn with_few_of_them_none_waits() {
        let (mut permits, now) = (Permits::new(4), Instant::now());
        let taken: Vec<_> = (0..3).map(|_| permits.take()).collect();
        assert_eq!(permits.free(now), Ok(1));
        drop((taken, permits.take()));
        assert_eq!(permits.free(now), Ok(4));
    }

    #[tokio::test(start_paused = true)]
    async fn who_gives_one_back_wakes_whoever_waits_for_it() {
        let permits = Permits::new(1);
        let taken = permits.take();
        let wait = Duration::from_secs(1);
        assert!(tokio::time::timeout(wait, permits.given_back()).await.is_err());
        drop(taken);
        assert!(tokio::time::timeout(wait, permits.given_back()).await.is_ok());
    }
}
