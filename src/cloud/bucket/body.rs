//! The body of a PUT: a file, in pieces, exactly as long as its `Content-Length`.

use std::fs::File;
use std::io::{self, IoSliceMut, Read};
use std::num::NonZeroU32;
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, Stream, StreamExt};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use http_body::{Body, Frame, SizeHint};
use rustix::io::{Errno, ReadWriteFlags, preadv2};
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use super::buffers::{BUFFER, Buffers};
use crate::domain::text::hex;
use crate::fs_timeout::OpenFile;

/// How much of a file that does not fit into one buffer is read in one go.
const BLOCK: usize = 256 << 10;

/// How much is read by one call, and handed to the connection at a time: a transfer that takes longer for it than the
/// timeout is stalled.
const PIECE: usize = 128 << 10;

/// A file that is read more slowly than this, bytes a second, gives its permit back: its file system must not hold up
/// what lies elsewhere. It is tried again later.
const SLOWEST: u64 = 64 << 10;

/// Who waits for a file for so long may give up before the file does.
const LONG_READ: Duration = Duration::from_secs(5);

/// So much time has every file beside that.
const READ_GRACE: Duration = Duration::from_mins(1);

/// The longest that reading a file of this size may take in all.
fn longest_read(size: u64) -> Duration {
    READ_GRACE + Duration::from_secs(size / SLOWEST)
}

/// Limits bytes a second over all uploads.
pub type BytesLimiter = DefaultDirectRateLimiter;

/// 0 is no limit. A limiter lets a piece through at once, so none may be below a piece's size.
pub(super) fn limiter(bytes_per_second: u64) -> Option<BytesLimiter> {
    let rate = NonZeroU32::new(u32::try_from(bytes_per_second).unwrap_or(u32::MAX))?;
    let burst = NonZeroU32::new(rate.get().max(u32::try_from(PIECE).unwrap_or(u32::MAX)))?;
    Some(RateLimiter::direct(Quota::per_second(rate).allow_burst(burst)))
}

/// One PUT, as its timeout sees it: when bytes last moved, and what was wrong with the file if it was the file.
#[derive(Debug, Clone)]
pub(super) struct Transfer(Arc<Mutex<TransferState>>);

#[derive(Debug)]
struct TransferState {
    moved: Instant,
    /// We wait for our own limit, not for the cloud.
    limited: bool,
    /// The answer has begun: from now on nothing of the file counts, and the limit is one for the whole answer.
    answered: bool,
    file_error: Option<String>,
    /// Since when a thread reads from the file; the cloud gets nothing meanwhile.
    in_file: Option<Instant>,
    /// How long its file was waited for so far, and at a time at most.
    reading: Duration,
    longest_read: Duration,
    /// What was sent so far, if it is hashed, and how many bytes that is.
    sent: Option<(Sha256, u64)>,
}

impl Transfer {
    /// A PUT that begins now. `hash`: what is sent is hashed.
    pub(super) fn new(hash: bool) -> Self {
        let moved = Instant::now();
        let state = TransferState {
            moved,
            limited: false,
            answered: false,
            file_error: None,
            in_file: None,
            reading: Duration::ZERO,
            longest_read: Duration::ZERO,
            sent: hash.then(|| (Sha256::new(), 0)),
        };
        Self(Arc::new(Mutex::new(state)))
    }

    fn hash(&self, piece: &[u8]) {
        if let Some((hash, length)) = &mut self.lock().sent {
            hash.update(piece);
            *length += piece.len() as u64;
        }
    }

    /// The SHA-256 of what was sent, in hexadecimal, if it was hashed and all of this size was sent: an answer may come before.
    /// (Anybody can make two files with one MD5.)
    pub(super) fn sent_sha256(&self, size: u64) -> Option<String> {
        let (hash, _) = self.lock().sent.clone().filter(|(_, length)| *length == size)?;
        Some(hex(&hash.finalize()))
    }

    /// Resolves when nothing moved for so long.
    pub(super) async fn stalled(&self, timeout: Duration) {
        loop {
            let (moved, limited) = {
                let state = self.lock();
                (state.moved, state.limited && !state.answered)
            };
            let end = if limited { Instant::now() + timeout } else { moved + timeout };
            if Instant::now() >= end {
                return;
            }
            tokio::time::sleep_until(end).await;
        }
    }

    /// The answer has begun.
    pub(super) fn answered(&self) {
        let mut state = self.lock();
        (state.answered, state.moved) = (true, Instant::now());
    }

    /// What was wrong with the file, if that ended the PUT.
    pub(super) fn file_error(&self) -> Option<String> {
        self.lock().file_error.take()
    }

    fn file_failed(&self, error: &io::Error) {
        self.lock().file_error = Some(format!("the file cannot be read to its end: {error}"));
    }

    /// Is it the file that does not move?
    pub(super) fn waits_for_file(&self) -> bool {
        self.lock().in_file.is_some()
    }

    fn reads(&self) {
        self.lock().in_file = Some(Instant::now());
    }

    fn has_read(&self) {
        let mut state = self.lock();
        let took = state.in_file.take().map_or(Duration::ZERO, |since| since.elapsed());
        state.longest_read = state.longest_read.max(took);
    }

    /// Did the cloud have to wait for the file, now or before?
    pub(super) fn waited_long_for_file(&self) -> bool {
        let state = self.lock();
        let now = state.in_file.map_or(Duration::ZERO, |since| since.elapsed());
        state.longest_read.max(now) > LONG_READ
    }

