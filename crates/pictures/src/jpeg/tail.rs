//! What stands between the last block of a scan and the next marker.
//!
//! Nothing should, but cameras pad there, and some phones add a film without an end marker before it: both are
//! sound. After damage in the middle, though, the last block is read too early, and what is left is picture data.

use super::bits::{Ahead, Bits};

/// So many bytes of junk are never taken for picture data before the end of the picture: cameras leave a few.
const JUNK_AT_THE_END: u64 = 24;
/// And before the next part of it, where few cameras leave any.
const JUNK_BETWEEN: u64 = 8;
/// So much is looked at.
const SAMPLE: usize = 4 << 10;
/// So many bytes of zeros before the last block's end, and on after it, are a hole and no padding.
const HOLE: usize = 32;
/// So many blocks that can be read one after the other are no accident.
const MEANT: u32 = 64;

/// The bytes after the last block.
#[derive(Debug)]
pub(super) struct Tail {
    ahead: Ahead,
    /// The first of the bytes.
    sample: Vec<u8>,
    length: u64,
    /// All bytes so far are this one.
    constant: Option<u8>,
    zeros_before: bool,
    /// The bits that fill the last byte are neither all ones nor all zeros, as encoders write them.
    mixed_padding: bool,
    stuffed: bool,
}

impl Tail {
    /// After `ahead`, the rest of the byte in which the last block ended, and `before`, what the window held until there.
    pub(super) fn new(ahead: Ahead, before: &[u8]) -> Self {
        let zeros_before =
            before.len() >= HOLE && before[before.len() - HOLE..].iter().all(|byte| *byte == 0);
        Self {
            ahead,
            sample: Vec::new(),
            length: 0,
            constant: None,
            zeros_before,
            mixed_padding: ahead.has_mixed_padding(),
            stuffed: false,
        }
    }

    /// Takes the bytes up to the next marker.
    pub(super) fn take(&mut self, bytes: &[u8]) {
        self.constant = if self.length == 0 { bytes.first().copied() } else { self.constant };
        self.stuffed |= bytes.windows(2).any(|pair| pair == [0xff, 0]);
        let room = (SAMPLE - self.sample.len()).min(bytes.len());
        self.sample.extend_from_slice(&bytes[..room]);
        self.length += bytes.len() as u64;
        self.constant = self.constant.filter(|constant| bytes.iter().all(|byte| byte == constant));
    }

    /// More than the few bytes that may stand there.
    pub(super) fn is_long(&self) -> bool {
        self.length > JUNK_BETWEEN
    }

    /// Is it picture data, or a hole in it? `belongs`: the marker after it is one that belongs there; before a trailer
    /// of some other kind there may be anything. `at_the_end`: it is the end of the picture. `read_block` reads one more block.
    pub(super) fn is_picture_data(
        &self,
        belongs: bool,
        at_the_end: bool,
        mut read_block: impl FnMut(&mut Bits<'_>) -> bool,
    ) -> bool {
        if self.constant.is_some() {
            return self.constant == Some(0) && self.zeros_before;
        }
        if !belongs || self.length == 0 {
            return false;
        }
        let junk = if at_the_end { JUNK_AT_THE_END } else { JUNK_BETWEEN };
        if self.mixed_padding || self.length <= junk {
            return self.mixed_padding;
        }
        let mut bits = Bits::new(self.ahead, &self.sample, 0);
        let blocks = (0..MEANT).take_while(|_| read_block(&mut bits)).count();
        let to_the_end = bits.overdrawn() && bits.at() == self.sample.len();
        self.stuffed || to_the_end || blocks == MEANT as usize
    }
}
