//! A circuit breaker before the clouds. When nothing can succeed (wrong credentials, a service that is down) it
//! opens, and one file at a time probes at growing intervals: ten thousand waiting files cost no more requests
//! than one.
//!
//! The states have their usual names: *closed* lets files pass, *open* lets none pass, *half-open* waits for the
//! one file that was let through as a probe.

use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::domain::backoff::Backoff;
use crate::domain::brand::BrandKey;
use crate::domain::notice::PauseCause;

/// The number of consecutive failures of a service that open the breaker.
const FAILURES_TO_OPEN: u32 = 5;

/// May the next file be sent?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Admission {
    /// Any file that is due.
    Pass,
    /// One file, as a probe.
    Probe,
    /// One file of any brand but this one, as a probe: all failures were this brand's.
    ProbeOthers(BrandKey),
    /// Not before then.
    Wait(Instant),
}

/// What one attempt tells about the clouds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Signal {
    /// They worked, or refused a single file: they are there.
    Success,
    /// The attempt failed for a reason that would meet every file.
    Failure {
        /// Which kind of reason.
        cause: PauseCause,
        /// The cloud's error, for people.
        error: String,
    },
    /// The attempt ended before it could show that, for instance because the file was gone.
    Inconclusive,
}

/// Why nothing is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pause {
    /// The kind of reason.
    pub cause: PauseCause,
    /// When the next probe may start; while one is under way, when the next one may if it fails.
    pub next_probe: Instant,
    /// The cloud's latest error.
    pub last_error: String,
}

/// What a signal changed, for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Change {
    /// Nothing worth a line.
    None,
    /// The breaker opened, or the cause changed while it was open.
    Tripped(Pause),
    /// The breaker closed after so long.
    Reset(Duration),
}

/// The circuit breaker.
#[derive(Debug)]
pub(super) struct CircuitBreaker {
    backoff: Backoff,
    state: Mutex<State>,
    has_succeeded: AtomicBool,
}

#[derive(Debug)]
enum State {
    Closed { consecutive_failures: u32, failing_brands: FailingBrands },
    Open(Trip),
    HalfOpen { trip: Trip, probe_started: Instant },
}

/// What is known while the breaker is not closed.
#[derive(Debug)]
struct Trip {
    cause: PauseCause,
    failing_brands: FailingBrands,
    since: Instant,
    /// How many times in a row the clouds were found to be unusable: the opening, and each probe since.
    failures: u32,
    next_probe: Instant,
    /// An operator asked for the next probe: its failure does not make the interval longer.
    probe_requested: bool,
    last_error: String,
}

/// Whose files failed. A cloud that refuses all files of one brand is not down for the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FailingBrands {
    None,
    One(BrandKey),
    Several,
}

impl FailingBrands {
    fn add(&mut self, brand: BrandKey) {
        *self = match *self {
            FailingBrands::None => FailingBrands::One(brand),
            FailingBrands::One(other) if other == brand => FailingBrands::One(brand),
            FailingBrands::One(_) | FailingBrands::Several => FailingBrands::Several,
        }
    }
}

impl State {
    const CLOSED: State = State::Closed { consecutive_failures: 0, failing_brands: FailingBrands::None };

    fn trip(&self) -> Option<&Trip> {
        match self {
            State::Closed { .. } => None,
            State::Open(trip) | State::HalfOpen { trip, .. } => Some(trip),
        }
    }

    fn trip_mut(&mut self) -> Option<&mut Trip> {
        match self {
            State::Closed { .. } => None,
            State::Open(trip) | State::HalfOpen { trip, .. } => Some(trip),
        }
    }

    /// Open → half-open.
    fn half_open(&mut self, probe_started: Instant) {
        *self = match mem::replace(self, State::CLOSED) {
            State::Open(trip) | State::HalfOpen { trip, .. } => State::HalfOpen { trip, probe_started },
            closed @ State::Closed { .. } => closed,
        }
    }

    /// Half-open → open.
    fn reopen(&mut self) {
        *self = match mem::replace(self, State::CLOSED) {
            State::HalfOpen { trip, .. } => State::Open(trip),
            other => other,
        }
    }

    fn pause(&self, backoff: Backoff) -> Option<Pause> {
        let trip = self.trip()?;
        let next_probe = match self {
            State::HalfOpen { probe_started, .. } => {
                *probe_started + backoff.delay(trip.failures.saturating_add(1), 0.0)
            }
            _ => trip.next_probe,
        };
        Some(Pause { cause: trip.cause, next_probe, last_error: trip.last_error.clone() })
    }
}

impl CircuitBreaker {
    /// A closed breaker that probes, once open, at the intervals of `backoff`.
    pub(super) fn new(backoff: Backoff) -> Self {
        Self { backoff, state: Mutex::new(State::CLOSED), has_succeeded: AtomicBool::new(false) }
    }

