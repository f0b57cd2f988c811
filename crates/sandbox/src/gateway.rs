//! The IoT API gateway: the one call that hands out temporary OSS credentials.

use axum::{
    body::{Body, to_bytes},
    extract::Request,
    response::Response,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::request::Parts;
use jiff::{SignedDuration, Timestamp};
use md5::{Digest as _, Md5};

use super::{
    answer::AnswerFinish,
    call::Call,
    connection::Hold,
    entry::Entry,
    fault::Service,
    grant,
    instead::instead,
    options::Stage,
    plan::Plan,
    refusal::{self, CaForm, Refusal},
    state::{Cloud, WINDOW, request_id},
    verify::{self, SignatureKind},
    wire,
};

pub(super) const PATH: &str = "/industry/qualification/oss/sts/get";

const ACCEPT: &str = "application/json; charset=utf-8";
const CONTENT_TYPE: &str = "application/octet-stream; charset=utf-8";
const BODY_MAX: usize = 1024 * 1024;

pub(super) async fn handle(cloud: &Cloud, hold: &Hold, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let request_id = request_id();
    let entry = Entry::open(cloud, Service::Gateway, &parts, &request_id);
    let body = read(body, entry).await;
    let call = Call::read(&body);
    cloud.options.pass(Service::Gateway, Stage::Arrived).await;
    let plan = cloud.plan(Service::Gateway, &call.label());
    entry.note(|log| (log.faults, log.slot) = (plan.names.clone(), call.slot().ok()));
    tokio::time::sleep(plan.delay + plan.reading_time(body.len())).await;
    let now = cloud.now().saturating_add(SignedDuration::from_secs(plan.skew)).unwrap_or(Timestamp::MAX);
    let answer = match check(cloud, &parts, &body, now) {
        Err(refusal) => refuse(&refusal, &call, entry),
        Ok(()) => serve(cloud, hold, &call, &plan, entry).await,
    };
    cloud.options.pass(Service::Gateway, Stage::Answering).await;
    let finish = AnswerFinish {
        date: wire::http_date(now),
        id_header: "x-ca-request-id",
        request_id: &request_id,
        hold,
    };
    finish.send(answer, &plan, entry).await
}

/// A body that breaks off or is far too long is taken for an empty one: no signature fits that either.
async fn read(body: Body, entry: Entry<'_>) -> Bytes {
    let body = to_bytes(body, BODY_MAX).await.unwrap_or_default();
    entry.note(|log| log.bytes = body.len() as u64);
    body
}

/// Faults come after the signature check, so that none of them hides a badly signed request.
async fn serve(cloud: &Cloud, hold: &Hold, call: &Call, plan: &Plan, entry: Entry<'_>) -> Response {
    entry.note(|log| log.signature = Some(SignatureKind::Gateway));
    if let Some(action) = &plan.instead {
        entry.outcome(format!("fault:{}", action.name()));
        return instead(action, hold, &CaForm).await;
    }
    match call.check(&cloud.options.app_id) {
        Err(refusal) => refuse(&refusal, call, entry),
        Ok(slot) => {
            let granted = cloud.grant(slot, plan.expired_token);
            entry.note(|log| log.access_key_id = Some(granted.access_key_id.clone()));
            entry.outcome("ok");
            refusal::envelope(200, &call.id, 200, (None, None), &grant::data(cloud, &granted, plan))
        }
    }
}

fn refuse(refusal: &Refusal, call: &Call, entry: Entry<'_>) -> Response {
    entry.outcome(refusal.name());
    refusal.answer(&call.id)
}

/// In the order in which the gateway looks.
fn check(cloud: &Cloud, parts: &Parts, body: &Bytes, now: Timestamp) -> Result<(), Refusal> {
    check_form(parts, body)?;
    let named = |name| wire::header_or_empty(&parts.headers, name);
    if named("x-ca-key") != cloud.options.app_key {
        return Err(Refusal::ca(400, "A400IK", "Invalid AppKey"));
    }
    check_time(named("x-ca-timestamp"), now)?;
    if !cloud.take_nonce(required("X-Ca-Nonce", named("x-ca-nonce"))?) {
        return Err(Refusal::ca(403, "S403NU", "Nonce Used"));
    }
    check_signature(cloud, parts)
}

fn check_form(parts: &Parts, body: &Bytes) -> Result<(), Refusal> {
    let named = |name| wire::header_or_empty(&parts.headers, name);
    if named("x-ca-signature").is_empty() {
        return Err(Refusal::Envelope {
            status: 401,
            code: 401,
            message: "Empty Signature",
            localized: None,
        });
    }
    if named("accept") != ACCEPT || named("content-type") != CONTENT_TYPE {
        return Err(Refusal::format());
    }
    if !body.is_empty() && named("content-md5") != STANDARD.encode(Md5::digest(body)) {
        return Err(Refusal::ca(400, "I400HD", "Invalid Header `Content-MD5` does not match the body"));
    }
    Ok(())
}

fn required<'a>(name: &str, value: &'a str) -> Result<&'a str, Refusal> {
    if value.is_empty() {
        return Err(Refusal::ca(400, "I400MH", format!("Header `{name}` is Required")));
    }
    Ok(value)
}

fn check_time(millis: &str, now: Timestamp) -> Result<(), Refusal> {
    let millis = required("X-Ca-Timestamp", millis)?.parse().ok();
    let time = millis.and_then(|millis| Timestamp::from_millisecond(millis).ok());
    match time {
        None => Err(Refusal::ca(400, "I400HD", "Invalid Header `X-Ca-Timestamp` is no number")),
        Some(time) if now.duration_since(time).abs() > WINDOW => {
            Err(Refusal::ca(403, "S403TE", "X-Ca-Timestamp is expired"))
        }
        Some(_) => Ok(()),
    }
}

fn check_signature(cloud: &Cloud, parts: &Parts) -> Result<(), Refusal> {
    let ours = verify::gateway_string_to_sign(parts.method.as_str(), &parts.uri, &parts.headers);
    let signature = verify::gateway_signature(&cloud.options.app_secret, &ours);
    if signature == wire::header_or_empty(&parts.headers, "x-ca-signature") {
        return Ok(());
    }
    let shown = ours.replace('\n', "#");
    Err(Refusal::ca(403, "A403IS", format!("Invalid Signature, Server StringToSign:{shown}")))
}
