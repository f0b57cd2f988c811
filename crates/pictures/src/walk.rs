//! A walk through a file of one format, in portions of any size and in little memory.

use crate::budget::Budget;
use crate::flaw::Flaw;
use crate::format::{Dimensions, Format};
use crate::gif::Gif;
use crate::jpeg::Jpeg;
use crate::png::Png;

/// How thoroughly a file is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Markers, chunks and blocks, to the end.
    Structure,
    /// All coded data: every block of a JPEG, every row of a PNG, every frame of a GIF or APNG.
    Decode,
}

/// A file that has all of its picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Whole {
    /// Its size.
    pub dimensions: Dimensions,
    /// It has its end marker too. Without one it is shown all the same, but perhaps more is to come.
    pub ends: bool,
}

/// A walk through one file.
#[derive(Debug)]
pub struct Walk {
    format: FormatWalk,
}

#[derive(Debug)]
enum FormatWalk {
    Jpeg(Box<Jpeg>),
    Png(Box<Png>),
    Gif(Box<Gif>),
}

impl Walk {
    /// A walk through a file of this format. Memory for more than a few kilobytes comes out of the budget.
    pub fn new(format: Format, depth: Depth, max_pixels: u64, budget: &Budget) -> Self {
        let format = match format {
            Format::Jpeg => FormatWalk::Jpeg(Box::new(Jpeg::new(depth, max_pixels, budget.clone()))),
            Format::Png => FormatWalk::Png(Box::new(Png::new(depth, max_pixels))),
            Format::Gif => FormatWalk::Gif(Box::new(Gif::new(depth, max_pixels))),
        };
        Self { format }
    }

    /// Takes the next bytes. What comes after the picture's end is passed over: phones add data there.
    ///
    /// # Errors
    /// The first thing that is wrong; the walk is over then.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<(), Flaw> {
        if self.ended() {
            return Ok(());
        }
        match &mut self.format {
            FormatWalk::Jpeg(walk) => walk.feed(bytes),
            FormatWalk::Png(walk) => walk.feed(bytes),
            FormatWalk::Gif(walk) => walk.feed(bytes),
        }
    }

    /// The file has no more bytes: was that its end?
    ///
    /// # Errors
    /// When something of the picture is missing.
    pub fn finish(&mut self) -> Result<Whole, Flaw> {
        match &mut self.format {
            FormatWalk::Jpeg(walk) => walk.finish(),
            FormatWalk::Png(walk) => walk.finish(),
            FormatWalk::Gif(walk) => walk.finish(),
        }
    }

    fn ended(&self) -> bool {
        match &self.format {
            FormatWalk::Jpeg(walk) => walk.ended(),
            FormatWalk::Png(walk) => walk.ended(),
            FormatWalk::Gif(walk) => walk.ended(),
        }
    }

    /// How many bytes a decoder of the `image` crate holds at its peak, for the first picture of a file that was walked
    /// through. `None`: it does not handle such a file.
    pub fn decoding_cost(&self) -> Option<u64> {
        match &self.format {
            FormatWalk::Jpeg(walk) => walk.decoding_cost(),
            // four samples, of 16 bits at most
            FormatWalk::Png(walk) => Some(walk.dimensions()?.pixels().saturating_mul(8)),
            // a frame, and the screen that it is drawn on
            FormatWalk::Gif(walk) => Some(walk.largest()?.pixels().saturating_mul(4 + 4)),
        }
    }
}
