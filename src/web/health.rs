//! For machines that watch: does it work, could it send now, and how much of everything.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use super::Shared;
use crate::domain::notice::{NoticeName, PauseCause};
use crate::domain::upload::State as FileState;
use crate::ledger::LedgerError;

/// The name of a label and its value.
type Label = [(&'static str, &'static str); 1];

/// The name of the label and the inbox.
type Inbox = [(String, String); 1];

pub(super) async fn healthz() -> &'static str {
    "ok\n"
}

pub(super) async fn readyz(State(shared): State<Arc<Shared>>) -> Response {
    let paused = shared.from.publish.borrow().paused.clone();
    let mut why: Vec<String> = shared.from.ledger.current_problem().into_iter().collect();
    match shared.from.ledger.report().notices().await {
        Err(error) => why.push(error.to_string()),
        Ok(notices) => {
            let concerns_all = notices.into_iter().filter(|notice| concerns_all(notice.name));
            why.extend(concerns_all.map(|notice| notice.message));
            // the breaker has opened just now, and its notice is not written yet
            if why.is_empty() {
                why.extend(paused.map(|pause| format!("paused: {}", pause.cause.as_str())));
            }
        }
    }
    match why.is_empty() {
        true => "ready\n".into_response(),
        false => (StatusCode::SERVICE_UNAVAILABLE, why.join("\n") + "\n").into_response(),
    }
}

/// Another host that is away does not concern this one, nor a folder that cannot be read the others.
fn concerns_all(notice: NoticeName) -> bool {
    !matches!(notice, NoticeName::Away | NoticeName::Unreadable)
}

