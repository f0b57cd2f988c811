//! Whether a file is a picture that may be sent. Its bytes are read once: the first ones tell the format, and all of
//! them are walked through, to the last block, and hashed. The crate `pictures` knows what a whole picture is.
//!
//! Several files take turns, a part of each at a time: hashing them side by side takes half as long. One for which there is
//! no memory beside the others is looked at once more, alone.

mod hashes;
mod md5;
mod reader;

use std::fs::File;
use std::io;
use std::path::Path;

use pictures::{Budget, Depth, HEAD, Walk, Whole, sniff, zeros};

use super::byte_count::ByteCount;
use crate::config::{Check, Images, Mismatch};
use crate::domain::failure::{ErrorKind, Failure};
use crate::domain::image::Format;
use crate::domain::text::visible;
use crate::domain::upload::{Picture, Stamp};
use crate::files;
use hashes::Hashes;
pub(crate) use pictures::Flaw;
use reader::Reader;

/// So many files are inspected together at best.
pub(crate) const TOGETHER: usize = md5::LANES;

/// Checks files, on whatever thread it is called.
#[derive(Debug)]
pub(crate) struct Inspector {
    images: Images,
    budget: Budget,
}

/// An open file to inspect.
#[derive(Debug)]
pub(crate) struct Subject<'a> {
    /// Open for reading.
    pub file: &'a File,
    /// What it is called.
    pub name: &'a Path,
    /// Counts the bytes that were read of it.
    pub count: ByteCount,
}

impl<'a> Subject<'a> {
    /// One whose bytes nobody counts.
    pub(crate) fn new(file: &'a File, name: &'a Path) -> Self {
        Self { file, name, count: ByteCount::default() }
    }
}

/// What the bytes of an open file turned out to be.
#[derive(Debug)]
pub(crate) struct Inspected {
    /// The file's stamp, before and after all was read.
    pub stamp: Stamp,
    /// The picture, or what is wrong with it.
    pub result: Result<Picture, Flaw>,
    /// All of the picture is there, but not its end marker: perhaps more is to come.
    pub lacks_end: bool,
}

impl Inspector {
    /// An inspector with these rules. Memory beyond buffers comes out of the budget.
    pub(crate) fn new(images: Images, budget: Budget) -> Self {
        Self { images, budget }
    }

