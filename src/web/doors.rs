//! The doors: how many may be in at a time, and how long one may stand there without asking for anything. Whoever
//! comes here must not be able to take the descriptors that the uploads need.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::descriptors;

/// So many connections are served at a time, or fewer where descriptors are few; the next ones wait until one ends.
pub(super) const CONNECTIONS: usize = 128;

/// A request must be there, head and all, within this time of the connection or of the answer before it.
const HEAD: Duration = Duration::from_secs(10);

/// After a failed accept (out of descriptors, say): not at once again.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// Serves for ever. Dropping it ends all connections.
pub(super) async fn serve(listener: TcpListener, router: Router) {
    let places = Arc::new(Semaphore::new(descriptors::visitors(CONNECTIONS)));
    let mut connections = JoinSet::new();
    loop {
        // the semaphore is never closed
        let Ok(place) = places.clone().acquire_owned().await else { return };
        while connections.try_join_next().is_some() {}
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_AGAIN).await;
            continue;
        };
        let service = TowerToHyperService::new(router.clone());
        connections.spawn(async move {
            let mut http = http1::Builder::new();
            http.timer(TokioTimer::new()).header_read_timeout(HEAD);
            // what goes wrong here is the visitor's
            let _ = http.serve_connection(TokioIo::new(stream), service).await;
            drop(place);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    /// The clock is moved on whenever nobody has anything to do.
    #[tokio::test(start_paused = true)]
    async fn whoever_stands_in_the_door_is_sent_away_and_others_come_in() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().route("/", get(async || "hello"));
        let serving = tokio::spawn(serve(listener, router));
        let mut idle = Vec::new();
        for _ in 0..CONNECTIONS {
            idle.push(TcpStream::connect(address).await.unwrap());
        }
        let mut late = TcpStream::connect(address).await.unwrap();
        late.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        late.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("hello"), "{answer}");
        for mut stream in idle {
            let mut rest = Vec::new();
            let _ = stream.read_to_end(&mut rest).await;
            assert!(
                rest.is_empty() || rest.starts_with(b"HTTP/1.1 408"),
                "{}",
                String::from_utf8_lossy(&rest)
            );
        }
        serving.abort();
    }
}
