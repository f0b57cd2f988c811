//! Bits of entropy-coded data (T.81 F.2.2.5): stuffed bytes are taken out, and a marker ends them.

#![expect(
    clippy::inline_always,
    reason = "the loop over coefficients has to stay in registers; see benches/walk.rs"
)]

use crate::work;

/// So many bytes may one block take at most: 64 coefficients of 31 bits, each byte stuffed, and what is read ahead.
pub(super) const LONGEST_BLOCK: usize = 512;

/// So many bytes of the window are read ahead at most: eight, each stuffed.
pub(super) const READ_AHEAD: usize = 16;

/// Bits that were read ahead, the next one highest.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Ahead {
    bits: u64,
    /// How many there are; below zero when more were used than there are.
    count: i32,
}

impl Ahead {
    /// For what [`Bits::unread`] leaves: the rest of the byte that was begun is neither all ones nor all zeros.
    pub(super) fn has_mixed_padding(self) -> bool {
        let padding = self.bits >> 56 >> (8 - self.count);
        padding != 0 && padding != (1 << self.count) - 1
    }
}

/// Reads bits from a window of bytes. A copy is cheap: the loop that matters works on one, in registers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bits<'a> {
    ahead: Ahead,
    window: &'a [u8],
    /// The window, up to where reading ahead has found a marker, or fill at the window's end.
    data: &'a [u8],
    /// What of the window was read.
    at: usize,
}

impl<'a> Bits<'a> {
    pub(super) fn new(ahead: Ahead, window: &'a [u8], at: usize) -> Self {
        Self { ahead, window, data: window, at }
    }

    /// How far the window was read.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// What is to be kept for the next window, and how far this one was read.
    pub(super) fn rest(&self) -> (Ahead, usize) {
        (self.ahead, self.at)
    }

    /// So many whole blocks can be read, wherever they end.
    #[inline]
    pub(super) fn holds_blocks(&self, count: usize) -> bool {
        self.window.len() - self.at >= count * LONGEST_BLOCK
    }

    /// The next marker in what was not read yet.
    pub(super) fn marker(&self) -> Option<Marker> {
        next_marker(&self.window[self.at..])
    }

    /// The next 64 bits, of which at least 32 are real, unless the data ends before.
    #[inline]
    pub(super) fn peek(&mut self) -> u64 {
        if self.ahead.count <= 32 {
            self.refill();
        }
        self.ahead.bits
    }

    /// Reads ahead, so that at least 56 bits are real, unless the data ends before. Whether this is needed is not asked:
    /// that would be guessed wrongly more often than it saves.
    #[inline(always)]
    pub(super) fn refill(&mut self) {
        (self.ahead, self.data, self.at) = fill(self.ahead, self.data, self.at);
    }

    /// The next bits, of which as many are real as were read ahead.
    #[inline]
    pub(super) fn ahead(&self) -> u64 {
        self.ahead.bits
    }

    /// Passes over bits; no more than 32 after each peek.
    #[inline(always)]
    pub(super) fn skip(&mut self, count: u32) {
        self.ahead.bits <<= count;
        self.ahead.count -= count.cast_signed();
    }

    /// Passes over up to 64 bits.
    pub(super) fn skip_many(&mut self, count: u32) {
        if count == 0 {
            return;
        }
        self.peek();
        self.skip(count.min(32));
        if count > 32 {
            self.peek();
            self.skip(count - 32);
        }
    }

    /// The next bits as a number; at most 16.
    pub(super) fn take(&mut self, count: u32) -> u32 {
        let bits = u32::try_from(self.peek() >> 48).unwrap_or_default() >> (16 - count);
        self.skip(count);
        bits
    }

    /// More bits were used than there are.
    #[inline]
    pub(super) fn overdrawn(&self) -> bool {
        self.ahead.count < 0
    }

    /// Fewer bits are left than the longest code has.
    pub(super) fn nearly_empty(&mut self) -> bool {
        self.peek();
        self.ahead.count < 16
    }

    /// Gives back the whole bytes that were read ahead: what is ahead then is the rest of the byte that was begun, and
    /// where the next byte stands. Fill of any length may stand before a byte: what is no longer in the window stays read.
    pub(super) fn unread(self) -> (Ahead, usize) {
        let (mut at, left) = (self.at, self.ahead.count.max(0) % 8);
        for _ in 0..self.ahead.count.max(0) / 8 {
            at = at.saturating_sub(1);
            if at > 0 && self.window[at] == 0 && self.window[at - 1] == 0xff {
                // stuffed, and perhaps filled
                at = self.window[..at].iter().rposition(|byte| *byte != 0xff).map_or(0, |last| last + 1);
            }
        }
        let mask = !(u64::MAX >> left);
        (Ahead { bits: self.ahead.bits & mask, count: left }, at)
    }
}

/// Filling up with whole bytes leaves between 56 and 63 bits: these are set then, and the lower three stay.
const WHOLE_BYTES: i32 = 0b11_1000;

/// Reads ahead as many bits as fit: what is ahead then, the data as far as it may reach, and how far it was read.
#[inline(always)]
fn fill(ahead: Ahead, data: &[u8], at: usize) -> (Ahead, &[u8], usize) {
    if let Some(next) = data.get(at..at.wrapping_add(8)).and_then(<[u8]>::first_chunk::<8>) {
        let next = u64::from_be_bytes(*next);
        if !has_ff(next) && ahead.count >= 0 {
            let bits = ahead.bits | (next >> (ahead.count & 63));
            let bytes = (63 - ahead.count) >> 3;
            return (
                Ahead { bits, count: ahead.count | WHOLE_BYTES },
                data,
                at + bytes.cast_unsigned() as usize,
            );
        }
    }
    fill_bytewise(ahead, data, at)
}

