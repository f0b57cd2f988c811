//! The connections of the HTTP service: how many are served, to which addresses they belong, and their timeouts.
//!
//! Clients must not be able to use up the descriptors that uploads need, or to keep other clients out. When a new
//! connection needs room, the oldest one that waits for its client is closed: for a request, for the rest of one, or
//! for the client to read an answer. Connections that have shown the token are not closed.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;

use super::client_stream::ClientStream;
use crate::descriptors;

/// The most connections, or fewer where descriptors are few: some of them are queued.
pub(super) const CONNECTIONS: usize = 128;

/// The head of a request must arrive within this time of the connection, or of the previous answer.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// The longest head, in bytes: a query that is too long is still read, and answered with 400.
const MAX_HEAD: usize = 80 << 10;

/// A client that keeps us waiting for less than this is not too slow, and its connection is not evicted.
const GRACE: Duration = Duration::from_millis(20);

/// The pause after a failed accept (no descriptors left, for example).
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// One connection, as the handlers of its requests see it.
#[derive(Debug, Clone)]
pub(super) struct Connection(Arc<ConnectionState>);

#[derive(Debug)]
struct ConnectionState {
    peer: IpAddr,
    requests: AtomicUsize,
    authenticated: AtomicBool,
    /// Since when the server has been waiting for the client.
    waiting: Mutex<Option<Instant>>,
    /// Notified at the end of a request.
    request_done: Arc<Notify>,
}

/// A request in progress.
pub(super) struct RequestGuard(Connection);

impl Connection {
    pub(super) fn new(peer: IpAddr, request_done: &Arc<Notify>) -> Self {
        Self(Arc::new(ConnectionState {
            peer: peer.to_canonical(),
            requests: AtomicUsize::new(0),
            authenticated: AtomicBool::new(false),
            waiting: Mutex::new(None),
            request_done: request_done.clone(),
        }))
    }

    /// Does it come from this machine?
    pub(super) fn is_local(&self) -> bool {
        self.0.peer.is_loopback()
    }

    /// Its client has shown the token.
    pub(super) fn mark_authenticated(&self) {
        self.0.authenticated.store(true, Ordering::Relaxed);
    }

    /// The server waits for the client, or not any more.
    pub(super) fn set_waiting(&self, waiting: bool) {
        let mut since = self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        *since = waiting.then(|| since.unwrap_or_else(Instant::now));
    }

    pub(super) fn begin_request(&self) -> RequestGuard {
        self.0.requests.fetch_add(1, Ordering::Relaxed);
        RequestGuard(self.clone())
    }

    fn is_evictable(&self) -> bool {
        let requests = self.0.requests.load(Ordering::Relaxed);
        let since = *self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        since.is_some_and(|since| since.elapsed() >= GRACE)
            && requests == 0
            && !self.0.authenticated.load(Ordering::Relaxed)
    }

    /// What connections are counted by: all addresses of this machine as one, an IPv4 address, an IPv6 network (/64).
    fn address_key(&self) -> IpAddr {
        match self.0.peer {
            _ if self.is_local() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(peer) => Ipv6Addr::from(u128::from(peer) & !u128::from(u64::MAX)).into(),
            peer @ IpAddr::V4(_) => peer,
        }
    }
}

impl Drop for RequestGuard {
    fn drop(&mut self) {
        self.0.0.requests.fetch_sub(1, Ordering::Relaxed);
        self.0.0.request_done.notify_one();
    }
}

/// Serves for ever. Dropping it closes all connections.
pub(super) async fn serve(listener: TcpListener, router: Router) {
    let request_done = Arc::new(Notify::new());
    let mut pool = ConnectionPool::new(router, descriptors::visitors(CONNECTIONS));
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    pool.queued.push_back((stream, Connection::new(peer.ip(), &request_done)));
                }
                Err(_) => tokio::time::sleep(ACCEPT_RETRY).await,
            },
            Some(_) = pool.tasks.join_next() => {}
            () = tokio::time::sleep(GRACE), if !pool.queued.is_empty() => {}
            () = request_done.notified(), if !pool.queued.is_empty() => {}
        }
        pool.admit_queued();
    }
}

struct ConnectionPool {
    router: Router,
    max_active: usize,
    /// The rest of the active connections is reserved for other addresses.
    max_per_address: usize,
    max_queued: usize,
    /// Oldest first.
    active: Vec<(Connection, AbortHandle)>,
    /// Oldest first.
    queued: VecDeque<(TcpStream, Connection)>,
    tasks: JoinSet<()>,
}

impl ConnectionPool {
    fn new(router: Router, connections: usize) -> Self {
        Self {
            router,
            max_active: (connections * 7 / 8).max(1),
            max_per_address: (connections * 5 / 8).max(1),
            max_queued: connections / 8,
            active: Vec::new(),
            queued: VecDeque::new(),
            tasks: JoinSet::new(),
        }
    }

    /// Serves queued connections as far as there is room for each. When the queue is too long, its oldest are closed.
    fn admit_queued(&mut self) {
        self.active.retain(|(_, task)| !task.is_finished());
        for (stream, connection) in std::mem::take(&mut self.queued) {
            if self.make_room_for(&connection) {
                let task =
                    self.tasks.spawn(serve_connection(stream, connection.clone(), self.router.clone()));
                self.active.push((connection, task));
            } else {
                self.queued.push_back((stream, connection));
            }
        }
        // the newest has the best chance that its client is still there
        let too_many = self.queued.len().saturating_sub(self.max_queued);
        self.queued.drain(..too_many);
    }

