//! Inboxes and their keepers. An inbox is a set of watched folders under one name; at any time at most one daemon is its
//! keeper: only the keeper looks at its files, claims its rows and ends its claims. With SQLite there is one inbox, and
//! the lock file makes its keeper; with PostgreSQL it is a lease, and every transaction checks its epoch.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};

use super::Ledger;
use super::engine::{Engine, Pool, Tx, postgres, sql};
use super::error::{LedgerError, Result};
use crate::domain::brand::{Inbox, InboxId};

const TAKE: &str = "
    UPDATE inbox SET name = $2, host = $3, version = $4, keeper = $5, slots_total = $6, seen_at = $7, retired_at = NULL,
                     epoch = epoch + 1
    WHERE id = $1 RETURNING epoch";

const NAMES: &str = "SELECT id, name FROM inbox";
const FIND: &str = "SELECT id FROM inbox WHERE name = $1";
const ADD: &str = "INSERT INTO inbox (name) VALUES ($1) ON CONFLICT DO NOTHING";

/// PostgreSQL: an inbox and who keeps it. Those who want it, or end it, ask one after the other.
pub(super) const ASK: &str = "
    SELECT id, host, keeper, seen_at, CASE WHEN lease_until > brandpost_time() THEN 1 ELSE 0 END AS kept
    FROM inbox WHERE name = $1 FOR NO KEY UPDATE";

const LEASE_IT: &str = "
    UPDATE inbox SET seen_at = brandpost_time(), lease_until = brandpost_time(INTERVAL '30 seconds')
    WHERE id = $1 AND epoch = $2";

const GIVE_UP: &str = "UPDATE inbox SET lease_until = brandpost_time() WHERE id = $1 AND epoch = $2";

/// Keepers of other inboxes whose brands have another number of slots.
const OTHER_SLOTS: &str = "
    SELECT name, host, slots_total FROM inbox
    WHERE id <> $1 AND lease_until > brandpost_time() AND slots_total <> $2 ORDER BY name LIMIT 1";

/// How long a lease lasts, as `LEASE_IT` has it.
const LEASE: Duration = Duration::from_secs(30);

/// How often it is renewed.
const RENEW: Duration = Duration::from_secs(5);

/// So long before its end nothing is sent any more.
const MARGIN: Duration = Duration::from_secs(10);

/// What lets a daemon work on an inbox.
struct Lease {
    inbox: InboxId,
    epoch: i64,
    /// From then on nothing is sent any more, unless it is renewed before.
    last_moment: Instant,
}

/// A daemon that wants to keep an inbox.
#[derive(Debug, Clone)]
pub struct Host {
    /// The name of the inbox.
    pub inbox: String,
    /// The name of the host.
    pub name: String,
    /// Which daemon it is, also after a restart: what it kept it need not wait for.
    pub daemon: String,
    /// How many slots a brand has, if nothing else is configured for it.
    pub slots_total: u32,
}

impl Host {
    /// This process, on this host.
    pub fn new(inbox: String, daemon: String, slots_total: u32) -> Self {
        let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
        Self { inbox, name, daemon, slots_total }
    }
}

impl Ledger {
    /// This daemon becomes the keeper of its inbox.
    pub(super) async fn take_inbox(&self, host: &Host) -> Result<()> {
        let asked = Instant::now();
        let mut tx = self.begin().await?;
        let id = match tx.engine() {
            Engine::Sqlite => SQLITE,
            Engine::Postgres => ask(&mut tx, host).await?,
        };
        let epoch = sql(TAKE)
            .bind(id.0)
            .bind(&host.inbox)
            .bind(&host.name)
            .bind(env!("CARGO_PKG_VERSION"))
            .bind(&host.daemon)
            .bind(host.slots_total)
            .bind(self.now_text());
        let epoch = epoch.scalar(&mut tx).await?;
        if tx.engine().is_shared() {
            sql(LEASE_IT).bind(id.0).bind(epoch).execute(&mut tx).await?;
        }
        self.commit(tx).await?;
        self.session.keeper.took(Inbox::new(id, &host.inbox), epoch, asked);
        Ok(())
    }

