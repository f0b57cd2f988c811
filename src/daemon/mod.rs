//! The daemon: the whole topology on one screen.
//!
//! Two reconcilers, one table, and what keeps them company. A part that ends before it is told to, by an
//! error or a panic, ends the process with an error, for systemd to start it anew.

pub mod lifecycle;
mod once;
pub mod telemetry;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use sd_notify::NotifyState;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::cloud::Clouds;
use crate::config::Settings;
use crate::domain::clock::Clock;
use crate::intake::{self, Intake};
use crate::ledger::{DaemonLock, Ledger, LedgerError, Past, Started};
use crate::publish::{self, Publish};
use crate::web;
use lifecycle::Stop;

/// How often the table is asked whether another process (`brandpost retry`) wrote to it.
const LOOK_FOR_WRITES: Duration = Duration::from_millis(250);

/// How often old attempts are forgotten, and how many at a time.
const CLEAN_UP: Duration = Duration::from_hours(1);
const CLEAN_UP_BATCH: u32 = 1000;

/// How long after the database could not be used at the start it is tried again.
const USE_AGAIN: Duration = Duration::from_secs(1);

/// How long one try may take, for systemd: microseconds. Looking through ten million rows takes a minute.
const START_TAKES: u32 = 600_000_000;

/// Until when the daemon works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// It is told to stop.
    Stopped,
    /// Nothing is left to do.
    Done,
}

/// What intake could not take, and no row tells.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Untaken {
    /// Files that are still being copied.
    pub copying: usize,
    /// Folders that cannot be read.
    pub unread: usize,
}

/// What else the caller wants to know while it runs.
#[derive(Debug, Clone)]
pub struct Progress {
    /// The first reconciler.
    pub intake: watch::Receiver<intake::Progress>,
    /// The second.
    pub publish: watch::Receiver<publish::Progress>,
    /// The table.
    pub ledger: Ledger,
}

/// Works until `until`, or until it is told to stop. `started` is called when all parts stand.
///
/// # Errors
/// When a part cannot be set up, or ends before it should.
pub async fn run(
    settings: Settings,
    clock: Arc<dyn Clock>,
    until: Until,
    stop: Stop,
    started: impl FnOnce(Progress),
) -> anyhow::Result<Untaken> {
    let settings = Arc::new(settings);
    let path = &settings.database.path;
    let clouds = Clouds::new(&settings, clock.clone())?;
    let listener = web::bind(settings.http.listen).await?;
    if !settings.watch.root.is_dir() && settings.brands.is_empty() {
        bail!(
            "the watched folder {} is not there; make it, or set watch.root",
            settings.watch.root.display()
        );
    }
    let lock = DaemonLock::take(path).await?;
    let Started { ledger, reclaimed, .. } = open(path, clock, &lock, &stop).await?;
    tracing::info!(version = env!("CARGO_PKG_VERSION"), root = %settings.watch.root.display(), database = %path.display(), reclaimed, "started");

    let intake = Intake::new(settings.clone(), ledger.clone(), stop.soft.clone());
    let publish = Publish::new(settings.clone(), ledger.clone(), clouds);
    let progress =
        Progress { intake: intake.progress(), publish: publish.progress(), ledger: ledger.clone() };
    let mut parts = Parts::default();
    parts.spawn("intake", async move { Ok(intake.run().await?) });
    parts.spawn("publish", {
        let stop = stop.clone();
        async move { Ok(publish.run(stop.soft, stop.hard).await?) }
    });
    parts.spawn_helper("watch", &stop, watch_writes(ledger.clone()));
    parts.spawn_helper("clean-up", &stop, clean_up(ledger.clone(), settings.database.keep_attempts));
    parts.spawn_helper("web", &stop, web::serve(listener, ledger.report().clone(), progress.publish.clone()));
    parts.spawn_helper("systemd", &stop, lifecycle::tell_systemd(progress.clone()));
    started(progress.clone());
    lifecycle::tell(&NotifyState::Ready);

    tokio::select! {
        // parts that end because of the stop have not failed
        biased;
        () = stop.soft.cancelled() => {}
        result = once::done(&settings, progress.clone()), if until == Until::Done => result?,
        error = parts.first_end() => {
            if is_damage(&error) {
                Ledger::suspect(path);
            }
            stop.now();
            return Err(error)
        }
    }
    lifecycle::tell(&NotifyState::Stopping);
    stop.soon();
    let result = parts.all_end().await;
    ledger.close().await;
    tracing::info!("stopped");
    let intake = progress.intake.borrow();
    result.map(|()| Untaken { copying: intake.copying, unread: intake.unread })
}

