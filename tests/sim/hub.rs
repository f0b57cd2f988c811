//! Where the simulation holds the daemon: before every transaction, and twice in every request.

use std::fmt;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::Waker;

use brandpost::ledger::{CommitHook, LedgerError, Result as LedgerResult};
use brandpost::sim::{RequestHook, Service, Stage};
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

/// Where somebody is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    Write,
    Cloud(Service, Stage),
}

/// What becomes of the transaction that is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Go,
    /// The database is locked.
    Locked,
    /// The disk is full.
    Full,
    /// It is committed, but whoever did it is told that it failed.
    Doubtful,
}

/// Somebody who is held until told.
pub struct Held {
    pub at: At,
    pub since: Instant,
    pub go: oneshot::Sender<Verdict>,
}

#[derive(Default)]
struct State {
    /// Nobody is held any more.
    open: bool,
    held: Option<Held>,
    waker: Option<Waker>,
    verdict: Option<Verdict>,
    /// A failure was handed out.
    struck: bool,
}

/// Counts what is done, for a watcher in real time, who says when nothing is.
#[derive(Default)]
pub struct Pulse {
    beats: AtomicU64,
    stalled: Notify,
}

impl Pulse {
    pub fn beat(&self) {
        self.beats.fetch_add(1, Ordering::Relaxed);
    }

    pub fn count(&self) -> u64 {
        self.beats.load(Ordering::Relaxed)
    }

    pub fn stalled(&self) {
        self.stalled.notify_waiters();
    }

    pub async fn until_stalled(&self) {
        self.stalled.notified().await;
    }
}

#[derive(Default)]
pub struct Hub(Mutex<State>);

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hub")
    }
}

impl Hub {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    pub fn open(&self, open: bool) {
        self.lock().open = open;
    }

    /// Whoever came to a hold since the last time; else the waker is called when somebody does.
    pub fn take_held(&self, waker: &Waker) -> Option<Held> {
        let mut state = self.lock();
        state.waker = Some(waker.clone());
        state.held.take()
    }

    /// Was a failure handed out since the last time?
    pub fn take_struck(&self) -> bool {
        std::mem::take(&mut self.lock().struck)
    }

    async fn hold(&self, at: At) -> Verdict {
        let told = {
            let mut state = self.lock();
            if state.open {
                return Verdict::Go;
            }
            let (go, told) = oneshot::channel();
            assert!(state.held.is_none(), "one at a time: {at:?}");
            state.held = Some(Held { at, since: Instant::now(), go });
            state.waker.take().into_iter().for_each(Waker::wake);
            told
        };
        match told.await {
            Ok(verdict) => verdict,
            // given up: it never goes on
            Err(_) => std::future::pending().await,
        }
    }

    pub fn gate(self: &Arc<Self>) -> RequestHook {
        let hub = self.clone();
        Arc::new(move |service, stage| {
            let hub = hub.clone();
            Box::pin(async move {
                hub.hold(At::Cloud(service, stage)).await;
            })
        })
    }

    fn strike(&self, verdict: Verdict, words: &str) -> LedgerResult<()> {
        let mut state = self.lock();
        if state.verdict != Some(verdict) {
            return Ok(());
        }
        (state.verdict, state.struck) = (None, true);
        // as SQLite's own errors, it passes by itself
        Err(LedgerError::from(sqlx::Error::Io(std::io::Error::other(words.to_owned()))))
    }
}

impl CommitHook for Hub {
    fn begin(&self) -> Pin<Box<dyn Future<Output = LedgerResult<()>> + Send + '_>> {
        Box::pin(async {
            let verdict = self.hold(At::Write).await;
            self.lock().verdict = Some(verdict);
            self.strike(Verdict::Locked, "the database is locked")
        })
    }

    fn commit(&self) -> LedgerResult<()> {
        self.strike(Verdict::Full, "the disk is full")
    }

    fn committed(&self) -> LedgerResult<()> {
        self.strike(Verdict::Doubtful, "the answer of the disk was lost")
    }
}
