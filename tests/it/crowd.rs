//! Hundreds of connections of strangers keep nobody from the page.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use reqwest::{Client, StatusCode};
use rustix::process::Uid;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::Bench;
use crate::support::pictures::jpg;

const HTTP: &str = "[http]\nlisten = \"127.0.0.1:0\"\n";

/// Whose connections they are, and how many.
const ACCOUNT: u32 = 47_130;
const CROWD: usize = 200;

/// While they are there, everything is answered in less than this.
const SOON: Duration = Duration::from_secs(5);

/// Connections that say the same again and again, and come back whenever they are closed, from a thread of their own.
struct Crowd {
    stop: Arc<AtomicBool>,
    connections: Arc<AtomicUsize>,
    thread: std::thread::JoinHandle<()>,
}

impl Crowd {
    /// Of another account of this machine, if `account` is one. Returns when they all have come.
    fn new(address: &str, account: Option<u32>, says: &str) -> Self {
        let (stop, connections) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (address, says, stopped, counted) =
            (address.to_owned(), says.to_owned(), stop.clone(), connections.clone());
        let thread = std::thread::spawn(move || {
            if let Some(account) = account {
                // of this thread alone
                rustix::thread::set_thread_uid(Uid::from_raw(account)).unwrap();
            }
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let come = |_| tokio::spawn(come_again(address.clone(), says.clone(), counted.clone()));
                let _members: Vec<_> = (0..CROWD).map(come).collect();
                while !stopped.load(Ordering::Relaxed) {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            });
        });
        while connections.load(Ordering::Relaxed) < CROWD {
            std::thread::sleep(Duration::from_millis(10));
        }
        Self { stop, connections, thread }
    }

    fn disperse(self) {
        assert!(self.connections.load(Ordering::Relaxed) > 0);
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap();
    }
}

async fn come_again(address: String, says: String, connections: Arc<AtomicUsize>) {
    loop {
        let Ok(mut stream) = TcpStream::connect(&address).await else { continue };
        connections.fetch_add(1, Ordering::Relaxed);
        let (mut reader, mut writer) = stream.split();
        let answers = async { while reader.read(&mut [0; 4096]).await.is_ok_and(|count| count > 0) {} };
        let requests = async {
            while writer.write_all(says.as_bytes()).await.is_ok() {}
            std::future::pending::<()>().await;
        };
        tokio::select! { () = answers => {}, () = requests => {} }
    }
}

async fn uploaded() -> Bench {
    let mut bench = Bench::with(HTTP).await;
    bench.drop_file(crate::support::OWN, "1.jpg", &jpg(1));
    bench.start().await;
    bench.quiet().await;
    bench
}

/// As a browser does it: on a connection of its own.
async fn visit(bench: &Bench, path: &str, cookie: &str) {
    let begin = Instant::now();
    let request = Client::new().get(bench.http() + path).header("cookie", cookie);
    let status = request.send().await.map(|answer| answer.status()).expect(path);
    assert_eq!(status, StatusCode::OK, "{path}");
    assert!(begin.elapsed() < SOON, "{path} after {:?}", begin.elapsed());
}

/// Shows the token, and gets a cookie.
async fn log_in(bench: &Bench) -> String {
    let begin = Instant::now();
    let request = Client::new().post(bench.http() + "/api/v1/login").header("x-brandpost", "1");
    let request = request.json(&serde_json::json!({ "token": bench.token() }));
    let answer = request.send().await.expect("the right token is answered");
    assert_eq!(answer.status(), StatusCode::NO_CONTENT);
    assert!(begin.elapsed() < SOON, "in after {:?}", begin.elapsed());
    let cookie = answer.headers()["set-cookie"].to_str().unwrap();
    cookie.split(';').next().unwrap().to_owned()
}

/// What strangers can keep the server busy with.
fn attacks() -> [(&'static str, String); 5] {
    let get = |path: &str, more: &str| format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n{more}\r\n");
    [
        ("wrong tokens", get("/api/v1/summary", "authorization: Bearer guess\r\n")),
        ("wrong cookies", get("/api/v1/summary", "cookie: brandpost=9.9.9\r\n")),
        ("health", get("/healthz", "").repeat(50)),
        ("metrics", get("/metrics", "").repeat(20)),
        ("the page", get("/assets/page.css", "").repeat(20)),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_keeps_nobody_from_the_page() {
    let mut bench = uploaded().await;
    let address = bench.http().replace("http://", "");
    let cookie = log_in(&bench).await;
    visit(&bench, "/api/v1/summary", &cookie).await;
    for (attack, says) in attacks() {
        // as behind a proxy: nothing but the cookie tells the operator from the crowd
        let crowd = Crowd::new(&address, None, &says);
        for path in ["/", "/assets/page.css", "/api/v1/summary"] {
            visit(&bench, path, &cookie).await;
        }
        crowd.disperse();
        if !rustix::process::geteuid().is_root() {
            eprintln!("\n***** SKIPPED, because it needs root: a crowd of another account, {attack} *****\n");
            continue;
        }
        let crowd = Crowd::new(&address, Some(ACCOUNT), &says);
        for path in ["/", "/assets/page.css", "/metrics", "/healthz"] {
            visit(&bench, path, "").await;
        }
        visit(&bench, "/api/v1/summary", &log_in(&bench).await).await;
        crowd.disperse();
    }
    bench.stop().await;
}
