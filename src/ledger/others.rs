//! Writes of others: processes of this machine, hosts that share the server.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::Ledger;
use super::engine::{Pool, postgres, sql};
use super::error::Result;

const VERSION: &str = "PRAGMA data_version";

/// PostgreSQL: what changed last, on whichever host.
const LAST_CHANGE: &str = "SELECT max(updated_at) FROM upload";

/// How often the server is asked for it. What must be known at once is notified of.
const LOOK: Duration = Duration::from_secs(2);

/// How often it is made sure that notifications would still arrive.
const PING: Duration = Duration::from_secs(5);

impl Ledger {
    /// Looks for writes of others, and marks `changes` when there were some. With SQLite: for as long as the database's
    /// file is where it was.
    ///
    /// # Errors
    /// When the file was deleted or replaced.
    pub async fn watch_other_processes(&self, every: Duration) -> Result<()> {
        match &self.session.pool {
            Pool::Sqlite(_) => self.watch_file(every).await,
            Pool::Postgres(_) => loop {
                // errors are passed over: those who need the database meet them too, and log them
                let _ = self.watch_server().await;
                self.heard_of_others();
                sleep(LOOK).await;
            },
        }
    }

    /// `PRAGMA data_version` costs microseconds; on the only connection that writes, it changes when others have
    /// written.
    async fn watch_file(&self, every: Duration) -> Result<()> {
        let mut seen: Option<i64> = None;
        loop {
            match self.restore_if_deleted().await {
                // only here what was written can still be read: it is tried until there is room for it
                Err(error) if error.is_transient() => self.report_problem(&error),
                firm => firm?,
            }
            let version = sql(VERSION).scalar(&self.session.pool).await;
            if version.is_ok_and(|version| seen.replace(version).is_some_and(|before| before != version)) {
                self.heard_of_others();
            }
            sleep(every).await;
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

    fn heard_of_others(&self) {
        self.external_writes.fetch_add(1, Ordering::Relaxed);
        self.session.announce_rechecks();
        self.session.announce();
    }
}
