//! What people and metrics learn about attempts and pauses.

use std::time::Duration;

use jiff::Timestamp;

use super::breaker::{Change, Pause};
use crate::domain::clock::until;
use crate::domain::event;
use crate::domain::failure::{ErrorKind, Failure};
use crate::domain::notice::PauseCause;
use crate::domain::text::file_name;
use crate::domain::texts::{self, Language, Place};
use crate::ledger::{AttemptEnd, Claim};
use crate::metrics::Metrics;
use crate::telemetry::repeat::RepeatLimiter;

/// The log and the metrics of publish.
#[derive(Debug)]
pub(super) struct Reporter {
    metrics: Metrics,
    /// The same error of thousands of files is one line: by kind and code.
    repeated: RepeatLimiter<(ErrorKind, Option<String>)>,
}

/// Why nothing is sent, for people.
pub(super) fn explain(pause: &Pause) -> String {
    let error = &pause.last_error;
    match pause.cause {
        PauseCause::Credentials => {
            format!(
                "the gateway does not accept our credentials; nothing is sent until it does. Check gateway.app_key and the app secret: {error}"
            )
        }
        PauseCause::Outage => {
            format!("the cloud cannot be used; one file at a time is tried until it can: {error}")
        }
    }
}

impl Reporter {
    pub(super) fn new(metrics: Metrics) -> Self {
        Self { metrics, repeated: RepeatLimiter::default() }
    }

    /// The breaker concerns every file, so it is logged once, and not with each of them.
    pub(super) fn breaker_changed(&self, change: &Change) {
        match change {
            Change::None => {}
            Change::Tripped(pause) => {
                self.metrics.paused(pause.cause);
                tracing::error!(message_id = event::PAUSED, "paused: {}", explain(pause));
            }
            Change::Reset(after) => {
                let seconds = after.as_secs();
                tracing::info!(message_id = event::RESUMED, seconds, "the clouds take files again");
            }
        }
    }

    /// An attempt has ended, and the ledger has recorded how.
    pub(super) fn attempt_ended(&self, claim: &Claim, end: &AttemptEnd, took: Duration, now: Timestamp) {
        let file = file_name(&claim.path);
        match end {
            AttemptEnd::Uploaded { request_id, bytes, .. } => {
                self.metrics.uploaded(*bytes, claim.wanted_since.map(|since| until(since, now)));
                self.repeated.succeeded();
                uploaded(claim, &file, request_id.as_deref(), *bytes, took);
            }
            AttemptEnd::Retry { failure, due, .. } => {
                self.metrics.retrying(failure.kind);
                self.retrying(claim, &file, failure, *due);
            }
            AttemptEnd::Failed { failure, .. } => {
                self.metrics.failed(failure.kind);
                failed(claim, &file, failure);
            }
        }
    }

    /// Logs the errors that have not come again since files went through.
    pub(super) fn log_resolved(&self) {
        for ended in self.repeated.ended() {
            let ((kind, code), times) = (ended.problem, ended.times);
            let seconds = ended.lasted.as_secs();
            tracing::info!(message_id = event::RESUMED, error_kind = %kind, error_code = code, times, seconds, "files go through again");
        }
    }

    fn retrying(&self, claim: &Claim, file: &str, failure: &Failure, due: Timestamp) {
        let Claim { brand, slot, .. } = claim;
        let (id, attempt) = (claim.id().0, claim.number());
        let Failure { kind, code, request_id, .. } = failure;
        // the breaker has logged this one
        if kind.waits_for_breaker() {
            tracing::debug!(%brand, %file, id, slot, attempt, %due, "waits: {failure}");
            return;
        }
        let times = self.repeated.should_log((*kind, code.clone()));
        // a level is fixed where a line is written, so there are two of them
        macro_rules! log_at {
            ($level:ident) => {
                tracing::$level!(
                    message_id = event::RETRYING,
                    %brand,
                    %file,
                    id,
                    slot,
                    state = "retrying",
                    attempt,
                    %due,
                    oss_request_id = request_id,
                    error_kind = %kind,
                    error_code = code,
                    times,
                    "tried again later: {failure}"
                )
            };
        }
        if times.is_some() { log_at!(warn) } else { log_at!(debug) }
    }
}

/// This file is a probe, beside so many that are under way and take long.
pub(super) fn probe_starts_beside(others: usize, claim: &Claim) {
    if others > 0 {
        let Claim { brand, path, .. } = claim;
        let (file, id) = (file_name(path), claim.id().0);
        tracing::info!(%brand, %file, id, others, "a probe takes long: this file is tried beside it");
    }
}

fn uploaded(claim: &Claim, file: &str, request_id: Option<&str>, bytes: u64, took: Duration) {
    let Claim { brand, slot, .. } = claim;
    let (id, attempt) = (claim.id().0, claim.number());
    let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    tracing::info!(
        message_id = event::UPLOADED,
        %brand,
        %file,
        id,
        slot,
        state = "uploaded",
        attempt,
        bytes,
        millis,
        oss_request_id = request_id,
        "uploaded"
    );
}

fn failed(claim: &Claim, file: &str, failure: &Failure) {
    let Claim { brand, slot, .. } = claim;
    let (id, attempt) = (claim.id().0, claim.number());
    let Failure { kind, code, request_id, .. } = failure;
    let advice = texts::advice(*kind, Language::English, Place::CommandLine);
    tracing::error!(
        message_id = event::FAILED,
        %brand,
        %file,
        id,
        slot,
        state = "failed",
        attempt,
        oss_request_id = request_id,
        error_kind = %kind,
        error_code = code,
        "failed: {failure}. {advice}"
    );
}
