//! What follows from the outcome of an attempt: for its file, for the circuit breaker and for the pace. A pure
//! function: time, chance and history are parameters.

use std::time::Duration;

use jiff::Timestamp;

use super::attempt::AttemptResult;
use super::breaker::Signal;
use super::pace::Feedback;
use crate::cloud::{CloudError, Remedy};
use crate::config::Retry;
use crate::domain::clock::later;
use crate::domain::failure::{ErrorKind, Failure};
use crate::domain::notice::PauseCause;
use crate::ledger::AttemptEnd;

/// A file is given up after so many answers in a row that nobody knows.
const MAX_UNKNOWN_ANSWERS: u32 = 5;

/// What a decision depends on beside the outcome.
#[derive(Debug, Clone, Copy)]
pub(super) struct AttemptContext {
    /// The settings.
    pub(super) retry: Retry,
    /// Uploaded files are archived or deleted, which intake does.
    pub(super) tidies: bool,
    /// The size of the file.
    pub(super) bytes: u64,
    /// How many attempts counted before this one.
    pub(super) attempts: u32,
    /// How many of the attempts right before this one ended with the same error; see [`depends_on_streak`].
    pub(super) streak: u32,
    /// The time.
    pub(super) now: Timestamp,
    /// From 0 to 1: spreads the due times of files that fail together.
    pub(super) jitter: f64,
}

/// What is done.
#[derive(Debug)]
pub(super) struct Decision {
    /// How the attempt ends.
    pub(super) end: AttemptEnd,
    /// The signal for the breaker.
    pub(super) breaker: Signal,
    /// The signal for the pace.
    pub(super) pace: Feedback,
}

/// The failure whose streak the decision depends on, if it depends on one.
pub(super) fn depends_on_streak(outcome: &AttemptResult) -> Option<&Failure> {
    match outcome {
        AttemptResult::FileChanged(failure) => Some(failure),
        AttemptResult::Refused(error) if file_changed_under(error) || error.remedy == Remedy::FewTimes => {
            Some(&error.failure)
        }
        _ => None,
    }
}

/// What follows from an outcome.
pub(super) fn decide(outcome: AttemptResult, context: &AttemptContext) -> Decision {
    match outcome {
        AttemptResult::Uploaded { target, receipt, changed } => {
            let end = AttemptEnd::Uploaded {
                object_url: target.object_url(),
                etag: receipt.etag,
                request_id: receipt.request_id,
                bytes: context.bytes,
                recheck: changed || context.tidies,
            };
            Decision { end, breaker: Signal::Success, pace: Feedback::Uploaded }
        }
        AttemptResult::FileChanged(failure) => file_changed(failure, false, context),
        AttemptResult::Refused(error) if file_changed_under(&error) => {
            file_changed(error.failure, error.sent, context)
        }
        AttemptResult::BadGrant(failure) => {
            let end = AttemptEnd::Failed { failure, sent: false };
            Decision { end, breaker: Signal::Success, pace: Feedback::None }
        }
        AttemptResult::Refused(error) => {
            Decision { breaker: signal(&error), pace: feedback(&error), end: refused(error, context) }
        }
    }
}

/// The connection ended because the file could not be read to its end.
fn file_changed_under(error: &CloudError) -> bool {
    error.failure.kind == ErrorKind::FileChanged
}

fn signal(error: &CloudError) -> Signal {
    let failure = |cause| Signal::Failure { cause, error: error.failure.to_string() };
    match error.remedy {
        Remedy::Pause => failure(PauseCause::Credentials),
        Remedy::HashNextTime => Signal::Inconclusive,
        _ if error.is_outage() => failure(PauseCause::Outage),
        _ => Signal::Success,
    }
}

fn feedback(error: &CloudError) -> Feedback {
    match error.remedy {
        Remedy::SlowDown(wait) => Feedback::SlowDown { wait, error: error.failure.to_string() },
        _ => Feedback::None,
    }
}

/// A file that cannot be reached uses up no attempt, and waits longer each time: thousands of them must not take the
/// turns of the others. Intake makes it due as soon as it has seen it again.
fn file_changed(failure: Failure, sent: bool, context: &AttemptContext) -> Decision {
    let delay = context.retry.backoff.delay(context.streak + 1, context.jitter);
    let end = AttemptEnd::Retry { failure, due: later(context.now, delay), recheck: true, sent };
    Decision { end, breaker: Signal::Inconclusive, pace: Feedback::None }
}

fn refused(error: CloudError, context: &AttemptContext) -> AttemptEnd {
    let CloudError { failure, remedy, sent, .. } = error;
    match remedy {
        Remedy::SlowDown(wait) => retry(failure, wait, sent, context),
        // the breaker decides when: no file needs to wait longer than it does
        Remedy::Pause => AttemptEnd::Retry { failure, due: context.now, recheck: false, sent: false },
        Remedy::GiveUp | Remedy::FreshGrantOrGiveUp | Remedy::ToggleContentType => {
            AttemptEnd::Failed { failure, sent }
        }
        Remedy::FewTimes if context.streak + 1 >= MAX_UNKNOWN_ANSWERS => {
            let failure = Failure { kind: ErrorKind::GatewayRejected, ..failure };
            AttemptEnd::Failed { failure, sent: false }
        }
        Remedy::Later
        | Remedy::FewTimes
        | Remedy::FreshGrant
        | Remedy::CorrectClock
        | Remedy::SignAgain
        | Remedy::HashNextTime => retry(failure, None, sent, context),
    }
}

/// Due again after the backoff, and not before the cloud allows; or never again, if that was the last attempt.
fn retry(failure: Failure, wait: Option<Duration>, sent: bool, context: &AttemptContext) -> AttemptEnd {
    let Retry { backoff, max_attempts } = context.retry;
    let attempts = context.attempts + 1;
    if failure.kind.counts_as_attempt() && max_attempts > 0 && attempts >= max_attempts {
        let message = format!("given up after {attempts} attempts; the last error was: {failure}");
        let failure = Failure { kind: ErrorKind::AttemptsExhausted, message, ..failure };
        return AttemptEnd::Failed { failure, sent };
    }
    let delay = backoff.delay(attempts, context.jitter).max(wait.unwrap_or_default());
    let recheck = failure.kind.asks_for_recheck();
    AttemptEnd::Retry { failure, due: later(context.now, delay), recheck, sent }
}

#[cfg(test)]
mod tests;
