//! The writing connection: how a transaction begins and ends.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use jiff::Timestamp;
use tokio::sync::watch;

use super::commit_hook::{CommitHook, Committer};
use super::engine::{Pool, Tx, sql};
use super::error::{LedgerError, Result};
use super::inbox::{Inboxes, Keeper};
use super::report::Report;
use crate::domain::clock::Clock;
use crate::domain::event;
use crate::telemetry::repeat::RepeatLimiter;

const EMPTY_WAL: &str = "PRAGMA wal_checkpoint(TRUNCATE)";
const EPOCH: &str = "SELECT epoch FROM inbox WHERE id = $1";

/// The one connection that writes, and what announces its writes.
#[derive(Debug, Clone)]
pub(super) struct Session {
    pub(super) pool: Pool,
    pub(super) keeper: Arc<Keeper>,
    pub(super) inboxes: Inboxes,
    pub(super) report: Report,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) changed: Arc<watch::Sender<u64>>,
    /// As `changed`, when intake is to look at files again.
    pub(super) rechecks: Arc<watch::Sender<u64>>,
    /// What is wrong with the database at present.
    pub(super) problems: Arc<RepeatLimiter<String>>,
    /// Why this daemon does nothing: another one keeps its inbox.
    pub(super) standing_by: Arc<OnceLock<String>>,
    /// The connections must be opened again before they are used.
    pub(super) stale: Arc<AtomicBool>,
    /// SQLite: counts up when the connection is another one, whose view of other writers begins anew.
    pub(super) connection_number: Arc<AtomicU64>,
    pub(super) hook: Arc<OnceLock<Arc<dyn CommitHook>>>,
}

impl Session {
    pub(super) fn new(
        pool: Pool,
        report: Report,
        keeper: Arc<Keeper>,
        clock: Arc<dyn Clock>,
        connection_number: Arc<AtomicU64>,
    ) -> Self {
        Self {
            pool,
            keeper,
            inboxes: Inboxes::default(),
            report,
            clock,
            changed: Arc::new(watch::Sender::new(0)),
            rechecks: Arc::new(watch::Sender::new(0)),
            problems: Arc::default(),
            standing_by: Arc::default(),
            stale: Arc::default(),
            connection_number,
            hook: Arc::default(),
        }
    }

    /// The time as the ledger keeps it: in whole milliseconds.
    pub(super) fn now(&self) -> Timestamp {
        let now = self.keeper.now(self.clock.now());
        Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
    }

    pub(super) fn connection_number(&self) -> u64 {
        self.connection_number.load(Ordering::Relaxed)
    }

    /// What a test wants to happen before a transaction begins.
    pub(super) async fn before_begin(&self, committer: Committer) -> Result<()> {
        match self.hook.get() {
            Some(hook) => hook.begin(committer).await,
            None => Ok(()),
        }
    }

    /// Begins a transaction. When SQLite has rolled one back by itself (disk full), sqlx takes the connection
    /// to be inside of it for ever: such a connection is thrown away.
    pub(super) async fn begin(&self) -> Result<Tx> {
        if self.stale.swap(false, Ordering::Relaxed) {
            self.pool.close_one().await?;
            self.report.close_idle().await;
        }
        let kept = self.keeper.kept().map(|(inbox, _)| inbox);
        match self.pool.begin(kept).await {
            Err(sqlx::Error::InvalidSavePointStatement) => {
                self.pool.close_one().await?;
                // what is in the WAL needs no second place on a full disk
                let _ = sql(EMPTY_WAL).execute(&self.pool).await;
                Ok(self.pool.begin(kept).await?)
            }
            begun => Ok(begun?),
        }
    }

    /// As `begin`, for who has no [`super::store::begin`] next: makes sure that the inbox is still ours.
    pub(super) async fn begin_alone(&self) -> Result<Tx> {
        let mut tx = self.begin().await?;
        if let (true, Some((inbox, _))) = (tx.engine().is_shared(), self.keeper.kept()) {
            self.keeper.check(sql(EPOCH).bind(inbox.0).scalar(&mut tx).await?)?;
        }
        Ok(tx)
    }

    /// Commits, and wakes all who wait for changes.
    pub(super) async fn commit(&self, tx: Tx) -> Result<()> {
        let hook = self.hook.get();
        hook.map_or(Ok(()), |hook| hook.commit())?;
        tx.commit().await?;
        hook.map_or(Ok(()), |hook| hook.committed())?;
        self.log_resolved();
        self.announce();
        Ok(())
    }

    pub(super) fn log_problem(&self, error: &LedgerError) {
        let text = error.to_string();
        if self.problems.should_log(text.clone()).is_some() {
            tracing::error!(
                message_id = event::DATABASE_TROUBLE,
                "{text}; the work waits and goes on by itself"
            );
        }
    }

    fn log_resolved(&self) {
        if let Some(resolved) = self.problems.resolved() {
            tracing::info!(
                message_id = event::DATABASE_OVER,
                seconds = resolved.lasted.as_secs(),
                times = resolved.times,
                "the database can be used again"
            );
        }
    }

    pub(super) fn announce(&self) {
        self.changed.send_modify(|version| *version = version.wrapping_add(1));
    }

    pub(super) fn announce_rechecks(&self) {
        self.rechecks.send_modify(|version| *version = version.wrapping_add(1));
    }
}
