//! JPEG, marker by marker (ITU-T T.81 annex B), and block by block through its coded data.
//!
//! Decoders show a picture whatever happens to its data, and fill with grey what is missing. So the data is read here
//! without decoding it: as many blocks as the frame header promises must be there, in codes that the tables have.

mod bits;
mod coding;
mod fault;
mod frame;
mod huffman;
mod marker;
mod progressive;
mod scan;
mod scan_header;
mod suspicion;
mod tables;
mod tail;
mod window;

use bits::{Marker, next_marker};
use frame::Frame;
use marker::{COM, DHT, DQT, DRI, EOI, RST0, RST7, SOF0, SOF2, SOI, SOS};
use progressive::History;
use scan::Scan;
use tables::Tables;
use window::{Buffer, Window};

use crate::budget::Budget;
use crate::flaw::Flaw;
use crate::format::Dimensions;
use crate::walk::{Depth, Whole};

const JPEG_LS: u8 = 0xf7;

/// So many scans may a picture have; no program that makes pictures writes more. A scan of a few bytes can cover all
/// blocks of the largest picture, so their number is what bounds the work.
const MAX_SCANS: u32 = 100;

/// So much of a file is looked at at a time, bytes. With the longest segment it is what is kept of the file at most.
const PORTION: usize = 64 << 10;

#[derive(Debug)]
enum Place {
    Start,
    /// Before a marker.
    Marker,
    /// In a segment that is read, of this marker and length.
    Segment(u8, usize),
    /// In a segment that is passed over.
    Skip(usize),
    Scan(Box<Scan>),
    /// In a scan that is passed over, to the next marker.
    ScanPassed,
    /// All of the picture was read: what comes is its end marker, or the trailer of a phone, which is no part of it.
    Trailer,
    End,
}

/// A walk through a JPEG.
#[derive(Debug)]
pub(crate) struct Jpeg {
    depth: Depth,
    max_pixels: u64,
    budget: Budget,
    buffer: Buffer,
    place: Place,
    tables: Tables,
    frame: Option<Frame>,
    history: History,
    scans: u32,
}

impl Jpeg {
    pub(crate) fn new(depth: Depth, max_pixels: u64, budget: Budget) -> Self {
        Self {
            depth,
            max_pixels,
            budget,
            buffer: Buffer::default(),
            place: Place::Start,
            tables: Tables::default(),
            frame: None,
            history: History::default(),
            scans: 0,
        }
    }

    pub(crate) fn dimensions(&self) -> Option<Dimensions> {
        self.frame.as_ref().map(|frame| frame.dimensions)
    }

    /// Bytes that a decoder needs: the pixels, and all coefficients of two bytes each if it has to keep them until the last
    /// scan has come. `None`: sampling factors that decoders do not handle in their usual way.
    pub(crate) fn decoding_cost(&self) -> Option<u64> {
        let frame = self.frame.as_ref().filter(|frame| frame.usual_sampling())?;
        let keeps = self.scans > 1 || frame.progressive;
        let pixels = frame.dimensions.pixels() * frame.components.len() as u64;
        Some(pixels + if keeps { frame.all_blocks() * 64 * 2 } else { 0 })
    }

    pub(crate) fn ended(&self) -> bool {
        matches!(self.place, Place::End)
    }

