//! Each kind of fault, seen by a client.

use std::{io, time::Duration};

use jiff::Timestamp;
use sandbox::{Fault, FaultAction, Sandbox};
use serde_json::json;
use tokio::{io::AsyncWriteExt as _, net::TcpStream, time::Instant};

use super::client::*;

async fn called(sandbox: &Sandbox) -> io::Result<Answer> {
    call(&params(), 0).send(sandbox.addr()).await
}

/// A sandbox and a right PUT for it, on whose way through OSS the fault lies.
async fn with_oss(action: FaultAction) -> (Sandbox, Message) {
    let sandbox = sandbox().await;
    let message = good_put(&sandbox, "a.jpg", b"picture").await;
    sandbox.fault(Fault::oss(action).times(1));
    (sandbox, message)
}

async fn with_gateway(action: FaultAction) -> Sandbox {
    let sandbox = sandbox().await;
    sandbox.fault(Fault::gateway(action).times(1));
    sandbox
}

fn status(status: u16) -> FaultAction {
    FaultAction::Status {
        status,
        headers: [("retry-after".to_owned(), "7".to_owned())].into(),
        body: "busy".to_owned(),
    }
}

#[tokio::test]
async fn status_answers_raw_on_both() {
    let sandbox = with_gateway(status(429)).await;
    let answer = called(&sandbox).await.unwrap();
    assert_eq!((answer.status, answer.header("retry-after"), answer.text().as_str()), (429, "7", "busy"));
    assert_eq!(sandbox.requests()[0].outcome, "fault:status");
    assert_eq!(called(&sandbox).await.unwrap().json()["code"], 200, "once was enough");
    let (sandbox, message) = with_oss(status(503)).await;
    let answer = message.send(sandbox.addr()).await.unwrap();
    assert_eq!((answer.status, answer.text().as_str()), (503, "busy"));
    assert!(sandbox.objects().is_empty());
    assert_eq!(message.send(sandbox.addr()).await.unwrap().status, 200);
}

#[tokio::test]
async fn code_and_ca_error_speak_the_gateways_language() {
    let code =
        FaultAction::Code { code: 1009, message: Some("SQL".into()), localized: Some("执行出错".into()) };
    let sandbox = with_gateway(code).await;
    let answer = called(&sandbox).await.unwrap();
    assert_eq!((answer.status, &answer.json()["code"]), (200, &json!(1009)));
    assert_eq!(answer.json()["localizedMsg"], "执行出错");
    let error =
        FaultAction::CaError { status: 403, error_code: "B403MQ".into(), message: "No\nquota".into() };
    let sandbox = with_gateway(error).await;
    let answer = called(&sandbox).await.unwrap();
    assert_eq!((answer.status, answer.header("x-ca-error-code")), (403, "B403MQ"));
    assert_eq!(answer.header("x-ca-error-message"), "No?quota");
}

#[tokio::test]
async fn oss_error_is_xml() {
    let error =
        FaultAction::OssError { status: 503, code: "ServiceUnavailable".into(), message: "<busy>".into() };
    let (sandbox, message) = with_oss(error).await;
    let answer = message.send(sandbox.addr()).await.unwrap();
    assert_eq!((answer.status, answer.code().as_str()), (503, "ServiceUnavailable"));
    assert!(answer.text().contains("<Message>&lt;busy&gt;</Message>"), "{}", answer.text());
    let log = sandbox.requests().pop().unwrap();
    assert_eq!((log.outcome.as_str(), log.bytes, log.faults), ("fault:oss_error", 7, vec!["oss_error"]));
}

