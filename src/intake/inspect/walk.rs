//! The structural walk: is the file whole? Decoders accept pictures that end too early, so each format is
//! walked to its own end, block by block, in pieces of any size and in constant memory.

use crate::domain::image::{Dimensions, Format};

use super::gif::Gif;
use super::jpeg::Jpeg;
use super::png::Png;

/// What is wrong with a file's bytes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// It ends before its end; perhaps it is still being copied.
    #[error("the file ends too early: {0}")]
    Truncated(String),
    /// It is broken.
    #[error("the picture is damaged: {0}")]
    Damaged(String),
    /// It is something else.
    #[error("{0}")]
    Unsupported(String),
    /// It has too many pixels.
    #[error("{0} is over images.max_pixels = {1}")]
    TooManyPixels(Dimensions, u64),
    /// Its name has another suffix.
    #[error("the name says {0}, the bytes are a {1}")]
    Mismatch(String, Format),
    /// It has too many bytes.
    #[error("{0} bytes ({mib:.1} MiB) are over images.max_bytes = {1}", mib = mib(*.0))]
    TooLarge(u64, u64),
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

impl Flaw {
    pub(super) fn damaged(what: impl Into<String>) -> Self {
        Flaw::Damaged(what.into())
    }
}

/// A walk through one file.
#[derive(Debug)]
pub(super) enum Walk {
    Jpeg(Jpeg),
    Png(Png),
    Gif(Gif),
}

impl Walk {
    pub(super) fn new(format: Format) -> Self {
        match format {
            Format::Jpeg => Walk::Jpeg(Jpeg::default()),
            Format::Png => Walk::Png(Png::default()),
            Format::Gif => Walk::Gif(Gif::default()),
        }
    }

    /// Takes the next bytes. What comes after the picture's end is passed over: phones add data there.
    pub(super) fn feed(&mut self, mut bytes: &[u8]) -> Result<(), Flaw> {
        while !bytes.is_empty() && !self.ended() {
            match self {
                Walk::Jpeg(walk) => walk.step(&mut bytes)?,
                Walk::Png(walk) => walk.step(&mut bytes)?,
                Walk::Gif(walk) => walk.step(&mut bytes)?,
            }
        }
        Ok(())
    }

    fn ended(&self) -> bool {
        match self {
            Walk::Jpeg(walk) => walk.ended(),
            Walk::Png(walk) => walk.ended(),
            Walk::Gif(walk) => walk.ended(),
        }
    }

    /// As soon as the header told them.
    pub(super) fn dimensions(&self) -> Option<Dimensions> {
        match self {
            Walk::Jpeg(walk) => walk.dimensions(),
            Walk::Png(walk) => walk.dimensions(),
            Walk::Gif(walk) => walk.dimensions(),
        }
    }

    /// How many bytes a decoder holds for each byte of pixels: beside them, the coefficients of a progressive
    /// JPEG, of two bytes each.
    pub(super) fn weight(&self) -> u64 {
        match self {
            Walk::Jpeg(walk) if walk.progressive() => 3,
            _ => 1,
        }
    }

    /// The size that a decoder has to reckon with.
    pub(super) fn largest(&self) -> Option<Dimensions> {
        match self {
            Walk::Gif(walk) => walk.largest(),
            _ => self.dimensions(),
        }
    }

    /// The file has no more bytes: was that its end?
    pub(super) fn finish(&self) -> Result<Dimensions, Flaw> {
        let wanted = match self {
            Walk::Jpeg(_) => "the end marker (EOI) of the JPEG is missing",
            Walk::Png(_) => "the last chunk (IEND) of the PNG is missing",
            Walk::Gif(_) => "the trailer of the GIF is missing",
        };
        match self.dimensions() {
            Some(dimensions) if self.ended() => Ok(dimensions),
            _ => Err(Flaw::Truncated(wanted.into())),
        }
    }
}

/// Collects a piece of known length from bytes that come in any portions.
#[derive(Debug, Default)]
pub(super) struct Piece(Vec<u8>);

impl Piece {
    /// Takes from `bytes` what is missing to `length`; gives the piece when it is whole.
    pub(super) fn take(&mut self, bytes: &mut &[u8], length: usize) -> Option<Vec<u8>> {
        let missing = length.saturating_sub(self.0.len()).min(bytes.len());
        let (head, tail) = bytes.split_at(missing);
        self.0.extend_from_slice(head);
        *bytes = tail;
        (self.0.len() == length).then(|| std::mem::take(&mut self.0))
    }
}

/// The next byte; a step is taken only while there is one.
pub(super) fn next(bytes: &mut &[u8]) -> u8 {
    let (first, rest) = bytes.split_first().map_or((0, &[][..]), |(first, rest)| (*first, rest));
    *bytes = rest;
    first
}

/// Passes over up to `left` bytes; true when none are left to pass over.
pub(super) fn skip(bytes: &mut &[u8], left: &mut usize) -> bool {
    let step = (*left).min(bytes.len());
    *bytes = &bytes[step..];
    *left -= step;
    *left == 0
}

pub(super) fn dimensions(width: u32, height: u32) -> Result<Dimensions, Flaw> {
    match (width, height) {
        (0, _) | (_, 0) => Err(Flaw::damaged("its header says that it has no pixels")),
        _ => Ok(Dimensions { width, height }),
    }
}
