//! What can go wrong with a file, and what follows from it.

use std::fmt;

use super::word::word;

/// Why a file is not uploaded (yet): the `error_kind` of the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each is described in `texts`")]
pub enum ErrorKind {
    UnsupportedFormat,
    DamagedImage,
    SuffixMismatch,
    TooLarge,
    TooManyPixels,
    NotAFile,
    Unreadable,
    LimitReached,
    Duplicate,
    SlotTaken,
    GatewayRejected,
    OssRejected,
    ForbiddenHost,
    BadUploadUrl,
    AttemptsExhausted,
    Network,
    Timeout,
    GatewayError,
    OssError,
    Throttled,
    Credentials,
    ClockSkew,
    ChecksumMismatch,
    FileChanged,
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
    /// Every kind.
    pub const ALL: [ErrorKind; 24] = [
        ErrorKind::UnsupportedFormat,
        ErrorKind::DamagedImage,
        ErrorKind::SuffixMismatch,
        ErrorKind::TooLarge,
        ErrorKind::TooManyPixels,
        ErrorKind::NotAFile,
        ErrorKind::Unreadable,
        ErrorKind::LimitReached,
        ErrorKind::Duplicate,
        ErrorKind::SlotTaken,
        ErrorKind::GatewayRejected,
        ErrorKind::OssRejected,
        ErrorKind::ForbiddenHost,
        ErrorKind::BadUploadUrl,
        ErrorKind::AttemptsExhausted,
        ErrorKind::Network,
        ErrorKind::Timeout,
        ErrorKind::GatewayError,
        ErrorKind::OssError,
        ErrorKind::Throttled,
        ErrorKind::Credentials,
        ErrorKind::ClockSkew,
        ErrorKind::ChecksumMismatch,
        ErrorKind::FileChanged,
    ];

    /// The word in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            ErrorKind::UnsupportedFormat => "unsupported_format",
            ErrorKind::DamagedImage => "damaged_image",
            ErrorKind::SuffixMismatch => "suffix_mismatch",
            ErrorKind::TooLarge => "too_large",
            ErrorKind::TooManyPixels => "too_many_pixels",
            ErrorKind::NotAFile => "not_a_file",
            ErrorKind::Unreadable => "unreadable",
            ErrorKind::LimitReached => "limit_reached",
            ErrorKind::Duplicate => "duplicate",
            ErrorKind::SlotTaken => "slot_taken",
            ErrorKind::GatewayRejected => "gateway_rejected",
            ErrorKind::OssRejected => "oss_rejected",
            ErrorKind::ForbiddenHost => "forbidden_host",
            ErrorKind::BadUploadUrl => "bad_upload_url",
            ErrorKind::AttemptsExhausted => "attempts_exhausted",
            ErrorKind::Network => "network",
            ErrorKind::Timeout => "timeout",
            ErrorKind::GatewayError => "gateway_error",
            ErrorKind::OssError => "oss_error",
            ErrorKind::Throttled => "throttled",
            ErrorKind::Credentials => "credentials",
            ErrorKind::ClockSkew => "clock_skew",
            ErrorKind::ChecksumMismatch => "checksum_mismatch",
            ErrorKind::FileChanged => "file_changed",
        }
    }

    /// Which state it leads to.
    pub fn class(self) -> Class {
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
            | ErrorKind::SlotTaken => Class::Rejected,
            ErrorKind::GatewayRejected
            | ErrorKind::OssRejected
            | ErrorKind::ForbiddenHost
            | ErrorKind::BadUploadUrl
            | ErrorKind::AttemptsExhausted => Class::Failed,
            ErrorKind::Network
            | ErrorKind::Timeout
            | ErrorKind::GatewayError
            | ErrorKind::OssError
            | ErrorKind::Throttled
            | ErrorKind::Credentials
            | ErrorKind::ClockSkew
            | ErrorKind::ChecksumMismatch
            | ErrorKind::FileChanged => Class::Retrying,
        }
    }

    /// Does an attempt that ends so count against `retry.max_attempts`? What the file is not to blame for
    /// does not: the cloud asked us to slow down, or takes none of our files.
    pub fn counts_as_attempt(self) -> bool {
        !matches!(self, ErrorKind::Throttled | ErrorKind::Credentials | ErrorKind::FileChanged)
    }
}

word!(ErrorKind, "error kind");

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
    fn every_kind_has_its_word() {
        for kind in ErrorKind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(kind));
        }
    }

    #[test]
    fn the_classes_are_those_of_the_contract() {
        let count = |class| ErrorKind::ALL.into_iter().filter(|kind| kind.class() == class).count();
        assert_eq!([Class::Rejected, Class::Failed, Class::Retrying].map(count), [10, 5, 9]);
    }
}
