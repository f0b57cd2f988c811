//! Other hosts that share the server write too.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::Ledger;
use super::engine::{Pool, postgres, sql};
use super::error::Result;

/// What changed last, on whichever host.
const LAST_CHANGE: &str = "SELECT max(updated_at) FROM upload";

/// How often the server is asked for it. What must be known at once is notified of.
const LOOK: Duration = Duration::from_secs(2);

/// How often it is made sure that notifications would still arrive.
const PING: Duration = Duration::from_secs(5);

impl Ledger {
    /// Looks for writes of other hosts, and marks `changes` when there were some.
    pub(super) async fn watch_other_hosts(&self) -> Result<()> {
        loop {
            // errors are passed over: those who need the database meet them too, and log them
            let _ = self.watch_server().await;
            self.heard_of_others();
            sleep(LOOK).await;
        }
    }

    /// Until a connection breaks.
    async fn watch_server(&self) -> Result<()> {
        let Pool::Postgres(pool) = self.report().pool() else { return Ok(()) };
        let mut listener = postgres::listen(pool).await?;
        // what was notified of before is found out by looking
        self.heard_of_others();
        let (mut seen, mut pinged) = (None, Instant::now());
        loop {
            if let Ok(heard) = timeout(LOOK, listener.try_recv()).await {
                // none: the connection broke, and what was said meanwhile is lost
                if heard?.is_none() {
                    return Ok(());
                }
                self.heard_of_others();
            }
            let last: Option<String> = sql(LAST_CHANGE).scalar(self.report().pool()).await?;
            if seen.replace(last.clone()).is_some_and(|before| before != last) {
                self.session.announce();
            }
            if pinged.elapsed() >= PING {
                pinged = Instant::now();
                sqlx::query("SELECT 1").execute(&mut listener).await?;
            }
        }
    }

    /// Another host may have written: all who wait for changes look again.
    pub fn heard_of_others(&self) {
        self.external_writes.fetch_add(1, Ordering::Relaxed);
        self.session.announce_rechecks();
        self.session.announce();
    }
}
