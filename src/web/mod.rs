//! The HTTP service on `http.listen`: health, readiness and the table as JSON. Loopback only, read-only.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use axum::extract::{Query, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::domain::brand::Brand;
use crate::domain::upload::State as Upload;
use crate::ledger::{Filter, Report};
use crate::publish::Progress;

/// The most rows of one answer.
const MOST_ROWS: u32 = 1000;

#[derive(Debug, Clone)]
struct Shared {
    report: Report,
    publish: watch::Receiver<Progress>,
}

/// Takes the address, if one is configured.
///
/// # Errors
/// When the port is in use or may not be used.
pub fn bind(listen: Option<SocketAddr>) -> anyhow::Result<Option<std::net::TcpListener>> {
    let Some(address) = listen else { return Ok(None) };
    let bound = std::net::TcpListener::bind(address);
    let bound = bound.and_then(|listener| listener.set_nonblocking(true).map(|()| listener));
    Ok(Some(
        bound.with_context(|| format!("http.listen = \"{address}\" cannot be used; choose another port"))?,
    ))
}

/// Serves for ever; without a listener it only waits.
///
/// # Errors
/// When the listener fails.
pub async fn serve(
    listener: Option<std::net::TcpListener>,
    report: Report,
    publish: watch::Receiver<Progress>,
) -> anyhow::Result<()> {
    let Some(listener) = listener else {
        return std::future::pending().await;
    };
    let listener = TcpListener::from_std(listener)?;
    tracing::info!(address = %listener.local_addr()?, "HTTP");
    Ok(axum::serve(listener, router(Arc::new(Shared { report, publish }))).await?)
}

fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/api/v1/uploads", get(uploads))
        .route("/api/v1/brands", get(brands))
        .layer(middleware::from_fn(only_local_names))
        .with_state(shared)
}

/// A page of another site that got a name for our address (DNS rebinding) still sends its own name.
async fn only_local_names(request: Request, next: Next) -> Response {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    match ["localhost", "127.0.0.1", "[::1]"].contains(&name) {
        true => next.run(request).await,
        false => {
            (StatusCode::MISDIRECTED_REQUEST, "this service answers to localhost only\n").into_response()
        }
    }
}

async fn healthz() -> &'static str {
    "ok\n"
}

async fn readyz(State(shared): State<Arc<Shared>>) -> Response {
    match shared.report.notices().await {
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n")).into_response(),
        Ok(notices) if notices.is_empty() && shared.publish.borrow().paused.is_none() => {
            "ready\n".into_response()
        }
        Ok(notices) => {
            let why = notices.into_iter().map(|notice| notice.message + "\n").collect::<String>();
            (StatusCode::SERVICE_UNAVAILABLE, why).into_response()
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Ask {
    brand: Option<String>,
    state: Option<String>,
    limit: Option<u32>,
}

impl Ask {
    fn filter(self) -> Result<Filter, String> {
        let brand =
            self.brand.map(|brand| brand.parse::<Brand>().map_err(|error| error.to_string())).transpose()?;
        let states =
            self.state.map(|states| states.split(',').map(str::parse::<Upload>).collect()).transpose()?;
        let limit = Some(self.limit.unwrap_or(100).min(MOST_ROWS));
        Ok(Filter { brand, states: states.unwrap_or_default(), limit, ..Filter::default() })
    }
}

async fn uploads(State(shared): State<Arc<Shared>>, Query(ask): Query<Ask>) -> Response {
    match ask.filter() {
        Err(error) => (StatusCode::BAD_REQUEST, error + "\n").into_response(),
        Ok(filter) => answer(shared.report.uploads(&filter).await),
    }
}

async fn brands(State(shared): State<Arc<Shared>>) -> Response {
    answer(shared.report.brands(None, None, None).await)
}

fn answer<T: serde::Serialize>(rows: Result<Vec<T>, crate::ledger::LedgerError>) -> Response {
    match rows {
        Ok(rows) => Json(rows).into_response(),
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n")).into_response(),
    }
}
