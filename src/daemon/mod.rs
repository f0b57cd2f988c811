//! The daemon: the whole topology.
//!
//! Two reconcilers, one database, and the tasks around them. A task that ends before it is stopped, by an error or a
//! panic, ends the process with an error, so that systemd starts it again.

pub mod lifecycle;
mod once;
mod start;
mod task_group;

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
use crate::ledger::{Ledger, LedgerError, Started};
use crate::memory;
use crate::metrics::Metrics;
use crate::publish::{Publish, PublishProgress};
use crate::telemetry;
use crate::web;
use lifecycle::ShutdownSignals;
use start::Start;
use task_group::TaskGroup;

pub use start::location;

/// How often the daemon checks whether another process (`brandpost retry`) wrote to the table.
const LOOK_FOR_WRITES: Duration = Duration::from_millis(250);

/// How often the daemon looks for hosts that are away, and how long one must be away to be worth a word.
const LOOK_FOR_HOSTS: Duration = Duration::from_mins(1);
const HOST_AWAY: jiff::SignedDuration = jiff::SignedDuration::from_mins(5);

/// How often old attempts are forgotten, and how many at a time.
const CLEAN_UP: Duration = Duration::from_hours(1);
const CLEAN_UP_BATCH: u32 = 1000;

/// How often it is looked whether the first scan is over.
const LOOK_WHETHER_IDLE: Duration = Duration::from_secs(1);

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
    /// How far intake is.
    pub intake: watch::Receiver<intake::IntakeProgress>,
    /// How far publish is.
    pub publish: watch::Receiver<PublishProgress>,
    /// What became of every file.
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
    let root = settings.watch.root.clone();
    if until == Until::Done && settings.brands.is_empty() && !root.is_dir() {
        bail!("the watched folder {} is not there; make it, or set watch.root", root.display());
    }
    // before the port is taken: two daemons differ in more than that
    let mut start = Start::new(&settings, clock.clone()).await?;
    let mut setup = Setup::new(settings, &clock, None)?;
    let (mut started, metrics) = (Some(started), Metrics::new(clock.now()));
    loop {
        let once = until == Until::Done;
        let Started { ledger, reclaimed, .. } = start.ledger(&setup, once, &shutdown, &metrics).await?;
        tracing::info!(message_id = event::STARTED, version = env!("CARGO_PKG_VERSION"), root = %root.display(), database = %start.place(), reclaimed, "started");
        metrics.interrupted(reclaimed);
        match work(&mut setup, &ledger, until, &clock, &shutdown, &metrics, &mut started).await? {
            Some(untaken) => {
                ledger.close().await;
                tracing::info!(message_id = event::STOPPED, "stopped");
                return Ok(untaken);
            }
            None => ledger.close().await,
        }
    }
}

