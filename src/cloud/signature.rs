//! Signatures: pure functions of a request, a key and a time.
//!
//! The gateway's and OSS V4 are written down here; OSS V1 is the SDK's. `tests` holds them all against the
//! vectors that the provider's own SDKs made.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use aliyun_oss_rust_sdk::auth::AuthAPI;
use aliyun_oss_rust_sdk::oss::OSS;
use aliyun_oss_rust_sdk::request::{RequestBuilder, RequestType};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use md5::Md5;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::config::Secret;
use crate::domain::clock::Clock;
use crate::domain::event;
use crate::domain::text::hex;

/// What OSS leaves as it is in a path, beside letters and digits.
const IN_PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// A smaller error of the clock, in seconds, is not logged.
const MIN_LOGGED_OFFSET: u64 = 60;

/// Our clock for signatures: the machine's, put right by what the clouds say.
#[derive(Debug)]
pub struct SigningClock {
    clock: Arc<dyn Clock>,
    offset: AtomicI64,
    observed: AtomicI64,
}

impl SigningClock {
    /// A clock that is taken to be right.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, offset: AtomicI64::new(0), observed: AtomicI64::new(0) }
    }

    /// The time to sign with.
    pub fn now(&self) -> Timestamp {
        let offset = jiff::SignedDuration::from_secs(self.offset());
        let now = self.clock.now();
        now.checked_add(offset).unwrap_or(now)
    }

    /// How many seconds the signatures are put forward.
    pub fn offset(&self) -> i64 {
        self.offset.load(Ordering::Relaxed)
    }

    /// How many seconds the last answer was ahead of the machine's clock.
    pub fn observed(&self) -> i64 {
        self.observed.load(Ordering::Relaxed)
    }

    /// Takes note of an answer's `Date`, without believing it yet, and gives it back if it can be true.
    pub fn observe(&self, date: Option<&str>) -> Option<Timestamp> {
        let ahead = self.ahead(date)?;
        self.observed.store(ahead, Ordering::Relaxed);
        self.clock.now().checked_add(jiff::SignedDuration::from_secs(ahead)).ok()
    }

    /// Puts the clock right by the `Date` of an answer that refused our time. True when it could be.
    pub fn learn(&self, date: Option<&str>) -> bool {
        let Some(ahead) = self.ahead(date) else { return false };
        let before = self.offset.swap(ahead, Ordering::Relaxed);
        if ahead.abs_diff(before) > MIN_LOGGED_OFFSET {
            tracing::warn!(
                message_id = event::CLOCK,
                seconds = ahead,
                "this machine's clock is wrong; signatures are put right, but set it (NTP)"
            );
        }
        true
    }

    /// A date that cannot be true (a server that has lost its own clock) is not believed.
    fn ahead(&self, date: Option<&str>) -> Option<i64> {
        // 2024-01-01 to 2100-01-01
        const BELIEVABLE: std::ops::Range<i64> = 1_704_067_200..4_102_444_800;
        let parsed = date.and_then(|date| jiff::fmt::rfc2822::parse(date).ok());
        let reported =
            parsed.map(|date| date.timestamp().as_second()).filter(|at| BELIEVABLE.contains(at))?;
        Some(reported - self.clock.now().as_second())
    }
}

/// RFC 1123 in GMT, as `Date` wants it.
pub(super) fn http_date(time: Timestamp) -> String {
    time.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// Base64 of the MD5.
pub(super) fn md5_base64(bytes: &[u8]) -> String {
    BASE64.encode(Md5::digest(bytes))
}

/// The gateway's string to sign. `headers` are names in lower case and values; of them `accept`,
/// `content-md5`, `content-type`, `date` and every `x-ca-*` are signed.
pub(super) fn gateway_string_to_sign(method: &str, path: &str, headers: &[(String, String)]) -> String {
    let value = |name: &str| headers.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value);
    let mut lines = vec![method.to_owned()];
    lines.extend(["accept", "content-md5", "content-type", "date"].map(|name| value(name).to_owned()));
    lines.extend(signed_gateway_headers(headers).iter().map(|(name, value)| format!("{name}:{value}")));
    lines.push(path.to_owned());
    lines.join("\n")
}

/// The `x-ca-*` headers that are signed, sorted by name.
pub(super) fn signed_gateway_headers(headers: &[(String, String)]) -> Vec<&(String, String)> {
    const NOT_SIGNED: [&str; 2] = ["x-ca-signature", "x-ca-signature-headers"];
    let signed =
        |(name, _): &&(String, String)| name.starts_with("x-ca-") && !NOT_SIGNED.contains(&name.as_str());
    let mut signed: Vec<_> = headers.iter().filter(signed).collect();
    signed.sort();
    signed
}

