//! What the outcome of an attempt means: for its file, for the gate and for the pace. Then it is written down.

use std::sync::PoisonError;
use std::time::Duration;

use tokio::time::Instant;

use super::attempt::Outcome;
use super::gate::{Cause, Change};
use super::{Shared, WRITE_AGAIN};
use crate::cloud::{CloudError, Remedy};
use crate::config::After;
use crate::domain::clock::{later, until};
use crate::domain::event;
use crate::domain::failure::{ErrorKind, Failure};
use crate::domain::text::visible;
use crate::ledger::{AttemptEnd, Claim};

/// After so many answers in a row that nobody knows, a file is given up.
const FEW: u32 = 5;

impl Shared {
    pub(super) async fn judge(&self, claim: &Claim, outcome: Outcome, probe: bool) -> AttemptEnd {
        match outcome {
            Outcome::Uploaded { target, receipt, changed } => {
                self.pace.recover();
                self.tell(self.gate.succeeded(Instant::now()), "");
                self.learn_host(target.host()).await;
                AttemptEnd::Uploaded {
                    object_url: target.object_url(),
                    etag: receipt.etag,
                    request_id: receipt.request_id,
                    bytes: claim.stamp.size,
                    recheck: changed || self.settings.upload.after != After::Keep,
                }
            }
            Outcome::FileChanged(failure) => {
                self.gate.undecided(Instant::now(), probe);
                self.not_there(claim, failure, false).await
            }
            Outcome::BadGrant(failure) => {
                self.tell(self.gate.succeeded(Instant::now()), "");
                AttemptEnd::Failed { failure, sent: false }
            }
            Outcome::Refused(error) if error.failure.kind == ErrorKind::FileChanged => {
                self.gate.undecided(Instant::now(), probe);
                self.not_there(claim, error.failure, error.sent).await
            }
            Outcome::Refused(error) => self.refused(claim, error, probe).await,
        }
    }

    async fn refused(&self, claim: &Claim, error: CloudError, probe: bool) -> AttemptEnd {
        let now = Instant::now();
        let change = match error.remedy {
            Remedy::Pause => self.gate.failed(Cause::Credentials, now, claim.brand, probe),
            _ if error.is_outage() => self.gate.failed(Cause::Outage, now, claim.brand, probe),
            _ => self.gate.succeeded(now),
        };
        self.tell(change, &error.failure.to_string());
        match error.remedy {
            Remedy::SlowDown(wait) => {
                self.pace.slow_down(wait, &error.failure.to_string());
                self.retry(claim, error.failure, wait, error.sent)
            }
            // the gate decides when: no file need wait longer than it does
            Remedy::Pause => {
                let due = self.ledger.now();
                AttemptEnd::Retry { failure: error.failure, due, recheck: false, sent: false }
            }
            Remedy::GiveUp | Remedy::FreshGrantOrGiveUp | Remedy::OtherType => {
                AttemptEnd::Failed { failure: error.failure, sent: error.sent }
            }
            Remedy::FewTimes if self.is_the_last_of_few(claim, &error.failure).await => {
                let failure = Failure { kind: ErrorKind::GatewayRejected, ..error.failure };
                AttemptEnd::Failed { failure, sent: false }
            }
            _ => self.retry(claim, error.failure, None, error.sent),
        }
    }

    async fn is_the_last_of_few(&self, claim: &Claim, failure: &Failure) -> bool {
        // a table that cannot be read gives the file one more chance
        self.ledger.streak(claim.id(), failure).await.is_ok_and(|before| before + 1 >= FEW)
    }

    /// A file that cannot be reached burns no attempt, and comes back seldomer and seldomer: thousands of them must
    /// not take the turns of those that can. Intake makes it due as soon as it has seen it again.
    async fn not_there(&self, claim: &Claim, failure: Failure, sent: bool) -> AttemptEnd {
        let before = self.ledger.streak(claim.id(), &failure).await.unwrap_or_default();
        let delay = self.settings.retry.backoff.delay(before + 1, fastrand::f64());
        AttemptEnd::Retry { failure, due: later(self.ledger.now(), delay), recheck: true, sent }
    }

    /// Due again after the backoff, and not before the cloud allows; or never again, when that was the last try.
    fn retry(&self, claim: &Claim, failure: Failure, wait: Option<Duration>, sent: bool) -> AttemptEnd {
        let retry = self.settings.retry;
        let counts = failure.kind.counts_as_attempt();
        let attempts = claim.attempts + 1;
        if counts && retry.max_attempts > 0 && attempts >= retry.max_attempts {
            let message = format!("given up after {attempts} attempts; the last error was: {failure}");
            let failure = Failure { kind: ErrorKind::AttemptsExhausted, message, ..failure };
            return AttemptEnd::Failed { failure, sent };
        }
        let delay = retry.backoff.delay(attempts, fastrand::f64()).max(wait.unwrap_or_default());
        let recheck = matches!(failure.kind, ErrorKind::FileChanged | ErrorKind::ChecksumMismatch);
        AttemptEnd::Retry { failure, due: later(self.ledger.now(), delay), recheck, sent }
    }

