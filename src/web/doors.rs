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

/// So many connections are served at a time; the next ones wait until one ends.
pub(super) const CONNECTIONS: usize = 128;

/// A request must be there, head and all, within this time of the connection or of the answer before it.
const HEAD: Duration = Duration::from_secs(10);

/// After a failed accept (out of descriptors, say): not at once again.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// Serves for ever. Dropping it ends all connections.
pub(super) async fn serve(listener: TcpListener, router: Router) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
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
