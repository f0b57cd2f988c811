//! The table as JSON, and what an operator can have done.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use jiff::tz::TimeZone;
use percent_encoding::{NON_ALPHANUMERIC, percent_encode};
use serde::{Deserialize, Serialize};

use super::Shared;
use super::with_chinese::{WithChinese, said};
use crate::domain::brand::{BrandKey, UploadId};
use crate::domain::clock::{parse_past, rfc3339};
use crate::domain::notice::NoticeName;
use crate::domain::texts::detail_in_chinese;
use crate::domain::upload::State as FileState;
use crate::ledger::{
    AttemptRow, Cursor, Filter, LedgerError, Notice, RetrySelection, StatusRow, SummaryRow, Taken,
};

/// The most rows of one answer, and how many there are when nobody says.
const MOST: u32 = 1000;
const USUAL: u32 = 100;

/// So many refused files of a brand are listed with it.
const REFUSED: u32 = 20;

/// What an error says, in Chinese, percent-encoded.
const MESSAGE_ZH: &str = "x-brandpost-message-zh";

/// The error in place of an answer: in English, with its Chinese in a header for the page, if it is a text of ours.
pub(super) struct ApiError(StatusCode, String);

impl ApiError {
    pub(super) fn new(status: StatusCode, text: String) -> Self {
        Self(status, text)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let Self(status, text) = self;
        // a header has no room for Chinese as it is
        let chinese = detail_in_chinese(&text)
            .map(|text| percent_encode(text.as_bytes(), NON_ALPHANUMERIC).to_string());
        let chinese = chinese.and_then(|text| HeaderValue::try_from(text).ok());
        let mut response = (status, text + "\n").into_response();
        if let Some(chinese) = chinese {
            response.headers_mut().insert(MESSAGE_ZH, chinese);
        }
        response
    }
}

