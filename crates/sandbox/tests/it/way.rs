//! The right way through both services.

use std::time::Duration;

use md5::Digest as _;
use sandbox::{Sandbox, SandboxOptions, Service, UploadUrl, verify::SignatureKind};
use serde_json::json;
use tokio::{io::AsyncWriteExt as _, net::TcpStream};

use super::client::*;

#[tokio::test]
async fn credentials_then_a_put_in_both_versions() {
    let sandbox = sandbox().await;
    let grant = grant(&sandbox).await;
    assert!(grant["accessKeyId"].as_str().unwrap().starts_with("STS."));
    assert_eq!(grant["endpoint"], "oss-cn-hangzhou.aliyuncs.com");
    assert_eq!(grant["uploadUrl"], format!("http://{HOST}"));
    assert!(grant["expiration"].as_str().unwrap().parse::<jiff::Timestamp>().is_ok());

    let mut message = put("own/1001 1.jpg", b"123456789");
    sign_v4(&mut message, &grant, "cn-hangzhou");
    let answer = message.send(sandbox.addr()).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("etag"), "\"25F9E794323B453885F5181F1B624D0B\"");
    assert_eq!(answer.header("x-oss-hash-crc64ecma"), "11051210869376104954");
    assert!(!answer.header("x-oss-request-id").is_empty() && !answer.header("date").is_empty());
    let mut message = put("own/1001 1.jpg", b"123456789");
    sign_v1(&mut message, &grant, 0);
    assert_eq!(message.send(sandbox.addr()).await.unwrap().status, 200);

    let objects = sandbox.objects();
    let object = &objects["own/1001 1.jpg"];
    assert_eq!((object.len, object.puts, object.content_type.as_deref()), (9, 2, Some("image/jpeg")));
    assert_eq!(sandbox.object_bytes("own/1001 1.jpg").unwrap(), &b"123456789"[..]);
    let log = sandbox.requests();
    let kinds: Vec<_> = log.iter().map(|log| log.signature.unwrap()).collect();
    assert_eq!(kinds, [SignatureKind::Gateway, SignatureKind::V4, SignatureKind::V1]);
    assert!(log.iter().all(|log| log.outcome == "ok" && log.status == Some(200)));
    assert_eq!(log[2].slot.as_ref().unwrap().to_string(), "OWNBRAND/1001/1");
    assert_eq!((log[2].service, log[2].seq, log[2].bytes), (Service::Oss, 2, 9));
    sandbox.stop().await;
}

#[tokio::test]
async fn every_shape_of_upload_url_works() {
    for (upload_url, kind) in [
        (UploadUrl::PresignedV1, SignatureKind::PresignedV1),
        (UploadUrl::PresignedV4, SignatureKind::PresignedV4),
        (UploadUrl::Path, SignatureKind::V4),
    ] {
        let sandbox = Sandbox::start(SandboxOptions { upload_url, ..Default::default() }).await.unwrap();
        let grant = grant(&sandbox).await;
        let url = grant["uploadUrl"].as_str().unwrap();
        let target = url.strip_prefix(&format!("http://{HOST}/")).unwrap();
        let mut message = put(target, b"picture");
        message.headers.remove("content-md5");
        if upload_url == UploadUrl::Path {
            sign_v4(&mut message, &grant, "cn-hangzhou");
        }
        let answer = message.send(sandbox.addr()).await.unwrap();
        assert_eq!(answer.status, 200, "{upload_url:?} {}", answer.text());
        assert_eq!(sandbox.requests()[1].signature, Some(kind));
        assert!(sandbox.objects().contains_key("qualification/ownbrand/1001/1.jpg"));
        message.set("content-type", "image/png");
        assert_eq!(message.send(sandbox.addr()).await.unwrap().code(), "SignatureDoesNotMatch");
    }
}