#[tokio::test]
async fn reset_breaks_the_connection_on_both() {
    let sandbox = with_gateway(FaultAction::Reset).await;
    assert_eq!(called(&sandbox).await.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    let (sandbox, message) = with_oss(FaultAction::Reset).await;
    assert_eq!(message.send(sandbox.addr()).await.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    assert!(sandbox.objects().is_empty());
    assert_eq!(sandbox.requests().pop().unwrap().outcome, "fault:reset");
}

#[tokio::test]
async fn reset_after_store_has_stored() {
    let (sandbox, message) = with_oss(FaultAction::ResetAfterStore).await;
    assert_eq!(message.send(sandbox.addr()).await.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    assert_eq!(sandbox.objects()["a.jpg"].puts, 1);
    let log = sandbox.requests().pop().unwrap();
    assert_eq!((log.outcome.as_str(), log.status), ("ok", None));
    assert_eq!(message.send(sandbox.addr()).await.unwrap().status, 200);
    assert_eq!(sandbox.objects()["a.jpg"].puts, 2);
}

#[tokio::test]
async fn delay_waits_and_goes_on() {
    let (sandbox, message) = with_oss(FaultAction::Delay { ms: 150 }).await;
    let start = Instant::now();
    assert_eq!(message.send(sandbox.addr()).await.unwrap().status, 200);
    assert!(start.elapsed() >= Duration::from_millis(150));
}

#[tokio::test]
async fn hang_never_answers_and_does_not_stop_the_sandbox_from_stopping() {
    let (sandbox, message) = with_oss(FaultAction::Hang).await;
    sandbox.fault(Fault::gateway(FaultAction::Hang));
    let wait = Duration::from_millis(150);
    assert!(tokio::time::timeout(wait, message.send(sandbox.addr())).await.is_err());
    let addr = sandbox.addr();
    let waiting = tokio::spawn(async move { call(&params(), 0).send(addr).await });
    tokio::time::sleep(wait).await;
    assert_eq!(sandbox.requests().pop().unwrap().outcome, "fault:hang");
    tokio::time::timeout(Duration::from_secs(2), sandbox.stop()).await.unwrap();
    assert!(waiting.await.unwrap().is_err());
}

#[tokio::test]
async fn wrong_etag_and_wrong_crc_are_wrong_alone() {
    let right = ("\"25F9E794323B453885F5181F1B624D0B\"", "11051210869376104954");
    for (action, etag_right, crc_right) in
        [(FaultAction::WrongEtag, false, true), (FaultAction::WrongCrc, true, false)]
    {
        let (sandbox, _) = with_oss(action).await;
        let message = good_put(&sandbox, "n", b"123456789").await;
        let answer = message.send(sandbox.addr()).await.unwrap();
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("etag") == right.0, etag_right);
        assert_eq!(answer.header("x-oss-hash-crc64ecma") == right.1, crc_right);
        assert_eq!((answer.header("etag").len(), sandbox.objects()["n"].puts), (34, 1));
    }
}

#[tokio::test]
async fn expired_token_is_found_out_at_oss() {
    let sandbox = with_gateway(FaultAction::ExpiredToken).await;
    let message = good_put(&sandbox, "a.jpg", b"picture").await;
    assert_eq!(message.send(sandbox.addr()).await.unwrap().code(), "SecurityTokenExpired");
    let message = good_put(&sandbox, "a.jpg", b"picture").await;
    assert_eq!(message.send(sandbox.addr()).await.unwrap().status, 200, "the next token is good");
    let (sandbox, message) = with_oss(FaultAction::ExpiredToken).await;
    assert_eq!(message.send(sandbox.addr()).await.unwrap().code(), "SecurityTokenExpired");
    assert_eq!(message.send(sandbox.addr()).await.unwrap().status, 200, "for one request only");
}

#[tokio::test]
async fn the_grants_fields_can_be_replaced() {
    let value = "nonsense".to_owned();
    for (action, field) in [
        (FaultAction::BadExpiration { value: value.clone().into() }, "expiration"),
        (FaultAction::UploadUrl { value: value.clone() }, "uploadUrl"),
        (FaultAction::Endpoint { value: value.clone() }, "endpoint"),
    ] {
        let sandbox = with_gateway(action).await;
        assert_eq!(grant(&sandbox).await[field], "nonsense");
        assert_ne!(grant(&sandbox).await[field], "nonsense");
    }
}

#[tokio::test]
async fn huge_body_is_as_long_as_asked() {
    let sandbox = with_gateway(FaultAction::HugeBody { bytes: 3_000_001 }).await;
    let mut message = call(&params(), 0);
    message.set("connection", "close");
    let mut tcp = TcpStream::connect(sandbox.addr()).await.unwrap();
    tcp.write_all(&message.head()).await.unwrap();
    tcp.write_all(&message.body).await.unwrap();
    let answer = read_answer(&mut tcp).await.unwrap();
    assert_eq!(answer.status, 200);
    assert!(answer.text().matches('x').count() >= 2_999_990, "{}", answer.body.len());
}

#[tokio::test]
async fn cut_body_ends_before_its_length_and_has_done_its_work() {
    let sandbox = with_gateway(FaultAction::CutBody).await;
    let error = called(&sandbox).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    assert!(error.to_string().starts_with("cut after ") && !error.to_string().ends_with(" 0"), "{error}");
    let (sandbox, message) = with_oss(FaultAction::CutBody).await;
    assert_eq!(message.send(sandbox.addr()).await.unwrap_err().to_string(), "cut after 0");
    assert_eq!(sandbox.objects()["a.jpg"].puts, 1);
}

#[tokio::test]
async fn skew_moves_the_date_and_the_checks() {
    let sandbox = sandbox().await;
    sandbox.fault(Fault::gateway(FaultAction::Skew { seconds: 7200 }));
    let answer = called(&sandbox).await.unwrap();
    assert_eq!((answer.status, answer.header("x-ca-error-code")), (403, "S403TE"));
    let ahead = (Timestamp::now() + jiff::SignedDuration::from_secs(7200)).as_second();
    let date = |answer: &Answer| {
        let date =
            jiff::civil::DateTime::strptime("%a, %d %b %Y %H:%M:%S GMT", answer.header("date")).unwrap();
        date.to_zoned(jiff::tz::TimeZone::UTC).unwrap().timestamp().as_second()
    };
    assert!((date(&answer) - ahead).abs() <= 2);
    assert_eq!(call(&params(), 7200).send(sandbox.addr()).await.unwrap().json()["code"], 200);
    sandbox.clear_faults();
    let grant = grant(&sandbox).await;
    sandbox.fault(Fault::oss(FaultAction::Skew { seconds: -7200 }));
    let mut message = put("a.jpg", b"picture");
    sign_v1(&mut message, &grant, 0);
    let answer = message.send(sandbox.addr()).await.unwrap();
    assert_eq!((answer.status, answer.code().as_str()), (403, "RequestTimeTooSkewed"));
    sign_v1(&mut message, &grant, -7200);
    assert_eq!(message.send(sandbox.addr()).await.unwrap().status, 200);
}

#[tokio::test]
async fn early_answer_comes_before_the_body_and_closes() {
    let (sandbox, message) =
        with_oss(FaultAction::EarlyAnswer { status: 403, code: "AccessDenied".into() }).await;
    let mut tcp = TcpStream::connect(sandbox.addr()).await.unwrap();
    tcp.write_all(&message.head()).await.unwrap();
    let answer = read_answer(&mut tcp).await.unwrap();
    assert_eq!((answer.status, answer.code().as_str()), (403, "AccessDenied"));
    assert_eq!(read_answer(&mut tcp).await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    let sandbox = with_gateway(FaultAction::EarlyAnswer { status: 503, code: "B503".into() }).await;
    let answer = called(&sandbox).await.unwrap();
    assert_eq!((answer.status, answer.header("x-ca-error-code")), (503, "B503"));
}

#[tokio::test]
async fn slow_read_takes_its_time() {
    let (sandbox, message) = with_oss(FaultAction::SlowRead { bytes_per_second: 50 }).await;
    let start = Instant::now();
    assert_eq!(message.send(sandbox.addr()).await.unwrap().status, 200);
    assert!(start.elapsed() >= Duration::from_millis(140));
}

#[tokio::test]
async fn faults_find_their_slot_and_their_key() {
    let sandbox = sandbox().await;
    sandbox.fault(Fault::gateway(status(500)).matching("OWNBRAND/1001/2"));
    sandbox.fault(Fault::oss(status(500)).matching("b.jpg").skip(1));
    assert_eq!(called(&sandbox).await.unwrap().status, 200);
    let mut second = params();
    second["index"] = json!(2);
    assert_eq!(call(&second, 0).send(sandbox.addr()).await.unwrap().status, 500);
    for (key, status) in [("a.jpg", 200), ("b.jpg", 200), ("b.jpg", 500), ("a.jpg", 200)] {
        let message = good_put(&sandbox, key, b"picture").await;
        assert_eq!(message.send(sandbox.addr()).await.unwrap().status, status, "{key}");
    }
}

#[tokio::test]
async fn a_fault_does_not_hide_a_bad_signature() {
    let (sandbox, mut message) = with_oss(status(503)).await;
    message.set("content-type", "image/png");
    assert_eq!(message.send(sandbox.addr()).await.unwrap().code(), "SignatureDoesNotMatch");
}
