//! How far a read is, seen from outside: the bytes that its thread has got.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

thread_local! {
    /// The count of the read that this thread does.
    static CURRENT: RefCell<Option<ByteCount>> = const { RefCell::new(None) };
}

/// How many bytes a read has got so far.
#[derive(Debug, Clone, Default)]
pub(super) struct ByteCount(Arc<AtomicU64>);

impl ByteCount {
    /// Counts what the work reads on this thread.
    pub(super) fn during<T>(&self, work: impl FnOnce() -> T) -> T {
        CURRENT.set(Some(self.clone()));
        let done = work();
        CURRENT.take();
        done
    }

    pub(super) fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The read that this thread does has got so many bytes more.
pub(super) fn advance(bytes: usize) {
    CURRENT.with_borrow(|current| {
        if let Some(ByteCount(count)) = current {
            count.fetch_add(bytes as u64, Ordering::Relaxed);
        }
    });
}
