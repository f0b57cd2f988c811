//! `run --once`: when is there nothing left to do?

use std::time::Duration;

use tokio::time::Instant;

use super::Progress;
use crate::config::Settings;
use crate::domain::clock::until;
use crate::domain::notice::PauseCause;
use crate::ledger::LedgerError;
use crate::publish::Pause;

/// A retry that is due within this time is waited for; and when nothing has changed for so long, nothing will.
const LONGEST_WAIT: Duration = Duration::from_mins(1);

/// How often the question is asked.
const ASK: Duration = Duration::from_millis(20);

/// How often the files are counted, which takes long when there are many.
const COUNT: Duration = Duration::from_secs(1);

/// Resolves when nothing is queued or uploading, no file is still being copied, and no retry is due within a
/// minute. It never waits for ever: a cloud that is down and a file that never stops growing are given a
/// minute without any file coming to an end.
pub(super) async fn done(settings: &Settings, progress: Progress) -> Result<(), LedgerError> {
    let longest_wait = LONGEST_WAIT.max(settings.watch.settle + settings.watch.grace);
    let (mut seen, mut since) = ((0, 0), Instant::now());
    let mut counted: Option<Instant> = None;
    loop {
        let intake = progress.intake.borrow().clone();
        let publish = progress.publish.borrow().clone();
        if counted.is_none_or(|counted| counted.elapsed() >= COUNT) {
            let counts = progress.ledger.report().counts(None).await?;
            let now = (counts.total(), counts.pending());
            if std::mem::replace(&mut seen, now) != now {
                since = Instant::now();
            }
            counted = Some(Instant::now());
        }
        let quiet = intake.scanned && intake.idle && publish.in_flight == 0;
        if quiet && intake.incomplete == 0 && is_all_done(&progress).await? {
            return Ok(());
        }
        // what is left waits for somebody else
        if publish.in_flight == 0 && since.elapsed() > longest_wait {
            return Ok(());
        }
        tokio::time::sleep(ASK).await;
    }
}

async fn is_all_done(progress: &Progress) -> Result<bool, LedgerError> {
    Ok(progress.ledger.rechecks_requested().await?.is_empty() && nothing_to_send(progress).await?)
}

async fn nothing_to_send(progress: &Progress) -> Result<bool, LedgerError> {
    let paused = progress.publish.borrow().paused.clone();
    let left = progress.ledger.report().outlook().await?;
    let far = left.due.is_none_or(|due| until(progress.ledger.now(), due) > LONGEST_WAIT);
    Ok(match paused {
        _ if left.uploading > 0 => false,
        // no file can succeed until a person has changed something
        Some(Pause { cause: PauseCause::Credentials, .. }) => true,
        Some(Pause { cause: PauseCause::Outage, next_probe, .. }) => {
            next_probe.duration_since(Instant::now()) > LONGEST_WAIT || (left.queued == 0 && far)
        }
        None => left.queued == 0 && far,
    })
}
