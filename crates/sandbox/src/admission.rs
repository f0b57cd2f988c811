//! Whether a request is let in: its host, its length, its credentials and its signature.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{Method, request::Parts};
use jiff::Timestamp;

use super::{
    entry::Entry,
    options::SandboxOptions,
    oss_error::OssError,
    slot::Slot,
    state::{Cloud, Grant, WINDOW},
    verify::{OssRequest, PresentedSignature, Scope, SignatureError},
    wire::{self, Query},
};

/// The largest object taken.
pub(super) const SIZE_MAX: u64 = 1024 * 1024 * 1024;

/// OSS takes object names of 1 to 1,023 bytes.
const KEY_MAX: usize = 1023;

/// Which object is meant.
pub(super) struct Put {
    pub(super) bucket: String,
    pub(super) key: String,
    query: Query,
}

/// How OSS stands to the request, whatever the request says.
#[derive(Clone, Copy)]
pub(super) struct Stance {
    /// By OSS's clock, which may be off.
    pub(super) now: Timestamp,
    pub(super) token_over: bool,
}

impl Put {
    /// The bucket is the first part of the host; all of the path is the key.
    pub(super) fn read(parts: &Parts, options: &SandboxOptions) -> Result<Self, OssError> {
        let bucket = bucket_of(parts, &options.endpoint)
            .ok_or_else(|| OssError::denied("The bucket must be addressed using its own endpoint."))?;
        if bucket != options.bucket {
            return Err(OssError::new(404, "NoSuchBucket", "The specified bucket does not exist."));
        }
        let path = parts.uri.path();
        let key = wire::decode(path.strip_prefix('/').unwrap_or(path));
        let key = key.filter(|key| (1..=KEY_MAX).contains(&key.len()) && !key.starts_with(['/', '\\']));
        let key =
            key.ok_or_else(|| OssError::new(400, "InvalidObjectName", "The specified object is not valid."))?;
        Ok(Self { bucket, key, query: wire::parse_query(parts.uri.query().unwrap_or_default()) })
    }
}

fn bucket_of(parts: &Parts, endpoint: &str) -> Option<String> {
    let host = wire::header(&parts.headers, "host").or_else(|| parts.uri.host())?;
    let name = host.rsplit_once(':').map_or(host, |(name, _port)| name).to_ascii_lowercase();
    let bucket = name.strip_suffix(endpoint)?.strip_suffix('.')?;
    (!bucket.is_empty()).then(|| bucket.to_owned())
}

/// The slot that the credentials were granted for.
pub(super) fn check(
    cloud: &Cloud,
    parts: &Parts,
    put: &Put,
    stance: Stance,
    entry: Entry<'_>,
) -> Result<Slot, OssError> {
    if parts.method != Method::HEAD {
        check_length(parts)?;
    }
    given_md5(parts)?;
    let headers = &parts.headers;
    let request = OssRequest {
        method: parts.method.as_str(),
        bucket: &put.bucket,
        key: &put.key,
        query: &put.query,
        headers,
    };
    let presented = PresentedSignature::read(request).map_err(|error| unreadable(&error))?;
    let id = presented.access_key_id.clone();
    entry.note(|log| (log.signature, log.access_key_id) = (Some(presented.kind), Some(id)));
    check_date(&presented, stance.now)?;
    check_scope(&presented, &cloud.options.region)?;
    let grant = grant_of(cloud, &presented)?;
    entry.note(|log| log.slot = Some(grant.slot.clone()));
    if stance.token_over || grant.ends <= cloud.now() {
        return Err(OssError::new(
            403,
            "SecurityTokenExpired",
            "The security token you provided has expired.",
        ));
    }
    let expected = presented.expected(request, &grant.secret);
    if expected.signature != presented.signature {
        return Err(OssError::signature(&presented, expected));
    }
    Ok(grant.slot)
}