    /// May a file be sent now? Of a probe that was admitted, start and end are recorded:
    /// [`probe_started`](Self::probe_started), [`record`](Self::record).
    pub(super) fn admit(&self, now: Instant) -> Admission {
        match &*self.lock() {
            State::Closed { .. } => Admission::Pass,
            // the end of the probe wakes publish
            State::HalfOpen { .. } => Admission::Wait(now + self.backoff.max()),
            State::Open(trip) if trip.next_probe <= now => Admission::Probe,
            State::Open(Trip {
                cause: PauseCause::Outage,
                failing_brands: FailingBrands::One(brand),
                ..
            }) => Admission::ProbeOthers(*brand),
            State::Open(trip) => Admission::Wait(trip.next_probe),
        }
    }

    /// The admitted probe has started.
    pub(super) fn probe_started(&self, now: Instant) {
        self.lock().half_open(now);
    }

    /// The next probe may start now: something has changed that could let it succeed.
    pub(super) fn probe_now(&self, now: Instant) {
        if let Some(trip) = self.lock().trip_mut() {
            (trip.next_probe, trip.probe_requested) = (now, true);
        }
    }

    /// Whether the clouds worked since the start. Before that, a closed breaker says nothing about them.
    pub(super) fn has_succeeded(&self) -> bool {
        self.has_succeeded.load(Ordering::Relaxed)
    }

    /// Why nothing is sent, unless the breaker is closed.
    pub(super) fn pause(&self) -> Option<Pause> {
        self.lock().pause(self.backoff)
    }

    /// Takes in what an attempt with a file of `brand` showed. `probe`: it was admitted as a probe.
    pub(super) fn record(&self, signal: Signal, brand: BrandKey, probe: bool, now: Instant) -> Change {
        match signal {
            Signal::Success => self.succeeded(now),
            Signal::Failure { cause, error } => self.failed(cause, error, brand, probe, now),
            Signal::Inconclusive => {
                self.inconclusive(probe, now);
                Change::None
            }
        }
    }

    fn succeeded(&self, now: Instant) -> Change {
        self.has_succeeded.store(true, Ordering::Relaxed);
        let before = mem::replace(&mut *self.lock(), State::CLOSED);
        before.trip().map_or(Change::None, |trip| Change::Reset(now.duration_since(trip.since)))
    }

    fn failed(&self, cause: PauseCause, error: String, brand: BrandKey, probe: bool, now: Instant) -> Change {
        let mut state = self.lock();
        let changed = match &mut *state {
            State::Closed { consecutive_failures, failing_brands } => {
                *consecutive_failures += 1;
                failing_brands.add(brand);
                if cause == PauseCause::Outage && *consecutive_failures < FAILURES_TO_OPEN {
                    return Change::None;
                }
                let failing_brands = *failing_brands;
                *state = State::Open(Trip::new(cause, failing_brands, error, now, self.backoff));
                true
            }
            State::Open(trip) | State::HalfOpen { trip, .. } => {
                let changed = trip.failed_again(cause, error, brand);
                // files that were under way when it opened say nothing about when to probe
                if probe {
                    trip.probe_failed(now, self.backoff);
                    state.reopen();
                }
                changed
            }
        };
        let pause = state.pause(self.backoff).filter(|_| changed);
        pause.map_or(Change::None, Change::Tripped)
    }

    /// An inconclusive probe is followed by another one, but not at once.
    fn inconclusive(&self, probe: bool, now: Instant) {
        if !probe {
            return;
        }
        let mut state = self.lock();
        state.reopen();
        if let Some(trip) = state.trip_mut().filter(|trip| trip.next_probe <= now) {
            trip.next_probe = now + self.backoff.delay(1, 0.0);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Trip {
    fn new(
        cause: PauseCause,
        failing_brands: FailingBrands,
        last_error: String,
        now: Instant,
        backoff: Backoff,
    ) -> Self {
        let next_probe = now + backoff.delay(1, 0.0);
        Self {
            cause,
            failing_brands,
            since: now,
            failures: 1,
            next_probe,
            probe_requested: false,
            last_error,
        }
    }

    /// True when the cause is another one than before.
    fn failed_again(&mut self, cause: PauseCause, error: String, brand: BrandKey) -> bool {
        self.failing_brands.add(brand);
        self.last_error = error;
        mem::replace(&mut self.cause, cause) != cause
    }

    fn probe_failed(&mut self, now: Instant, backoff: Backoff) {
        if !mem::take(&mut self.probe_requested) {
            self.failures = self.failures.saturating_add(1);
        }
        self.next_probe = now + backoff.delay(self.failures, 0.0);
    }
}

#[cfg(test)]
mod tests;
