//! A plain HTTP client: what it sends is written out, nothing is added or repaired.

use std::{io, net::SocketAddr};

use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use jiff::{Timestamp, ToSpan as _};
use md5::Digest as _;
use sandbox::{
    Sandbox, SandboxOptions,
    verify::{self, OssRequest, PresentedSignature},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

pub const BUCKET: &str = "iotx-industry";
pub const HOST: &str = "iotx-industry.oss-cn-hangzhou.aliyuncs.com";
pub const PATH: &str = "/industry/qualification/oss/sts/get";

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", self.text()))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| std::str::from_utf8(value.as_bytes()).unwrap())
    }

    /// The OSS error code.
    pub fn code(&self) -> String {
        let text = self.text();
        let inner = text.split_once("<Code>").and_then(|(_, rest)| rest.split_once("</Code>"));
        inner.map(|(code, _)| code.to_owned()).unwrap_or_default()
    }
}

pub async fn sandbox() -> Sandbox {
    Sandbox::start(SandboxOptions::default()).await.unwrap()
}

pub fn base64(bytes: impl AsRef<[u8]>) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

/// Headers that can be changed between being made and being sent.
#[derive(Debug, Clone)]
pub struct Message {
    pub method: &'static str,
    pub target: String,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Message {
    pub fn new(method: &'static str, target: &str, body: &[u8]) -> Self {
        Self { method, target: target.to_owned(), headers: HeaderMap::new(), body: body.to_vec() }
    }

    pub fn set(&mut self, name: &str, value: &str) {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        self.headers.insert(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }

    pub fn head(&self) -> Vec<u8> {
        let mut head = format!("{} {} HTTP/1.1\r\n", self.method, self.target).into_bytes();
        for (name, value) in &self.headers {
            head.extend_from_slice(name.as_str().as_bytes());
            head.extend_from_slice(b": ");
            head.extend_from_slice(value.as_bytes());
            head.extend_from_slice(b"\r\n");
        }
        head.extend_from_slice(b"\r\n");
        head
    }

    pub async fn send(&self, addr: SocketAddr) -> io::Result<Answer> {
        let mut tcp = TcpStream::connect(addr).await?;
        tcp.write_all(&self.head()).await?;
        tcp.write_all(&self.body).await?;
        read_answer(&mut tcp).await
    }
}

pub async fn read_answer(tcp: &mut TcpStream) -> io::Result<Answer> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end;
        }
        if tcp.read_buf(&mut bytes).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    };
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let mut body = bytes.split_off(end + 4);
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let headers: HeaderMap = lines.map(header_line).collect();
    let length = headers.get("content-length").map(|value| value.to_str().unwrap().parse::<usize>().unwrap());
    while length.is_none_or(|length| body.len() < length) {
        if tcp.read_buf(&mut body).await? == 0 {
            if length.is_some() {
                return Err(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    format!("cut after {}", body.len()),
                ));
            }
            break;
        }
    }
    Ok(Answer { status, headers, body })
}

fn header_line(line: &str) -> (HeaderName, HeaderValue) {
    let (name, value) = line.split_once(": ").unwrap();
    (name.parse().unwrap(), HeaderValue::from_bytes(value.as_bytes()).unwrap())
}

