//! What is said while nothing goes through, and for how long it is said to last.

use brandpost::domain::clock::{Clock, SystemClock};
use brandpost::domain::notice::NoticeName;
use brandpost::domain::upload::State;
use brandpost::ledger::{Notice, StatusRow};
use sandbox::{Fault, FaultAction};

use crate::support::pictures::jpg;
use crate::support::{Bench, OWN};

fn time(text: Option<&String>) -> jiff::Timestamp {
    text.unwrap().parse().unwrap()
}

async fn notice(bench: &Bench, name: NoticeName) -> Option<Notice> {
    bench.report().await.notices().await.unwrap().into_iter().find(|notice| notice.name == name)
}

#[tokio::test(flavor = "multi_thread")]
async fn no_file_is_to_be_tried_in_the_past_while_everything_waits() {
    let mut bench = Bench::with("[retry]\nfirst_delay = \"2m\"\nmax_delay = \"10m\"\n").await;
    for seed in 1..=9 {
        bench.drop_file(OWN, format!("{seed}.jpg"), &jpg(seed));
    }
    let busy =
        FaultAction::OssError { status: 503, code: "ServiceUnavailable".into(), message: "busy".into() };
    bench.sandbox.fault(Fault::oss(busy));
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
    bench.ledger().retry(&brandpost::ledger::RetrySelection::Ids(vec![waiting[0].id])).await.unwrap();
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
