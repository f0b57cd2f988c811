//! OSS signature version 4: HMAC-SHA256 with a key for one day, region and product.

use sha2::{Digest as _, Sha256};

use super::{Expected, OssRequest, PresentedSignature, Scope, SignatureError, SignatureKind};
use crate::wire;

const ALGORITHM: &str = "OSS4-HMAC-SHA256";
const TERMINATOR: &str = "aliyun_v4_request";

pub(super) fn from_header(request: OssRequest<'_>, rest: &str) -> Result<PresentedSignature, SignatureError> {
    let field = |name: &str| {
        let mut fields = rest.split(',').filter_map(|part| part.trim().split_once('='));
        fields.find(|(found, _)| *found == name).map(|(_, value)| value)
    };
    let missing = SignatureError::Malformed("The Authorization header needs Credential and Signature.");
    let (Some(credential), Some(signature)) = (field("Credential"), field("Signature")) else {
        return Err(missing);
    };
    let (id, scope) = read_credential(credential)?;
    Ok(PresentedSignature {
        kind: SignatureKind::V4,
        access_key_id: id,
        signature: signature.to_owned(),
        token: wire::header(request.headers, "x-oss-security-token").map(str::to_owned),
        date: header_date(request),
        expires_at: None,
        scope: Some(scope),
        additional: names(field("AdditionalHeaders").unwrap_or_default()),
    })
}

pub(super) fn from_query(request: OssRequest<'_>) -> Result<PresentedSignature, SignatureError> {
    let named = |name| wire::query_value(request.query, name);
    if named("x-oss-signature-version") != Some(ALGORITHM) {
        return Err(SignatureError::Malformed("x-oss-signature-version is not OSS4-HMAC-SHA256."));
    }
    let missing =
        SignatureError::Malformed("A signed URL needs x-oss-credential, x-oss-date and x-oss-expires.");
    let (Some(credential), Some(date), Some(life)) =
        (named("x-oss-credential"), named("x-oss-date"), named("x-oss-expires"))
    else {
        return Err(missing);
    };
    let (id, scope) = read_credential(credential)?;
    let expires_at = life.parse().ok().and_then(|life| super::after(wire::parse_date(date), life));
    let expires_at =
        expires_at.ok_or(SignatureError::Malformed("x-oss-date or x-oss-expires cannot be read."))?;
    Ok(PresentedSignature {
        kind: SignatureKind::PresignedV4,
        access_key_id: id,
        signature: named("x-oss-signature").unwrap_or_default().to_owned(),
        token: named("x-oss-security-token").map(str::to_owned),
        date: date.to_owned(),
        expires_at: Some(expires_at),
        scope: Some(scope),
        additional: names(named("x-oss-additional-headers").unwrap_or_default()),
    })
}

pub(super) fn expected(
    presented: &PresentedSignature,
    scope: &Scope,
    request: OssRequest<'_>,
    secret: &str,
) -> Expected {
    let canonical = canonical_request(presented, request);
    let Scope { date, region, product } = scope;
    let hash = wire::hex(&Sha256::digest(canonical.as_bytes()));
    let string_to_sign =
        format!("{ALGORITHM}\n{}\n{date}/{region}/{product}/{TERMINATOR}\n{hash}", presented.date);
    let mut key = super::hmac_sha256(format!("aliyun_v4{secret}").as_bytes(), date);
    for part in [region, product, TERMINATOR] {
        key = super::hmac_sha256(&key, part);
    }
    let signature = wire::hex(&super::hmac_sha256(&key, &string_to_sign));
    Expected { signature, string_to_sign, canonical_request: Some(canonical) }
}

/// `key-id/20241114/cn-hangzhou/oss/aliyun_v4_request`
fn read_credential(credential: &str) -> Result<(String, Scope), SignatureError> {
    let parts: Vec<_> = credential.split('/').collect();
    let [id, date, region, product, TERMINATOR] = parts[..] else {
        return Err(SignatureError::Malformed("The credential is not id/date/region/oss/aliyun_v4_request."));
    };
    let scope = Scope { date: date.to_owned(), region: region.to_owned(), product: product.to_owned() };
    Ok((id.to_owned(), scope))
}

/// The compact form, whichever header it came in.
fn header_date(request: OssRequest<'_>) -> String {
    if let Some(date) = wire::header(request.headers, "x-oss-date") {
        return date.to_owned();
    }
    let date = wire::header(request.headers, "date").and_then(wire::parse_date);
    date.map(wire::compact_date).unwrap_or_default()
}

fn names(list: &str) -> Vec<String> {
    let mut names: Vec<_> = list.split(';').map(|name| name.trim().to_ascii_lowercase()).collect();
    names.retain(|name| !name.is_empty());
    names.sort_unstable();
    names.dedup();
    names
}

fn canonical_request(presented: &PresentedSignature, request: OssRequest<'_>) -> String {
    let wanted = |name: &str| {
        matches!(name, "content-type" | "content-md5") || presented.additional.iter().any(|more| more == name)
    };
    let payload = wire::header(request.headers, "x-oss-content-sha256").unwrap_or("UNSIGNED-PAYLOAD");
    format!(
        "{}\n/{}/{}\n{}\n{}\n{}\n{payload}",
        request.method,
        wire::encode_key(request.bucket),
        wire::encode_key(request.key),
        canonical_query(request),
        super::header_lines(request.headers, wanted),
        presented.additional.join(";"),
    )
}

/// All of the query but the signature itself.
fn canonical_query(request: OssRequest<'_>) -> String {
    let signed = request.query.iter().filter(|(name, _)| name != "x-oss-signature");
    let mut pairs: Vec<_> = signed.map(encode_pair).collect();
    pairs.sort();
    let shown =
        pairs.into_iter().map(|(name, value)| if value.is_empty() { name } else { name + "=" + &value });
    shown.collect::<Vec<_>>().join("&")
}

fn encode_pair((name, value): &(String, Option<String>)) -> (String, String) {
    (wire::encode_query(name), wire::encode_query(value.as_deref().unwrap_or_default()))
}