    /// Writes the end of an attempt down. It stands in memory until the table takes it.
    pub(super) async fn finish(&self, claim: &Claim, finish: &AttemptEnd, took: Duration) {
        loop {
            match self.ledger.finish(claim, finish, took).await {
                Ok(()) => break self.tell_finish(claim, finish, took),
                Err(error) if error.is_transient() => {
                    self.ledger.complain(&error);
                    tokio::time::sleep(WRITE_AGAIN).await;
                }
                Err(error) => {
                    tracing::error!(id = claim.id().0, %error, "the end of an attempt could not be recorded; it is made again");
                    break;
                }
            }
        }
    }

    /// The state of the gate concerns everybody: it is said once. The table says it too, see `notice`.
    fn tell(&self, change: Change, words: &str) {
        match change {
            // what a probe heard is what is so now
            Change::None => self.heard(words),
            Change::Closed(cause) => {
                self.metrics.paused(cause.as_str());
                self.heard(words);
                tracing::error!(message_id = event::PAUSED, "paused: {}", self.why_closed(cause));
            }
            Change::Opened(after) => tracing::info!(
                message_id = event::RESUMED,
                seconds = after.as_secs(),
                "the clouds take files again"
            ),
        }
    }

    fn heard(&self, words: &str) {
        if !words.is_empty() {
            words.clone_into(&mut self.last_words.lock().unwrap_or_else(PoisonError::into_inner));
        }
    }

    /// For people.
    pub(super) fn why_closed(&self, cause: Cause) -> String {
        let why = match cause {
            Cause::Credentials => {
                "the gateway does not accept our credentials; nothing is sent until it does"
            }
            Cause::Outage => "the cloud cannot be used; one file at a time tries again",
        };
        format!("{why}: {}", self.last_words.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn tell_what_is_over(&self) {
        for ended in self.chorus.over(Instant::now().into_std()) {
            let ((kind, code), times) = (ended.what, ended.times);
            let seconds = ended.since.elapsed().as_secs();
            tracing::info!(message_id = event::RESUMED, error_kind = %kind, error_code = code, times, seconds, "files go through again");
        }
    }

    fn tell_finish(&self, claim: &Claim, finish: &AttemptEnd, took: Duration) {
        let (brand, id, slot, attempt) = (claim.brand, claim.id().0, claim.slot, claim.number());
        let file = visible(&claim.path.file_name().unwrap_or_default().to_string_lossy());
        let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        match finish {
            AttemptEnd::Uploaded { request_id, bytes, .. } => {
                let waited = claim.wanted_since.map(|since| until(since, self.ledger.now()));
                self.metrics.uploaded(*bytes, waited);
                let request_id = request_id.as_deref();
                tracing::info!(message_id = event::UPLOADED, %brand, %file, id, slot, state = "uploaded", attempt, bytes, millis, oss_request_id = request_id, "uploaded");
                self.chorus.heal();
            }
            AttemptEnd::Retry { failure, due, .. } if failure.kind == ErrorKind::Credentials => {
                self.metrics.retrying(failure.kind);
                tracing::debug!(%brand, %file, id, slot, attempt, %due, "waits: {failure}");
            }
            AttemptEnd::Retry { failure, due, .. } => {
                self.metrics.retrying(failure.kind);
                let request_id = failure.request_id.as_deref();
                match self.chorus.join((failure.kind, failure.code.clone()), Instant::now().into_std()) {
                    Some(times) => {
                        tracing::warn!(message_id = event::RETRYING, %brand, %file, id, slot, state = "retrying", attempt, %due, oss_request_id = request_id, error_kind = %failure.kind, error_code = failure.code, times, "tried again later: {failure}");
                    }
                    None => {
                        tracing::debug!(message_id = event::RETRYING, %brand, %file, id, slot, state = "retrying", attempt, %due, oss_request_id = request_id, error_kind = %failure.kind, error_code = failure.code, "tried again later: {failure}");
                    }
                }
            }
            AttemptEnd::Failed { failure, .. } => {
                self.metrics.failed(failure.kind);
                let request_id = failure.request_id.as_deref();
                tracing::error!(message_id = event::FAILED, %brand, %file, id, slot, state = "failed", attempt, oss_request_id = request_id, error_kind = %failure.kind, error_code = failure.code, "failed: {failure}. {}", failure.kind.advice());
            }
        }
    }
}