/// `OpenMetrics` for those who ask for it, else Prometheus' older text format.
pub(super) async fn metrics(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    let text = match registry(&shared).await {
        Ok(registry) => {
            let mut text = String::new();
            encode(&mut text, &registry).map(|()| text)
        }
        Err(error) => return (StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n")).into_response(),
    };
    let Ok(text) = text else { return StatusCode::INTERNAL_SERVER_ERROR.into_response() };
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    let (kind, text) = if accept.contains("application/openmetrics-text") {
        ("application/openmetrics-text; version=1.0.0; charset=utf-8", text)
    } else {
        ("text/plain; version=0.0.4; charset=utf-8", in_the_older_format(&text))
    };
    ([(header::CONTENT_TYPE, kind)], text).into_response()
}

async fn registry(shared: &Shared) -> Result<Registry, LedgerError> {
    let mut registry = Registry::with_prefix("brandpost");
    shared.from.metrics.register(&mut registry);
    files(&mut registry, shared).await?;
    standstill(&mut registry, shared).await?;
    sizes(&mut registry, shared).await;
    inboxes(&mut registry, shared).await?;
    figures(&mut registry, shared).await?;
    let build: Family<Label, Gauge> = Family::default();
    set(&build, [("version", env!("CARGO_PKG_VERSION"))], 1);
    registry.register("build_info", "The version that runs", build);
    Ok(registry)
}

/// How many files there are in each state, and how long the oldest waits.
async fn files(registry: &mut Registry, shared: &Shared) -> Result<(), LedgerError> {
    let (report, now) = (shared.from.ledger.report(), shared.from.ledger.now());
    let files: Family<Label, Gauge> = Family::default();
    let counts = report.counts(None).await?;
    for state in FileState::ALL {
        set(&files, [("state", state.as_str())], counts.of(state));
    }
    registry.register("files", "Files by state", files);

    let oldest: Family<Label, Gauge> = Family::default();
    for state in FileState::ALL.into_iter().filter(|state| state.is_pending()) {
        set(&oldest, [("state", state.as_str())], 0);
    }
    for (state, since) in report.oldest().await? {
        let seconds = now.duration_since(since).as_secs().max(0).unsigned_abs();
        set(&oldest, [("state", state.as_str())], seconds);
    }
    let help = "Age of the file that waits for longest";
    registry.register_with_unit("oldest_waiting", help, Unit::Seconds, oldest);
    Ok(())
}

/// Why nothing moves, if nothing does.
async fn standstill(registry: &mut Registry, shared: &Shared) -> Result<(), LedgerError> {
    let notices = shared.from.ledger.report().notices().await?;
    let stands = |name| u64::from(notices.iter().any(|notice| notice.name == name));
    let family: Family<Label, Gauge> = Family::default();
    // while the page cannot be served, nobody can read this either
    for name in NoticeName::ALL.into_iter().filter(|name| *name != NoticeName::Unserved) {
        set(&family, [("name", name.as_str())], stands(name));
    }
    registry.register("notices", "Why nothing moves: 1 while it stands", family);

    let cause = shared.from.publish.borrow().paused.as_ref().map(|pause| pause.cause);
    let paused: Family<Label, Gauge> = Family::default();
    for possible in PauseCause::ALL {
        set(&paused, [("cause", possible.as_str())], u64::from(cause == Some(possible)));
    }
    set(&paused, [("cause", "operator")], stands(NoticeName::Suspended));
    registry.register("paused", "Uploads are paused: 1, by cause", paused);
    Ok(())
}

async fn sizes(registry: &mut Registry, shared: &Shared) {
    let bytes: Family<Label, Gauge> = Family::default();
    for (file, size) in shared.from.ledger.report().sizes().await {
        set(&bytes, [("file", file)], size);
    }
    registry.register_with_unit("database", "Size of the database's files", Unit::Bytes, bytes);
}

/// What waits for each host, and how long ago it was heard of.
async fn inboxes(registry: &mut Registry, shared: &Shared) -> Result<(), LedgerError> {
    let (waiting, unseen) = <(Family<Inbox, Gauge>, Family<Inbox, Gauge>)>::default();
    let now = shared.from.ledger.now();
    for inbox in shared.from.ledger.report().inboxes().await? {
        let count = inbox.waiting();
        let label = [("inbox".to_owned(), inbox.inbox)];
        waiting.get_or_create(&label).set(count);
        // SQLite: the daemon that answers is the one
        let seen = inbox.lease_until.and(inbox.seen_at).and_then(|seen| seen.parse::<jiff::Timestamp>().ok());
        let ago = seen.map_or(0, |seen| now.duration_since(seen).as_secs().max(0));
        unseen.get_or_create(&label).set(ago);
    }
    registry.register("inbox_waiting_files", "Files that wait for the daemon that keeps the inbox", waiting);
    let help = "Time since the daemon that keeps the inbox was heard of";
    registry.register_with_unit("inbox_last_seen", help, Unit::Seconds, unseen);
    Ok(())
}

/// Those without labels.
async fn figures(registry: &mut Registry, shared: &Shared) -> Result<(), LedgerError> {
    let held = shared.from.ledger.report().held().await?;
    let in_flight = shared.from.publish.borrow().in_flight;
    let unreadable = shared.from.intake.borrow().unreadable;
    let rescan = shared.from.settings.watch.rescan.as_secs();
    for (name, help, value) in [
        ("held_files", "Files that wait for an operator since the database was rebuilt", held),
        ("uploads_in_flight", "Attempts that are under way", in_flight as u64),
        ("unreadable_folders", "Folders that cannot be read", unreadable as u64),
        ("rescan_interval_seconds", "watch.rescan", rescan),
    ] {
        let gauge: Gauge = Gauge::default();
        gauge.set(value.cast_signed());
        registry.register(name, help, gauge);
    }
    Ok(())
}

fn set(family: &Family<Label, Gauge>, label: Label, value: u64) {
    family.get_or_create(&label).set(value.cast_signed());
}

/// A counter is declared there by its whole name, and nothing marks the end.
fn in_the_older_format(text: &str) -> String {
    let counters: Vec<&str> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.strip_suffix(" counter")).collect();
    let mut older = String::with_capacity(text.len());
    for line in text.lines().filter(|line| !line.starts_with("# UNIT ") && *line != "# EOF") {
        let declared = ["# HELP ", "# TYPE "].iter().find_map(|mark| {
            let (name, rest) = line.strip_prefix(mark)?.split_once(' ')?;
            counters.contains(&name).then(|| format!("{mark}{name}_total {rest}"))
        });
        older.push_str(declared.as_deref().unwrap_or(line));
        older.push('\n');
    }
    older
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_older_format_declares_counters_by_their_whole_name() {
        let text = "# HELP a Help.\n# TYPE a counter\na_total 1\n# HELP b Help.\n# TYPE b gauge\n# UNIT b bytes\nb 2\n# EOF\n";
        let older =
            "# HELP a_total Help.\n# TYPE a_total counter\na_total 1\n# HELP b Help.\n# TYPE b gauge\nb 2\n";
        assert_eq!(in_the_older_format(text), older);
    }
}
