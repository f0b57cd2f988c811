//! What the gateway grants, and how far it can be used: times that do not fit, URLs that end early or were signed
//! otherwise, objects that are another file's.

use brandpost::domain::failure::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use brandpost::domain::clock::{Clock, SystemClock};
use brandpost::domain::upload::State;
use brandpost::ledger::StatusRow;
use sandbox::{Fault, FaultAction, SandboxOptions, UploadUrl};
use serde_json::{Value, json};

use crate::support::pictures::jpg;
use crate::support::{Bench, OWN, names_in_state};

const HOST: &str = "http://iotx-industry.oss-cn-hangzhou.aliyuncs.com";

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_fast_by_almost_a_tokens_life_is_put_right() {
    let time: sandbox::Clock = Arc::new(|| SystemClock.now() - jiff::SignedDuration::from_secs(845));
    let options = SandboxOptions { time, token_life: Duration::from_mins(15), ..SandboxOptions::default() };
    let mut bench = Bench::build(options, "").await;
    for seed in 1..=3 {
        bench.drop_file(OWN, format!("{seed}.jpg"), &jpg(seed));
    }
    bench.once().await;
    let rows = bench.rows().await;
    assert!(rows.iter().all(|row| row.state == State::Uploaded && row.attempts == 1), "{rows:#?}");
    assert_eq!(bench.gateway_calls(), 3, "no grant is thrown away");
}

