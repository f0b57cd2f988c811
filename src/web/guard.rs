//! Who may come in: only those who address us by a name of ours, act from a page of ours, and know the token if
//! there is one.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use axum::Json;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::Shared;
use crate::config::{Http, Secret};

/// A token that can be guessed is none.
const SHORTEST: usize = 16;

/// How long a wrong token is answered with nothing.
const WRONG: Duration = Duration::from_millis(500);

const COOKIE: &str = "brandpost";

/// What a page may do: load what this service serves, and nothing else.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
                      connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Digests of the token, and of the cookie that stands for it: comparing them tells nothing of the token.
#[derive(Debug)]
pub(super) struct Token {
    token: [u8; 32],
    session: String,
}

impl Token {
    pub(super) fn load(http: &Http) -> anyhow::Result<Option<Self>> {
        let Some(path) = &http.token_file else { return Ok(None) };
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("http.token_file {} cannot be read", path.display()))?;
        let token = Secret::from(text.trim().to_owned());
        if token.expose().len() < SHORTEST {
            bail!(
                "http.token_file {} holds fewer than {SHORTEST} characters: `openssl rand -hex 24` makes a good one",
                path.display()
            );
        }
        Ok(Some(Self { token: digest(token.expose()), session: session(token.expose()) }))
    }

    fn is(&self, token: &str) -> bool {
        digest(token) == self.token
    }

    fn is_shown(&self, headers: &HeaderMap) -> bool {
        let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        let bearer = text(header::AUTHORIZATION).and_then(|value| value.strip_prefix("Bearer "));
        let cookies = text(header::COOKIE).into_iter().flat_map(|cookies| cookies.split("; "));
        let mut sessions = cookies.filter_map(|cookie| cookie.strip_prefix("brandpost="));
        bearer.is_some_and(|token| self.is(token))
            || sessions.any(|session| digest(session) == digest(&self.session))
    }
}

fn digest(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

/// What the cookie holds: it stands for the token, which cannot be found from it.
fn session(token: &str) -> String {
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(digest(&format!("brandpost session {token}")))
}

#[derive(Deserialize)]
pub(super) struct Login {
    token: Secret,
}

pub(super) async fn login(State(shared): State<Arc<Shared>>, Json(login): Json<Login>) -> Response {
    match &shared.token {
        Some(token) if !token.is(login.token.expose()) => {
            tokio::time::sleep(WRONG).await;
            (StatusCode::UNAUTHORIZED, "this is not the token\n").into_response()
        }
        None => StatusCode::NO_CONTENT.into_response(),
        Some(token) => {
            let cookie =
                format!("{COOKIE}={}; Path=/; HttpOnly; SameSite=Strict; Max-Age=31536000", token.session);
            (StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie)]).into_response()
        }
    }
}

pub(super) async fn only_with_token(
    State(shared): State<Arc<Shared>>,
    request: Request,
    next: Next,
) -> Response {
    match &shared.token {
        Some(token) if !token.is_shown(request.headers()) => {
            let bearer = [(header::WWW_AUTHENTICATE, "Bearer")];
            (StatusCode::UNAUTHORIZED, bearer, "a token is needed: Authorization: Bearer …\n").into_response()
        }
        _ => next.run(request).await,
    }
}

/// A page of another site that got a name for our address (DNS rebinding) still sends its own name. Nobody can
/// do that with an address.
pub(super) async fn only_known_names(
    State(shared): State<Arc<Shared>>,
    request: Request,
    next: Next,
) -> Response {
    let host = host(request.headers());
    let known = host == "localhost"
        || host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok()
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

/// What changes something comes from a page of ours (another site's cannot send this header without being asked
/// for), or from a program.
pub(super) async fn only_our_own_posts(request: Request, next: Next) -> Response {
    let reads = request.method() == Method::GET || request.method() == Method::HEAD;
    if reads || is_our_own(request.headers()) {
        return next.run(request).await;
    }
    let text = "only this service's own page, or a program that sends `X-Brandpost: 1`, may do that\n";
    (StatusCode::FORBIDDEN, text).into_response()
}

fn is_our_own(headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let site = text("sec-fetch-site").is_none_or(|site| site == "same-origin" || site == "none");
    let origin = text("origin").and_then(|origin| origin.split_once("://"));
    let origin = text("origin").is_none() || origin.map(|(_, host)| host) == text("host");
    site && origin && text("x-brandpost") == Some("1")
}

pub(super) async fn with_headers(mut response: Response) -> Response {
    let headers = response.headers_mut();
    let mut set = |name, value| headers.insert(name, HeaderValue::from_static(value));
    set(header::CONTENT_SECURITY_POLICY, POLICY);
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(header::REFERRER_POLICY, "no-referrer");
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}
