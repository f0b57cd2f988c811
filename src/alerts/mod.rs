//! Tells people, in their chat or by a program of theirs, when something needs them: files that are refused,
//! uploads that pause, and that it goes on again. Grouped, and at most once in `alerts.min_interval`.

mod digest;
mod robot;
mod send;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::cloud::Clients;
use crate::config::Settings;
use crate::domain::event;
use crate::domain::upload::State;
use crate::ledger::{Cursor, Filter, Ledger, LedgerError};
use digest::Digest;
use send::Ways;

/// What happens together is told together.
const GATHER: Duration = Duration::from_secs(2);

/// How long it looks away at most: `min_interval` may have passed meanwhile.
const TICK: Duration = Duration::from_secs(5);

/// After an alert could not be sent it is tried again then.
const SEND_AGAIN: Duration = Duration::from_secs(30);

/// So many refused files are looked at at a time.
const MOST: u32 = 1000;

/// Watches the table for ever. Without a way to tell anybody it only waits.
///
/// # Errors
/// When no HTTP client can be had.
pub async fn watch(settings: Arc<Settings>, ledger: Ledger) -> anyhow::Result<()> {
    let Some(ways) = Ways::new(&settings.alerts, Clients::new(&settings)?) else {
        return std::future::pending().await;
    };
    let mut changes = ledger.changes();
    let mut digest = Digest::new(&ledger.report().notices().await.unwrap_or_default());
    let mut seen = Cursor::at(ledger.now());
    let (mut not_before, mut complained) = (Instant::now(), false);
    loop {
        let _ = tokio::time::timeout(TICK, changes.changed()).await;
        tokio::time::sleep(GATHER.min(settings.alerts.min_interval)).await;
        // trouble with the database is told by those who work with it
        let _ = gather(&ledger, &mut digest, &mut seen).await;
        if digest.is_empty() || Instant::now() < not_before {
            continue;
        }
        match ways.send(&digest, ledger.now()).await {
            Ok(()) => {
                complained = false;
                digest.told();
                not_before = Instant::now() + settings.alerts.min_interval;
            }
            Err(why) => {
                if !std::mem::replace(&mut complained, true) {
                    tracing::warn!(
                        message_id = event::ALERT_LOST,
                        "an alert cannot be sent, and is tried again: {why}"
                    );
                }
                not_before = Instant::now() + SEND_AGAIN.min(settings.alerts.min_interval);
            }
        }
    }
}

async fn gather(ledger: &Ledger, digest: &mut Digest, seen: &mut Cursor) -> Result<(), LedgerError> {
    digest.notices(&ledger.report().notices().await?);
    let filter = Filter {
        states: vec![State::Failed, State::Rejected],
        since: Some(seen.moment().to_owned()),
        limit: Some(MOST),
        ..Filter::default()
    };
    // the latest come first
    let rows = ledger.report().uploads(&filter).await?;
    let new: Vec<_> = rows.into_iter().filter(|row| seen.is_before(row)).collect();
    if let Some(latest) = new.first() {
        *seen = Cursor::behind(latest);
    }
    digest.refused(new);
    Ok(())
}
