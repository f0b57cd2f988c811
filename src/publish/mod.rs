//! Publish, the second reconciler: rows → bucket.
//!
//! It claims as many rows as there are permits, the circuit breaker lets pass and the pace allows, and spawns an attempt
//! for each. It is woken by commits, by the end of an attempt and by a tick; due times are in the rows.
//!
//! Read `attempt` first: one claim → one outcome. `policy` decides what follows from it, and `conclude` does that.

mod attempt;
mod breaker;
mod conclude;
mod database;
mod destination;
mod leases;
mod notices;
mod objects;
mod pace;
mod permits;
mod policy;
mod report;
mod shared;

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::cloud::{Clouds, MAX_RETRY_AFTER};
use crate::config::Settings;
use crate::domain::brand::ClaimToken;
use crate::domain::clock::{later, until};
use crate::domain::event;
use crate::domain::notice::PauseCause;
use crate::ledger::{Candidate, Claim, ClaimOrder, ClaimTerms, Ledger, LedgerError};
use crate::metrics::Metrics;
use attempt::attempt;
use breaker::Admission;
pub use breaker::Pause;
use conclude::{Ended, conclude};
use leases::{LEASE, Leases};
use notices::Notices;
use pace::Pace;
use permits::Permits;
use shared::Shared;

/// The longest sleep without a query, whatever wakes were missed.
const TICK: Duration = Duration::from_secs(5);

/// A smaller difference between the clocks is a correction, not a jump.
const MIN_JUMP: Duration = Duration::from_secs(30);

/// How far publish is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PublishProgress {
    /// How many attempts are under way.
    pub in_flight: usize,
    /// Why nothing is sent.
    pub paused: Option<Pause>,
    /// Increases with each step of publish: the watchdog's sign of life.
    pub steps: u64,
}

/// One attempt. It returns the token of the claim that it has ended.
pub type Attempt = Pin<Box<dyn Future<Output = ClaimToken> + Send>>;

/// What to do next.
pub enum Next {
    /// Run these, beside everything else.
    Attempts(Vec<Attempt>),
    /// Nothing before then, unless something happens.
    Wait(Instant),
}

/// The second reconciler.
pub struct Publish {
    shared: Arc<Shared>,
    jobs: JoinSet<ClaimToken>,
    leases: Leases,
    permits: Permits,
    external_writes: u64,
    /// The same moment on both clocks: if they drift apart, the wall clock was set.
    both_clocks: (Timestamp, Instant),
    notices: Notices,
    progress: watch::Sender<PublishProgress>,
}

