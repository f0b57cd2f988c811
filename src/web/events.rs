//! What happens, as it happens: one reader of the table for all open pages, and none when no page is open.

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
use super::api::ApiError;
use super::with_chinese::said;
use crate::ledger::{Cursor, LedgerError};

/// Changes that come this close together are sent together; the figures, less often.
const GATHER: Duration = Duration::from_millis(250);
const SUMMARY: Duration = Duration::from_secs(1);

/// Nobody reads more changes than this at a time: the rest is left out, the lists have it.
const MOST: u32 = 100;

/// So many events a slow page may be behind before it misses some.
const BEHIND: usize = 1024;

/// So many pages may listen at a time.
const PAGES: usize = 32;

/// Sent to a page that missed something, so that it reads its lists again.
const MISSED: &str = "missed";

/// The name of an event and its JSON.
type Message = (&'static str, Arc<str>);

/// Where pages listen.
#[derive(Debug)]
pub(super) struct Feed {
    messages: broadcast::Sender<Message>,
    listener_joined: Notify,
}

impl Default for Feed {
    fn default() -> Self {
        Self { messages: broadcast::Sender::new(BEHIND), listener_joined: Notify::new() }
    }
}

pub(super) async fn events(
    State(shared): State<Arc<Shared>>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, ApiError> {
    let messages = shared.feed.messages.subscribe();
    if shared.feed.messages.receiver_count() > PAGES {
        let text = format!("{PAGES} pages are open already; close some of them");
        return Err(ApiError::new(StatusCode::SERVICE_UNAVAILABLE, text));
    }
    shared.feed.listener_joined.notify_one();
    let stop = shared.from.stop.clone();
    let events = stream::unfold(messages, |mut messages| async move {
        let (name, text) = match messages.recv().await {
            Ok(message) => message,
            Err(broadcast::error::RecvError::Lagged(_)) => (MISSED, "{}".into()),
            Err(broadcast::error::RecvError::Closed) => return None,
        };
        Some((Ok(Event::default().event(name).data(&*text)), messages))
    });
    Ok(Sse::new(events.take_until(stop.cancelled_owned())).keep_alive(KeepAlive::default()))
}

/// Reads the table while anybody listens.
pub(super) async fn feed(shared: &Shared) {
    loop {
        shared.feed.listener_joined.notified().await;
        let mut changes = shared.from.ledger.changes();
        let mut seen = Cursor::at(shared.from.ledger.now());
        let mut next_summary = Instant::now();
        let mut was_written = true;
        while shared.feed.messages.receiver_count() > 0 {
            // problems with the database are logged by those who work with it
            let _ = send_changes(shared, &mut seen, &mut next_summary, was_written).await;
            tokio::time::sleep(GATHER).await;
            was_written = tokio::time::timeout(SUMMARY, changes.changed()).await.is_ok();
        }
    }
}

async fn send_changes(
    shared: &Shared,
    seen: &mut Cursor,
    next_summary: &mut Instant,
    was_written: bool,
) -> Result<(), LedgerError> {
    let now = shared.from.ledger.now();
    if seen.is_ahead_of(now) {
        // the clock was set back: what changed cannot be found by its time
        if was_written {
            send(shared, MISSED, &());
        }
    } else {
        let rows = shared.from.ledger.report().changed_after(seen, MOST).await?;
        if rows.len() == MOST as usize {
            *seen = Cursor::at(now);
            send(shared, MISSED, &());
        } else if let Some(last) = rows.last() {
            *seen = Cursor::behind(last);
            for row in said(rows) {
                send(shared, "upload", &row);
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
        let _ = shared.feed.messages.send((name, text.into()));
    }
}