/// Works with one ledger, for as long as this daemon keeps its inbox: then there is no result.
async fn work(
    setup: &mut Setup,
    ledger: &Ledger,
    until: Until,
    clock: &Arc<dyn Clock>,
    shutdown: &ShutdownSignals,
    metrics: &Metrics,
    started: &mut Option<impl FnOnce(Progress)>,
) -> anyhow::Result<Option<Untaken>> {
    loop {
        // when it cannot be written now, the alerts try again by themselves
        let _ = alerts::prepare(&setup.settings, ledger).await;
        let generation = Generation::begin(setup, ledger.clone(), shutdown, metrics);
        if let Some(started) = started.take() {
            started(generation.progress.clone());
        }
        match generation.work(until, clock, shutdown).await? {
            End::Reload(next) => *setup = *next,
            End::Deposed => return Ok(None),
            End::Stopped(untaken) => return Ok(Some(untaken)),
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
    /// Another daemon keeps the inbox, or may soon do so.
    Deposed,
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
    fn begin(setup: &Setup, ledger: Ledger, shutdown: &ShutdownSignals, metrics: &Metrics) -> Self {
        let shutdown = shutdown.for_generation();
        let Setup { settings, clouds, listener } = setup;
        let (settings, clouds) = (settings.clone(), clouds.clone());
        let listener = listener.as_ref().and_then(|listener| listener.try_clone().ok());
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
        tasks.spawn_helper("hosts", &shutdown, watch_hosts(ledger.clone()));
        let soft = shutdown.soft.clone();
        tasks.spawn_until_hard("alerts", &shutdown, alerts::watch(settings.clone(), ledger, soft));
        // observers see how uploads end
        tasks.spawn_last("keeper", keep(progress.ledger.clone()));
        tasks.spawn_last("web", web::serve(ours, sources));
        tasks.spawn_last("systemd", lifecycle::notify_systemd(progress.clone()));
        Self { settings, listener, shutdown, progress, tasks }
    }

    /// What follows from the configuration file as it is now.
    fn reload(&self, clock: &Arc<dyn Clock>) -> anyhow::Result<Setup> {
        let settings = Settings::load(&self.settings.path)?;
        let (now, next) = (start::location(&self.settings)?, start::location(&settings)?);
        if now.to_string() != next.to_string() || settings.watch.inbox != self.settings.watch.inbox {
            bail!("[database] and watch.inbox can only be changed by a restart");
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
                    if is(&error, LedgerError::is_deposed) {
                        tracing::warn!(message_id = event::DEPOSED, "{error:#}; what is under way is broken off");
                        // with its tasks
                        self.shutdown.now();
                        self.tasks.abort().await;
                        return Ok(End::Deposed);
                    }
                    if is(&error, LedgerError::is_damage) {
                        Ledger::request_integrity_check(&settings.database.path);
                    }
                    shutdown.now();
                    return Err(error)
                }
                () = shutdown.reload.notified() => match self.reload(clock) {
                    Ok(next) => break Some(next),
                    Err(error) => refuse_reload(&error),
                }
            }
        };
        match next {
            Some(next) => self.hand_over(next).await,
            None => self.stop(shutdown).await,
        }
    }

    /// Lets what is under way end, for good.
    async fn stop(mut self, shutdown: &ShutdownSignals) -> anyhow::Result<End> {
        lifecycle::notify(&[NotifyState::Stopping]);
        shutdown.soon();
        self.tasks.all_end().await?;
        let intake = self.progress.intake.borrow();
        Ok(End::Stopped(Untaken { incomplete: intake.incomplete, unreadable: intake.unreadable }))
    }

    /// Lets what is under way end, and a new configuration begin.
    async fn hand_over(mut self, next: Setup) -> anyhow::Result<End> {
        lifecycle::notify_reloading();
        self.shutdown.soon();
        self.tasks.all_end().await?;
        telemetry::log::set_level(&next.settings.log);
        tracing::info!(message_id = event::RELOADED, "works with the new configuration");
        Ok(End::Reload(Box::new(next)))
    }
}

/// Where an operator looks for it: in the log, and in what `systemctl status` shows.
fn refuse_reload(error: &anyhow::Error) {
    tracing::error!(
        message_id = event::RELOAD_REFUSED,
        "the new configuration is refused, the old one stays: {error:#}"
    );
    // one line: what follows a line break would be another field for systemd
    let why = format!("the new configuration is refused: {error:#}").replace('\n', "; ");
    lifecycle::notify(&[NotifyState::Status(&why)]);
}

fn is(error: &anyhow::Error, what: impl Fn(&LedgerError) -> bool) -> bool {
    error.chain().filter_map(|cause| cause.downcast_ref::<LedgerError>()).any(what)
}

async fn keep(ledger: Ledger) -> anyhow::Result<()> {
    Ok(ledger.keep_inbox().await?)
}

/// Says which other hosts are away, with files that wait for them.
async fn watch_hosts(ledger: Ledger) -> anyhow::Result<()> {
    loop {
        tokio::time::sleep(LOOK_FOR_HOSTS).await;
        if let Err(error) = ledger.note_hosts_away(HOST_AWAY).await {
            ledger.report_problem(&error);
        }
    }
}

async fn watch_writes(ledger: Ledger) -> anyhow::Result<()> {
    Ok(ledger.watch_other_processes(LOOK_FOR_WRITES).await?)
}

/// What the first scan of all folders needed goes back to the system.
async fn release_memory(intake: watch::Receiver<intake::IntakeProgress>) -> anyhow::Result<()> {
    // each step of intake is a change: who waits for one is woken ten thousand times
    while !intake.borrow().idle {
        tokio::time::sleep(LOOK_WHETHER_IDLE).await;
    }
    tokio::task::spawn_blocking(memory::release_free).await?;
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
