//! A watcher in real time: it sees when a step neither ends nor comes to a hold. Something of the program then waits for
//! a limit of its own (of a pool of connections, for one), which needs the clock to go on.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::Duration;

use tokio::sync::Notify;

/// No step takes so long.
const STALLED: Duration = Duration::from_secs(3);

/// After so many of these something hangs for good.
const HANGS: u32 = 20;

/// Counts the steps that are begun.
#[derive(Default)]
pub struct Pulse {
    beats: AtomicU64,
    stalled: Notify,
}

impl Pulse {
    pub fn beat(&self) {
        self.beats.fetch_add(1, Ordering::Relaxed);
    }

    pub async fn until_stalled(&self) {
        self.stalled.notified().await;
    }

    /// Watches until the sender is dropped. While this blocking task runs, tokio's paused clock does not move by itself.
    pub fn watch(self: &Arc<Self>, seed: u64) -> mpsc::Sender<()> {
        let (watching, end) = mpsc::channel();
        let pulse = self.clone();
        tokio::task::spawn_blocking(move || pulse.watch_until(seed, &end));
        watching
    }

    fn watch_until(&self, seed: u64, end: &Receiver<()>) {
        let (mut before, mut stalls) = (0, 0);
        while end.recv_timeout(STALLED) == Err(RecvTimeoutError::Timeout) {
            let now = self.beats.load(Ordering::Relaxed);
            stalls = if now == before { stalls + 1 } else { 0 };
            if stalls > HANGS {
                eprintln!("seed {seed}: somebody neither ends nor comes to where it is held");
                std::process::abort();
            }
            if stalls > 0 {
                self.stalled.notify_waiters();
            }
            before = now;
        }
    }
}
