//! Other hosts that share the server write too.
//!
//! Every role that may connect to the database can notify, as often and with as many bytes as it likes. So nothing that was
//! heard is kept: all that has arrived counts as one. While more arrives than anybody needs, nothing is listened to; others'
//! writes are then found by looking.

use std::sync::atomic::Ordering;
use std::time::Duration;

use sqlx::postgres::PgListener;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::Ledger;
use super::engine::{Pool, postgres, sql};
use super::error::Result;
use crate::domain::event;
use crate::telemetry::repeat::RepeatLimiter;

/// What changed last, on whichever host.
const LAST_CHANGE: &str = "SELECT max(updated_at) FROM upload";

/// How often the server is asked for it. What must be known at once is notified of.
const LOOK: Duration = Duration::from_secs(2);

/// After so much silence it is made sure that notifications would still arrive. Whatever arrives before the answer is kept:
/// no question is asked while there is anything to hear.
const PING: Duration = Duration::from_secs(5);

/// What arrives so soon after a notification is heard as one with it.
const GATHER: Duration = Duration::from_millis(500);

/// So many, without silence between them, are no host's: hosts notify of what operators do.
const FLOOD: usize = 100;

/// So often others' writes are looked for, instead of listened to, after a flood.
const LOOKS_AFTER_FLOOD: u32 = 15;

/// Why nothing is heard any more.
enum End {
    /// More arrives than hosts notify of.
    Flood,
    /// The connection broke, and what was said meanwhile is lost.
    Lost,
}

impl Ledger {
    /// Looks for writes of other hosts, and marks `changes` when there were some.
    pub(super) async fn watch_other_hosts(&self) -> Result<()> {
        let floods = RepeatLimiter::<&str>::default();
        loop {
            // errors are passed over: those who need the database meet them too, and log them
            if let Ok(End::Flood) = self.watch_server().await {
                if floods.should_log("flood").is_some() {
                    tracing::warn!(
                        message_id = event::DATABASE_TROUBLE,
                        "another role notifies the channel brandpost all the time, so this host hears of the others' pauses a few seconds later; keep other roles out (REVOKE CONNECT ON DATABASE … FROM PUBLIC)"
                    );
                }
                for _ in 1..LOOKS_AFTER_FLOOD {
                    sleep(LOOK).await;
                    self.heard_of_others();
                }
            }
            sleep(LOOK).await;
            self.heard_of_others();
        }
    }

    /// Until the connection breaks, or more arrives than is good.
    async fn watch_server(&self) -> Result<End> {
        let Pool::Postgres(pool) = self.report().pool() else { return Ok(End::Lost) };
        let mut listener = postgres::listen(pool).await?;
        // what was notified of before is found out by looking
        self.heard_of_others();
        let (mut seen, mut heard, mut asked) = (None, 0, Instant::now());
        loop {
            match timeout(LOOK, listener.try_recv()).await {
                Err(_) => {
                    heard = 0;
                    if asked.elapsed() >= PING {
                        sqlx::query("SELECT 1").execute(&mut listener).await?;
                        asked = Instant::now();
                    }
                }
                Ok(first) => {
                    if first?.is_none() {
                        return Ok(End::Lost);
                    }
                    self.heard_of_others();
                    let Some(more) = gather(&mut listener).await? else { return Ok(End::Lost) };
                    if more > 0 {
                        self.heard_of_others();
                    }
                    heard += 1 + more;
                }
            }
            if heard >= FLOOD {
                return Ok(End::Flood);
            }
            let last: Option<String> = sql(LAST_CHANGE).scalar(self.report().pool()).await?;
            if seen.replace(last.clone()).is_some_and(|before| before != last) {
                self.session.announce();
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

/// Takes what arrives soon, but no flood. Gives back how many there were; `None`: the connection broke.
async fn gather(listener: &mut PgListener) -> sqlx::Result<Option<usize>> {
    let (mut more, end) = (0, Instant::now() + GATHER);
    while more < FLOOD {
        match timeout_at(end, listener.try_recv()).await {
            Err(_) => break,
            Ok(next) => match next? {
                Some(_) => more += 1,
                None => return Ok(None),
            },
        }
    }
    Ok(Some(more))
}
