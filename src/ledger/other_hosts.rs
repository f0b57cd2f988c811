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

/// What changed last, on whichever host: of files, and what hosts notify of.
const LAST_CHANGE: &str = "
    SELECT (SELECT max(updated_at) FROM upload) AS files,
           concat_ws(' ', (SELECT max(since) FROM notice WHERE name = 'suspended'),
                          (SELECT max(retired_at) FROM inbox)) AS orders";

/// How often the server is asked for it. A notification comes sooner, if it comes.
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
        let (mut seen, mut heard, mut asked) = (None::<(Option<String>, String)>, 0, Instant::now());
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
            let last = sql(LAST_CHANGE).one(self.report().pool()).await?;
            let last = (last.get("files")?, last.get("orders")?);
            match seen.replace(last.clone()) {
                Some((_, before)) if before != last.1 => self.heard_of_others(),
                Some((before, _)) if before != last.0 => self.session.announce(),
                _ => {}
            }
        }
    }

    /// Lets other hosts know that they have something to look at. Those who hear nothing of it find it by looking.
    pub(super) async fn notify_others(&self) {
        if let Pool::Postgres(pool) = &self.session.pool
            && let Err(error) = postgres::notify(pool).await
        {
            tracing::debug!(%error, "other hosts are not told at once");
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
