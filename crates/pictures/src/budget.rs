//! How much memory pictures may take together, whoever works on them.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Memory that is shared by all who work on pictures, in bytes. A clone is the same budget.
#[derive(Debug, Clone)]
pub struct Budget(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    whole: u64,
    free: Mutex<u64>,
    returned: Condvar,
}

impl Budget {
    /// A budget of so many bytes.
    pub fn new(bytes: u64) -> Self {
        Self(Arc::new(Inner { whole: bytes, free: Mutex::new(bytes), returned: Condvar::new() }))
    }

    /// Waits until so many bytes are free; `None` when there are never so many.
    pub fn take(&self, bytes: u64) -> Option<Share> {
        if bytes > self.0.whole {
            return None;
        }
        let waiting = self.0.returned.wait_while(self.0.lock(), |free| *free < bytes);
        *waiting.unwrap_or_else(PoisonError::into_inner) -= bytes;
        Some(Share { budget: self.0.clone(), bytes })
    }

    /// Bytes that nobody uses now.
    pub fn free(&self) -> u64 {
        *self.0.lock()
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, u64> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
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
        *self.budget.lock() += self.bytes;
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
        drop(share);
        assert_eq!(budget.free(), 100);
        assert!(budget.take(101).is_none());
    }
}
