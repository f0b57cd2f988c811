//! What a successful gateway call hands out.

use http::{HeaderMap, HeaderValue};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{
    options::UploadUrl,
    plan::Plan,
    slot::Slot,
    state::{Cloud, Grant},
    verify::{self, OssRequest},
    wire::{self, Query},
};

pub(super) fn data(cloud: &Cloud, grant: &Grant, plan: &Plan) -> Value {
    let own = |fault: &Option<String>, right: String| fault.clone().unwrap_or(right);
    let url_ends = plan.url_life.map_or(grant.expires, |seconds| {
        cloud.now().saturating_add(SignedDuration::from_secs(seconds)).unwrap_or(grant.expires)
    });
    let expiration = plan.expiration.clone().unwrap_or_else(|| wire::rfc3339(grant.expires).into());
    json!({
        "accessKeyId": grant.access_key_id,
        "accessKeySecret": grant.secret,
        "securityToken": grant.token,
        "endpoint": own(&plan.endpoint, cloud.options.endpoint.clone()),
        "uploadUrl": own(&plan.upload_url, upload_url(cloud, grant, url_ends)),
        "expiration": expiration,
    })
}

fn upload_url(cloud: &Cloud, grant: &Grant, ends: Timestamp) -> String {
    let host = format!("http://{}", cloud.options.bucket_host());
    let key = key(&grant.slot);
    let path = wire::encode_key(&key);
    let headers = signed_headers(&grant.slot);
    let unsigned = OssRequest {
        method: "PUT",
        bucket: &cloud.options.bucket,
        key: &key,
        query: &Query::new(),
        headers: &headers,
    };
    match cloud.options.upload_url {
        UploadUrl::Bucket => host,
        UploadUrl::Path => format!("{host}/{path}"),
        UploadUrl::PresignedV1 => format!("{host}/{path}?{}", written(&signed_v1(grant, unsigned, ends))),
        UploadUrl::PresignedV1Untyped => {
            let untyped = OssRequest { headers: &HeaderMap::new(), ..unsigned };
            format!("{host}/{path}?{}", written(&signed_v1(grant, untyped, ends)))
        }
        UploadUrl::PresignedV4 => {
            format!("{host}/{path}?{}", written(&signed_v4(cloud, grant, unsigned, ends)))
        }
    }
}

/// Where the cloud would have a slot's picture when it names the key itself.
fn key(slot: &Slot) -> String {
    let Slot { kind, id, index, suffix } = slot;
    format!("qualification/{}/{id}/{index}.{suffix}", kind.to_lowercase())
}

/// A signed URL fixes the type of what is put there.
fn signed_headers(slot: &Slot) -> HeaderMap {
    let kind = match slot.suffix.as_str() {
        "png" => "image/png",
        "gif" => "image/gif",
        _ => "image/jpeg",
    };
    HeaderMap::from_iter([(http::header::CONTENT_TYPE, HeaderValue::from_static(kind))])
}

fn signed_v1(grant: &Grant, unsigned: OssRequest<'_>, ends: Timestamp) -> Query {
    verify::presign_v1(unsigned, &grant.access_key_id, &grant.secret, &grant.token, ends)
}

fn signed_v4(cloud: &Cloud, grant: &Grant, unsigned: OssRequest<'_>, ends: Timestamp) -> Query {
    let (now, region) = (cloud.now(), &cloud.options.region);
    let life = ends.duration_since(now).as_secs();
    verify::presign_v4(unsigned, &grant.access_key_id, &grant.secret, &grant.token, region, now, life)
}

fn written(query: &Query) -> String {
    let pair = |(name, value): &(String, Option<String>)| {
        format!("{}={}", wire::encode_query(name), wire::encode_query(value.as_deref().unwrap_or_default()))
    };
    query.iter().map(pair).collect::<Vec<_>>().join("&")
}
