//! GIF, block by block (`GIF89a` specification), to the trailer.

use super::walk::{Flaw, Piece, dimensions, next, skip};
use crate::domain::image::Dimensions;

const HEADER: usize = 6 + 7;
const IMAGE_DESCRIPTOR: usize = 9;
const IMAGE: u8 = 0x2c;
const EXTENSION: u8 = 0x21;
const TRAILER: u8 = 0x3b;

#[derive(Debug, Default)]
enum Place {
    #[default]
    Header,
    Block,
    ExtensionLabel,
    Image,
    /// In a colour table; a table of an image is followed by its data, the global one by a block.
    Colours {
        left: usize,
        image: bool,
    },
    CodeSize,
    SubBlock,
    InSubBlock(usize),
    End,
}

/// A walk through a GIF.
#[derive(Debug, Default)]
pub(super) struct Gif {
    place: Place,
    piece: Piece,
    dimensions: Option<Dimensions>,
    /// A frame may be larger than the screen.
    largest_frame: Option<Dimensions>,
    has_image: bool,
}

impl Gif {
    pub(super) fn dimensions(&self) -> Option<Dimensions> {
        self.dimensions
    }

    /// The size that a decoder has to reckon with.
    pub(super) fn largest(&self) -> Option<Dimensions> {
        [self.dimensions, self.largest_frame].into_iter().flatten().max_by_key(|size| size.pixels())
    }

    pub(super) fn ended(&self) -> bool {
        matches!(self.place, Place::End)
    }

    /// Takes one step. There is at least one byte to take it with.
    pub(super) fn step(&mut self, bytes: &mut &[u8]) -> Result<(), Flaw> {
        self.place = self.next_place(bytes)?;
        Ok(())
    }

    fn next_place(&mut self, bytes: &mut &[u8]) -> Result<Place, Flaw> {
        Ok(match std::mem::take(&mut self.place) {
            Place::Header => match self.piece.take(bytes, HEADER) {
                Some(header) => self.header(&header)?,
                None => Place::Header,
            },
            Place::Block => self.block(next(bytes))?,
            Place::ExtensionLabel => {
                next(bytes);
                Place::SubBlock
            }
            Place::Image => match self.piece.take(bytes, IMAGE_DESCRIPTOR) {
                Some(descriptor) => self.image(&descriptor)?,
                None => Place::Image,
            },
            Place::Colours { mut left, image } => match (skip(bytes, &mut left), image) {
                (true, true) => Place::CodeSize,
                (true, false) => Place::Block,
                (false, _) => Place::Colours { left, image },
            },
            Place::CodeSize => match next(bytes) {
                1..=11 => Place::SubBlock,
                _ => return Err(Flaw::damaged("an image of the GIF has an impossible code size")),
            },
            Place::SubBlock => match next(bytes) {
                0 => Place::Block,
                length => Place::InSubBlock(usize::from(length)),
            },
            Place::InSubBlock(mut left) => match skip(bytes, &mut left) {
                true => Place::SubBlock,
                false => Place::InSubBlock(left),
            },
            Place::End => Place::End,
        })
    }

    fn header(&mut self, header: &[u8]) -> Result<Place, Flaw> {
        let number = |at: usize| u32::from(u16::from_le_bytes([header[at], header[at + 1]]));
        self.dimensions = Some(dimensions(number(6), number(8))?);
        Ok(colours(header[10], false))
    }

    fn block(&mut self, introducer: u8) -> Result<Place, Flaw> {
        match introducer {
            IMAGE => Ok(Place::Image),
            EXTENSION => Ok(Place::ExtensionLabel),
            TRAILER if self.has_image => Ok(Place::End),
            TRAILER => Err(Flaw::damaged("it ends without any picture data")),
            // some encoders write more than one terminator
            0 => Ok(Place::Block),
            _ => Err(Flaw::damaged("what should be a block of the GIF is none")),
        }
    }

    fn image(&mut self, descriptor: &[u8]) -> Result<Place, Flaw> {
        let number = |at: usize| u32::from(u16::from_le_bytes([descriptor[at], descriptor[at + 1]]));
        let frame = dimensions(number(4), number(6))?;
        if self.largest_frame.is_none_or(|largest| largest.pixels() < frame.pixels()) {
            self.largest_frame = Some(frame);
        }
        self.has_image = true;
        Ok(colours(descriptor[8], true))
    }
}

/// What follows a packed field: a colour table, if its highest bit says so.
fn colours(packed: u8, image: bool) -> Place {
    match (packed & 0x80 != 0, image) {
        (true, _) => Place::Colours { left: 3 << ((packed & 7) + 1), image },
        (false, true) => Place::CodeSize,
        (false, false) => Place::Block,
    }
}
