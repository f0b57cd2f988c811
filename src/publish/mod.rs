//! Publish, the second reconciler: rows → bucket.
//!
//! It claims one row when there is a permit, the gate is open and the pace allows, and spawns the attempt.
//! It is woken by the table, by the end of an attempt and by a tick; the due time lives in the row.

mod attempt;
mod gate;
mod pace;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::cloud::{CloudError, Clouds, Grants, Remedy};
use crate::config::{After, Settings};
use crate::domain::clock::later;
use crate::domain::failure::{ErrorKind, Failure};
use crate::ledger::{Claim, Finish, Ledger, LedgerError};
use attempt::{Outcome, attempt};
pub use gate::Cause;
use gate::{Admission, Change, Gate};
use pace::Pace;

/// A claim whose holder does not renew it for so long is given back to the queue.
const LEASE: Duration = Duration::from_mins(2);

/// The longest sleep without a look at the table, whatever wakes were missed.
const TICK: Duration = Duration::from_secs(5);

/// The longest `Retry-After` that is believed. A due time further off than this and the longest backoff can
/// only come from a clock that jumped.
const LONGEST_WAIT: Duration = Duration::from_hours(1);

/// After so many answers that nobody knows, a file is given up.
const FEW: u32 = 5;

/// How long after a failed write to the table it is tried again.
const WRITE_AGAIN: Duration = Duration::from_secs(2);

/// What all attempts share.
#[derive(Debug)]
struct Shared {
    settings: Arc<Settings>,
    ledger: Ledger,
    clouds: Clouds,
    grants: Grants,
    pace: Pace,
    gate: Gate,
}

/// How far publish is, for whoever waits for it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    /// How many attempts are under way.
    pub in_flight: usize,
    /// Why nothing is sent, and when it is tried again.
    pub paused: Option<(Cause, Instant)>,
    /// Counts up whenever publish took a step: the watchdog's sign of life.
    pub steps: u64,
}

/// The second reconciler.
pub struct Publish {
    shared: Arc<Shared>,
    jobs: JoinSet<i64>,
    claims: HashSet<i64>,
    leases_renewed: Instant,
    progress: watch::Sender<Progress>,
}

