//! What the clouds answer, and what becomes of the file.

use brandpost::domain::brand::Outcome;
use brandpost::domain::failure::ErrorKind;
use std::collections::BTreeMap;
use std::sync::Arc;

use brandpost::domain::clock::{ManualClock, SystemClock};
use brandpost::domain::upload::State;
use brandpost::ledger::StatusRow;
use sandbox::verify::SignatureKind;
use sandbox::{Fault, FaultAction, SandboxOptions, UploadUrl};

use crate::support::pictures::jpg;
use crate::support::{Bench, OWN, names_in_state};

async fn with_fault(fault: Fault) -> Bench {
    let mut bench = Bench::new().await;
    bench.drop_file(OWN, "a.jpg", &jpg(1));
    bench.sandbox.fault(fault);
    bench.once().await;
    bench
}

/// What a cloud says is logged, kept and shown: not what it repeats of our secrets.
#[tokio::test(flavor = "multi_thread")]
async fn secrets_that_a_cloud_repeats_are_not_kept() {
    let refused = FaultAction::Code {
        code: 460,
        message: Some("bad secret sandbox-app-secret".into()),
        localized: Some("sandbox-app-secret".into()),
    };
    let bench = with_fault(Fault::gateway(refused).times(1)).await;
    let row = bench.row("a.jpg").await;
    let message = row.error_message.unwrap();
    assert!(message.contains("bad secret …") && !message.contains("sandbox-app"), "{message}");
}

/// Where a picture goes is logged, kept and shown, too.
#[tokio::test(flavor = "multi_thread")]
async fn an_upload_url_that_repeats_a_secret_is_not_obeyed() {
    for place in ["Sandbox-App-Secret.oss-cn-hangzhou.aliyuncs.com/x", "x.example.com/%73andbox-app-secret"] {
        let url = FaultAction::UploadUrl { value: format!("https://{place}") };
        let bench = with_fault(Fault::gateway(url)).await;
        let row = bench.row("a.jpg").await;
        let said = "the gateway's uploadUrl is unusable: it repeats a secret";
        assert_eq!(
            (row.error_kind, row.error_message.as_deref()),
            (Some(ErrorKind::BadUploadUrl), Some(said))
        );
        assert!(bench.puts().is_empty());
    }
}

