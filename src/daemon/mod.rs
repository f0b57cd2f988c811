//! The daemon: the whole topology on one screen.
//!
//! Two reconcilers, one database, and the tasks around them. A task that ends before it is stopped, by an error or a
//! panic, ends the process with an error, so that systemd starts it again.

pub mod lifecycle;
mod once;
mod task_group;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use sd_notify::NotifyState;
use tokio::sync::watch;

use crate::alerts;
use crate::cloud::Clouds;
use crate::config::Settings;
use crate::descriptors;
use crate::domain::clock::Clock;
use crate::domain::event;
use crate::intake::{self, Intake};
use crate::ledger::{DaemonLock, Ledger, LedgerError, PreviousRun, Started};
use crate::memory;
use crate::metrics::Metrics;
use crate::publish::{Publish, PublishProgress};
use crate::telemetry;
use crate::telemetry::repeat::RepeatLimiter;
use crate::web;
use lifecycle::ShutdownSignals;
use task_group::TaskGroup;

/// How often the daemon checks whether another process (`brandpost retry`) wrote to the table.
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
    /// It is stopped.
    Stopped,
    /// Nothing is left to do.
    Done,
}

/// What intake could not take in, and no row says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Untaken {
    /// Files that are still being copied.
    pub incomplete: usize,
    /// Folders that cannot be read.
    pub unreadable: usize,
}

/// What else the caller wants to know while it runs.
#[derive(Debug, Clone)]
pub struct Progress {
    /// The first reconciler.
    pub intake: watch::Receiver<intake::IntakeProgress>,
    /// The second.
    pub publish: watch::Receiver<PublishProgress>,
    /// The table.
    pub ledger: Ledger,
    /// Where the page is served.
    pub http: Option<std::net::SocketAddr>,
}

/// Works until `until`, or until it is stopped. `started` is called when all tasks run.
///
/// # Errors
/// When a task cannot be set up, or ends before it should.
pub async fn run(
    settings: Settings,
    clock: Arc<dyn Clock>,
    until: Until,
    shutdown: ShutdownSignals,
    started: impl FnOnce(Progress),
) -> anyhow::Result<Untaken> {
    let (root, path) = (settings.watch.root.clone(), settings.database.path.clone());
    if until == Until::Done && settings.brands.is_empty() && !root.is_dir() {
        bail!("the watched folder {} is not there; make it, or set watch.root", root.display());
    }
    // before the port is taken: two daemons differ in more than that
    let lock = DaemonLock::take(&path).await?;
    let mut setup = Setup::new(settings, &clock, None)?;
    let Started { ledger, reclaimed, .. } = open(&path, clock.clone(), &lock, &shutdown).await?;
    tracing::info!(message_id = event::STARTED, version = env!("CARGO_PKG_VERSION"), root = %root.display(), database = %path.display(), reclaimed, "started");
    let (mut started, metrics) = (Some(started), Metrics::new(ledger.now()));
    metrics.interrupted(reclaimed);
    loop {
        // when it cannot be written now, the alerts try again by themselves
        let _ = alerts::prepare(&setup.settings, &ledger).await;
        let generation = Generation::begin(setup, ledger.clone(), &shutdown, &metrics);
        if let Some(started) = started.take() {
            started(generation.progress.clone());
        }
        match generation.work(until, &clock, &shutdown).await? {
            End::Reload(next) => setup = *next,
            End::Stopped(untaken) => {
                ledger.close().await;
                tracing::info!(message_id = event::STOPPED, "stopped");
                return Ok(untaken);
            }
        }
    }
}

/// What follows from the configuration, and can fail before anything is begun with it.
struct Setup {
    settings: Arc<Settings>,
    clouds: Clouds,
    listener: Option<std::net::TcpListener>,
}

