//! PNG, chunk by chunk with its CRC (W3C PNG, chapter 5), to IEND.

use super::walk::{Flaw, Piece, dimensions};
use crate::domain::image::Dimensions;

const SIGNATURE: [u8; 8] = *b"\x89PNG\r\n\x1a\n";
/// Chunk lengths are 31-bit numbers.
const LONGEST_CHUNK: usize = (1 << 31) - 1;
const IHDR_LENGTH: usize = 13;

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

/// A walk through a PNG.
#[derive(Debug, Default)]
pub(super) struct Png {
    place: Place,
    piece: Piece,
    crc: crc32fast::Hasher,
    header: Vec<u8>,
    dimensions: Option<Dimensions>,
    has_data: bool,
}

impl Png {
    pub(super) fn dimensions(&self) -> Option<Dimensions> {
        self.dimensions
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
            Place::Signature => match self.piece.take(bytes, SIGNATURE.len()) {
                Some(start) if start == SIGNATURE => Place::ChunkHead,
                Some(_) => {
                    return Err(Flaw::damaged(
                        "its PNG signature was altered on the way (text-mode transfer?)",
                    ));
                }
                None => Place::Signature,
            },
            Place::ChunkHead => match self.piece.take(bytes, 8) {
                Some(head) => self.chunk(&head)?,
                None => Place::ChunkHead,
            },
            Place::Data { kind, left } => self.data(bytes, kind, left),
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
        let first = self.dimensions.is_none();
        if first != (kind == *b"IHDR") || (first && length != IHDR_LENGTH) {
            return Err(Flaw::damaged("its PNG header (IHDR) is missing, double or of the wrong length"));
        }
        self.crc = crc32fast::Hasher::new();
        self.crc.update(&kind);
        Ok(match length {
            0 => Place::Crc(kind),
            left => Place::Data { kind, left },
        })
    }

    fn data(&mut self, bytes: &mut &[u8], kind: [u8; 4], left: usize) -> Place {
        let (data, rest) = bytes.split_at(left.min(bytes.len()));
        self.crc.update(data);
        if kind == *b"IHDR" {
            self.header.extend_from_slice(data);
        }
        *bytes = rest;
        match left - data.len() {
            0 => Place::Crc(kind),
            left => Place::Data { kind, left },
        }
    }

    fn end_of_chunk(&mut self, kind: [u8; 4], crc: &[u8]) -> Result<Place, Flaw> {
        if std::mem::take(&mut self.crc).finalize().to_be_bytes() != crc {
            let name = String::from_utf8_lossy(&kind).into_owned();
            return Err(Flaw::damaged(format!("the checksum of its {name} chunk is wrong")));
        }
        match &kind {
            b"IHDR" => {
                let number =
                    |at: usize| self.header[at..at + 4].iter().fold(0, |n, byte| n << 8 | u32::from(*byte));
                self.dimensions = Some(dimensions(number(0), number(4))?);
            }
            b"IDAT" => self.has_data = true,
            b"IEND" if self.has_data => return Ok(Place::End),
            b"IEND" => return Err(Flaw::damaged("it ends without any picture data")),
            _ => {}
        }
        Ok(Place::ChunkHead)
    }
}