/// What can only be checked once the body is there.
pub(super) fn check_body(parts: &Parts, len: u64, md5: &[u8; 16]) -> Result<(), OssError> {
    if check_length(parts)? != len {
        return Err(OssError::new(400, "IncompleteBody", "The body is not as long as Content-Length says."));
    }
    match given_md5(parts)? {
        Some(given) if given != *md5 => Err(OssError::digest()),
        _ => Ok(()),
    }
}

fn check_length(parts: &Parts) -> Result<u64, OssError> {
    let chunked = parts.headers.contains_key("transfer-encoding");
    let length = wire::header(&parts.headers, "content-length").and_then(|text| text.parse().ok());
    match length {
        Some(length) if length > SIZE_MAX => Err(OssError::too_large()),
        Some(length) if !chunked => Ok(length),
        _ => Err(OssError::new(
            411,
            "MissingContentLength",
            "You must provide the Content-Length HTTP header.",
        )),
    }
}

fn given_md5(parts: &Parts) -> Result<Option<[u8; 16]>, OssError> {
    let Some(text) = wire::header(&parts.headers, "content-md5") else {
        return Ok(None);
    };
    let bytes = STANDARD.decode(text).ok().and_then(|bytes| bytes.try_into().ok());
    bytes.map(Some).ok_or_else(OssError::digest)
}

fn unreadable(error: &SignatureError) -> OssError {
    match error {
        SignatureError::Anonymous => OssError::denied("Anonymous access is forbidden for this operation."),
        SignatureError::Malformed(why) => OssError::argument(why),
    }
}

fn check_date(presented: &PresentedSignature, now: Timestamp) -> Result<(), OssError> {
    if presented.is_presigned() {
        return match presented.expires_at {
            Some(end) if end > now => Ok(()),
            _ => Err(OssError::denied("Request has expired.")),
        };
    }
    let signed = presented.signed_at();
    let signed = signed.ok_or_else(|| OssError::denied("OSS authentication requires a valid Date."))?;
    if now.duration_since(signed).abs() > WINDOW {
        let message = "The difference between the request time and the current time is too large.";
        return Err(OssError::new(403, "RequestTimeTooSkewed", message)
            .with("MaxAllowedSkewMilliseconds", WINDOW.as_millis().to_string())
            .with("RequestTime", wire::rfc3339(signed))
            .with("ServerTime", wire::rfc3339(now)));
    }
    Ok(())
}

/// V4 only: a V1 signature belongs to no region.
fn check_scope(presented: &PresentedSignature, ours: &str) -> Result<(), OssError> {
    let Some(Scope { date, region, product }) = &presented.scope else {
        return Ok(());
    };
    if region != ours {
        return Err(OssError::argument("Invalid signing region in Authorization header."));
    }
    if product != "oss" {
        return Err(OssError::argument("Invalid signing product in Authorization header."));
    }
    if !presented.date.starts_with(date.as_str()) || date.len() != 8 {
        return Err(OssError::argument("Invalid signing date in Authorization header."));
    }
    Ok(())
}

fn grant_of(cloud: &Cloud, presented: &PresentedSignature) -> Result<Grant, OssError> {
    let memory = cloud.lock();
    let unknown = || {
        let message = "The OSS Access Key Id you provided does not exist in our records.";
        OssError::new(403, "InvalidAccessKeyId", message)
    };
    let grant = memory.grant_of(&presented.access_key_id).ok_or_else(unknown)?;
    // Without its token a temporary key is no key.
    let token = presented.token.as_deref().ok_or_else(unknown)?;
    match memory.owner_of(token) {
        None => {
            Err(OssError::new(403, "InvalidSecurityToken", "The security token you provided is invalid."))
        }
        Some(owner) if owner != presented.access_key_id => {
            let message = "The access key id does not match the security token.";
            Err(OssError::new(403, "AccessKeyIdAndSecurityTokenNotMatch", message))
        }
        Some(_) => Ok(grant.clone()),
    }
}