/// Why publish cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The ledger failed for good.
    #[error("publish cannot use the database")]
    Ledger(#[from] LedgerError),
    /// An attempt panicked.
    #[error("an attempt broke off")]
    Broken(#[from] JoinError),
}

impl Publish {
    /// A publisher that has done nothing yet.
    pub fn new(settings: Arc<Settings>, ledger: Ledger, clouds: Clouds, metrics: &Metrics) -> Self {
        Self {
            both_clocks: (ledger.now(), Instant::now()),
            permits: Permits::new(settings.limits.concurrency as usize),
            shared: Arc::new(Shared::new(settings, ledger, clouds, metrics.clone())),
            jobs: JoinSet::new(),
            leases: Leases::default(),
            external_writes: 0,
            notices: Notices::default(),
            progress: watch::Sender::default(),
        }
    }

    /// How far it is, for those who wait for it.
    pub fn progress(&self) -> watch::Receiver<PublishProgress> {
        self.progress.subscribe()
    }

    /// Works until `stop`, then lets the attempts under way end. At `now` they are broken off, and their files go back
    /// to the queue.
    ///
    /// # Errors
    /// When the database fails or an attempt panics.
    pub async fn run(mut self, stop: CancellationToken, now: CancellationToken) -> Result<(), PublishError> {
        let mut changes = self.shared.ledger.changes();
        while !stop.is_cancelled() {
            while let Some(done) = self.jobs.try_join_next() {
                self.end(done?);
            }
            changes.mark_unchanged();
            let next = self.step().await?;
            self.update_progress();
            let wait = match next {
                Next::Wait(until) => until,
                Next::Attempts(attempts) => {
                    for attempt in attempts {
                        self.jobs.spawn(attempt);
                    }
                    continue;
                }
            };
            tokio::select! {
                () = stop.cancelled() => break,
                Some(done) = self.jobs.join_next() => self.end(done?),
                () = self.permits.given_back() => {}
                Ok(()) = changes.changed() => {}
                () = tokio::time::sleep_until(wait) => {}
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

    async fn drain(&mut self) -> Result<(), PublishError> {
        while let Some(done) = self.jobs.join_next().await {
            self.end(done?);
            self.update_progress();
        }
        Ok(())
    }

    /// Claims the next files, if any are due and may be sent. While the database cannot be used, it waits. The caller
    /// runs the attempts, and calls [`Publish::end`] with what each returns.
    ///
    /// # Errors
    /// When the database fails for good.
    pub async fn step(&mut self) -> Result<Next, PublishError> {
        self.probe_after_operator();
        self.reload_secret_if_changed();
        self.shared.report.log_resolved();
        match self.try_step().await {
            Err(error) if error.is_transient() => {
                self.shared.ledger.report_problem(&error);
                Ok(Next::Wait(Instant::now() + database::TRY_AGAIN))
            }
            result => Ok(result?),
        }
    }

    /// The attempt of this claim has ended.
    pub fn end(&mut self, token: ClaimToken) {
        self.leases.remove(token);
    }

    async fn try_step(&mut self) -> Result<Next, LedgerError> {
        self.handle_clock_jump().await?;
        self.leases.maintain(&self.shared).await?;
        self.notices.write(&self.shared, self.leases.is_empty()).await?;
        self.claim_due().await
    }

    /// Due times and leases are wall-clock times. When that clock is set, waiting files become due at once instead of
    /// never (permits and breaker still limit what happens), and our leases are renewed before anybody takes them for
    /// expired.
    async fn handle_clock_jump(&mut self) -> Result<(), LedgerError> {
        let (wall, steady) = (self.shared.ledger.now(), Instant::now());
        let expected = later(self.both_clocks.0, steady - self.both_clocks.1);
        let jump = wall.duration_since(expected);
        if jump.unsigned_abs() > MIN_JUMP {
            self.leases.renew(&self.shared.ledger).await?;
            self.shared.ledger.make_all_due().await?;
            let seconds = jump.as_secs();
            tracing::warn!(message_id = event::CLOCK, seconds, "the machine's clock was set");
        }
        self.both_clocks = (wall, steady);
        Ok(())
    }

    /// An operator who writes (`brandpost retry`, for instance) may have removed the cause of a pause.
    fn probe_after_operator(&mut self) {
        let writes = self.shared.ledger.external_writes();
        if std::mem::replace(&mut self.external_writes, writes) != writes {
            self.shared.breaker.probe_now(Instant::now());
        }
    }

    /// While the gateway does not accept our credentials, a new app secret is tried at once.
    fn reload_secret_if_changed(&self) {
        let pause = self.shared.breaker.pause();
        let refused = pause.is_some_and(|pause| pause.cause == PauseCause::Credentials);
        if refused && self.shared.clouds.gateway.reload_secret() {
            tracing::info!("the app secret has changed; it is tried now");
            self.shared.breaker.probe_now(Instant::now());
        }
    }

    /// Claims files that are due and may be sent, or says when to look again at the latest.
    async fn claim_due(&mut self) -> Result<Next, LedgerError> {
        let shared = self.shared.clone();
        let now = Instant::now();
        let (order, probe) = match shared.breaker.admit(now) {
            Admission::Wait(until) => return Ok(Next::Wait(until.min(now + TICK))),
            Admission::Pass => (ClaimOrder::InTurn, false),
            Admission::Probe { but } => (ClaimOrder::LeastTried { but }, true),
        };
        let permits = match self.permits.free(now) {
            Ok(_) if probe => 1,
            Ok(permits) => permits,
            // one that is given back wakes us
            Err(gathered) => return Ok(Next::Wait(gathered.unwrap_or(now + TICK))),
        };
        // no policy sets a due time further off: one that is can only come from a clock that jumped
        let horizon = shared.settings.retry.backoff.max().max(MAX_RETRY_AFTER);
        let mut due = shared.ledger.candidates(&order, horizon, permits).await?;
        if due.is_empty() {
            return self.next_due(&order, now).await;
        }
        if let Err(turn) = take_turns(&shared.pace, &mut due, now) {
            return Ok(Next::Wait(turn.min(now + TICK)));
        }
        let claims = shared.ledger.claim(due, ClaimTerms { lease: LEASE, horizon }).await?;
        match claims.is_empty() {
            true => self.next_due(&order, now).await,
            false => Ok(Next::Attempts(claims.into_iter().map(|claim| self.begin(claim, probe)).collect())),
        }
    }

    async fn next_due(&self, order: &ClaimOrder, now: Instant) -> Result<Next, LedgerError> {
        if let ClaimOrder::LeastTried { but } = order
            && !but.is_empty()
        {
            return Ok(Next::Wait(self.shared.breaker.no_other_brand(now).min(now + TICK)));
        }
        let due = self.shared.ledger.report().next_due().await?;
        let wait = due.map_or(TICK, |due| until(self.shared.ledger.now(), due).min(TICK));
        Ok(Next::Wait(now + wait.max(Duration::from_millis(1))))
    }

    fn begin(&mut self, claim: Claim, probe: bool) -> Attempt {
        let shared = self.shared.clone();
        let probe = probe.then(|| {
            report::probe_starts_beside(shared.breaker.probes(), &claim);
            shared.breaker.probe_started(claim.brand_id, Instant::now())
        });
        self.leases.add(&claim);
        let permit = self.permits.take();
        Box::pin(async move {
            let began = Instant::now();
            let outcome = tokio::select! {
                biased;
                // the file is sent by who keeps the inbox next: this daemon ends, or takes it over again
                () = shared.ledger.keeper_lease_has_ended() => None,
                outcome = attempt(&shared, &claim) => Some(outcome),
            };
            if let Some(outcome) = outcome {
                conclude(&shared, &claim, outcome, Ended { permit, probe, began }).await;
            }
            shared.objects.release(&claim);
            claim.token
        })
    }

    fn update_progress(&self) {
        let (in_flight, paused) = (self.leases.len(), self.shared.breaker.pause());
        self.progress.send_modify(|progress| {
            *progress = PublishProgress { in_flight, paused, steps: progress.steps.wrapping_add(1) };
        });
    }
}

/// Takes a turn of the pace for as many files as there are turns now. Without any, says when there is one.
fn take_turns(pace: &Pace, files: &mut Vec<Candidate>, now: Instant) -> Result<(), Instant> {
    let mut next = Ok(());
    let take = |_: &&Candidate| {
        next = pace.upload(now);
        next.is_ok()
    };
    let turns = files.iter().take_while(take).count();
    files.truncate(turns);
    if turns == 0 { next } else { Ok(()) }
}
