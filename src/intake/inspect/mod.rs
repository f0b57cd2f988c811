//! Whether a file is a picture that may be sent. Its bytes are read once: the first ones tell the format, and all of
//! them are walked through, to the last block, and hashed. The crate `pictures` knows what a whole picture is.

mod hashes;
mod reader;

use std::fs::File;
use std::io;
use std::path::Path;

use pictures::{Budget, Depth, HEAD, Walk, Whole, sniff, zeros};

use crate::config::{Check, Images, Mismatch};
use crate::domain::failure::{ErrorKind, Failure};
use crate::domain::image::Format;
use crate::domain::text::visible;
use crate::domain::upload::{Picture, Stamp};
use crate::files;
use hashes::Hashes;
pub use pictures::Flaw;
use reader::Reader;

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
    /// All of the picture is there, but not its end marker: perhaps more is to come.
    pub lacks_end: bool,
}

impl Inspector {
    /// An inspector with these rules. Memory beyond buffers comes out of the budget.
    pub fn new(images: Images, budget: Budget) -> Self {
        Self { images, budget }
    }

    /// Reads the file to its end. `Ok(None)`: it changed meanwhile; inspect it again later.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn inspect(&self, file: &File, name: &Path) -> io::Result<Option<Inspected>> {
        let stamp = files::stamp(file)?;
        let mut lacks_end = false;
        let result = match self.check(file, name, stamp.size) {
            Ok((picture, whole)) => {
                lacks_end = !whole.ends;
                Ok(picture)
            }
            Err(Obstacle::Flaw(flaw)) => Err(flaw),
            Err(Obstacle::Changing) => return Ok(None),
            Err(Obstacle::Io(error)) => return Err(error),
        };
        let still = files::stamp(file)? == stamp;
        Ok(still.then_some(Inspected { stamp, result, lacks_end }))
    }

    fn check(&self, file: &File, name: &Path, size: u64) -> Result<(Picture, Whole), Obstacle> {
        if size > self.images.max_bytes {
            return Err(Flaw::TooLarge(size, self.images.max_bytes).into());
        }
        let mut reader = Reader::new(file, size);
        let first = reader.first()?;
        let head = &first[..first.len().min(HEAD)];
        if !head.is_empty() && head.iter().all(|byte| *byte == 0) {
            return Err(zeros(leading_zeros(&mut reader)?, size).into());
        }
        let format = sniff(head)?;
        self.check_name(name, format)?;
        match self.images.check {
            Check::Decode => self.walk(&mut reader, format, size, Depth::Decode),
            // without an end marker, only its data can tell whether the picture is whole
            Check::Structure => match self.walk(&mut reader, format, size, Depth::Structure) {
                Err(Obstacle::Flaw(Flaw::Truncated(_))) => {
                    self.walk(&mut reader, format, size, Depth::Decode)
                }
                result => result,
            },
        }
    }

    fn check_name(&self, name: &Path, format: Format) -> Result<(), Flaw> {
        let suffix = name.extension().map(|suffix| suffix.to_string_lossy().into_owned());
        let named = suffix.as_deref().and_then(Format::from_suffix);
        if self.images.mismatch == Mismatch::Correct || named == Some(format) {
            return Ok(());
        }
        let named = suffix.map_or_else(|| "nothing".into(), |suffix| format!(".{}", visible(&suffix)));
        Err(Flaw::Mismatch(named, format))
    }

    /// One pass over the bytes.
    fn walk(
        &self,
        reader: &mut Reader<'_>,
        format: Format,
        size: u64,
        depth: Depth,
    ) -> Result<(Picture, Whole), Obstacle> {
        let mut walk = Walk::new(format, depth, self.images.max_pixels, &self.budget);
        let mut hashes = Hashes::new();
        let mut part = reader.first()?;
        while !part.is_empty() {
            walk.feed(part)?;
            hashes.update(part);
            part = reader.next()?;
        }
        if reader.position() != size {
            return Err(Obstacle::Changing);
        }
        let whole = walk.finish()?;
        Ok((Picture { format, dimensions: whole.dimensions, digests: hashes.finish() }, whole))
    }
}

/// Why there is no picture.
enum Obstacle {
    Flaw(Flaw),
    Io(io::Error),
    Changing,
}

impl From<Flaw> for Obstacle {
    fn from(flaw: Flaw) -> Self {
        match flaw {
            // it says nothing of the file, which is read again
            Flaw::NoMemoryNow => Obstacle::Io(io::Error::new(io::ErrorKind::OutOfMemory, flaw.to_string())),
            flaw => Obstacle::Flaw(flaw),
        }
    }
}

impl From<io::Error> for Obstacle {
    fn from(error: io::Error) -> Self {
        Obstacle::Io(error)
    }
}

fn leading_zeros(reader: &mut Reader<'_>) -> io::Result<u64> {
    let mut zeros = 0;
    let mut part = reader.first()?;
    while !part.is_empty() {
        let first = part.iter().position(|byte| *byte != 0);
        zeros += first.unwrap_or(part.len()) as u64;
        if first.is_some() {
            break;
        }
        part = reader.next()?;
    }
    Ok(zeros)
}

impl From<&Flaw> for Failure {
    fn from(flaw: &Flaw) -> Self {
        let kind = match flaw {
            Flaw::Truncated(_) | Flaw::Damaged(_) => ErrorKind::DamagedImage,
            Flaw::Unsupported(_) => ErrorKind::UnsupportedFormat,
            Flaw::TooManyPixels(..) => ErrorKind::TooManyPixels,
            Flaw::Mismatch(..) => ErrorKind::SuffixMismatch,
            Flaw::TooLarge(..) => ErrorKind::TooLarge,
            Flaw::NoMemoryNow => ErrorKind::Unreadable,
        };
        Failure::new(kind, flaw.to_string())
    }
}

#[cfg(test)]
mod tests;