impl From<LedgerError> for ApiError {
    fn from(error: LedgerError) -> Self {
        let status = match error {
            LedgerError::Refused(_) => StatusCode::CONFLICT,
            _ => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self(status, error.to_string())
    }
}

fn bad(error: impl std::fmt::Display) -> ApiError {
    ApiError(StatusCode::BAD_REQUEST, format!("{error}"))
}

/// Nothing is served at such an address.
pub(super) async fn no_such_thing() -> ApiError {
    unknown()
}

pub(super) fn unknown() -> ApiError {
    ApiError(StatusCode::NOT_FOUND, "there is no such thing".into())
}

type Answer<T> = Result<Json<T>, ApiError>;

/// A page of a list.
#[derive(Debug, Serialize)]
pub(super) struct Page<T> {
    items: Vec<T>,
    /// Where the next page begins.
    next: Option<String>,
}

/// How it all stands.
#[derive(Debug, Serialize)]
pub(super) struct Summary {
    version: &'static str,
    now: String,
    counts: serde_json::Map<String, serde_json::Value>,
    held: u64,
    notices: Vec<WithChinese<Notice>>,
    paused_by_operator: bool,
}

impl Shared {
    pub(super) async fn summary(&self) -> Result<Summary, LedgerError> {
        let report = self.from.ledger.report();
        let counts = report.counts(None).await?;
        let counts =
            FileState::ALL.iter().map(|state| (state.to_string(), counts.of(*state).into())).collect();
        let notices = report.notices().await?;
        let paused_by_operator = notices.iter().any(|notice| notice.name == NoticeName::Suspended);
        let now = crate::domain::clock::rfc3339(self.from.ledger.now());
        let held = report.held().await?;
        let (version, notices) = (env!("CARGO_PKG_VERSION"), said(notices));
        Ok(Summary { version, now, counts, held, notices, paused_by_operator })
    }
}

pub(super) async fn summary(State(shared): State<Arc<Shared>>) -> Answer<Summary> {
    Ok(Json(shared.summary().await?))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Ask {
    brand: Option<String>,
    state: Option<String>,
    q: Option<String>,
    since: Option<String>,
    after: Option<String>,
    limit: Option<u32>,
}

impl Ask {
    fn limit(&self) -> u32 {
        self.limit.unwrap_or(USUAL).clamp(1, MOST)
    }

    fn text(&self) -> Option<&str> {
        self.q.as_deref().map(str::trim).filter(|text| !text.is_empty())
    }

    fn brand(text: Option<&String>) -> Result<Option<BrandKey>, ApiError> {
        text.map(|brand| brand.parse()).transpose().map_err(bad)
    }

    fn since(&self, now: jiff::Timestamp) -> Result<Option<jiff::Timestamp>, ApiError> {
        let Some(text) = &self.since else { return Ok(None) };
        let time = parse_past(text, &now.to_zoned(TimeZone::system()));
        let bad = || bad("write since as 2026-11-24, 2026-11-24T08:00:00Z, or how long ago: 30m, 2h, 3d");
        time.map(Some).ok_or_else(bad)
    }

    fn filter(&self, now: jiff::Timestamp) -> Result<Filter, ApiError> {
        let states: Vec<_> = self.state.iter().flat_map(|states| states.split(',')).collect();
        if states.len() > FileState::ALL.len() {
            return Err(bad("state names more states than there are"));
        }
        let states: Vec<FileState> =
            states.into_iter().map(str::parse).collect::<Result<_, _>>().map_err(bad)?;
        Ok(Filter {
            inbox: None,
            brand: Self::brand(self.brand.as_ref())?,
            states: FileState::ALL.into_iter().filter(|state| states.contains(state)).collect(),
            text: self.text().map(str::to_owned),
            since: self.since(now)?.map(rfc3339),
            after: self.after.as_ref().map(|after| after.parse()).transpose().map_err(bad)?,
            limit: Some(self.limit()),
        })
    }
}

pub(super) async fn uploads(
    State(shared): State<Arc<Shared>>,
    Query(ask): Query<Ask>,
) -> Answer<Page<WithChinese<StatusRow>>> {
    let filter = ask.filter(shared.from.ledger.now())?;
    let items = shared.from.ledger.report().uploads(&filter).await?;
    let more = items.len() == ask.limit() as usize;
    let next = items.last().filter(|_| more).map(|row| Cursor::behind(row).to_string());
    Ok(Json(Page { items: said(items), next }))
}

/// A file with all its attempts.
#[derive(Debug, Serialize)]
pub(super) struct Whole {
    upload: WithChinese<StatusRow>,
    attempts: Vec<WithChinese<AttemptRow>>,
}

pub(super) async fn upload(State(shared): State<Arc<Shared>>, Path(id): Path<UploadId>) -> Answer<Whole> {
    let report = shared.from.ledger.report();
    let upload = report.by_id(id).await?.ok_or_else(unknown)?;
    Ok(Json(Whole { upload: upload.into(), attempts: said(report.attempts(id).await?) }))
}

/// A brand, its slots, and what of it was refused.
#[derive(Debug, Serialize)]
pub(super) struct BrandItem {
    #[serde(flatten)]
    summary: SummaryRow,
    slots: Vec<Taken>,
    refused: Vec<WithChinese<StatusRow>>,
}

pub(super) async fn brands(
    State(shared): State<Arc<Shared>>,
    Query(ask): Query<Ask>,
) -> Answer<Page<BrandItem>> {
    let report = shared.from.ledger.report();
    let after = Ask::brand(ask.after.as_ref())?;
    let limit = ask.limit();
    let rows = report.brands(ask.text(), after, Some(limit)).await?;
    let more = rows.len() == limit as usize;
    let mut items = Vec::with_capacity(rows.len());
    for summary in rows {
        let brand = summary.brand();
        let slots = report.taken(brand).await?;
        let refused = if summary.failed + summary.rejected > 0 {
            let states = vec![FileState::Failed, FileState::Rejected];
            let filter = Filter { brand: Some(brand), states, limit: Some(REFUSED), ..Filter::default() };
            report.uploads(&filter).await?
        } else {
            Vec::new()
        };
        items.push(BrandItem { summary, slots, refused: said(refused) });
    }
    let last = items.last().filter(|_| more).map(|item| &item.summary);
    let next = last.map(|summary| summary.brand().to_string());
    Ok(Json(Page { items, next }))
}

pub(super) async fn retry(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<UploadId>,
) -> Result<StatusCode, ApiError> {
    shared.from.ledger.retry(&RetrySelection::Ids(vec![id])).await?;
    tracing::info!(%id, "queued again by an operator on the page");
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn release(
    State(shared): State<Arc<Shared>>,
    Path((kind, id, slot)): Path<(String, String, u32)>,
) -> Result<StatusCode, ApiError> {
    let brand: BrandKey = format!("{kind}/{id}").parse().map_err(bad)?;
    let (row, _) = shared.from.ledger.report().brand(brand).await?.ok_or_else(unknown)?;
    shared.from.ledger.release(row, &[slot]).await?;
    tracing::info!(%brand, slot, "released by an operator on the page");
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn pause(State(shared): State<Arc<Shared>>) -> Result<StatusCode, ApiError> {
    shared.from.ledger.suspend("").await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn resume(State(shared): State<Arc<Shared>>) -> Result<StatusCode, ApiError> {
    shared.from.ledger.resume().await?;
    Ok(StatusCode::NO_CONTENT)
}
