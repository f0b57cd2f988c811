//! What OSS's answer says of the bytes that arrived: which checksum decides, and what follows when none does.

use brandpost::domain::failure::ErrorKind;
use std::collections::BTreeMap;
use std::time::Duration;

use brandpost::domain::upload::State;
use sandbox::{Fault, FaultAction, SandboxOptions, UploadUrl};

use crate::support::pictures::jpg;
use crate::support::{Bench, OWN, names_in_state};

fn headers(set: &[(&str, &str)], remove: &[&str]) -> FaultAction {
    let set = set.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    FaultAction::Headers {
        set: set.collect(),
        remove: remove.iter().map(|name| (*name).to_owned()).collect(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_etag_that_is_no_md5_is_nothing_where_the_crc_is_right() {
    let etags = [
        "\"5B3C1A2E053D763E1B002CC607C5A0FE\"",
        "W/\"5B3C1A2E053D763E1B002CC607C5A0FE\"",
        "\"fMvCuFSGIPRtlxvY53ulhw==-1\"",
        "img.example.com-cdn",
    ];
    for etag in etags {
        let mut bench = Bench::new().await;
        bench.drop_file(OWN, "a.jpg", &jpg(1));
        bench.sandbox.fault(Fault::oss(headers(&[("etag", etag)], &[])));
        bench.once().await;
        let row = bench.row("a.jpg").await;
        assert_eq!((row.state.as_str(), row.attempts), ("uploaded", 1), "{etag}: {row:#?}");
        assert_eq!(bench.puts().len(), 1, "{etag}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_crc_the_etag_decides_however_it_is_written() {
    let mut bench = Bench::new().await;
    bench.drop_file(OWN, "a.jpg", &jpg(1));
    bench.once().await;
    let md5 = bench.row("a.jpg").await.etag.unwrap();
    for etag in [format!("W/\"{md5}\""), md5.to_lowercase()] {
        let mut bench = Bench::new().await;
        bench.drop_file(OWN, "a.jpg", &jpg(1));
        bench.sandbox.fault(Fault::oss(headers(&[("etag", &etag)], &["x-oss-hash-crc64ecma"])));
        bench.once().await;
        let row = bench.row("a.jpg").await;
        assert_eq!(
            (row.state.as_str(), row.etag.unwrap().to_uppercase()),
            ("uploaded", md5.clone()),
            "{etag}"
        );
    }
}

/// Each of these meets every file, so it must not cost a request a file.
#[tokio::test(flavor = "multi_thread")]
async fn answers_without_a_checksum_that_fits_pause_like_an_outage() {
    let crc = "x-oss-hash-crc64ecma";
    let faults = [
        (headers(&[], &["etag", crc]), "the answer has no checksum"),
        (headers(&[("etag", "\"00\"")], &[crc]), "the answer has no CRC-64"),
        (FaultAction::WrongCrc, "OSS has other bytes than the file"),
    ];
    for (fault, words) in faults {
        let mut bench = Bench::with("[retry]\nfirst_delay = \"300ms\"\nmax_delay = \"10m\"\n").await;
        for brand in 1..=3 {
            for seed in 1..=8 {
                bench.drop_file(&format!("OWNBRAND/{brand}"), format!("{seed}.jpg"), &jpg(seed + 10 * brand));
            }
        }
        bench.sandbox.fault(Fault::oss(fault));
        bench.start().await;
        bench.until("all are recorded", |rows| rows.len() == 24).await;
        bench.until("a probe has failed", |_| bench.puts().len() > 6).await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        // of the first four nobody knows what was sent; then what is sent is hashed, and 4 at a time begin before the fifth
        // failure; then 0.3, 0.6, 1.2 … seconds
        assert!(bench.puts().len() <= 16, "{words}: {}", bench.puts().len());
        let notices = bench.report().await.notices().await.unwrap();
        assert!(notices.iter().any(|notice| notice.message.contains(words)), "{notices:#?}");
        let rows = bench.rows().await;
        let row = rows.iter().find(|row| row.state == State::Retrying).unwrap();
        assert_eq!(row.error_kind, Some(ErrorKind::ChecksumMismatch));
        assert!(row.error_message.as_ref().unwrap().contains(words), "{row:#?}");
        bench.sandbox.clear_faults();
        bench.quiet().await;
        assert_eq!(names_in_state(&bench.rows().await, State::Uploaded).len(), 24);
        bench.stop().await;
    }
}

fn heads(bench: &Bench) -> usize {
    bench.puts().iter().filter(|request| request.method == "HEAD").count()
}

/// The answer to the first PUT is lost, and the second finds its own bytes in the way.
#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_forbids_overwriting_has_the_bytes_already() {
    let shapes = [
        (UploadUrl::Bucket, "v4"),
        (UploadUrl::Path, "v1"),
        (UploadUrl::PresignedV1, "auto"),
        (UploadUrl::PresignedV4, "v4"),
    ];
    for (upload_url, signature) in shapes {
        let keys = format!("[oss]\nhttps = \"allow\"\nsignature = \"{signature}\"\n");
        let options = SandboxOptions { upload_url, ..SandboxOptions::default() };
        let mut bench = Bench::build(options, &keys).await;
        bench.drop_file(OWN, "a.jpg", &jpg(1));
        bench.sandbox.fault(Fault::oss(FaultAction::ForbidOverwrite));
        bench.sandbox.fault(Fault::oss(FaultAction::ResetAfterStore).times(1));
        bench.once().await;
        let row = bench.row("a.jpg").await;
        assert_eq!(
            (row.state.as_str(), row.slot, row.attempts),
            ("uploaded", Some(1), 2),
            "{upload_url:?}: {row:#?}"
        );
        assert_eq!(heads(&bench), 1, "{upload_url:?}");
        assert!(!row.object_url.unwrap().contains('?'));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_picture_in_a_bucket_that_forbids_overwriting_is_a_refusal_with_advice() {
    let mut bench = Bench::new().await;
    bench.drop_file(OWN, "a.jpg", &jpg(1));
    bench.once().await;
    let (brand, _) = bench.report().await.brand(OWN.parse().unwrap()).await.unwrap().unwrap();
    let ledger = bench.ledger_of_its_own().await;
    ledger.release(brand, &[1]).await.unwrap();
    ledger.close().await;
    std::fs::remove_file(bench.brand(OWN).join("a.jpg")).unwrap();
    bench.drop_file(OWN, "b.jpg", &jpg(2));
    bench.sandbox.fault(Fault::oss(FaultAction::ForbidOverwrite));
    bench.once().await;
    let row = bench.row("b.jpg").await;
    let found = (row.state.as_str(), row.error_kind.map(ErrorKind::as_str), row.error_code.as_deref());
    assert_eq!(found, ("failed", Some("oss_rejected"), Some("FileAlreadyExists")), "{row:#?}");
    assert!(row.error_message.unwrap().contains("`brandpost reserve`"));
    assert_eq!((row.slot, heads(&bench)), (None, 1));
}

/// Nobody knows what is there: whoever may not look is refused, and a cloud that is down is asked again later.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_the_way_and_cannot_be_looked_at() {
    let refused =
        |status, code: &str| FaultAction::OssError { status, code: code.into(), message: "m".into() };
    for (answer, state) in
        [(refused(403, "AccessDenied"), "failed"), (refused(503, "ServiceUnavailable"), "retrying")]
    {
        let mut bench = Bench::with("[retry]\nfirst_delay = \"2m\"\nmax_delay = \"2m\"\n").await;
        bench.drop_file(OWN, "a.jpg", &jpg(1));
        bench.sandbox.fault(Fault::oss(refused(409, "FileImmutable")).times(1));
        bench.sandbox.fault(Fault::oss(answer).times(1));
        bench.once().await;
        let row = bench.row("a.jpg").await;
        assert_eq!((row.state.as_str(), heads(&bench)), (state, 1), "{row:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_under_a_status_of_success_is_an_error() {
    let body = "<?xml version=\"1.0\"?><Error><Code>InternalError</Code><Message>Please try again.</Message></Error>";
    for status in [200, 203] {
        let mut bench = Bench::with("[retry]\nfirst_delay = \"2m\"\nmax_delay = \"2m\"\n").await;
        bench.drop_file(OWN, "a.jpg", &jpg(1));
        let answer = FaultAction::Status { status, headers: BTreeMap::new(), body: body.into() };
        bench.sandbox.fault(Fault::oss(answer));
        bench.once().await;
        let row = bench.row("a.jpg").await;
        let found = (row.state.as_str(), row.error_kind.map(ErrorKind::as_str), row.error_code.as_deref());
        assert_eq!(found, ("retrying", Some("oss_error"), Some("InternalError")), "{row:#?}");
    }
}

/// A callback of the bucket's owner failed; the object is there.
#[tokio::test(flavor = "multi_thread")]
async fn a_status_of_success_with_the_right_crc_is_enough() {
    let mut bench = Bench::new().await;
    bench.drop_file(OWN, "a.jpg", &jpg(1));
    bench.once().await;
    let crc = bench.sandbox.objects()["qualification/OWNBRAND/1001/1.jpg"].crc64;
    let mut bench = Bench::new().await;
    bench.drop_file(OWN, "a.jpg", &jpg(1));
    let headers = BTreeMap::from([("x-oss-hash-crc64ecma".to_owned(), crc.to_string())]);
    let body = "<Error><Code>CallbackFailed</Code><Message>Error status : 502.</Message></Error>".into();
    bench.sandbox.fault(Fault::oss(FaultAction::Status { status: 203, headers, body }));
    bench.once().await;
    assert_eq!(bench.row("a.jpg").await.state, State::Uploaded);
}
