//! PNG, chunk by chunk with its CRC (W3C PNG, chapter 5), and row by row through the data of every image.
//!
//! What is not needed to show the picture is passed over, also when its CRC is wrong: texts, profiles, Exif.

mod animation;
mod rows;

use animation::Animation;
use rows::{Layout, Rows};

use crate::flaw::Flaw;
use crate::format::Dimensions;
use crate::parts::Piece;
use crate::walk::{Depth, Whole};

const SIGNATURE: [u8; 8] = *b"\x89PNG\r\n\x1a\n";
/// Chunk lengths are 31-bit numbers.
const LONGEST_CHUNK: usize = (1 << 31) - 1;
const INDEXED: u8 = 3;

#[derive(Debug, Default)]
enum Place {
    #[default]
    Signature,
    ChunkHead,
    Data {
        kind: [u8; 4],
        left: usize,
    },
    Crc([u8; 4]),
    End,
}

/// The frames of an animation are unpacked as long as they have no more pixels than so many of the largest pictures that are
/// allowed: a deflated byte can stand for a thousand. Beyond that the checksums of their chunks count.
const FRAMES: u64 = 4;

/// Where the data of the still picture is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ImageData {
    ToCome,
    Coming,
    Past,
}

/// A walk through a PNG.
#[derive(Debug)]
pub(crate) struct Png {
    depth: Depth,
    max_pixels: u64,
    place: Place,
    piece: Piece,
    crc: crc32fast::Hasher,
    /// The content of a chunk that is read whole.
    content: Vec<u8>,
    header: Option<Header>,
    has_palette: bool,
    data: ImageData,
    rows: Option<Rows>,
    animation: Option<Animation>,
    /// Descriptions of frames that came before the animation's own.
    early_frames: Vec<Vec<u8>>,
}

#[derive(Debug, Clone, Copy)]
struct Header {
    dimensions: Dimensions,
    layout: Layout,
    colour_type: u8,
}

impl Png {
    pub(crate) fn new(depth: Depth, max_pixels: u64) -> Self {
        Self {
            depth,
            max_pixels,
            place: Place::Signature,
            piece: Piece::default(),
            crc: crc32fast::Hasher::new(),
            content: Vec::new(),
            header: None,
            has_palette: false,
            data: ImageData::ToCome,
            rows: None,
            animation: None,
            early_frames: Vec::new(),
        }
    }

    pub(crate) fn dimensions(&self) -> Option<Dimensions> {
        self.header.map(|header| header.dimensions)
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
        match self.dimensions().filter(|_| self.ended()) {
            Some(dimensions) => Ok(Whole { dimensions, ends: true }),
            None => Err(Flaw::truncated("the last chunk (IEND) of the PNG is missing")),
        }
    }

    /// Takes one step. There is at least one byte to take it with.
    fn step(&mut self, bytes: &mut &[u8]) -> Result<Place, Flaw> {
        Ok(match std::mem::take(&mut self.place) {
            Place::Signature => match self.piece.take(bytes, SIGNATURE.len()) {
                Some(start) if start == SIGNATURE => Place::ChunkHead,
                Some(_) => {
                    return Err(Flaw::damaged(
                        "its PNG signature was altered on the way, as by a transfer in text mode",
                    ));
                }
                None => Place::Signature,
            },
            Place::ChunkHead => match self.piece.take(bytes, 8) {
                Some(head) => self.chunk(&head)?,
                None => Place::ChunkHead,
            },
            Place::Data { kind, left } => self.chunk_data(bytes, kind, left)?,
            Place::Crc(kind) => match self.piece.take(bytes, 4) {
                Some(crc) => self.end_of_chunk(kind, &crc)?,
                None => Place::Crc(kind),
            },
            Place::End => Place::End,
        })
    }

    fn chunk(&mut self, head: &[u8]) -> Result<Place, Flaw> {
        let length = u32::from_be_bytes([head[0], head[1], head[2], head[3]]) as usize;
        let kind = [head[4], head[5], head[6], head[7]];
        if length > LONGEST_CHUNK || !kind.iter().all(u8::is_ascii_alphabetic) {
            return Err(Flaw::damaged("what should be a chunk of the PNG is none"));
        }
        self.expect(kind, length)?;
        self.crc = crc32fast::Hasher::new();
        self.crc.update(&kind);
        self.content.clear();
        Ok(match length {
            0 => Place::Crc(kind),
            left => Place::Data { kind, left },
        })
    }

    /// May a chunk of this kind stand here?
    fn expect(&mut self, kind: [u8; 4], length: usize) -> Result<(), Flaw> {
        if self.header.is_none() && kind == *b"CgBI" {
            return Err(Flaw::unsupported(
                "this is a PNG out of an iPhone app (CgBI), which browsers do not show: save the original picture instead",
            ));
        }
        if self.header.is_none() != (kind == *b"IHDR") || (kind == *b"IHDR" && length != 13) {
            return Err(Flaw::damaged("its PNG header (IHDR) is missing, double or of the wrong length"));
        }
        if self.data == ImageData::Coming && kind != *b"IDAT" {
            self.data = ImageData::Past;
            self.end_of_image()?;
        }
        let indexed = self.header.is_some_and(|header| header.colour_type == INDEXED);
        let wrong = match &kind {
            b"PLTE" if self.has_palette => "it has two palettes",
            b"PLTE" if indexed && (length == 0 || length > 768 || !length.is_multiple_of(3)) => {
                "its palette has the wrong length"
            }
            b"IDAT" if indexed && !self.has_palette => "its palette (PLTE) is missing",
            b"IDAT" if self.data == ImageData::Past => "its picture data is torn apart by another chunk",
            b"IHDR" | b"PLTE" | b"IDAT" | b"IEND" => return Ok(()),
            _ if kind[0].is_ascii_uppercase() => "it needs a part (chunk) that no browser knows",
            _ => return Ok(()),
        };
        Err(Flaw::damaged(wrong))
    }

