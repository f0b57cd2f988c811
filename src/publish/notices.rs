//! The notices of publish in the ledger: why nothing goes through, for as long as nothing does.

use std::time::Duration;

use tokio::time::Instant;

use super::breaker::Pause;
use super::report::explain;
use super::shared::Shared;
use crate::domain::clock::later;
use crate::domain::notice::{NoticeName, Written};
use crate::ledger::LedgerError;

/// Throttling is worth a notice when nothing went through for so long.
const MIN_THROTTLED: Duration = Duration::from_mins(1);

/// The notices as they were written last.
#[derive(Debug, Default)]
pub(super) struct Notices {
    paused: Written<Pause>,
    throttled: Written<String>,
}

impl Notices {
    /// Writes what has changed.
    pub(super) async fn write(&mut self, shared: &Shared, idle: bool) -> Result<(), LedgerError> {
        self.write_paused(shared, idle).await?;
        self.write_throttled(shared, idle).await
    }

    /// Why the breaker is open. The notice of an earlier run stays until something goes through, or no file is left
    /// to try it with.
    async fn write_paused(&mut self, shared: &Shared, idle: bool) -> Result<(), LedgerError> {
        let wanted = Written::from(shared.breaker.pause());
        if self.paused == wanted {
            return Ok(());
        }
        self.paused = Written::Unknown;
        match &wanted {
            Written::Set(pause) => {
                let wait = pause.next_probe.saturating_duration_since(Instant::now());
                let until = later(shared.ledger.now(), wait);
                shared.ledger.set_paused(&explain(pause), until).await?;
            }
            _ if !shared.breaker.has_succeeded() && has_work(shared, idle).await? => return Ok(()),
            _ => shared.ledger.clear_notice(NoticeName::Paused).await?,
        }
        self.paused = wanted;
        Ok(())
    }

    /// That a cloud asks to slow down and lets nothing through.
    async fn write_throttled(&mut self, shared: &Shared, idle: bool) -> Result<(), LedgerError> {
        let at_least = MIN_THROTTLED.min(shared.settings.retry.backoff.max());
        let wanted = match shared.pace.throttled(Instant::now(), at_least) {
            Some(error) if shared.breaker.pause().is_none() && has_work(shared, idle).await? => {
                Written::Set(format!(
                    "the cloud asks to slow down and takes nothing; the pace is lowered step by step: {error}"
                ))
            }
            _ => Written::Cleared,
        };
        if self.throttled == wanted {
            return Ok(());
        }
        self.throttled = Written::Unknown;
        match &wanted {
            Written::Set(text) => shared.ledger.set_notice(NoticeName::Throttled, text).await?,
            _ => shared.ledger.clear_notice(NoticeName::Throttled).await?,
        }
        self.throttled = wanted;
        Ok(())
    }
}

async fn has_work(shared: &Shared, idle: bool) -> Result<bool, LedgerError> {
    Ok(!idle || shared.ledger.report().next_due().await?.is_some())
}
