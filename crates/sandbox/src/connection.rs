//! The listener, and a hold on each socket that lets a handler break it.
//!
//! A handler cannot reach the socket under hyper, but it can cancel a token that the socket's wrapper looks
//! at before every read and write. From then on both fail, hyper drops the connection, and because the linger
//! time is nil the kernel sends a reset instead of an orderly end. Nothing of an answer gets out in between.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::{
    extract::{ConnectInfo, Request, connect_info::Connected},
    serve::{IncomingStream, Listener},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// After a failed accept (out of file descriptors, say): not at once again, or the loop eats a core.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

pub(super) struct SandboxListener {
    pub(super) tcp: TcpListener,
    /// Cancelled when the sandbox stops: breaks every connection.
    pub(super) stop: CancellationToken,
}

impl Listener for SandboxListener {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        loop {
            match self.tcp.accept().await {
                Ok((tcp, peer)) => return (Connection::new(tcp, self.stop.child_token()), peer),
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }
}

pub(super) struct Connection {
    tcp: TcpStream,
    cut: CancellationToken,
    /// Polled with every read and write, so that a cut wakes a connection that waits for its peer.
    cut_seen: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl Connection {
    fn new(tcp: TcpStream, cut: CancellationToken) -> Self {
        // Only a delay would come of its failing: answers here are small.
        let _ = tcp.set_nodelay(true);
        Self { tcp, cut_seen: Box::pin(cut.clone().cancelled_owned()), cut }
    }

    fn check(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        match self.cut_seen.as_mut().poll(cx) {
            Poll::Ready(()) => Err(io::ErrorKind::ConnectionReset.into()),
            Poll::Pending => Ok(()),
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if self.cut.is_cancelled() {
            // If it fails the peer sees an orderly end without an answer, which is as good a fault.
            let _ = self.tcp.set_zero_linger();
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check(cx)?;
        Pin::new(&mut self.tcp).poll_read(cx, buf)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.check(cx)?;
        Pin::new(&mut self.tcp).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check(cx)?;
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check(cx)?;
        ready!(Pin::new(&mut self.tcp).poll_shutdown(cx))?;
        Poll::Ready(Ok(()))
    }
}

/// A handler's hold on the connection its request came by.
#[derive(Debug, Clone, Default)]
pub(super) struct Hold(CancellationToken);

impl Hold {
    /// A router served without [`SandboxListener`] gets a hold on nothing but the request.
    pub(super) fn of(request: &Request) -> Self {
        let info = request.extensions().get::<ConnectInfo<Hold>>();
        info.map(|ConnectInfo(hold)| hold.clone()).unwrap_or_default()
    }

    pub(super) fn reset(&self) {
        self.0.cancel();
    }

    pub(super) async fn broken(&self) {
        self.0.cancelled().await;
    }
}

impl Connected<IncomingStream<'_, SandboxListener>> for Hold {
    fn connect_info(stream: IncomingStream<'_, SandboxListener>) -> Self {
        Self(stream.io().cut.clone())
    }
}
