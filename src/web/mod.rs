//! The HTTP service on `http.listen`: the operators' page, the table as JSON and as a stream of events, metrics,
//! health and readiness.

mod accounts;
mod admission;
mod api;
mod auth;
mod client_stream;
mod connection;
mod connections;
mod credentials;
mod events;
mod health;
mod origin;
mod page;
mod thumbnail;
mod turns;
mod with_chinese;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use pictures::Budget;

use axum::routing::{get, post};
use axum::{Router, middleware};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::config::{Settings, TokenSource};
use crate::domain::notice::NoticeName;
use crate::intake;
use crate::ledger::Ledger;
use crate::metrics::Metrics;
use crate::publish::PublishProgress;
use credentials::Authenticator;
use events::Feed;
use thumbnail::Thumbnails;
use turns::Turns;

/// How often an address is tried again that cannot be used.
const BIND_AGAIN: Duration = Duration::from_secs(5);

/// What the service shows.
#[derive(Debug, Clone)]
pub struct Sources {
    /// The table.
    pub ledger: Ledger,
    /// How far the first reconciler is.
    pub intake: watch::Receiver<intake::IntakeProgress>,
    /// How far the second is.
    pub publish: watch::Receiver<PublishProgress>,
    /// What was counted.
    pub metrics: Metrics,
    /// The configuration.
    pub settings: Arc<Settings>,
    /// Memory for thumbnails, shared with the checks.
    pub picture_memory: Budget,
    /// Streams of events end with it.
    pub stop: CancellationToken,
}

/// What all handlers share.
#[derive(Debug)]
struct Shared {
    from: Sources,
    authenticator: Authenticator,
    feed: Feed,
    thumbnails: Thumbnails,
    /// Programs that show no token have the table read one at a time.
    monitoring: Turns<()>,
}

/// Takes the address, if one is configured.
///
/// # Errors
/// When the port is in use or may not be used.
pub fn bind(listen: Option<SocketAddr>) -> anyhow::Result<Option<std::net::TcpListener>> {
    let Some(address) = listen else { return Ok(None) };
    Ok(Some(listen_on(address).with_context(|| {
        format!("http.listen = \"{address}\" cannot be used; choose another port (an address on the same port needs a restart)")
    })?))
}

fn listen_on(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let listener = std::net::TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Waits until the address can be used. A notice says so meanwhile, because nobody can ask `/readyz`, and because
/// who uses the address must not be shown the token.
async fn listen_when_possible(address: SocketAddr, ledger: &Ledger) -> std::net::TcpListener {
    let mut noticed = None;
    loop {
        let error = match listen_on(address) {
            Ok(listener) => return listener,
            Err(error) => error,
        };
        let text = format!(
            "http.listen = \"{address}\" cannot be used ({error}): there is no page, /metrics or /readyz; uploads go on"
        );
        if noticed.is_none() {
            tracing::error!("{text}; it is tried again every {} s", BIND_AGAIN.as_secs());
        }
        if noticed != Some(true) {
            noticed = Some(ledger.set_notice(NoticeName::Unserved, &text).await.is_ok());
        }
        tokio::time::sleep(BIND_AGAIN).await;
    }
}

/// Clears the notice of an earlier try, or an earlier start.
async fn clear_unserved(ledger: &Ledger) {
    let notices = ledger.report().notices().await.unwrap_or_default();
    if notices.iter().any(|notice| notice.name == NoticeName::Unserved) {
        // problems with the database are logged by those who work with it
        let _ = ledger.clear_notice(NoticeName::Unserved).await;
    }
}

/// Reads the operator's token before the start or a reload.
///
/// # Errors
/// When it cannot be read or is not safe.
pub fn check(settings: &Settings) -> anyhow::Result<()> {
    match &settings.http.token {
        TokenSource::File(_) if settings.http.listen.is_some() => Ok(settings.http.token.load().map(drop)?),
        _ => Ok(()),
    }
}

/// Serves for ever, as soon as the address can be used; without one it only waits.
///
/// # Errors
/// When the listener fails.
pub async fn serve(listener: Option<std::net::TcpListener>, from: Sources) -> anyhow::Result<()> {
    let listener = match (listener, from.settings.http.listen) {
        (Some(listener), _) => Some(listener),
        (None, Some(address)) => Some(listen_when_possible(address, &from.ledger).await),
        (None, None) => None,
    };
    clear_unserved(&from.ledger).await;
    let Some(listener) = listener else { return std::future::pending().await };
    let listener = TcpListener::from_std(listener)?;
    let authenticator = Authenticator::new(&from.settings.http.token.load_or_generate()?);
    tracing::info!(address = %listener.local_addr()?, "HTTP; `brandpost page` prints the page's address with its token");
    let shared = Arc::new(Shared {
        from,
        authenticator,
        feed: Feed::default(),
        thumbnails: Thumbnails::default(),
        monitoring: Turns::default(),
    });
    tokio::select! {
        () = connections::serve(listener, router(shared.clone())) => Ok(()),
        () = events::feed(&shared) => Ok(()),
    }
}

fn router(shared: Arc<Shared>) -> Router {
    let monitoring = Router::new()
        .route("/metrics", get(health::metrics))
        .route("/readyz", get(health::readyz))
        .layer(middleware::from_fn_with_state(shared.clone(), auth::require_token_unless_local));
    Router::new()
        .route("/api/v1/summary", get(api::summary))
        .route("/api/v1/uploads", get(api::uploads))
        .route("/api/v1/uploads/{id}", get(api::upload))
        .route("/api/v1/uploads/{id}/thumbnail", get(thumbnail::thumbnail))
        .route("/api/v1/uploads/{id}/retry", post(api::retry))
        .route("/api/v1/brands", get(api::brands))
        .route("/api/v1/brands/{type}/{id}/slots/{slot}/release", post(api::release))
        .route("/api/v1/pause", post(api::pause))
        .route("/api/v1/resume", post(api::resume))
        .route("/api/v1/events", get(events::events))
        // the routes above ask for the token; those below do not
        .layer(middleware::from_fn_with_state(shared.clone(), auth::require_token))
        .merge(monitoring)
        .route("/", get(page::index))
        .route("/assets/{name}", get(page::asset))
        .route("/healthz", get(health::healthz))
        .route("/api/v1/login", post(auth::login))
        .fallback(api::no_such_thing)
        .layer(middleware::from_fn(auth::require_same_origin))
        .layer(middleware::from_fn_with_state(shared.clone(), auth::require_known_host))
        .layer(middleware::from_fn(auth::limit_request))
        .layer(middleware::map_response(auth::add_security_headers))
        .with_state(shared)
}
