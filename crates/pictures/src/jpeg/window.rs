//! The part of the file that is at hand.

use super::bits::before_fill;

/// So much of what was read stays at hand, for a look back.
const LOOK_BACK: usize = 64;

/// So much fill is kept: more than the junk that matters.
const FILL: usize = 64;

/// Bytes that came in portions of any size.
#[derive(Debug, Default)]
pub(super) struct Buffer {
    bytes: Vec<u8>,
    at: usize,
}

impl Buffer {
    pub(super) fn add(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// What is at hand. `last`: there will be no more.
    pub(super) fn window(&self, last: bool) -> Window<'_> {
        Window { bytes: &self.bytes, at: self.at, last }
    }

    /// Where a marker may come next, a few bytes of 0xff at the end say as much as very many.
    pub(super) fn drop_fill(&mut self) {
        let begin = before_fill(&self.bytes).max(self.at);
        self.bytes.truncate(begin + FILL);
    }

    /// Everything before `at` was read.
    pub(super) fn read_to(&mut self, at: usize) {
        let done = at.saturating_sub(LOOK_BACK);
        self.bytes.drain(..done);
        self.at = at - done;
    }
}

/// A look at the buffer, and where in it the next byte to read is.
#[derive(Debug)]
pub(super) struct Window<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) at: usize,
    pub(super) last: bool,
}

impl<'a> Window<'a> {
    pub(super) fn rest(&self) -> &'a [u8] {
        &self.bytes[self.at..]
    }

    pub(super) fn before(&self) -> &'a [u8] {
        &self.bytes[..self.at]
    }

    /// Passes over everything in which no marker can begin.
    pub(super) fn pass_to_fill(&mut self) {
        self.at += before_fill(self.rest());
    }

    /// Takes so many bytes, if they are all at hand.
    pub(super) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let taken = self.rest().get(..count)?;
        self.at += count;
        Some(taken)
    }

    /// Passes over up to `count` bytes; gives how many of them are still to come.
    pub(super) fn skip(&mut self, count: usize) -> usize {
        let step = count.min(self.rest().len());
        self.at += step;
        count - step
    }
}