impl Setup {
    /// An address that is listened on already is kept.
    fn new(
        mut settings: Settings,
        clock: &Arc<dyn Clock>,
        before: Option<&Generation>,
    ) -> anyhow::Result<Self> {
        share_descriptors(&mut settings);
        let clouds = Clouds::new(&settings, clock.clone())?;
        web::check(&settings)?;
        alerts::check(&settings)?;
        let listen = settings.http.listen;
        let listener = match before {
            Some(before) if before.settings.http.listen == listen => {
                before.listener.as_ref().map(std::net::TcpListener::try_clone).transpose()?
            }
            Some(_) => web::bind(listen)?,
            // an address that is in use keeps nobody from uploading: it is tried again
            None => web::bind(listen).unwrap_or_default(),
        };
        Ok(Self { settings: Arc::new(settings), clouds, listener })
    }
}

/// Files wait for their turn rather than for a descriptor.
fn share_descriptors(settings: &mut Settings) {
    descriptors::raise();
    let concurrency = &mut settings.limits.concurrency;
    let uploads = descriptors::uploads(*concurrency);
    if uploads < *concurrency {
        let (limit, wanted) = (descriptors::limit(), *concurrency);
        tracing::warn!(
            "this process may have {limit} files open: {uploads} uploads at a time instead of {wanted}; raise LimitNOFILE (ulimit -n)"
        );
        *concurrency = uploads;
    }
}

/// How a generation ends.
enum End {
    /// With a new configuration.
    Reload(Box<Setup>),
    /// For good.
    Stopped(Untaken),
}

/// All tasks at work with one configuration: from the start, or a reload, to the next reload or the end.
struct Generation {
    settings: Arc<Settings>,
    listener: Option<std::net::TcpListener>,
    shutdown: ShutdownSignals,
    progress: Progress,
    tasks: TaskGroup,
}

impl Generation {
    fn begin(setup: Setup, ledger: Ledger, shutdown: &ShutdownSignals, metrics: &Metrics) -> Self {
        let shutdown = shutdown.for_generation();
        let Setup { settings, clouds, listener } = setup;
        let intake = Intake::new(settings.clone(), ledger.clone(), shutdown.soft.clone(), metrics);
        let publish = Publish::new(settings.clone(), ledger.clone(), clouds, metrics);
        let http = listener.as_ref().and_then(|listener| listener.local_addr().ok());
        let progress =
            Progress { intake: intake.progress(), publish: publish.progress(), ledger: ledger.clone(), http };
        let mut tasks = TaskGroup::default();
        let ours = listener.as_ref().and_then(|listener| listener.try_clone().ok());
        let sources = web::Sources {
            ledger: ledger.clone(),
            intake: progress.intake.clone(),
            publish: progress.publish.clone(),
            metrics: metrics.clone(),
            settings: settings.clone(),
            picture_memory: intake.picture_memory(),
            stop: tasks.last_token(),
        };
        tasks.spawn("intake", async move { Ok(intake.run().await?) });
        tasks.spawn("publish", {
            let shutdown = shutdown.clone();
            async move { Ok(publish.run(shutdown.soft, shutdown.hard).await?) }
        });
        tasks.spawn_helper("watch", &shutdown, watch_writes(ledger.clone()));
        tasks.spawn_helper("memory", &shutdown, release_memory(progress.intake.clone()));
        tasks.spawn_helper("clean-up", &shutdown, clean_up(ledger.clone(), settings.database.keep_attempts));
        let soft = shutdown.soft.clone();
        tasks.spawn_until_hard("alerts", &shutdown, alerts::watch(settings.clone(), ledger, soft));
        // observers see how uploads end
        tasks.spawn_last("web", web::serve(ours, sources));
        tasks.spawn_last("systemd", lifecycle::notify_systemd(progress.clone()));
        Self { settings, listener, shutdown, progress, tasks }
    }

    /// What follows from the configuration file as it is now.
    fn reload(&self, clock: &Arc<dyn Clock>) -> anyhow::Result<Setup> {
        let settings = Settings::load(&self.settings.path)?;
        if settings.database.path != self.settings.database.path {
            bail!("database.path can only be changed by a restart");
        }
        Setup::new(settings, clock, Some(self))
    }

