//! The entropy-coded data of one scan: every block of it is passed over, none is decoded (T.81 annexes F and G).

#![expect(
    clippy::inline_always,
    reason = "the loop over coefficients has to stay in registers; see benches/walk.rs"
)]

use std::sync::Arc;

use super::bits::{Ahead, Bits, Marker, READ_AHEAD, before_fill, next_marker};
use super::coding::Coding;
use super::fault::Fault;
use super::frame::Frame;
use super::huffman::{Skip, Table};
use super::marker::{DHT, EOI, RST0, RST7, SOS};
use super::progressive::History;
use super::suspicion::Suspicion;
use super::tail::Tail;
use super::window::Window;
use crate::flaw::Flaw;
use crate::work;

/// A scan that is being read.
#[derive(Debug)]
pub(super) struct Scan {
    coding: Coding,
    ahead: Ahead,
    /// Units of the whole scan, and those that were read.
    units: u32,
    done: u32,
    blocks_per_unit: usize,
    /// The next block of the unit.
    block: usize,
    restart_interval: u32,
    /// Units until the next restart marker, and its number.
    to_restart: u32,
    restart: u8,
    /// After the last block of an interval.
    tail: Option<Tail>,
    suspicion: Suspicion,
    /// So many bytes were read, and perhaps only ahead: the suspicion did not see them.
    unlooked: usize,
    /// After a restart marker that stands behind the last block.
    surplus_interval: bool,
}

impl Scan {
    pub(super) fn new(
        frame: &Frame,
        components: &[usize],
        coding: Coding,
        restart_interval: u32,
    ) -> Result<Self, Flaw> {
        let (units, blocks) = frame.units(components)?;
        Ok(Self {
            coding,
            ahead: Ahead::default(),
            units,
            done: 0,
            blocks_per_unit: blocks.len(),
            block: 0,
            restart_interval,
            to_restart: restart_interval,
            restart: 0,
            tail: None,
            suspicion: Suspicion::default(),
            unlooked: 0,
            surplus_interval: false,
        })
    }

    /// Reads on in the window, from `at`, which moves to what is to be read next. True: all blocks were read, and
    /// `at` is where the next marker stands, or the end of the data.
    pub(super) fn read(&mut self, window: &mut Window<'_>, history: &mut History) -> Result<bool, Flaw> {
        loop {
            if self.tail.is_none() {
                if !self.blocks(window, history)? {
                    return Ok(false);
                }
                self.tail = Some(Tail::new(self.ahead, window.before()));
            }
            if !self.pass_tail(window) {
                return Ok(false);
            }
            self.judge_tail(next_marker(window.rest()).map(|marker| marker.code))?;
            if self.done == self.units {
                if self.begin_surplus_interval(window) {
                    continue;
                }
                let wrong = self.suspicion.verdict(&self.coding);
                return wrong.map_or(Ok(true), |what| Err(Flaw::damaged(what)));
            }
            self.restart(window)?;
        }
    }

    /// Reads blocks to the end of the interval or of the scan; true when that is reached.
    fn blocks(&mut self, window: &mut Window<'_>, history: &mut History) -> Result<bool, Flaw> {
        let mut bits = Bits::new(self.ahead, window.bytes, window.at);
        let mut whole = true;
        // all bytes that there will be of the interval are here
        let mut all_here = None;
        while whole && self.in_interval() {
            if self.pass_empty_blocks(history) {
                continue;
            }
            let read = if self.block == 0 && bits.holds_blocks(self.blocks_per_unit) {
                self.unit(&mut bits, history)
            } else {
                whole = bits.holds_blocks(1)
                    || *all_here.get_or_insert_with(|| window.last || bits.marker().is_some());
                if whole { self.next_block(&mut bits, history) } else { Ok(()) }
            };
            read.map_err(|fault| self.flaw(fault, bits.marker().is_none() && window.last))?;
        }
        let from = window.at - self.unlooked;
        (self.ahead, window.at) = if whole { bits.unread() } else { bits.rest() };
        // what was only read ahead is perhaps no coded data; with fill in it, it may begin before what was looked at
        let to = if whole { window.at } else { window.at.saturating_sub(READ_AHEAD) }.max(from);
        self.suspicion.take(&window.bytes[from..to]);
        self.unlooked = window.at.saturating_sub(to);
        Ok(whole)
    }

