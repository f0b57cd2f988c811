//! Alerts for operators, in their chat or by a program of theirs: files that are refused, uploads that pause, that they
//! go on again, brands that have nothing left to send, and a daily summary. Grouped, and at most one message in `alerts.min_interval`.
//!
//! Each channel (a webhook, a command) sends for itself: one that fails delays no other. How far each channel has
//! delivered is kept in the database.

mod digest;
mod robot;
mod send;
mod summary;
mod text;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use jiff::Timestamp;
use jiff::civil::Date;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::cloud::Clients;
use crate::config::{Alerts, SecretError, SecretSource, Settings};
use crate::domain::event;
use crate::domain::notice::NoticeName;
use crate::ledger::{Ledger, LedgerError, PendingAlerts};
use crate::telemetry::repeat::RepeatLimiter;
use digest::{Digest, by_name};
use send::Channel;
use summary::Summary;

/// What happens within this time is one message.
const GATHER: Duration = Duration::from_secs(2);

/// The longest sleep without a look at the database: `min_interval` may have passed meanwhile.
const TICK: Duration = Duration::from_secs(5);

/// After an alert could not be sent, or its delivery not recorded, it is tried again after this time.
const RETRY: Duration = Duration::from_secs(30);
const WRITE_AGAIN: Duration = Duration::from_secs(2);

/// How often alerts that every channel has delivered are deleted, and how many at a time.
const CLEAN_UP: Duration = Duration::from_hours(1);
const BATCH: u32 = 1000;

/// Registers the channels, before anything is refused that they are to deliver.
///
/// # Errors
/// When the database fails.
pub(crate) async fn prepare(settings: &Settings, ledger: &Ledger) -> Result<(), LedgerError> {
    let latest = settings.alerts.summary_at.map(|at| summary::latest(ledger.now(), at));
    ledger.set_alert_channels(&Channel::names(&settings.alerts), latest).await
}

/// Reads the secrets that alerts are sent with, to find out early that one cannot be used.
///
/// # Errors
/// When one cannot be loaded.
pub(crate) fn check(settings: &Settings) -> Result<(), SecretError> {
    let secrets = [&settings.alerts.webhook, &settings.alerts.secret].into_iter().flatten();
    secrets.map(SecretSource::load).try_for_each(|secret| secret.map(drop))
}

/// A test message for each channel.
pub(crate) struct Trial {
    channels: Vec<Channel>,
}

impl Trial {
    /// Of the channels that are configured.
    ///
    /// # Errors
    /// When no HTTP client can be made, or a secret cannot be loaded.
    pub(crate) fn new(settings: &Settings) -> anyhow::Result<Self> {
        Ok(Self { channels: Channel::all(&settings.alerts, &Clients::new(settings)?)? })
    }

    /// Is there none?
    pub(crate) fn is_empty(&self) -> bool {
        self.channels.is_empty()
    }

    /// True when there were some.
    pub(crate) fn leave_out_commands(&mut self) -> bool {
        let before = self.channels.len();
        self.channels.retain(|channel| !matches!(channel, Channel::Command(_)));
        self.channels.len() < before
    }

    /// Sends them: the names of the channels, and why one cannot be sent.
    pub(crate) async fn run(self, now: Timestamp) -> Vec<(&'static str, Result<(), String>)> {
        let digest = Digest { test: true, ..Digest::default() };
        let mut results = Vec::new();
        for channel in self.channels {
            results.push((channel.name(), channel.send(&digest, now).await));
        }
        results
    }
}

/// Sends alerts until `stop`. A message that is being sent then is sent to its end and recorded, so that it is neither
/// lost nor sent twice.
///
/// # Errors
/// When no HTTP client can be made, or a secret that `check` could load can no longer be loaded.
pub(crate) async fn watch(
    settings: Arc<Settings>,
    ledger: Ledger,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let channels = Channel::all(&settings.alerts, &Clients::new(&settings)?)?;
    while let Err(error) = prepare(&settings, &ledger).await {
        ledger.report_problem(&error);
        if sleeps(WRITE_AGAIN, &stop).await.is_none() {
            return Ok(());
        }
    }
    let sender = |channel| Sender {
        channel,
        ledger: ledger.clone(),
        alerts: settings.alerts.clone(),
        stop: stop.clone(),
        problems: RepeatLimiter::default(),
    };
    let senders = channels.into_iter().map(|channel| {
        let sender = sender(channel);
        async move { sender.run().await }
    });
    tokio::join!(join_all(senders), stop.run_until_cancelled(clean_up(&ledger)));
    Ok(())
}

