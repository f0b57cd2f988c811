//! What a client shows: the token itself, or a cookie that stands for it.
//!
//! Credentials are checked one after the other, in turn by origin, and after invalid ones the next check waits for a
//! moment, whatever client asks for it. So nobody can guess fast, on any number of connections. The valid token is never
//! refused: it waits for other origins once, and for the earlier requests of its own. A cookie that was valid before is accepted at once, because it cannot be derived from
//! a guessed token: it holds a random number.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::http::{HeaderMap, header};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use tokio::time::Instant;
use uuid::Uuid;

use super::origin::Origin;
use super::turns::Turns;
use crate::config::Secret;

/// The pause before the next check after invalid credentials.
const PAUSE: Duration = Duration::from_millis(25);

/// How long a cookie is valid: a month, in seconds.
const MONTH: i64 = 30 * 86_400;

/// How many cookies of our name that are not known are checked in one request; a browser sends one.
const MAX_COOKIES: usize = 2;

/// How many valid cookies are remembered.
const MAX_KNOWN: usize = 1024;

/// This many invalid credentials within the interval are logged, once in the interval.
const SUSPICIOUS: u32 = 10;
const INTERVAL: Duration = Duration::from_hours(1);

/// The outcome of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Credentials {
    /// The token, or a cookie that stands for it.
    Valid,
    /// Something else.
    Invalid,
    /// Nothing was shown.
    Missing,
}

/// Checks credentials. It keeps a digest of the token and a key made from it, so that the time of a comparison says
/// nothing about the token.
pub(super) struct Authenticator {
    digest: [u8; 32],
    key: Hmac<Sha256>,
    /// The time of the next check.
    next_check: Turns<Instant>,
    known_cookies: Mutex<BTreeSet<String>>,
    invalid: Mutex<InvalidCount>,
}

#[derive(Debug)]
struct InvalidCount {
    count: u32,
    since: Instant,
}

impl std::fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Authenticator(hidden)")
    }
}

impl Authenticator {
    pub(super) fn new(token: &Secret) -> Self {
        let key = Hmac::new_from_slice(token.expose().as_bytes()).expect("HMAC takes keys of any length");
        let now = Instant::now();
        Self {
            digest: digest(token.expose()),
            key,
            next_check: Turns::new(now),
            known_cookies: Mutex::default(),
            invalid: Mutex::new(InvalidCount { count: 0, since: now }),
        }
    }

    /// Is it the token?
    pub(super) async fn is_token(&self, origin: Origin, token: &str) -> bool {
        self.check(origin, || digest(token) == self.digest).await
    }

    /// Checks what the headers of a request show.
    pub(super) async fn authenticate(
        &self,
        origin: Origin,
        headers: &HeaderMap,
        now: Timestamp,
    ) -> Credentials {
        let bearer = text(headers, header::AUTHORIZATION).and_then(|value| value.strip_prefix("Bearer "));
        // others of the name, which other sites of the same domain may set, may come first
        let mut cookies: Vec<_> = cookies(headers).collect();
        if cookies.iter().any(|cookie| self.is_known(cookie) && self.is_valid(cookie, now)) {
            return Credentials::Valid;
        }
        cookies.truncate(MAX_COOKIES);
        if bearer.is_none() && cookies.is_empty() {
            return Credentials::Missing;
        }
        let check = self.check(origin, || {
            let valid = cookies.iter().find(|cookie| self.is_valid(cookie, now));
            valid.inspect(|cookie| self.add_known(cookie)).is_some()
                || bearer.is_some_and(|token| digest(token) == self.digest)
        });
        if check.await { Credentials::Valid } else { Credentials::Invalid }
    }

    /// The value of `Set-Cookie` for a client that has shown the token. The cookie says when it expires and has a
    /// random number; a MAC with the token as its key seals both, so a new token makes all cookies invalid.
    pub(super) fn new_cookie(&self, headers: &HeaderMap, now: Timestamp) -> String {
        let text = format!("{}.{}", now.as_second() + MONTH, Uuid::new_v4().simple());
        let mac = URL_SAFE_NO_PAD.encode(self.mac(&text).finalize().into_bytes());
        let name = cookie_name(headers);
        // a proxy terminates TLS
        let tls = headers.get("x-forwarded-proto").is_some_and(|scheme| scheme == "https");
        let secure = if tls { "; Secure" } else { "" };
        format!("{name}={text}.{mac}; Path=/; HttpOnly; SameSite=Strict{secure}; Max-Age={MONTH}")
    }

