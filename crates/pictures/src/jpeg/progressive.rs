//! Bands of AC coefficients of a progressive JPEG (T.81 G.1.2). To pass over a refinement one has to know which
//! coefficients are not zero: one bit each is kept, and nothing else.

use super::bits::Bits;
use super::fault::Fault;
use super::huffman::Table;
use crate::budget::{Budget, Lack, Share};
use crate::flaw::Flaw;
use crate::work;

/// Which coefficients of each block are not zero, for each component that is to be refined.
#[derive(Debug, Default)]
pub(super) struct History {
    components: [Vec<u64>; 4],
    /// The memory for all of them.
    share: Option<Share>,
}

impl History {
    /// Keeps the blocks of this component from now on. The memory for `all` blocks of the frame comes with the first
    /// component; false: there is never so much.
    ///
    /// # Errors
    /// When others have it now.
    pub(super) fn keep(
        &mut self,
        component: usize,
        blocks: u32,
        all: u64,
        budget: &Budget,
    ) -> Result<bool, Flaw> {
        if self.share.is_none() {
            match budget.take(8 * all) {
                Ok(share) => self.share = Some(share),
                Err(Lack::TooMuch) => return Ok(false),
                Err(Lack::NotNow) => return Err(Flaw::NoMemoryNow),
            }
        }
        if self.components[component].is_empty() {
            self.components[component] = vec![0; blocks as usize];
        }
        Ok(true)
    }

    fn of(&self, component: usize, block: usize) -> u64 {
        self.components[component].get(block).copied().unwrap_or_default()
    }

    /// How many of the next blocks, up to `most`, have none of these coefficients.
    fn without(&self, component: usize, from: usize, most: u32, coefficients: u64) -> u32 {
        let blocks = self.components[component].get(from..).unwrap_or_default();
        let without = (0..most).zip(blocks).take_while(|(_, block)| **block & coefficients == 0).count();
        work::count(without);
        u32::try_from(without).unwrap_or(most)
    }

    fn add(&mut self, component: usize, block: usize, coefficients: u64) {
        if let Some(block) = self.components[component].get_mut(block) {
            *block |= coefficients;
        }
    }
}

/// A band of one component in one scan.
#[derive(Debug, Clone)]
pub(super) struct Band {
    component: usize,
    start: u32,
    end: u32,
    refine: bool,
    /// So many blocks from here have no more coefficients in this band.
    blocks_without: u32,
    /// The next block.
    block: usize,
}

impl Band {
    pub(super) fn new(component: usize, (start, end): (u32, u32), refine: bool) -> Self {
        Self { component, start, end, refine, blocks_without: 0, block: 0 }
    }

    pub(super) fn restart(&mut self) {
        self.blocks_without = 0;
    }

    pub(super) fn is_refinement(&self) -> bool {
        self.refine
    }

    /// Passes over up to `most` blocks that take no bits, as they have no coefficients in this band, known or new ones;
    /// gives how many.
    #[inline]
    pub(super) fn pass_empty_blocks(&mut self, most: u32, history: &History) -> u32 {
        let most = self.blocks_without.min(most);
        let passed = match self.refine && most > 0 {
            true => history.without(self.component, self.block, most, self.band_from(self.start)),
            false => most,
        };
        self.blocks_without -= passed;
        self.block += passed as usize;
        passed
    }

    /// Passes over the next block's part.
    pub(super) fn block(
        &mut self,
        bits: &mut Bits<'_>,
        table: &Table,
        history: &mut History,
    ) -> Result<(), Fault> {
        let known = if self.refine { history.of(self.component, self.block) } else { 0 };
        let found = if self.refine { self.refinement(bits, table, known) } else { self.first(bits, table) }?;
        history.add(self.component, self.block, found);
        self.block += 1;
        Ok(())
    }

    /// The first bits: a run of zeros, the size of a value, the value.
    fn first(&mut self, bits: &mut Bits<'_>, table: &Table) -> Result<u64, Fault> {
        let (mut at, mut found) = (self.start, 0);
        if self.ends_here() {
            return Ok(found);
        }
        while at <= self.end {
            match split(table.symbol(bits)?) {
                (15, 0) => at += 16,
                (run, 0) => {
                    self.blocks_without = (1 << run) - 1 + bits.take(run);
                    break;
                }
                (run, size) => {
                    at += run;
                    if at > self.end {
                        return Err(Fault::TooMany);
                    }
                    bits.skip(size);
                    found |= 1 << at;
                    at += 1;
                }
            }
        }
        Ok(found)
    }

    /// One more bit of each coefficient that is not zero, among new ones that were zero until now.
    fn refinement(&mut self, bits: &mut Bits<'_>, table: &Table, known: u64) -> Result<u64, Fault> {
        let (mut at, mut found) = (self.start, 0);
        if self.ends_here() {
            self.correct(bits, known, at);
            return Ok(found);
        }
        while at <= self.end {
            let (zeros, is_new) = match split(table.symbol(bits)?) {
                (15, 0) => (15, false),
                (run, 0) => {
                    self.blocks_without = (1 << run) - 1 + bits.take(run);
                    self.correct(bits, known, at);
                    break;
                }
                (run, 1) => {
                    bits.take(1);
                    (run, true)
                }
                _ => return Err(Fault::NoSuchCode),
            };
            at = self.after_zeros(bits, known, at, zeros);
            if is_new && at > self.end {
                return Err(Fault::TooMany);
            }
            found |= if is_new { 1 << at } else { 0 };
            at += 1;
        }
        Ok(found)
    }

    /// Where the zero after so many zeros stands; what is not zero on the way is corrected by one bit.
    fn after_zeros(&self, bits: &mut Bits<'_>, known: u64, from: u32, zeros: u32) -> u32 {
        let mut unknown = !known & self.band_from(from);
        for _ in 0..zeros {
            unknown &= unknown.wrapping_sub(1);
        }
        let at = if unknown == 0 { self.end + 1 } else { unknown.trailing_zeros() };
        let passed = self.band_from(from) & !self.band_from(at);
        bits.skip_many((known & passed).count_ones());
        at
    }

    /// One bit for each coefficient that is not zero, from here to the end of the band.
    fn correct(&self, bits: &mut Bits<'_>, known: u64, from: u32) {
        bits.skip_many((known & self.band_from(from)).count_ones());
    }

    /// The coefficients of the band from here on, a bit each.
    fn band_from(&self, from: u32) -> u64 {
        if from > self.end { 0 } else { (u64::MAX << from) & (u64::MAX >> (63 - self.end)) }
    }

    fn ends_here(&mut self) -> bool {
        let ends = self.blocks_without > 0;
        self.blocks_without = self.blocks_without.saturating_sub(1);
        ends
    }
}

fn split(symbol: u8) -> (u32, u32) {
    (u32::from(symbol >> 4), u32::from(symbol & 15))
}