    /// Stays the keeper for as long as it can; ends only with an error.
    ///
    /// # Errors
    /// As [`Ledger::renew_lease`].
    pub async fn keep_inbox(&self) -> Result<()> {
        if self.lease().is_none() {
            return std::future::pending().await;
        }
        loop {
            sleep(RENEW).await;
            self.renew_lease().await?;
        }
    }

    /// Renews the lease of the inbox. What passes by itself is passed over: the next call may come in time.
    ///
    /// # Errors
    /// When another daemon has taken the inbox over, or may soon do so because the lease could not be renewed.
    pub async fn renew_lease(&self) -> Result<()> {
        let Some(Lease { inbox, epoch, last_moment }) = self.lease() else { return Ok(()) };
        let asked = Instant::now();
        let renewal = sql(LEASE_IT).bind(inbox.0).bind(epoch).execute(&self.session.pool);
        match timeout_at(last_moment, renewal).await {
            Ok(Ok(1)) if Instant::now() < last_moment => self.session.keeper.renewed(asked),
            Ok(Err(error)) if Instant::now() < last_moment => self.report_problem(&error.into()),
            _ => return Err(self.deposed()),
        }
        Ok(())
    }

    pub(super) fn deposed(&self) -> LedgerError {
        self.session.keeper.deposed()
    }

    /// Resolves when nothing may be sent any more, because another daemon may soon keep the inbox. The daemon that kept it
    /// ends its work then.
    pub async fn keeper_lease_has_ended(&self) {
        while !self.is_keeper_lease_over() {
            match self.lease() {
                Some(lease) => sleep_until(lease.last_moment).await,
                None => std::future::pending().await,
            }
        }
    }

    /// May nothing be sent any more, because another daemon may keep the inbox?
    pub fn is_keeper_lease_over(&self) -> bool {
        self.lease().is_some_and(|lease| Instant::now() >= lease.last_moment)
    }

    /// With SQLite there is none: the lock file lasts as long as the process.
    fn lease(&self) -> Option<Lease> {
        let keeper = &self.session.keeper;
        let (Pool::Postgres(_), Some((inbox, epoch))) = (&self.session.pool, keeper.kept()) else {
            return None;
        };
        Some(Lease { inbox, epoch, last_moment: keeper.leased() + LEASE - MARGIN })
    }

    /// Another daemon may keep the inbox at once.
    pub(super) async fn give_inbox_up(&self) {
        if let Some(Lease { inbox, epoch, .. }) = self.lease() {
            // else its lease ends by itself
            let end = sql(GIVE_UP).bind(inbox.0).bind(epoch).execute(&self.session.pool);
            let _ = timeout(RENEW, end).await;
        }
    }
}

/// Makes sure that an inbox of this name has a row: notices of its host refer to it, whether a daemon ever kept it or not.
pub(super) async fn add(pool: &Pool, name: &str) -> Result<()> {
    if sql(FIND).bind(name).optional(pool).await?.is_none() {
        sql(ADD).bind(name).execute(pool).await?;
    }
    Ok(())
}

/// May this daemon keep the inbox? Waits for what its last keeper has under way.
async fn ask(tx: &mut Tx, host: &Host) -> Result<InboxId> {
    let row = sql(ASK).bind(&host.inbox).one(&mut *tx).await?;
    let keeper: Option<&str> = row.get("keeper")?;
    if row.get("kept")? && keeper != Some(&host.daemon) {
        let seen_at = row.get::<Option<String>>("seen_at")?.unwrap_or_default();
        return Err(LedgerError::Kept { inbox: host.inbox.clone(), host: row.get("host")?, seen_at });
    }
    let id = InboxId(row.get("id")?);
    sql(postgres::TAKE_OVER).bind(id.0).execute(&mut *tx).await?;
    if let Some(other) = sql(OTHER_SLOTS).bind(id.0).bind(host.slots_total).optional(tx).await? {
        return Err(LedgerError::SlotsDiffer {
            what: "a brand (images.max_per_brand)".into(),
            ours: host.slots_total,
            theirs: other.get("slots_total")?,
            host: other.get("host")?,
            inbox: other.get("name")?,
        });
    }
    Ok(id)
}

