//! The three checksums of a file, of one pass over its bytes.

use base64::Engine;
use md5::Md5;
use sha2::{Digest, Sha256};

use crate::domain::text::hex;
use crate::domain::upload::Digests;

/// The three checksums in the making.
pub(super) struct Hashes {
    sha256: Sha256,
    md5: Md5,
    crc64: crc64fast::Digest,
}

impl Hashes {
    pub(super) fn new() -> Self {
        Self { sha256: Sha256::new(), md5: Md5::new(), crc64: crc64fast::Digest::new() }
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.sha256.update(bytes);
        self.md5.update(bytes);
        self.crc64.write(bytes);
    }

    pub(super) fn finish(self) -> Digests {
        Digests {
            sha256: hex(&self.sha256.finalize()),
            md5: base64::engine::general_purpose::STANDARD.encode(self.md5.finalize()),
            crc64: self.crc64.sum64(),
        }
    }
}
