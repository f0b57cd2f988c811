//! `run --once`: when is there nothing left to do?

use std::time::Duration;

use tokio::time::Instant;

use super::{Progress, wait};
use crate::config::Settings;
use crate::domain::upload::State;
use crate::ledger::LedgerError;
use crate::publish::Cause;

/// A retry that is due within this time is waited for.
const PATIENCE: Duration = Duration::from_mins(1);

/// How often the question is asked, at the least.
const ASK: Duration = Duration::from_millis(100);

/// Resolves when nothing is queued or uploading, no file is still being copied, and no retry is due within a
/// minute; or when the clouds take nothing for longer than that.
pub(super) async fn done(settings: &Settings, mut progress: Progress) -> Result<(), LedgerError> {
    let mut changes = progress.ledger.changes();
    let mut idle_since = None;
    loop {
        changes.mark_unchanged();
        let intake = progress.intake.borrow_and_update().clone();
        let sent = intake.scanned && intake.idle && nothing_to_send(&progress).await?;
        idle_since = sent.then(|| idle_since.unwrap_or_else(Instant::now));
        // a file that never stops growing is not waited for: its copy may take any time
        let longest =
            settings.watch.settle.max(settings.watch.grace) + settings.watch.settle + Duration::from_secs(2);
        if idle_since.is_some_and(|since: Instant| !intake.waiting || since.elapsed() > longest) {
            return Ok(());
        }
        tokio::select! {
            _ = changes.changed() => {}
            _ = progress.intake.changed() => {}
            () = tokio::time::sleep(ASK) => {}
        }
    }
}

async fn nothing_to_send(progress: &Progress) -> Result<bool, LedgerError> {
    let publish = progress.publish.borrow().clone();
    if publish.in_flight > 0 || !progress.ledger.brands_to_recheck().await?.is_empty() {
        return Ok(false);
    }
    let report = progress.ledger.report();
    let counts = report.counts(None).await?;
    if counts.of(State::Uploading) > 0 {
        return Ok(false);
    }
    match publish.paused {
        // no file can succeed until a person has changed something
        Some((Cause::Credentials, _)) => return Ok(true),
        Some((Cause::Outage, next)) => return Ok(next.duration_since(Instant::now()) > PATIENCE),
        None => {}
    }
    let due = report.next_due().await?;
    let far = due.is_none_or(|due| wait(progress.ledger.now(), due) > PATIENCE);
    Ok(counts.of(State::Queued) == 0 && far)
}
