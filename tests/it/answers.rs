//! Every answer of both clouds, through real sockets: what becomes of the file, what is kept of the answer,
//! and how many requests it costs.

use brandpost::domain::failure::ErrorKind;
use brandpost::domain::notice::NoticeName;
use std::collections::BTreeMap;

use sandbox::{Fault, FaultAction};

use crate::support::pictures::jpg;
use crate::support::{Bench, OWN};

/// What is expected: state, kind, code, attempts that count, calls of the gateway, PUTs.
type Expected = (&'static str, &'static str, &'static str, i64, usize, usize);

/// One attempt and what it left: the next one would be too far off for `--once`.
async fn after_one_attempt(fault: Fault, expected: Expected) {
    let name = format!("{fault:?}");
    let mut bench = Bench::with("[retry]\nfirst_delay = \"2m\"\nmax_delay = \"2m\"\n").await;
    bench.drop_file(OWN, "a.jpg", &jpg(1));
    bench.sandbox.fault(fault);
    bench.once().await;
    let row = bench.row("a.jpg").await;
    let (kind, code) =
        (row.error_kind.map_or("", ErrorKind::as_str), row.error_code.clone().unwrap_or_default());
    let found =
        (row.state.as_str(), kind, code.as_str(), row.attempts, bench.gateway_calls(), bench.puts().len());
    assert_eq!(found, expected, "{name}: {row:#?}");
    let attempts = bench.report().await.attempts(row.id).await.unwrap();
    assert_eq!(attempts[0].error_kind, row.error_kind, "{name}");
    assert_eq!(attempts[0].error_code, row.error_code, "{name}");
    assert_eq!(attempts[0].error_message, row.error_message, "{name}");
    assert_eq!(attempts[0].request_id, row.request_id, "{name}");
    assert!(!row.error_message.unwrap().is_empty(), "{name}");
}

fn status(status: u16, body: &str) -> FaultAction {
    FaultAction::Status { status, headers: BTreeMap::new(), body: body.into() }
}

fn code(code: i64) -> FaultAction {
    FaultAction::Code { code, message: Some("message".into()), localized: Some("说明".into()) }
}

fn ca(status: u16, code: &str) -> FaultAction {
    FaultAction::CaError { status, error_code: code.into(), message: format!("the words of {code}") }
}

fn oss(status: u16, code: &str) -> FaultAction {
    FaultAction::OssError { status, code: code.into(), message: format!("the words of {code}") }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_of_the_gateway() {
    let json =
        |code: i64, message: &str| format!("{{\"code\":{code},\"message\":\"{message}\",\"data\":null}}");
    let table: Vec<(FaultAction, Expected)> = vec![
        (status(500, &json(500, "Internal Error")), ("retrying", "gateway_error", "500", 1, 1, 0)),
        (status(502, "<html>proxy</html>"), ("retrying", "gateway_error", "502", 1, 1, 0)),
        (status(503, &json(503, "Service Unavailable")), ("retrying", "gateway_error", "503", 1, 1, 0)),
        (status(504, ""), ("retrying", "gateway_error", "504", 1, 1, 0)),
        (status(200, "<html>a login page</html>"), ("retrying", "gateway_error", "200", 1, 1, 0)),
        (FaultAction::HugeBody { bytes: 100 << 20 }, ("retrying", "gateway_error", "200", 1, 1, 0)),
        (FaultAction::Reset, ("retrying", "network", "", 1, 1, 0)),
        (FaultAction::CutBody, ("retrying", "network", "", 1, 1, 0)),
        (status(429, ""), ("retrying", "throttled", "429", 0, 1, 0)),
        (status(403, &json(403, "Request Limited")), ("retrying", "throttled", "403", 0, 1, 0)),
        (ca(403, "T429FC"), ("retrying", "throttled", "T429FC", 0, 1, 0)),
        (status(401, &json(401, "Empty Signature")), ("retrying", "credentials", "401", 0, 1, 0)),
        (ca(400, "A400IK"), ("retrying", "credentials", "A400IK", 0, 1, 0)),
        (ca(403, "A403IS"), ("retrying", "credentials", "A403IS", 0, 1, 0)),
        (ca(403, "A403EP"), ("retrying", "credentials", "A403EP", 0, 1, 0)),
        (ca(403, "I403AA"), ("retrying", "credentials", "I403AA", 0, 1, 0)),
        (ca(403, "B403MQ"), ("retrying", "credentials", "B403MQ", 0, 1, 0)),
        (ca(403, "B403ME"), ("retrying", "credentials", "B403ME", 0, 1, 0)),
        (ca(403, "S403TE"), ("retrying", "clock_skew", "S403TE", 1, 2, 0)),
        (ca(403, "S403NU"), ("retrying", "gateway_error", "S403NU", 1, 2, 0)),
        (status(400, &json(400, "Request Format Error")), ("failed", "gateway_rejected", "400", 1, 1, 0)),
        (code(20003), ("retrying", "gateway_error", "20003", 1, 1, 0)),
        (code(20004), ("retrying", "gateway_error", "20004", 1, 1, 0)),
        (code(20056), ("retrying", "gateway_error", "20056", 1, 1, 0)),
        (code(20055), ("failed", "gateway_rejected", "20055", 1, 1, 0)),
        (code(401), ("retrying", "credentials", "401", 0, 1, 0)),
        (code(403), ("failed", "gateway_rejected", "403", 1, 1, 0)),
        (code(460), ("failed", "gateway_rejected", "460", 1, 1, 0)),
        (code(500), ("retrying", "gateway_error", "500", 1, 1, 0)),
        (code(1009), ("retrying", "gateway_error", "1009", 1, 1, 0)),
        (code(777), ("retrying", "gateway_error", "777", 1, 1, 0)),
        (FaultAction::BadExpiration { value: "tomorrow".into() }, ("retrying", "gateway_error", "", 1, 1, 0)),
        (
            FaultAction::BadExpiration { value: "2020-01-01T00:00:00Z".into() },
            ("retrying", "gateway_error", "", 1, 1, 0),
        ),
        (
            FaultAction::UploadUrl { value: "http://evil.example/x".into() },
            ("failed", "forbidden_host", "", 1, 1, 0),
        ),
        (FaultAction::UploadUrl { value: "nonsense".into() }, ("failed", "bad_upload_url", "", 1, 1, 0)),
    ];
    for (action, expected) in table {
        after_one_attempt(Fault::gateway(action), expected).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_of_oss() {
    let table: Vec<(FaultAction, Expected)> = vec![
        (oss(403, "SecurityTokenExpired"), ("retrying", "oss_error", "SecurityTokenExpired", 1, 2, 2)),
        (oss(403, "InvalidSecurityToken"), ("retrying", "oss_error", "InvalidSecurityToken", 1, 2, 2)),
        (oss(403, "InvalidAccessKeyId"), ("retrying", "oss_error", "InvalidAccessKeyId", 1, 2, 2)),
        (
            oss(403, "AccessKeyIdAndSecurityTokenNotMatch"),
            ("retrying", "oss_error", "AccessKeyIdAndSecurityTokenNotMatch", 1, 2, 2),
        ),
        (oss(403, "RequestTimeTooSkewed"), ("retrying", "clock_skew", "RequestTimeTooSkewed", 1, 1, 2)),
        (oss(403, "SignatureDoesNotMatch"), ("failed", "oss_rejected", "SignatureDoesNotMatch", 1, 2, 2)),
        (oss(403, "AccessDenied"), ("failed", "oss_rejected", "AccessDenied", 1, 1, 1)),
        (oss(403, "InDebt"), ("failed", "oss_rejected", "InDebt", 1, 1, 1)),
        (oss(403, "UserDisable"), ("failed", "oss_rejected", "UserDisable", 1, 1, 1)),
        (oss(404, "NoSuchBucket"), ("failed", "oss_rejected", "NoSuchBucket", 1, 1, 1)),
        (oss(400, "InvalidBucketName"), ("failed", "oss_rejected", "InvalidBucketName", 1, 1, 1)),
        (oss(400, "EntityTooLarge"), ("failed", "oss_rejected", "EntityTooLarge", 1, 1, 1)),
        (oss(400, "InvalidArgument"), ("failed", "oss_rejected", "InvalidArgument", 1, 1, 1)),
        (oss(400, "InvalidDigest"), ("retrying", "checksum_mismatch", "InvalidDigest", 1, 1, 1)),
        (oss(400, "BadDigest"), ("retrying", "checksum_mismatch", "BadDigest", 1, 1, 1)),
        (oss(400, "RequestTimeout"), ("retrying", "oss_error", "RequestTimeout", 1, 1, 1)),
        (oss(400, "ConnectionTimeout"), ("retrying", "oss_error", "ConnectionTimeout", 1, 1, 1)),
        (oss(500, "InternalError"), ("retrying", "oss_error", "InternalError", 1, 1, 1)),
        (oss(503, "ServiceUnavailable"), ("retrying", "oss_error", "ServiceUnavailable", 1, 1, 1)),
        (oss(503, "TooManyRequests"), ("retrying", "throttled", "TooManyRequests", 0, 1, 1)),
        (oss(503, "QpsLimitExceeded"), ("retrying", "throttled", "QpsLimitExceeded", 0, 1, 1)),
        (
            oss(503, "DownloadTrafficRateLimitExceeded"),
            ("retrying", "throttled", "DownloadTrafficRateLimitExceeded", 0, 1, 1),
        ),
        (status(429, ""), ("retrying", "throttled", "429", 0, 1, 1)),
        (status(408, "<html>"), ("retrying", "oss_error", "408", 1, 1, 1)),
        (status(502, "<html>"), ("retrying", "oss_error", "502", 1, 1, 1)),
        (status(403, "<html>"), ("failed", "oss_rejected", "403", 1, 1, 1)),
        (status(302, ""), ("retrying", "oss_error", "302", 1, 1, 1)),
        (status(407, "<html>"), ("retrying", "oss_error", "407", 1, 1, 1)),
        (FaultAction::WrongCrc, ("retrying", "checksum_mismatch", "", 1, 1, 1)),
        (FaultAction::Reset, ("retrying", "network", "", 1, 1, 1)),
        (FaultAction::ResetAfterStore, ("retrying", "network", "", 1, 1, 1)),
    ];
    for (action, expected) in table {
        after_one_attempt(Fault::oss(action), expected).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_nobody_knows_is_tried_a_few_times_and_then_refused() {
    let mut bench = Bench::new().await;
    bench.drop_file(OWN, "a.jpg", &jpg(1));
    bench.sandbox.fault(Fault::gateway(code(777)));
    bench.once().await;
    let row = bench.row("a.jpg").await;
    let found =
        (row.state.as_str(), row.error_kind.map(ErrorKind::as_str), row.error_code.as_deref(), row.attempts);
    assert_eq!(found, ("failed", Some("gateway_rejected"), Some("777"), 5));
    assert_eq!(bench.gateway_calls(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cloud_that_is_down_costs_few_requests_however_many_files_wait() {
    let mut bench = Bench::with("[retry]\nfirst_delay = \"200ms\"\nmax_delay = \"10m\"\n").await;
    for brand in 1..=6 {
        for seed in 1..=10 {
            bench.drop_file(&format!("OWNBRAND/{brand}"), format!("{seed}.jpg"), &jpg(seed + 10 * brand));
        }
    }
    bench.sandbox.fault(Fault::gateway(status(503, "")));
    bench.start().await;
    bench.until("all are recorded", |rows| rows.len() == 60).await;
    bench.until("a probe has failed", |_| bench.gateway_calls() > 8).await;
    let notices = bench.report().await.notices().await.unwrap();
    assert!(notices.iter().any(|notice| notice.name == NoticeName::Paused), "{notices:?}");
    // 4 uploads at a time start before the breaker opens at the fifth failure; then 0.2, 0.4, 0.8 … seconds
    assert!(bench.gateway_calls() <= 14, "{}", bench.gateway_calls());
    bench.sandbox.clear_faults();
    bench.quiet().await;
    assert_eq!(bench.report().await.notices().await.unwrap(), []);
    bench.stop().await;
    assert_eq!(bench.puts().len(), 60, "each file once");
}
