//! A file's states, and what is known of its bytes.

use super::image::{Dimensions, Format};
use super::word::word;

/// What became of a file so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum State {
    /// Has its slot and waits for its turn.
    Queued,
    /// Claimed: the gateway or OSS is being talked to.
    Uploading,
    /// Tried, failed in passing, due again later.
    Retrying,
    /// On OSS.
    Uploaded,
    /// The cloud refuses it.
    Failed,
    /// We refuse it.
    Rejected,
    /// Deleted before it could be sent.
    Gone,
}

impl State {
    /// All states, in the order of a file's life.
    pub const ALL: [State; 7] = [
        State::Queued,
        State::Uploading,
        State::Retrying,
        State::Uploaded,
        State::Failed,
        State::Rejected,
        State::Gone,
    ];

    /// The word that the database and the command line use.
    pub fn as_str(self) -> &'static str {
        match self {
            State::Queued => "queued",
            State::Uploading => "uploading",
            State::Retrying => "retrying",
            State::Uploaded => "uploaded",
            State::Failed => "failed",
            State::Rejected => "rejected",
            State::Gone => "gone",
        }
    }

    /// Is there work left to do?
    pub fn is_pending(self) -> bool {
        matches!(self, State::Queued | State::Uploading | State::Retrying)
    }
}

word!(State, "state");

/// What one `fstat` tells of a file: if none of it changed, the bytes did not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Stamp {
    /// Bytes.
    pub size: u64,
    /// Last change of the content, nanoseconds since 1970.
    pub mtime_ns: i64,
    /// The file's number on its file system.
    pub inode: u64,
}

/// The three checksums that the way to OSS needs, all of the same bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digests {
    /// Tells content apart (hexadecimal, lower case).
    pub sha256: String,
    /// Base64, as `Content-MD5` wants it.
    pub md5: String,
    /// CRC-64/XZ, as `x-oss-hash-crc64ecma` counts it.
    pub crc64: u64,
}

/// A file that passed inspection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// By content.
    pub format: Format,
    /// By its header.
    pub dimensions: Dimensions,
    /// Of all its bytes.
    pub digests: Digests,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_as_written() {
        for state in State::ALL {
            assert_eq!(state.as_str().parse(), Ok(state));
        }
        assert!("done".parse::<State>().is_err());
    }
}
