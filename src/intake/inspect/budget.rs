//! How much memory decoders may use together.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Pixels that fit at once: enough for one picture of 33 megapixels in RGB. A larger one is not decoded; its
/// structure is checked all the same.
pub(super) const BYTES: u64 = 96 << 20;

/// Bytes that are not used by any decoder right now.
#[derive(Debug)]
pub(super) struct Budget {
    free: Mutex<u64>,
    returned: Condvar,
}

impl Default for Budget {
    fn default() -> Self {
        Self { free: Mutex::new(BYTES), returned: Condvar::new() }
    }
}

impl Budget {
    /// Waits until so many bytes are free; `None` when there are never so many.
    pub(super) fn take(&self, bytes: u64) -> Option<Share<'_>> {
        if bytes > BYTES {
            return None;
        }
        let enough = |free: &mut u64| *free < bytes;
        let mut free = self.returned.wait_while(self.lock(), enough).unwrap_or_else(PoisonError::into_inner);
        *free -= bytes;
        Some(Share { budget: self, bytes })
    }

    fn lock(&self) -> MutexGuard<'_, u64> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A share of the budget, given back when dropped.
#[derive(Debug)]
pub(super) struct Share<'a> {
    budget: &'a Budget,
    bytes: u64,
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        *self.budget.lock() += self.bytes;
        self.budget.returned.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_comes_back() {
        let budget = Budget::default();
        let share = budget.take(BYTES).unwrap();
        assert_eq!(*budget.lock(), 0);
        drop(share);
        assert_eq!(*budget.lock(), BYTES);
        assert!(budget.take(BYTES + 1).is_none());
    }
}