    /// Takes the next bytes.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Result<(), Flaw> {
        bytes.chunks(PORTION).try_for_each(|portion| {
            self.buffer.add(portion);
            self.advance(false)
        })
    }

    /// There are no more bytes: is all there?
    pub(crate) fn finish(&mut self) -> Result<Whole, Flaw> {
        self.advance(true)?;
        let ends = match &self.place {
            Place::End => true,
            Place::Trailer if self.depth == Depth::Decode => false,
            Place::Trailer | Place::ScanPassed => {
                return Err(Flaw::truncated("the end marker (EOI) of the JPEG is missing"));
            }
            Place::Scan(_) | Place::Start | Place::Skip(_) | Place::Segment(..) => {
                return Err(Flaw::truncated("it breaks off in its headers"));
            }
            Place::Marker if self.scans == 0 => {
                return Err(Flaw::truncated("there is no picture data after its headers"));
            }
            Place::Marker => return Err(Flaw::truncated("the last parts of its picture data are missing")),
        };
        let dimensions = self.dimensions().ok_or_else(|| Flaw::truncated("its frame header is missing"))?;
        Ok(Whole { dimensions, ends })
    }

    fn advance(&mut self, last: bool) -> Result<(), Flaw> {
        let buffer = std::mem::take(&mut self.buffer);
        let mut window = buffer.window(last);
        let walked = loop {
            match self.step(&mut window) {
                Ok(true) => {}
                Ok(false) => break Ok(()),
                Err(flaw) => break Err(flaw),
            }
        };
        let at = window.at;
        self.buffer = buffer;
        self.buffer.read_to(at);
        if matches!(self.place, Place::Marker | Place::Scan(_) | Place::ScanPassed) {
            self.buffer.drop_fill();
        }
        walked
    }

    /// Takes one step; false: more bytes are needed, or the picture has ended.
    fn step(&mut self, window: &mut Window<'_>) -> Result<bool, Flaw> {
        match &mut self.place {
            Place::Start => match window.take(2) {
                Some([0xff, SOI]) => self.place = Place::Marker,
                Some(_) => return Err(Flaw::damaged("it does not begin like a JPEG")),
                None => return Ok(false),
            },
            Place::Marker => return self.marker(window),
            Place::Segment(code, length) => match window.take(*length) {
                Some(segment) => {
                    let code = *code;
                    self.place = self.segment(code, segment)?;
                }
                None => return Ok(false),
            },
            Place::Skip(left) => match window.skip(*left) {
                0 => self.place = Place::Marker,
                left => {
                    self.place = Place::Skip(left);
                    return Ok(false);
                }
            },
            Place::Scan(scan) => {
                if !scan.read(window, &mut self.history)? {
                    return Ok(false);
                }
                self.place = self.after_scan(next_marker(window.rest()).map(|marker| marker.code));
            }
            Place::ScanPassed => return Ok(self.pass_scan(window)),
            Place::Trailer => return Ok(self.pass_trailer(window)),
            Place::End => return Ok(false),
        }
        Ok(true)
    }

    fn complete(&self) -> bool {
        self.frame.as_ref().is_some_and(Frame::complete)
    }

    /// When every coefficient was read, no marker but the end is believed any more.
    fn after_scan(&self, next: Option<u8>) -> Place {
        if self.complete() && next != Some(EOI) { Place::Trailer } else { Place::Marker }
    }

    fn pass_scan(&mut self, window: &mut Window<'_>) -> bool {
        let rest = window.rest();
        match next_marker(rest) {
            Some(Marker { code: RST0..=RST7, end, .. }) => window.at += end,
            Some(marker) => {
                window.at += marker.after_fill();
                self.place = self.after_scan(Some(marker.code));
            }
            None => {
                window.pass_to_fill();
                return false;
            }
        }
        true
    }

    fn pass_trailer(&mut self, window: &mut Window<'_>) -> bool {
        let rest = window.rest();
        let end = memchr::memmem::find(rest, &[0xff, EOI]);
        window.at += end.map_or(rest.len().saturating_sub(1), |at| at + 2);
        if end.is_some() {
            self.place = Place::End;
        }
        end.is_some()
    }

    /// Finds the next marker. What is before it is passed over, as libjpeg does.
    fn marker(&mut self, window: &mut Window<'_>) -> Result<bool, Flaw> {
        let Some(marker) = next_marker(window.rest()) else {
            window.pass_to_fill();
            return Ok(false);
        };
        let Marker { code, end, .. } = marker;
        let has_segment = matches!(code, SOF0..RST0 | SOS..=COM);
        if !has_segment {
            window.at += end;
            self.place = self.bare_marker(code)?;
            return Ok(true);
        }
        let Some(&[high, low]) = window.rest().get(end..end + 2) else {
            window.at += marker.after_fill();
            return Ok(false);
        };
        window.at += end + 2;
        self.place = self.begin_segment(code, usize::from(u16::from_be_bytes([high, low])))?;
        Ok(true)
    }

    fn bare_marker(&self, code: u8) -> Result<Place, Flaw> {
        match code {
            SOI => Err(Flaw::damaged("it begins a second time before it ends")),
            EOI if self.scans == 0 => Err(Flaw::damaged("it ends without any picture data")),
            EOI if self.frame.as_ref().is_some_and(|frame| frame.absent() > 0) => {
                Err(Flaw::damaged("the picture data of one of its colours is missing"))
            }
            EOI => Ok(Place::End),
            // restart markers and codes that are reserved: junk
            _ => Ok(Place::Marker),
        }
    }

    fn begin_segment(&self, code: u8, length: usize) -> Result<Place, Flaw> {
        if !matches!(code, SOF0..=SOF2 | DHT | DQT | DRI | SOS) {
            unsupported(code)?;
            return Ok(Place::Skip(length.saturating_sub(2)));
        }
        if code == SOS && self.frame.is_none() {
            return Err(Flaw::damaged("picture data comes before the frame header"));
        }
        let length =
            length.checked_sub(2).ok_or_else(|| Flaw::damaged("a segment of the JPEG is too short"))?;
        Ok(Place::Segment(code, length))
    }

    fn segment(&mut self, code: u8, segment: &[u8]) -> Result<Place, Flaw> {
        match code {
            DHT => self.tables.huffman(segment)?,
            DQT => self.tables.quantization(segment)?,
            DRI => self.tables.restart_interval(segment)?,
            SOS => return self.scan(segment),
            _ if self.frame.is_some() => return Err(Flaw::damaged("it has two frame headers")),
            _ => {
                let frame = Frame::read(code == SOF2, segment)?;
                frame.dimensions.within(self.max_pixels)?;
                self.frame = Some(frame);
            }
        }
        Ok(Place::Marker)
    }

    fn scan(&mut self, segment: &[u8]) -> Result<Place, Flaw> {
        let Some(frame) = &mut self.frame else {
            return Err(Flaw::damaged("picture data comes before the frame header"));
        };
        self.scans += 1;
        if self.scans > MAX_SCANS {
            return Err(Flaw::unsupported(format!(
                "its picture data comes in more than {MAX_SCANS} parts, which keeps programs busy for hours: open it in a \
                 picture program and save it again as an ordinary JPEG"
            )));
        }
        let header = scan_header::ScanHeader::read(segment, frame)?;
        header.note(frame)?;
        if self.depth == Depth::Structure || !header.keep_history(frame, &mut self.history, &self.budget)? {
            return Ok(Place::ScanPassed);
        }
        let coding = header.coding(frame, &self.tables)?;
        let scan = Scan::new(frame, &header.components, coding, self.tables.restart_interval)?;
        Ok(Place::Scan(Box::new(scan)))
    }
}

/// Kinds of JPEG that are sound, and that no browser shows.
fn unsupported(code: u8) -> Result<(), Flaw> {
    let kind = match code {
        0xc3 | 0xc7 | 0xcb | 0xcf => "a lossless JPEG",
        0xc5 | 0xc6 | 0xcd | 0xce => "a hierarchical JPEG",
        0xc9 | 0xca => "a JPEG with arithmetic coding",
        JPEG_LS => "a JPEG-LS picture",
        _ => return Ok(()),
    };
    Err(Flaw::unsupported(format!(
        "this is {kind}, which browsers do not show: open it in a picture program and save it again as an ordinary JPEG"
    )))
}

#[cfg(test)]
mod tests;
