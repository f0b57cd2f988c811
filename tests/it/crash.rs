//! `kill -9`, for real: the binary dies at any moment, and at the worst ones, and nothing is lost, sent into
//! another's place, or torn.
//!
//! `just crash 50 1000` runs as many rounds and files as wanted on the release build.

use brandpost::domain::brand::Outcome;
use std::collections::BTreeMap;
use std::time::Duration;

use brandpost::domain::upload::State;
use fastrand::Rng;
use image::{DynamicImage, ImageFormat, Rgb, RgbImage};
use sandbox::{Fault, FaultAction, Service};
use sqlx::Connection as _;

use crate::support::process::Process;
use crate::support::{Bench, OWN};

const LIMITS: &str = "[limits]\nconcurrency = 4\nuploads_per_second = 0\ngateway_per_second = 0\n";
const PATIENCE: Duration = Duration::from_mins(2);

fn number(name: &str, otherwise: u32) -> u32 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

/// A picture that no other number has.
fn picture(number: u32) -> Vec<u8> {
    let bytes = number.to_le_bytes();
    let image = RgbImage::from_fn(4, 3, |x, y| Rgb([bytes[(x % 4) as usize], bytes[2], (x * y) as u8]));
    let mut picture = std::io::Cursor::new(Vec::new());
    DynamicImage::ImageRgb8(image).write_to(&mut picture, ImageFormat::Png).unwrap();
    let mut picture = picture.into_inner();
    // phones append things too
    picture.extend(bytes);
    picture
}

