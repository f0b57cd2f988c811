//! Tells people, in their chat or by a program of theirs, when something needs them: files that are refused,
//! uploads that pause, and that it goes on again. Grouped, and at most once in `alerts.min_interval`.
//!
//! Each way tells for itself: one that is broken holds the other up in nothing. How far each has come stands in the
//! table.

mod digest;
mod robot;
mod send;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::cloud::Clients;
use crate::config::{SecretError, SecretSource, Settings};
use crate::domain::event;
use crate::ledger::{Ledger, LedgerError, PendingAlerts};
use digest::{Digest, by_name};
use send::Way;

/// What happens together is told together.
const GATHER: Duration = Duration::from_secs(2);

/// How long it looks away at most: `min_interval` may have passed meanwhile.
const TICK: Duration = Duration::from_secs(5);

/// After an alert could not be sent, or written down, it is tried again then.
const AGAIN: Duration = Duration::from_secs(30);
const WRITE_AGAIN: Duration = Duration::from_secs(2);

/// What everybody was told is forgotten so often, so many at a time.
const CLEAN_UP: Duration = Duration::from_hours(1);
const BATCH: u32 = 1000;

/// Lets the table know which ways there are, before anything is refused that they are to tell.
///
/// # Errors
/// When the database fails.
pub async fn prepare(settings: &Settings, ledger: &Ledger) -> Result<(), LedgerError> {
    ledger.set_alert_channels(&Way::names(&settings.alerts)).await
}

/// Reads the secrets that alerts are sent with, to find out early that one cannot be used.
///
/// # Errors
/// When one cannot be had.
pub fn check(settings: &Settings) -> Result<(), SecretError> {
    let secrets = [&settings.alerts.webhook, &settings.alerts.secret].into_iter().flatten();
    secrets.map(SecretSource::load).try_for_each(|secret| secret.map(drop))
}

/// Watches the table until it is told to stop. What is being sent then is sent and written down: else its end would be
/// told to nobody, or it would be told twice.
///
/// # Errors
/// When no HTTP client can be had, or what `check` found good is so no longer.
pub async fn watch(settings: Arc<Settings>, ledger: Ledger, stop: CancellationToken) -> anyhow::Result<()> {
    let ways = Way::all(&settings.alerts, &Clients::new(&settings)?)?;
    while let Err(error) = prepare(&settings, &ledger).await {
        ledger.complain(&error);
        if sleeps(WRITE_AGAIN, &stop).await.is_none() {
            return Ok(());
        }
    }
    let interval = settings.alerts.min_interval;
    let teller = |way| Teller { way, ledger: ledger.clone(), interval, stop: stop.clone() };
    let mut tellers = ways.into_iter().map(teller);
    // one way and another, or nothing in its place
    let (first, second) = (tellers.next(), tellers.next());
    tokio::join!(run(first), run(second), stop.run_until_cancelled(clean_up(&ledger)));
    Ok(())
}

/// `None`: it is time to stop.
async fn sleeps(time: Duration, stop: &CancellationToken) -> Option<()> {
    stop.run_until_cancelled(tokio::time::sleep(time)).await
}

async fn run(teller: Option<Teller>) {
    if let Some(teller) = teller {
        teller.run().await;
    }
}

async fn clean_up(ledger: &Ledger) {
    loop {
        // trouble with the database is told by those who need it
        let again = ledger.forget_refusals(BATCH).await.is_ok_and(|count| count == u64::from(BATCH));
        tokio::time::sleep(if again { GATHER } else { CLEAN_UP }).await;
    }
}

/// Tells what one way has not told yet.
struct Teller {
    way: Way,
    ledger: Ledger,
    interval: Duration,
    stop: CancellationToken,
}

impl Teller {
    async fn run(&self) {
        let mut changes = self.ledger.changes();
        let (mut not_before, mut complained) = (Instant::now(), false);
        while sleeps(GATHER.min(self.interval), &self.stop).await.is_some() {
            if Instant::now() >= not_before {
                match self.tell().await {
                    Ok(()) => complained = false,
                    Err(why) => {
                        if !std::mem::replace(&mut complained, true) {
                            tracing::warn!(
                                message_id = event::ALERT_LOST,
                                "an alert cannot be sent, and is tried again: {why}"
                            );
                        }
                        not_before = Instant::now() + AGAIN.min(self.interval);
                    }
                }
            }
            let news = tokio::time::timeout(TICK, changes.changed());
            let _ = self.stop.run_until_cancelled(news).await;
        }
    }

    /// Sends what there is, if it is time. What is wrong with the database is told by those who work with it.
    async fn tell(&self) -> Result<(), String> {
        let Ok((news, standing)) = self.look().await else { return Ok(()) };
        let digest = Digest::new(&news, &standing);
        let now = self.ledger.now();
        if digest.is_empty() {
            if news.up_to > news.after {
                let _ = self.ledger.skip_alerts(self.way.name(), &news).await;
            }
            return Ok(());
        }
        if !news.may_be_told(now, self.interval) {
            return Ok(());
        }
        self.way.send(&digest, now).await?;
        // what was told must not be told again
        while let Err(error) = self.ledger.alerts_delivered(self.way.name(), &news, &standing).await {
            self.ledger.complain(&error);
            if sleeps(WRITE_AGAIN, &self.stop).await.is_none() {
                break;
            }
        }
        Ok(())
    }

    async fn look(&self) -> Result<(PendingAlerts, BTreeMap<String, String>), LedgerError> {
        let report = self.ledger.report();
        Ok((report.pending_alerts(self.way.name()).await?, by_name(report.notices().await?)))
    }
}
