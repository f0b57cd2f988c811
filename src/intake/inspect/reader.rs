//! The bytes of a file from its beginning, a part at a time.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use crate::intake::byte_count::ByteCount;

/// The longest part, bytes.
const PART: u64 = 256 << 10;

/// Reads a file in parts. Of a file that has grown since its size was taken, the rest is not read: its stamp will tell.
pub(super) struct Reader<'a> {
    file: &'a File,
    size: u64,
    count: &'a ByteCount,
    buffer: Vec<u8>,
    /// Where the part in the buffer begins, and how long it is.
    at: u64,
    length: usize,
}

impl<'a> Reader<'a> {
    /// A reader of a file of this size, which counts the bytes that it has got.
    pub(super) fn new(file: &'a File, size: u64, count: &'a ByteCount) -> Self {
        let longest = usize::try_from(size.min(PART)).unwrap_or_default();
        Self { file, size, count, buffer: vec![0; longest], at: 0, length: 0 }
    }

    /// The first part. Only the end of the file makes it shorter than [`PART`].
    ///
    /// # Errors
    /// When the file cannot be read.
    pub(super) fn first(&mut self) -> io::Result<&[u8]> {
        if self.at > 0 || self.length == 0 {
            self.fill(0)?;
        }
        Ok(self.part())
    }

    /// The part that was returned last.
    pub(super) fn part(&self) -> &[u8] {
        &self.buffer[..self.length]
    }

    /// The part after the one that was returned last; empty at the end, and after a part that was shorter.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub(super) fn next(&mut self) -> io::Result<&[u8]> {
        match self.length < self.buffer.len() {
            true => (self.at, self.length) = (self.position(), 0),
            false => self.fill(self.position())?,
        }
        Ok(self.part())
    }

    /// How many bytes have been returned, from the beginning.
    pub(super) fn position(&self) -> u64 {
        self.at + self.length as u64
    }

    fn fill(&mut self, at: u64) -> io::Result<()> {
        let wanted = usize::try_from((self.size - at).min(PART)).unwrap_or_default();
        (self.at, self.length) = (at, 0);
        while self.length < wanted {
            let position = self.position();
            match self.file.read_at(&mut self.buffer[self.length..wanted], position) {
                Ok(0) => break,
                Ok(count) => {
                    self.count.advance(count);
                    self.length += count;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn whole(reader: &mut Reader<'_>) -> Vec<u8> {
        let mut bytes = reader.first().unwrap().to_vec();
        while let part @ [_, ..] = reader.next().unwrap() {
            bytes.extend_from_slice(part);
        }
        assert_eq!(reader.position(), bytes.len() as u64);
        bytes
    }

    #[test]
    fn a_file_of_any_size_comes_whole_and_again() {
        let part = usize::try_from(PART).unwrap();
        let count = ByteCount::default();
        for size in [0, 1, part - 1, part, part + 1, 3 * part + 7] {
            let bytes: Vec<u8> = (0..=u8::MAX).cycle().take(size).collect();
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(&bytes).unwrap();
            let mut reader = Reader::new(&file, size as u64, &count);
            for _ in 0..2 {
                assert!(whole(&mut reader) == bytes, "{size}");
            }
        }
    }

    #[test]
    fn a_file_that_grows_or_shrinks_ends_at_its_size_or_before() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"picture and more").unwrap();
        let count = ByteCount::default();
        assert_eq!(whole(&mut Reader::new(&file, 7, &count)), b"picture");
        assert_eq!(whole(&mut Reader::new(&file, 99, &count)), b"picture and more");
        assert_eq!(count.bytes(), 7 + 16);
    }
}
