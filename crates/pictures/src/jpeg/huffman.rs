//! Huffman tables (T.81 annex C), made for passing over coefficients rather than for decoding them.

#![expect(
    clippy::inline_always,
    reason = "the loop over coefficients has to stay in registers; see benches/walk.rs"
)]

use super::bits::Bits;
use crate::flaw::Flaw;
use crate::work;

/// Codes of up to so many bits are looked up in one step.
const FAST: u32 = 11;
const ENTRIES: usize = 1 << FAST;

/// The longest code.
const LONGEST: usize = 16;

/// A code that stands for nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NoSuchCode;

/// The codes of a table, as a file defines them.
#[derive(Debug)]
pub(super) struct Codes {
    /// How many there are of each length.
    counts: [u8; LONGEST],
    /// What they stand for, in the order of the codes.
    symbols: Vec<u8>,
}

impl Codes {
    /// From the number of codes of each length, and as many symbols.
    ///
    /// # Errors
    /// When there are more codes of a length than fit.
    pub(super) fn new(counts: [u8; LONGEST], symbols: &[u8]) -> Result<Self, Flaw> {
        let mut code = 0u32;
        for (length, count) in (1..).zip(counts) {
            code += u32::from(count);
            // no code consists of ones alone
            if code >= 1 << length {
                return Err(Flaw::damaged("a Huffman table of the JPEG has more codes than there can be"));
            }
            code <<= 1;
        }
        Ok(Self { counts, symbols: symbols.to_vec() })
    }

    /// A table of DC differences holds nothing but sizes of up to 15 bits.
    pub(super) fn fits_dc(&self) -> bool {
        self.symbols.iter().all(|symbol| *symbol <= 15)
    }
}

/// A table of codes, to look them up in.
#[derive(Debug)]
pub(super) struct Table {
    /// For each beginning of [`FAST`] bits, the length of its code and the symbol; 0: the code is longer.
    short: Box<[u16; ENTRIES]>,
    /// As `short`, for one or two coefficients that are passed over at once.
    skips: Box<[Skip; ENTRIES]>,
    /// For each length the first code that is longer, with all 16 bits; then how to find the symbol.
    ends: [u32; LONGEST + 1],
    offsets: [i32; LONGEST + 1],
    symbols: Vec<u8>,
}

/// One or two coefficients that are passed over: bits of codes and values (0 to 7), how far they bring us in the block (8
/// to 15), how far the first of two does (16 to 23), and whether the last one has a value (24).
#[derive(Debug, Clone, Copy)]
pub(super) struct Skip(u32);

impl Skip {
    /// Further than the end of the block.
    pub(super) const END: u32 = 128;
    /// A code that is too long to be looked up: it brings us nowhere, and further than any other.
    const LONG: Self = Self(255 << 8);
    const HAS_VALUE: u32 = 1 << 24;

    /// A symbol of an AC table in a sequential scan: a run of zeros, and the size of the value after it.
    fn new(length: u32, symbol: u8) -> Self {
        let (run, size) = (u32::from(symbol >> 4), u32::from(symbol & 15));
        let advance = match (run, size) {
            (15, 0) => 16,
            (_, 0) => Self::END,
            _ => run + 1,
        };
        Self((length + size) | (advance << 8) | if size > 0 { Self::HAS_VALUE } else { 0 })
    }

    /// This one and another one after it.
    fn and(self, second: Self) -> Self {
        let (first, whole) = (self.advance(), self.advance() + second.advance());
        Self((self.bits() + second.bits()) | (whole << 8) | (first << 16) | (second.0 & Self::HAS_VALUE))
    }

    #[inline(always)]
    pub(super) fn bits(self) -> u32 {
        self.0 & 0xff
    }

    #[inline(always)]
    pub(super) fn advance(self) -> u32 {
        self.0 >> 8 & 0xff
    }

    /// How far the first of two brings us; 0: there is only one.
    pub(super) fn first_advance(self) -> u32 {
        self.0 >> 16 & 0xff
    }

    pub(super) fn is_long(self) -> bool {
        self.0 == Self::LONG.0
    }

    /// The last one writes a coefficient.
    pub(super) fn has_value(self) -> bool {
        self.0 & Self::HAS_VALUE != 0
    }
}

