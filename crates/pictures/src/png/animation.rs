//! The frames of an animated PNG (W3C PNG, third edition, 11.3.6): all of them must be there, in their order.

use crate::flaw::Flaw;
use crate::format::Dimensions;

/// What was seen of an animation.
#[derive(Debug)]
pub(super) struct Animation {
    promised: u32,
    frames: u32,
    next_number: u32,
    /// How many pixels its frames have so far.
    pixels: u64,
}

/// A chunk that animations are made of.
pub(super) fn is_part(kind: [u8; 4]) -> bool {
    matches!(&kind, b"acTL" | b"fcTL" | b"fdAT")
}

impl Animation {
    /// From the content of acTL; `None`: it makes no sense, and so the picture is a still one.
    pub(super) fn new(content: &[u8]) -> Option<Self> {
        let possible = 1..1 << 31;
        let promised = number(content, 0).filter(|frames| content.len() == 8 && possible.contains(frames))?;
        Some(Self { promised, frames: 0, next_number: 0, pixels: 0 })
    }

    /// Takes an fcTL; gives the size of the frame, which lies within the picture.
    pub(super) fn frame(&mut self, content: &[u8], picture: Dimensions) -> Result<Dimensions, Flaw> {
        let wrong = || Flaw::damaged("the description of a frame of the animated PNG makes no sense");
        self.next_number(content)?;
        let at = |at: usize| number(content, at).filter(|_| content.len() == 26).ok_or_else(wrong);
        let (width, height, x, y) = (at(4)?, at(8)?, at(12)?, at(16)?);
        let fits =
            |start: u32, length: u32, whole: u32| start.checked_add(length).is_some_and(|end| end <= whole);
        if !fits(x, width, picture.width) || !fits(y, height, picture.height) {
            return Err(wrong());
        }
        self.frames += 1;
        let frame = Dimensions::new(width, height).ok_or_else(wrong)?;
        self.pixels = self.pixels.saturating_add(frame.pixels());
        Ok(frame)
    }

    /// How many pixels the frames have, with the one that was taken last.
    pub(super) fn pixels(&self) -> u64 {
        self.pixels
    }

    /// Takes the sequence number of an fcTL or fdAT.
    pub(super) fn next_number(&mut self, content: &[u8]) -> Result<(), Flaw> {
        if number(content, 0) != Some(self.next_number) {
            return Err(Flaw::damaged("a frame of the animated PNG is missing"));
        }
        self.next_number += 1;
        Ok(())
    }

    /// The picture ends.
    pub(super) fn finish(&self) -> Result<(), Flaw> {
        match self.frames < self.promised {
            true => Err(Flaw::damaged(format!(
                "only {} of the {} frames of the animated PNG are there",
                self.frames, self.promised
            ))),
            false => Ok(()),
        }
    }
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|bytes| u32::from_be_bytes(*bytes))
}
