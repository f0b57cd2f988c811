//! What the daemon promises: how long from the rename into a folder to `uploaded`, and how its throughput
//! compares with bare PUTs of the same bytes to the same server in the same run.
//!
//! `cargo bench --bench pipeline` (`just bench`). Absolute times depend on the machine; the ratio less so.

#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a bench that cannot go on has failed; it prints, and measures real time"
)]

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use brandpost::config::Settings;
use brandpost::daemon::lifecycle::ShutdownSignals;
use brandpost::daemon::{self, Progress, Until};
use brandpost::domain::clock::SystemClock;
use brandpost::domain::upload::State;
use brandpost::ledger::Report;
use futures_util::StreamExt;
use sandbox::{Sandbox, SandboxOptions};
use tokio::sync::oneshot;

#[path = "../tests/it/support/postgres.rs"]
#[expect(dead_code, reason = "the tests need more of it")]
mod postgres;

/// So many files of this size a host, where engines are compared.
const HOST_FILES: u32 = 600;
const HOST_SIZE: usize = 100 << 10;

const DROPS: u32 = 200;
const BRANDS: u32 = 100;
const PER_BRAND: u32 = 10;
/// About the size of a phone's picture after mail.
const SIZE: usize = 348 << 10;

/// A JPEG of exactly this size: a tiny picture and data behind it, as phones append.
fn picture(seed: u32, size: usize) -> Vec<u8> {
    let tint = seed.to_le_bytes();
    let image = image::RgbImage::from_pixel(16, 16, image::Rgb([tint[0], tint[1], tint[2]]));
    let mut bytes = std::io::Cursor::new(Vec::new());
    image.write_to(&mut bytes, image::ImageFormat::Jpeg).unwrap();
    let mut bytes = bytes.into_inner();
    bytes.extend_from_slice(&tint);
    bytes.resize(size.max(bytes.len()), 0);
    bytes
}

