//! How far intake is.

use tokio::time::Instant;

use super::agenda::Priority;
use super::{GATHER, Intake};

/// How far intake is, for those who wait for it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IntakeProgress {
    /// All folders that were there at the start are known; each is watched, as far as it can be, when its first scan begins.
    pub discovered: bool,
    /// So many of them were not scanned yet.
    pub first_scans_pending: usize,
    /// All folders were scanned at least once since the start.
    pub scanned: bool,
    /// Nothing is being scanned or is to be scanned now.
    pub idle: bool,
    /// So many files are still being copied.
    pub incomplete: usize,
    /// So many folders cannot be read, or were not discovered yet; the root is one of them.
    pub unreadable: usize,
    /// Counts up whenever intake took a step: the watchdog's sign of life.
    pub steps: u64,
}

impl Intake {
    pub(super) fn report_progress(&self) {
        let totals = self.tracked.totals();
        self.ctx.metrics.watched(totals.watched, totals.polled);
        let scanned = self.discovered && totals.first_scans_pending == 0;
        let is_discovered = self.can_discover() && self.orphans.are_resolved();
        let idle = scanned
            && is_discovered
            && totals.scanning == 0
            && !self.is_scan_due()
            && self.ctx.watch.events().is_empty();
        let root = usize::from(self.root.missing || !self.discovered);
        let unreadable = totals.unreadable + self.unreadable_parents.len() + root;
        self.progress.send_modify(|progress| {
            *progress = IntakeProgress {
                discovered: self.discovered,
                first_scans_pending: totals.first_scans_pending,
                scanned,
                idle,
                incomplete: totals.incomplete,
                unreadable,
                steps: progress.steps.wrapping_add(1),
            };
        });
    }

    fn is_scan_due(&self) -> bool {
        let soon = Instant::now() + GATHER;
        let due = self.agenda.next(Priority::Routine).is_some_and(|due| due <= soon);
        due || self.schedule.is_due_by(soon)
    }
}
