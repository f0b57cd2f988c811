//! GIF, block by block (`GIF89a` specification), and pixel by pixel through the data of every image.
//!
//! What browsers pass over is passed over here: a screen without pixels, a later image without any, a missing colour
//! table, unknown extensions, a missing trailer; and what follows a complete image and is no block ends the picture.

mod lzw;

use lzw::Lzw;

use crate::flaw::Flaw;
use crate::format::Dimensions;
use crate::parts::{Piece, next, skip};
use crate::walk::{Depth, Whole};

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
#[derive(Debug)]
pub(crate) struct Gif {
    depth: Depth,
    max_pixels: u64,
    place: Place,
    piece: Piece,
    screen: Option<Dimensions>,
    first_frame: Option<Dimensions>,
    /// A frame may be larger than the screen.
    largest_frame: Option<Dimensions>,
    /// Pixels of the image whose data is read.
    pixels: u64,
    lzw: Option<Lzw>,
}

impl Gif {
    pub(crate) fn new(depth: Depth, max_pixels: u64) -> Self {
        Self {
            depth,
            max_pixels,
            place: Place::Header,
            piece: Piece::default(),
            screen: None,
            first_frame: None,
            largest_frame: None,
            pixels: 0,
            lzw: None,
        }
    }

    /// The largest of what a decoder has to reckon with.
    pub(crate) fn largest(&self) -> Option<Dimensions> {
        [self.screen, self.largest_frame].into_iter().flatten().max_by_key(|size| size.pixels())
    }

    pub(crate) fn ended(&self) -> bool {
        matches!(self.place, Place::End)
    }

    pub(crate) fn feed(&mut self, mut bytes: &[u8]) -> Result<(), Flaw> {
        while !bytes.is_empty() && !self.ended() {
            self.place = self.step(&mut bytes)?;
        }
        Ok(())
    }

    pub(crate) fn finish(&mut self) -> Result<Whole, Flaw> {
        let dimensions = self.screen.or(self.first_frame);
        let dimensions = dimensions.ok_or_else(|| Flaw::truncated("it breaks off before its first image"))?;
        let complete = match &self.place {
            Place::End => return Ok(Whole { dimensions, ends: true }),
            Place::Block => self.first_frame.is_some(),
            // the last pixel has come, and nothing after it
            Place::SubBlock => self.lzw.as_ref().is_some_and(Lzw::is_full),
            _ => false,
        };
        if complete {
            return Ok(Whole { dimensions, ends: false });
        }
        Err(Flaw::truncated("it breaks off in an image of the GIF, or between two"))
    }

    /// Takes one step. There is at least one byte to take it with.
    fn step(&mut self, bytes: &mut &[u8]) -> Result<Place, Flaw> {
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
            Place::CodeSize => self.code_size(next(bytes))?,
            Place::SubBlock => match next(bytes) {
                0 => self.end_of_data()?,
                length => Place::InSubBlock(usize::from(length)),
            },
            Place::InSubBlock(left) => self.data(bytes, left)?,
            Place::End => Place::End,
        })
    }

    fn header(&mut self, header: &[u8]) -> Result<Place, Flaw> {
        self.screen = Dimensions::new(number(header, 6), number(header, 8));
        self.screen.map(|screen| screen.within(self.max_pixels)).transpose()?;
        Ok(colours(header[10], false))
    }

    fn block(&mut self, introducer: u8) -> Result<Place, Flaw> {
        match introducer {
            IMAGE => Ok(Place::Image),
            EXTENSION => Ok(Place::ExtensionLabel),
            TRAILER if self.first_frame.is_some() => Ok(Place::End),
            TRAILER => Err(Flaw::damaged("it ends without any picture data")),
            // some encoders write more than one terminator
            0 => Ok(Place::Block),
            // browsers take the picture to end here
            _ if self.first_frame.is_some() => Ok(Place::End),
            _ => Err(Flaw::damaged("what should be a block of the GIF is none")),
        }
    }

    fn image(&mut self, descriptor: &[u8]) -> Result<Place, Flaw> {
        let frame = Dimensions::new(number(descriptor, 4), number(descriptor, 6));
        if frame.is_none() && self.first_frame.is_none() {
            return Err(Flaw::damaged("its first image has no pixels"));
        }
        frame.map(|frame| frame.within(self.max_pixels)).transpose()?;
        self.first_frame = self.first_frame.or(frame);
        self.pixels = frame.map_or(0, Dimensions::pixels);
        self.largest_frame =
            [self.largest_frame, frame].into_iter().flatten().max_by_key(|size| size.pixels());
        Ok(colours(descriptor[8], true))
    }

    fn code_size(&mut self, size: u8) -> Result<Place, Flaw> {
        if !(1..=11).contains(&size) {
            return Err(Flaw::damaged("an image of the GIF has an impossible code size"));
        }
        if self.depth == Depth::Decode {
            self.lzw = Some(Lzw::new(size, self.pixels));
        }
        Ok(Place::SubBlock)
    }

    fn data(&mut self, bytes: &mut &[u8], mut left: usize) -> Result<Place, Flaw> {
        let before = *bytes;
        let done = skip(bytes, &mut left);
        if let Some(lzw) = &mut self.lzw {
            lzw.feed(&before[..before.len() - bytes.len()])?;
        }
        Ok(if done { Place::SubBlock } else { Place::InSubBlock(left) })
    }

    /// The sub-blocks of an image, or of an extension, are over.
    fn end_of_data(&mut self) -> Result<Place, Flaw> {
        match self.lzw.take() {
            Some(lzw) if !lzw.is_full() => {
                Err(Flaw::damaged(format!("an image of the GIF has {} pixels too few", lzw.wanted())))
            }
            _ => Ok(Place::Block),
        }
    }
}

fn number(bytes: &[u8], at: usize) -> u32 {
    u32::from(u16::from_le_bytes([bytes[at], bytes[at + 1]]))
}

/// What follows a packed field: a colour table, if its highest bit says so.
fn colours(packed: u8, image: bool) -> Place {
    match (packed & 0x80 != 0, image) {
        (true, _) => Place::Colours { left: 3 << ((packed & 7) + 1), image },
        (false, true) => Place::CodeSize,
        (false, false) => Place::Block,
    }
}