    fn chunk_data(&mut self, bytes: &mut &[u8], kind: [u8; 4], left: usize) -> Result<Place, Flaw> {
        let (data, rest) = bytes.split_at(left.min(bytes.len()));
        *bytes = rest;
        self.crc.update(data);
        match &kind {
            b"IHDR" | b"acTL" | b"fcTL" => {
                // they are short; what is longer is none
                let room = 32usize.saturating_sub(self.content.len()).min(data.len());
                self.content.extend_from_slice(&data[..room]);
            }
            b"IDAT" => self.image_data(data)?,
            b"fdAT" => self.frame_data(data)?,
            _ => {}
        }
        Ok(match left - data.len() {
            0 => Place::Crc(kind),
            left => Place::Data { kind, left },
        })
    }

    fn image_data(&mut self, data: &[u8]) -> Result<(), Flaw> {
        if self.data == ImageData::ToCome {
            self.data = ImageData::Coming;
            self.begin_image(self.dimensions());
        }
        self.rows.as_mut().map_or(Ok(()), |rows| rows.feed(data))
    }

    /// A sequence number, then data as in IDAT.
    fn frame_data(&mut self, data: &[u8]) -> Result<(), Flaw> {
        let Some(animation) = &mut self.animation else {
            return Ok(());
        };
        let number = 4usize.saturating_sub(self.content.len()).min(data.len());
        self.content.extend_from_slice(&data[..number]);
        if self.content.len() == 4 && number > 0 {
            animation.next_number(&self.content)?;
        }
        self.rows.as_mut().map_or(Ok(()), |rows| rows.feed(&data[number..]))
    }

    fn begin_image(&mut self, size: Option<Dimensions>) {
        if self.depth == Depth::Decode
            && let (Some(header), Some(size)) = (self.header, size)
        {
            self.rows = Some(Rows::new(header.layout, size));
        }
    }

    fn end_of_image(&mut self) -> Result<(), Flaw> {
        self.rows.take().map_or(Ok(()), |mut rows| rows.finish())
    }

    fn end_of_chunk(&mut self, kind: [u8; 4], crc: &[u8]) -> Result<Place, Flaw> {
        let needed = kind[0].is_ascii_uppercase() || (self.animation.is_some() && animation::is_part(kind));
        if std::mem::take(&mut self.crc).finalize().to_be_bytes() != crc && needed {
            let name = String::from_utf8_lossy(&kind).into_owned();
            return Err(Flaw::damaged(format!("the checksum of its {name} chunk is wrong")));
        }
        match &kind {
            b"IHDR" => {
                let header = header(&self.content)?;
                header.dimensions.within(self.max_pixels)?;
                self.header = Some(header);
            }
            b"PLTE" => self.has_palette = true,
            b"acTL" if self.data == ImageData::ToCome && self.animation.is_none() => {
                self.animation = Animation::new(&self.content);
                for frame in std::mem::take(&mut self.early_frames) {
                    self.content = frame;
                    self.frame_control()?;
                }
            }
            b"fcTL" => self.frame_control()?,
            // without a byte of data, too
            b"IDAT" => self.image_data(&[])?,
            b"IEND" => return self.end(),
            _ => {}
        }
        Ok(Place::ChunkHead)
    }

    fn frame_control(&mut self) -> Result<(), Flaw> {
        let (Some(animation), Some(header)) = (&mut self.animation, self.header) else {
            // the first frame's may stand before acTL; more make no sense
            if self.early_frames.is_empty() {
                self.early_frames.push(self.content.clone());
            }
            return Ok(());
        };
        let frame = animation.frame(&self.content, header.dimensions)?;
        let is_unpacked = animation.pixels() <= self.max_pixels.saturating_mul(FRAMES);
        if self.data == ImageData::Past {
            self.end_of_image()?;
            self.begin_image(Some(frame).filter(|_| is_unpacked));
        }
        Ok(())
    }

    fn end(&mut self) -> Result<Place, Flaw> {
        self.end_of_image()?;
        if self.data == ImageData::ToCome {
            return Err(Flaw::damaged("it ends without any picture data"));
        }
        self.animation.as_ref().map_or(Ok(()), Animation::finish)?;
        Ok(Place::End)
    }
}

/// W3C PNG 11.2.1.
fn header(content: &[u8]) -> Result<Header, Flaw> {
    let wrong = || Flaw::damaged("its PNG header (IHDR) makes no sense");
    let &[w3, w2, w1, w0, h3, h2, h1, h0, depth, colour_type, 0, 0, interlace @ (0 | 1)] = content else {
        return Err(wrong());
    };
    let channels = match (colour_type, depth) {
        (0, 1 | 2 | 4 | 8 | 16) | (INDEXED, 1 | 2 | 4 | 8) => 1,
        (2, 8 | 16) => 3,
        (4, 8 | 16) => 2,
        (6, 8 | 16) => 4,
        _ => return Err(wrong()),
    };
    let (width, height) = (u32::from_be_bytes([w3, w2, w1, w0]), u32::from_be_bytes([h3, h2, h1, h0]));
    let dimensions = Dimensions::new(width, height)
        .ok_or_else(|| Flaw::damaged("its header says that it has no pixels"))?;
    let layout = Layout { bits_per_pixel: u64::from(depth) * channels, interlaced: interlace == 1 };
    Ok(Header { dimensions, layout, colour_type })
}
