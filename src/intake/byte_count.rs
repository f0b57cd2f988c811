//! How far a read is, seen from outside: the bytes that its thread has got.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// How many bytes a read has got so far.
#[derive(Debug, Clone, Default)]
pub(crate) struct ByteCount(Arc<AtomicU64>);

impl ByteCount {
    /// Is it the same read's?
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// So many more.
    pub(super) fn advance(&self, bytes: usize) {
        self.0.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(super) fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
