//! Files of a brand that find no slot are one warning, with a count.

use std::time::Duration;

use tokio::time::Instant;

use crate::ledger::RecordResult;
use crate::telemetry::repeat::RepeatLimiter;

/// So many files of a warning are named.
pub(super) const NAMED: usize = 3;

/// While more files come, those that found no slot are counted for so long before they are logged.
const COUNT: Duration = Duration::from_secs(10);

/// Files of a brand that found no slot.
#[derive(Debug, Default)]
pub(super) struct LimitLog {
    limiter: RepeatLimiter<()>,
    pending: Option<Pending>,
}

/// Those that are not logged yet.
#[derive(Debug)]
struct Pending {
    since: Instant,
    /// The first of them.
    named: Vec<RecordResult>,
    count: usize,
}

impl LimitLog {
    pub(super) fn add(&mut self, files: Vec<RecordResult>, now: Instant) {
        let new = || Pending { since: now, named: Vec::new(), count: 0 };
        let pending = self.pending.get_or_insert_with(new);
        pending.count += files.len();
        pending.named.extend(files);
        pending.named.truncate(NAMED);
    }

    /// What is to be logged now: the first files, and the number of all; `more`: other files are about to come.
    pub(super) fn due(&mut self, more: bool, now: Instant) -> Option<(Vec<RecordResult>, usize)> {
        let since = self.pending.as_ref()?.since;
        if more && now.duration_since(since) < COUNT {
            return None;
        }
        self.limiter.should_log(())?;
        self.pending.take().map(|pending| (pending.named, pending.count))
    }

    /// A file has found a slot.
    pub(super) fn resolved(&mut self) {
        self.pending = None;
        self.limiter.resolved();
    }
}
