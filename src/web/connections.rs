//! The connections of the HTTP service: who is let in, and how long a request may take.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use futures_util::FutureExt;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, mpsc};
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::Instant;

use super::accounts::Accounts;
use super::admission::{Admission, GRACE};
use super::client_stream::ClientStream;
use super::connection::Connection;
use super::origin::{self, Ends, Origin};
use crate::descriptors;

/// The most connections, or fewer where descriptors are few. Half of them are served, the others wait.
pub(super) const CONNECTIONS: usize = 256;

/// So many at a time are looked up in the kernel's tables.
const BATCH: usize = 256;

/// The head of a request must arrive within this time of the connection, or of the previous answer.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// The longest head, in bytes: a query that is too long is still read, and answered with 400.
const MAX_HEAD: usize = 80 << 10;

/// The pause after a failed accept (no descriptors left, for example).
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// Serves for ever. Dropping it closes all connections.
pub(super) async fn serve(listener: TcpListener, router: Router) {
    let request_done = Arc::new(Notify::new());
    let mut admission = Admission::new(descriptors::visitors(CONNECTIONS));
    let mut tasks = JoinSet::new();
    let (sender, mut arrivals) = mpsc::channel(BATCH);
    tokio::pin! {
        let arriving = arrive(listener, request_done.clone(), sender);
    }
    loop {
        tokio::select! {
            never = &mut arriving => match never {},
            Some((stream, connection)) = arrivals.recv() => admission.enqueue(stream, connection),
            Some(_) = tasks.join_next() => {}
            () = tokio::time::sleep(GRACE), if admission.has_queued() => {}
            () = request_done.notified(), if admission.has_queued() => {}
        }
        admission.admit_queued(|stream, connection| {
            tasks.spawn(serve_connection(stream, connection, router.clone()))
        });
    }
}

/// Accepts connections, and finds out where they come from: of all that wait at the listener at once.
async fn arrive(
    listener: TcpListener,
    request_done: Arc<Notify>,
    arrivals: mpsc::Sender<(TcpStream, Connection)>,
) -> Infallible {
    let accounts = Arc::new(Mutex::new(Accounts::of_this_machine()));
    loop {
        let mut streams = Vec::new();
        match listener.accept().await {
            Ok((stream, _)) => streams.push(stream),
            Err(_) => tokio::time::sleep(ACCEPT_RETRY).await,
        }
        while streams.len() < BATCH
            && let Some(Ok((stream, _))) = listener.accept().now_or_never()
        {
            streams.push(stream);
        }
        let ends = |stream: &TcpStream| Some(Ends::new(stream.peer_addr().ok()?, stream.local_addr().ok()?));
        // without a peer it is closed already
        let (streams, ends): (Vec<_>, Vec<_>) =
            streams.into_iter().filter_map(|stream| ends(&stream).map(|ends| (stream, ends))).unzip();
        let clients: Vec<_> = ends.iter().map(|ends| ends.client.ip()).collect();
        let accounts = accounts.clone();
        let origins = spawn_blocking(move || origins(&ends, &accounts)).await.unwrap_or_default();
        for ((stream, client), origin) in streams.into_iter().zip(clients).zip(origins) {
            let _ = arrivals.send((stream, Connection::new(client, origin, &request_done))).await;
        }
    }
}

fn origins(connections: &[Ends], accounts: &Mutex<Accounts>) -> Vec<Origin> {
    let mut accounts = accounts.lock().unwrap_or_else(PoisonError::into_inner);
    accounts.refresh(Instant::now());
    origin::origins(connections, &accounts)
}

async fn serve_connection(stream: TcpStream, connection: Connection, router: Router) {
    let router = TowerToHyperService::new(router);
    let stream = ClientStream::new(stream, connection.clone());
    let service = service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(connection.clone());
        router.call(request)
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(MAX_HEAD);
    // errors here are the client's
    let _ = http.serve_connection(TokioIo::new(stream), service).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::middleware;
    use axum::routing::{get, post};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    const ASK: &[u8] = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n";

    async fn served() -> (std::net::SocketAddr, tokio::task::JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new()
            .route("/", get(async || "hello"))
            .route("/login", post(async |_: axum::body::Bytes| "in"))
            .layer(middleware::from_fn(super::super::auth::limit_request));
        (address, tokio::spawn(serve(listener, router)))
    }

    async fn crowd(address: std::net::SocketAddr, sent: &[u8]) -> Vec<TcpStream> {
        let mut crowd = Vec::new();
        for _ in 0..CONNECTIONS + 60 {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(sent).await.unwrap();
            crowd.push(stream);
        }
        crowd
    }

    /// The clock is moved on whenever nobody has anything to do: in small steps, because sockets take none of its time.
    #[tokio::test(start_paused = true)]
    async fn unfinished_requests_make_room_and_time_out() {
        let (address, serving) = served().await;
        let ticking = tokio::spawn(async {
            loop {
                tokio::time::sleep(GRACE / 4).await;
            }
        });
        let post = b"POST /login HTTP/1.1\r\nhost: localhost\r\ncontent-length: 2000\r\n\r\n{\"token\":";
        for sent in [&b""[..], b"GET / HT", post] {
            let crowd = crowd(address, sent).await;
            let begin = Instant::now();
            let mut late = TcpStream::connect(address).await.unwrap();
            late.write_all(ASK).await.unwrap();
            let mut answer = [0; 12];
            late.read_exact(&mut answer).await.unwrap();
            assert_eq!(&answer, b"HTTP/1.1 200");
            assert!(begin.elapsed() < HEAD_TIMEOUT / 4, "at once, and not after {:?}", begin.elapsed());
            for mut stream in crowd {
                let mut rest = Vec::new();
                let _ = stream.read_to_end(&mut rest).await;
                let text = String::from_utf8_lossy(&rest);
                assert!(rest.is_empty() || text.starts_with("HTTP/1.1 408"), "{text}");
            }
            assert!(begin.elapsed() <= HEAD_TIMEOUT * 2, "{:?}", begin.elapsed());
        }
        ticking.abort();
        serving.abort();
    }
}
