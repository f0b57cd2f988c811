//! A file of a brand: where it is, what it is, and what has become of it.

use std::fmt;
use std::num::ParseIntError;
use std::path::PathBuf;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Inbox;
use crate::domain::failure::{ErrorKind, Failure};
use crate::domain::upload::{Picture, Stamp, State};

/// The number of a file in the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UploadId(pub i64);

impl fmt::Display for UploadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for UploadId {
    type Err = ParseIntError;

    fn from_str(text: &str) -> Result<Self, ParseIntError> {
        text.parse().map(UploadId)
    }
}

/// Which claim it is: only its holder may end it. No two attempts of a file have the same number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClaimToken {
    /// Whose attempt it is.
    pub upload: UploadId,
    /// The number of the attempt.
    pub number: u32,
}

/// What has become of a file so far, with what belongs to it. [`State`] is its name alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UploadState {
    /// Has its slot and waits for its turn.
    Queued {
        /// Not before then.
        due: Timestamp,
        /// In this round of the queue.
        turn: i64,
        /// Not before an operator says so.
        held: bool,
    },
    /// Somebody works on it.
    Uploading {
        /// Its holder is taken to be gone after that.
        lease_until: Timestamp,
        /// When the attempt began.
        started_at: Timestamp,
        /// The round of the queue in which it was claimed.
        turn: i64,
        /// How the attempt before this one failed.
        last_failure: Option<Failure>,
    },
    /// Failed for a reason that passes, and is due again.
    Retrying {
        /// Not before then.
        due: Timestamp,
        /// In this round of the queue.
        turn: i64,
        /// Why.
        failure: Failure,
    },
    /// On OSS.
    Uploaded,
    /// The cloud refuses it.
    Failed {
        /// Why.
        failure: Failure,
    },
    /// We refuse it.
    Rejected {
        /// Why.
        failure: Failure,
        /// The file that it is a copy of.
        duplicate_of: Option<UploadId>,
    },
    /// Deleted before it could be sent.
    Gone,
}

impl UploadState {
    /// What the database calls it.
    pub fn name(&self) -> State {
        match self {
            UploadState::Queued { .. } => State::Queued,
            UploadState::Uploading { .. } => State::Uploading,
            UploadState::Retrying { .. } => State::Retrying,
            UploadState::Uploaded => State::Uploaded,
            UploadState::Failed { .. } => State::Failed,
            UploadState::Rejected { .. } => State::Rejected,
            UploadState::Gone => State::Gone,
        }
    }

    /// What went wrong last, if that still counts.
    pub fn failure(&self) -> Option<&Failure> {
        match self {
            UploadState::Retrying { failure, .. }
            | UploadState::Failed { failure }
            | UploadState::Rejected { failure, .. } => Some(failure),
            UploadState::Uploading { last_failure, .. } => last_failure.as_ref(),
            UploadState::Queued { .. } | UploadState::Uploaded | UploadState::Gone => None,
        }
    }

    /// The round of the queue in which its turn comes, or came.
    pub fn turn(&self) -> Option<i64> {
        match self {
            UploadState::Queued { turn, .. }
            | UploadState::Uploading { turn, .. }
            | UploadState::Retrying { turn, .. } => Some(*turn),
            _ => None,
        }
    }

    /// When it is due, if it waits.
    pub fn due(&self) -> Option<Timestamp> {
        match self {
            UploadState::Queued { due, .. } | UploadState::Retrying { due, .. } => Some(*due),
            _ => None,
        }
    }

    /// Does it wait for an operator's word?
    pub fn is_held(&self) -> bool {
        matches!(self, UploadState::Queued { held: true, .. })
    }
}

/// Requests that intake look at a file again, counted: one that comes during a look is not lost by its end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Recheck {
    /// So many were made,
    pub requested: i64,
    /// and so many of them are done.
    pub done: i64,
}

impl Recheck {
    /// Is one open?
    pub fn is_open(self) -> bool {
        self.requested > self.done
    }
}

/// A file of a brand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// Its number.
    pub id: UploadId,
    /// In whose folders it is.
    pub inbox: Inbox,
    /// The whole path.
    pub path: PathBuf,
    /// What has become of it.
    pub state: UploadState,
    /// Its place in the brand, which is the API's `index`.
    pub slot: Option<u32>,
    /// The slot that its name asks for (`slots.by = "filename"`).
    pub wanted_slot: Option<u32>,
    /// The file when it was last looked at.
    pub stamp: Stamp,
    /// When anything about it had changed last, nanoseconds since 1970.
    pub ctime_ns: Option<i64>,
    /// What it holds, if that is a whole picture.
    pub picture: Option<Picture>,
    /// Requests to look again.
    pub recheck: Recheck,
    /// Which content of this path it is; counts from 1.
    pub revision: u32,
    /// Attempts that count, of this content.
    pub attempts: u32,
    /// Attempts that were ever begun.
    pub tries: u32,
    /// Something of it may be on OSS, in its slot.
    pub sent: bool,
    /// What is surely on OSS in its slot: the SHA-256 of it.
    pub object_sha256: Option<String>,
    /// Where it was sent to, without any query.
    pub object_url: Option<String>,
    /// As OSS gave it.
    pub etag: Option<String>,
    /// The cloud's id of the last request.
    pub request_id: Option<String>,
    /// When it was found.
    pub detected_at: Timestamp,
    /// Since when this content is to be sent.
    pub wanted_since: Option<Timestamp>,
    /// When it was sent last.
    pub uploaded_at: Option<Timestamp>,
    /// When anything about it changed last.
    pub updated_at: Timestamp,
}

impl Upload {
    /// The SHA-256 of its content, if that is known.
    pub fn sha256(&self) -> Option<&str> {
        self.picture.as_ref().map(|picture| picture.digests.sha256.as_str())
    }

    /// The kind of its failure.
    pub fn error_kind(&self) -> Option<ErrorKind> {
        self.state.failure().map(|failure| failure.kind)
    }

    /// Is it a sound picture that was refused for want of a slot?
    pub(super) fn waits_for_slot(&self) -> bool {
        let refused = matches!(self.state, UploadState::Rejected { .. }) && self.picture.is_some();
        refused && matches!(self.error_kind(), Some(ErrorKind::LimitReached | ErrorKind::SlotTaken))
    }

    /// Does it stand for its content, so that the same picture under another name is a copy of it?
    pub(super) fn stands(&self) -> bool {
        match self.state.name() {
            State::Queued | State::Uploading | State::Retrying | State::Uploaded => self.slot.is_some(),
            State::Rejected => self.waits_for_slot(),
            State::Failed | State::Gone => false,
        }
    }

    /// The slot that it keeps when it is not to be sent: only one that something of it may be in.
    pub(super) fn slot_to_keep(&self) -> Option<u32> {
        self.slot.filter(|_| self.sent)
    }

    /// Gives it a slot. Another slot has another object.
    pub(super) fn set_slot(&mut self, slot: u32) {
        if self.slot != Some(slot) {
            (self.object_url, self.etag) = (None, None);
        }
        self.slot = Some(slot);
    }

    /// Intake is to look at it again.
    pub(super) fn request_recheck(&mut self) {
        self.recheck.requested += 1;
    }
}