    /// Checks in turn, after the pause. A client that goes away loses its turn, and does not shorten the pause.
    async fn check(&self, origin: Origin, is_valid: impl FnOnce() -> bool) -> bool {
        let mut next_check = self.next_check.take(origin).await;
        tokio::time::sleep_until(*next_check).await;
        let valid = is_valid();
        if !valid {
            *next_check = Instant::now() + PAUSE;
            self.invalid.lock().unwrap_or_else(PoisonError::into_inner).add();
        }
        valid
    }

    fn is_valid(&self, cookie: &str, now: Timestamp) -> bool {
        let parts = cookie.rsplit_once('.').and_then(|(text, mac)| {
            let expires: i64 = text.split_once('.')?.0.parse().ok()?;
            Some((text, expires, URL_SAFE_NO_PAD.decode(mac).ok()?))
        });
        parts.is_some_and(|(text, expires, mac)| {
            self.mac(text).verify_slice(&mac).is_ok() && now.as_second() < expires
        })
    }

    fn mac(&self, text: &str) -> Hmac<Sha256> {
        self.key.clone().chain_update("brandpost cookie ").chain_update(text)
    }

    fn is_known(&self, cookie: &str) -> bool {
        self.known_cookies.lock().unwrap_or_else(PoisonError::into_inner).contains(cookie)
    }

    fn add_known(&self, cookie: &str) {
        let mut known = self.known_cookies.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() == MAX_KNOWN {
            // the one that expires first
            known.pop_first();
        }
        known.insert(cookie.to_owned());
    }
}

impl InvalidCount {
    fn add(&mut self) {
        if self.since.elapsed() > INTERVAL {
            *self = Self { count: 0, since: Instant::now() };
        }
        self.count = self.count.saturating_add(1);
        if self.count == SUSPICIOUS {
            tracing::warn!(
                "the page was asked {SUSPICIOUS} times with a wrong token or cookie: somebody is guessing, or pages are \
                 open from before the token changed; {} a second are checked, and the next hour of them is not logged",
                1000 / PAUSE.as_millis()
            );
        }
    }
}

fn digest(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// Browsers send cookies to all ports of a host, so the name has the port: several services can run on one host.
fn cookie_name(headers: &HeaderMap) -> String {
    let port = text(headers, header::HOST).and_then(|host| host.rsplit_once(':')).map(|(_, port)| port);
    match port.filter(|port| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit())) {
        Some(port) => format!("brandpost-{port}"),
        None => "brandpost".into(),
    }
}