    /// Reads these files to their ends. `Ok(None)`: it changed meanwhile; inspect it again later.
    ///
    /// # Errors
    /// Those that cannot be read.
    pub(crate) fn inspect(&self, subjects: &[Subject<'_>]) -> Vec<io::Result<Option<Inspected>>> {
        self.inspect_of(0, subjects)
    }

    /// As `inspect`, files of this folder: it leaves some of the memory to others.
    pub(crate) fn inspect_of<'s>(
        &self,
        folder: u64,
        subjects: &'s [Subject<'_>],
    ) -> Vec<io::Result<Option<Inspected>>> {
        let all = self.budget.of(folder);
        let is_alone = subjects.len() == 1;
        let budget = if is_alone { all.clone() } else { all.without_waiting() };
        let begin = |subject: &'s Subject<'_>| {
            let stamp = files::stamp(subject.file)?;
            Ok((subject, stamp, self.begin(subject, stamp.size, self.depth(), &budget)))
        };
        let mut passes: Vec<io::Result<_>> = subjects.iter().map(begin).collect();
        walk_all(passes.iter_mut().flatten().map(|(_, _, pass)| pass).collect());
        let finish = |pass: io::Result<(_, _, Result<Pass<'_>, _>)>| {
            let (subject, stamp, pass) = pass?;
            Ok((subject, stamp, pass.and_then(Pass::finish)))
        };
        // from here on this thread has no memory that others wait for, and may wait for some itself
        let finished: Vec<io::Result<_>> = passes.into_iter().map(finish).collect();
        let end = |finished: io::Result<_>| {
            let (subject, stamp, result) = finished?;
            let again =
                self.depth_alone(&result, is_alone).map(|depth| self.alone(subject, stamp, depth, &all));
            Self::end(subject, stamp, again.unwrap_or(result))
        };
        finished.into_iter().map(end).collect()
    }

    /// How thoroughly a file is walked through once more, if the first time was not enough.
    fn depth_alone(&self, result: &Result<Found, Obstacle>, was_alone: bool) -> Option<Depth> {
        match result {
            // without an end marker, only its data can tell whether the picture is whole
            Err(Obstacle::Flaw(Flaw::Truncated(_))) if self.depth() == Depth::Structure => {
                Some(Depth::Decode)
            }
            Err(Obstacle::NoMemory) if !was_alone => Some(self.depth()),
            _ => None,
        }
    }

    fn alone(
        &self,
        subject: &Subject<'_>,
        stamp: Stamp,
        depth: Depth,
        budget: &Budget,
    ) -> Result<Found, Obstacle> {
        let mut pass = self.begin(subject, stamp.size, depth, budget);
        walk_all(vec![&mut pass]);
        pass.and_then(Pass::finish)
    }

    /// How thoroughly a file is walked through at first.
    fn depth(&self) -> Depth {
        match self.images.check {
            Check::Decode => Depth::Decode,
            Check::Structure => Depth::Structure,
        }
    }

    fn begin<'a>(
        &self,
        subject: &'a Subject<'_>,
        size: u64,
        depth: Depth,
        budget: &Budget,
    ) -> Result<Pass<'a>, Obstacle> {
        if size > self.images.max_bytes {
            return Err(Flaw::TooLarge(size, self.images.max_bytes).into());
        }
        let mut reader = Reader::new(subject.file, size, &subject.count);
        let first = reader.first()?;
        let head = &first[..first.len().min(HEAD)];
        if !head.is_empty() && head.iter().all(|byte| *byte == 0) {
            return Err(zeros(leading_zeros(&mut reader)?, size).into());
        }
        let format = sniff(head)?;
        self.check_name(subject.name, format)?;
        let walk = Walk::new(format, depth, self.images.max_pixels, budget);
        Ok(Pass { size, format, reader, walk, hashes: Hashes::new() })
    }

    fn end(
        subject: &Subject<'_>,
        stamp: Stamp,
        result: Result<Found, Obstacle>,
    ) -> io::Result<Option<Inspected>> {
        let (result, lacks_end) = match result {
            Ok((picture, whole)) => (Ok(picture), !whole.ends),
            Err(Obstacle::Flaw(flaw)) => (Err(flaw), false),
            Err(Obstacle::Changing) => return Ok(None),
            Err(Obstacle::Io(error)) => return Err(error),
            // it says nothing of the file, which is read again
            Err(Obstacle::NoMemory) => {
                return Err(io::Error::new(io::ErrorKind::OutOfMemory, Flaw::NoMemoryNow.to_string()));
            }
        };
        let still = files::stamp(subject.file)? == stamp;
        Ok(still.then_some(Inspected { stamp, result, lacks_end }))
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
}

/// What a pass that came to the end has found.
type Found = (Picture, Whole);

/// One pass over the bytes of a file.
struct Pass<'a> {
    size: u64,
    format: Format,
    reader: Reader<'a>,
    walk: Walk,
    hashes: Hashes,
}

impl Pass<'_> {
    fn walk(&mut self) -> Result<(), Obstacle> {
        Ok(self.walk.feed(self.reader.part())?)
    }

    fn read(&mut self) -> Result<(), Obstacle> {
        self.reader.next()?;
        Ok(())
    }

    fn finish(mut self) -> Result<Found, Obstacle> {
        if self.reader.position() != self.size {
            return Err(Obstacle::Changing);
        }
        let whole = self.walk.finish()?;
        let (format, digests) = (self.format, self.hashes.finish());
        Ok((Picture { format, dimensions: whole.dimensions, digests }, whole))
    }
}

/// Goes on with all passes to their ends, a part of each in turn. One with an obstacle ends there.
fn walk_all(mut passes: Vec<&mut Result<Pass<'_>, Obstacle>>) {
    loop {
        for pass in &mut passes {
            go_on(pass, Pass::walk);
        }
        passes.retain(|pass| pass.as_ref().is_ok_and(|pass| !pass.reader.part().is_empty()));
        if passes.is_empty() {
            return;
        }
        let parts = passes.iter_mut().filter_map(|pass| pass.as_mut().ok());
        Hashes::update_all(parts.map(|pass| (&mut pass.hashes, pass.reader.part())));
        for pass in &mut passes {
            go_on(pass, Pass::read);
        }
    }
}

fn go_on<'a>(
    pass: &mut Result<Pass<'a>, Obstacle>,
    step: impl FnOnce(&mut Pass<'a>) -> Result<(), Obstacle>,
) {
    if let Ok(going) = pass
        && let Err(obstacle) = step(going)
    {
        *pass = Err(obstacle);
    }
}

/// Why there is no picture.
enum Obstacle {
    Flaw(Flaw),
    Io(io::Error),
    Changing,
    /// Others have the memory for it.
    NoMemory,
}

impl From<Flaw> for Obstacle {
    fn from(flaw: Flaw) -> Self {
        match flaw {
            Flaw::NoMemoryNow => Obstacle::NoMemory,
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