/// With SQLite there is one inbox.
pub(super) const SQLITE: InboxId = InboxId(1);

/// The inbox of this process, and whether it is its keeper.
#[derive(Debug)]
pub(super) struct Keeper {
    inbox: RwLock<Inbox>,
    /// The epoch of its inbox in which this process is its keeper; 0: it is not.
    epoch: AtomicI64,
    /// PostgreSQL: when the lease was asked for that it has.
    leased: RwLock<Instant>,
    /// PostgreSQL: by so many milliseconds is the database's clock ahead of ours.
    clock_ahead: AtomicI64,
}

impl Keeper {
    /// Of this inbox, which somebody else may keep.
    pub(super) fn new(inbox: Inbox) -> Self {
        Self {
            inbox: RwLock::new(inbox),
            epoch: AtomicI64::new(0),
            leased: RwLock::new(Instant::now()),
            clock_ahead: AtomicI64::new(0),
        }
    }

    pub(super) fn inbox(&self) -> Inbox {
        self.inbox.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// This process keeps the inbox from now on.
    fn took(&self, inbox: Inbox, epoch: i64, asked: Instant) {
        self.renewed(asked);
        *self.inbox.write().unwrap_or_else(PoisonError::into_inner) = inbox;
        self.epoch.store(epoch, Ordering::Relaxed);
    }

    fn leased(&self) -> Instant {
        *self.leased.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn renewed(&self, asked: Instant) {
        *self.leased.write().unwrap_or_else(PoisonError::into_inner) = asked;
    }

    /// The inbox whose keeper this process is, and since which epoch.
    pub(super) fn kept(&self) -> Option<(InboxId, i64)> {
        let epoch = self.epoch.load(Ordering::Relaxed);
        (epoch != 0).then(|| (self.inbox().id, epoch))
    }

    fn deposed(&self) -> LedgerError {
        LedgerError::Deposed(self.inbox().name.to_string())
    }

    /// Is the inbox still kept by this process, if it ever was?
    pub(super) fn check(&self, epoch: Option<i64>) -> Result<()> {
        match self.kept() {
            Some((_, ours)) if epoch != Some(ours) => Err(self.deposed()),
            _ => Ok(()),
        }
    }

    /// The database's clock is the one that counts. Gives back its time.
    pub(super) fn set_clock(&self, ours: Timestamp, database: Timestamp) -> Timestamp {
        self.clock_ahead.fetch_add(database.as_millisecond() - ours.as_millisecond(), Ordering::Relaxed);
        database
    }

    /// The time of the database's clock, as far as it is known.
    pub(super) fn now(&self, ours: Timestamp) -> Timestamp {
        let ahead = SignedDuration::from_millis(self.clock_ahead.load(Ordering::Relaxed));
        ours.checked_add(ahead).unwrap_or(ours)
    }
}

/// The inboxes whose files were seen.
#[derive(Debug, Clone, Default)]
pub(super) struct Inboxes(Arc<RwLock<BTreeMap<InboxId, Inbox>>>);

impl Inboxes {
    /// The inbox with this number.
    pub(super) fn get(&self, id: InboxId) -> Inbox {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        known.get(&id).cloned().unwrap_or_else(|| Inbox::new(id, &id.0.to_string()))
    }

    /// Reads their names. With SQLite there is one, which keeps its name while the daemon works.
    pub(super) async fn read(&self, tx: &mut Tx) -> Result<()> {
        let is_known = !self.0.read().unwrap_or_else(PoisonError::into_inner).is_empty();
        if is_known && !tx.engine().is_shared() {
            return Ok(());
        }
        for row in sql(NAMES).all(tx).await? {
            let inbox = Inbox::new(InboxId(row.get("id")?), row.get("name")?);
            self.0.write().unwrap_or_else(PoisonError::into_inner).insert(inbox.id, inbox);
        }
        Ok(())
    }
}