/// A database that cannot be used for a while is waited for. One that never could be used is a mistake in the
/// configuration, unless another process holds it.
async fn open(path: &Path, clock: Arc<dyn Clock>, lock: &DaemonLock, stop: &Stop) -> anyhow::Result<Started> {
    let mut said = None;
    loop {
        lifecycle::tell(&NotifyState::ExtendTimeoutUsec(START_TAKES));
        match Ledger::start(path, clock.clone(), lock).await {
            Ok(started) => {
                if let Some(rebuilt) = &started.rebuilt {
                    tracing::error!("{rebuilt}");
                }
                return Ok(started);
            }
            Err(error) if error.is_locked() || (error.is_transient() && lock.past() == Past::Worked) => {
                let text = error.to_string();
                if said.as_ref() != Some(&text) {
                    tracing::warn!("{text}; waiting until it can be used");
                    said = Some(text);
                }
            }
            Err(error) => return Err(error.into()),
        }
        tokio::select! {
            () = tokio::time::sleep(USE_AGAIN) => {}
            () = stop.soft.cancelled() => bail!("stopped before the database could be used"),
        }
    }
}

fn is_damage(error: &anyhow::Error) -> bool {
    error.chain().filter_map(|cause| cause.downcast_ref::<LedgerError>()).any(LedgerError::is_damage)
}

/// The running parts.
#[derive(Default)]
struct Parts(JoinSet<(&'static str, anyhow::Result<()>)>);

impl Parts {
    fn spawn(&mut self, name: &'static str, part: impl Future<Output = anyhow::Result<()>> + Send + 'static) {
        self.0.spawn(async move { (name, part.await) });
    }

    /// A part that has nothing to finish when it is time to stop.
    fn spawn_helper(
        &mut self,
        name: &'static str,
        stop: &Stop,
        part: impl Future<Output = anyhow::Result<()>> + Send + 'static,
    ) {
        let stop = stop.soft.clone();
        self.spawn(name, async move {
            tokio::select! {
                result = part => result,
                () = stop.cancelled() => Ok(()),
            }
        });
    }

    /// Resolves when a part ends, which none should.
    async fn first_end(&mut self) -> anyhow::Error {
        match self.0.join_next().await {
            Some(Ok((name, Ok(())))) => anyhow::anyhow!("{name} ended without being told to"),
            Some(Ok((name, Err(error)))) => error.context(format!("{name} failed")),
            Some(Err(error)) => anyhow::Error::new(error).context("a part of the daemon broke off"),
            None => anyhow::anyhow!("nothing runs"),
        }
    }

    async fn all_end(&mut self) -> anyhow::Result<()> {
        while let Some(ended) = self.0.join_next().await {
            let (name, result) = ended.context("a part of the daemon broke off")?;
            result.with_context(|| format!("{name} failed"))?;
        }
        Ok(())
    }
}

async fn watch_writes(ledger: Ledger) -> anyhow::Result<()> {
    Ok(ledger.watch_other_processes(LOOK_FOR_WRITES).await?)
}

/// `keep_attempts = 0` keeps them for ever.
async fn clean_up(ledger: Ledger, keep: Duration) -> anyhow::Result<()> {
    if keep.is_zero() {
        return std::future::pending().await;
    }
    loop {
        let before = ledger.now().saturating_sub(jiff::SignedDuration::try_from(keep)?)?;
        match ledger.forget_attempts(before, CLEAN_UP_BATCH).await {
            Ok(count) if count == u64::from(CLEAN_UP_BATCH) => {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            Ok(_) => tokio::time::sleep(CLEAN_UP).await,
            Err(error) => {
                ledger.complain(&error);
                tokio::time::sleep(CLEAN_UP).await;
            }
        }
    }
}