pub async fn wait_for(what: &str, holds: impl AsyncFn() -> bool) {
    let waited = tokio::time::timeout(PATIENCE, async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    assert!(waited.await.is_ok(), "waited in vain for: {what}");
}

async fn all_end(bench: &Bench, files: usize) {
    wait_for("all files uploaded", async || {
        let counts = bench.counts_so_far().await;
        counts.of(State::Uploaded) == files as u64 && counts.total() == files as u64
    })
    .await;
}

/// Every file has one place, every place its own file's bytes, and no more was sent than was tried.
async fn check(bench: &Bench, files: &BTreeMap<String, Vec<u8>>) {
    let mut places = BTreeMap::new();
    for row in bench.rows().await {
        let key = format!(
            "qualification/{}/{}/{}.png",
            row.brand_type,
            row.brand_id,
            row.slot.expect("an uploaded file has a slot")
        );
        let name = format!("{}/{}/{}", row.brand_type, row.brand_id, row.file_name);
        assert_eq!(bench.object(&key), files[&name], "{name} at {key}");
        let puts = bench.sandbox.objects()[&key].puts;
        let attempts = bench.report().await.attempts(row.id).await.unwrap();
        assert!(attempts.iter().all(|attempt| attempt.outcome.is_some()), "{name}: an open attempt");
        assert!(puts as usize <= attempts.len(), "{name}: {puts} PUTs in {} attempts", attempts.len());
        let well = attempts.iter().filter(|attempt| attempt.outcome == Some(Outcome::Uploaded)).count();
        assert_eq!(well, 1, "{name} was uploaded once");
        assert_eq!(places.insert(key, name), None, "one file a place");
    }
    assert_eq!(places.len(), files.len());
    assert_eq!(bench.sandbox.objects().len(), files.len(), "nothing but these files was stored");
}

fn misbehave(bench: &Bench, rng: &mut Rng) {
    let oss = |status, code: &str| FaultAction::OssError { status, code: code.into(), message: "no".into() };
    let (service, action) = match rng.u32(0..6) {
        0 => (Service::Oss, oss(503, "ServiceUnavailable")),
        1 => (Service::Oss, FaultAction::ResetAfterStore),
        2 => (Service::Oss, FaultAction::Reset),
        3 => (Service::Oss, FaultAction::WrongCrc),
        4 => (Service::Gateway, FaultAction::Reset),
        _ => (
            Service::Gateway,
            FaultAction::Status { status: 503, headers: BTreeMap::new(), body: String::new() },
        ),
    };
    bench.sandbox.fault(Fault::new(service, action).times(rng.u32(1..4)).skip(rng.u32(0..8)));
}

async fn round(seed: u64, count: u32) {
    let mut rng = Rng::with_seed(seed);
    let bench = Bench::with(LIMITS).await;
    let mut files = BTreeMap::new();
    let mut left: Vec<u32> = (0..count).collect();
    rng.shuffle(&mut left);
    while !left.is_empty() {
        let process = Process::start(&bench);
        misbehave(&bench, &mut rng);
        let share = (count / 8).max(1);
        for _ in 0..rng.u32(share / 2..=share * 2) {
            let Some(number) = left.pop() else { break };
            let (brand, name) = (format!("OWNBRAND/{}", number / 10 + 1), format!("{number}.png"));
            bench.drop_file(&brand, &name, &picture(number));
            files.insert(format!("{brand}/{name}"), picture(number));
        }
        tokio::time::sleep(Duration::from_millis(rng.u64(5..400))).await;
        process.kill();
    }
    bench.sandbox.clear_faults();
    let last = Process::start(&bench);
    all_end(&bench, files.len()).await;
    last.kill();
    check(&bench, &files).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_moment_nothing_is_lost() {
    let (rounds, files) = (number("BRANDPOST_ROUNDS", 3), number("BRANDPOST_FILES", 60));
    for seed in 1..=u64::from(rounds) {
        round(seed, files).await;
        if rounds > 3 {
            println!("round {seed} of {rounds}: {files} files, none lost, doubled or torn");
        }
    }
}

/// The worst moments, each brought about from outside.
#[tokio::test(flavor = "multi_thread")]
async fn killed_at_the_worst_moments_nothing_is_lost() {
    let worst = [
        ("the slot is given, the gateway is asked", Service::Gateway, FaultAction::Hang),
        ("the token is there, the body was sent", Service::Oss, FaultAction::Hang),
        ("in the middle of the body", Service::Oss, FaultAction::SlowRead { bytes_per_second: 64 }),
        ("the object is stored, the answer is on its way", Service::Oss, FaultAction::Delay { ms: 200 }),
    ];
    for (moment, service, action) in worst {
        let bench = Bench::with(LIMITS).await;
        let bytes = picture(7);
        bench.drop_file(OWN, "a.png", &bytes);
        bench.sandbox.fault(Fault::new(service, action).times(1));
        let process = Process::start(&bench);
        wait_for(moment, async || bench.sandbox.requests().iter().any(|request| request.service == service))
            .await;
        process.kill();
        assert_eq!(bench.row("a.png").await.state, State::Uploading, "{moment}");
        ends_well(&bench, bytes).await;
    }
}

async fn ends_well(bench: &Bench, bytes: Vec<u8>) {
    let last = Process::start(bench);
    all_end(bench, 1).await;
    last.kill();
    check(bench, &BTreeMap::from([(format!("{OWN}/a.png"), bytes)])).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_between_the_answer_of_oss_and_the_commit() {
    let bench = Bench::with(LIMITS).await;
    let bytes = picture(7);
    bench.drop_file(OWN, "a.png", &bytes);
    bench.sandbox.fault(Fault::oss(FaultAction::Delay { ms: 100 }).times(1));
    let process = Process::start(&bench);
    wait_for("the PUT", async || !bench.puts().is_empty()).await;
    // from here on nothing can be committed
    let url = format!("sqlite://{}", bench.database().display());
    let mut other = sqlx::SqliteConnection::connect(&url).await.unwrap();
    sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut other).await.unwrap();
    wait_for("the answer", async || bench.puts()[0].status == Some(200)).await;
    process.kill();
    sqlx::raw_sql("ROLLBACK").execute(&mut other).await.unwrap();
    other.close().await.unwrap();
    assert_eq!(bench.row("a.png").await.state, State::Uploading);
    assert_eq!(bench.sandbox.objects().len(), 1, "OSS has it, the table does not know");
    ends_well(&bench, bytes).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_while_the_database_is_made() {
    let bench = Bench::with(LIMITS).await;
    let bytes = picture(7);
    bench.drop_file(OWN, "a.png", &bytes);
    for step in 0..12 {
        let process = Process::start(&bench);
        let file = bench.database();
        wait_for("the database's file", async || file.exists()).await;
        tokio::time::sleep(Duration::from_micros(step * 400)).await;
        process.kill();
        if step < 11 {
            for end in ["", "-wal", "-shm", ".lock"] {
                let _ = std::fs::remove_file(format!("{}{end}", bench.database().display()));
            }
        }
    }
    bench.sandbox.clear_faults();
    let last = Process::start(&bench);
    all_end(&bench, 1).await;
    last.kill();
    assert_eq!(bench.row("a.png").await.state, State::Uploaded);
}
