//! Attempts: a claim begins one, and exactly one step ends it together with the state of its file.

use std::time::Duration;

use jiff::Timestamp;

use super::{Brand, Claim, ClaimToken, Moment, Upload, UploadId, UploadState};
use crate::domain::clock::later;
use crate::domain::failure::Failure;
use crate::domain::word::words;

/// How an attempt ended.
#[derive(Debug, Clone)]
pub enum AttemptEnd {
    /// The object is on OSS, its checksums are right.
    Uploaded {
        /// Where, without any query.
        object_url: String,
        /// As OSS gave it, without quotes.
        etag: String,
        /// OSS's id of the request.
        request_id: Option<String>,
        /// How many bytes were sent.
        bytes: u64,
        /// Intake has something left to do: the file changed meanwhile, or is to be tidied away.
        recheck: bool,
    },
    /// It failed for a reason that passes and is due again.
    Retry {
        /// Why.
        failure: Failure,
        /// When.
        due: Timestamp,
        /// Intake is to look at the file.
        recheck: bool,
        /// Its bytes may have arrived, whatever we know.
        sent: bool,
    },
    /// The cloud refuses the file, or it was the last try.
    Failed {
        /// Why.
        failure: Failure,
        /// Its bytes may have arrived, whatever we know.
        sent: bool,
    },
}

words! {
    /// How an attempt ended, in the log of attempts.
    pub enum Outcome("outcome") {
        /// The object is on OSS.
        Uploaded = "uploaded",
        /// Tried again later.
        Retrying = "retrying",
        /// Given up.
        Failed = "failed",
        /// The process died, or was stopped, in the middle.
        Interrupted = "interrupted",
    }
}

/// An attempt that has ended, for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptRecord {
    /// Whose it was.
    pub upload: UploadId,
    /// Its number among those of the file.
    pub number: u32,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub finished_at: Timestamp,
    /// How.
    pub outcome: Outcome,
    /// What went wrong.
    pub failure: Option<Failure>,
    /// The cloud's id of the request.
    pub request_id: Option<String>,
    /// How many bytes were sent.
    pub bytes: Option<u64>,
    /// How long it took.
    pub took: Option<Duration>,
}

/// On what terms files are claimed.
#[derive(Debug, Clone, Copy)]
pub struct ClaimTerms {
    /// How long a claim lasts unless it is renewed.
    pub lease: Duration,
    /// A due time further away can only come from a clock that jumped, and counts as due.
    pub horizon: Duration,
}

impl Brand {
    /// Claims a file, if it is due and may be sent.
    pub fn start(&mut self, id: UploadId, terms: ClaimTerms, at: &Moment) -> Option<Claim> {
        let file =
            self.file_mut(id).filter(|file| file.inbox == at.inbox && file.is_due(terms.horizon, at))?;
        file.state = UploadState::Uploading {
            lease_until: later(at.now, terms.lease),
            started_at: at.now,
            turn: file.state.turn().unwrap_or(at.round),
            last_failure: file.state.failure().cloned(),
        };
        file.tries += 1;
        file.updated_at = at.now;
        self.settle(at);
        Claim::of(self, self.file(id)?)
    }

    /// Puts off the end of a claim that is still worked on.
    pub fn extend(&mut self, claim: ClaimToken, lease: Duration, at: &Moment) {
        let Some(file) = self.file_mut(claim.upload).filter(|file| file.tries == claim.number) else {
            return;
        };
        if let UploadState::Uploading { lease_until, .. } = &mut file.state {
            *lease_until = later(at.now, lease);
        }
    }

    /// Ends a claim: the file's state, its attempt, and what follows for others. False when the claim is no longer
    /// the caller's to end; then nothing has changed.
    pub fn finish(&mut self, claim: &Claim, end: &AttemptEnd, took: Duration, at: &Moment) -> bool {
        let Some(started_at) = self.started_at(claim) else { return false };
        self.attempts.push(AttemptRecord::of(claim, end, started_at, took, at));
        let Some(file) = self.file_mut(claim.id()) else { return false };
        file.updated_at = at.now;
        if end.counts() {
            file.attempts += 1;
        }
        if end.needs_recheck() {
            file.request_recheck();
        }
        if end.may_have_arrived() {
            (file.sent, file.object_sha256) = (true, None);
        }
        file.request_id = end.request_id().map(ToOwned::to_owned);
        self.end(claim.id(), end, at);
        self.settle(at);
        true
    }