    fn in_interval(&self) -> bool {
        self.done < self.units && (self.restart_interval == 0 || self.to_restart > 0)
    }

    /// Blocks that have nothing in this scan take no bits.
    #[inline]
    fn pass_empty_blocks(&mut self, history: &History) -> bool {
        let Coding::Ac(band, _) = &mut self.coding else { return false };
        let left = self.units - self.done;
        let left = if self.restart_interval == 0 { left } else { left.min(self.to_restart) };
        let passed = band.pass_empty_blocks(left, history);
        self.done += passed;
        self.to_restart = self.to_restart.saturating_sub(passed);
        passed > 0
    }

    /// Reads a whole unit at once, all of whose bytes are at hand.
    #[inline]
    fn unit(&mut self, bits: &mut Bits<'_>, history: &mut History) -> Result<(), Fault> {
        let read = match &self.coding {
            Coding::Sequential(tables) => {
                // a copy stays in registers
                let mut copy = *bits;
                let read = tables.iter().try_for_each(|tables| sequential(&mut copy, tables));
                *bits = copy;
                read
            }
            _ => (0..self.blocks_per_unit)
                .try_for_each(|block| one_block(&mut self.coding, block, bits, history)),
        };
        read.map_err(|fault| certain(fault, bits))?;
        within(bits)?;
        self.next_unit();
        Ok(())
    }

    fn next_block(&mut self, bits: &mut Bits<'_>, history: &mut History) -> Result<(), Fault> {
        one_block(&mut self.coding, self.block, bits, history).map_err(|fault| certain(fault, bits))?;
        within(bits)?;
        self.block += 1;
        if self.block == self.blocks_per_unit {
            self.block = 0;
            self.next_unit();
        }
        Ok(())
    }

    #[inline]
    fn next_unit(&mut self) {
        self.done += 1;
        self.to_restart = self.to_restart.saturating_sub(1);
    }

    fn flaw(&self, fault: Fault, at_the_end: bool) -> Flaw {
        let there = u64::from(self.done) * 100 / u64::from(self.units.max(1));
        match fault {
            Fault::Ended if at_the_end => {
                Flaw::truncated(format!("only {there} % of its picture data is there"))
            }
            Fault::Ended => Flaw::damaged(format!("its picture data breaks off after {there} %")),
            Fault::NoSuchCode | Fault::TooMany => {
                Flaw::damaged(format!("its picture data makes no sense after {there} %"))
            }
        }
    }

    /// Takes the bytes up to the next marker, or the end of the file; false: it is further off.
    fn pass_tail(&mut self, window: &mut Window<'_>) -> bool {
        let rest = window.rest();
        let marker = next_marker(rest);
        let length = match marker {
            Some(marker) => marker.at,
            None if window.last => rest.len(),
            // what looks like the beginning of a marker may be one
            None => before_fill(rest),
        };
        if let Some(tail) = &mut self.tail {
            tail.take(&rest[..length]);
        }
        window.at += marker.map_or(length, Marker::after_fill);
        marker.is_some() || window.last
    }

    /// A restart marker after the last block, as some encoders write it; what stands behind it must be nothing.
    fn begin_surplus_interval(&mut self, window: &mut Window<'_>) -> bool {
        let marker = next_marker(window.rest()).filter(|_| self.restart_interval > 0);
        let Some(Marker { code: RST0..=RST7, end, .. }) = marker else {
            return false;
        };
        window.at += end;
        self.surplus_interval = true;
        self.tail = Some(Tail::new(Ahead::default(), &[]));
        true
    }

    /// After damage the last block is read too early: then what is left is picture data too.
    fn judge_tail(&mut self, marker: Option<u8>) -> Result<(), Flaw> {
        let Some(tail) = self.tail.take() else {
            return Ok(());
        };
        if self.surplus_interval && tail.is_long() {
            return Err(Flaw::damaged("its picture data holds more than the picture"));
        }
        let belongs = marker.is_some_and(|code| matches!(code, 0xd0..=0xd7 | EOI | SOS | DHT));
        let mut coding = None;
        let mut block = self.block;
        let at_the_end = marker == Some(EOI);
        let surplus = tail.is_picture_data(belongs, at_the_end, |bits| {
            let coding = coding.get_or_insert_with(|| self.coding.clone());
            let read = one_block(coding, block, bits, &mut History::default());
            let read = read.is_ok() && !bits.overdrawn();
            block = (block + 1) % self.blocks_per_unit;
            read
        });
        match surplus {
            true => Err(Flaw::damaged(
                "its picture data holds more than the picture, or zeros in place of its rows",
            )),
            false => Ok(()),
        }
    }

