//! Where the simulation holds the daemon: before every transaction, and twice in every request.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::Waker;

use brandpost::ledger::{CommitHook, Committer, LedgerError, Result as LedgerResult};
use sandbox::{RequestHook, Service, Stage};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::faults::CommitFault;

/// Where somebody is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HoldPoint {
    Write(Committer),
    Cloud(Service, Stage),
}

/// Somebody who is held until released.
pub struct Held {
    pub at: HoldPoint,
    pub since: Instant,
    release: oneshot::Sender<Option<CommitFault>>,
}

impl Held {
    /// Lets it go on; `fault` becomes of its transaction.
    pub fn release(self, fault: Option<CommitFault>) {
        // whoever has gone away meanwhile needs no word
        let _ = self.release.send(fault);
    }
}

#[derive(Default)]
struct State {
    /// Nobody is held any more.
    open: bool,
    held: Option<Held>,
    waker: Option<Waker>,
    /// What becomes of the transaction that comes next.
    fault: Option<CommitFault>,
    /// A fault was handed out in this step.
    struck: bool,
    /// So many transactions were to be committed in this step.
    commits: u32,
}

#[derive(Default)]
pub struct HoldPoints(Mutex<State>);

impl fmt::Debug for HoldPoints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HoldPoints")
    }
}

impl HoldPoints {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// From now on nobody is held.
    pub fn open(&self) {
        self.lock().open = true;
    }

    /// A step begins.
    pub fn begin_step(&self) {
        let mut state = self.lock();
        (state.struck, state.commits) = (false, 0);
    }

    /// Whoever came to a hold since the last time; else the waker is called when somebody does.
    pub fn take_held(&self, waker: &Waker) -> Option<Held> {
        let mut state = self.lock();
        state.waker = Some(waker.clone());
        state.held.take()
    }

    /// Was a fault handed out in this step?
    pub fn has_struck(&self) -> bool {
        self.lock().struck
    }

    /// How many transactions were to be committed in this step?
    pub fn commits(&self) -> u32 {
        self.lock().commits
    }

    async fn hold(&self, at: HoldPoint) -> Option<CommitFault> {
        let released = {
            let mut state = self.lock();
            if state.open {
                return None;
            }
            let (release, released) = oneshot::channel();
            assert!(state.held.is_none(), "one at a time: {at:?}");
            state.held = Some(Held { at, since: Instant::now(), release });
            state.waker.take().into_iter().for_each(Waker::wake);
            released
        };
        match released.await {
            Ok(fault) => fault,
            // given up: it never goes on
            Err(_) => std::future::pending().await,
        }
    }

    pub fn request_hook(self: &Arc<Self>) -> RequestHook {
        let points = self.clone();
        Arc::new(move |service, stage| {
            let points = points.clone();
            Box::pin(async move {
                points.hold(HoldPoint::Cloud(service, stage)).await;
            })
        })
    }

    fn strike(&self, fault: CommitFault, message: &str) -> LedgerResult<()> {
        let mut state = self.lock();
        if state.fault != Some(fault) {
            return Ok(());
        }
        (state.fault, state.struck) = (None, true);
        // as SQLite's own errors, it passes by itself
        Err(LedgerError::from(sqlx::Error::Io(std::io::Error::other(message.to_owned()))))
    }
}

impl CommitHook for HoldPoints {
    fn begin(&self, committer: Committer) -> Pin<Box<dyn Future<Output = LedgerResult<()>> + Send + '_>> {
        Box::pin(async move {
            let fault = self.hold(HoldPoint::Write(committer)).await;
            self.lock().fault = fault;
            self.strike(CommitFault::Locked, "the database is locked")
        })
    }

    fn commit(&self) -> LedgerResult<()> {
        self.lock().commits += 1;
        self.strike(CommitFault::Full, "the disk is full")
    }

    fn committed(&self) -> LedgerResult<()> {
        self.strike(CommitFault::Doubtful, "the answer of the disk was lost")
    }
}