fn config(folder: &Path, port: u16) -> Settings {
    let text = format!(
        "[gateway]\nurl = \"http://127.0.0.1:{port}\"\napp_id = \"a1B2c3D4\"\napp_key = \"30001234\"\napp_secret_file = \"secret\"\n\
         [oss]\nhttps = \"allow\"\n[network.resolve]\n\"iotx-industry.oss-cn-hangzhou.aliyuncs.com\" = \"127.0.0.1:{port}\"\n\
         [limits]\nconcurrency = 16\nuploads_per_second = 0\ngateway_per_second = 0\n[images]\ncheck = \"structure\"\n"
    );
    fs::create_dir_all(folder.join("inbox")).unwrap();
    fs::write(folder.join("secret"), "sandbox-app-secret").unwrap();
    fs::set_permissions(folder.join("secret"), std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    fs::write(folder.join("config.toml"), text).unwrap();
    Settings::load(&folder.join("config.toml")).unwrap()
}

fn drop_file(folder: &Path, brand: u32, name: u32, bytes: &[u8]) {
    let brand = folder.join(format!("inbox/OWNBRAND/{brand}"));
    fs::create_dir_all(&brand).unwrap();
    fs::write(brand.join(".new"), bytes).unwrap();
    fs::rename(brand.join(".new"), brand.join(format!("{name}.jpg"))).unwrap();
}

async fn uploaded(report: &Report) -> u64 {
    report.counts(None).await.unwrap().of(State::Uploaded)
}

async fn latency() {
    let folder = tempfile::tempdir().unwrap();
    let sandbox = Sandbox::start(SandboxOptions::default()).await.unwrap();
    let settings = config(folder.path(), sandbox.addr().port());
    let (stop, (started, progress)) = (ShutdownSignals::default(), oneshot::channel::<Progress>());
    let told = stop.clone();
    let started = move |progress| drop(started.send(progress));
    let daemon = tokio::spawn(daemon::run(settings, Arc::new(SystemClock), Until::Stopped, told, started));
    let ledger = progress.await.unwrap().ledger;
    for brand in 1..=DROPS / PER_BRAND {
        fs::create_dir_all(folder.path().join(format!("inbox/OWNBRAND/{brand}"))).unwrap();
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    let mut changes = ledger.changes();
    let mut took = Vec::new();
    for number in 0..DROPS {
        let began = Instant::now();
        drop_file(folder.path(), 1 + number / PER_BRAND, number, &picture(number, 100 << 10));
        while uploaded(ledger.report()).await <= u64::from(number) {
            let _ = tokio::time::timeout(Duration::from_millis(5), changes.changed()).await;
        }
        took.push(began.elapsed());
    }
    stop.soon();
    daemon.await.unwrap().unwrap();
    took.sort();
    let at = |part: usize| took[(took.len() - 1) * part / 100].as_secs_f64() * 1000.0;
    println!(
        "drop to uploaded, {DROPS} files one at a time: p50 {:.1} ms (bound 10), p99 {:.1} ms (bound 30)",
        at(50),
        at(99)
    );
}

async fn throughput() {
    let folder = tempfile::tempdir().unwrap();
    let sandbox = Sandbox::start(SandboxOptions::default()).await.unwrap();
    let settings = config(folder.path(), sandbox.addr().port());
    let files = BRANDS * PER_BRAND;
    for number in 0..files {
        drop_file(folder.path(), 1 + number / PER_BRAND, number, &picture(number, SIZE));
    }
    let began = Instant::now();
    daemon::run(settings, Arc::new(SystemClock), Until::Done, ShutdownSignals::default(), drop)
        .await
        .unwrap();
    let ours = began.elapsed();
    assert_eq!(sandbox.objects().len(), files as usize);
    let bare = bare_puts(files).await;
    println!(
        "{files} files of {} KiB in {BRANDS} folders: {:.2} s ({:.0} a second); bare PUTs to a sink: {:.2} s; ratio {:.2}",
        SIZE >> 10,
        ours.as_secs_f64(),
        f64::from(files) / ours.as_secs_f64(),
        bare.as_secs_f64(),
        bare.as_secs_f64() / ours.as_secs_f64()
    );
}

/// The same bytes from memory, sixteen at a time, to a server that throws them away.
async fn bare_puts(files: u32) -> Duration {
    let sink = Router::new().fallback(async |request: Request<Body>| {
        let mut body = request.into_body().into_data_stream();
        while body.next().await.is_some() {}
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/x", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, sink).await });
    let client = reqwest::Client::new();
    let body = bytes::Bytes::from(picture(0, SIZE));
    let began = Instant::now();
    let puts = futures_util::stream::iter(0..files).map(|_| client.put(&url).body(body.clone()).send());
    let sent = puts.buffer_unordered(16).filter(|answer| std::future::ready(answer.is_ok())).count().await;
    assert_eq!(sent, files as usize);
    began.elapsed()
}

/// The same files with SQLite and with PostgreSQL on this machine, by one host and by three.
async fn engines() {
    let Some(cluster) = postgres::Cluster::start() else {
        println!("PostgreSQL is not installed: nothing is compared with it");
        return;
    };
    let sqlite = hosts(1, None).await;
    let one = hosts(1, Some(cluster.database())).await;
    let three = hosts(3, Some(cluster.database())).await;
    println!(
        "{HOST_FILES} files of {} KiB a host: SQLite {sqlite:.0} a second; PostgreSQL {one:.0}, ratio {:.2} (bound 0.5); \
         three hosts {three:.0}, ratio to one {:.2} (bound 1.5)",
        HOST_SIZE >> 10,
        one / sqlite,
        three / one
    );
}

/// Files a second, of hosts that work at the same time, each on brands that the others have too.
async fn hosts(count: u32, server: Option<String>) -> f64 {
    let sandbox = Sandbox::start(SandboxOptions::default()).await.unwrap();
    let folders: Vec<_> = (0..count).map(|_| tempfile::tempdir().unwrap()).collect();
    let mut all = Vec::new();
    for (host, folder) in (0..).zip(&folders) {
        let path = folder.path();
        config(path, sandbox.addr().port());
        let mut text = fs::read_to_string(path.join("config.toml")).unwrap();
        let database = server.as_ref().map(|url| format!("[database]\nurl = \"{url}\"\n"));
        text = format!("{text}[watch]\ninbox = \"host-{host}\"\n{}", database.unwrap_or_default());
        fs::write(path.join("config.toml"), text).unwrap();
        // three files of each brand, so that three hosts fit into its ten slots
        for number in 0..HOST_FILES {
            let bytes = picture(host * HOST_FILES + number, HOST_SIZE);
            drop_file(path, 1 + number / 3, number, &bytes);
        }
        all.push(Settings::load(&path.join("config.toml")).unwrap());
    }
    let began = Instant::now();
    let runs = all.into_iter().map(|settings| {
        let stop = ShutdownSignals::default();
        tokio::spawn(daemon::run(settings, Arc::new(SystemClock), Until::Done, stop, drop))
    });
    for run in runs.collect::<Vec<_>>() {
        run.await.unwrap().unwrap();
    }
    let took = began.elapsed().as_secs_f64();
    let files = HOST_FILES * count;
    assert_eq!(sandbox.objects().len(), files as usize);
    f64::from(files) / took
}

/// What the server of the tests needs of its crate.
fn write_private(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
}

fn main() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(latency());
    runtime.block_on(throughput());
    runtime.block_on(engines());
}
