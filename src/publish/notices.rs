//! What the table says of publish, for people: why nothing goes through, for as long as nothing does.

use std::time::Duration;

use tokio::time::Instant;

use super::Shared;
use crate::domain::clock::later;
use crate::ledger::{LedgerError, PAUSED, THROTTLED};

/// Throttling is said when nothing went through for so long. A file that is tried again once says nothing.
const LASTING: Duration = Duration::from_mins(1);

/// The notices as they were written last.
#[derive(Debug, Default)]
pub(super) struct Notices {
    paused: Said<(String, Instant)>,
    throttled: Said<String>,
}

/// What one notice says. What it said before the start is not known, nor after a commit that failed.
#[derive(Debug, Default, PartialEq, Eq)]
enum Said<T> {
    #[default]
    Unknown,
    This(T),
    Nothing,
}

impl<T> From<Option<T>> for Said<T> {
    fn from(says: Option<T>) -> Self {
        says.map_or(Said::Nothing, Said::This)
    }
}

impl Notices {
    /// Writes what has changed.
    pub(super) async fn write(&mut self, shared: &Shared, idle: bool) -> Result<(), LedgerError> {
        self.write_paused(shared, idle).await?;
        self.write_throttled(shared, idle).await
    }

    /// Why the gate is closed, for as long as it is. What was said before the start stands until something goes
    /// through, or nothing is left to try it with.
    async fn write_paused(&mut self, shared: &Shared, idle: bool) -> Result<(), LedgerError> {
        let why = shared.gate.closed().map(|(cause, next)| (shared.why_closed(cause), next));
        let says = Said::from(why);
        if self.paused == says {
            return Ok(());
        }
        // a commit that fails may have been one: then it is written again
        self.paused = Said::Unknown;
        match &says {
            Said::This((why, next)) => {
                let wait = next.saturating_duration_since(Instant::now());
                shared.ledger.set_paused(why, later(shared.ledger.now(), wait)).await?;
            }
            _ if !shared.gate.is_proven() && has_work(shared, idle).await? => return Ok(()),
            _ => shared.ledger.clear_notice(PAUSED).await?,
        }
        self.paused = says;
        Ok(())
    }

    /// That a cloud asks to slow down and lets nothing through.
    async fn write_throttled(&mut self, shared: &Shared, idle: bool) -> Result<(), LedgerError> {
        let long = LASTING.min(shared.settings.retry.backoff.max());
        let words = shared.pace.throttled(Instant::now(), long);
        let says = match words {
            Some(words) if shared.gate.closed().is_none() && has_work(shared, idle).await? => {
                Said::This(format!(
                    "the cloud asks to slow down and takes nothing; it is asked slower and slower: {words}"
                ))
            }
            _ => Said::Nothing,
        };
        if self.throttled == says {
            return Ok(());
        }
        self.throttled = Said::Unknown;
        match &says {
            Said::This(text) => shared.ledger.set_notice(THROTTLED, text).await?,
            _ => shared.ledger.clear_notice(THROTTLED).await?,
        }
        self.throttled = says;
        Ok(())
    }
}

async fn has_work(shared: &Shared, idle: bool) -> Result<bool, LedgerError> {
    Ok(!idle || shared.ledger.report().next_due().await?.is_some())
}
