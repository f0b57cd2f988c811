//! One connection, as those see it who serve it: where it comes from, and what it is doing.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::origin::Origin;

/// A connection of a client.
#[derive(Debug, Clone)]
pub(super) struct Connection(Arc<ConnectionState>);

#[derive(Debug)]
struct ConnectionState {
    peer: IpAddr,
    origin: Origin,
    requests: AtomicUsize,
    authenticated: AtomicBool,
    /// Since when the server has been waiting for the client.
    waiting: Mutex<Option<Instant>>,
    /// Notified at the end of a request.
    request_done: Arc<Notify>,
}

/// A request in progress.
pub(super) struct RequestGuard(Connection);

impl Connection {
    pub(super) fn new(peer: IpAddr, origin: Origin, request_done: &Arc<Notify>) -> Self {
        Self(Arc::new(ConnectionState {
            peer: peer.to_canonical(),
            origin,
            requests: AtomicUsize::new(0),
            authenticated: AtomicBool::new(false),
            waiting: Mutex::new(None),
            request_done: request_done.clone(),
        }))
    }

    /// Does it come from this machine?
    pub(super) fn is_local(&self) -> bool {
        self.0.peer.is_loopback()
    }

    pub(super) fn origin(&self) -> Origin {
        self.0.origin
    }

    /// Its client has shown the token.
    pub(super) fn mark_authenticated(&self) {
        self.0.authenticated.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_authenticated(&self) -> bool {
        self.0.authenticated.load(Ordering::Relaxed)
    }

    /// The server waits for the client, or not any more.
    pub(super) fn set_waiting(&self, waiting: bool) {
        let mut since = self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        *since = waiting.then(|| since.unwrap_or_else(Instant::now));
    }

    /// How long the server has been waiting for the client, if it is.
    pub(super) fn idle_for(&self) -> Option<Duration> {
        let since = *self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        since.filter(|_| self.0.requests.load(Ordering::Relaxed) == 0).map(|since| since.elapsed())
    }

    #[cfg(test)]
    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    pub(super) fn begin_request(&self) -> RequestGuard {
        self.0.requests.fetch_add(1, Ordering::Relaxed);
        RequestGuard(self.clone())
    }
}

impl Drop for RequestGuard {
    fn drop(&mut self) {
        self.0.0.requests.fetch_sub(1, Ordering::Relaxed);
        self.0.0.request_done.notify_one();
    }
}
