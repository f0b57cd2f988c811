//! JPEG, marker by marker (ITU-T T.81, annex B), through the entropy-coded data to EOI.

use super::walk::{Flaw, Piece, dimensions, next, skip};
use crate::domain::image::Dimensions;

const SOI: u8 = 0xd8;
const EOI: u8 = 0xd9;
const SOS: u8 = 0xda;
const SOF2: u8 = 0xc2;
const TEM: u8 = 0x01;

#[derive(Debug, Default)]
enum Place {
    #[default]
    Start,
    /// Between segments.
    BeforeMarker,
    /// After 0xff.
    Marker,
    Length(u8),
    /// In a frame header: precision, height, width.
    Frame(usize),
    Segment(u8, usize),
    /// In entropy-coded data.
    Scan,
    /// After 0xff in entropy-coded data.
    ScanMarker,
    End,
}

/// A walk through a JPEG.
#[derive(Debug, Default)]
pub(super) struct Jpeg {
    place: Place,
    piece: Piece,
    dimensions: Option<Dimensions>,
    scanned: bool,
    progressive: bool,
}

impl Jpeg {
    pub(super) fn dimensions(&self) -> Option<Dimensions> {
        self.dimensions
    }

    pub(super) fn ended(&self) -> bool {
        matches!(self.place, Place::End)
    }

    /// Comes in scans, which a decoder keeps as coefficients until the last one.
    pub(super) fn progressive(&self) -> bool {
        self.progressive
    }

    /// Takes one step. There is at least one byte to take it with.
    pub(super) fn step(&mut self, bytes: &mut &[u8]) -> Result<(), Flaw> {
        self.place = self.next_place(bytes)?;
        Ok(())
    }

    fn next_place(&mut self, bytes: &mut &[u8]) -> Result<Place, Flaw> {
        Ok(match std::mem::take(&mut self.place) {
            Place::Start => match self.piece.take(bytes, 2) {
                Some(start) if start == [0xff, SOI] => Place::BeforeMarker,
                Some(_) => return Err(Flaw::damaged("it does not begin like a JPEG")),
                None => Place::Start,
            },
            Place::BeforeMarker => to_marker(bytes, Place::BeforeMarker, Place::Marker),
            Place::Scan => to_marker(bytes, Place::Scan, Place::ScanMarker),
            Place::Marker => self.marker(next(bytes))?,
            Place::ScanMarker => match next(bytes) {
                0x00 | 0xd0..=0xd7 => Place::Scan,
                0xff => Place::ScanMarker,
                code => self.marker(code)?,
            },
            Place::Length(code) => match self.piece.take(bytes, 2) {
                Some(length) => {
                    self.progressive |= code == SOF2;
                    segment(code, usize::from(u16::from_be_bytes([length[0], length[1]])))?
                }
                None => Place::Length(code),
            },
            Place::Frame(length) => match self.piece.take(bytes, 5) {
                Some(head) => self.frame(&head, length)?,
                None => Place::Frame(length),
            },
            Place::Segment(code, mut left) => match skip(bytes, &mut left) {
                true if code == SOS => Place::Scan,
                true => Place::BeforeMarker,
                false => Place::Segment(code, left),
            },
            Place::End => Place::End,
        })
    }

    fn marker(&mut self, code: u8) -> Result<Place, Flaw> {
        match code {
            0xff => Ok(Place::Marker),
            0x00 | TEM | SOI | 0xd0..=0xd7 => Ok(Place::BeforeMarker),
            EOI if self.scanned => Ok(Place::End),
            EOI => Err(Flaw::damaged("it ends without any picture data")),
            SOS if self.dimensions.is_none() => {
                Err(Flaw::damaged("picture data comes before the frame header"))
            }
            SOS => {
                self.scanned = true;
                Ok(Place::Length(code))
            }
            0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf => {
                let what =
                    "this kind of JPEG (lossless, hierarchical or arithmetic-coded) is not shown by browsers";
                Err(Flaw::Unsupported(what.into()))
            }
            _ => Ok(Place::Length(code)),
        }
    }

    fn frame(&mut self, head: &[u8], length: usize) -> Result<Place, Flaw> {
        let number = |at: usize| u32::from(u16::from_be_bytes([head[at], head[at + 1]]));
        self.dimensions = Some(dimensions(number(3), number(1))?);
        Ok(Place::Segment(0, length - head.len()))
    }
}

/// Passes over bytes up to the next 0xff.
fn to_marker(bytes: &mut &[u8], here: Place, there: Place) -> Place {
    if let Some(at) = memchr::memchr(0xff, bytes) {
        *bytes = &bytes[at + 1..];
        there
    } else {
        *bytes = &[];
        here
    }
}

fn segment(code: u8, length: usize) -> Result<Place, Flaw> {
    let content = length.checked_sub(2).ok_or_else(|| Flaw::damaged("a segment of the JPEG is too short"))?;
    match code {
        0xc0..=0xc2 if content < 6 => Err(Flaw::damaged("the frame header of the JPEG is too short")),
        0xc0..=0xc2 => Ok(Place::Frame(content)),
        // a segment without content ends at once; zero left would never be skipped from an empty rest
        _ if content == 0 && code != SOS => Ok(Place::BeforeMarker),
        _ if content == 0 => Ok(Place::Scan),
        _ => Ok(Place::Segment(code, content)),
    }
}
