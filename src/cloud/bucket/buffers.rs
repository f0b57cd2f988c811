//! The buffers that files are read into. They are used again: an allocator gives memory of this size back to the system
//! and fetches it again for each file, at the price of a page fault for each 4 KiB. Measured with files of 482 KB, that
//! was half of the CPU time of a PUT.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

/// The size of a buffer, bytes. What is never filled takes no memory.
pub(super) const BUFFER: usize = 1 << 20;

/// How many buffers are kept for later.
const MAX_SPARE: usize = 16;

/// Buffers that are not in use.
#[derive(Debug, Default)]
pub(super) struct Buffers(Mutex<Vec<Box<[u8]>>>);

impl Buffers {
    /// Fills the first `length` bytes of a buffer, at most [`BUFFER`]. The buffer comes back when the last of the
    /// returned bytes is dropped.
    ///
    /// # Errors
    /// Those of `fill`.
    pub(super) fn filled<E>(
        self: &Arc<Self>,
        length: usize,
        fill: impl FnOnce(&mut [u8]) -> Result<(), E>,
    ) -> Result<Bytes, E> {
        let buffer = self.lock().pop().unwrap_or_else(|| vec![0; BUFFER].into());
        let mut lent = Lent { buffer, length: length.min(BUFFER), owner: self.clone() };
        fill(&mut lent.buffer[..lent.length])?;
        Ok(Bytes::from_owner(lent))
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Box<[u8]>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A buffer in use.
struct Lent {
    buffer: Box<[u8]>,
    length: usize,
    owner: Arc<Buffers>,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.buffer[..self.length]
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let mut spare = self.owner.lock();
        if spare.len() < MAX_SPARE {
            spare.push(std::mem::take(&mut self.buffer));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(buffers: &Arc<Buffers>, byte: u8, length: usize) -> Bytes {
        let fill = |part: &mut [u8]| -> Result<(), ()> {
            part.fill(byte);
            Ok(())
        };
        buffers.filled(length, fill).unwrap()
    }

    #[test]
    fn a_buffer_is_used_again_once_nothing_of_it_is_in_use() {
        let buffers = Arc::new(Buffers::default());
        let mut whole = filled(&buffers, 1, 10);
        let part = whole.split_to(4);
        drop(whole);
        assert_eq!(buffers.lock().len(), 0, "a part of it is in use");
        let other = filled(&buffers, 2, BUFFER);
        assert_eq!(part[..], [1; 4], "its own memory");
        assert_eq!(other.len(), BUFFER);
        drop((part, other));
        assert_eq!(buffers.lock().len(), 2);
        assert_eq!(filled(&buffers, 3, 5)[..], [3; 5], "nothing of the last file");
        assert_eq!(buffers.lock().len(), 2);
    }

    #[test]
    fn a_file_that_cannot_be_read_costs_no_buffer_and_only_so_many_are_kept() {
        let buffers = Arc::new(Buffers::default());
        assert_eq!(buffers.filled(1, |_| Err("broken")), Err("broken"));
        assert_eq!(buffers.lock().len(), 1);
        drop((0..2 * MAX_SPARE).map(|_| filled(&buffers, 0, 1)).collect::<Vec<_>>());
        assert_eq!(buffers.lock().len(), MAX_SPARE);
    }
}
