//! OSS signature version 1: HMAC-SHA1, in the `Authorization` header or in the query.

use jiff::Timestamp;

use super::{Expected, OssRequest, PresentedSignature, SignatureError, SignatureKind};
use crate::wire;

/// Query names that are part of the resource being signed. Others (`OSSAccessKeyId`, `Expires`, …) are not.
const SUB_RESOURCES: &[&str] = &[
    "accessPoint",
    "acl",
    "append",
    "asyncFetch",
    "bucketInfo",
    "callback",
    "callback-var",
    "comp",
    "cors",
    "delete",
    "encryption",
    "endTime",
    "img",
    "inventory",
    "lifecycle",
    "live",
    "location",
    "logging",
    "objectMeta",
    "partNumber",
    "policy",
    "position",
    "qos",
    "referer",
    "replication",
    "replicationLocation",
    "replicationProgress",
    "requestPayment",
    "response-cache-control",
    "response-content-disposition",
    "response-content-encoding",
    "response-content-language",
    "response-content-type",
    "response-expires",
    "restore",
    "security-token",
    "sequential",
    "startTime",
    "stat",
    "status",
    "style",
    "styleName",
    "symlink",
    "tagging",
    "transferAcceleration",
    "uploadId",
    "uploads",
    "versionId",
    "versioning",
    "versions",
    "vod",
    "website",
    "worm",
    "wormExtend",
    "wormId",
];

pub(super) fn from_header(request: OssRequest<'_>, rest: &str) -> Result<PresentedSignature, SignatureError> {
    let malformed = SignatureError::Malformed("The Authorization header has no access key id and signature.");
    let (id, signature) = rest.trim().split_once(':').ok_or(malformed)?;
    let headers = request.headers;
    // A client that may not set Date sends x-oss-date in its place.
    let date = wire::header(headers, "date").or_else(|| wire::header(headers, "x-oss-date"));
    Ok(PresentedSignature {
        kind: SignatureKind::V1,
        access_key_id: id.to_owned(),
        signature: signature.to_owned(),
        token: wire::header(headers, "x-oss-security-token").map(str::to_owned),
        date: date.unwrap_or_default().to_owned(),
        expires_at: None,
        scope: None,
        additional: Vec::new(),
    })
}

pub(super) fn from_query(request: OssRequest<'_>) -> Result<PresentedSignature, SignatureError> {
    let named = |name| wire::query_value(request.query, name);
    let missing = SignatureError::Malformed("A signed URL needs OSSAccessKeyId, Expires and Signature.");
    let (Some(id), Some(expires), Some(signature)) =
        (named("OSSAccessKeyId"), named("Expires"), named("Signature"))
    else {
        return Err(missing);
    };
    let expires_at = expires.parse().ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
    Ok(PresentedSignature {
        kind: SignatureKind::PresignedV1,
        access_key_id: id.to_owned(),
        signature: signature.to_owned(),
        token: named("security-token").map(str::to_owned),
        date: expires.to_owned(),
        expires_at: Some(expires_at.ok_or(SignatureError::Malformed("Expires is no number of seconds."))?),
        scope: None,
        additional: Vec::new(),
    })
}

pub(super) fn expected(presented: &PresentedSignature, request: OssRequest<'_>, secret: &str) -> Expected {
    let string_to_sign = format!(
        "{}\n{}\n{}\n{}\n{}{}",
        request.method,
        wire::header_or_empty(request.headers, "content-md5"),
        wire::header_or_empty(request.headers, "content-type"),
        presented.date,
        super::header_lines(request.headers, |_| false),
        resource(request),
    );
    let signature = super::hmac_sha1_base64(secret, &string_to_sign);
    Expected { signature, string_to_sign, canonical_request: None }
}

fn resource(request: OssRequest<'_>) -> String {
    let mut signed: Vec<_> = request.query.iter().filter(|(name, _)| is_sub_resource(name)).collect();
    signed.sort();
    let shown = signed.into_iter().map(|(name, value)| match value {
        Some(value) if !value.is_empty() => format!("{name}={value}"),
        _ => name.clone(),
    });
    let shown = shown.collect::<Vec<_>>().join("&");
    let mark = if shown.is_empty() { "" } else { "?" };
    format!("/{}/{}{mark}{shown}", request.bucket, request.key)
}

fn is_sub_resource(name: &str) -> bool {
    name.starts_with("x-oss-") || SUB_RESOURCES.contains(&name)
}
