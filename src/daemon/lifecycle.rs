//! Beginning and end: signals, the two stages of stopping, and what systemd is told.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::Progress;
use crate::domain::upload::State;

/// How long uploads under way may take to end; `TimeoutStopSec` of the unit is a margin longer.
const GRACE: Duration = Duration::from_secs(25);

/// Stop softly (no new work), then hard (break off).
#[derive(Debug, Clone, Default)]
pub struct Stop {
    /// No new work.
    pub soft: CancellationToken,
    /// Break off what is under way.
    pub hard: CancellationToken,
}

impl Stop {
    /// No new work; what is under way is broken off when its time is over.
    pub fn soon(&self) {
        self.soft.cancel();
        let hard = self.hard.clone();
        tokio::spawn(async move {
            tokio::time::sleep(GRACE).await;
            hard.cancel();
        });
    }

    /// At once.
    pub fn now(&self) {
        self.soft.cancel();
        self.hard.cancel();
    }
}

/// Stops at the first SIGTERM or SIGINT softly, at the second at once.
///
/// # Errors
/// When signals cannot be received.
pub fn stop_at_signals() -> anyhow::Result<Stop> {
    let stop = Stop::default();
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let told = stop.clone();
    tokio::spawn(async move {
        let mut next = async || tokio::select! { _ = term.recv() => "SIGTERM", _ = int.recv() => "SIGINT" };
        let signal = next().await;
        tracing::info!(signal, "stopping; uploads under way may end");
        told.soon();
        let signal = next().await;
        tracing::warn!(signal, "stopping at once");
        told.now();
    });
    Ok(stop)
}

/// Tells systemd; without systemd it tells nobody.
pub(super) fn tell(state: &NotifyState<'_>) {
    // nobody listens, or nobody must
    let _ = sd_notify::notify(std::slice::from_ref(state));
}

/// Keeps systemd's status line current, and its watchdog fed while both reconcilers answer for themselves.
pub(super) async fn tell_systemd(progress: Progress) -> anyhow::Result<()> {
    let every = sd_notify::watchdog_enabled().map_or(Duration::from_secs(10), |limit| limit / 3);
    let mut told = String::new();
    let mut steps = (0, 0);
    loop {
        if let Ok(counts) = progress.ledger.report().counts(None).await {
            let paused = if progress.publish.borrow().paused.is_some() { "paused; " } else { "" };
            let (uploaded, refused) =
                (counts.of(State::Uploaded), counts.of(State::Failed) + counts.of(State::Rejected));
            let text =
                format!("{paused}{uploaded} uploaded, {} waiting, {refused} refused", counts.pending());
            if text != told {
                tell(&NotifyState::Status(&text));
                told = text;
            }
        }
        // both loops step at least every few seconds, whether there is work or not
        let now = (progress.intake.borrow().steps, progress.publish.borrow().steps);
        if now.0 != steps.0 && now.1 != steps.1 {
            tell(&NotifyState::Watchdog);
            steps = now;
        }
        tokio::time::sleep(every).await;
    }
}