    fn waits_for_limit(&self) {
        self.lock().limited = true;
    }

    fn moved(&self) {
        let mut state = self.lock();
        state.limited = false;
        if !state.answered {
            state.moved = Instant::now();
        }
    }

    /// A piece of the file took so long to read. An error when all of them took too long together.
    fn read_in(&self, took: Duration, longest: Duration) -> io::Result<()> {
        self.moved();
        let mut state = self.lock();
        state.reading += took;
        if state.reading <= longest {
            return Ok(());
        }
        let rate = SLOWEST >> 10;
        Err(io::Error::new(
            io::ErrorKind::TimedOut,
            format!("its file system gives less than {rate} KiB a second"),
        ))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, TransferState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A file to send.
pub(super) struct Source {
    pub(super) file: Arc<OpenFile>,
    pub(super) size: u64,
    /// What was read and is not sent yet.
    pub(super) unsent: Bytes,
    pub(super) transfer: Transfer,
    pub(super) buffers: Arc<Buffers>,
    pub(super) limiter: Option<Arc<BytesLimiter>>,
}

/// The body. Its length is known, so it is never sent in chunks of unknown total; a file that turns out
/// shorter ends the connection instead of a PUT that looks well.
pub(super) fn stream(source: Source) -> reqwest::Body {
    let size = source.size;
    let pieces = stream::try_unfold((source, 0), |(mut source, sent)| async move {
        if sent == source.size {
            return Ok(None);
        }
        let piece = source.next_piece(sent).await.inspect_err(|error| source.transfer.file_failed(error))?;
        let sent = sent + piece.len() as u64;
        Ok(Some((piece, (source, sent))))
    });
    reqwest::Body::wrap(FileBody { pieces: Mutex::new(pieces.boxed()), left: size })
}

impl Source {
    async fn next_piece(&mut self, sent: u64) -> io::Result<Bytes> {
        if self.unsent.is_empty() {
            self.unsent = self.read(sent).await?;
        }
        let piece = self.unsent.split_to(self.piece().min(self.unsent.len()));
        self.transfer.hash(&piece);
        self.transfer.waits_for_limit();
        if let (Some(limiter), Some(count)) =
            (&self.limiter, NonZeroU32::new(u32::try_from(piece.len()).unwrap_or_default()))
        {
            // the burst is at least a piece, so this cannot be refused
            let _ = limiter.until_n_ready(count).await;
        }
        self.transfer.moved();
        Ok(piece)
    }

    /// Reads the whole file, or the next block of a large one: going to another thread costs more than the reading. What
    /// the kernel has in memory, as it has what was just inspected, needs no other thread.
    async fn read(&self, sent: u64) -> io::Result<Bytes> {
        let longest = if self.size <= BUFFER as u64 { BUFFER } else { BLOCK };
        let length = usize::try_from(self.size - sent).unwrap_or(longest).min(longest);
        if let Ok(cached) = self.buffers.filled(length, |buffer| fill_from_memory(buffer, &self.file, sent)) {
            return Ok(cached);
        }
        let (file, buffers, transfer) = (self.file.clone(), self.buffers.clone(), self.transfer.clone());
        let longest = longest_read(self.size);
        let read = move || {
            buffers.filled(length, |buffer| fill(buffer, At { file: &file, at: sent }, &transfer, longest))
        };
        self.transfer.reads();
        let read = tokio::task::spawn_blocking(read).await.map_err(io::Error::other)?;
        self.transfer.has_read();
        read
    }

    /// With a limit, small pieces: waiting for one must not look like a stall.
    fn piece(&self) -> usize {
        if self.limiter.is_some() { PIECE / 16 } else { PIECE }
    }
}

/// Fills the buffer without waiting for a disk.
fn fill_from_memory(buffer: &mut [u8], file: &File, at: u64) -> rustix::io::Result<()> {
    let mut filled = 0;
    while filled < buffer.len() {
        let rest = &mut [IoSliceMut::new(&mut buffer[filled..])];
        match preadv2(file, rest, at + filled as u64, ReadWriteFlags::NOWAIT)? {
            0 => return Err(Errno::AGAIN),
            count => filled += count,
        }
    }
    Ok(())
}

/// A file from a place on.
struct At<'a> {
    file: &'a File,
    at: u64,
}

impl Read for At<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read_at(buffer, self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}

/// A slow file server is no stalled transfer, as long as it gives something, and enough in all.
fn fill(buffer: &mut [u8], mut file: impl Read, transfer: &Transfer, longest: Duration) -> io::Result<()> {
    buffer.chunks_mut(PIECE).try_for_each(|piece| {
        let began = Instant::now();
        file.read_exact(piece)?;
        transfer.read_in(began.elapsed(), longest)
    })
}

/// hyper wants it to be `Sync`; the lock is never taken, since the stream is only polled through `&mut`.
struct FileBody {
    pieces: Mutex<Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>>,
    left: u64,
}

impl Body for FileBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let body = self.get_mut();
        let pieces = body.pieces.get_mut().unwrap_or_else(PoisonError::into_inner);
        let piece = std::task::ready!(pieces.poll_next_unpin(cx));
        if let Some(Ok(piece)) = &piece {
            body.left -= piece.len() as u64;
        }
        Poll::Ready(piece.map(|piece| piece.map(Frame::data)))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

#[cfg(test)]
mod tests;