#[tokio::test]
async fn objects_are_files_when_there_is_a_folder() {
    let dir = tempfile::tempdir().unwrap();
    let options = SandboxOptions { dir: Some(dir.path().to_owned()), ..Default::default() };
    let sandbox = Sandbox::start(options).await.unwrap();
    let body: Vec<u8> = (0..8_000_003_u32).map(|i| i.to_le_bytes()[0]).collect();
    for key in ["a/b.jpg", "x/../../../etc/b.jpg"] {
        let answer = good_put(&sandbox, key, &body).await.send(sandbox.addr()).await.unwrap();
        assert_eq!(answer.status, 200, "{key} {}", answer.text());
        assert_eq!(sandbox.object_bytes(key).unwrap(), body);
        let object = &sandbox.objects()[key];
        assert!(object.bytes.is_none());
        let sha256 = sha2::Sha256::digest(&body);
        assert_eq!(
            object.sha256_hex,
            sha256.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
        );
    }
    assert_eq!(std::fs::read(dir.path().join("iotx-industry/a/b.jpg")).unwrap(), body);
    let left: Vec<_> =
        std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["iotx-industry"], "a temporary file was left, or one got out");
}

#[tokio::test]
async fn a_body_that_breaks_off_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let options = SandboxOptions { dir: Some(dir.path().to_owned()), ..Default::default() };
    let sandbox = Sandbox::start(options).await.unwrap();
    let mut message = good_put(&sandbox, "a.jpg", b"whole").await;
    message.body.truncate(2);
    let mut tcp = TcpStream::connect(sandbox.addr()).await.unwrap();
    tcp.write_all(&message.head()).await.unwrap();
    tcp.write_all(&message.body).await.unwrap();
    drop(tcp);
    let gone = || std::fs::read_dir(dir.path()).unwrap().next().is_none();
    // The file comes and goes: only its having been there and gone tells.
    for _ in 0..100 {
        if sandbox.requests().len() == 2 && gone() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(gone() && sandbox.objects().is_empty());
    assert_ne!(sandbox.requests()[1].outcome, "ok");
}

#[tokio::test]
async fn one_connection_takes_many_requests() {
    let sandbox = sandbox().await;
    let message = good_put(&sandbox, "a.jpg", b"picture").await;
    let mut tcp = TcpStream::connect(sandbox.addr()).await.unwrap();
    for status in [200, 403, 200] {
        let mut message = message.clone();
        if status == 403 {
            message.set(
                "authorization",
                "OSS4-HMAC-SHA256 Credential=a/20240101/cn-hangzhou/oss/aliyun_v4_request, Signature=b",
            );
            message.set("x-oss-date", "20240101T000000Z");
        }
        tcp.write_all(&message.head()).await.unwrap();
        tcp.write_all(&message.body).await.unwrap();
        assert_eq!(read_answer(&mut tcp).await.unwrap().status, status);
    }
    // Kept alive, and still the sandbox stops at once.
    tokio::time::timeout(Duration::from_secs(2), sandbox.stop()).await.unwrap();
}

#[tokio::test]
async fn the_sandbox_is_controlled_from_outside() {
    let sandbox = sandbox().await;
    let ask = async |method: &'static str, page: &str, body: &str| {
        let mut message = Message::new(method, &format!("/_sandbox/{page}"), body.as_bytes());
        message.set("host", "localhost");
        message.set("content-length", &body.len().to_string());
        message.send(sandbox.addr()).await.unwrap()
    };
    assert_eq!(ask("GET", "health", "").await.json()["status"], "ok");
    let one = json!({"service": "oss", "times": 1, "action": {"do": "delay", "ms": 1}});
    assert_eq!(ask("POST", "faults", &one.to_string()).await.json().as_array().unwrap().len(), 1);
    let list = json!([{"service": "gateway", "action": {"do": "hang"}}]).to_string();
    assert_eq!(ask("POST", "faults", &list).await.json().as_array().unwrap().len(), 2);
    let bad = ask("POST", "faults", r#"{"service":"oss","action":{"do":"explode"}}"#).await;
    assert_eq!(bad.status, 400);
    assert!(bad.text().contains("explode"), "{}", bad.text());
    assert_eq!(ask("DELETE", "faults", "").await.json(), json!([]));
    good_put(&sandbox, "a.jpg", b"picture").await.send(sandbox.addr()).await.unwrap();
    let requests = ask("GET", "requests", "").await.json();
    assert_eq!(requests[1]["slot"], json!({"type": "OWNBRAND", "id": 1001, "index": 1, "suffix": "jpg"}));
    assert_eq!(requests[1]["signature"], "v4");
    assert_eq!(ask("GET", "objects", "").await.json()["a.jpg"]["puts"], 1);
    assert_eq!(ask("GET", "nothing", "").await.status, 404);
}