/// `expiration` as several programs write it. The gateway's clock is the machine's here.
#[tokio::test(flavor = "multi_thread")]
async fn an_expiration_is_read_however_it_is_written() {
    let end = SystemClock.now() + jiff::SignedDuration::from_hours(1);
    let plain = |format: &str, hours: i64| {
        (end + jiff::SignedDuration::from_hours(hours)).strftime(format).to_string()
    };
    let good: [Value; 7] = [
        json!(end.as_millisecond()),
        json!(end.as_second()),
        json!(end.as_millisecond().to_string()),
        json!(plain("%Y-%m-%d %H:%M:%S", 0)),
        json!(plain("%Y-%m-%dT%H:%M:%S", 0)),
        json!(plain("%Y-%m-%d %H:%M:%S", 8)),
        json!(format!(" {end} ")),
    ];
    for value in good {
        let mut bench = Bench::new().await;
        bench.drop_file(OWN, "a.jpg", &jpg(1));
        bench.sandbox.fault(Fault::gateway(FaultAction::BadExpiration { value: value.clone() }));
        bench.once().await;
        let row = bench.row("a.jpg").await;
        assert_eq!((row.state.as_str(), row.attempts), ("uploaded", 1), "{value}: {row:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_that_is_over_already_fails_no_file_for_good() {
    let mut bench = Bench::new().await;
    bench.drop_file(OWN, "a.jpg", &jpg(1));
    bench
        .sandbox
        .fault(Fault::gateway(FaultAction::BadExpiration { value: json!("2020-01-01T00:00:00Z") }).times(8));
    bench.once().await;
    let row = bench.row("a.jpg").await;
    assert_eq!((row.state.as_str(), row.attempts), ("uploaded", 9), "{row:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_url_that_was_signed_without_a_type_is_put_without_one() {
    let options = SandboxOptions { upload_url: UploadUrl::PresignedV1Untyped, ..SandboxOptions::default() };
    let mut bench = Bench::build(options, "").await;
    bench.start().await;
    for (seed, puts) in [(1, 2), (2, 3), (3, 4)] {
        let name = format!("{seed}.jpg");
        bench.drop_file(OWN, &name, &jpg(seed));
        let row = bench.until_state(&name, State::Uploaded).await;
        assert_eq!(row.attempts, 1);
        assert_eq!(bench.puts().len(), puts, "only the first has to find out");
    }
    assert_eq!(bench.gateway_calls(), 3);
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_url_whose_signature_is_never_right_fails_after_both_ways_and_a_fresh_grant() {
    let options = SandboxOptions { upload_url: UploadUrl::PresignedV1, ..SandboxOptions::default() };
    let mut bench = Bench::build(options, "").await;
    bench.drop_file(OWN, "a.jpg", &jpg(1));
    let wrong =
        FaultAction::OssError { status: 403, code: "SignatureDoesNotMatch".into(), message: "no".into() };
    bench.sandbox.fault(Fault::oss(wrong));
    bench.once().await;
    let row = bench.row("a.jpg").await;
    assert_eq!((row.state.as_str(), row.error_code.as_deref()), ("failed", Some("SignatureDoesNotMatch")));
    assert!(row.error_message.unwrap().contains("the signature in the gateway's uploadUrl"));
    assert_eq!((bench.gateway_calls(), bench.puts().len()), (2, 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_url_that_ends_before_its_token_costs_one_more_grant() {
    for upload_url in [UploadUrl::PresignedV1, UploadUrl::PresignedV4] {
        let options = SandboxOptions { upload_url, ..SandboxOptions::default() };
        let mut bench = Bench::build(options, "").await;
        bench.drop_file(OWN, "a.jpg", &jpg(1));
        bench.sandbox.fault(Fault::gateway(FaultAction::ShortUrl { seconds: -5 }).times(1));
        bench.once().await;
        let row = bench.row("a.jpg").await;
        assert_eq!((row.state.as_str(), row.attempts), ("uploaded", 1), "{row:#?}");
        assert_eq!((bench.gateway_calls(), bench.puts().len()), (2, 2));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn urls_that_are_always_over_wait_like_an_outage() {
    let options = SandboxOptions { upload_url: UploadUrl::PresignedV1, ..SandboxOptions::default() };
    let mut bench = Bench::build(options, "[retry]\nfirst_delay = \"2m\"\nmax_delay = \"2m\"\n").await;
    bench.drop_file(OWN, "a.jpg", &jpg(1));
    bench.sandbox.fault(Fault::gateway(FaultAction::ShortUrl { seconds: -5 }));
    bench.once().await;
    let row = bench.row("a.jpg").await;
    assert_eq!((row.state.as_str(), row.error_code.as_deref()), ("retrying", Some("AccessDenied")));
}

/// A retry uses its grant again, but not when the URL is about to end.
#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_url_counts_for_the_life_of_its_grant() {
    for upload_url in [UploadUrl::PresignedV1, UploadUrl::PresignedV4] {
        for (seconds, grants) in [(600, 1), (40, 2)] {
            let options = SandboxOptions { upload_url, ..SandboxOptions::default() };
            let mut bench = Bench::build(options, "").await;
            bench.drop_file(OWN, "a.jpg", &jpg(1));
            let busy =
                FaultAction::OssError { status: 503, code: "ServiceUnavailable".into(), message: "m".into() };
            bench.sandbox.fault(Fault::oss(busy).times(1));
            bench.sandbox.fault(Fault::gateway(FaultAction::ShortUrl { seconds }));
            bench.once().await;
            assert_eq!(bench.row("a.jpg").await.state, State::Uploaded);
            assert_eq!(bench.gateway_calls(), grants, "{upload_url:?} {seconds}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_is_one_files_only() {
    let mut bench = Bench::new().await;
    for seed in 1..=3 {
        bench.drop_file(OWN, format!("{seed}.jpg"), &jpg(seed));
    }
    bench
        .sandbox
        .fault(Fault::gateway(FaultAction::UploadUrl { value: format!("{HOST}/pictures/cert.jpg") }));
    // all three are granted theirs while the first is on its way
    bench.sandbox.fault(Fault::oss(FaultAction::Delay { ms: 300 }));
    bench.once().await;
    let rows = bench.rows().await;
    assert_eq!(names_in_state(&rows, State::Uploaded).len(), 1, "{rows:#?}");
    assert_eq!((bench.puts().len(), bench.sandbox.objects().len()), (1, 1));
    let first = names_in_state(&rows, State::Uploaded)[0].to_owned();
    for row in rows.iter().filter(|row| row.file_name != first) {
        assert_eq!((row.state.as_str(), row.error_kind), ("failed", Some(ErrorKind::BadUploadUrl)));
        let message = row.error_message.as_ref().unwrap();
        assert!(message.contains(&first) && message.contains(&row.file_name), "{message}");
        assert_eq!(row.slot, None, "nothing was sent");
    }
    // the table remembers, and other brands' files count too
    bench.drop_file("OTHERBRAND/7", "late.jpg", &jpg(9));
    bench.once().await;
    let late = bench.row("late.jpg").await;
    assert_eq!(late.error_kind, Some(ErrorKind::BadUploadUrl), "{late:#?}");
    assert!(late.error_message.unwrap().contains(&first));
    assert_eq!(bench.puts().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_released_slots_object_is_overwritten_by_whoever_takes_the_slot() {
    let mut bench = Bench::new().await;
    bench.drop_file(OWN, "a.jpg", &jpg(1));
    bench.start().await;
    bench.until_state("a.jpg", State::Uploaded).await;
    let (brand, _) = bench.report().await.brand(OWN.parse().unwrap()).await.unwrap().unwrap();
    bench.ledger().release(brand, &[1]).await.unwrap();
    bench.drop_file(OWN, "b.jpg", &jpg(2));
    let row = bench.until_state("b.jpg", State::Uploaded).await;
    assert_eq!(row.slot, Some(1));
    // the first one, changed, waits for another slot's object: its old one is none of its business any more
    let busy = FaultAction::OssError { status: 503, code: "ServiceUnavailable".into(), message: "m".into() };
    bench.sandbox.fault(Fault::oss(busy).matching(format!("{OWN}/2.")));
    bench.drop_file(OWN, "a.jpg", &jpg(3));
    assert_eq!(bench.until_state("a.jpg", State::Retrying).await.slot, Some(2));
    bench.drop_file(OWN, "b.jpg", &jpg(4));
    let again =
        |row: &StatusRow| row.revision == 2 && row.state != State::Queued && row.state != State::Uploading;
    bench.until("b.jpg again", |rows| rows.iter().any(|row| row.file_name == "b.jpg" && again(row))).await;
    assert_eq!(bench.row("b.jpg").await.error_message, None);
    bench.sandbox.clear_faults();
    bench.until_state("a.jpg", State::Uploaded).await;
    bench.until_state("b.jpg", State::Uploaded).await;
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_is_no_object() {
    for path in ["qualification/", "a//", "a%2F"] {
        let mut bench = Bench::new().await;
        bench.drop_file(OWN, "a.jpg", &jpg(1));
        bench.sandbox.fault(Fault::gateway(FaultAction::UploadUrl { value: format!("{HOST}/{path}") }));
        bench.once().await;
        let row = bench.row("a.jpg").await;
        assert_eq!((row.state.as_str(), row.error_kind), ("failed", Some(ErrorKind::BadUploadUrl)), "{path}");
        assert_eq!(bench.puts().len(), 0, "{path}");
    }
}
