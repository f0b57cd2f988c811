//! Intake, the first reconciler: folders → rows.
//!
//! It knows only that a folder is to be scanned, and when. Why (start, event, overflow, timer, a request in
//! the database) makes no difference to what is done.

mod after_upload;
mod agenda;
mod archive;
pub(crate) mod backlog;
mod byte_count;
mod context;
mod decide;
mod delayed;
mod devices;
mod discover;
pub(crate) mod discovery;
mod event_rate;
mod events;
mod folder;
mod folder_log;
mod glance;
mod identities;
pub(crate) mod inspect;
mod labels;
mod limit_log;
mod log;
mod missing;
mod mounts;
mod orphans;
mod places;
mod progress;
mod read_ahead;
mod reads;
mod reconcile;
mod registration;
mod renamed_folders;
mod requests;
mod root;
mod scan;
mod scans;
mod schedule;
mod stability;
mod take_in;
mod tidy;
mod tracked;
mod unreadable_folders;
mod verdict;
mod watch;
mod watch_name;
mod watched_folders;

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use pictures::Budget;
use tokio::sync::watch as watch_channel;
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::config::Settings;
use crate::files::Identity;
use crate::ledger::{Ledger, LedgerError};
use crate::metrics::Metrics;
use agenda::Agenda;
use context::Context;
use discover::DiscoveryStep;
use folder_log::FolderLog;
use identities::Identities;
use labels::Labels;
use orphans::Orphans;
use places::Scanning;
pub use progress::IntakeProgress;
use registration::Registration;
use renamed_folders::HeldBack;
use root::Root;
pub(crate) use scan::is_ignored;
pub use scans::{CompletedScan, FolderScan};
use schedule::Schedule;
use tracked::TrackedFolders;
use unreadable_folders::UnreadableFolders;
pub use watch::inotify_available;

/// Events that come this close together cause one scan: files that arrive together are taken in order of name.
const GATHER: Duration = Duration::from_millis(1);

/// A folder in which something happens all the time is scanned after so long.
const LONGEST_GATHER: Duration = Duration::from_millis(20);

/// After the database could not be used, everything is scanned again after this time.
const RETRY: Duration = Duration::from_secs(2);

/// At a stop, scans that are under way may end within this time.
const LAST_SCANS: Duration = Duration::from_secs(15);

