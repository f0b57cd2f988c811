//! The API gateway's signature: HMAC-SHA256 over a few headers and the path.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, Uri};

use crate::wire;

/// Lines of their own in the string to sign: never among the named headers.
const FIXED: [&str; 6] =
    ["accept", "content-md5", "content-type", "date", "x-ca-signature", "x-ca-signature-headers"];

pub fn gateway_string_to_sign(method: &str, uri: &Uri, headers: &HeaderMap) -> String {
    let fixed = |name| wire::header_or_empty(headers, name);
    format!(
        "{method}\n{}\n{}\n{}\n{}\n{}{}",
        fixed("accept"),
        fixed("content-md5"),
        fixed("content-type"),
        fixed("date"),
        named_headers(headers),
        resource(uri),
    )
}

pub fn gateway_signature(secret: &str, string_to_sign: &str) -> String {
    STANDARD.encode(super::hmac_sha256(secret.as_bytes(), string_to_sign))
}

/// Only headers that `X-Ca-Signature-Headers` names are covered; a named one that did not come is left out.
fn named_headers(headers: &HeaderMap) -> String {
    let list = wire::header_or_empty(headers, "x-ca-signature-headers").to_ascii_lowercase();
    let mut names: Vec<_> = list.split(',').map(str::trim).filter(|name| !FIXED.contains(name)).collect();
    names.sort_unstable();
    names.dedup();
    let line = |name| wire::header(headers, name).map(|value| format!("{name}:{value}\n"));
    names.into_iter().filter_map(line).collect()
}

fn resource(uri: &Uri) -> String {
    let mut pairs = wire::parse_query(uri.query().unwrap_or_default());
    if pairs.is_empty() {
        return uri.path().to_owned();
    }
    pairs.sort();
    let shown = pairs.into_iter().map(|(name, value)| match value {
        Some(value) if !value.is_empty() => format!("{name}={value}"),
        _ => name,
    });
    format!("{}?{}", uri.path(), shown.collect::<Vec<_>>().join("&"))
}
