//! Slots: ten a brand, given once, kept, released, waited for.

use brandpost::domain::failure::ErrorKind;
use brandpost::domain::upload::State;
use brandpost::ledger::BrandRow;

use crate::support::pictures::{jpg, png};
use crate::support::{Bench, OTHER, OWN};

async fn brand(bench: &Bench) -> BrandRow {
    bench.report().await.brand(OWN.parse().unwrap()).await.unwrap().unwrap().0
}

#[tokio::test(flavor = "multi_thread")]
async fn twelve_files_get_ten_slots_in_natural_order_and_a_released_one_goes_to_the_oldest() {
    let mut bench = Bench::new().await;
    for seed in 1..=12 {
        bench.drop_file(OWN, format!("{seed}.jpg"), &jpg(seed));
    }
    bench.start().await;
    bench.quiet().await;
    for slot in 1..=10u8 {
        let row = bench.row(&format!("{slot}.jpg")).await;
        assert_eq!((row.state.as_str(), row.slot), ("uploaded", Some(i64::from(slot))));
    }
    for name in ["11.jpg", "12.jpg"] {
        let row = bench.row(name).await;
        assert_eq!((row.state.as_str(), row.error_kind), ("rejected", Some(ErrorKind::LimitReached)));
    }

    bench.ledger().release(brand(&bench).await, &[4]).await.unwrap();
    let row = bench.until_state("11.jpg", State::Uploaded).await;
    assert_eq!(row.slot, Some(4));
    assert_eq!(bench.object("qualification/OWNBRAND/1001/4.jpg"), jpg(11));
    let released = bench.row("4.jpg").await;
    assert_eq!(
        (released.state.as_str(), released.slot),
        ("uploaded", None),
        "the row stays, its slot is null"
    );
    assert_eq!(bench.row("12.jpg").await.state, State::Rejected);
    bench.stop().await;
    assert_eq!(bench.puts().len(), 11);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_process_that_releases_is_noticed_at_once() {
    let mut bench = Bench::with("[images]\nmax_per_brand = 1\n").await;
    bench.drop_file(OWN, "1.jpg", &jpg(1));
    bench.drop_file(OWN, "2.jpg", &jpg(2));
    bench.start().await;
    bench.quiet().await;
    let status = std::process::Command::new(env!("CARGO_BIN_EXE_brandpost"))
        .arg("--config")
        .arg(bench.config())
        .args(["release", OWN, "1"])
        .output()
        .unwrap();
    assert!(status.status.success(), "{status:?}");
    assert_eq!(bench.until_state("2.jpg", State::Uploaded).await.slot, Some(1));
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_picture_under_a_second_name_is_a_duplicate() {
    let mut bench = Bench::new().await;
    bench.drop_file(OWN, "first.jpg", &jpg(1));
    bench.drop_file(OWN, "second.jpg", &jpg(1));
    bench.once().await;
    let row = bench.row("second.jpg").await;
    assert_eq!(
        (row.state.as_str(), row.error_kind, row.slot),
        ("rejected", Some(ErrorKind::Duplicate), None)
    );
    assert!(row.error_message.unwrap().contains("first.jpg"));
    assert_eq!(bench.puts().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_takes_the_place_of_an_original_that_went_before_it_was_sent() {
    let mut bench = Bench::new().await;
    let first = bench.drop_file(OWN, "first.jpg", &jpg(1));
    bench.drop_file(OWN, "second.jpg", &jpg(1));
    let outage = sandbox::FaultAction::Status {
        status: 503,
        headers: std::collections::BTreeMap::new(),
        body: String::new(),
    };
    bench.sandbox.fault(sandbox::Fault::gateway(outage));
    bench.start().await;
    bench.until_state("second.jpg", State::Rejected).await;
    std::fs::remove_file(first).unwrap();
    // or the copy was found first, and goes on under the row of the original
    let gone = |row: &brandpost::ledger::StatusRow| row.file_name != "first.jpg" || row.state == State::Gone;
    bench.until("the original is gone", |rows| rows.iter().all(gone)).await;
    bench.sandbox.clear_faults();
    assert_eq!(bench.until_state("second.jpg", State::Uploaded).await.slot, Some(1));
    bench.stop().await;
    assert_eq!(bench.object("qualification/OWNBRAND/1001/1.jpg"), jpg(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn reserved_slots_are_spared_from_the_first_start_on() {
    let mut bench = Bench::new().await;
    let clock = std::sync::Arc::new(brandpost::domain::clock::SystemClock);
    let ledger = brandpost::ledger::Ledger::open(bench.location(), clock).await.unwrap();
    let brand = ledger.register(&[(OWN.parse().unwrap(), 10)]).await.unwrap()[0];
    ledger.reserve(brand, &[1, 2]).await.unwrap();
    ledger.close().await;
    bench.drop_file(OWN, "a.jpg", &jpg(1));
    bench.once().await;
    assert_eq!(bench.row("a.jpg").await.slot, Some(3));
    let summary = &bench.report().await.brands(None, None, None).await.unwrap()[0];
    assert_eq!((summary.slots_total, summary.slots_used, summary.slots_reserved), (10, 1, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn names_can_choose_the_slot() {
    let mut bench = Bench::with("[slots]\nby = \"filename\"\n").await;
    bench.drop_file(OWN, "7.jpg", &jpg(1));
    bench.drop_file(OWN, "7.png", &png(2));
    bench.drop_file(OWN, "11.jpg", &jpg(3));
    bench.drop_file(OWN, "front.jpg", &jpg(4));
    bench.start().await;
    bench.quiet().await;
    let kind = async |name: &str| bench.row(name).await.error_kind.unwrap();
    assert_eq!(bench.row("7.jpg").await.slot, Some(7));
    assert_eq!(kind("7.png").await, ErrorKind::SlotTaken);
    assert_eq!(kind("11.jpg").await, ErrorKind::LimitReached);
    assert_eq!(kind("front.jpg").await, ErrorKind::SlotTaken);
    bench.ledger().release(brand(&bench).await, &[7]).await.unwrap();
    assert_eq!(bench.until_state("7.png", State::Uploaded).await.slot, Some(7));
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_before_it_reached_oss_gives_its_slot_back() {
    let mut bench = Bench::with("[images]\nmax_per_brand = 1\n").await;
    bench.drop_file(OWN, "1.jpg", &jpg(1));
    bench.drop_file(OWN, "2.jpg", &jpg(2));
    let refused = sandbox::FaultAction::Code {
        code: 460,
        message: Some("request parameter error.".into()),
        localized: Some("请求参数错误".into()),
    };
    bench.sandbox.fault(sandbox::Fault::gateway(refused).times(1));
    bench.once().await;
    let failed = bench.row("1.jpg").await;
    assert_eq!(
        (failed.state.as_str(), failed.slot, failed.error_code.as_deref()),
        ("failed", None, Some("460"))
    );
    assert_eq!(failed.error_message.as_deref(), Some("request parameter error. / 请求参数错误"));
    let next = bench.row("2.jpg").await;
    assert_eq!((next.state.as_str(), next.slot), ("uploaded", Some(1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn retry_tries_what_failed_and_looks_again_at_what_was_rejected() {
    let mut bench = Bench::new().await;
    bench.drop_file(OWN, "1.jpg", &jpg(1));
    let refused =
        sandbox::FaultAction::OssError { status: 403, code: "AccessDenied".into(), message: "no".into() };
    bench.sandbox.fault(sandbox::Fault::oss(refused).times(1));
    bench.start().await;
    bench.until_state("1.jpg", State::Failed).await;
    assert_eq!(bench.ledger().retry(&brandpost::ledger::RetrySelection::Failed).await.unwrap(), 1);
    let row = bench.until_state("1.jpg", State::Uploaded).await;
    assert_eq!((row.slot, row.attempts), (Some(1), 1));

    bench.drop_file(OWN, "note.jpg", b"text");
    bench.until_state("note.jpg", State::Rejected).await;
    assert_eq!(bench.ledger().retry(&brandpost::ledger::RetrySelection::Rejected).await.unwrap(), 1);
    bench.quiet().await;
    assert_eq!(bench.row("note.jpg").await.state, State::Rejected);
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_named_zero_harms_nobody() {
    let mut bench = Bench::with("[slots]\nby = \"filename\"\n").await;
    bench.drop_file(OWN, "0.jpg", &jpg(1));
    bench.drop_file(OWN, "3.jpg", &jpg(3));
    bench.start().await;
    bench.until_state("3.jpg", State::Uploaded).await;
    bench.until_state("0.jpg", State::Rejected).await;
    bench.ledger().release(brand(&bench).await, &[3]).await.unwrap();
    bench.drop_file(OWN, "4.jpg", &jpg(4));
    assert_eq!(bench.until_state("4.jpg", State::Uploaded).await.slot, Some(4));
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn renaming_a_rejected_file_as_it_was_advised_mends_it() {
    let mut bench = Bench::with("[slots]\nby = \"filename\"\n[images]\nmismatch = \"reject\"\n").await;
    let path = bench.drop_file(OWN, "front.gif", &jpg(1));
    bench.start().await;
    let row = bench.until_state("front.gif", State::Rejected).await;
    assert_eq!(row.error_kind, Some(ErrorKind::SuffixMismatch));
    std::fs::rename(&path, path.with_file_name("front.jpg")).unwrap();
    bench
        .until("its name gives no slot", |rows| {
            rows.iter().any(|row| row.error_kind == Some(ErrorKind::SlotTaken))
        })
        .await;
    std::fs::rename(path.with_file_name("front.jpg"), path.with_file_name("8.jpg")).unwrap();
    assert_eq!(bench.until_state("8.jpg", State::Uploaded).await.slot, Some(8));
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_released_picture_dropped_under_a_new_name_is_sent_again() {
    let mut bench = Bench::with("[images]\nmax_per_brand = 2\n").await;
    let path = bench.drop_file(OWN, "a.jpg", &jpg(1));
    bench.start().await;
    bench.until_state("a.jpg", State::Uploaded).await;
    bench.ledger().release(brand(&bench).await, &[1]).await.unwrap();
    std::fs::remove_file(path).unwrap();
    bench.drop_file(OWN, "c.jpg", &jpg(3));
    assert_eq!(bench.until_state("c.jpg", State::Uploaded).await.slot, Some(1));
    bench.drop_file(OWN, "again.jpg", &jpg(1));
    assert_eq!(bench.until_state("again.jpg", State::Uploaded).await.slot, Some(2));
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_be_on_oss_keeps_its_slot() {
    let mut bench = Bench::with("[retry]\nfirst_delay = \"2m\"\nmax_delay = \"2m\"\n").await;
    let path = bench.drop_file(OWN, "a.jpg", &jpg(1));
    bench.sandbox.fault(sandbox::Fault::oss(sandbox::FaultAction::ResetAfterStore));
    bench.once().await;
    std::fs::remove_file(path).unwrap();
    bench.once().await;
    let row = bench.row("a.jpg").await;
    assert_eq!((row.state.as_str(), row.slot), ("gone", Some(1)), "stored, but the answer was lost");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_is_silent_leaks_no_slot_and_a_lost_answer_of_oss_frees_none() {
    use sandbox::{Fault, FaultAction};
    let keys = "[retry]\nfirst_delay = \"5ms\"\nmax_delay = \"5ms\"\nmax_attempts = 1\n";
    for (fault, slot) in
        [(Fault::gateway(FaultAction::Reset), None), (Fault::oss(FaultAction::ResetAfterStore), Some(1))]
    {
        let mut bench = Bench::with(keys).await;
        bench.drop_file(OWN, "a.jpg", &jpg(1));
        bench.sandbox.fault(fault);
        bench.once().await;
        let row = bench.row("a.jpg").await;
        assert_eq!((row.error_kind, row.slot), (Some(ErrorKind::AttemptsExhausted), slot));
    }
}

/// The first files of a new folder are there before its watch stands, the rest is seen to be closed.
#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_is_copied_in_file_by_file_is_taken_in_order_of_names() {
    let mut bench = Bench::with("[watch]\nsettle = \"500ms\"\n").await;
    bench.start().await;
    bench.seen(OTHER).await;
    for number in 1..=12 {
        bench.drop_file(OWN, format!("{number}.jpg"), &jpg(number));
        tokio::time::sleep(std::time::Duration::from_millis(15)).await;
    }
    bench.until("all are recorded", |rows| rows.len() == 13).await;
    for number in 1..=10 {
        assert_eq!(bench.row(&format!("{number}.jpg")).await.slot, Some(i64::from(number)));
    }
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_of_a_picture_that_was_released_is_sent_for_itself() {
    let mut bench = Bench::new().await;
    bench.drop_file(OWN, "a.jpg", &jpg(1));
    bench.drop_file(OWN, "b.jpg", &jpg(1));
    bench.start().await;
    bench.until_state("b.jpg", State::Rejected).await;
    bench.until_state("a.jpg", State::Uploaded).await;
    bench.ledger().release(brand(&bench).await, &[1]).await.unwrap();
    let copy = bench.until_state("b.jpg", State::Uploaded).await;
    assert_eq!(copy.slot, Some(1));
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_takes_the_place_of_its_original_when_that_is_released() {
    for delete in [false, true] {
        let mut bench = Bench::new().await;
        let original = bench.drop_file(OWN, "a.jpg", &jpg(1));
        bench.start().await;
        bench.until_state("a.jpg", State::Uploaded).await;
        bench.drop_file(OWN, "b.jpg", &jpg(1));
        bench.until_state("b.jpg", State::Rejected).await;
        if delete {
            std::fs::remove_file(&original).unwrap();
        }
        bench.ledger().release(brand(&bench).await, &[1]).await.unwrap();
        let row = bench.until_state("b.jpg", State::Uploaded).await;
        assert_eq!((row.slot, bench.row("a.jpg").await.slot), (Some(1), None), "deleted: {delete}");
        bench.stop().await;
    }
}

/// The picture itself waits for a slot again: what it released went to others.
#[tokio::test(flavor = "multi_thread")]
async fn a_released_picture_that_is_dropped_again_is_taken() {
    let mut bench = Bench::new().await;
    bench.drop_file(OWN, "a.jpg", &jpg(1));
    bench.start().await;
    bench.until_state("a.jpg", State::Uploaded).await;
    bench.drop_file(OWN, "b.jpg", &jpg(1));
    bench.until_state("b.jpg", State::Rejected).await;
    bench.ledger().release(brand(&bench).await, &[1]).await.unwrap();
    bench.until_state("b.jpg", State::Uploaded).await;
    bench.stop().await;
    bench.once().await;
    assert_eq!(bench.row("b.jpg").await.state, State::Uploaded);
    assert_eq!(bench.row("a.jpg").await.slot, None);
}
