//! Publish, the second reconciler: rows → bucket.
//!
//! It claims one row when there is a permit, the gate is open and the pace allows, and spawns the attempt.
//! It is woken by the table, by the end of an attempt and by a tick; the due time lives in the row.

mod attempt;
mod gate;
mod hosts;
mod judge;
mod notices;
mod objects;
mod pace;

use std::collections::HashSet;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::cloud::{Clouds, Grants};
use crate::config::Settings;
use crate::domain::brand::ClaimToken;
use crate::domain::chorus::Chorus;
use crate::domain::clock::{later, until};
use crate::domain::event;
use crate::domain::failure::ErrorKind;
use crate::fs_timeout::FsTimeouts;
use crate::ledger::{Claim, ClaimOrder, ClaimTerms, Ledger, LedgerError};
use crate::metrics::Metrics;
use attempt::attempt;
pub use gate::Cause;
use gate::{Admission, Gate};
use hosts::Hosts;
use notices::Notices;
use objects::Objects;
use pace::Pace;

/// A claim whose holder does not renew it for so long is given back to the queue.
const LEASE: Duration = Duration::from_mins(2);

/// The longest sleep without a look at the table, whatever wakes were missed.
const TICK: Duration = Duration::from_secs(5);

/// The longest `Retry-After` that is believed. A due time further off than this and the longest backoff can
/// only come from a clock that jumped.
const LONGEST_WAIT: Duration = Duration::from_hours(1);

/// A difference between the clocks that is no mere correction.
const JUMP: Duration = Duration::from_secs(30);

/// How long after a failed write to the table it is tried again.
const WRITE_AGAIN: Duration = Duration::from_secs(2);