impl Table {
    /// A table of these codes: some 12 KB, and as much work to make it.
    pub(super) fn new(codes: &Codes) -> Self {
        let mut table = Self {
            short: Box::new([0; ENTRIES]),
            skips: Box::new([Skip::LONG; ENTRIES]),
            ends: [0; LONGEST + 1],
            offsets: [0; LONGEST + 1],
            symbols: codes.symbols.clone(),
        };
        let (mut code, mut index) = (0u32, 0usize);
        for (length, count) in (1usize..).zip(codes.counts.map(u32::from)) {
            let bits = u32::try_from(length).unwrap_or_default();
            table.offsets[length] = i32::try_from(index).unwrap_or_default() - code.cast_signed();
            for symbol in codes.symbols.iter().skip(index).take(count as usize) {
                table.insert(bits, code, *symbol);
                code += 1;
            }
            index += count as usize;
            table.ends[length] = code << (LONGEST - length);
            code <<= 1;
        }
        table.fill_skips();
        work::count(ENTRIES);
        table
    }

    fn insert(&mut self, length: u32, code: u32, symbol: u8) {
        if length > FAST || code >= 1 << length {
            return;
        }
        let (first, span) = ((code << (FAST - length)) as usize, 1 << (FAST - length));
        self.short[first..first + span]
            .fill(u16::try_from(length << 8).unwrap_or_default() | u16::from(symbol));
    }

    /// Two coefficients are passed over at once where the second one's code lies within the bits that are looked up.
    fn fill_skips(&mut self) {
        let single = |entry: u16| Skip::new(u32::from(entry >> 8), entry.to_le_bytes()[0]);
        for (index, entry) in self.short.iter().enumerate().filter(|(_, entry)| **entry != 0) {
            let first = single(*entry);
            let next = self.short[(index << first.bits().min(FAST)) & (ENTRIES - 1)];
            let whole = next != 0 && first.bits() + u32::from(next >> 8) <= FAST;
            let two = whole && first.advance() < Skip::END;
            self.skips[index] = if two { first.and(single(next)) } else { first };
        }
    }

    /// What zeros stand for.
    pub(super) fn zeros(&self) -> Option<u8> {
        self.code(0).ok().map(|(_, symbol)| symbol)
    }

    /// Takes a code; gives its symbol.
    #[inline(always)]
    pub(super) fn symbol(&self, bits: &mut Bits<'_>) -> Result<u8, NoSuchCode> {
        let (length, symbol) = self.code(bits.peek())?;
        bits.skip(length);
        Ok(symbol)
    }

    /// What is passed over next, of an AC table in a sequential scan: one or two coefficients, or none when the code is too
    /// long to be looked up.
    #[inline(always)]
    pub(super) fn coefficients(&self, ahead: u64) -> Skip {
        self.skips[(ahead >> (64 - FAST)) as usize]
    }

    /// As above: one coefficient.
    pub(super) fn coefficient(&self, peek: u64) -> Result<Skip, NoSuchCode> {
        self.code(peek).map(|(length, symbol)| Skip::new(length, symbol))
    }

    #[inline(always)]
    fn code(&self, peek: u64) -> Result<(u32, u8), NoSuchCode> {
        let entry = self.short[(peek >> (64 - FAST)) as usize];
        if entry != 0 { Ok((u32::from(entry >> 8), entry.to_le_bytes()[0])) } else { self.long_code(peek) }
    }

    #[cold]
    #[inline(never)]
    fn long_code(&self, peek: u64) -> Result<(u32, u8), NoSuchCode> {
        let code = (peek >> 48) as u32;
        let length =
            (FAST as usize + 1..=LONGEST).find(|&length| code < self.ends[length]).ok_or(NoSuchCode)?;
        let index = (code >> (LONGEST - length)).cast_signed() + self.offsets[length];
        let symbol = usize::try_from(index).ok().and_then(|index| self.symbols.get(index));
        let length = u32::try_from(length).unwrap_or_default();
        symbol.map(|symbol| (length, *symbol)).ok_or(NoSuchCode)
    }
}

/// The tables of T.81 K.3, which frames of motion JPEG leave out: luminance, then chrominance.
pub(super) mod standard {
    use super::{Codes, Table};