/// The data is cut off at a marker, so that the fill before it is looked through once.
#[cold]
#[inline(never)]
fn fill_bytewise(mut ahead: Ahead, mut data: &[u8], mut at: usize) -> (Ahead, &[u8], usize) {
    while (0..=56).contains(&ahead.count) {
        let rest = &data[at..];
        let (byte, length) = match rest {
            [] => break,
            [0xff, ..] => match rest.iter().position(|&byte| byte != 0xff) {
                Some(at) if rest[at] == 0 => (0xff, at + 1),
                fill => {
                    work::count(fill.unwrap_or(rest.len()));
                    data = &data[..at];
                    break;
                }
            },
            [byte, ..] => (*byte, 1),
        };
        work::count(length);
        ahead.bits |= u64::from(byte) << (56 - ahead.count);
        ahead.count += 8;
        at += length;
    }
    (ahead, data, at)
}

/// A marker in a slice: where it begins, its code, and where what follows it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Marker {
    pub(super) at: usize,
    pub(super) code: u8,
    pub(super) end: usize,
}

impl Marker {
    /// Where it begins without what fills before it.
    pub(super) fn after_fill(self) -> usize {
        self.end - 2
    }
}

/// Where the bytes of 0xff at the end begin: they may fill before a marker, or before a zero, or begin a marker.
pub(super) fn before_fill(bytes: &[u8]) -> usize {
    bytes.iter().rposition(|byte| *byte != 0xff).map_or(0, |at| at + 1)
}

/// The next marker. Bytes of 0xff before a code fill, and with 0 behind them they are data.
pub(super) fn next_marker(bytes: &[u8]) -> Option<Marker> {
    let next = find_marker(bytes);
    work::count(next.map_or(bytes.len(), |marker| marker.end));
    next
}

fn find_marker(bytes: &[u8]) -> Option<Marker> {
    let mut from = 0;
    while let Some(at) = memchr::memchr(0xff, &bytes[from..]).map(|at| from + at) {
        let code = at + bytes[at..].iter().position(|byte| *byte != 0xff)?;
        if bytes[code] != 0 {
            return Some(Marker { at, code: bytes[code], end: code + 1 });
        }
        from = code + 1;
    }
    None
}

/// Does a byte of the word have all bits set?
#[inline(always)]
fn has_ff(word: u64) -> bool {
    const LOW: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = LOW << 7;
    let inverted = !word;
    inverted.wrapping_sub(LOW) & !inverted & HIGH != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stuffed_bytes_are_taken_out_and_a_marker_ends_the_bits() {
        let bytes = [0x12, 0xff, 0x00, 0x34, 0xff, 0xff, 0x00, 0x56, 0xff, 0xff, 0xd9, 0x78];
        let mut bits = Bits::new(Ahead::default(), &bytes, 0);
        let read: Vec<_> = (0..5).map(|_| bits.take(8)).collect();
        assert_eq!(read, [0x12, 0xff, 0x34, 0xff, 0x56]);
        assert!(!bits.overdrawn());
        assert_eq!(bits.rest().1, 8, "stands before the marker");
        bits.take(1);
        assert!(bits.overdrawn());
    }

    #[test]
    fn a_window_ends_anywhere() {
        let bytes: Vec<u8> = (0..200).collect();
        for split in 0..bytes.len() {
            let mut bits = Bits::new(Ahead::default(), &bytes[..split], 0);
            let whole = split.saturating_sub(8);
            let first: Vec<_> = (0..whole).map(|_| bits.take(8)).collect();
            let (ahead, at) = bits.rest();
            let mut bits = Bits::new(ahead, &bytes, at);
            let second: Vec<_> = (whole..bytes.len()).map(|_| bits.take(8)).collect();
            let read: Vec<_> = first.into_iter().chain(second).collect();
            assert!(read.iter().zip(&bytes).all(|(read, byte)| *read == u32::from(*byte)), "{split}");
        }
    }

    #[test]
    fn what_was_read_ahead_is_given_back() {
        let bytes =
            [0x12, 0xff, 0x00, 0x34, 0xff, 0xff, 0x00, 0x56, 0x78, 0x9a, 0xbc, 0xde, 0xf0, 0xff, 0x00, 0x01];
        let begins = [0, 1, 3, 4, 7, 8, 9, 10, 11, 12, 13, 15];
        for (read, begin) in begins.into_iter().enumerate() {
            let mut bits = Bits::new(Ahead::default(), &bytes, 0);
            for _ in 0..read {
                bits.take(8);
            }
            assert_eq!(bits.unread().1, begin, "{read} bytes");
        }
    }

    #[test]
    fn what_is_no_longer_in_the_window_is_not_given_back() {
        let ahead = Ahead { bits: u64::MAX, count: 24 };
        for (window, begin) in [(&[0xff, 0xff, 0x00][..], 0), (&[], 0), (&[0x12, 0xff, 0x00], 0)] {
            assert_eq!(Bits::new(ahead, window, window.len()).unread().1, begin, "{window:x?}");
        }
    }

    #[test]
    fn ff_is_found_wherever_it_stands() {
        for at in 0..8 {
            assert!(has_ff(0xff << (8 * at)));
            assert!(!has_ff(0xfe << (8 * at)));
        }
        assert!(!has_ff(0x0100_0180_7f01_fe00));
    }
}
