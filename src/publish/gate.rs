//! The gate before the clouds. When nothing can succeed (wrong credentials, a service that is down) it
//! closes, and one file at a time probes at growing intervals: ten thousand waiting files cost no more
//! requests than one.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::domain::backoff::Backoff;
use crate::domain::brand::BrandKey;

/// So many failures of a service in a row close the gate.
const STRIKES: u32 = 5;

/// May the next file go?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// Yes.
    Open,
    /// One, to find out.
    Probe,
    /// Before then one of any other brand, to find out: all failures were this one's.
    ProbeOthers(BrandKey),
    /// Not before then.
    Wait(Instant),
}

/// Why the gate closes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The gateway does not accept our credentials.
    Credentials,
    /// The gateway or OSS is down.
    Outage,
}

impl Cause {
    /// As metrics name it.
    pub fn as_str(self) -> &'static str {
        match self {
            Cause::Credentials => "credentials",
            Cause::Outage => "outage",
        }
    }
}

/// What changed, for the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Nothing that need be said.
    None,
    /// It closed, or its cause changed.
    Closed(Cause),
    /// It opened after so long.
    Opened(Duration),
}

/// The gate.
#[derive(Debug)]
pub struct Gate {
    backoff: Backoff,
    state: Mutex<State>,
    /// Something went through since the start.
    proven: AtomicBool,
}

#[derive(Debug)]
enum State {
    Open {
        strikes: u32,
        blame: Blame,
    },
    Closed {
        cause: Cause,
        blame: Blame,
        since: Instant,
        failures: u32,
        next: Instant,
        probing: Option<Instant>,
        /// The next probe was asked for: its failure says nothing of how long to wait.
        asked: bool,
    },
}

const OPEN: State = State::Open { strikes: 0, blame: Blame::Nobody };

/// Whose files failed. A cloud that refuses all files of one brand is not down for the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Blame {
    Nobody,
    One(BrandKey),
    Several,
}

impl Blame {
    fn add(&mut self, brand: BrandKey) {
        *self = match *self {
            Blame::Nobody => Blame::One(brand),
            Blame::One(other) if other == brand => Blame::One(brand),
            Blame::One(_) | Blame::Several => Blame::Several,
        }
    }
}

impl Gate {
    /// An open gate that probes, once closed, at the intervals of `backoff`.
    pub fn new(backoff: Backoff) -> Self {
        Self { backoff, state: Mutex::new(OPEN), proven: AtomicBool::new(false) }
    }

    /// May a file go now? A probe that was admitted must be followed by `succeeded`, `failed` or `undecided`.
    pub fn admit(&self, now: Instant) -> Admission {
        match &mut *self.lock() {
            State::Open { .. } => Admission::Open,
            State::Closed { next, probing: None, .. } if *next <= now => Admission::Probe,
            State::Closed { cause: Cause::Outage, blame: Blame::One(brand), probing: None, .. } => {
                Admission::ProbeOthers(*brand)
            }
            // a probe is on its way: whoever ends it wakes the others
            State::Closed { next, probing, .. } => {
                Admission::Wait(if probing.is_some() { now + self.backoff.max() } else { *next })
            }
        }
    }

    /// The admitted probe is on its way.
    pub fn probe(&self, now: Instant) {
        if let State::Closed { probing, .. } = &mut *self.lock() {
            *probing = Some(now);
        }
    }

    /// Did the clouds do their work since the start? Before that, an open gate says nothing of them.
    pub fn is_proven(&self) -> bool {
        self.proven.load(Ordering::Relaxed)
    }

    /// Why it is closed, if it is, and when the next probe may go: after the one that is on its way, if that fails.
    pub fn closed(&self) -> Option<(Cause, Instant)> {
        match &*self.lock() {
            State::Open { .. } => None,
            State::Closed { cause, next, failures, probing, .. } => {
                let after = |began| began + self.backoff.delay(failures.saturating_add(1), 0.0);
                Some((*cause, probing.map_or(*next, after)))
            }
        }
    }

    /// The clouds did their work, or judged a single file: they are there.
    pub fn succeeded(&self, now: Instant) -> Change {
        self.proven.store(true, Ordering::Relaxed);
        let mut state = self.lock();
        let change = match &*state {
            State::Open { .. } => Change::None,
            State::Closed { since, .. } => Change::Opened(now.duration_since(*since)),
        };
        *state = OPEN;
        change
    }