    /// Puts a file back into the queue whose holder is gone. Its bytes may have arrived.
    pub fn interrupted(&mut self, id: UploadId, at: &Moment) -> bool {
        let Some(file) = self.file_mut(id) else { return false };
        let UploadState::Uploading { started_at, turn, .. } = file.state else { return false };
        file.state = UploadState::Queued { due: at.now, turn, held: false };
        (file.sent, file.object_sha256, file.updated_at) = (true, None, at.now);
        let record = AttemptRecord {
            upload: id,
            number: file.tries,
            started_at,
            finished_at: at.now,
            outcome: Outcome::Interrupted,
            failure: None,
            request_id: None,
            bytes: None,
            took: None,
        };
        self.attempts.push(record);
        self.settle(at);
        true
    }

    /// When the attempt of a claim began, if the claim still stands.
    fn started_at(&self, claim: &Claim) -> Option<Timestamp> {
        let file = self.file(claim.id())?;
        match file.state {
            UploadState::Uploading { started_at, .. } if file.tries == claim.token.number => Some(started_at),
            _ => None,
        }
    }

    fn end(&mut self, id: UploadId, end: &AttemptEnd, at: &Moment) {
        // a file that is tried again goes behind those that wait for their first turn
        let turn = self.next_turn(&at.inbox, at);
        let Some(file) = self.file_mut(id) else { return };
        match end {
            AttemptEnd::Uploaded { object_url, etag, .. } => {
                file.object_url = Some(object_url.clone());
                file.etag = Some(etag.clone());
                file.object_sha256 = file.sha256().map(ToOwned::to_owned);
                file.uploaded_at = Some(at.now);
                file.state = UploadState::Uploaded;
            }
            AttemptEnd::Retry { failure, due, .. } => {
                file.state = UploadState::Retrying { due: *due, turn, failure: stored(failure) };
            }
            AttemptEnd::Failed { failure, .. } => {
                file.slot = file.slot_to_keep();
                file.state = UploadState::Failed { failure: stored(failure) };
            }
        }
    }
}

/// A failure as its row keeps it: the id of the request has a place of its own there.
fn stored(failure: &Failure) -> Failure {
    Failure { request_id: None, ..failure.clone() }
}

impl Upload {
    /// `ledger::queue` asks the table the same.
    fn is_due(&self, horizon: Duration, at: &Moment) -> bool {
        let waits = self.state.due().filter(|_| !self.state.is_held() && !at.suspended);
        waits.is_some_and(|due| due <= at.now || due > later(at.now, horizon))
    }
}

impl AttemptEnd {
    fn failure(&self) -> Option<&Failure> {
        match self {
            AttemptEnd::Retry { failure, .. } | AttemptEnd::Failed { failure, .. } => Some(failure),
            AttemptEnd::Uploaded { .. } => None,
        }
    }

    fn counts(&self) -> bool {
        self.failure().is_none_or(|failure| failure.kind.counts_as_attempt())
    }

    fn needs_recheck(&self) -> bool {
        matches!(self, AttemptEnd::Uploaded { recheck: true, .. } | AttemptEnd::Retry { recheck: true, .. })
    }

    fn may_have_arrived(&self) -> bool {
        match self {
            AttemptEnd::Uploaded { .. } => true,
            AttemptEnd::Retry { sent, .. } | AttemptEnd::Failed { sent, .. } => *sent,
        }
    }

    fn request_id(&self) -> Option<&str> {
        match self {
            AttemptEnd::Uploaded { request_id, .. } => request_id.as_deref(),
            _ => self.failure()?.request_id.as_deref(),
        }
    }

    fn outcome(&self) -> Outcome {
        match self {
            AttemptEnd::Uploaded { .. } => Outcome::Uploaded,
            AttemptEnd::Retry { .. } => Outcome::Retrying,
            AttemptEnd::Failed { .. } => Outcome::Failed,
        }
    }
}

impl AttemptRecord {
    fn of(claim: &Claim, end: &AttemptEnd, started_at: Timestamp, took: Duration, at: &Moment) -> Self {
        let bytes = match end {
            AttemptEnd::Uploaded { bytes, .. } => Some(*bytes),
            _ => None,
        };
        Self {
            upload: claim.token.upload,
            number: claim.token.number,
            started_at,
            finished_at: at.now,
            outcome: end.outcome(),
            failure: end.failure().map(stored),
            request_id: end.request_id().map(ToOwned::to_owned),
            bytes,
            took: Some(took),
        }
    }
}
