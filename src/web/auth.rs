//! Which requests are answered: those that use a name of ours, come from our own page if they change something, are
//! short, and show the token where it is needed.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::{Body, to_bytes};
use axum::extract::{Extension, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http_body::Body as _;
use serde::Deserialize;

use super::Shared;
use super::connection::Connection;
use super::credentials::Credentials;
use crate::config::Secret;

/// The longest body and the longest query, in bytes. No request of ours needs more.
const MAX_BODY: usize = 4 << 10;
const MAX_QUERY: usize = 4 << 10;

/// How long a body may take after its head.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// What a page may do: load what this service serves, and nothing else.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
                      connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

#[derive(Deserialize)]
pub(super) struct Login {
    token: Secret,
}

pub(super) async fn login(
    State(shared): State<Arc<Shared>>,
    Extension(connection): Extension<Connection>,
    headers: HeaderMap,
    Json(login): Json<Login>,
) -> Response {
    if !shared.authenticator.is_token(connection.origin(), login.token.expose()).await {
        return unauthorized("this is not the token\n");
    }
    connection.mark_authenticated();
    let cookie = shared.authenticator.new_cookie(&headers, shared.from.ledger.now());
    (StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie)]).into_response()
}

pub(super) async fn require_token(
    State(shared): State<Arc<Shared>>,
    Extension(connection): Extension<Connection>,
    request: Request,
    next: Next,
) -> Response {
    let (origin, now) = (connection.origin(), shared.from.ledger.now());
    match shared.authenticator.authenticate(origin, request.headers(), now).await {
        Credentials::Valid => {
            connection.mark_authenticated();
            next.run(request).await
        }
        Credentials::Invalid => {
            unauthorized("the token or cookie is wrong; `brandpost page` shows the token\n")
        }
        Credentials::Missing => {
            unauthorized("a token is needed, `Authorization: Bearer …`; `brandpost page` shows it\n")
        }
    }
}

fn unauthorized(text: &'static str) -> Response {
    (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Bearer")], text).into_response()
}

/// Monitoring needs no token on the same machine. Requests that a proxy forwards are not from this machine.
pub(super) async fn require_token_unless_local(
    State(shared): State<Arc<Shared>>,
    Extension(connection): Extension<Connection>,
    request: Request,
    next: Next,
) -> Response {
    if connection.is_local() && is_local(request.headers()) {
        let _turn = shared.monitoring.take(connection.origin()).await;
        return next.run(request).await;
    }
    require_token(State(shared), Extension(connection), request, next).await
}

fn is_local(headers: &HeaderMap) -> bool {
    let host = host(headers);
    let loopback = host == "localhost" || address(host).is_some_and(|address| address.is_loopback());
    let forwarded = ["forwarded", "x-forwarded-for", "x-real-ip", "via"];
    loopback && forwarded.iter().all(|name| !headers.contains_key(*name))
}

/// Reads the whole request before anything is done with it, and refuses one that is too long or too slow. A client that
/// has not shown the token needs a new connection for each request, and so a new place.
pub(super) async fn limit_request(
    Extension(connection): Extension<Connection>,
    request: Request,
    next: Next,
) -> Response {
    let refuse = |status, text: &'static str| (status, [(header::CONNECTION, "close")], text).into_response();
    if request.uri().query().is_some_and(|query| query.len() > MAX_QUERY) {
        return refuse(StatusCode::BAD_REQUEST, "the query is longer than 4096 bytes\n");
    }
    let (head, body) = request.into_parts();
    let too_long =
        || refuse(StatusCode::PAYLOAD_TOO_LARGE, "the body is incomplete, or longer than 4096 bytes\n");
    if body.size_hint().lower() > MAX_BODY as u64 {
        return too_long();
    }
    let body = match tokio::time::timeout(BODY_TIMEOUT, to_bytes(body, MAX_BODY)).await {
        Ok(Ok(body)) => body,
        Ok(Err(_)) => return too_long(),
        Err(_) => return refuse(StatusCode::REQUEST_TIMEOUT, "the body did not arrive in time\n"),
    };
    let _in_progress = connection.begin_request();
    let mut response = next.run(Request::from_parts(head, Body::from(body))).await;
    if !connection.is_authenticated() {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// A page of another site whose name resolves to our address (DNS rebinding) still sends its own name as `Host`.
/// Addresses cannot be abused like this.
pub(super) async fn require_known_host(
    State(shared): State<Arc<Shared>>,
    request: Request,
    next: Next,
) -> Response {
    let host = host(request.headers());
    let known = host == "localhost"
        || address(host).is_some()
        || shared.from.settings.http.hosts.iter().any(|name| name.eq_ignore_ascii_case(host));
    if known {
        return next.run(request).await;
    }
    let text = "this service does not go by that name; http.hosts lists its names\n";
    (StatusCode::MISDIRECTED_REQUEST, text).into_response()
}

fn host(headers: &HeaderMap) -> &str {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

fn address(host: &str) -> Option<IpAddr> {
    host.trim_matches(['[', ']']).parse().ok()
}

/// Requests that change something must come from our own page or from a program: other sites' pages cannot send this
/// header.
pub(super) async fn require_same_origin(request: Request, next: Next) -> Response {
    let reads = request.method() == Method::GET || request.method() == Method::HEAD;
    if reads || is_same_origin(request.headers()) {
        return next.run(request).await;
    }
    let text = "only this service's own page, or a program that sends `X-Brandpost: 1`, may do that\n";
    (StatusCode::FORBIDDEN, text).into_response()
}

fn is_same_origin(headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let site = text("sec-fetch-site").is_none_or(|site| site == "same-origin" || site == "none");
    let origin = text("origin").and_then(|origin| origin.split_once("://"));
    let origin = text("origin").is_none() || origin.map(|(_, host)| host) == text("host");
    site && origin && text("x-brandpost") == Some("1")
}

pub(super) async fn add_security_headers(mut response: Response) -> Response {
    let headers = response.headers_mut();
    let mut set = |name, value| headers.insert(name, HeaderValue::from_static(value));
    set(header::CONTENT_SECURITY_POLICY, POLICY);
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(header::REFERRER_POLICY, "no-referrer");
    set(HeaderName::from_static("cross-origin-resource-policy"), "same-origin");
    set(HeaderName::from_static("cross-origin-opener-policy"), "same-origin");
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}
