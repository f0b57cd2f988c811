//! What each service refuses, and with which words.

use std::{sync::Arc, time::Duration};

use jiff::{Timestamp, ToSpan as _};
use sandbox::{Sandbox, SandboxOptions};
use serde_json::json;

use super::client::*;

async fn gateway_refusal(change: impl FnOnce(&mut Message)) -> (u16, String, String) {
    let sandbox = sandbox().await;
    let mut message = call(&params(), 0);
    change(&mut message);
    let answer = message.send(sandbox.addr()).await.unwrap();
    assert!(!answer.header("x-ca-request-id").is_empty() && !answer.header("date").is_empty());
    assert_ne!(sandbox.requests()[0].outcome, "ok");
    (
        answer.status,
        answer.header("x-ca-error-code").to_owned(),
        answer.header("x-ca-error-message").to_owned(),
    )
}

#[tokio::test]
async fn the_gateway_refuses_what_is_badly_signed() {
    let (status, code, message) = gateway_refusal(|m| m.set("x-ca-signature", "bad")).await;
    assert_eq!((status, code.as_str()), (403, "A403IS"));
    assert!(message.starts_with("Invalid Signature, Server StringToSign:POST#application/json"), "{message}");
    assert!(message.ends_with(&format!("#{PATH}")), "{message}");

    let refused = |status: u16, code: &str| (status, code.to_owned());
    let (status, code, message) = gateway_refusal(|m| m.set("x-ca-key", "1")).await;
    assert_eq!((status, code.as_str(), message.as_str()), (400, "A400IK", "Invalid AppKey"));
    let (status, code, _) = gateway_refusal(|m| *m = call(&params(), -901)).await;
    assert_eq!((status, code), refused(403, "S403TE"));
    let (status, code, _) = gateway_refusal(|m| m.set("content-md5", &base64([0; 16]))).await;
    assert_eq!((status, code), refused(400, "I400HD"));
    let (status, code, _) = gateway_refusal(|m| m.set("x-ca-nonce", "")).await;
    assert_eq!((status, code), refused(400, "I400MH"));
    let (status, code, _) = gateway_refusal(|m| m.set("x-ca-signature", "")).await;
    assert_eq!((status, code), refused(401, ""));
    let (status, code, _) = gateway_refusal(|m| m.set("accept", "*/*")).await;
    assert_eq!((status, code), refused(400, ""));
    let (status, code, _) = gateway_refusal(|m| m.target.push_str("?a=1")).await;
    assert_eq!((status, code), refused(403, "A403IS"));
}

#[tokio::test]
async fn a_nonce_is_good_once_and_for_the_window() {
    let start = Timestamp::now();
    let ahead = Arc::new(std::sync::atomic::AtomicI64::new(0));
    let clock = Arc::clone(&ahead);
    let time = Arc::new(move || start + clock.load(std::sync::atomic::Ordering::SeqCst).seconds());
    let sandbox = Sandbox::start(SandboxOptions { time, ..Default::default() }).await.unwrap();
    let message = call(&params(), 0);
    let send = async |message: &Message| message.send(sandbox.addr()).await.unwrap();
    assert_eq!(send(&message).await.status, 200);
    let again = send(&message).await;
    assert_eq!((again.status, again.header("x-ca-error-code")), (403, "S403NU"));
    ahead.store(1000, std::sync::atomic::Ordering::SeqCst);
    let mut later = call(&params(), 1000);
    later.set("x-ca-nonce", message.headers["x-ca-nonce"].to_str().unwrap());
    sign_call(&mut later);
    assert_eq!(send(&later).await.status, 200);
}

#[tokio::test]
async fn the_api_answers_200_and_the_code_decides() {
    let sandbox = sandbox().await;
    let mut wrong = params();
    wrong["appId"] = json!("other");
    let answer = call(&wrong, 0).send(sandbox.addr()).await.unwrap();
    assert_eq!(answer.status, 200);
    let expected = json!({"id": "42", "code": 403, "message": "request forbidden.",
        "localizedMsg": "请求被禁止", "data": null});
    assert_eq!(answer.json(), expected);
    let mut wrong = params();
    wrong["index"] = json!(11);
    let answer = call(&wrong, 0).send(sandbox.addr()).await.unwrap().json();
    assert_eq!((&answer["code"], &answer["localizedMsg"]), (&json!(460), &json!("请求参数错误")));
    let outcomes: Vec<_> = sandbox.requests().into_iter().map(|log| log.outcome).collect();
    assert_eq!(outcomes, ["403", "460"]);
}

/// What OSS says to a right V1 PUT after `change`, made before it is signed or after.
async fn oss_refusal(before: impl FnOnce(&mut Message), after: impl FnOnce(&mut Message)) -> (u16, String) {
    let sandbox = sandbox().await;
    let grant = grant(&sandbox).await;
    let mut message = put("a.jpg", b"picture");
    before(&mut message);
    sign_v1(&mut message, &grant, 0);
    after(&mut message);
    let answer = message.send(sandbox.addr()).await.unwrap();
    assert!(sandbox.objects().is_empty());
    assert_eq!(sandbox.requests()[1].outcome, answer.code());
    assert!(!answer.header("x-oss-request-id").is_empty());
    (answer.status, answer.code())
}

