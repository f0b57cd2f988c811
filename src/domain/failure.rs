//! What can go wrong with a file, and what follows from it.

use std::fmt;

use super::word::words;

words! {
    /// Why a file is not uploaded (yet): the `error_kind` of the database.
    pub enum ErrorKind("error kind") {
        /// Its content is no picture of a format that the platform takes.
        UnsupportedFormat = "unsupported_format",
        /// Its content ends too early or is broken.
        DamagedImage = "damaged_image",
        /// Its name says another format than its content, and that is not corrected.
        SuffixMismatch = "suffix_mismatch",
        /// It has more bytes than `images.max_bytes`.
        TooLarge = "too_large",
        /// It has more pixels than `images.max_pixels`.
        TooManyPixels = "too_many_pixels",
        /// It is a link, a pipe, a socket or a device.
        NotAFile = "not_a_file",
        /// We may not read it, or reading it fails.
        Unreadable = "unreadable",
        /// No slot is free.
        LimitReached = "limit_reached",
        /// Another file of its brand has the same content.
        Duplicate = "duplicate",
        /// The slot in its name is another file's (`slots.by = "filename"`).
        SlotTaken = "slot_taken",
        /// The gateway refuses this file.
        GatewayRejected = "gateway_rejected",
        /// OSS refuses this file.
        OssRejected = "oss_rejected",
        /// The gateway names a host that `oss.allowed_hosts` does not.
        ForbiddenHost = "forbidden_host",
        /// The gateway's `uploadUrl` cannot be used.
        BadUploadUrl = "bad_upload_url",
        /// It was tried `retry.max_attempts` times.
        AttemptsExhausted = "attempts_exhausted",
        /// A cloud cannot be reached, or somebody in between answered.
        Network = "network",
        /// No answer came in time.
        Timeout = "timeout",
        /// The gateway has a fault of its own, or answers what nobody knows.
        GatewayError = "gateway_error",
        /// OSS has a fault of its own, or answers what nobody knows.
        OssError = "oss_error",
        /// A cloud asks us to slow down.
        Throttled = "throttled",
        /// A cloud does not accept our credentials.
        Credentials = "credentials",
        /// This machine's clock differs too much from the cloud's.
        ClockSkew = "clock_skew",
        /// OSS received other bytes than those that were inspected.
        ChecksumMismatch = "checksum_mismatch",
        /// It is not there, or no longer the file that was inspected.
        FileChanged = "file_changed",
    }
}

/// Who has the say over the next step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// We refuse the file: state `rejected`.
    Rejected,
    /// The cloud refuses it: state `failed`.
    Failed,
    /// It passes by itself: state `retrying`.
    Retrying,
}

impl ErrorKind {
    /// What follows from it: which state it leads to, and what else. A file that is given up, or never tried, asks for nothing
    /// more.
    fn rule(self) -> (Class, &'static [Consequence]) {
        use Consequence::{AsksForRecheck, CountsAsAttempt, MeansOutage, WaitsForBreaker};
        match self {
            ErrorKind::UnsupportedFormat
            | ErrorKind::DamagedImage
            | ErrorKind::SuffixMismatch
            | ErrorKind::TooLarge
            | ErrorKind::TooManyPixels
            | ErrorKind::NotAFile
            | ErrorKind::Unreadable
            | ErrorKind::LimitReached
            | ErrorKind::Duplicate
            | ErrorKind::SlotTaken => (Class::Rejected, &[CountsAsAttempt]),
            ErrorKind::GatewayRejected
            | ErrorKind::OssRejected
            | ErrorKind::ForbiddenHost
            | ErrorKind::BadUploadUrl
            | ErrorKind::AttemptsExhausted => (Class::Failed, &[CountsAsAttempt]),
            ErrorKind::Network | ErrorKind::Timeout | ErrorKind::GatewayError | ErrorKind::OssError => {
                (Class::Retrying, &[CountsAsAttempt, MeansOutage])
            }
            ErrorKind::ChecksumMismatch => (Class::Retrying, &[CountsAsAttempt, MeansOutage, AsksForRecheck]),
            ErrorKind::ClockSkew => (Class::Retrying, &[CountsAsAttempt]),
            ErrorKind::Credentials => (Class::Retrying, &[WaitsForBreaker]),
            ErrorKind::FileChanged => (Class::Retrying, &[AsksForRecheck]),
            ErrorKind::Throttled => (Class::Retrying, &[]),
        }
    }

    fn has(self, consequence: Consequence) -> bool {
        self.rule().1.contains(&consequence)
    }

    /// Which state it leads to.
    pub fn class(self) -> Class {
        self.rule().0
    }

    /// Does an attempt that ends so count against `retry.max_attempts`? What the file is not to blame for
    /// does not: the cloud asked us to slow down, or takes none of our files.
    pub fn counts_as_attempt(self) -> bool {
        self.has(Consequence::CountsAsAttempt)
    }

    /// Would any other file meet the same error now, so that uploads pause?
    pub fn means_outage(self) -> bool {
        self.has(Consequence::MeansOutage)
    }

    /// Is the file perhaps another one now, so that intake scans it again?
    pub fn asks_for_recheck(self) -> bool {
        self.has(Consequence::AsksForRecheck)
    }

    /// Does the circuit breaker decide when the file is sent, and not its due time?
    pub fn waits_for_breaker(self) -> bool {
        self.has(Consequence::WaitsForBreaker)
    }
}

/// What follows from an error kind beside the state that it leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Consequence {
    CountsAsAttempt,
    MeansOutage,
    AsksForRecheck,
    WaitsForBreaker,
}

/// One thing that went wrong: the kind, what the other side said, and a sentence for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What kind it is.
    pub kind: ErrorKind,
    /// The code of the gateway or of OSS, as it came.
    pub code: Option<String>,
    /// One sentence. Never holds a secret.
    pub message: String,
    /// The cloud's id of the request, for its support.
    pub request_id: Option<String>,
}

impl Failure {
    /// A failure that no cloud had a part in.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, code: None, message: message.into(), request_id: None }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.code {
            Some(code) => write!(f, "{} [{code}]: {}", self.kind, self.message),
            None => write!(f, "{}: {}", self.kind, self.message),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_kinds_are_of_each_class() {
        let count = |class| ErrorKind::ALL.into_iter().filter(|kind| kind.class() == class).count();
        assert_eq!([Class::Rejected, Class::Failed, Class::Retrying].map(count), [10, 5, 9]);
    }
}