/// A signature is good for the same request until it ends, so it is a secret too.
#[tokio::test(flavor = "multi_thread")]
async fn signatures_that_oss_repeats_are_not_kept() {
    let repeats = FaultAction::OssError {
        status: 400,
        code: "InvalidArgument".into(),
        message: "not {signature}, and not SGVsbG8sIHdvcmxk either".into(),
    };
    for (upload_url, signature) in [
        (UploadUrl::Bucket, "v4"),
        (UploadUrl::Bucket, "v1"),
        (UploadUrl::PresignedV1, "auto"),
        (UploadUrl::PresignedV4, "auto"),
    ] {
        let options = SandboxOptions { upload_url, ..SandboxOptions::default() };
        let mut bench =
            Bench::build(options, &format!("[oss]\nhttps = \"allow\"\nsignature = \"{signature}\"\n")).await;
        bench.drop_file(OWN, "a.jpg", &jpg(1));
        bench.sandbox.fault(Fault::oss(repeats.clone()));
        bench.once().await;
        let message = bench.row("a.jpg").await.error_message.unwrap();
        let without = message.ends_with("not …, and not SGVsbG8sIHdvcmxk either");
        assert!(without, "{upload_url:?} {signature}: {message}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_passes_is_tried_again_into_the_same_slot() {
    let oss = |code: &str| FaultAction::OssError { status: 503, code: code.into(), message: "m".into() };
    let faults = [
        Fault::oss(oss("ServiceUnavailable")),
        Fault::oss(FaultAction::Reset),
        Fault::oss(FaultAction::ResetAfterStore),
        Fault::oss(FaultAction::WrongCrc),
        Fault::gateway(FaultAction::Reset),
        Fault::gateway(FaultAction::Code { code: 20056, message: None, localized: None }),
        Fault::gateway(FaultAction::Status { status: 502, headers: BTreeMap::new(), body: "<html>".into() }),
        Fault::gateway(FaultAction::HugeBody { bytes: 1 << 20 }),
        Fault::gateway(FaultAction::CutBody),
    ];
    for fault in faults {
        let name = format!("{fault:?}");
        let bench = with_fault(fault.times(1)).await;
        let row = bench.row("a.jpg").await;
        assert_eq!((row.state.as_str(), row.slot, row.attempts), ("uploaded", Some(1), 2), "{name}");
        assert_eq!(bench.object("qualification/OWNBRAND/1001/1.jpg"), jpg(1), "{name}");
        let attempts = bench.report().await.attempts(row.id).await.unwrap();
        assert_eq!(attempts[0].outcome, Some(Outcome::Retrying), "{name}");
        assert!(attempts[0].error_kind.is_some() && attempts[0].error_message.is_some(), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_be_mended_at_once_costs_no_second_attempt() {
    let ca =
        |status, code: &str| FaultAction::CaError { status, error_code: code.into(), message: code.into() };
    let oss = |code: &str| FaultAction::OssError { status: 403, code: code.into(), message: code.into() };
    let faults = [
        (Fault::gateway(ca(403, "S403NU")).times(1), 2, 1),
        (Fault::oss(FaultAction::Skew { seconds: -1200 }), 1, 2),
        (Fault::oss(oss("SecurityTokenExpired")).times(1), 2, 2),
        (Fault::oss(oss("SignatureDoesNotMatch")).times(1), 2, 2),
    ];
    for (fault, gateway_calls, puts) in faults {
        let name = format!("{fault:?}");
        let bench = with_fault(fault).await;
        let row = bench.row("a.jpg").await;
        assert_eq!((row.state.as_str(), row.attempts), ("uploaded", 1), "{name}");
        assert_eq!((bench.gateway_calls(), bench.puts().len()), (gateway_calls, puts), "{name}");
        assert_eq!(
            bench.object("qualification/OWNBRAND/1001/1.jpg"),
            jpg(1),
            "the second PUT has its body too"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_whose_clock_is_wrong_uploads_all_the_same() {
    for off in [-1200, 1200] {
        let now = || brandpost::domain::clock::Clock::now(&SystemClock);
        let time: sandbox::Clock = Arc::new(move || now() + jiff::SignedDuration::from_secs(off));
        let mut bench = Bench::build(SandboxOptions { time, ..SandboxOptions::default() }, "").await;
        bench.drop_file(OWN, "a.jpg", &jpg(1));
        bench.drop_file(OWN, "b.jpg", &jpg(2));
        bench.once().await;
        let rows = bench.rows().await;
        assert!(rows.iter().all(|row| row.state == State::Uploaded && row.attempts == 1), "{off}: {rows:#?}");
        assert!(bench.gateway_calls() <= 4, "refused once, then signed with the right time");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_cloud_refuses_fails_for_good_with_its_words() {
    let denied = FaultAction::OssError {
        status: 403,
        code: "AccessDenied".into(),
        message: "You have no right.".into(),
    };
    let bench = with_fault(Fault::oss(denied)).await;
    let row = bench.row("a.jpg").await;
    assert_eq!((row.state.as_str(), row.error_kind), ("failed", Some(ErrorKind::OssRejected)));
    assert_eq!(
        (row.error_code.as_deref(), row.error_message.as_deref()),
        (Some("AccessDenied"), Some("You have no right."))
    );
    assert!(row.request_id.is_some());
    assert_eq!(bench.puts().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_credentials_pause_everything_and_burn_nothing() {
    let mut bench = Bench::with("[retry]\nfirst_delay = \"2s\"\nmax_delay = \"2s\"\n").await;
    std::fs::write(bench.folder.path().join("secret"), "wrong\n").unwrap();
    for seed in 1..=5 {
        bench.drop_file(OWN, format!("{seed}.jpg"), &jpg(seed));
    }
    bench.once().await;
    let rows = bench.rows().await;
    assert!(
        rows.iter().all(|row| ["queued", "retrying"].contains(&row.state.as_str()) && row.attempts == 0),
        "{rows:#?}"
    );
    let notices = bench.report().await.notices().await.unwrap();
    assert!(notices[0].message.contains("Invalid Signature"), "{notices:?}");
    // those that were under way when the first one was refused, and perhaps a probe
    assert!(bench.gateway_calls() <= 4 + 1, "{}", bench.gateway_calls());
    std::fs::write(bench.folder.path().join("secret"), "sandbox-app-secret\n").unwrap();
    bench.once().await;
    assert_eq!(names_in_state(&bench.rows().await, State::Uploaded).len(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn throttling_burns_no_attempt() {
    let throttled = FaultAction::CaError {
        status: 403,
        error_code: "T429FC".into(),
        message: "Throttled by flow control".into(),
    };
    let bench = with_fault(Fault::gateway(throttled).times(3)).await;
    let row = bench.row("a.jpg").await;
    assert_eq!((row.state.as_str(), row.attempts), ("uploaded", 1));
    assert_eq!(bench.gateway_calls(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn attempts_can_be_limited() {
    let mut bench =
        Bench::with("[retry]\nfirst_delay = \"5ms\"\nmax_delay = \"10ms\"\nmax_attempts = 3\n").await;
    bench.drop_file(OWN, "a.jpg", &jpg(1));
    bench.sandbox.fault(Fault::oss(FaultAction::WrongCrc));
    bench.once().await;
    let row = bench.row("a.jpg").await;
    assert_eq!(
        (row.state.as_str(), row.error_kind, row.attempts),
        ("failed", Some(ErrorKind::AttemptsExhausted), 3)
    );
    assert_eq!(bench.puts().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_sent_to_a_host_that_is_not_allowed() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let evil = format!("http://127.0.0.1:{}/x", listener.local_addr().unwrap().port());
    let bench = with_fault(Fault::gateway(FaultAction::UploadUrl { value: evil })).await;
    let row = bench.row("a.jpg").await;
    assert_eq!((row.state.as_str(), row.error_kind), ("failed", Some(ErrorKind::ForbiddenHost)));
    assert!(listener.accept().is_err(), "nobody connected");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_shape_of_upload_url_and_both_signatures_work() {
    let shapes = [
        (UploadUrl::Bucket, "auto", SignatureKind::V4),
        (UploadUrl::Path, "auto", SignatureKind::V4),
        (UploadUrl::Path, "v1", SignatureKind::V1),
        (UploadUrl::PresignedV1, "auto", SignatureKind::PresignedV1),
        (UploadUrl::PresignedV4, "auto", SignatureKind::PresignedV4),
    ];
    for (upload_url, signature, kind) in shapes {
        let options = SandboxOptions { upload_url, ..SandboxOptions::default() };
        let mut bench =
            Bench::build(options, &format!("[oss]\nhttps = \"allow\"\nsignature = \"{signature}\"\n")).await;
        bench.drop_file(OWN, "a.jpg", &jpg(1));
        bench.once().await;
        let row = bench.row("a.jpg").await;
        assert_eq!(row.state, State::Uploaded, "{upload_url:?}: {row:#?}");
        assert_eq!(bench.puts()[0].signature, Some(kind), "{upload_url:?}");
        assert!(!row.object_url.unwrap().contains('?'));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_kept() {
    let options = SandboxOptions { upload_url: UploadUrl::PresignedV4, ..SandboxOptions::default() };
    let mut bench = Bench::build(options, "").await;
    bench.drop_file(OWN, "a.jpg", &jpg(1));
    bench.sandbox.fault(Fault::oss(FaultAction::Reset).times(1));
    bench.once().await;
    assert_eq!(bench.row("a.jpg").await.state, State::Uploaded, "{:#?}", bench.row("a.jpg").await);
    let mut kept = std::fs::read(bench.database()).unwrap();
    kept.extend(std::fs::read(bench.folder.path().join("brandpost.db-wal")).unwrap_or_default());
    let kept = String::from_utf8_lossy(&kept).into_owned();
    for secret in ["sandbox-app-secret", "x-oss-signature", "x-oss-security-token", "STS."] {
        assert!(!kept.contains(secret), "{secret}");
    }
    assert!(kept.contains("iotx-industry.oss-cn-hangzhou.aliyuncs.com/"), "the test looks at the right file");
}

/// A picture with so much data behind it that it does not fit into any socket's buffer.
fn big_jpg() -> Vec<u8> {
    let mut bytes = jpg(1);
    bytes.resize(18 << 20, 7);
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_comes_before_the_end_of_the_body_is_what_is_reported() {
    for _ in 0..5 {
        let mut bench = Bench::new().await;
        bench.drop_file(OWN, "a.jpg", &big_jpg());
        bench
            .sandbox
            .fault(Fault::oss(FaultAction::EarlyAnswer { status: 403, code: "AccessDenied".into() }));
        bench.once().await;
        let row = bench.row("a.jpg").await;
        assert_eq!(
            (row.state.as_str(), row.error_code.as_deref()),
            ("failed", Some("AccessDenied")),
            "{row:#?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cloud_that_falls_silent_is_given_up_in_time_and_a_slow_one_is_not() {
    let keys =
        "[oss]\nhttps = \"allow\"\ntimeout = \"3s\"\n[retry]\nfirst_delay = \"2m\"\nmax_delay = \"2m\"\n";
    let mut bench = Bench::with(keys).await;
    bench.drop_file(OWN, "a.jpg", &jpg(1));
    bench.sandbox.fault(Fault::oss(FaultAction::Hang));
    bench.once().await;
    let row = bench.row("a.jpg").await;
    assert_eq!((row.state.as_str(), row.error_kind), ("retrying", Some(ErrorKind::Timeout)));

    let mut bench = Bench::with(keys).await;
    bench.drop_file(OWN, "a.jpg", &big_jpg());
    bench.sandbox.fault(Fault::oss(FaultAction::SlowRead { bytes_per_second: 4 << 20 }));
    bench.once().await;
    assert_eq!(
        bench.row("a.jpg").await.state,
        State::Uploaded,
        "longer than the timeout, but never without progress"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_with_every_kind_of_character_are_signed_and_sent_right() {
    let host = "http://iotx-industry.oss-cn-hangzhou.aliyuncs.com";
    let keys = [
        ("a%20b/c+d%25e.jpg", "a b/c+d%e.jpg"),
        ("%E5%9B%BE%20%E7%89%87/1.jpg", "图 片/1.jpg"),
        ("~x_y-z.(1)*'!@&=:;,$.jpg", "~x_y-z.(1)*'!@&=:;,$.jpg"),
        ("%3F%23%5B%5D%7B%7D%7C%5C%22%3C%3E%5E%60.jpg", "?#[]{}|\\\"<>^`.jpg"),
        ("%C3%A9%F0%9F%98%80//double.jpg", "é😀//double.jpg"),
    ];
    for signature in ["v4", "v1"] {
        for (path, key) in keys {
            let mut bench =
                Bench::with(&format!("[oss]\nhttps = \"allow\"\nsignature = \"{signature}\"\n")).await;
            bench.drop_file(OWN, "a.jpg", &jpg(1));
            bench.sandbox.fault(Fault::gateway(FaultAction::UploadUrl { value: format!("{host}/{path}") }));
            bench.once().await;
            let row = bench.row("a.jpg").await;
            assert_eq!(row.state, State::Uploaded, "{signature} {key}: {row:#?}");
            assert_eq!(bench.object(key), jpg(1), "{signature}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn retry_after_is_honoured() {
    let headers = BTreeMap::from([("Retry-After".to_owned(), "90".to_owned())]);
    let bench =
        with_fault(Fault::oss(FaultAction::Status { status: 503, headers, body: String::new() })).await;
    let row = bench.row("a.jpg").await;
    assert_eq!((row.state.as_str(), row.error_kind), ("retrying", Some(ErrorKind::Throttled)));
    let time = |text: Option<String>| text.unwrap().parse::<jiff::Timestamp>().unwrap();
    let wait = time(row.next_attempt_at).duration_since(time(Some(row.updated_at)));
    assert!((89..=91).contains(&wait.as_secs()), "{wait:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn ipv6_works() {
    let options = SandboxOptions { listen: "[::1]:0".parse().unwrap(), ..SandboxOptions::default() };
    let mut bench = Bench::build(options, "").await;
    let text = std::fs::read_to_string(bench.config()).unwrap().replace("127.0.0.1:", "[::1]:");
    std::fs::write(bench.config(), text).unwrap();
    bench.drop_file(OWN, "a.jpg", &jpg(1));
    bench.once().await;
    assert_eq!(bench.row("a.jpg").await.state, State::Uploaded);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_secret_file_ends_the_pause_by_itself() {
    let mut bench = Bench::with("[retry]\nfirst_delay = \"10m\"\nmax_delay = \"10m\"\n").await;
    std::fs::write(bench.folder.path().join("secret"), "wrong\n").unwrap();
    bench.drop_file(OWN, "a.jpg", &jpg(1));
    bench.start().await;
    bench.until_state("a.jpg", State::Retrying).await;
    std::fs::write(bench.folder.path().join("secret"), "sandbox-app-secret\n").unwrap();
    bench.until_state("a.jpg", State::Uploaded).await;
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_set_leaves_no_file_behind() {
    for jump in ["2020-01-01T00:00:00Z", "1970-01-01T00:00:00Z", "2030-01-01T00:00:00Z"] {
        let start = "2026-01-01T00:00:00Z".parse().unwrap();
        let clock = Arc::new(ManualClock::new(start));
        // the cloud's clock is right; the machine's is what jumps
        let time: sandbox::Clock = Arc::new(move || start);
        let retry = "[retry]\nfirst_delay = \"10m\"\nmax_delay = \"10m\"\n";
        let mut bench = Bench::build(SandboxOptions { time, ..SandboxOptions::default() }, retry).await;
        bench.clock = clock.clone();
        bench.drop_file(OWN, "a.jpg", &jpg(1));
        bench.sandbox.fault(Fault::oss(FaultAction::Reset).times(1));
        bench.start().await;
        bench.until_state("a.jpg", State::Retrying).await;
        clock.set(jump.parse().unwrap());
        bench.until_state("a.jpg", State::Uploaded).await;
        bench.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_bytes_a_cloud_answers_no_file_is_lost() {
    let pieces = [
        "",
        "{",
        "{\"code\":200}",
        "{\"code\":200,\"data\":{}}",
        "{\"code\":\"x\"}",
        "{\"code\":-1}",
        "null",
        "[[[[",
        "<Error>",
        "<Error><Code>x</Code></Error>",
        "<!DOCTYPE html>",
        "\u{0}\u{1}\u{2}",
        "<Error><Code>&bogus;",
        "{\"code\":1e99}",
    ];
    let statuses = [200, 204, 206, 301, 400, 401, 403, 404, 408, 418, 429, 499, 500, 599];
    for (number, status) in statuses.into_iter().enumerate() {
        for service in [Fault::gateway, Fault::oss] {
            let body = format!("{}{}", pieces[number], pieces[(number * 5 + 3) % pieces.len()]);
            let fault = service(FaultAction::Status { status, headers: BTreeMap::new(), body: body.clone() });
            let mut bench = Bench::with("[retry]\nfirst_delay = \"5m\"\nmax_delay = \"5m\"\n").await;
            bench.drop_file(OWN, "a.jpg", &jpg(1));
            bench.sandbox.fault(fault);
            bench.once().await;
            let row = bench.row("a.jpg").await;
            assert!(
                ["queued", "retrying", "failed"].contains(&row.state.as_str()),
                "{status} {body}: {row:#?}"
            );
            bench.sandbox.clear_faults();
            bench.start().await;
            // refused when it is being sent already: what waited for credentials is due at once
            let retried = bench.ledger().retry(&brandpost::ledger::RetrySelection::Ids(vec![row.id])).await;
            assert!(
                matches!(retried, Ok(1) | Err(brandpost::ledger::LedgerError::Refused(_))),
                "{retried:?}"
            );
            bench.until_state("a.jpg", State::Uploaded).await;
            bench.stop().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_proxy_of_the_environment_is_used() {
    let bench = Bench::new().await;
    bench.drop_file(OWN, "a.jpg", &jpg(1));
    let text = std::fs::read_to_string(bench.config()).unwrap();
    let (head, tail) = text.split_once("[network.resolve]").unwrap();
    let rest = &tail[tail.find("\n[").unwrap()..];
    std::fs::write(bench.config(), format!("{head}{rest}")).unwrap();
    // the sandbox understands the absolute URLs that a proxy gets
    let proxy = format!("http://{}", bench.sandbox.addr());
    let config = bench.config();
    let run = tokio::task::spawn_blocking(move || {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_brandpost"));
        command.arg("--config").arg(config).args(["run", "--once"]).env("http_proxy", proxy).output().unwrap()
    });
    let output = run.await.unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(bench.puts().len(), 1);
}

/// Two pictures that OSS never takes: each attempt looks as if the cloud were down.
#[tokio::test(flavor = "multi_thread")]
async fn files_that_the_cloud_never_takes_hold_no_other_up() {
    let mut bench = Bench::new().await;
    let busy =
        FaultAction::OssError { status: 503, code: "ServiceUnavailable".into(), message: "busy".into() };
    for bad in 1..=2 {
        bench.drop_file(OWN, format!("{bad}.jpg"), &jpg(bad));
        bench.sandbox.fault(Fault::oss(busy.clone()).matching(format!("{OWN}/{bad}.")));
    }
    bench.start().await;
    let both = |rows: &[StatusRow]| rows.len() == 2 && rows.iter().all(|row| row.attempts > 6);
    bench.until("the breaker is open and stays so", both).await;
    for good in 3..=9 {
        bench.drop_file(OWN, format!("{good}.jpg"), &jpg(good));
    }
    bench.until("the others are sent", |rows| names_in_state(rows, State::Uploaded).len() == 7).await;
    assert_eq!(names_in_state(&bench.rows().await, State::Uploaded).len(), 7);
    bench.stop().await;
}
