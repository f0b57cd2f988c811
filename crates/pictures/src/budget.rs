//! How much memory pictures may take together, whoever works on them.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Whoever keeps a share for so long reads from a file system that does not answer: others are not made to wait for it.
const STUCK: Duration = Duration::from_secs(30);

/// Memory that is shared by all who work on pictures, in bytes. A clone is the same budget.
#[derive(Debug, Clone)]
pub struct Budget(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    whole: u64,
    state: Mutex<State>,
    returned: Condvar,
}

#[derive(Debug, Default)]
struct State {
    taken: u64,
    /// How often a share came back.
    returns: u64,
}

impl Budget {
    /// A budget of so many bytes.
    pub fn new(bytes: u64) -> Self {
        Self(Arc::new(Inner { whole: bytes, state: Mutex::default(), returned: Condvar::new() }))
    }

    /// Waits until so many bytes are free; `None` when there are never so many. When nothing comes back for half a
    /// minute, more is taken than there is: that costs memory, and waiting would stop everything.
    pub fn take(&self, bytes: u64) -> Option<Share> {
        if bytes > self.0.whole {
            return None;
        }
        let mut state = self.0.lock();
        while state.taken + bytes > self.0.whole {
            let before = state.returns;
            let waited = self.0.returned.wait_timeout_while(state, STUCK, |state| state.returns == before);
            let (later, result) = waited.unwrap_or_else(PoisonError::into_inner);
            state = later;
            if result.timed_out() {
                break;
            }
        }
        state.taken += bytes;
        Some(Share { budget: self.0.clone(), bytes })
    }

    /// Takes so many bytes if they are free now.
    pub fn try_take(&self, bytes: u64) -> Option<Share> {
        let mut state = self.0.lock();
        if state.taken.saturating_add(bytes) > self.0.whole {
            return None;
        }
        state.taken += bytes;
        Some(Share { budget: self.0.clone(), bytes })
    }

    /// Bytes that nobody uses now.
    pub fn free(&self) -> u64 {
        self.0.whole.saturating_sub(self.0.lock().taken)
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A share of the budget, given back when dropped.
#[derive(Debug)]
pub struct Share {
    budget: Arc<Inner>,
    bytes: u64,
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut state = self.budget.lock();
        state.taken -= self.bytes;
        state.returns += 1;
        drop(state);
        self.budget.returned.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_comes_back() {
        let budget = Budget::new(100);
        let share = budget.take(100).unwrap();
        assert_eq!(budget.free(), 0);
        assert!(budget.try_take(1).is_none());
        drop(share);
        assert_eq!(budget.free(), 100);
        assert!(budget.try_take(100).is_some());
        assert!(budget.take(101).is_none());
    }

    #[test]
    fn who_waits_goes_on_when_a_share_comes_back() {
        let budget = Budget::new(100);
        let share = budget.take(80).unwrap();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| budget.take(50).is_some());
            drop(share);
            assert!(waiting.join().unwrap());
        });
        assert_eq!(budget.free(), 100);
    }
}
