//! What happens, as it happens: one reader of the table for all pages that are open, and none when none is.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Sse;
use axum::response::sse::{Event, KeepAlive};
use futures_util::{Stream, StreamExt, stream};
use tokio::sync::{Notify, broadcast};
use tokio::time::Instant;

use super::Shared;
use super::api::Refusal;
use crate::ledger::{Cursor, LedgerError};

/// Changes that come this close together are told together; the figures, seldomer.
const GATHER: Duration = Duration::from_millis(250);
const SUMMARY: Duration = Duration::from_secs(1);

/// More changes than this at a time nobody reads: the rest is passed over, the lists have it.
const MOST: u32 = 100;

/// So many events a slow page may be behind before it misses some.
const BEHIND: usize = 1024;

/// So many pages may listen at a time.
const PAGES: usize = 32;

/// Told to a page that missed something: it is to read its lists again.
const MISSED: &str = "missed";

/// The name of an event and its JSON.
type News = (&'static str, Arc<str>);

/// Where pages listen.
#[derive(Debug)]
pub(super) struct Feed {
    news: broadcast::Sender<News>,
    somebody: Notify,
}

impl Default for Feed {
    fn default() -> Self {
        Self { news: broadcast::Sender::new(BEHIND), somebody: Notify::new() }
    }
}

pub(super) async fn events(
    State(shared): State<Arc<Shared>>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Refusal> {
    let news = shared.feed.news.subscribe();
    if shared.feed.news.receiver_count() > PAGES {
        let text = format!("{PAGES} pages are open already; close some of them");
        return Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, text));
    }
    shared.feed.somebody.notify_one();
    let stop = shared.from.stop.clone();
    let events = stream::unfold(news, |mut news| async move {
        let (name, text) = match news.recv().await {
            Ok(news) => news,
            Err(broadcast::error::RecvError::Lagged(_)) => (MISSED, "{}".into()),
            Err(broadcast::error::RecvError::Closed) => return None,
        };
        Some((Ok(Event::default().event(name).data(&*text)), news))
    });
    Ok(Sse::new(events.take_until(stop.cancelled_owned())).keep_alive(KeepAlive::default()))
}

/// Reads the table while anybody listens.
pub(super) async fn feed(shared: &Shared) {
    loop {
        shared.feed.somebody.notified().await;
        let mut changes = shared.from.ledger.changes();
        let mut seen = Cursor::at(shared.from.ledger.now());
        let mut next_summary = Instant::now();
        let mut stirred = true;
        while shared.feed.news.receiver_count() > 0 {
            // trouble with the database is told by those who work with it
            let _ = tell(shared, &mut seen, &mut next_summary, stirred).await;
            tokio::time::sleep(GATHER).await;
            stirred = tokio::time::timeout(SUMMARY, changes.changed()).await.is_ok();
        }
    }
}

async fn tell(
    shared: &Shared,
    seen: &mut Cursor,
    next_summary: &mut Instant,
    stirred: bool,
) -> Result<(), LedgerError> {
    let now = shared.from.ledger.now();
    if seen.is_ahead_of(now) {
        // the clock was set back: what changed cannot be told by its time
        if stirred {
            send(shared, MISSED, &());
        }
    } else {
        let rows = shared.from.ledger.report().changed_after(seen, MOST).await?;
        if rows.len() == MOST as usize {
            *seen = Cursor::at(now);
            send(shared, MISSED, &());
        } else if let Some(last) = rows.last() {
            *seen = Cursor::behind(last);
            for row in &rows {
                send(shared, "upload", row);
            }
        }
    }
    if Instant::now() >= *next_summary {
        send(shared, "summary", &shared.summary().await?);
        *next_summary = Instant::now() + SUMMARY;
    }
    Ok(())
}

fn send(shared: &Shared, name: &'static str, what: &impl serde::Serialize) {
    if let Ok(text) = serde_json::to_string(what) {
        // nobody listens any more: the loop finds out
        let _ = shared.feed.news.send((name, text.into()));
    }
}
