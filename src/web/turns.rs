//! One at a time, and origins in turn: who asks a lot waits behind himself.

use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::{Mutex as AsyncMutex, MutexGuard, OwnedMutexGuard};

use super::origin::Origin;

/// A lock for which one request of each origin waits; its others wait behind that one.
#[derive(Debug, Default)]
pub(super) struct Turns<T> {
    of_origins: Mutex<BTreeMap<Origin, Weak<AsyncMutex<()>>>>,
    /// Both locks are fair: they are had in the order in which they were asked for.
    shared: AsyncMutex<T>,
}

/// Held as long as the turn lasts.
pub(super) struct Turn<'a, T> {
    shared: MutexGuard<'a, T>,
    _own: OwnedMutexGuard<()>,
}

impl<T> Turns<T> {
    pub(super) fn new(shared: T) -> Self {
        Self { of_origins: Mutex::default(), shared: AsyncMutex::new(shared) }
    }

    /// Waits for a turn. Who stops waiting loses it, and holds up nobody.
    pub(super) async fn take(&self, origin: Origin) -> Turn<'_, T> {
        let own = self.of_origin(origin).lock_owned().await;
        Turn { shared: self.shared.lock().await, _own: own }
    }

    fn of_origin(&self, origin: Origin) -> Arc<AsyncMutex<()>> {
        let mut of_origins = self.of_origins.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = of_origins.get(&origin).and_then(Weak::upgrade) {
            return own;
        }
        of_origins.retain(|_, own| own.strong_count() > 0);
        let own = Arc::default();
        of_origins.insert(origin, Arc::downgrade(&own));
        own
    }
}

impl<T> Deref for Turn<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.shared
    }
}

impl<T> DerefMut for Turn<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.shared
    }
}
