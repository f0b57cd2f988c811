//! The data of a PNG image, inflated row by row (W3C PNG 7 to 10): every row must be there, with a filter that exists.

use fdeflate::Decompressor;

use crate::flaw::Flaw;
use crate::format::Dimensions;

/// The farthest that deflate looks back.
const WINDOW: usize = 32 << 10;
const OUTPUT: usize = 128 << 10;
/// So much may come after the last row, as some encoders do, and be looked at for the checksum behind it.
const MOST_SURPLUS: usize = 64 << 10;

/// How pixels are stored.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layout {
    pub(super) bits_per_pixel: u64,
    pub(super) interlaced: bool,
}

/// One image whose data comes in portions.
pub(super) struct Rows {
    inflate: Box<Decompressor>,
    output: Vec<u8>,
    filled: usize,
    /// For each pass that is still to come: bytes a row with its filter, and rows.
    passes: Vec<(u64, u64)>,
    /// Bytes that are still to come of the row that was begun.
    in_row: u64,
    /// Bytes after the last row.
    surplus: usize,
}

impl std::fmt::Debug for Rows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rows")
            .field("passes", &self.passes)
            .field("in_row", &self.in_row)
            .finish_non_exhaustive()
    }
}

impl Rows {
    pub(super) fn new(layout: Layout, size: Dimensions) -> Self {
        Self {
            inflate: Box::new(Decompressor::new()),
            output: vec![0; OUTPUT],
            filled: 0,
            passes: passes(layout, size),
            in_row: 0,
            surplus: 0,
        }
    }

    /// All rows have come.
    pub(super) fn is_full(&self) -> bool {
        self.passes.is_empty() && self.in_row == 0
    }

    /// Takes the next bytes of compressed data.
    pub(super) fn feed(&mut self, data: &[u8]) -> Result<(), Flaw> {
        self.inflate(data, false)
    }

    /// No more data comes: all rows must be there.
    pub(super) fn finish(&mut self) -> Result<(), Flaw> {
        let inflated = self.inflate(&[], true);
        if !self.is_full() {
            return inflated.and(Err(Flaw::damaged("rows of the picture are missing")));
        }
        // without its end there is no checksum, and what came last may be anything
        if self.inflate.is_done() || self.surplus >= MOST_SURPLUS { Ok(()) } else { Err(wrong()) }
    }

    fn inflate(&mut self, mut data: &[u8], last: bool) -> Result<(), Flaw> {
        while !self.inflate.is_done() && self.surplus < MOST_SURPLUS {
            let read = self.inflate.read(data, &mut self.output, self.filled, last);
            let (used, made) = read.map_err(|_| wrong())?;
            data = &data[used..];
            let from = self.filled;
            self.filled += made;
            self.count(from)?;
            self.make_room();
            if used == 0 && made == 0 {
                break;
            }
        }
        Ok(())
    }

    /// Counts rows in what was inflated since `from`. What comes after the last one is passed over.
    fn count(&mut self, mut from: usize) -> Result<(), Flaw> {
        while from < self.filled {
            if self.in_row == 0 {
                let Some((bytes, rows)) = self.passes.last_mut() else {
                    self.surplus += self.filled - from;
                    return Ok(());
                };
                if self.output[from] > 4 {
                    return Err(wrong());
                }
                self.in_row = *bytes;
                *rows -= 1;
                if *rows == 0 {
                    self.passes.pop();
                }
            }
            let step = usize::try_from(self.in_row).unwrap_or(usize::MAX).min(self.filled - from);
            from += step;
            self.in_row -= step as u64;
        }
        Ok(())
    }

    fn make_room(&mut self) {
        if self.filled > OUTPUT - WINDOW {
            let keep = self.filled - WINDOW;
            self.output.copy_within(keep..self.filled, 0);
            self.filled = WINDOW;
        }
    }
}

fn wrong() -> Flaw {
    Flaw::damaged("the picture data of the PNG makes no sense")
}

/// Bytes a row with its filter, and rows, of each pass that has pixels; the first pass last.
fn passes(layout: Layout, size: Dimensions) -> Vec<(u64, u64)> {
    let part = |length: u32, start: u32, step: u32| u64::from(length.saturating_sub(start).div_ceil(step));
    let steps: &[(u32, u32, u32, u32)] = if layout.interlaced { &PASSES } else { &[(0, 1, 0, 1)] };
    let sizes = steps
        .iter()
        .map(|&(x, step_x, y, step_y)| (part(size.width, x, step_x), part(size.height, y, step_y)));
    sizes
        .filter(|(width, height)| *width > 0 && *height > 0)
        .map(|(width, height)| (1 + (width * layout.bits_per_pixel).div_ceil(8), height))
        .rev()
        .collect()
}

/// The passes of Adam7 (W3C PNG 8.2): first column, step, first row, step.
const PASSES: [(u32, u32, u32, u32); 7] =
    [(0, 8, 0, 8), (4, 8, 0, 8), (0, 4, 4, 8), (2, 4, 0, 4), (0, 2, 2, 4), (1, 2, 0, 2), (0, 1, 1, 2)];