    /// An interval ended, and another must begin with the restart marker whose turn it is.
    fn restart(&mut self, window: &mut Window<'_>) -> Result<(), Flaw> {
        let Some(Marker { code, end, .. }) = next_marker(window.rest()) else {
            return Err(self.flaw(Fault::Ended, true));
        };
        if code != RST0 + self.restart {
            return Err(match code {
                RST0..=RST7 => {
                    Flaw::damaged("a part of its picture data is missing (restart markers out of order)")
                }
                _ => self.flaw(Fault::Ended, false),
            });
        }
        window.at += end;
        self.restart = (self.restart + 1) % 8;
        self.to_restart = self.restart_interval;
        self.ahead = Ahead::default();
        self.suspicion.interval();
        if let Coding::Ac(band, _) = &mut self.coding {
            band.restart();
        }
        Ok(())
    }
}

#[inline]
fn one_block(
    coding: &mut Coding,
    block: usize,
    bits: &mut Bits<'_>,
    history: &mut History,
) -> Result<(), Fault> {
    work::count(1);
    match coding {
        Coding::Sequential(tables) => sequential(bits, &tables[block]),
        Coding::DcFirst(tables) => dc_difference(bits, &tables[block]),
        Coding::DcRefine => {
            bits.take(1);
            Ok(())
        }
        Coding::Ac(band, table) => band.block(bits, table, history),
    }
}

/// What was read lies within the data.
#[inline]
fn within(bits: &Bits<'_>) -> Result<(), Fault> {
    if bits.overdrawn() { Err(Fault::Ended) } else { Ok(()) }
}

/// Behind the end of the data there are zeros, which may look like anything.
#[cold]
fn certain(fault: Fault, bits: &mut Bits<'_>) -> Fault {
    let ended = bits.overdrawn() || (fault == Fault::NoSuchCode && bits.nearly_empty());
    if ended { Fault::Ended } else { fault }
}

#[inline(always)]
fn dc_difference(bits: &mut Bits<'_>, table: &Table) -> Result<(), Fault> {
    bits.refill();
    let size = table.symbol(bits)?;
    bits.skip(u32::from(size));
    Ok(())
}

/// All coefficients of a block. After a refill there are bits for two steps, of up to 26 bits each.
#[inline(always)]
fn sequential(bits: &mut Bits<'_>, (dc, ac): &(Arc<Table>, Arc<Table>)) -> Result<(), Fault> {
    dc_difference(bits, dc)?;
    let mut at = 1;
    while at < 64 {
        bits.refill();
        let skip = ac.coefficients(bits.ahead());
        let next = at + skip.advance();
        if next > 63 {
            let (length, next) = last_step(bits.ahead(), ac, at, skip)?;
            bits.skip(length);
            at = next;
            continue;
        }
        bits.skip(skip.bits());
        let skip = ac.coefficients(bits.ahead());
        let second = next + skip.advance();
        if second > 63 {
            // perhaps a long code: with bits enough
            at = next;
            continue;
        }
        bits.skip(skip.bits());
        at = second;
    }
    Ok(())
}

/// A step that may end the block: with the first of two coefficients or the second one, or a code that is too long to
/// be looked up.
#[inline(always)]
fn last_step(ahead: u64, ac: &Table, at: u32, mut skip: Skip) -> Result<(u32, u32), Fault> {
    if skip.is_long() || at + skip.first_advance() > 63 {
        skip = ac.coefficient(ahead)?;
    }
    let next = at + skip.advance();
    // a coefficient must lie within the block; zeros may reach beyond it
    if next > 64 && next < Skip::END && skip.has_value() {
        Err(Fault::TooMany)
    } else {
        Ok((skip.bits(), next))
    }
}