    /// Evicts a connection if that is needed and possible: the oldest of the address with the most evictable ones.
    fn make_room_for(&mut self, new: &Connection) -> bool {
        let key = new.address_key();
        let same_address = self.active.iter().filter(|(other, _)| other.address_key() == key).count();
        let address_is_full = same_address >= self.max_per_address;
        if !address_is_full && self.active.len() < self.max_active {
            return true;
        }
        let candidate = |(other, _): &(Connection, AbortHandle)| {
            let key = Some(other.address_key()).filter(|other| !address_is_full || *other == key);
            key.filter(|_| other.is_evictable())
        };
        let candidates: Vec<Option<IpAddr>> = self.active.iter().map(candidate).collect();
        let count = |key: IpAddr| candidates.iter().filter(|other| **other == Some(key)).count();
        let busiest = candidates.iter().flatten().max_by_key(|key| count(**key));
        let oldest = busiest.and_then(|key| candidates.iter().position(|other| *other == Some(*key)));
        oldest.map(|at| self.active.remove(at).1.abort()).is_some()
    }
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

    /// The clock is moved on whenever nobody has anything to do.
    #[tokio::test(start_paused = true)]
    async fn unfinished_requests_make_room_and_time_out() {
        let (address, serving) = served().await;
        let post = b"POST /login HTTP/1.1\r\nhost: localhost\r\ncontent-length: 2000\r\n\r\n{\"token\":";
        for sent in [&b""[..], b"GET / HT", post] {
            let begin = Instant::now();
            let crowd = crowd(address, sent).await;
            let mut late = TcpStream::connect(address).await.unwrap();
            late.write_all(ASK).await.unwrap();
            let mut answer = [0; 12];
            late.read_exact(&mut answer).await.unwrap();
            assert_eq!(&answer, b"HTTP/1.1 200");
            assert!(begin.elapsed() < GRACE * 3, "at once, and not after {:?}", begin.elapsed());
            for mut stream in crowd {
                let mut rest = Vec::new();
                let _ = stream.read_to_end(&mut rest).await;
                let text = String::from_utf8_lossy(&rest);
                assert!(rest.is_empty() || text.starts_with("HTTP/1.1 408"), "{text}");
            }
            assert!(begin.elapsed() <= HEAD_TIMEOUT * 2, "{:?}", begin.elapsed());
        }
        serving.abort();
    }

    #[tokio::test(start_paused = true)]
    async fn connections_of_one_address_leave_room_for_others() {
        let request_done = Arc::new(Notify::new());
        let from = |text: &str| Connection::new(text.parse().unwrap(), &request_done);
        let mut pool = ConnectionPool::new(Router::new(), CONNECTIONS);
        let mut requests = Vec::new();
        for (mine, same, other) in [
            ("127.0.0.1", "127.9.9.9", "10.0.0.1"),
            ("::ffff:10.0.0.1", "10.0.0.1", "10.0.0.2"),
            ("2001:db8::1", "2001:db8::9:9", "2001:db8:0:1::1"),
        ] {
            pool.active.clear();
            for _ in 0..pool.max_per_address {
                let connection = from(mine);
                connection.set_waiting(true);
                requests.push(connection.begin_request());
                pool.active.push((connection, pool.tasks.spawn(std::future::pending())));
            }
            tokio::time::advance(GRACE).await;
            assert!(!pool.make_room_for(&from(same)), "{mine} and {same} are counted as one");
            assert!(pool.make_room_for(&from(other)), "{other} is not counted with {mine}");
            requests.pop();
            assert!(pool.make_room_for(&from(same)), "an idle one makes room");
            assert_eq!(pool.active.len(), pool.max_per_address - 1);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn when_all_places_are_taken_the_busiest_address_makes_room() {
        let request_done = Arc::new(Notify::new());
        let mut pool = ConnectionPool::new(Router::new(), CONNECTIONS);
        for number in 0..pool.max_active {
            let peer = Ipv4Addr::new(10, 0, 0, if number < 40 { 1 } else { u8::try_from(number).unwrap() });
            let connection = Connection::new(peer.into(), &request_done);
            connection.set_waiting(true);
            if number == 0 {
                connection.mark_authenticated();
            }
            pool.active.push((connection, pool.tasks.spawn(std::future::pending())));
        }
        assert!(!pool.make_room_for(&Connection::new(Ipv4Addr::LOCALHOST.into(), &request_done)), "too soon");
        tokio::time::advance(GRACE).await;
        let count = |pool: &ConnectionPool, last: u8| {
            let peer = IpAddr::from(Ipv4Addr::new(10, 0, 0, last));
            pool.active.iter().filter(|(other, _)| other.address_key() == peer).count()
        };
        let local = || Connection::new(Ipv4Addr::LOCALHOST.into(), &request_done);
        assert!(pool.make_room_for(&local()));
        assert_eq!((count(&pool, 1), pool.active.len()), (39, pool.max_active - 1));
        assert!(pool.active[0].0.0.authenticated.load(Ordering::Relaxed), "an authenticated one stays");
        // when the busiest has none that can be evicted, another address makes room; not one that has only come
        pool.active.push((local(), pool.tasks.spawn(std::future::pending())));
        pool.active[..39].iter().for_each(|(other, _)| other.mark_authenticated());
        assert!(pool.make_room_for(&local()));
        assert_eq!((count(&pool, 1), pool.active.len()), (39, pool.max_active - 1));
    }
}
