//! Is this file a picture that may be sent? It is recognized by content, walked to its last block, and hashed, in one
//! pass over the bytes. The crate `pictures` knows what a whole picture is.

mod hashes;

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use pictures::{Budget, Depth, HEAD, Walk, Whole, sniff, zeros};

use crate::config::{Check, Images, Mismatch};
use crate::domain::failure::{ErrorKind, Failure};
use crate::domain::image::Format;
use crate::domain::text::visible;
use crate::domain::upload::{Picture, Stamp};
use crate::files;
use crate::intake::byte_count;
use hashes::Hashes;
pub use pictures::Flaw;

/// Read at a time, bytes.
const BUFFER: usize = 128 << 10;

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
        let mut head = [0; HEAD];
        let length = read_head(file, &mut head)?;
        if length > 0 && head[..length].iter().all(|byte| *byte == 0) {
            return Err(zeros(leading_zeros(file)?, size).into());
        }
        let format = sniff(&head[..length])?;
        self.check_name(name, format)?;
        match self.images.check {
            Check::Decode => self.walk(file, format, size, Depth::Decode),
            // without an end marker, only its data can tell whether the picture is whole
            Check::Structure => {
                self.walk(file, format, size, Depth::Structure).or_else(|obstacle| match obstacle {
                    Obstacle::Flaw(Flaw::Truncated(_)) => self.walk(file, format, size, Depth::Decode),
                    obstacle => Err(obstacle),
                })
            }
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
        file: &File,
        format: Format,
        size: u64,
        depth: Depth,
    ) -> Result<(Picture, Whole), Obstacle> {
        let mut walk = Walk::new(format, depth, self.images.max_pixels, &self.budget);
        let mut hashes = Hashes::new();
        let passed = each_part(file, |part| {
            walk.feed(part)?;
            hashes.update(part);
            Ok(true)
        })?;
        if passed != size {
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
        Obstacle::Flaw(flaw)
    }
}

impl From<io::Error> for Obstacle {
    fn from(error: io::Error) -> Self {
        Obstacle::Io(error)
    }
}

/// Reads the file in parts until `take` says false; gives how many bytes were read.
fn each_part(file: &File, mut take: impl FnMut(&[u8]) -> Result<bool, Obstacle>) -> Result<u64, Obstacle> {
    let (mut buffer, mut at) = (vec![0; BUFFER], 0);
    loop {
        let count = read_at(file, &mut buffer, at)?;
        at += count as u64;
        if count == 0 || !take(&buffer[..count])? {
            return Ok(at);
        }
    }
}

fn leading_zeros(file: &File) -> Result<u64, Obstacle> {
    let mut zeros = 0;
    each_part(file, |part| {
        let first = part.iter().position(|byte| *byte != 0);
        zeros += first.unwrap_or(part.len()) as u64;
        Ok(first.is_none())
    })?;
    Ok(zeros)
}

fn read_head(file: &File, head: &mut [u8]) -> io::Result<usize> {
    let mut length = 0;
    while length < head.len() {
        match read_at(file, &mut head[length..], length as u64)? {
            0 => break,
            count => length += count,
        }
    }
    Ok(length)
}

fn read_at(file: &File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    loop {
        match file.read_at(buffer, at) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            read => {
                byte_count::advance(*read.as_ref().unwrap_or(&0));
                return read;
            }
        }
    }
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
