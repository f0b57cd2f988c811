//! A file's states, and what is known of its bytes.

use super::image::{Dimensions, Format};
use super::word::words;

words! {
    /// What became of a file so far. In the order of a file's life.
    pub enum State("state") {
        /// Has its slot and waits for its turn.
        Queued = "queued",
        /// Claimed: the gateway or OSS is being talked to.
        Uploading = "uploading",
        /// Tried, failed in passing, due again later.
        Retrying = "retrying",
        /// On OSS.
        Uploaded = "uploaded",
        /// The cloud refuses it.
        Failed = "failed",
        /// We refuse it.
        Rejected = "rejected",
        /// Deleted before it could be sent.
        Gone = "gone",
    }
}

impl State {
    /// Is there work left to do?
    pub fn is_pending(self) -> bool {
        match self {
            State::Queued | State::Uploading | State::Retrying => true,
            State::Uploaded | State::Failed | State::Rejected | State::Gone => false,
        }
    }
}

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
