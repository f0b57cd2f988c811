//! What a successful gateway call hands out.

use http::{HeaderMap, HeaderValue};
use serde_json::{Value, json};

use super::{
    options::UploadUrl,
    plan::Plan,
    state::{Cloud, Grant, Slot},
    verify::{self, OssRequest},
    wire::{self, Query},
};

pub(super) fn data(cloud: &Cloud, grant: &Grant, plan: &Plan) -> Value {
    let own = |fault: &Option<String>, right: String| fault.clone().unwrap_or(right);
    json!({
        "accessKeyId": grant.access_key_id,
        "accessKeySecret": grant.secret,
        "securityToken": grant.token,
        "endpoint": own(&plan.endpoint, cloud.options.endpoint.clone()),
        "uploadUrl": own(&plan.upload_url, upload_url(cloud, grant)),
        "expiration": own(&plan.expiration, wire::rfc3339(grant.expires)),
    })
}

fn upload_url(cloud: &Cloud, grant: &Grant) -> String {
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
        UploadUrl::PresignedV1 => format!("{host}/{path}?{}", written(&signed_v1(grant, unsigned))),
        UploadUrl::PresignedV4 => format!("{host}/{path}?{}", written(&signed_v4(cloud, grant, unsigned))),
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

fn signed_v1(grant: &Grant, unsigned: OssRequest<'_>) -> Query {
    verify::presign_v1(unsigned, &grant.access_key_id, &grant.secret, &grant.token, grant.expires)
}

fn signed_v4(cloud: &Cloud, grant: &Grant, unsigned: OssRequest<'_>) -> Query {
    let (now, region) = (cloud.now(), &cloud.options.region);
    let life = grant.expires.duration_since(now).as_secs();
    verify::presign_v4(unsigned, &grant.access_key_id, &grant.secret, &grant.token, region, now, life)
}

fn written(query: &Query) -> String {
    let pair = |(name, value): &(String, Option<String>)| {
        format!("{}={}", wire::encode_query(name), wire::encode_query(value.as_deref().unwrap_or_default()))
    };
    query.iter().map(pair).collect::<Vec<_>>().join("&")
}