/// Why intake cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum IntakeError {
    /// The database.
    #[error("intake cannot use the database")]
    Ledger(#[from] LedgerError),
    /// A thread or descriptor is not available, or a check panicked.
    #[error("intake cannot do its work")]
    Thread(#[source] io::Error),
}

/// The first reconciler.
pub struct Intake {
    ctx: Arc<Context>,
    /// Marked when files are to be looked at again: somebody requested it, or another process has written.
    rechecks: watch_channel::Receiver<u64>,
    tracked: TrackedFolders,
    scans: JoinSet<CompletedScan>,
    scanning: Scanning,
    agenda: Agenda,
    schedule: Schedule,
    root: Root,
    /// The root and the type folders that are watched.
    parents: HashMap<PathBuf, Identity>,
    /// Type folders that cannot be read, and why: nothing is known of what is in them.
    unreadable_parents: HashMap<PathBuf, String>,
    /// Those of them that did not answer in time.
    silent_parents: HashSet<PathBuf>,
    unreadable_folders: UnreadableFolders,
    /// Some of those that were moved away or removed since the last discovery began.
    lost_parents: HashSet<PathBuf>,
    discovery: DiscoveryStep,
    registration: Registration,
    /// What is scanned next is to be read ahead.
    plan_due: bool,
    held_back: HeldBack,
    orphans: Orphans,
    identities: Identities,
    labels: Labels,
    log: FolderLog,
    /// Everything was discovered at least once.
    discovered: bool,
    /// All files that there were at the start have their rows, and the database knows it.
    all_found: bool,
    progress: watch_channel::Sender<IntakeProgress>,
}

impl Intake {
    /// The memory for pictures, for others who work on them too.
    pub fn picture_memory(&self) -> Budget {
        self.ctx.budget.clone()
    }

    /// An intake that has done nothing yet.
    pub fn new(settings: Arc<Settings>, ledger: Ledger, stop: CancellationToken, metrics: &Metrics) -> Self {
        let ctx = Arc::new(Context::new(settings, ledger, stop, metrics));
        let mut rechecks = ctx.ledger.recheck_requests();
        rechecks.mark_changed();
        Self {
            ctx,
            rechecks,
            tracked: TrackedFolders::default(),
            scans: JoinSet::new(),
            scanning: Scanning::default(),
            agenda: Agenda::default(),
            schedule: Schedule::new(Instant::now()),
            root: Root::default(),
            parents: HashMap::new(),
            unreadable_parents: HashMap::new(),
            silent_parents: HashSet::new(),
            unreadable_folders: UnreadableFolders::default(),
            lost_parents: HashSet::new(),
            discovery: DiscoveryStep::default(),
            registration: Registration::default(),
            plan_due: false,
            held_back: HeldBack::default(),
            orphans: Orphans::default(),
            identities: Identities::default(),
            labels: None,
            log: FolderLog::default(),
            discovered: false,
            all_found: false,
            progress: watch_channel::Sender::new(IntakeProgress::default()),
        }
    }

    /// How far it is.
    pub fn progress(&self) -> watch_channel::Receiver<IntakeProgress> {
        self.progress.subscribe()
    }

    /// Works until it is stopped; scans that are under way are ended first.
    ///
    /// # Errors
    /// When the database fails or a check panics.
    pub async fn run(mut self) -> Result<(), IntakeError> {
        let stop = self.ctx.stop.clone();
        while !stop.is_cancelled() {
            self.step().await?;
            while let Some(scan) = self.next_scan() {
                self.scans.spawn(scan);
            }
            self.report_progress();
            let next_step = self.next_step();
            tokio::select! {
                () = stop.cancelled() => break,
                () = self.ctx.watch.events().happened() => {}
                Some(done) = self.scans.join_next() => {
                    self.end(joined(done)?)?;
                    while let Some(done) = self.scans.try_join_next() {
                        self.end(joined(done)?)?;
                    }
                }
                // the next step takes it in
                Ok(()) = self.rechecks.changed() => self.rechecks.mark_changed(),
                () = tokio::time::sleep_until(next_step) => {}
            }
        }
        // a scan that is broken off is repeated at the next start: only what it committed counts
        let ends = async {
            while let Some(done) = self.scans.join_next().await {
                self.end(joined(done)?)?;
            }
            Ok(())
        };
        tokio::time::timeout(LAST_SCANS, ends).await.unwrap_or(Ok(()))
    }

    /// Takes in what happened since the last step: events, requests in the database, time that went by. The scans
    /// that follow from it are taken with [`Intake::next_scan`].
    ///
    /// # Errors
    /// When the database fails for good.
    pub async fn step(&mut self) -> Result<(), IntakeError> {
        self.take_events();
        if self.rechecks.has_changed().unwrap_or_default() {
            self.rechecks.mark_unchanged();
            let scheduled = self.schedule_rechecks().await;
            self.defer_if_transient(scheduled)?;
        }
        if Instant::now() >= self.schedule.identity_check {
            self.check_identities();
        }
        if let Some(discovered) = self.discovery.take_listed() {
            let taken = self.take_over(*discovered).await;
            self.defer_if_transient(taken)?;
        }
        if self.can_discover()
            && let Some(scope) = self.schedule.due(Instant::now())
        {
            self.begin_discovery(scope);
        }
        let written = self.write_unreadable_folders().await;
        self.defer_if_transient(written)?;
        self.expire_held_back();
        self.plan().await;
        self.tidy_watches();
        if !self.all_found && self.is_everything_read() {
            let recorded = self.ctx.ledger.all_found().await.map_err(IntakeError::from);
            self.all_found = recorded.is_ok();
            self.defer_if_transient(recorded)?;
        }
        Ok(())
    }

    /// inotify is told beside the loop which watches were given up.
    fn tidy_watches(&self) {
        if !self.ctx.watch.is_tidy() {
            let watch = self.ctx.watch.clone();
            tokio::task::spawn_blocking(move || watch.tidy());
        }
    }

    /// Was every folder that there is scanned?
    fn is_everything_read(&self) -> bool {
        let totals = self.tracked.totals();
        let discovered = self.discovered && !self.root.missing && self.unreadable_parents.is_empty();
        discovered && totals.first_scans_pending == 0 && totals.unreadable == 0
    }

    /// Where events go in. inotify's come by themselves; this is for callers that watch by other means.
    pub fn event_sink(&self) -> impl Fn(notify::Result<notify::Event>) + Send + use<> {
        self.ctx.watch.events().sink()
    }

    /// A database that cannot be used for a while is waited for: everything is scanned again then.
    fn defer_if_transient(&mut self, result: Result<(), IntakeError>) -> Result<(), IntakeError> {
        match result {
            Err(IntakeError::Ledger(error)) if error.is_transient() => {
                self.ctx.ledger.report_problem(&error);
                self.schedule.full_at(Instant::now() + RETRY);
                Ok(())
            }
            result => result,
        }
    }

    /// When the next step is worth taking, if nothing happens before.
    pub fn next_step(&self) -> Instant {
        if matches!(self.discovery, DiscoveryStep::Listed(_)) || self.plan_due {
            return Instant::now();
        }
        let due = self.room().and_then(|least| self.agenda.next(least));
        let next = if self.can_discover() { self.schedule.next() } else { self.schedule.identity_check };
        [due, self.held_back.next(), self.unreadable_folders.next(), self.scanning.next_place(Instant::now())]
            .into_iter()
            .flatten()
            .fold(next, Instant::min)
    }
}

fn joined(done: Result<CompletedScan, JoinError>) -> Result<CompletedScan, IntakeError> {
    done.map_err(|error| IntakeError::Thread(io::Error::other(error)))
}
