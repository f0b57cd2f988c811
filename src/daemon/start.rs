//! How the daemon comes to its database: waits for one that cannot be used for a while, and stands by while another daemon
//! keeps the inbox.

use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use sd_notify::NotifyState;

use super::Setup;
use super::lifecycle::{self, ShutdownSignals};
use super::task_group::TaskGroup;
use crate::config::{DatabaseServer, SecretSource, Settings};
use crate::domain::clock::Clock;
use crate::domain::event;
use crate::intake::Intake;
use crate::ledger::{DaemonLock, Host, Ledger, LedgerError, Location, PreviousRun, Server, Started};
use crate::metrics::Metrics;
use crate::publish::Publish;
use crate::telemetry::repeat::RepeatLimiter;
use crate::web;

/// How long after the database could not be used at the start it is tried again.
const USE_AGAIN: Duration = Duration::from_secs(1);

/// How long one try may take, for systemd: microseconds. Looking through ten million rows takes a minute.
const START_TAKES: u32 = 600_000_000;

/// Where the configuration says that the ledger is.
///
/// # Errors
/// When the password cannot be read.
pub fn location(settings: &Settings) -> anyhow::Result<Location> {
    let Some(server) = &settings.database.server else {
        return Ok(Location::File(settings.database.path.clone()));
    };
    let DatabaseServer { host, port, user, database, password } = server.clone();
    let password = password.as_ref().map(SecretSource::load).transpose()?;
    Ok(Location::Server(Server {
        host,
        port,
        user,
        database,
        password: password.map(|password| password.expose().to_owned().into()),
        ca_file: settings.network.ca_file.clone(),
        inbox: settings.watch.inbox.clone(),
    }))
}

/// With SQLite, who has the lock is the daemon.
fn identity(location: &Location, lock: &DaemonLock) -> Result<String, LedgerError> {
    match location {
        Location::File(_) => Ok("local".into()),
        Location::Server(_) => lock.identity(),
    }
}

/// A daemon that begins.
pub(super) struct Start {
    location: Location,
    host: Host,
    /// No other daemon of this host works with the file, or with the server in its place.
    lock: DaemonLock,
    clock: Arc<dyn Clock>,
    /// It has worked with the database before: what is wrong with it passes.
    has_worked: bool,
}

impl Start {
    /// Where the database is, for people.
    pub(super) fn place(&self) -> &Location {
        &self.location
    }

    pub(super) async fn new(settings: &Settings, clock: Arc<dyn Clock>) -> anyhow::Result<Self> {
        let location = location(settings)?;
        let lock = DaemonLock::take(&settings.database.path).await?;
        let has_worked = lock.past() == PreviousRun::Worked;
        let (inbox, daemon) = (settings.watch.inbox.clone(), identity(&location, &lock)?);
        let host = Host::new(inbox, daemon, settings.images.max_per_brand);
        Ok(Self { location, host, lock, clock, has_worked })
    }

    /// Opens the database and takes the inbox. One that cannot be used for a while is waited for. One that never could be
    /// used is a mistake in the configuration, unless another process holds it. While another daemon keeps the inbox, this
    /// one stands by; `--once` does not.
    pub(super) async fn ledger(
        &mut self,
        setup: &Setup,
        once: bool,
        shutdown: &ShutdownSignals,
        metrics: &Metrics,
    ) -> anyhow::Result<Started> {
        let waiting = RepeatLimiter::default();
        let mut standby = None;
        loop {
            lifecycle::notify(&[NotifyState::ExtendTimeoutUsec(START_TAKES)]);
            match Ledger::start(&self.location, self.clock.clone(), &self.lock, &self.host).await {
                Ok(started) => {
                    self.has_worked = true;
                    if let Some(rebuilt) = &started.rebuilt {
                        tracing::error!(message_id = event::DATABASE_REBUILT, "{rebuilt}");
                    }
                    Standby::end(standby).await;
                    return Ok(started);
                }
                Err(error @ LedgerError::Kept { .. }) if !once => {
                    if standby.is_none() {
                        standby = Standby::begin(setup, self, shutdown, metrics, &error).await.ok();
                    }
                    let text = error.to_string();
                    // when it was seen last changes every few seconds
                    if waiting.should_log("another daemon keeps the inbox".into()).is_some() {
                        tracing::info!(message_id = event::STANDS_BY, "{text}");
                    }
                    lifecycle::notify(&[
                        NotifyState::Ready,
                        NotifyState::Status(&text),
                        NotifyState::Watchdog,
                    ]);
                }
                Err(error) if error.is_locked() || (error.is_transient() && self.has_worked) => {
                    let text = error.to_string();
                    if waiting.should_log(text.clone()).is_some() {
                        tracing::warn!(
                            message_id = event::DATABASE_TROUBLE,
                            "{text}; waiting until it can be used"
                        );
                    }
                    lifecycle::notify(&[NotifyState::Watchdog]);
                }
                Err(error) => return Err(error.into()),
            }
            tokio::select! {
                () = tokio::time::sleep(USE_AGAIN) => {}
                () = shutdown.soft.cancelled() => bail!("stopped before the database could be used"),
            }
        }
    }
}

/// What runs while another daemon keeps the inbox: the page, which shows all brands, and health and readiness.
struct Standby {
    ledger: Ledger,
    tasks: TaskGroup,
}

impl Standby {
    async fn begin(
        setup: &Setup,
        start: &Start,
        shutdown: &ShutdownSignals,
        metrics: &Metrics,
        why: &LedgerError,
    ) -> anyhow::Result<Self> {
        let ledger = Ledger::open(&start.location, start.clock.clone()).await?;
        ledger.stand_by(why);
        let mut tasks = TaskGroup::default();
        let Setup { settings, clouds, listener } = setup;
        // they are not run; the page shows that they do nothing
        let intake = Intake::new(settings.clone(), ledger.clone(), shutdown.soft.clone(), metrics);
        let publish = Publish::new(settings.clone(), ledger.clone(), clouds.clone(), metrics);
        let sources = web::Sources {
            ledger: ledger.clone(),
            intake: intake.progress(),
            publish: publish.progress(),
            metrics: metrics.clone(),
            settings: settings.clone(),
            picture_memory: intake.picture_memory(),
            stop: tasks.last_token(),
        };
        let listener = listener.as_ref().and_then(|listener| listener.try_clone().ok());
        tasks.spawn("web", web::serve(listener, sources));
        Ok(Self { ledger, tasks })
    }

    /// The address is free for the keeper's page.
    async fn end(standby: Option<Self>) {
        if let Some(Self { ledger, tasks }) = standby {
            tasks.abort().await;
            ledger.close().await;
        }
    }
}
