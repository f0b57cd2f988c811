//! When folders are discovered again, and when their identities are checked.

use std::time::Duration;

use tokio::time::Instant;

/// Events that came since the last discovery of what is new cause another one no sooner than this after it.
const MIN_GAP: Duration = Duration::from_secs(1);

/// After events were lost, or a folder was exchanged, everything is discovered no sooner than this after the last time: whoever
/// does that again and again costs no more than that.
const PAUSE: Duration = Duration::from_secs(5);

/// The times of the next discoveries.
#[derive(Debug)]
pub(super) struct Schedule {
    /// Everything is discovered, and all folders are scanned.
    full: Instant,
    /// An event requests a discovery of what is new.
    requested: Option<Instant>,
    last: Option<Instant>,
    last_full: Option<Instant>,
    /// The identities of the root and of configured folders are checked.
    pub(super) identity_check: Instant,
}

/// Which discovery is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// Everything, and all folders are scanned.
    Full,
    /// Only folders that came, changed or went are scanned.
    Changes,
}

impl Schedule {
    pub(super) fn new(now: Instant) -> Self {
        Self { full: now, requested: None, last: None, last_full: None, identity_check: now }
    }

    /// The discovery to begin now. The next full one is due after `rescan`.
    pub(super) fn due(&self, now: Instant) -> Option<Scope> {
        let requested = self.requested.is_some_and(|at| now >= at).then_some(Scope::Changes);
        if now >= self.full { Some(Scope::Full) } else { requested }
    }

    /// A discovery begins; the next full one comes after `rescan`.
    pub(super) fn begin(&mut self, scope: Scope, now: Instant, rescan: Duration) {
        if scope == Scope::Full {
            (self.full, self.last_full) = (now + rescan, Some(now));
        }
        (self.requested, self.last) = (None, Some(now));
    }

    /// The next full discovery comes at this time.
    pub(super) fn full_at(&mut self, at: Instant) {
        self.full = at;
    }

    /// The next full discovery comes at this time at the latest.
    pub(super) fn full_by(&mut self, at: Instant) {
        self.full = self.full.min(at);
    }

    /// Events were lost, or a folder was exchanged: everything is discovered soon. False: it is anyway.
    pub(super) fn full_soon(&mut self, now: Instant) -> bool {
        let soonest = self.last_full.map_or(now, |last| last + PAUSE).max(now);
        let is_news = soonest < self.full;
        self.full_by(soonest);
        is_news
    }

    /// An event tells of new folders: they are discovered after `gather`, but not in quick succession.
    pub(super) fn request(&mut self, now: Instant, gather: Duration) {
        let soonest = self.last.map_or(now, |last| last + MIN_GAP);
        self.requested.get_or_insert(soonest.max(now + gather));
    }

    /// Is a discovery requested, or due by then?
    pub(super) fn is_due_by(&self, at: Instant) -> bool {
        self.requested.is_some() || self.full <= at
    }

    /// When something is due next.
    pub(super) fn next(&self) -> Instant {
        let next = self.full.min(self.identity_check);
        self.requested.map_or(next, |requested| requested.min(next))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GATHER: Duration = Duration::from_millis(5);
    const RESCAN: Duration = Duration::from_mins(10);

    #[tokio::test(start_paused = true)]
    async fn events_cause_discoveries_that_are_a_pause_apart() {
        let start = Instant::now();
        let mut schedule = Schedule::new(start);
        assert_eq!(schedule.due(start), Some(Scope::Full));
        schedule.begin(Scope::Full, start, RESCAN);
        schedule.request(start, GATHER);
        assert_eq!(schedule.due(start + GATHER), None);
        assert_eq!(schedule.due(start + MIN_GAP), Some(Scope::Changes));
        schedule.begin(Scope::Changes, start + MIN_GAP, RESCAN);
        assert_eq!(schedule.due(start + MIN_GAP * 9), None);
        schedule.request(start + MIN_GAP * 9, GATHER);
        assert_eq!(schedule.due(start + MIN_GAP * 9 + GATHER), Some(Scope::Changes));
        assert_eq!(schedule.due(start + RESCAN), Some(Scope::Full));
    }

    #[tokio::test(start_paused = true)]
    async fn events_that_are_lost_again_and_again_cause_full_discoveries_that_are_a_pause_apart() {
        let start = Instant::now();
        let mut schedule = Schedule::new(start);
        schedule.begin(Scope::Full, start, RESCAN);
        assert!(schedule.full_soon(start), "it is said once");
        assert!(!schedule.full_soon(start + GATHER));
        assert_eq!(schedule.due(start + GATHER), None);
        let next = start + PAUSE;
        assert_eq!(schedule.due(next), Some(Scope::Full));
        schedule.begin(Scope::Full, next, RESCAN);
        assert!(schedule.full_soon(next + PAUSE * 2), "nothing was lost for long");
        assert_eq!(schedule.due(next + PAUSE * 2), Some(Scope::Full));
    }
}
