//! What a signature should be, worked out from the request alone.
//!
//! Written from the provider's published rules and held to vectors made with the provider's own SDKs.
//! It shares nothing with the code that signs uploads: otherwise a signing bug would prove itself right.

mod gateway;
#[cfg(test)]
mod tests;
mod v1;
mod v4;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::HeaderMap;
use jiff::{Timestamp, ToSpan as _};
use serde::Serialize;

pub use gateway::{gateway_signature, gateway_string_to_sign};

use super::wire::{self, Query};

/// How a request was signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SignatureKind {
    Gateway,
    V1,
    V4,
    PresignedV1,
    PresignedV4,
}

/// The parts of a request to OSS that a signature covers.
#[derive(Debug, Clone, Copy)]
pub struct OssRequest<'a> {
    pub method: &'a str,
    pub bucket: &'a str,
    /// Percent-decoded.
    pub key: &'a str,
    pub query: &'a Query,
    pub headers: &'a HeaderMap,
}

/// What the request says of its own signature; nothing in it has been verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PresentedSignature {
    pub kind: SignatureKind,
    pub access_key_id: String,
    pub signature: String,
    pub token: Option<String>,
    /// The date as it was signed.
    pub date: String,
    /// When a presigned URL ends.
    pub expires_at: Option<Timestamp>,
    /// V4 only.
    pub scope: Option<Scope>,
    /// V4 only: lower-case names of headers signed beyond the usual ones.
    pub additional: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    pub date: String,
    pub region: String,
    pub product: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignatureError {
    /// Not signed at all.
    Anonymous,
    /// Signed in a form that cannot be read.
    Malformed(&'static str),
}

/// The signature the server comes to, and the texts it came by: an error answer shows them.
#[derive(Debug, Clone)]
pub struct Expected {
    pub signature: String,
    pub string_to_sign: String,
    pub canonical_request: Option<String>,
}

impl PresentedSignature {
    pub fn read(request: OssRequest<'_>) -> Result<Self, SignatureError> {
        let authorization = wire::header_or_empty(request.headers, "authorization");
        if let Some(rest) = authorization.strip_prefix("OSS4-HMAC-SHA256") {
            v4::from_header(request, rest)
        } else if let Some(rest) = authorization.strip_prefix("OSS ") {
            v1::from_header(request, rest)
        } else if !authorization.is_empty() {
            Err(SignatureError::Malformed("The Authorization header is neither OSS nor OSS4-HMAC-SHA256."))
        } else if wire::query_value(request.query, "x-oss-signature").is_some() {
            v4::from_query(request)
        } else if wire::query_value(request.query, "Signature").is_some() {
            v1::from_query(request)
        } else {
            Err(SignatureError::Anonymous)
        }
    }

    pub fn expected(&self, request: OssRequest<'_>, secret: &str) -> Expected {
        match &self.scope {
            Some(scope) => v4::expected(self, scope, request, secret),
            None => v1::expected(self, request, secret),
        }
    }

    pub fn is_presigned(&self) -> bool {
        matches!(self.kind, SignatureKind::PresignedV1 | SignatureKind::PresignedV4)
    }

    /// When it was signed; a V1 URL does not say.
    pub fn signed_at(&self) -> Option<Timestamp> {
        wire::parse_date(&self.date)
    }
}

/// A URL's query that carries a V1 signature good until `expires`.
pub fn presign_v1(request: OssRequest<'_>, id: &str, secret: &str, token: &str, expires: Timestamp) -> Query {
    let expires = expires.as_second().to_string();
    let named = [("OSSAccessKeyId", id), ("Expires", &expires), ("security-token", token)];
    finish_presigning(request, secret, owned(&named), "Signature")
}

/// A URL's query that carries a V4 signature good for `seconds` from `now`.
pub fn presign_v4(
    request: OssRequest<'_>,
    id: &str,
    secret: &str,
    token: &str,
    region: &str,
    now: Timestamp,
    seconds: i64,
) -> Query {
    let (date, seconds) = (wire::compact_date(now), seconds.to_string());
    let credential = format!("{id}/{}/{region}/oss/aliyun_v4_request", &date[..8]);
    let named = [
        ("x-oss-credential", credential.as_str()),
        ("x-oss-date", &date),
        ("x-oss-expires", &seconds),
        ("x-oss-security-token", token),
        ("x-oss-signature-version", "OSS4-HMAC-SHA256"),
    ];
    finish_presigning(request, secret, owned(&named), "x-oss-signature")
}

fn owned(pairs: &[(&str, &str)]) -> Query {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), Some((*value).to_owned()))).collect()
}

/// Signs by asking the verifier what it would expect of a URL whose signature is still blank.
fn finish_presigning(request: OssRequest<'_>, secret: &str, mut query: Query, slot: &str) -> Query {
    query.push((slot.to_owned(), Some(String::new())));
    let unsigned = OssRequest { query: &query, ..request };
    let presented =
        PresentedSignature::read(unsigned).expect("the query above names every field that is read");
    let signature = presented.expected(unsigned, secret).signature;
    query.pop();
    query.push((slot.to_owned(), Some(signature)));
    query
}

fn after(start: Option<Timestamp>, seconds: i64) -> Option<Timestamp> {
    start.and_then(|start| start.checked_add(seconds.seconds()).ok())
}

/// Headers that begin with `x-oss-`, and those `wanted`, as sorted `name:value\n` lines.
fn header_lines(headers: &HeaderMap, wanted: impl Fn(&str) -> bool) -> String {
    let mut names: Vec<_> = headers.keys().map(http::HeaderName::as_str).collect();
    names.retain(|name| name.starts_with("x-oss-") || wanted(name));
    names.sort_unstable();
    let lines: Vec<_> = names.iter().map(|name| format!("{name}:{}\n", joined(headers, name))).collect();
    lines.concat()
}

/// A repeated header counts as one, its values joined by commas.
fn joined(headers: &HeaderMap, name: &str) -> String {
    let values = headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()));
    values.map(|value| value.trim().to_owned()).collect::<Vec<_>>().join(",")
}

fn hmac_sha256(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn hmac_sha1_base64(key: &str, text: &str) -> String {
    let mut mac = Hmac::<sha1::Sha1>::new_from_slice(key.as_bytes()).expect("HMAC takes keys of any length");
    mac.update(text.as_bytes());
    STANDARD.encode(mac.finalize().into_bytes())
}
