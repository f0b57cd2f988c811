//! What is said while nothing goes through, and for how long it is said to last; and what ends it.

use std::path::PathBuf;

use brandpost::domain::clock::{Clock, SystemClock};
use brandpost::domain::notice::NoticeName;
use brandpost::domain::upload::State;
use brandpost::ledger::{Notice, RetrySelection, StatusRow};
use sandbox::{Fault, FaultAction};

use crate::support::pictures::jpg;
use crate::support::{Bench, OTHER, OWN, names_in_state};

fn time(text: Option<&String>) -> jiff::Timestamp {
    text.unwrap().parse().unwrap()
}

fn busy() -> Fault {
    Fault::oss(FaultAction::OssError {
        status: 503,
        code: "ServiceUnavailable".into(),
        message: "busy".into(),
    })
}

async fn notice(bench: &Bench, name: NoticeName) -> Option<Notice> {
    bench.report().await.notices().await.unwrap().into_iter().find(|notice| notice.name == name)
}

#[tokio::test(flavor = "multi_thread")]
async fn no_file_is_to_be_tried_in_the_past_while_everything_waits() {
    // one after the other: some are left when the breaker opens, however slow the machine is
    let one = "[limits]\nconcurrency = 1\nuploads_per_second = 0\ngateway_per_second = 0\n";
    let mut bench = Bench::with(&format!("[retry]\nfirst_delay = \"2m\"\nmax_delay = \"10m\"\n{one}")).await;
    for seed in 1..=9 {
        bench.drop_file(OWN, format!("{seed}.jpg"), &jpg(seed));
    }
    bench.sandbox.fault(busy());
    bench.start().await;
    bench.until("it waits", |rows| rows.iter().filter(|row| row.state == State::Retrying).count() >= 5).await;
    while notice(&bench, NoticeName::Paused).await.is_none() {
        tokio::task::yield_now().await;
    }
    bench.until("nothing is on its way", |rows| rows.iter().all(|row| row.state != State::Uploading)).await;
    let soonest = SystemClock.now() + jiff::SignedDuration::from_secs(60);
    let waiting = bench.rows().await;
    assert!(waiting.iter().any(|row| row.state == State::Queued), "{waiting:#?}");
    assert!(waiting.iter().all(|row| time(row.next_attempt_at.as_ref()) > soonest), "{waiting:#?}");
    // when it is over, each has its own time again: those that were never tried go at once
    let queued = waiting.iter().filter(|row| row.state == State::Queued).count();
    bench.sandbox.clear_faults();
    bench.ledger().retry(&RetrySelection::Ids(vec![waiting[0].id])).await.unwrap();
    let sent = |rows: &[StatusRow]| rows.iter().filter(|row| row.state == State::Uploaded).count() >= queued;
    bench.until("they are sent", sent).await;
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn throttling_that_lasts_is_said_until_something_goes_through() {
    let mut bench = Bench::with("[http]\nlisten = \"127.0.0.1:0\"\n").await;
    bench.drop_file(OWN, "a.jpg", &jpg(1));
    let throttled = FaultAction::CaError {
        status: 403,
        error_code: "T429FC".into(),
        message: "Throttled by flow control".into(),
    };
    bench.sandbox.fault(Fault::gateway(throttled));
    bench.start().await;
    let ready = format!("{}/readyz", bench.http());
    let said = loop {
        let answer = reqwest::get(&ready).await.unwrap();
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        if status == 503 {
            break text;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    };
    assert!(said.contains("slow down") && said.contains("Throttled by flow control"), "{said}");
    assert_eq!(notice(&bench, NoticeName::Throttled).await.unwrap().message, said.trim());
    let config = bench.config();
    let status = tokio::task::spawn_blocking(move || {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_brandpost"));
        command.arg("--config").arg(config).arg("status").env("LANG", "C").output().unwrap()
    });
    let status = String::from_utf8(status.await.unwrap().stdout).unwrap();
    assert!(status.contains("asks to slow down"), "{status}");
    bench.sandbox.clear_faults();
    bench.quiet().await;
    while notice(&bench, NoticeName::Throttled).await.is_some() {
        tokio::task::yield_now().await;
    }
    bench.stop().await;
}

/// An outage in which files of two brands have failed. Then files come that were never tried, of these brands, whose
/// folders are their owners'.
async fn outage(retry: &str, newcomers: &[&str], faults: impl IntoIterator<Item = Fault>) -> Bench {
    let mut bench = Bench::new().await;
    let entry = |brand: &&str| {
        let (kind, record) = brand.split_once('/').unwrap();
        let path = folder_of_its_own(&bench, brand);
        std::fs::create_dir_all(&path).unwrap();
        format!("[[brand]]\ntype = \"{kind}\"\nid = {record}\npath = \"{}\"\n", path.display())
    };
    let entries: String = newcomers.iter().map(entry).collect();
    bench.configure(&format!("[retry]\n{retry}{entries}"));
    for seed in 1..=3 {
        bench.drop_file(OWN, format!("{seed}.jpg"), &jpg(seed));
        bench.drop_file(OTHER, format!("{seed}.jpg"), &jpg(seed));
    }
    faults.into_iter().for_each(|fault| bench.sandbox.fault(fault));
    bench.start().await;
    while notice(&bench, NoticeName::Paused).await.is_none() {
        tokio::task::yield_now().await;
    }
    for (brand, seed) in newcomers.iter().zip([10, 20]) {
        for seed in seed..seed + 3 {
            std::fs::write(folder_of_its_own(&bench, brand).join(format!("{seed}.jpg")), jpg(seed)).unwrap();
        }
    }
    bench.until("they have come", |rows| rows.len() == 6 + newcomers.len() * 3).await;
    bench
}

fn folder_of_its_own(bench: &Bench, brand: &str) -> PathBuf {
    bench.folder.path().join(brand.replace('/', "-"))
}

/// Publish tries these at once, although they are due again only in minutes.
async fn retry(bench: &Bench, brand: &str) {
    let rows = bench.rows().await;
    let of_brand = |row: &&StatusRow| brand == format!("{}/{}", row.brand_type, row.brand_id);
    let ids = rows.iter().filter(of_brand).map(|row| row.id).collect();
    bench.ledger().retry(&RetrySelection::Ids(ids)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_probe_that_tells_nothing_keeps_no_other_brand_waiting() {
    let newcomers = ["OWNBRAND/7", "OWNBRAND/8"];
    let mut bench = outage("first_delay = \"2m\"\nmax_delay = \"2m\"\n", &newcomers, [busy()]).await;
    // whose folder it is can have each attempt end before it reaches a cloud
    for brand in newcomers {
        let folder = folder_of_its_own(&bench, brand);
        std::fs::rename(&folder, folder.with_extension("away")).unwrap();
    }
    bench.sandbox.clear_faults();
    retry(&bench, OWN).await;
    let sent = |rows: &[StatusRow]| names_in_state(rows, State::Uploaded).len() >= 3;
    bench.until("the others are sent", sent).await;
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_probe_that_takes_long_keeps_no_other_brand_waiting() {
    let hangs = || Fault::oss(FaultAction::Hang).matching("OWNBRAND/7/");
    let mut bench =
        outage("first_delay = \"500ms\"\nmax_delay = \"500ms\"\n", &["OWNBRAND/7"], [hangs(), busy()]).await;
    let hanging = |row: &StatusRow| row.path.contains("OWNBRAND-7") && row.state == State::Uploading;
    bench.until("one of them is the probe", |rows| rows.iter().any(hanging)).await;
    bench.sandbox.clear_faults();
    bench.sandbox.fault(hangs());
    bench.until("the others are sent", |rows| names_in_state(rows, State::Uploaded).len() == 6).await;
    bench.stop_now().await;
}
