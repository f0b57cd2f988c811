//! The body of a PUT: a file, in pieces, exactly as long as its `Content-Length`.

use std::fs::File;
use std::io::{self, Read};
use std::num::NonZeroU32;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, Stream, StreamExt};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use http_body::{Body, Frame, SizeHint};
use tokio::time::Instant;

/// How much is read at a time.
const PIECE: usize = 128 << 10;

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
}

impl Default for Transfer {
    fn default() -> Self {
        let moved = Instant::now();
        let state = TransferState { moved, limited: false, answered: false, file_error: None };
        Self(Arc::new(Mutex::new(state)))
    }
}

impl Transfer {
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

    fn lock(&self) -> std::sync::MutexGuard<'_, TransferState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A file to send.
pub(super) struct Source {
    pub(super) file: Arc<File>,
    pub(super) size: u64,
    pub(super) transfer: Transfer,
    pub(super) limiter: Option<Arc<BytesLimiter>>,
}

/// The body. Its length is known, so it is never sent in chunks of unknown total; a file that turns out
/// shorter ends the connection instead of a PUT that looks well.
pub(super) fn stream(source: Source) -> reqwest::Body {
    let size = source.size;
    let pieces = stream::try_unfold((source, 0), |(source, sent)| async move {
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
    /// With a limit, small pieces: waiting for one must not look like a stall.
    fn piece(&self) -> usize {
        if self.limiter.is_some() { PIECE / 16 } else { PIECE }
    }

    async fn next_piece(&self, sent: u64) -> io::Result<Bytes> {
        let length = usize::try_from(self.size - sent).unwrap_or(PIECE).min(self.piece());
        let piece = read(self.file.clone(), length).await?;
        self.transfer.waits_for_limit();
        if let (Some(limiter), Some(count)) =
            (&self.limiter, NonZeroU32::new(u32::try_from(length).unwrap_or_default()))
        {
            // the burst is at least a piece, so this cannot be refused
            let _ = limiter.until_n_ready(count).await;
        }
        self.transfer.moved();
        Ok(piece)
    }
}

async fn read(file: Arc<File>, length: usize) -> io::Result<Bytes> {
    let read = tokio::task::spawn_blocking(move || {
        let mut piece = vec![0; length];
        (&*file).read_exact(&mut piece).map(|()| Bytes::from(piece))
    });
    read.await.map_err(io::Error::other)?
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
