//! One pass over the bytes: whoever reads through it, every byte is also hashed and walked.

use std::cell::Cell;
use std::io::{self, Read, Seek, SeekFrom};
use std::rc::Rc;

use base64::Engine;
use md5::Md5;
use sha2::{Digest, Sha256};

use super::walk::{Flaw, Walk};
use crate::domain::text::hex;
use crate::domain::upload::Digests;
use crate::intake::reads;

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

/// A reader that hashes and walks what passes through it.
pub(super) struct Tee<R> {
    inner: R,
    walk: Walk,
    max_pixels: u64,
    hashes: Hashes,
    passed: u64,
    flaw: Option<Flaw>,
    weight: Rc<Cell<u64>>,
}

impl<R: Read> Tee<R> {
    pub(super) fn new(inner: R, walk: Walk, max_pixels: u64) -> Self {
        Self { inner, walk, max_pixels, hashes: Hashes::new(), passed: 0, flaw: None, weight: Rc::default() }
    }

    /// Reads what is left, to the end.
    pub(super) fn drain(&mut self) -> io::Result<()> {
        io::copy(self, &mut io::sink()).map(drop)
    }

    /// See [`Walk::weight`]; known to whoever holds this when the bytes have passed.
    pub(super) fn weight(&self) -> Rc<Cell<u64>> {
        self.weight.clone()
    }

    /// The first thing that the walk did not like.
    pub(super) fn flaw(&self) -> Option<&Flaw> {
        self.flaw.as_ref()
    }

    pub(super) fn walk(&self) -> &Walk {
        &self.walk
    }

    /// How many bytes there were.
    pub(super) fn passed(&self) -> u64 {
        self.passed
    }

    pub(super) fn digests(self) -> Digests {
        self.hashes.finish()
    }

    fn take_in(&mut self, bytes: &[u8]) -> Result<(), Flaw> {
        self.hashes.update(bytes);
        self.passed += bytes.len() as u64;
        let walked = self.walk.feed(bytes);
        self.weight.set(self.walk.weight());
        match self.walk.largest() {
            Some(size) if size.pixels() > self.max_pixels => Err(Flaw::TooManyPixels(size, self.max_pixels)),
            _ => walked,
        }
    }
}

impl<R: Read> Read for Tee<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Some(flaw) = &self.flaw {
            return Err(io::Error::new(io::ErrorKind::InvalidData, flaw.to_string()));
        }
        let count = self.inner.read(buffer)?;
        reads::advance(count);
        if let Err(flaw) = self.take_in(&buffer[..count]) {
            let error = io::Error::new(io::ErrorKind::InvalidData, flaw.to_string());
            self.flaw = Some(flaw);
            return Err(error);
        }
        Ok(count)
    }
}

/// Decoders ask for `Seek`, and use it to tell where they are.
impl<R: Read> Seek for Tee<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        match to {
            SeekFrom::Current(0) => Ok(self.passed),
            _ => Err(io::Error::new(io::ErrorKind::Unsupported, "the bytes pass only once")),
        }
    }
}