    pub(in crate::jpeg) fn dc(number: usize) -> Option<Table> {
        let counts: [u8; 16] = match number {
            0 => [0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0],
            1 => [0, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0],
            _ => return None,
        };
        table(counts, &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11])
    }

    pub(in crate::jpeg) fn ac(number: usize) -> Option<Table> {
        let (counts, symbols): ([u8; 16], &[u8]) = match number {
            0 => ([0, 2, 1, 3, 3, 2, 4, 3, 5, 5, 4, 4, 0, 0, 1, 0x7d], LUMINANCE),
            1 => ([0, 2, 1, 2, 4, 4, 3, 4, 7, 5, 4, 4, 0, 1, 2, 0x77], CHROMINANCE),
            _ => return None,
        };
        table(counts, symbols)
    }

    fn table(counts: [u8; 16], symbols: &[u8]) -> Option<Table> {
        Codes::new(counts, symbols).ok().map(|codes| Table::new(&codes))
    }

    #[rustfmt::skip]
    const LUMINANCE: &[u8] = &[
        0x01, 0x02, 0x03, 0x00, 0x04, 0x11, 0x05, 0x12, 0x21, 0x31, 0x41, 0x06, 0x13, 0x51, 0x61, 0x07,
        0x22, 0x71, 0x14, 0x32, 0x81, 0x91, 0xa1, 0x08, 0x23, 0x42, 0xb1, 0xc1, 0x15, 0x52, 0xd1, 0xf0,
        0x24, 0x33, 0x62, 0x72, 0x82, 0x09, 0x0a, 0x16, 0x17, 0x18, 0x19, 0x1a, 0x25, 0x26, 0x27, 0x28,
        0x29, 0x2a, 0x34, 0x35, 0x36, 0x37, 0x38, 0x39, 0x3a, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49,
        0x4a, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58, 0x59, 0x5a, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69,
        0x6a, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7a, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89,
        0x8a, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9a, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7,
        0xa8, 0xa9, 0xaa, 0xb2, 0xb3, 0xb4, 0xb5, 0xb6, 0xb7, 0xb8, 0xb9, 0xba, 0xc2, 0xc3, 0xc4, 0xc5,
        0xc6, 0xc7, 0xc8, 0xc9, 0xca, 0xd2, 0xd3, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8, 0xd9, 0xda, 0xe1, 0xe2,
        0xe3, 0xe4, 0xe5, 0xe6, 0xe7, 0xe8, 0xe9, 0xea, 0xf1, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8,
        0xf9, 0xfa,
    ];

    #[rustfmt::skip]
    const CHROMINANCE: &[u8] = &[
        0x00, 0x01, 0x02, 0x03, 0x11, 0x04, 0x05, 0x21, 0x31, 0x06, 0x12, 0x41, 0x51, 0x07, 0x61, 0x71,
        0x13, 0x22, 0x32, 0x81, 0x08, 0x14, 0x42, 0x91, 0xa1, 0xb1, 0xc1, 0x09, 0x23, 0x33, 0x52, 0xf0,
        0x15, 0x62, 0x72, 0xd1, 0x0a, 0x16, 0x24, 0x34, 0xe1, 0x25, 0xf1, 0x17, 0x18, 0x19, 0x1a, 0x26,
        0x27, 0x28, 0x29, 0x2a, 0x35, 0x36, 0x37, 0x38, 0x39, 0x3a, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48,
        0x49, 0x4a, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58, 0x59, 0x5a, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68,
        0x69, 0x6a, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7a, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87,
        0x88, 0x89, 0x8a, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9a, 0xa2, 0xa3, 0xa4, 0xa5,
        0xa6, 0xa7, 0xa8, 0xa9, 0xaa, 0xb2, 0xb3, 0xb4, 0xb5, 0xb6, 0xb7, 0xb8, 0xb9, 0xba, 0xc2, 0xc3,
        0xc4, 0xc5, 0xc6, 0xc7, 0xc8, 0xc9, 0xca, 0xd2, 0xd3, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8, 0xd9, 0xda,
        0xe2, 0xe3, 0xe4, 0xe5, 0xe6, 0xe7, 0xe8, 0xe9, 0xea, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8,
        0xf9, 0xfa,
    ];
}