/// The gateway's signature: base64 of HMAC-SHA256.
pub(super) fn gateway_signature(secret: &Secret, string_to_sign: &str) -> String {
    BASE64.encode(hmac_sha256(secret.expose().as_bytes(), string_to_sign.as_bytes()).as_slice())
}

/// Temporary credentials, as far as a signature needs them.
#[derive(Debug, Clone, Copy)]
pub(super) struct SigningKey<'a> {
    /// `STS.…`.
    pub id: &'a str,
    /// Its secret.
    pub secret: &'a Secret,
}

/// A request to OSS, as far as it is signed.
#[derive(Debug, Clone)]
pub(super) struct OssRequest<'a> {
    /// `PUT` or `HEAD`.
    pub method: &'a str,
    /// The bucket.
    pub bucket: &'a str,
    /// The key, not encoded, without a leading slash.
    pub key: &'a str,
    /// Names in lower case and values: `content-type`, `content-md5`, `x-oss-*`.
    pub headers: Vec<(String, String)>,
}

/// A path as it goes on the wire and into the signature: encoded once, with literal `/`.
pub(super) fn encode_path(path: &str) -> String {
    utf8_percent_encode(path, IN_PATH).to_string()
}

/// OSS V4, `Authorization`, for a request without a query. No headers beside those that must be are signed.
pub(super) fn oss_v4(request: &OssRequest<'_>, key: SigningKey<'_>, region: &str, time: Timestamp) -> String {
    let day = time.strftime("%Y%m%d").to_string();
    let scope = format!("{day}/{region}/oss/aliyun_v4_request");
    let canonical = hex(&Sha256::digest(v4_canonical_request(request).as_bytes()));
    let string_to_sign = format!("OSS4-HMAC-SHA256\n{}\n{scope}\n{canonical}", v4_date(time));
    let seed = format!("aliyun_v4{}", key.secret.expose()).into_bytes();
    let chain = [day.as_str(), region, "oss", "aliyun_v4_request"];
    let signing_key = chain.iter().fold(Zeroizing::new(seed), |key, part| hmac_sha256(&key, part.as_bytes()));
    let signature = hex(&hmac_sha256(&signing_key, string_to_sign.as_bytes()));
    format!("OSS4-HMAC-SHA256 Credential={}/{scope}, Signature={signature}", key.id)
}

/// The signature in a value of `Authorization`: what nobody must read.
pub(super) fn signature_in(authorization: &str) -> &str {
    let parts = authorization.rsplit_once("Signature=").or_else(|| authorization.rsplit_once(':'));
    parts.map_or("", |(_, signature)| signature)
}

/// `x-oss-date`.
pub(super) fn v4_date(time: Timestamp) -> String {
    time.strftime("%Y%m%dT%H%M%SZ").to_string()
}

fn v4_canonical_request(request: &OssRequest<'_>) -> String {
    let signed = |name: &str| ["content-type", "content-md5"].contains(&name) || name.starts_with("x-oss-");
    let mut headers: Vec<_> = request.headers.iter().filter(|(name, _)| signed(name)).collect();
    headers.sort();
    let headers: Vec<_> = headers.iter().map(|(name, value)| format!("{name}:{}", value.trim())).collect();
    let path = encode_path(&format!("/{}/{}", request.bucket, request.key));
    format!("{}\n{path}\n\n{}\n\n\nUNSIGNED-PAYLOAD", request.method, headers.join("\n"))
}

/// OSS V1, `Authorization`, by the SDK. `date` is the value of the `Date` header.
pub(super) fn oss_v1(request: &OssRequest<'_>, key: SigningKey<'_>, date: &str) -> String {
    let header =
        |name: &str| request.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
    let mut builder = RequestBuilder::new();
    builder.method = if request.method == "HEAD" { RequestType::Head } else { RequestType::Put };
    builder.content_type = header("content-type");
    builder.content_md5 = header("content-md5");
    builder.headers.insert("date".into(), date.into());
    let mut oss: Vec<_> =
        request.headers.iter().filter(|(name, _)| name.starts_with("x-oss-")).cloned().collect();
    oss.sort();
    if let [_, .., (_, last)] = oss.as_mut_slice() {
        // with two or more of them the SDK leaves the last line without its end
        last.push('\n');
    }
    builder.oss_headers = oss.into_iter().collect();
    let signer = OSS::new(key.id, key.secret.expose(), "", request.bucket);
    signer.oss_sign(format!("/{}", request.key), &builder)
}

fn hmac_sha256(key: &[u8], text: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(text);
    Zeroizing::new(mac.finalize().into_bytes().to_vec())
}

#[cfg(test)]
mod tests;