/// `None`: it was stopped meanwhile.
async fn sleeps(time: Duration, stop: &CancellationToken) -> Option<()> {
    stop.run_until_cancelled(tokio::time::sleep(time)).await
}

async fn clean_up(ledger: &Ledger) {
    loop {
        // those who need the database log what is wrong with it
        let again = ledger.forget_delivered(BATCH).await.is_ok_and(|count| count == u64::from(BATCH));
        tokio::time::sleep(if again { GATHER } else { CLEAN_UP }).await;
    }
}

/// Sends what one channel has not delivered yet.
struct Sender {
    channel: Channel,
    ledger: Ledger,
    alerts: Alerts,
    stop: CancellationToken,
    /// Why alerts cannot be sent.
    problems: RepeatLimiter<String>,
}

impl Sender {
    async fn run(&self) {
        let mut changes = self.ledger.changes();
        let mut not_before = Instant::now();
        while sleeps(GATHER.min(self.alerts.min_interval), &self.stop).await.is_some() {
            if Instant::now() >= not_before
                && let Err(why) = self.send_pending().await
            {
                self.log_failed(&why);
                not_before = Instant::now() + RETRY.min(self.alerts.min_interval);
            }
            let change = tokio::time::timeout(TICK, changes.changed());
            let _ = self.stop.run_until_cancelled(change).await;
        }
    }

    /// Sends what is pending, if it is time. A database that cannot be read is no failure of the channel.
    async fn send_pending(&self) -> Result<(), String> {
        let Ok((pending, notices)) = self.pending().await else { return Ok(()) };
        let now = self.ledger.now();
        let all = Digest::new(&pending, &notices);
        let is_news = pending.up_to > pending.after || !all.is_empty();
        let Ok(summary) = self.summary(&pending, now).await else { return Ok(()) };
        let digest = Digest { summary, ..all.about(&self.alerts.on) };
        if digest.is_empty() {
            if is_news {
                let _ = self.ledger.skip_alerts(self.channel.name(), &pending, &notices).await;
            }
            return Ok(());
        }
        if !pending.is_due(now, self.alerts.min_interval) {
            return Ok(());
        }
        self.channel.send(&digest, now).await?;
        self.log_sent();
        self.record_delivery(&pending, &notices, digest.summary.map(|summary| summary.date)).await;
        Ok(())
    }

    /// The daily summary, if it is due.
    async fn summary(&self, pending: &PendingAlerts, now: Timestamp) -> Result<Option<Summary>, LedgerError> {
        let latest = self.alerts.summary_at.map(|at| summary::latest(now, at));
        match latest.filter(|latest| summary::is_due(pending.summary_of, *latest)) {
            Some(date) => Ok(Some(Summary::read(self.ledger.report(), date, now).await?)),
            None => Ok(None),
        }
    }

    async fn pending(&self) -> Result<(PendingAlerts, BTreeMap<NoticeName, String>), LedgerError> {
        let report = self.ledger.report();
        Ok((report.pending_alerts(self.channel.name()).await?, by_name(report.notices().await?)))
    }

    /// What was delivered must not be sent again: it is tried until it is recorded.
    async fn record_delivery(
        &self,
        pending: &PendingAlerts,
        notices: &BTreeMap<NoticeName, String>,
        summary_of: Option<Date>,
    ) {
        let name = self.channel.name();
        while let Err(error) = self.ledger.alerts_delivered(name, pending, notices, summary_of).await {
            self.ledger.report_problem(&error);
            if sleeps(WRITE_AGAIN, &self.stop).await.is_none() {
                break;
            }
        }
    }

    fn log_failed(&self, why: &str) {
        if let Some(times) = self.problems.should_log(why.to_owned()) {
            let channel = self.channel.name();
            tracing::warn!(
                message_id = event::ALERT_DELAYED,
                channel,
                times,
                "an alert cannot be sent, and is tried again: {why}"
            );
        }
    }

    fn log_sent(&self) {
        if self.problems.resolved().is_some() {
            tracing::info!(channel = self.channel.name(), "alerts can be sent again");
        }
    }
}