pub fn http_date(time: Timestamp) -> String {
    time.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

pub fn params() -> Value {
    json!({"appId": "a1B2c3D4", "index": 1, "id": 1001, "suffix": "jpg", "type": "OWNBRAND"})
}

/// A gateway call made at `offset` seconds from now, right in every respect.
pub fn call(params: &Value, offset: i64) -> Message {
    let now = Timestamp::now() + offset.seconds();
    let body = json!({"id": "42", "version": "1.0", "request": {"apiVer": "1.0.0"}, "params": params});
    let mut message = Message::new("POST", PATH, body.to_string().as_bytes());
    let nonce = uuid::Uuid::new_v4().to_string();
    for (name, value) in [
        ("host", "api.link.aliyun.com"),
        ("accept", "application/json; charset=utf-8"),
        ("content-type", "application/octet-stream; charset=utf-8"),
        ("content-md5", &base64(md5::Md5::digest(message.body.clone()))),
        ("content-length", &message.body.len().to_string()),
        ("date", &http_date(now)),
        ("x-ca-key", "30001234"),
        ("x-ca-timestamp", &now.as_millisecond().to_string()),
        ("x-ca-nonce", &nonce),
        ("x-ca-signature-method", "HmacSHA256"),
        ("x-ca-signature-headers", "x-ca-key,x-ca-nonce,x-ca-signature-method,x-ca-timestamp"),
    ] {
        message.set(name, value);
    }
    sign_call(&mut message);
    message
}

pub fn sign_call(message: &mut Message) {
    let uri: Uri = message.target.parse().unwrap();
    let text = verify::gateway_string_to_sign(message.method, &uri, &message.headers);
    message.set("x-ca-signature", &verify::gateway_signature("sandbox-app-secret", &text));
}

/// Credentials as the gateway gave them.
pub async fn grant(sandbox: &Sandbox) -> Value {
    let answer = call(&params(), 0).send(sandbox.addr()).await.unwrap().json();
    assert_eq!(answer["code"], 200, "{answer}");
    answer["data"].clone()
}

/// An unsigned PUT.
pub fn put(key: &str, body: &[u8]) -> Message {
    let target = format!("/{}", key.replace(' ', "%20"));
    let mut message = Message::new("PUT", &target, body);
    message.set("host", HOST);
    message.set("content-type", "image/jpeg");
    message.set("content-length", &body.len().to_string());
    message.set("content-md5", &base64(md5::Md5::digest(body)));
    message
}

fn field<'a>(grant: &'a Value, name: &str) -> &'a str {
    grant[name].as_str().unwrap()
}

/// Signs with `claim` as a form to be filled: the verifier is held to published vectors elsewhere.
fn signature(message: &Message, grant: &Value) -> String {
    let target: Uri = message.target.parse().unwrap();
    let key = percent_encoding::percent_decode_str(&target.path()[1..]).decode_utf8().unwrap().into_owned();
    let (query, headers) = (Vec::new(), &message.headers);
    let request = OssRequest { method: message.method, bucket: BUCKET, key: &key, query: &query, headers };
    PresentedSignature::read(request).unwrap().expected(request, field(grant, "accessKeySecret")).signature
}

pub fn sign_v1(message: &mut Message, grant: &Value, offset: i64) {
    let id = field(grant, "accessKeyId").to_owned();
    message.set("date", &http_date(Timestamp::now() + offset.seconds()));
    message.set("x-oss-security-token", field(grant, "securityToken"));
    message.set("authorization", &format!("OSS {id}:"));
    let signature = signature(message, grant);
    message.set("authorization", &format!("OSS {id}:{signature}"));
}

pub fn sign_v4(message: &mut Message, grant: &Value, region: &str) {
    let date = Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string();
    let credential = format!("{}/{}/{region}/oss/aliyun_v4_request", field(grant, "accessKeyId"), &date[..8]);
    let line = |signature: &str| {
        format!("OSS4-HMAC-SHA256 Credential={credential}, AdditionalHeaders=host, Signature={signature}")
    };
    message.set("x-oss-date", &date);
    message.set("x-oss-content-sha256", "UNSIGNED-PAYLOAD");
    message.set("x-oss-security-token", field(grant, "securityToken"));
    message.set("authorization", &line(""));
    let signature = signature(message, grant);
    message.set("authorization", &line(&signature));
}

/// A PUT that a right client would send, V4.
pub async fn good_put(sandbox: &Sandbox, key: &str, body: &[u8]) -> Message {
    let mut message = put(key, body);
    sign_v4(&mut message, &grant(sandbox).await, "cn-hangzhou");
    message
}