/// What all attempts share.
#[derive(Debug)]
struct Shared {
    settings: Arc<Settings>,
    ledger: Ledger,
    clouds: Clouds,
    grants: Grants,
    objects: Objects,
    pace: Pace,
    gate: Gate,
    hosts: Hosts,
    fs_timeouts: FsTimeouts,
    chorus: Chorus<(ErrorKind, Option<String>)>,
    metrics: Metrics,
    /// The last words of a cloud that closed the gate.
    last_words: Mutex<String>,
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

/// One attempt on its way. It gives back which claim it has ended.
pub type Attempt = Pin<Box<dyn Future<Output = ClaimToken> + Send>>;

/// What is to be done next.
pub enum Next {
    /// These, beside all else.
    Attempts(Vec<Attempt>),
    /// Nothing before then, unless something happens.
    Wait(Instant),
}

/// The second reconciler.
pub struct Publish {
    shared: Arc<Shared>,
    jobs: JoinSet<ClaimToken>,
    claims: HashSet<ClaimToken>,
    leases_renewed: Instant,
    nudges: u64,
    /// One moment on both clocks: when they part, the wall clock was set.
    both_clocks: (Timestamp, Instant),
    /// What the table says of us.
    notices: Notices,
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
    pub fn new(settings: Arc<Settings>, ledger: Ledger, clouds: Clouds, metrics: &Metrics) -> Self {
        let both_clocks = (ledger.now(), Instant::now());
        let pace = Pace::new(&settings.limits);
        let gate = Gate::new(settings.retry.backoff);
        let shared = Shared {
            settings,
            ledger,
            clouds,
            grants: Grants::default(),
            objects: Objects::default(),
            pace,
            gate,
            hosts: Hosts::default(),
            fs_timeouts: FsTimeouts::default(),
            chorus: Chorus::default(),
            metrics: metrics.clone(),
            last_words: Mutex::default(),
        };
        Self {
            shared: Arc::new(shared),
            jobs: JoinSet::new(),
            claims: HashSet::new(),
            leases_renewed: Instant::now(),
            nudges: 0,
            both_clocks,
            notices: Notices::default(),
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
            while let Some(done) = self.jobs.try_join_next() {
                self.end(done?);
            }
            changes.mark_unchanged();
            let next = self.step().await?;
            self.tell_progress();
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

    /// Claims the next files, if any are due and may go. A database that cannot be used for a while is waited
    /// for. The attempt is the caller's to run, and its end to be told with [`Publish::end`].
    ///
    /// # Errors
    /// When the database fails for good.
    pub async fn step(&mut self) -> Result<Next, PublishError> {
        self.look_for_help();
        self.shared.tell_what_is_over();
        match self.try_step().await {
            Err(error) if error.is_transient() => {
                self.shared.ledger.complain(&error);
                Ok(Next::Wait(Instant::now() + WRITE_AGAIN))
            }
            result => Ok(result?),
        }
    }

    async fn try_step(&mut self) -> Result<Next, LedgerError> {
        self.bear_clock_jumps().await?;
        self.look_after_leases().await?;
        self.notices.write(&self.shared, self.claims.is_empty()).await?;
        self.claim_due().await
    }

    /// Due times and leases stand in the table as wall-clock times. When that clock is set, waiting files are
    /// due at once instead of never (their number and the gate still bound what happens), and our leases are
    /// renewed before anybody takes them to be over.
    async fn bear_clock_jumps(&mut self) -> Result<(), LedgerError> {
        let (wall, steady) = (self.shared.ledger.now(), Instant::now());
        let expected = later(self.both_clocks.0, steady - self.both_clocks.1);
        let jump = wall.duration_since(expected);
        if jump.unsigned_abs() > JUMP {
            self.renew_leases().await?;
            self.shared.ledger.make_all_due().await?;
            tracing::warn!(
                message_id = event::CLOCK,
                seconds = jump.as_secs(),
                "the machine's clock was set"
            );
        }
        self.both_clocks = (wall, steady);
        Ok(())
    }

    /// While the gate is closed, what an operator did is tried at once: another app secret, `brandpost retry`.
    fn look_for_help(&mut self) {
        let nudges = self.shared.ledger.nudges();
        if std::mem::replace(&mut self.nudges, nudges) != nudges {
            self.shared.gate.hope(Instant::now());
        }
        let refused = self.shared.gate.closed().is_some_and(|(cause, _)| cause == Cause::Credentials);
        if refused && self.shared.clouds.gateway.reload_secret() {
            tracing::info!("the app secret has changed; trying it");
            self.shared.gate.hope(Instant::now());
        }
    }

    async fn drain(&mut self) -> Result<(), PublishError> {
        while let Some(done) = self.jobs.join_next().await {
            self.end(done?);
            self.tell_progress();
        }
        Ok(())
    }

    /// Claims what is due and allowed, or tells when to look again at the latest.
    async fn claim_due(&mut self) -> Result<Next, LedgerError> {
        let shared = self.shared.clone();
        let now = Instant::now();
        let (order, probe) = match shared.gate.admit(now) {
            Admission::Wait(until) => return Ok(Next::Wait(until.min(now + TICK))),
            Admission::Open => (ClaimOrder::InTurn, false),
            Admission::Probe => (ClaimOrder::LeastTried, true),
            Admission::ProbeOthers(brand) => (ClaimOrder::LeastTriedBut(brand), true),
        };
        let most = if probe { 1 } else { usize::MAX };
        let permits =
            (shared.settings.limits.concurrency as usize).saturating_sub(self.claims.len()).min(most);
        if permits == 0 {
            // the end of an attempt wakes us
            return Ok(Next::Wait(now + TICK));
        }
        let horizon = shared.settings.retry.backoff.max().max(LONGEST_WAIT);
        let mut due = shared.ledger.candidates(order, horizon, permits).await?;
        let mut turn = None;
        due.truncate(due.iter().take_while(|_| take_turn(&shared.pace, now, &mut turn)).count());
        let claims = match (due.is_empty(), turn) {
            (true, Some(turn)) => return Ok(Next::Wait(turn.min(now + TICK))),
            (true, None) => Vec::new(),
            (false, _) => shared.ledger.claim(due, ClaimTerms { lease: LEASE, horizon }).await?,
        };
        if claims.is_empty() {
            return self.next_due(order, now).await;
        }
        Ok(Next::Attempts(claims.into_iter().map(|claim| self.begin(claim, probe)).collect()))
    }

    async fn next_due(&self, order: ClaimOrder, now: Instant) -> Result<Next, LedgerError> {
        if let (ClaimOrder::LeastTriedBut(_), Some((_, next))) = (order, self.shared.gate.closed()) {
            return Ok(Next::Wait(next.min(now + TICK)));
        }
        let due = self.shared.ledger.report().next_due().await?;
        let wait = due.map_or(TICK, |due| until(self.shared.ledger.now(), due).min(TICK));
        Ok(Next::Wait(now + wait.max(Duration::from_millis(1))))
    }

    fn begin(&mut self, claim: Claim, probe: bool) -> Attempt {
        let shared = self.shared.clone();
        if probe {
            shared.gate.probe(Instant::now());
        }
        self.claims.insert(claim.token);
        Box::pin(async move {
            let began = Instant::now();
            let outcome = attempt(&shared, &claim).await;
            let finish = shared.judge(&claim, outcome, probe).await;
            shared.finish(&claim, &finish, began.elapsed()).await;
            shared.objects.give_back(&claim);
            claim.token
        })
    }

    /// An attempt has come to its end.
    pub fn end(&mut self, token: ClaimToken) {
        self.claims.remove(&token);
    }

    /// Renews our leases, and takes back those of holders that are gone.
    async fn look_after_leases(&mut self) -> Result<(), LedgerError> {
        if self.leases_renewed.elapsed() < LEASE / 4 {
            return Ok(());
        }
        self.leases_renewed = Instant::now();
        self.renew_leases().await?;
        let lost = self.shared.ledger.reclaim(false).await?;
        self.shared.metrics.interrupted(lost);
        Ok(())
    }

    async fn renew_leases(&self) -> Result<(), LedgerError> {
        let claims: Vec<_> = self.claims.iter().copied().collect();
        self.shared.ledger.extend_leases(&claims, LEASE).await
    }

    fn tell_progress(&self) {
        let (in_flight, paused) = (self.claims.len(), self.shared.gate.closed());
        self.progress.send_modify(|progress| {
            *progress = Progress { in_flight, paused, steps: progress.steps.wrapping_add(1) };
        });
    }
}

/// Takes a turn of the pace. When there is none, `turn` says when there is one.
fn take_turn(pace: &Pace, now: Instant, turn: &mut Option<Instant>) -> bool {
    pace.upload(now).map_err(|next| *turn = Some(next)).is_ok()
}
