//! How much memory pictures may take together, whoever works on them.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// When nothing comes back for so long, its holders are reading from file systems that do not answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// Memory that is shared by all who work on pictures, in bytes. A clone is the same budget.
#[derive(Debug, Clone)]
pub struct Budget {
    inner: Arc<Inner>,
    waits: bool,
    owner: Owner,
}

/// Whose pictures they are that a share is for.
type Owner = u64;

#[derive(Debug)]
struct Inner {
    whole: u64,
    patience: Duration,
    state: Mutex<State>,
    returned: Condvar,
}

#[derive(Debug, Default)]
struct State {
    taken: u64,
    /// Of that, by those who have any.
    by_owner: HashMap<Owner, u64>,
    /// How often a share came back.
    returns: u64,
}

/// Why there is no share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lack {
    /// There is never so much.
    TooMuch,
    /// Others have it, and (who waits) have given nothing back for half a minute.
    NotNow,
}

impl Budget {
    /// A budget of so many bytes.
    pub fn new(bytes: u64) -> Self {
        Self::with_patience(bytes, PATIENCE)
    }

    /// As above; who takes a share waits so long for the next one to come back.
    pub fn with_patience(bytes: u64, patience: Duration) -> Self {
        let inner = Inner { whole: bytes, patience, state: Mutex::default(), returned: Condvar::new() };
        Self { inner: Arc::new(inner), waits: true, owner: 0 }
    }

    /// The same budget, for a thread that may have shares already: two of those could wait for each other, so it does not.
    #[must_use]
    pub fn without_waiting(&self) -> Self {
        Self { waits: false, ..self.clone() }
    }

    /// The same budget, for the pictures of this owner (a folder): beside one share of any size it has no more than half of the
    /// whole, so that it leaves some to the others.
    #[must_use]
    pub fn of(&self, owner: u64) -> Self {
        Self { owner, ..self.clone() }
    }

    /// Waits until so many bytes are free. A thread that has a share must not wait for another one.
    ///
    /// # Errors
    /// When there are never so many, or nothing comes back.
    pub fn take(&self, bytes: u64) -> Result<Share, Lack> {
        if bytes > self.inner.whole {
            return Err(Lack::TooMuch);
        }
        if !self.waits {
            return self.try_take(bytes).ok_or(Lack::NotNow);
        }
        let mut state = self.inner.lock();
        while !self.inner.has(&state, self.owner, bytes) {
            let before = state.returns;
            let nothing_came = |state: &mut State| state.returns == before;
            let waited = self.inner.returned.wait_timeout_while(state, self.inner.patience, nothing_came);
            let (later, result) = waited.unwrap_or_else(PoisonError::into_inner);
            state = later;
            if result.timed_out() {
                return Err(Lack::NotNow);
            }
        }
        Ok(self.share(&mut state, bytes))
    }

    /// Takes so many bytes if they are free now.
    pub fn try_take(&self, bytes: u64) -> Option<Share> {
        let mut state = self.inner.lock();
        self.inner.has(&state, self.owner, bytes).then(|| self.share(&mut state, bytes))
    }

    fn share(&self, state: &mut State, bytes: u64) -> Share {
        state.taken += bytes;
        *state.by_owner.entry(self.owner).or_default() += bytes;
        Share { budget: self.inner.clone(), owner: self.owner, bytes }
    }

    /// Bytes that nobody uses now.
    pub fn free(&self) -> u64 {
        self.inner.whole.saturating_sub(self.inner.lock().taken)
    }
}

impl Inner {
    /// Are so many bytes free for this owner?
    fn has(&self, state: &State, owner: Owner, bytes: u64) -> bool {
        let owns = state.by_owner.get(&owner).copied().unwrap_or_default();
        let leaves_some = owns == 0 || owns.saturating_add(bytes) <= self.whole / 2;
        leaves_some && state.taken.saturating_add(bytes) <= self.whole
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A share of the budget, given back when dropped.
#[derive(Debug)]
pub struct Share {
    budget: Arc<Inner>,
    owner: Owner,
    bytes: u64,
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut state = self.budget.lock();
        state.taken -= self.bytes;
        if let Some(owns) = state.by_owner.get_mut(&self.owner) {
            *owns -= self.bytes;
            if *owns == 0 {
                state.by_owner.remove(&self.owner);
            }
        }
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
        assert_eq!(budget.take(101).unwrap_err(), Lack::TooMuch);
    }

    /// More than there is was handed out once nothing had come back for half a minute.
    #[test]
    fn never_is_more_taken_than_there_is() {
        let budget = Budget::with_patience(100, Duration::from_millis(1));
        let share = budget.take(60).unwrap();
        assert_eq!(budget.take(50).unwrap_err(), Lack::NotNow);
        assert_eq!(budget.free(), 40);
        drop(share);
        assert!(budget.take(50).is_ok());
    }

    #[test]
    fn who_does_not_wait_is_told_so() {
        let budget = Budget::new(100);
        let share = budget.take(80).unwrap();
        assert_eq!(budget.without_waiting().take(50).unwrap_err(), Lack::NotNow);
        assert_eq!(budget.without_waiting().take(101).unwrap_err(), Lack::TooMuch);
        drop(share);
        assert!(budget.without_waiting().take(100).is_ok());
    }

    /// One folder's costly pictures took all there was, and all others waited.
    #[test]
    fn one_owner_leaves_some_to_the_others() {
        let budget = Budget::with_patience(96, Duration::from_millis(1));
        let (one, other) = (budget.of(1), budget.of(2));
        let large = one.take(50).unwrap();
        assert_eq!(one.take(1).unwrap_err(), Lack::NotNow, "beside one of more than half there is none");
        assert!(one.try_take(1).is_none());
        let rest = other.take(46).unwrap();
        assert_eq!(other.take(1).unwrap_err(), Lack::NotNow);
        drop((large, rest));
        let shares: Vec<_> = (0..4).map_while(|_| one.try_take(16)).collect();
        assert_eq!(shares.len(), 3, "several small ones are half of it together");
        drop(shares);
        assert_eq!(budget.free(), 96);
        assert!(one.take(96).is_ok(), "one of any size");
    }

    #[test]
    fn who_waits_goes_on_when_a_share_comes_back() {
        let budget = Budget::new(100);
        let share = budget.take(80).unwrap();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| budget.take(50).is_ok());
            drop(share);
            assert!(waiting.join().unwrap());
        });
        assert_eq!(budget.free(), 100);
    }
}