/// Why publish cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The table.
    #[error("publish cannot use the database")]
    Ledger(#[from] LedgerError),
    /// An attempt panicked.
    #[error("an attempt broke off")]
    Broken(#[from] JoinError),
}

impl Publish {
    /// A publisher that has done nothing yet.
    pub fn new(settings: Arc<Settings>, ledger: Ledger, clouds: Clouds) -> Self {
        let pace = Pace::new(&settings.limits);
        let gate = Gate::new(settings.retry.backoff);
        let shared = Shared { settings, ledger, clouds, grants: Grants::default(), pace, gate };
        Self {
            shared: Arc::new(shared),
            jobs: JoinSet::new(),
            claims: HashSet::new(),
            leases_renewed: Instant::now(),
            progress: watch::Sender::new(Progress::default()),
        }
    }

    /// How far it is.
    pub fn progress(&self) -> watch::Receiver<Progress> {
        self.progress.subscribe()
    }

    /// Works until `stop`, then lets attempts that are under way end. At `now` those are broken off and their
    /// files go back to the queue.
    ///
    /// # Errors
    /// When the database fails or an attempt panics.
    pub async fn run(mut self, stop: CancellationToken, now: CancellationToken) -> Result<(), PublishError> {
        let mut changes = self.shared.ledger.changes();
        while !stop.is_cancelled() {
            changes.mark_unchanged();
            let next = self.step(&stop).await?;
            self.tell_progress();
            tokio::select! {
                () = stop.cancelled() => break,
                Some(done) = self.jobs.join_next() => self.end(done)?,
                Ok(()) = changes.changed() => {}
                () = tokio::time::sleep_until(next) => {}
            }
        }
        tokio::select! {
            result = self.drain() => result,
            () = now.cancelled() => {
                self.jobs.shutdown().await;
                self.shared.ledger.reclaim(true).await?;
                Ok(())
            }
        }
    }

    /// Does what can be done now. A database that cannot be used for a while is waited for.
    async fn step(&mut self, stop: &CancellationToken) -> Result<Instant, PublishError> {
        self.look_for_a_new_secret();
        let result = match self.look_after_leases().await {
            Ok(()) => self.begin_due(stop).await,
            Err(error) => Err(error),
        };
        match result {
            Err(PublishError::Ledger(error)) if error.is_transient() => {
                self.shared.ledger.complain(&error);
                Ok(Instant::now() + WRITE_AGAIN)
            }
            result => result,
        }
    }

    /// While our credentials are not accepted, a new app secret is tried at once.
    fn look_for_a_new_secret(&self) {
        let refused = self.shared.gate.closed().is_some_and(|(cause, _)| cause == Cause::Credentials);
        if refused && self.shared.clouds.gateway.reload_secret() {
            tracing::info!("the app secret has changed; trying it");
            self.shared.gate.hope(Instant::now());
        }
    }

    async fn drain(&mut self) -> Result<(), PublishError> {
        while let Some(done) = self.jobs.join_next().await {
            self.end(done)?;
            self.tell_progress();
        }
        Ok(())
    }

    /// Begins what is due and allowed. Tells when to look again at the latest.
    async fn begin_due(&mut self, stop: &CancellationToken) -> Result<Instant, PublishError> {
        let shared = self.shared.clone();
        let horizon = shared.settings.retry.backoff.max().max(LONGEST_WAIT);
        let most = shared.settings.limits.concurrency as usize;
        loop {
            let now = Instant::now();
            let probe = match shared.gate.admit(now) {
                Admission::Wait(until) => return Ok(until.min(now + TICK)),
                admission => admission == Admission::Probe,
            };
            if self.jobs.len() >= most || !shared.ledger.is_due(horizon).await? {
                return Ok(self.next_due(now).await?);
            }
            tokio::select! {
                () = stop.cancelled() => return Ok(now),
                () = shared.pace.upload() => {}
            }
            let Some(claim) = shared.ledger.claim(LEASE, horizon).await? else {
                continue;
            };
            if probe {
                shared.gate.probe();
            }
            self.begin(claim);
            while let Some(done) = self.jobs.try_join_next() {
                self.end(done)?;
            }
            self.tell_progress();
        }
    }

    async fn next_due(&self, now: Instant) -> Result<Instant, LedgerError> {
        let due = self.shared.ledger.report().next_due().await?;
        let wait = due.map_or(TICK, |due| until(self.shared.ledger.now(), due).min(TICK));
        // with all permits taken, the end of an attempt wakes us
        Ok(now + wait.max(Duration::from_millis(1)))
    }

    fn begin(&mut self, claim: Claim) {
        let shared = self.shared.clone();
        self.claims.insert(claim.token);
        self.jobs.spawn(async move {
            let began = Instant::now();
            let outcome = attempt(&shared, &claim).await;
            let finish = shared.judge(&claim, outcome).await;
            shared.finish(&claim, &finish, began.elapsed()).await;
            claim.token
        });
    }

    fn end(&mut self, done: Result<i64, JoinError>) -> Result<(), PublishError> {
        self.claims.remove(&done?);
        Ok(())
    }

    /// Renews our leases, and takes back those of holders that are gone.
    async fn look_after_leases(&mut self) -> Result<(), PublishError> {
        if self.leases_renewed.elapsed() < LEASE / 4 {
            return Ok(());
        }
        self.leases_renewed = Instant::now();
        let claims: Vec<_> = self.claims.iter().copied().collect();
        self.shared.ledger.extend_leases(&claims, LEASE).await?;
        self.shared.ledger.reclaim(false).await?;
        Ok(())
    }

    fn tell_progress(&self) {
        let (in_flight, paused) = (self.jobs.len(), self.shared.gate.closed());
        self.progress.send_modify(|progress| {
            *progress = Progress { in_flight, paused, steps: progress.steps.wrapping_add(1) };
        });
    }
}

fn until(now: Timestamp, due: Timestamp) -> Duration {
    Duration::try_from(due.duration_since(now)).unwrap_or_default()
}

impl Shared {
    /// What an outcome means for the file, and for all files.
    async fn judge(&self, claim: &Claim, outcome: Outcome) -> Finish {
        let now = Instant::now();
        match outcome {
            Outcome::Uploaded { target, receipt, changed } => {
                self.pace.recover();
                self.tell(self.gate.succeeded(now), "").await;
                Finish::Uploaded {
                    object_url: target.object_url(),
                    etag: receipt.etag,
                    request_id: receipt.request_id,
                    bytes: claim.stamp.size,
                    recheck: changed || self.settings.upload.after != After::Keep,
                }
            }
            Outcome::Gone => {
                self.gate.undecided();
                Finish::Gone
            }
            Outcome::FileChanged(failure) => {
                self.gate.undecided();
                self.retry(claim, failure, None)
            }
            Outcome::BadGrant(failure) => {
                self.tell(self.gate.succeeded(now), "").await;
                Finish::Failed(failure)
            }
            Outcome::Refused(error) => self.refused(claim, error, now).await,
        }
    }

    async fn refused(&self, claim: &Claim, error: CloudError, now: Instant) -> Finish {
        let message = error.failure.to_string();
        let change = match error.remedy {
            Remedy::Pause => self.gate.failed(Cause::Credentials, now),
            _ if error.is_outage() => self.gate.failed(Cause::Outage, now),
            _ => self.gate.succeeded(now),
        };
        self.tell(change, &message).await;
        match error.remedy {
            Remedy::SlowDown(wait) => {
                self.pace.slow_down(wait);
                self.retry(claim, error.failure, wait)
            }
            // the gate decides when: no file need wait longer than it does
            Remedy::Pause => Finish::Retry { failure: error.failure, due: self.ledger.now(), recheck: false },
            Remedy::GiveUp | Remedy::FreshGrantOrGiveUp => Finish::Failed(error.failure),
            Remedy::FewTimes if claim.attempts + 1 >= FEW => {
                let failure = Failure { kind: ErrorKind::GatewayRejected, ..error.failure };
                Finish::Failed(failure)
            }
            _ => self.retry(claim, error.failure, None),
        }
    }

    /// Due again after the backoff, and not before the cloud allows; or never again, when that was the last try.
    fn retry(&self, claim: &Claim, failure: Failure, wait: Option<Duration>) -> Finish {
        let retry = self.settings.retry;
        let attempts = claim.attempts + u32::from(failure.kind.counts_as_attempt());
        if retry.max_attempts > 0 && attempts >= retry.max_attempts && failure.kind.counts_as_attempt() {
            let message = format!("given up after {attempts} attempts; the last error was: {failure}");
            return Finish::Failed(Failure { kind: ErrorKind::AttemptsExhausted, message, ..failure });
        }
        let failures = if failure.kind.counts_as_attempt() { attempts } else { claim.number };
        let delay = retry.backoff.delay(failures, fastrand::f64()).max(wait.unwrap_or_default());
        let recheck = matches!(failure.kind, ErrorKind::FileChanged | ErrorKind::ChecksumMismatch);
        Finish::Retry { failure, due: later(self.ledger.now(), delay), recheck }
    }

    /// Writes the end of an attempt down. It stands in memory until the table takes it.
    async fn finish(&self, claim: &Claim, finish: &Finish, took: Duration) {
        loop {
            match self.ledger.finish(claim, finish, took).await {
                Ok(()) => break tell_finish(claim, finish, took),
                Err(error) if error.is_transient() => {
                    self.ledger.complain(&error);
                    tokio::time::sleep(WRITE_AGAIN).await;
                }
                Err(error) => {
                    break tracing::error!(id = claim.id, %error, "the end of an attempt could not be recorded; it is made again");
                }
            }
        }
    }

    /// The state of the gate concerns everybody: log and notice, once.
    async fn tell(&self, change: Change, message: &str) {
        const NOTICE: &str = "paused";
        let noticed = match change {
            Change::None => return,
            Change::Closed(cause) => {
                let why = match cause {
                    Cause::Credentials => {
                        "the gateway does not accept our credentials; nothing is sent until it does"
                    }
                    Cause::Outage => "the cloud is not to be reached; one file at a time tries again",
                };
                tracing::error!("paused: {why}: {message}");
                self.ledger.set_notice(NOTICE, &format!("{why}: {message}")).await
            }
            Change::Opened(after) => {
                tracing::info!(seconds = after.as_secs(), "the clouds take files again");
                self.ledger.clear_notice(Some(NOTICE)).await
            }
        };
        if let Err(error) = noticed {
            self.ledger.complain(&error);
        }
    }
}

fn tell_finish(claim: &Claim, finish: &Finish, took: Duration) {
    let (brand, id, slot, attempt) = (claim.brand, claim.id, claim.slot, claim.number);
    let file = claim.path.file_name().unwrap_or_default().display();
    let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    match finish {
        Finish::Uploaded { request_id, bytes, .. } => {
            let request_id = request_id.as_deref();
            tracing::info!(%brand, %file, id, slot, attempt, bytes, millis, request_id, "uploaded");
        }
        Finish::Retry { failure, due, .. } if failure.kind == ErrorKind::Credentials => {
            tracing::debug!(%brand, %file, id, slot, attempt, %due, "waits: {failure}");
        }
        Finish::Retry { failure, due, .. } => {
            let request_id = failure.request_id.as_deref();
            tracing::warn!(%brand, %file, id, slot, attempt, %due, request_id, error_kind = %failure.kind, "tried again later: {failure}");
        }
        Finish::Failed(failure) => {
            let request_id = failure.request_id.as_deref();
            tracing::error!(%brand, %file, id, slot, attempt, request_id, error_kind = %failure.kind, "failed: {failure}. {}", failure.kind.advice());
        }
        Finish::Gone => tracing::info!(%brand, %file, id, slot, "deleted before it could be sent"),
        Finish::Interrupted => tracing::info!(%brand, %file, id, slot, "interrupted; it stays queued"),
    }
}
