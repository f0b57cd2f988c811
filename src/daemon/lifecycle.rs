//! Beginning and end: signals, the two stages of stopping, and what systemd is notified of.

use std::io::IsTerminal;
use std::sync::Arc;
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::Progress;
use crate::domain::upload::State;
use crate::ledger::Counts;

/// How long uploads under way may take to end; `TimeoutStopSec` of the unit is a margin longer.
const GRACE: Duration = Duration::from_secs(25);

/// How often systemd's status line is updated during the first scan.
const SCAN_STATUS: Duration = Duration::from_secs(1);

/// How a running daemon is stopped: softly (no new work), then hard (what is under way is broken off). Also asks it to
/// read its configuration again.
#[derive(Debug, Clone, Default)]
pub struct ShutdownSignals {
    /// No new work.
    pub soft: CancellationToken,
    /// Break off what is under way.
    pub hard: CancellationToken,
    /// There may be a new configuration.
    pub reload: Arc<Notify>,
}

impl ShutdownSignals {
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

    /// Signals for those who work with one configuration. They follow these.
    pub(super) fn for_generation(&self) -> Self {
        Self { soft: self.soft.child_token(), hard: self.hard.child_token(), reload: self.reload.clone() }
    }
}

/// Stops at the first SIGTERM or SIGINT softly, at the second at once. SIGHUP has the configuration read again;
/// in a terminal it means that the terminal is gone.
///
/// # Errors
/// When signals cannot be received.
pub fn shutdown_signals() -> anyhow::Result<ShutdownSignals> {
    let shutdown = ShutdownSignals::default();
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let mut hangup = signal(SignalKind::hangup())?;
    let (requested, terminal) = (shutdown.clone(), std::io::stderr().is_terminal());
    tokio::spawn(async move {
        let mut next = async || loop {
            tokio::select! {
                _ = term.recv() => return "SIGTERM",
                _ = int.recv() => return "SIGINT",
                _ = hangup.recv() => match terminal {
                    true => return "SIGHUP",
                    false => requested.reload.notify_one(),
                }
            }
        };
        let signal = next().await;
        tracing::info!(signal, "stopping; uploads under way may end");
        requested.soon();
        let signal = next().await;
        tracing::warn!(signal, "stopping at once");
        requested.now();
    });
    Ok(shutdown)
}

/// Notifies systemd, if there is one.
pub(super) fn notify(states: &[NotifyState<'_>]) {
    // the daemon works without systemd too
    let _ = sd_notify::notify(states);
}

/// The configuration is read again; it ends with the next `READY`.
pub(super) fn notify_reloading() {
    let now = NotifyState::monotonic_usec_now().ok();
    notify(&[Some(NotifyState::Reloading), now].into_iter().flatten().collect::<Vec<_>>());
}

/// Keeps systemd's status line current, and its watchdog fed while both reconcilers answer for themselves and threads are left.
pub(super) async fn notify_systemd(progress: Progress) -> anyhow::Result<()> {
    let every = sd_notify::watchdog_enabled().map_or(Duration::from_secs(10), |limit| limit / 3);
    let mut last_status = String::new();
    let (mut counts, mut changes) = (Counts::default(), progress.ledger.changes());
    changes.mark_changed();
    let mut steps = (0, 0);
    // all folders that are there are watched from here on; what lies in them is looked at next
    if progress.intake.clone().wait_for(|intake| intake.discovered).await.is_err() {
        // intake has ended, and logs why
        return std::future::pending().await;
    }
    notify(&[NotifyState::Ready]);
    loop {
        // to count very many files takes a moment
        if changes.has_changed().unwrap_or_default()
            && let Ok(now) = progress.ledger.report().counts(None).await
        {
            changes.mark_unchanged();
            counts = now;
        }
        let text = status(&progress, &counts);
        if text != last_status {
            notify(&[NotifyState::Status(&text)]);
            last_status = text;
        }
        // both loops step at least every few seconds, whether there is work or not
        let now = (progress.intake.borrow().steps, progress.publish.borrow().steps);
        if now.0 != steps.0 && now.1 != steps.1 && has_free_thread(every).await {
            notify(&[NotifyState::Watchdog]);
            steps = now;
        }
        let pause =
            if progress.intake.borrow().first_scans_pending > 0 { every.min(SCAN_STATUS) } else { every };
        tokio::time::sleep(pause).await;
    }
}

/// Is there a thread for what may wait? Without one nothing goes on, though both loops step.
async fn has_free_thread(within: Duration) -> bool {
    tokio::time::timeout(within, tokio::task::spawn_blocking(|| ())).await.is_ok()
}

/// What `systemctl status` shows.
fn status(progress: &Progress, counts: &Counts) -> String {
    let paused = if progress.publish.borrow().paused.is_some() { "paused; " } else { "" };
    let (uploaded, waiting) = (counts.of(State::Uploaded), counts.pending());
    let refused = counts.of(State::Failed) + counts.of(State::Rejected);
    let scan = match progress.intake.borrow().first_scans_pending {
        0 => String::new(),
        folders => format!("first scan: {folders} folders to go; "),
    };
    format!("{scan}{paused}{uploaded} uploaded, {waiting} waiting, {refused} refused")
}
