//! Is this file a picture that may be sent? Sniffed by content, walked to its end, decoded, and hashed, in
//! one pass over the bytes.

mod budget;
mod gif;
mod jpeg;
mod png;
mod sniff;
mod tee;
mod walk;

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;

use image::codecs::{gif::GifDecoder, jpeg::JpegDecoder, png::PngDecoder};
use image::{ImageDecoder, ImageError};

use crate::config::{Check, Images, Mismatch};
use crate::domain::failure::{ErrorKind, Failure};
use crate::domain::image::Format;
use crate::domain::text::visible;
use crate::domain::upload::{Picture, Stamp};
use crate::files;
use budget::Budget;
use tee::Tee;
pub use walk::Flaw;
use walk::Walk;

const BUFFER: usize = 64 << 10;

/// What stands beside the pixels of a PNG (a colour profile, texts) may unpack to so many bytes.
const METADATA: u64 = 8 << 20;

/// Checks files, on whatever thread it is called.
#[derive(Debug)]
pub struct Inspector {
    images: Images,
    budget: Budget,
}

/// What the bytes of an open file turned out to be.
#[derive(Debug)]
pub struct Inspected {
    /// The file's stamp, before and after all was read.
    pub stamp: Stamp,
    /// The picture, or what is wrong with it.
    pub result: Result<Picture, Flaw>,
}

impl Inspector {
    /// An inspector with these rules.
    pub fn new(images: Images) -> Self {
        Self { images, budget: Budget::default() }
    }

    /// Reads the file to its end. `Ok(None)`: it changed under our eyes, look again later.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn inspect(&self, file: &File, name: &Path) -> io::Result<Option<Inspected>> {
        let stamp = files::stamp(file)?;
        let result = match self.check(file, name, stamp) {
            Ok(picture) => Ok(picture),
            Err(Trouble::Flaw(flaw)) => Err(flaw),
            Err(Trouble::Moving) => return Ok(None),
            Err(Trouble::Io(error)) => return Err(error),
        };
        let still = files::stamp(file)? == stamp;
        Ok(still.then_some(Inspected { stamp, result }))
    }

    fn check(&self, file: &File, name: &Path, stamp: Stamp) -> Result<Picture, Trouble> {
        let (size, most) = (stamp.size, self.images.max_bytes);
        if size > most {
            return Err(Flaw::TooLarge(size, most).into());
        }
        let mut head = [0; sniff::HEAD];
        let length = read_head(file, &mut head)?;
        let format = sniff::sniff(&head[..length])?;
        self.check_name(name, format)?;
        // one byte more than there should be shows a file that grows
        let tee = Tee::new(file.take(size.saturating_add(1)), Walk::new(format), self.images.max_pixels);
        let (tee, decoded) = self.read(tee, format)?;
        if tee.passed() != size {
            return Err(Trouble::Moving);
        }
        let dimensions = tee.walk().finish()?;
        decoded?;
        Ok(Picture { format, dimensions, digests: tee.digests() })
    }

    fn check_name(&self, name: &Path, format: Format) -> Result<(), Flaw> {
        let suffix = name.extension().map(|suffix| suffix.to_string_lossy().into_owned());
        let named = suffix.as_deref().and_then(Format::from_suffix);
        if self.images.mismatch == Mismatch::Correct || named == Some(format) {
            return Ok(());
        }
        let said = suffix.map_or_else(|| "nothing".into(), |suffix| format!(".{}", visible(&suffix)));
        Err(Flaw::Mismatch(said, format))
    }

    /// Lets all bytes pass. What the walk finds comes before what a decoder says: it knows better whether
    /// the file is merely cut.
    fn read<R: Read>(&self, tee: Tee<R>, format: Format) -> Result<(Tee<R>, Result<(), Flaw>), Trouble> {
        let mut reader = BufReader::with_capacity(BUFFER, tee);
        let decoded = match self.images.check {
            Check::Decode => self.decode(&mut reader, format),
            Check::Structure => Ok(()),
        };
        let mut tee = reader.into_inner();
        let drained = if tee.flaw().is_none() { tee.drain() } else { Ok(()) };
        match tee.flaw() {
            Some(flaw) => Err(flaw.clone().into()),
            None => drained.map(|()| (tee, decoded)).map_err(Trouble::Io),
        }
    }

    /// What a decoder cannot do within our limits is not the picture's fault: the walk has to do then.
    fn decode<R: Read>(&self, reader: &mut BufReader<Tee<R>>, format: Format) -> Result<(), Flaw> {
        let weight = reader.get_ref().weight();
        let decoded = match format {
            Format::Jpeg => JpegDecoder::new(reader).and_then(|decoder| self.pixels(decoder, weight.get())),
            Format::Png => PngDecoder::with_limits(reader, limits(METADATA))
                .and_then(|decoder| self.pixels(decoder, weight.get())),
            Format::Gif => GifDecoder::new(reader).and_then(|decoder| self.pixels(decoder, weight.get())),
        };
        match decoded {
            Ok(()) | Err(ImageError::Limits(_)) => Ok(()),
            Err(error) => Err(Flaw::damaged(format!("the decoder says \"{error}\""))),
        }
    }

    /// Decodes all pixels, if memory for them is in the budget; a larger picture is walked only.
    fn pixels(&self, mut decoder: impl ImageDecoder, weight: u64) -> Result<(), ImageError> {
        let bytes = decoder.total_bytes();
        let Some(_share) = self.budget.take(bytes.saturating_mul(weight)) else {
            return Ok(());
        };
        decoder.set_limits(limits(budget::BYTES))?;
        let mut pixels = vec![0; usize::try_from(bytes).unwrap_or_default()];
        decoder.read_image(&mut pixels)
    }
}

/// Why there is no picture.
enum Trouble {
    Flaw(Flaw),
    Io(io::Error),
    Moving,
}

impl From<Flaw> for Trouble {
    fn from(flaw: Flaw) -> Self {
        Trouble::Flaw(flaw)
    }
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Trouble::Io(error)
    }
}

fn limits(bytes: u64) -> image::Limits {
    let mut limits = image::Limits::no_limits();
    limits.max_alloc = Some(bytes);
    limits
}

fn read_head(file: &File, head: &mut [u8]) -> io::Result<usize> {
    let mut length = 0;
    while length < head.len() {
        match file.read_at(&mut head[length..], length as u64) {
            Ok(0) => break,
            Ok(count) => length += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(length)
}

impl From<&Flaw> for Failure {
    fn from(flaw: &Flaw) -> Self {
        let kind = match flaw {
            Flaw::Truncated(_) | Flaw::Damaged(_) => ErrorKind::DamagedImage,
            Flaw::Unsupported(_) => ErrorKind::UnsupportedFormat,
            Flaw::TooManyPixels(..) => ErrorKind::TooManyPixels,
            Flaw::Mismatch(..) => ErrorKind::SuffixMismatch,
            Flaw::TooLarge(..) => ErrorKind::TooLarge,
        };
        Failure::new(kind, flaw.to_string())
    }
}

#[cfg(test)]
mod tests;
