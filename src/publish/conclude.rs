//! The end of an attempt: what follows from it is decided, passed on, written down and reported.

use tokio::time::Instant;

use super::attempt::AttemptResult;
use super::breaker::Probe;
use super::database::until_available;
use super::permits::Permit;
use super::policy::{self, AttemptContext, Decision};
use super::shared::Shared;
use crate::config::After;
use crate::ledger::{AttemptEnd, Claim};

/// An attempt whose outcome is known.
pub(super) struct Ended {
    /// Another file may be sent as soon as it is clear what follows from this one, before that is written down.
    pub(super) permit: Permit,
    /// The breaker let it through as this probe.
    pub(super) probe: Option<Probe>,
    pub(super) began: Instant,
}

/// Ends the attempt that `claim` allowed.
pub(super) async fn conclude(shared: &Shared, claim: &Claim, outcome: AttemptResult, attempt: Ended) {
    let Ended { permit, probe, began } = attempt;
    if let AttemptResult::Uploaded { target, .. } = &outcome {
        shared.hosts.record(&shared.ledger, target.host()).await;
    }
    let context = context(shared, claim, &outcome).await;
    let Decision { end, breaker, pace } = policy::decide(outcome, &context);
    let now = Instant::now();
    shared.pace.record(&pace, now);
    let change = shared.breaker.record(breaker, claim.brand_id, probe, now);
    shared.report.breaker_changed(&change);
    drop(permit);
    finish(shared, claim, &end, began).await;
}

async fn context(shared: &Shared, claim: &Claim, outcome: &AttemptResult) -> AttemptContext {
    let streak = match policy::depends_on_streak(outcome) {
        // a database that cannot be read gives the file one more chance
        Some(failure) => shared.ledger.streak(claim.id(), failure).await.unwrap_or_default(),
        None => 0,
    };
    AttemptContext {
        retry: shared.settings.retry,
        tidies: shared.settings.upload.after != After::Keep,
        bytes: claim.stamp.size,
        attempts: claim.attempts,
        streak,
        now: shared.ledger.now(),
        jitter: shared.jitter(),
    }
}

/// Until the ledger has recorded the end, it is kept in memory here.
async fn finish(shared: &Shared, claim: &Claim, end: &AttemptEnd, began: Instant) {
    let took = began.elapsed();
    match until_available(&shared.ledger, || shared.ledger.finish(claim, end, took)).await {
        Ok(()) => shared.report.attempt_ended(claim, end, took, shared.ledger.now()),
        Err(error) => {
            tracing::error!(id = claim.id().0, %error, "the end of an attempt could not be recorded; it is repeated");
        }
    }
}
