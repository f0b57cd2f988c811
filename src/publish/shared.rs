//! What the attempts share.

use std::sync::{Arc, Mutex, PoisonError};

use super::breaker::CircuitBreaker;
use super::destination::Hosts;
use super::objects::Objects;
use super::pace::Pace;
use super::report::Reporter;
use crate::cloud::{Clouds, Grants};
use crate::config::Settings;
use crate::files::LocalDisks;
use crate::fs_timeout::FsTimeouts;
use crate::ledger::Ledger;
use crate::metrics::Metrics;

/// Everything that an attempt needs, and that outlives it.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) settings: Arc<Settings>,
    pub(super) ledger: Ledger,
    pub(super) clouds: Clouds,
    pub(super) grants: Grants,
    pub(super) objects: Objects,
    pub(super) pace: Pace,
    pub(super) breaker: CircuitBreaker,
    pub(super) hosts: Hosts,
    pub(super) fs_timeouts: FsTimeouts,
    pub(super) disks: Arc<LocalDisks>,
    pub(super) metrics: Metrics,
    pub(super) report: Reporter,
    /// Where the jitter of waits comes from.
    random: Mutex<fastrand::Rng>,
}

impl Shared {
    pub(super) fn new(settings: Arc<Settings>, ledger: Ledger, clouds: Clouds, metrics: Metrics) -> Self {
        Self {
            pace: Pace::new(&settings.limits),
            breaker: CircuitBreaker::new(settings.retry.backoff),
            settings,
            ledger,
            clouds,
            grants: Grants::default(),
            objects: Objects::default(),
            hosts: Hosts::default(),
            fs_timeouts: FsTimeouts::default(),
            disks: Arc::default(),
            report: Reporter::new(metrics.clone()),
            metrics,
            random: Mutex::new(fastrand::Rng::new()),
        }
    }

    /// A random number from 0 to 1, which spreads waits.
    pub(super) fn jitter(&self) -> f64 {
        self.random.lock().unwrap_or_else(PoisonError::into_inner).f64()
    }
}
