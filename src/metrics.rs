//! What is counted and timed, for `/metrics`. Names and labels are explained in `docs/monitoring/README.md`; a test in
//! `tests/it/metrics.rs` compares both.
//!
//! Counters begin at 0 for every combination of labels that can come up: a rate over a series that was not there
//! before its first event misses that event.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use crate::domain::brand::Outcome;
use crate::domain::failure::{Class, ErrorKind};
use crate::domain::notice::PauseCause;

/// One label.
type Label = [(&'static str, &'static str); 1];
/// Two labels.
type Labels = [(&'static str, &'static str); 2];

/// Bounds in seconds: what happens on this machine, what takes a request, what may wait for hours.
const QUICK: [f64; 10] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0];
const REQUEST: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0];
const DELIVERY: [f64; 12] = [0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 1800.0, 7200.0, 86400.0];

/// All of it; clones count together.
#[derive(Debug, Clone)]
pub struct Metrics {
    started: Timestamp,
    attempts: Family<Labels, Counter>,
    rejections: Family<Label, Counter>,
    uploaded_bytes: Counter,
    inspect: Histogram,
    gateway: Histogram,
    put: Histogram,
    delivery: Histogram,
    pauses: Family<Label, Counter>,
    watched: Family<Label, Gauge>,
    /// Milliseconds since 1970; 0: not yet.
    last_event: Arc<AtomicI64>,
    last_rescan: Arc<AtomicI64>,
}

impl Metrics {
    /// Nothing has happened yet.
    pub fn new(started: Timestamp) -> Self {
        let metrics = Self {
            started,
            attempts: Family::default(),
            rejections: Family::default(),
            uploaded_bytes: Counter::default(),
            inspect: Histogram::new(QUICK),
            gateway: Histogram::new(REQUEST),
            put: Histogram::new(REQUEST),
            delivery: Histogram::new(DELIVERY),
            pauses: Family::default(),
            watched: Family::default(),
            last_event: Arc::default(),
            last_rescan: Arc::default(),
        };
        for outcome in [Outcome::Uploaded, Outcome::Interrupted] {
            drop(metrics.attempts.get_or_create(&without_error(outcome)));
        }
        for kind in ErrorKind::ALL {
            match kind.class() {
                Class::Rejected => drop(metrics.rejections.get_or_create(&[("error_kind", kind.as_str())])),
                Class::Failed => drop(metrics.attempts.get_or_create(&attempt(Outcome::Failed, kind))),
                Class::Retrying => drop(metrics.attempts.get_or_create(&attempt(Outcome::Retrying, kind))),
            }
        }
        for cause in PauseCause::ALL {
            drop(metrics.pauses.get_or_create(&[("cause", cause.as_str())]));
        }
        metrics
    }

    /// A file is on OSS. `waited`: since it was to be sent.
    pub fn uploaded(&self, bytes: u64, waited: Option<Duration>) {
        self.attempts.get_or_create(&without_error(Outcome::Uploaded)).inc();
        self.uploaded_bytes.inc_by(bytes);
        if let Some(waited) = waited {
            self.delivery.observe(waited.as_secs_f64());
        }
    }

    /// So many attempts were broken off by the end of a daemon.
    pub fn interrupted(&self, count: u64) {
        self.attempts.get_or_create(&without_error(Outcome::Interrupted)).inc_by(count);
    }

    /// An attempt is made again later.
    pub fn retrying(&self, kind: ErrorKind) {
        self.attempts.get_or_create(&attempt(Outcome::Retrying, kind)).inc();
    }

    /// The cloud refuses a file.
    pub fn failed(&self, kind: ErrorKind) {
        self.attempts.get_or_create(&attempt(Outcome::Failed, kind)).inc();
    }

    /// We refuse a file.
    pub fn rejected(&self, kind: ErrorKind) {
        self.rejections.get_or_create(&[("error_kind", kind.as_str())]).inc();
    }

    /// So many files were read and checked, in turns.
    pub fn inspected(&self, took: Duration, files: u32) {
        for _ in 0..files {
            self.inspect.observe(took.as_secs_f64() / f64::from(files));
        }
    }

    /// The gateway has answered, or not.
    pub fn gateway(&self, took: Duration) {
        self.gateway.observe(took.as_secs_f64());
    }

    /// OSS has answered, or not.
    pub fn put(&self, took: Duration) {
        self.put.observe(took.as_secs_f64());
    }

    /// Nothing is sent any more: the circuit breaker of publish has opened.
    pub fn paused(&self, cause: PauseCause) {
        self.pauses.get_or_create(&[("cause", cause.as_str())]).inc();
    }

    /// Something happened in a watched folder.
    pub fn event(&self, now: Timestamp) {
        self.last_event.store(now.as_millisecond(), Ordering::Relaxed);
    }

    /// All folders were looked for.
    pub fn rescanned(&self, now: Timestamp) {
        self.last_rescan.store(now.as_millisecond(), Ordering::Relaxed);
    }

    /// So many folders are watched by inotify, and so many polled.
    pub fn watched(&self, native: usize, polled: usize) {
        for (mode, count) in [("native", native), ("poll", polled)] {
            self.watched.get_or_create(&[("mode", mode)]).set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }

    /// Adds them to what is shown.
    pub fn register(&self, registry: &mut Registry) {
        registry.register("attempts", "Attempts to upload a file, by their end", self.attempts.clone());
        registry.register("rejections", "Files that were refused before an attempt", self.rejections.clone());
        registry.register_with_unit(
            "uploaded",
            "Size of the uploaded files",
            Unit::Bytes,
            self.uploaded_bytes.clone(),
        );
        for (name, help, histogram) in [
            ("inspect", "Time to read and check a file", &self.inspect),
            ("gateway", "Time of a call to the API gateway", &self.gateway),
            ("put", "Time of a PUT to OSS", &self.put),
            (
                "delivery",
                "Time from when a file gets its slot, or an operator has it sent again, over all attempts, until it is on OSS",
                &self.delivery,
            ),
        ] {
            registry.register_with_unit(name, help, Unit::Seconds, histogram.clone());
        }
        registry.register("pauses", "How often uploads were paused, by cause", self.pauses.clone());
        registry.register(
            "watched_folders",
            "Folders of brands, by how changes are seen",
            self.watched.clone(),
        );
        for (name, help, moment) in [
            ("last_event_timestamp", "When something happened in a watched folder", &self.last_event),
            ("last_rescan_timestamp", "When all folders were looked for", &self.last_rescan),
        ] {
            let millis = moment.load(Ordering::Relaxed);
            if millis != 0 {
                registry.register_with_unit(name, help, Unit::Seconds, seconds(millis));
            }
        }
        let since = seconds(self.started.as_millisecond());
        registry.register_with_unit("start_time", "When this process began", Unit::Seconds, since);
    }
}

fn seconds(millis: i64) -> Gauge<f64, std::sync::atomic::AtomicU64> {
    let gauge = Gauge::default();
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of this century are exact")]
    gauge.set(millis as f64 / 1000.0);
    gauge
}

fn attempt(outcome: Outcome, kind: ErrorKind) -> Labels {
    [("outcome", outcome.as_str()), ("error_kind", kind.as_str())]
}

fn without_error(outcome: Outcome) -> Labels {
    [("outcome", outcome.as_str()), ("error_kind", "")]
}
