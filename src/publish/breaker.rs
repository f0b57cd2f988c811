//! A circuit breaker before the clouds. When nothing can succeed (wrong credentials, a service that is down) it
//! opens, and one file at a time probes at growing intervals: ten thousand waiting files cost no more requests
//! than one.
//!
//! The states have their usual names: *closed* lets files pass, *open* lets none pass, *half-open* waits for the
//! file that was let through as a probe.
//!
//! Whose file it is must not be able to keep the breaker open for others. A probe that told nothing, or that takes long,
//! is followed at once by one of another brand ([`Trip`]).

mod failing_brands;
mod trip;

use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::domain::backoff::Backoff;
use crate::domain::brand::BrandId;
use crate::domain::notice::PauseCause;
use failing_brands::FailingBrands;
pub(super) use trip::Probe;
use trip::Trip;

/// The number of consecutive failures of a service that open the breaker.
const FAILURES_TO_OPEN: u32 = 5;

/// May the next file be sent?
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Admission {
    /// Any file that is due.
    Pass,
    /// One file, as a probe.
    Probe {
        /// Not of these brands. If no other has a file that is due: [`CircuitBreaker::no_other_brand`].
        but: Vec<BrandId>,
    },
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
    Closed {
        consecutive_failures: u32,
        failing_brands: FailingBrands,
    },
    /// Half-open, while a probe is under way.
    Open(Trip),
}

impl State {
    const CLOSED: State = State::Closed { consecutive_failures: 0, failing_brands: FailingBrands::None };

    fn trip(&self) -> Option<&Trip> {
        match self {
            State::Closed { .. } => None,
            State::Open(trip) => Some(trip),
        }
    }

    fn trip_mut(&mut self) -> Option<&mut Trip> {
        match self {
            State::Closed { .. } => None,
            State::Open(trip) => Some(trip),
        }
    }

    fn pause(&self, backoff: Backoff) -> Option<Pause> {
        let trip = self.trip()?;
        let (cause, last_error) = (trip.cause, trip.last_error.clone());
        Some(Pause { cause, next_probe: trip.next_probe(backoff), last_error })
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
            State::Open(trip) => match trip.probe_from(now, self.backoff) {
                Ok(but) => Admission::Probe { but },
                Err(until) => Admission::Wait(until),
            },
        }
    }

    /// The admitted probe has started, with a file of this brand.
    pub(super) fn probe_started(&self, brand: BrandId, now: Instant) -> Probe {
        let probe = Probe { brand, started: now };
        if let Some(trip) = self.lock().trip_mut() {
            trip.started(probe);
        }
        probe
    }

    /// No brand but those that a probe must not be of has a file that is due. Says when to ask again.
    pub(super) fn no_other_brand(&self, now: Instant) -> Instant {
        self.lock().trip_mut().map_or(now, |trip| trip.no_other_brand(now, self.backoff))
    }

    /// The next probe may start now: something has changed that could let it succeed.
    pub(super) fn probe_now(&self, now: Instant) {
        if let Some(trip) = self.lock().trip_mut() {
            trip.probe_now(now);
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

    /// How many probes are under way.
    pub(super) fn probes(&self) -> usize {
        self.lock().trip().map_or(0, Trip::probes)
    }

    /// Takes in what an attempt with a file of `brand` showed. `probe`: it was admitted as this one.
    pub(super) fn record(
        &self,
        signal: Signal,
        brand: BrandId,
        probe: Option<Probe>,
        now: Instant,
    ) -> Change {
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

    fn failed(
        &self,
        cause: PauseCause,
        error: String,
        brand: BrandId,
        probe: Option<Probe>,
        now: Instant,
    ) -> Change {
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
            State::Open(trip) => {
                // files that were under way when it opened say nothing about when to probe
                if let Some(probe) = probe {
                    trip.probe_failed(probe, now, self.backoff);
                }
                trip.failed_again(cause, error, brand)
            }
        };
        let pause = state.pause(self.backoff).filter(|_| changed);
        pause.map_or(Change::None, Change::Tripped)
    }

    fn inconclusive(&self, probe: Option<Probe>, now: Instant) {
        if let (Some(trip), Some(probe)) = (self.lock().trip_mut(), probe) {
            trip.probe_told_nothing(probe, now, self.backoff);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
