//! What is known while the breaker is not closed: why it is open, which probes are under way, and who may probe next.
//!
//! A probe that ends before it reached a cloud, or that takes too long, tells nothing of the clouds. Its brand is
//! passed over then: the next probe starts at once, with a file of another brand. When one of them found the clouds unusable,
//! or no other brand has a file that is due, those that were passed over may probe again, after the interval.

use std::mem;
use std::time::Duration;

use tokio::time::Instant;

use super::failing_brands::FailingBrands;
use crate::domain::backoff::Backoff;
use crate::domain::brand::BrandId;
use crate::domain::notice::PauseCause;

/// A probe that takes longer no longer keeps files of other brands from trying: it may be the file that is slow, and
/// not the cloud. (The longest interval, if that is shorter.)
const PROBE_DEADLINE: Duration = Duration::from_secs(10);

/// A probe that is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::publish) struct Probe {
    pub(super) brand: BrandId,
    pub(super) started: Instant,
}

/// Why the breaker is not closed, and what was tried since.
#[derive(Debug)]
pub(super) struct Trip {
    pub(super) cause: PauseCause,
    pub(super) failing_brands: FailingBrands,
    pub(super) since: Instant,
    pub(super) last_error: String,
    /// How many times in a row the clouds were found to be unusable: the opening, and each probe since.
    failures: u32,
    /// The next probe starts not before then, unless it is one of other brands than all that failed.
    next_probe: Instant,
    /// An operator asked for the next probe: its failure does not make the interval longer.
    probe_requested: bool,
    /// Those under way, the latest last: all but that one take too long. No two are of one brand.
    probes: Vec<Probe>,
    /// Brands whose probes told nothing: others come first.
    passed_over: Vec<BrandId>,
    /// They may probe again not before then.
    again: Instant,
}

impl Trip {
    pub(super) fn new(
        cause: PauseCause,
        failing_brands: FailingBrands,
        last_error: String,
        now: Instant,
        backoff: Backoff,
    ) -> Self {
        Self {
            cause,
            failing_brands,
            since: now,
            last_error,
            failures: 1,
            next_probe: now + backoff.delay(1, 0.0),
            probe_requested: false,
            probes: Vec::new(),
            passed_over: Vec::new(),
            again: now,
        }
    }

    /// May a probe start now? Of any brand but these; or not before then.
    pub(super) fn probe_from(&self, now: Instant, backoff: Backoff) -> Result<Vec<BrandId>, Instant> {
        let under_way = self.probes.last().map(|probe| probe.deadline(backoff));
        let again = self.again_from();
        if let Some(until) = under_way.into_iter().chain(again).find(|until| *until > now) {
            return Err(until);
        }
        let failing = match self.only_failing_brand() {
            _ if self.next_probe <= now => None,
            Some(brand) => Some(brand),
            None => return Err(self.next_probe),
        };
        let probing = self.probes.iter().map(|probe| probe.brand);
        Ok(self.passed_over.iter().copied().chain(probing).chain(failing).collect())
    }

    /// The brand whose files are all that failed: others need not wait for the interval.
    fn only_failing_brand(&self) -> Option<BrandId> {
        self.failing_brands.only().filter(|_| self.cause == PauseCause::Outage)
    }

    /// When those that were passed over may probe again: while none is, for no other brand had a file that was due.
    fn again_from(&self) -> Option<Instant> {
        self.passed_over.is_empty().then_some(self.again)
    }

    /// When the next probe may start; while one is under way, when the next one may if it fails.
    pub(super) fn next_probe(&self, backoff: Backoff) -> Instant {
        let after = |probe: &Probe| probe.started + backoff.delay(self.failures.saturating_add(1), 0.0);
        let earliest = self.next_probe.max(self.again);
        self.probes.last().map_or(earliest, |probe| earliest.max(after(probe)))
    }

    pub(super) fn probes(&self) -> usize {
        self.probes.len()
    }

    pub(super) fn started(&mut self, probe: Probe) {
        self.probes.push(probe);
    }

    /// No brand but those that are left out has a file that is due: those that were passed over may probe again. Says
    /// when to look again.
    pub(super) fn no_other_brand(&mut self, now: Instant, backoff: Backoff) -> Instant {
        match mem::take(&mut self.passed_over).is_empty() {
            false => self.again,
            true if self.next_probe > now => self.next_probe,
            // only that of a probe under way
            true => now + backoff.max(),
        }
    }

    pub(super) fn probe_now(&mut self, now: Instant) {
        (self.next_probe, self.again, self.probe_requested) = (now, now, true);
    }

    /// True when the cause is another one than before.
    pub(super) fn failed_again(&mut self, cause: PauseCause, error: String, brand: BrandId) -> bool {
        self.failing_brands.add(brand);
        self.last_error = error;
        mem::replace(&mut self.cause, cause) != cause
    }

    /// The clouds are still unusable. Of other probes under way, only a success counts from now on.
    pub(super) fn probe_failed(&mut self, probe: Probe, now: Instant, backoff: Backoff) {
        if !self.has_ended(probe) {
            return;
        }
        // a cloud that refuses this brand alone must not keep those away that were passed over
        (self.passed_over, self.again) = (Vec::new(), now);
        if probe.deadline(backoff) <= now {
            self.pass_over(probe.brand);
        }
        for other in mem::take(&mut self.probes) {
            self.pass_over(other.brand);
        }
        if !mem::take(&mut self.probe_requested) {
            self.failures = self.failures.saturating_add(1);
        }
        self.next_probe = now + backoff.delay(self.failures, 0.0);
    }

    /// The file was gone, for instance.
    pub(super) fn probe_told_nothing(&mut self, probe: Probe, now: Instant, backoff: Backoff) {
        if self.has_ended(probe) {
            self.pass_over(probe.brand);
            self.again = now + backoff.delay(1, 0.0);
        }
    }

    /// False when it was no probe of this pause, or another one has failed since.
    fn has_ended(&mut self, probe: Probe) -> bool {
        let before = self.probes.len();
        self.probes.retain(|other| *other != probe);
        self.probes.len() < before
    }

    fn pass_over(&mut self, brand: BrandId) {
        if !self.passed_over.contains(&brand) {
            self.passed_over.push(brand);
        }
    }
}

impl Probe {
    fn deadline(self, backoff: Backoff) -> Instant {
        self.started + PROBE_DEADLINE.min(backoff.max())
    }
}