fn cookies(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let name = cookie_name(headers) + "=";
    let all = text(headers, header::COOKIE).into_iter().flat_map(|cookies| cookies.split("; "));
    all.filter_map(move |cookie| cookie.strip_prefix(&name))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "0123456789abcdef0123456789abcdef";
    const ME: Origin = Origin::User(Some(1000));
    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn authenticator(text: &str) -> Authenticator {
        Authenticator::new(&Secret::from(text.to_owned()))
    }

    fn with(name: header::HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, value.parse().unwrap())])
    }

    fn bearer(token: &str) -> HeaderMap {
        with(header::AUTHORIZATION, &format!("Bearer {token}"))
    }

    fn days(count: i64) -> Timestamp {
        Timestamp::from_second(count * 86_400).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_cookie_lasts_a_month_and_as_long_as_its_token() {
        let mine = authenticator(TOKEN);
        let set = mine.new_cookie(&HeaderMap::new(), NOW);
        let cookie = with(header::COOKIE, set.split(';').next().unwrap());
        assert!(set.contains("HttpOnly; SameSite=Strict") && !set.contains(TOKEN), "{set}");
        for (day, proof) in [(0, Credentials::Valid), (29, Credentials::Valid), (30, Credentials::Invalid)] {
            assert_eq!(mine.authenticate(ME, &cookie, days(day)).await, proof, "{day}");
        }
        assert_eq!(
            authenticator(&TOKEN.replace('a', "b")).authenticate(ME, &cookie, NOW).await,
            Credentials::Invalid
        );
        let longer = set.split(';').next().unwrap().replace("=2592000.", "=9592000.");
        assert_eq!(mine.authenticate(ME, &with(header::COOKIE, &longer), NOW).await, Credentials::Invalid);
        assert_eq!(mine.authenticate(ME, &HeaderMap::new(), NOW).await, Credentials::Missing);
        let tls = with(header::HeaderName::from_static("x-forwarded-proto"), "https");
        assert!(!set.contains("Secure") && mine.new_cookie(&tls, NOW).contains("; Secure;"));
        for wrong in ["brandpost=", "brandpost=a.b.c", "brandpost=..", "brandpost=9.9", "brandpost=9.9.9"] {
            assert_eq!(
                mine.authenticate(ME, &with(header::COOKIE, wrong), NOW).await,
                Credentials::Invalid,
                "{wrong}"
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn each_service_of_a_host_has_its_own_cookie() {
        let token = authenticator(TOKEN);
        let mut headers = with(header::HOST, "localhost:9600");
        let cookie = token.new_cookie(&headers, NOW);
        assert!(cookie.starts_with("brandpost-9600="), "{cookie}");
        headers.insert(
            header::COOKIE,
            format!("brandpost-9601=x; {}", cookie.split(';').next().unwrap()).parse().unwrap(),
        );
        assert_eq!(token.authenticate(ME, &headers, NOW).await, Credentials::Valid);
        headers.insert(header::HOST, "localhost:9601".parse().unwrap());
        assert_eq!(token.authenticate(ME, &headers, NOW).await, Credentials::Invalid);
        headers.insert(header::HOST, "localhost:9600".parse().unwrap());
        let foreign = "brandpost-9600=x; brandpost-9600=y; brandpost-9600=z";
        let after = format!("{foreign}; {}", cookie.split(';').next().unwrap());
        headers.insert(header::COOKIE, after.parse().unwrap());
        assert_eq!(token.authenticate(ME, &headers, NOW).await, Credentials::Valid, "others come first");
    }

    /// The clock is moved on whenever all of them wait.
    #[tokio::test(start_paused = true)]
    async fn guesses_are_slow_and_the_right_token_waits_a_few_seconds_at_most() {
        let token = std::sync::Arc::new(authenticator(TOKEN));
        let cookie = token.new_cookie(&HeaderMap::new(), NOW);
        let cookie = with(header::COOKIE, cookie.split(';').next().unwrap());
        assert_eq!(token.authenticate(ME, &cookie, NOW).await, Credentials::Valid);
        let begin = Instant::now();
        let mut crowd = tokio::task::JoinSet::new();
        for guess in 0..80 {
            let token = token.clone();
            crowd.spawn(async move {
                while token.authenticate(ME, &bearer(&format!("{guess}")), NOW).await == Credentials::Invalid
                {
                }
            });
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        let before = Instant::now();
        assert_eq!(token.authenticate(ME, &cookie, NOW).await, Credentials::Valid);
        assert_eq!(before.elapsed(), Duration::ZERO, "a known cookie does not wait");
        assert_eq!(token.authenticate(ME, &bearer(TOKEN), NOW).await, Credentials::Valid);
        assert!(before.elapsed() < Duration::from_secs(4), "{:?}", before.elapsed());
        assert!(token.is_token(ME, TOKEN).await);
        let checked = token.invalid.lock().unwrap().count;
        assert!(begin.elapsed() >= PAUSE * (checked - 1), "{checked} in {:?}", begin.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn leaving_early_makes_guesses_no_faster() {
        let token = authenticator(TOKEN);
        let begin = Instant::now();
        for guess in 0..200 {
            let guess = bearer(&guess.to_string());
            let _ = tokio::time::timeout(Duration::from_millis(1), token.authenticate(ME, &guess, NOW)).await;
        }
        let checked = token.invalid.lock().unwrap().count;
        assert!(begin.elapsed() >= PAUSE * (checked - 1), "{checked} in {:?}", begin.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn who_guesses_waits_behind_himself() {
        let token = std::sync::Arc::new(authenticator(TOKEN));
        let mut crowd = tokio::task::JoinSet::new();
        for user in [1001, 1002] {
            for guess in 0..200 {
                let token = token.clone();
                let guess = bearer(&guess.to_string());
                crowd.spawn(async move { token.authenticate(Origin::User(Some(user)), &guess, NOW).await });
            }
        }
        tokio::time::sleep(PAUSE).await;
        let begin = Instant::now();
        assert_eq!(token.authenticate(ME, &bearer(TOKEN), NOW).await, Credentials::Valid);
        assert!(begin.elapsed() <= PAUSE * 3, "{:?}", begin.elapsed());
        assert!(crowd.len() > 390, "they still wait");
    }
}