fn is(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

fn nothing(_: &mut Message) {}

#[tokio::test]
async fn oss_refuses_what_is_wrong_with_the_message() {
    let digest = |text: &'static str| move |m: &mut Message| m.set("content-md5", text);
    let zeros: &'static str = "AAAAAAAAAAAAAAAAAAAAAA==";
    assert_eq!(oss_refusal(digest(zeros), nothing).await, is(400, "InvalidDigest"));
    assert_eq!(oss_refusal(digest("no base64"), nothing).await, is(400, "InvalidDigest"));
    let chunked = |m: &mut Message| {
        m.headers.remove("content-length");
        m.set("transfer-encoding", "chunked");
        m.body = b"7\r\npicture\r\n0\r\n\r\n".to_vec();
    };
    assert_eq!(oss_refusal(nothing, chunked).await, is(411, "MissingContentLength"));
    let no_body = |m: &mut Message| {
        m.headers.remove("content-length");
        m.body.clear();
    };
    assert_eq!(oss_refusal(nothing, no_body).await, is(411, "MissingContentLength"));
    let huge = |m: &mut Message| m.set("content-length", "1073741825");
    let sandbox = sandbox().await;
    let mut message = good_put(&sandbox, "a.jpg", b"").await;
    huge(&mut message);
    assert_eq!(head_only(&sandbox, &message).await, is(400, "EntityTooLarge"));
    let host = |host: &'static str| move |m: &mut Message| m.set("host", host);
    let other = host("other.oss-cn-hangzhou.aliyuncs.com");
    assert_eq!(oss_refusal(nothing, other).await, is(404, "NoSuchBucket"));
    assert_eq!(oss_refusal(nothing, host("iotx-industry.example.com")).await, is(403, "AccessDenied"));
    let target = |target: &'static str| move |m: &mut Message| m.target = target.to_owned();
    assert_eq!(oss_refusal(nothing, target("/")).await, is(400, "InvalidObjectName"));
    assert_eq!(oss_refusal(nothing, target("/%FF")).await, is(400, "InvalidObjectName"));
}

async fn head_only(sandbox: &Sandbox, message: &Message) -> (u16, String) {
    use tokio::io::AsyncWriteExt as _;
    let mut tcp = tokio::net::TcpStream::connect(sandbox.addr()).await.unwrap();
    tcp.write_all(&message.head()).await.unwrap();
    tcp.shutdown().await.unwrap();
    let answer = read_answer(&mut tcp).await.unwrap();
    (answer.status, answer.code())
}

#[tokio::test]
async fn oss_refuses_what_is_badly_signed() {
    let header = |name: &'static str, value: &'static str| move |m: &mut Message| m.set(name, value);
    let gone = |name: &'static str| {
        move |m: &mut Message| {
            m.headers.remove(name);
        }
    };
    let token = "x-oss-security-token";
    assert_eq!(oss_refusal(nothing, gone("authorization")).await, is(403, "AccessDenied"));
    assert_eq!(oss_refusal(nothing, header("authorization", "Basic x")).await, is(400, "InvalidArgument"));
    assert_eq!(oss_refusal(nothing, header("authorization", "OSS x:y")).await, is(403, "InvalidAccessKeyId"));
    assert_eq!(oss_refusal(nothing, gone(token)).await, is(403, "InvalidAccessKeyId"));
    assert_eq!(oss_refusal(nothing, header(token, "x")).await, is(403, "InvalidSecurityToken"));
    assert_eq!(oss_refusal(nothing, gone("date")).await, is(403, "AccessDenied"));
    assert_eq!(oss_refusal(nothing, header("content-type", "x")).await, is(403, "SignatureDoesNotMatch"));
    let key = |m: &mut Message| m.target = "/b.jpg".to_owned();
    assert_eq!(oss_refusal(nothing, key).await, is(403, "SignatureDoesNotMatch"));
    let date = |m: &mut Message| m.set("date", &http_date(Timestamp::now() - 1000.seconds()));
    assert_eq!(oss_refusal(nothing, date).await, is(403, "RequestTimeTooSkewed"));
}

#[tokio::test]
async fn a_mismatch_shows_what_the_server_signed() {
    let sandbox = sandbox().await;
    let mut message = good_put(&sandbox, "a&b.jpg", b"picture").await;
    message.set("content-type", "image/png");
    let answer = message.send(sandbox.addr()).await.unwrap();
    assert_eq!((answer.status, answer.code().as_str()), (403, "SignatureDoesNotMatch"));
    let text = answer.text();
    for part in
        ["<StringToSign>OSS4-HMAC-SHA256\n", "<CanonicalRequest>PUT\n/iotx-industry/a%26b.jpg\n", HOST]
    {
        assert!(text.contains(part), "{text}");
    }
}

#[tokio::test]
async fn another_region_and_another_grants_token_are_told_apart() {
    let sandbox = sandbox().await;
    let (mut mixed, other) = (grant(&sandbox).await, grant(&sandbox).await);
    let mut message = put("a.jpg", b"picture");
    sign_v4(&mut message, &mixed, "cn-shanghai");
    assert_eq!(message.send(sandbox.addr()).await.unwrap().code(), "InvalidArgument");
    mixed["securityToken"] = other["securityToken"].clone();
    sign_v4(&mut message, &mixed, "cn-hangzhou");
    assert_eq!(message.send(sandbox.addr()).await.unwrap().code(), "AccessKeyIdAndSecurityTokenNotMatch");
}

#[tokio::test]
async fn a_token_ends_when_its_life_does() {
    let token_life = Duration::ZERO;
    let sandbox = Sandbox::start(SandboxOptions { token_life, ..Default::default() }).await.unwrap();
    let message = good_put(&sandbox, "a.jpg", b"picture").await;
    assert_eq!(message.send(sandbox.addr()).await.unwrap().code(), "SecurityTokenExpired");
    let log = sandbox.requests();
    assert!(log[1].slot.is_some(), "the slot is known all the same");
}