    async fn work(
        mut self,
        until: Until,
        clock: &Arc<dyn Clock>,
        shutdown: &ShutdownSignals,
    ) -> anyhow::Result<End> {
        let settings = self.settings.clone();
        let next = loop {
            tokio::select! {
                // tasks that end because of the stop have not failed
                biased;
                () = shutdown.soft.cancelled() => break None,
                result = once::done(&settings, self.progress.clone()), if until == Until::Done => {
                    result?;
                    break None
                }
                error = self.tasks.first_end() => {
                    if is_damage(&error) {
                        Ledger::request_integrity_check(&settings.database.path);
                    }
                    shutdown.now();
                    return Err(error)
                }
                () = shutdown.reload.notified() => match self.reload(clock) {
                    Ok(next) => break Some(next),
                    Err(error) => tracing::error!(message_id = event::RELOAD_REFUSED, "the new configuration is refused, the old one stays: {error:#}"),
                }
            }
        };
        let Some(next) = next else {
            lifecycle::notify(&[NotifyState::Stopping]);
            shutdown.soon();
            self.tasks.all_end().await?;
            let intake = self.progress.intake.borrow();
            return Ok(End::Stopped(Untaken {
                incomplete: intake.incomplete,
                unreadable: intake.unreadable,
            }));
        };
        lifecycle::notify_reloading();
        self.shutdown.soon();
        self.tasks.all_end().await?;
        telemetry::log::set_level(&next.settings.log);
        tracing::info!(message_id = event::RELOADED, "works with the new configuration");
        Ok(End::Reload(Box::new(next)))
    }
}

/// A database that cannot be used for a while is waited for. One that never could be used is a mistake in the
/// configuration, unless another process holds it.
async fn open(
    path: &Path,
    clock: Arc<dyn Clock>,
    lock: &DaemonLock,
    shutdown: &ShutdownSignals,
) -> anyhow::Result<Started> {
    let waiting = RepeatLimiter::default();
    loop {
        lifecycle::notify(&[NotifyState::ExtendTimeoutUsec(START_TAKES)]);
        match Ledger::start(path, clock.clone(), lock).await {
            Ok(started) => {
                if let Some(rebuilt) = &started.rebuilt {
                    tracing::error!(message_id = event::DATABASE_REBUILT, "{rebuilt}");
                }
                return Ok(started);
            }
            Err(error)
                if error.is_locked() || (error.is_transient() && lock.past() == PreviousRun::Worked) =>
            {
                let text = error.to_string();
                if waiting.should_log(text.clone()).is_some() {
                    tracing::warn!(
                        message_id = event::DATABASE_TROUBLE,
                        "{text}; waiting until it can be used"
                    );
                }
            }
            Err(error) => return Err(error.into()),
        }
        tokio::select! {
            () = tokio::time::sleep(USE_AGAIN) => {}
            () = shutdown.soft.cancelled() => bail!("stopped before the database could be used"),
        }
    }
}

fn is_damage(error: &anyhow::Error) -> bool {
    error.chain().filter_map(|cause| cause.downcast_ref::<LedgerError>()).any(LedgerError::is_damage)
}

async fn watch_writes(ledger: Ledger) -> anyhow::Result<()> {
    Ok(ledger.watch_other_processes(LOOK_FOR_WRITES).await?)
}

/// What the first scan of all folders needed goes back to the system.
async fn release_memory(mut intake: watch::Receiver<intake::IntakeProgress>) -> anyhow::Result<()> {
    // when intake ends, so does this generation
    if intake.wait_for(|intake| intake.idle).await.is_ok() {
        tokio::task::spawn_blocking(memory::release_free).await?;
    }
    std::future::pending().await
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
                ledger.report_problem(&error);
                tokio::time::sleep(CLEAN_UP).await;
            }
        }
    }
}