    /// A file of this brand failed for a reason that would meet every file. `probe`: it was the one that was
    /// admitted to find out.
    pub fn failed(&self, cause: Cause, now: Instant, brand: BrandKey, probe: bool) -> Change {
        let mut state = self.lock();
        match &mut *state {
            State::Open { strikes, blame } if cause == Cause::Outage && *strikes + 1 < STRIKES => {
                *strikes += 1;
                blame.add(brand);
                Change::None
            }
            State::Open { blame, .. } => {
                blame.add(brand);
                let (blame, next) = (*blame, now + self.backoff.delay(1, 0.0));
                *state = State::Closed {
                    cause,
                    blame,
                    since: now,
                    failures: 1,
                    next,
                    probing: None,
                    asked: false,
                };
                Change::Closed(cause)
            }
            State::Closed { cause: before, blame, failures, next, probing, asked, .. } => {
                blame.add(brand);
                // files that were under way when it closed say nothing new
                if probe {
                    *probing = None;
                    if !std::mem::take(asked) {
                        *failures = failures.saturating_add(1);
                    }
                    *next = now + self.backoff.delay(*failures, 0.0);
                }
                let changed = std::mem::replace(before, cause) != cause;
                if changed { Change::Closed(cause) } else { Change::None }
            }
        }
    }

    /// Something has changed that lets a probe hope: it may go now.
    pub fn hope(&self, now: Instant) {
        if let State::Closed { next, asked, .. } = &mut *self.lock() {
            (*next, *asked) = (now, true);
        }
    }

    /// A probe ended without telling anything (the file was gone, we stop). The next one takes its time too.
    pub fn undecided(&self, now: Instant, probe: bool) {
        if let (State::Closed { probing, next, .. }, true) = (&mut *self.lock(), probe) {
            *probing = None;
            if *next <= now {
                *next = now + self.backoff.delay(1, 0.0);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn brand(record: i64) -> BrandKey {
        BrandKey::new(crate::domain::brand::BrandType::Own, record).unwrap()
    }

    fn gate() -> (Gate, Instant) {
        (Gate::new(Backoff::new(Duration::from_secs(2), Duration::from_mins(1))), Instant::now())
    }

    #[test]
    fn probes_that_operators_ask_for_make_the_wait_no_longer() {
        let (gate, now) = gate();
        gate.failed(Cause::Credentials, now, brand(1), false);
        for _ in 0..10 {
            gate.hope(now);
            assert_eq!(gate.admit(now), Admission::Probe);
            gate.probe(now);
            gate.failed(Cause::Credentials, now, brand(1), true);
        }
        assert_eq!(gate.admit(now), Admission::Wait(now + Duration::from_secs(2)));
    }

    #[test]
    fn wrong_credentials_close_it_at_once_and_probes_grow_apart() {
        let (gate, start) = gate();
        assert_eq!(
            gate.failed(Cause::Credentials, start, brand(1), false),
            Change::Closed(Cause::Credentials)
        );
        let mut now = start;
        for wait in [2, 4, 8, 16, 32, 60, 60] {
            assert_eq!(gate.admit(now), Admission::Wait(now + Duration::from_secs(wait)));
            now += Duration::from_secs(wait);
            assert_eq!(gate.admit(now), Admission::Probe);
            gate.probe(now);
            assert!(matches!(gate.admit(now), Admission::Wait(_)), "one at a time");
            let (_, again) = gate.closed().unwrap();
            assert!(again > now, "never in the past");
            assert_eq!(gate.failed(Cause::Credentials, now, brand(1), true), Change::None);
        }
        assert_eq!(gate.succeeded(now), Change::Opened(now - start));
        assert_eq!(gate.admit(now), Admission::Open);
    }

    #[test]
    fn an_outage_closes_it_only_after_some_strikes_in_a_row() {
        let (gate, now) = gate();
        for _ in 1..STRIKES {
            assert_eq!(gate.failed(Cause::Outage, now, brand(1), false), Change::None);
        }
        gate.succeeded(now);
        for _ in 1..STRIKES {
            assert_eq!(gate.failed(Cause::Outage, now, brand(1), false), Change::None);
        }
        assert_eq!(gate.failed(Cause::Outage, now, brand(1), false), Change::Closed(Cause::Outage));
    }

    #[test]
    fn stragglers_do_not_put_the_probe_off() {
        let (gate, now) = gate();
        gate.failed(Cause::Credentials, now, brand(1), false);
        let next = gate.admit(now);
        gate.failed(Cause::Credentials, now + Duration::from_secs(1), brand(1), false);
        assert_eq!(gate.admit(now), next);
        let later = now + Duration::from_secs(2);
        gate.probe(later);
        gate.failed(Cause::Credentials, later, brand(1), false);
        assert!(matches!(gate.admit(later), Admission::Wait(_)), "the real probe is still on its way");
    }

    #[test]
    fn one_brand_that_fails_keeps_no_other_from_trying() {
        let (gate, now) = gate();
        for _ in 0..STRIKES {
            gate.failed(Cause::Outage, now, brand(1), false);
        }
        assert_eq!(gate.admit(now), Admission::ProbeOthers(brand(1)));
        gate.probe(now);
        assert!(matches!(gate.admit(now), Admission::Wait(_)), "one at a time");
        gate.failed(Cause::Outage, now, brand(2), true);
        assert!(matches!(gate.admit(now), Admission::Wait(_)), "it is not the one brand");
        gate.succeeded(now);
        assert_eq!(gate.admit(now), Admission::Open);
    }
}
