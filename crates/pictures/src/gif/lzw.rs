//! LZW codes of a GIF (`GIF89a` appendix F), counted: how many pixels they stand for, not which.

use crate::flaw::Flaw;

const LONGEST_CODE: u32 = 12;

/// Counts the pixels of one image.
#[derive(Debug)]
pub(super) struct Lzw {
    bits: u32,
    bit_count: u32,
    code_size: u32,
    min_code_size: u32,
    /// How many pixels each code stands for.
    lengths: Vec<u16>,
    /// The length of the string before.
    previous: Option<u16>,
    /// Pixels that are still to come.
    wanted: u64,
    ended: bool,
}

impl Lzw {
    /// For an image of so many pixels.
    pub(super) fn new(min_code_size: u8, wanted: u64) -> Self {
        let clear = 1 << min_code_size;
        let mut lengths = Vec::with_capacity(1 << LONGEST_CODE);
        lengths.resize(clear, 1);
        // the codes for "clear" and "end" stand for no pixel
        lengths.resize(clear + 2, 0);
        Self {
            bits: 0,
            bit_count: 0,
            code_size: u32::from(min_code_size) + 1,
            min_code_size: min_code_size.into(),
            lengths,
            previous: None,
            wanted,
            ended: false,
        }
    }

    /// All pixels have come.
    pub(super) fn is_full(&self) -> bool {
        self.wanted == 0
    }

    pub(super) fn wanted(&self) -> u64 {
        self.wanted
    }

    /// Takes the bytes of a sub-block.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Result<(), Flaw> {
        for byte in bytes {
            // what comes after the last pixel is passed over, however much it is
            if self.is_full() || self.ended {
                return Ok(());
            }
            self.bits |= u32::from(*byte) << self.bit_count;
            self.bit_count += 8;
            while self.bit_count >= self.code_size && !self.is_full() && !self.ended {
                let code = self.bits & ((1 << self.code_size) - 1);
                self.bits >>= self.code_size;
                self.bit_count -= self.code_size;
                self.code(code as usize)?;
            }
        }
        Ok(())
    }

    fn clear(&mut self) {
        self.code_size = self.min_code_size + 1;
        self.lengths.truncate((1 << self.min_code_size) + 2);
        self.previous = None;
    }

    fn code(&mut self, code: usize) -> Result<(), Flaw> {
        let clear = 1 << self.min_code_size;
        if code == clear {
            self.clear();
            return Ok(());
        }
        if code == clear + 1 {
            self.ended = true;
            return Ok(());
        }
        let length = match (self.lengths.get(code), self.previous) {
            (Some(length), _) => *length,
            // the one code that may be used before it is known: the last string, and its first pixel again
            (None, Some(previous)) if code == self.lengths.len() => previous + 1,
            _ => return Err(Flaw::damaged("the data of an image in the GIF makes no sense")),
        };
        if let Some(previous) = self.previous
            && self.lengths.len() < 1 << LONGEST_CODE
        {
            self.lengths.push(previous + 1);
            if self.lengths.len() == 1 << self.code_size && self.code_size < LONGEST_CODE {
                self.code_size += 1;
            }
        }
        self.previous = Some(length);
        self.wanted = self.wanted.saturating_sub(length.into());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_string_may_be_used_while_it_is_made() {
        // 3-bit codes: clear, 1, 6 (not known yet: 1 1), then 7 (1 1 1) with four bits, end
        let mut lzw = Lzw::new(2, 6);
        let codes: [(u32, u32); 4] = [(4, 3), (1, 3), (6, 3), (7, 3)];
        let (mut bits, mut at) = (0u32, 0);
        for (code, size) in codes {
            bits |= code << at;
            at += size;
        }
        lzw.feed(&bits.to_le_bytes()).unwrap();
        assert!(lzw.is_full(), "{lzw:?}");
    }

    #[test]
    fn what_comes_after_the_last_pixel_is_passed_over() {
        let mut lzw = Lzw::new(2, 1);
        // clear, 1, end
        lzw.feed(&[0b0100_1100, 0b1]).unwrap();
        for _ in 0..100 {
            lzw.feed(&[0xff; 3]).unwrap();
        }
        assert!(lzw.is_full());
    }

    #[test]
    fn a_code_that_is_not_there_is_damage() {
        let mut lzw = Lzw::new(2, 6);
        assert!(lzw.feed(&[0b0011_1100]).is_err());
    }
}
