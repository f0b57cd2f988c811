//! Intake, the first reconciler: folders → rows.
//!
//! It knows only that a folder is to be looked at, and when. Why (start, event, overflow, timer, a mark in
//! the table) makes no difference to what is done.

mod agenda;
mod archive;
pub mod backlog;
mod context;
mod decide;
mod devices;
pub mod discovery;
mod folder;
pub mod inspect;
mod log;
mod mounts;
mod places;
mod reads;
mod scan;
mod settle;
mod tidy;
mod verdict;
mod watch;

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use pictures::Budget;
use tokio::sync::watch as state;
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::config::{Settings, WatchMode};
use crate::domain::event;
use crate::files::Identity;
use crate::ledger::{Ledger, LedgerError};
use crate::metrics::Metrics;
use crate::telemetry::repeat::RepeatLimiter;
use agenda::{Agenda, Priority};
use context::Context;
use discovery::BrandFolder;
use folder::{Folder, Outcome, Reconcile};
use watch::Watch;
pub use watch::inotify_is_to_be_had;

/// Events that come this close together are one look: files that arrive together are taken in order of name.
const GATHER: Duration = Duration::from_millis(5);

/// After the database could not be used, everything is looked at again then.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// At a stop, looks that are under way may end within this time.
const LAST_LOOKS: Duration = Duration::from_secs(15);

/// Events that tell of new folders have the folders surveyed no more often than this.
const SURVEY_AGAIN: Duration = Duration::from_secs(1);

/// How many folders are looked at side by side, and how many more if something has just happened in them.
const FOLDERS_AT_ONCE: usize = 8;
const URGENT_FOLDERS: usize = 4;

/// Why intake cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum IntakeError {
    /// The table.
    #[error("intake cannot use the database")]
    Ledger(#[from] LedgerError),
    /// A thread or descriptor could not be had, or a check panicked.
    #[error("intake cannot do its work")]
    Thread(#[source] io::Error),
}

/// How far intake is, for whoever waits for it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    /// All folders that were there at the start are watched, as far as they can be.
    pub surveyed: bool,
    /// So many of them were not looked at yet.
    pub fresh: usize,
    /// All folders were looked at at least once since the start.
    pub scanned: bool,
    /// Nothing is being looked at or is to be looked at now.
    pub idle: bool,
    /// So many files are still being copied.
    pub copying: usize,
    /// So many folders cannot be read, or were not looked at yet; the root is one of them.
    pub unread: usize,
    /// Counts up whenever intake took a step: the watchdog's sign of life.
    pub steps: u64,
}

/// One look at a folder, on its way.
pub type FolderScan = Pin<Box<dyn Future<Output = Looked> + Send>>;

/// A folder that was looked at, to be handed back with [`Intake::end`].
pub struct Looked {
    folder: Folder,
    outcome: Result<Outcome, IntakeError>,
}

/// The first reconciler.
#[expect(clippy::struct_excessive_bools, reason = "each is something that is known, or not yet")]
pub struct Intake {
    ctx: Arc<Context>,
    /// News of the table.
    changes: state::Receiver<u64>,
    watch: Watch,
    /// Folders that are with no job.
    folders: HashMap<PathBuf, Folder>,
    /// Folders that are with a job, and whether they must be looked at once more after it.
    out: HashMap<PathBuf, bool>,
    jobs: JoinSet<Looked>,
    /// The root and the type folders that are watched, and the brands' folders that are (the others are polled).
    parents: HashMap<PathBuf, Identity>,
    watched: HashMap<PathBuf, Identity>,
    /// Where brands' folders stood at the last discovery.
    places: HashMap<PathBuf, Option<Identity>>,
    /// Names that were closed after writing, until their folder is looked at.
    closed: HashMap<PathBuf, HashSet<OsString>>,
    agenda: Agenda,
    next_survey: Instant,
    /// An event asks for a discovery of what is new.
    event_survey: Option<Instant>,
    last_survey: Option<Instant>,
    root: Option<Identity>,
    /// Files without a folder, for whose sake all was surveyed once more.
    doubted: HashSet<PathBuf>,
    /// Of some files without a folder it is not known whether they are there.
    orphans_left: bool,
    logged: Logged,
    /// The root is not there, and the table says so.
    root_missing: bool,
    /// Does the table say so, as far as that is known?
    root_noticed: Option<bool>,
    /// All there is was surveyed at least once.
    surveyed: bool,
    /// All files that there were at the start have their rows, and the table knows it.
    found_all: bool,
    /// Folders that were never looked at, those with files that are not complete yet, and those that cannot
    /// be read.
    fresh: HashSet<PathBuf>,
    copying: HashMap<PathBuf, usize>,
    unread: HashSet<PathBuf>,
    /// Type folders that cannot be read: nothing is known of what is in them.
    hidden: HashSet<PathBuf>,
    next_glance: Instant,
    progress: state::Sender<Progress>,
}

/// What is logged of the folders.
#[derive(Debug)]
struct Logged {
    /// Why the root is missing.
    root: RepeatLimiter<String>,
    /// Type folders that cannot be read.
    unreadable: RepeatLimiter<PathBuf>,
    /// What is no brand's folder.
    unrecognized: RepeatLimiter<PathBuf>,
    /// Why folders are polled.
    polled: RepeatLimiter<PollReason>,
}

impl Default for Logged {
    fn default() -> Self {
        Self {
            root: RepeatLimiter::default(),
            unreadable: RepeatLimiter::default(),
            unrecognized: RepeatLimiter::without_reminder(),
            polled: RepeatLimiter::without_reminder(),
        }
    }
}

/// Why a folder is polled although inotify is wanted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum PollReason {
    /// It is on this network file system.
    Remote(&'static str),
    /// It cannot be watched.
    Unwatched(String),
}

impl Intake {
    /// The memory for pictures, for others who work on them too.
    pub fn picture_memory(&self) -> Budget {
        self.ctx.budget.clone()
    }

    /// An intake that has done nothing yet.
    pub fn new(settings: Arc<Settings>, ledger: Ledger, stop: CancellationToken, metrics: &Metrics) -> Self {
        let (watch, trouble) = Watch::new(settings.watch.mode != WatchMode::Poll);
        if let Some(error) = trouble {
            tracing::warn!("{}; folders are polled", watch::no_inotify(&error));
        }
        let ctx = Arc::new(Context::new(settings, ledger, stop, metrics));
        let mut changes = ctx.ledger.changes();
        changes.mark_changed();
        Self {
            ctx,
            changes,
            watch,
            folders: HashMap::new(),
            out: HashMap::new(),
            jobs: JoinSet::new(),
            parents: HashMap::new(),
            watched: HashMap::new(),
            places: HashMap::new(),
            closed: HashMap::new(),
            agenda: Agenda::default(),
            next_survey: Instant::now(),
            event_survey: None,
            last_survey: None,
            root: None,
            doubted: HashSet::new(),
            orphans_left: false,
            logged: Logged::default(),
            root_missing: false,
            root_noticed: None,
            surveyed: false,
            found_all: false,
            fresh: HashSet::new(),
            copying: HashMap::new(),
            unread: HashSet::new(),
            hidden: HashSet::new(),
            next_glance: Instant::now(),
            progress: state::Sender::new(Progress::default()),
        }
    }

    /// How far it is.
    pub fn progress(&self) -> state::Receiver<Progress> {
        self.progress.subscribe()
    }

    /// Works until it is told to stop; looks that are under way are ended first.
    ///
    /// # Errors
    /// When the database fails or a check panics.
    pub async fn run(mut self) -> Result<(), IntakeError> {
        let stop = self.ctx.stop.clone();
        while !stop.is_cancelled() {
            self.step().await?;
            while let Some(look) = self.next_look() {
                self.jobs.spawn(look);
            }
            self.tell_progress();
            let next_step = self.next_step();
            tokio::select! {
                () = stop.cancelled() => break,
                () = self.watch.happened() => {}
                Some(done) = self.jobs.join_next() => {
                    self.end(joined(done)?)?;
                    while let Some(done) = self.jobs.try_join_next() {
                        self.end(joined(done)?)?;
                    }
                }
                // left as news for the step to come
                Ok(()) = self.changes.changed() => self.changes.mark_changed(),
                () = tokio::time::sleep_until(next_step) => {}
            }
        }
        // a look that is broken off is made again: nothing of it stands but what was committed
        let ends = async {
            while let Some(done) = self.jobs.join_next().await {
                self.end(joined(done)?)?;
            }
            Ok(())
        };
        tokio::time::timeout(LAST_LOOKS, ends).await.unwrap_or(Ok(()))
    }

    /// Takes in what happened since the last step: events, marks in the table, time that went by. The looks
    /// that follow from it are there to be taken with [`Intake::next_look`].
    ///
    /// # Errors
    /// When the database fails for good.
    pub async fn step(&mut self) -> Result<(), IntakeError> {
        self.take_wakes();
        if self.changes.has_changed().unwrap_or_default() {
            self.changes.mark_unchanged();
            let looked = self.look_at_marked().await;
            self.bear(looked)?;
        }
        if Instant::now() >= self.next_glance {
            self.glance().await?;
        }
        let now = Instant::now();
        let all = now >= self.next_survey;
        if all || self.event_survey.is_some_and(|at| now >= at) {
            let surveyed = self.discovery(all).await;
            self.bear(surveyed)?;
        }
        if !self.found_all && self.is_read() {
            let told = self.ctx.ledger.all_found().await.map_err(IntakeError::from);
            self.found_all = told.is_ok();
            self.bear(told)?;
        }
        Ok(())
    }

    /// Was every folder that there is looked at?
    fn is_read(&self) -> bool {
        let known = self.surveyed && !self.root_missing && self.fresh.is_empty();
        known && self.unread.is_empty() && self.hidden.is_empty()
    }

    /// Where events go in. inotify's come by themselves; this is for whoever watches by other means.
    pub fn event_sink(&self) -> impl Fn(notify::Result<notify::Event>) + Send + use<> {
        self.watch.sink()
    }

    /// A database that cannot be used for a while is waited for: everything is looked at again then.
    fn bear(&mut self, result: Result<(), IntakeError>) -> Result<(), IntakeError> {
        match result {
            Err(IntakeError::Ledger(error)) if error.is_transient() => {
                self.ctx.ledger.complain(&error);
                self.next_survey = Instant::now() + LOOK_AGAIN;
                Ok(())
            }
            result => result,
        }
    }

    /// When the next step is worth taking, if nothing happens before.
    pub fn next_step(&self) -> Instant {
        let due = self.room().and_then(|least| self.agenda.next(least));
        let next = self.next_survey.min(self.next_glance);
        let next = self.event_survey.map_or(next, |at| at.min(next));
        due.map_or(next, |due| due.min(next))
    }

    /// How urgent a look must be to be begun now; `None`: none is.
    fn room(&self) -> Option<Priority> {
        match self.out.len() {
            ..FOLDERS_AT_ONCE => Some(Priority::Routine),
            count if count < FOLDERS_AT_ONCE + URGENT_FOLDERS => Some(Priority::Urgent),
            _ => None,
        }
    }

    fn take_wakes(&mut self) {
        let wakes = self.watch.take();
        let now = Instant::now();
        if !wakes.folders.is_empty() {
            self.ctx.metrics.event(self.ctx.ledger.now());
        }
        if wakes.lost {
            tracing::warn!(
                message_id = event::OVERFLOW,
                "more events than the queue holds; all folders are looked at"
            );
            self.next_survey = now;
        }
        for path in &wakes.moved {
            self.unwatched(path);
        }
        for (path, wake) in wakes.folders {
            if self.parents.contains_key(&path) {
                let soonest = self.last_survey.map_or(now, |last| last + SURVEY_AGAIN);
                self.event_survey.get_or_insert(soonest.max(now + GATHER));
                continue;
            }
            let wait = if wake.writing_only { self.ctx.settings.watch.settle } else { GATHER };
            if let Some(again) = self.out.get_mut(&path) {
                *again = true;
            } else if self.folders.contains_key(&path) {
                self.agenda.add(&path, now + wait, Priority::Urgent);
            }
            if !wake.closed.is_empty() {
                self.closed.entry(path).or_default().extend(wake.closed);
            }
        }
    }

    /// Files that carry a mark: publish or an operator asks for another look.
    async fn look_at_marked(&mut self) -> Result<(), IntakeError> {
        let marked = self.ctx.ledger.rechecks_requested().await?;
        let now = Instant::now();
        let mut orphans = HashSet::new();
        for (brand, path) in &marked {
            let folder = path.parent().unwrap_or(path);
            if let Some(again) = self.out.get_mut(folder) {
                *again = true;
            } else if self.folders.contains_key(folder) {
                self.agenda.add(folder, now, Priority::Urgent);
            } else {
                orphans.insert(*brand);
            }
        }
        if self.surveyed && !orphans.is_empty() {
            self.settle_orphans(|brand| orphans.contains(&brand.id)).await?;
        }
        Ok(())
    }

    /// The next look that is due, for the caller to run; its end is handed back with [`Intake::end`].
    pub fn next_look(&mut self) -> Option<FolderScan> {
        while let Some(least) = self.room() {
            let path = self.agenda.take_due(Instant::now(), least)?;
            if self.is_out_of_reach(&path) {
                continue;
            }
            let Some(mut folder) = self.folders.remove(&path) else {
                continue;
            };
            folder.removed = !self.places.contains_key(&path);
            folder.stability.closed(self.closed.remove(&path).unwrap_or_default());
            self.out.insert(path, false);
            let ctx = self.ctx.clone();
            return Some(Box::pin(async move {
                let outcome = Reconcile::new(&ctx, &mut folder).run().await;
                Looked { folder, outcome }
            }));
        }
        None
    }

    /// While the root is missing, or a type folder cannot be read, nothing is known of what is in it. All is looked
    /// at when it is back.
    fn is_out_of_reach(&self, path: &Path) -> bool {
        let lost = self.root_missing && path.starts_with(&self.ctx.settings.watch.root);
        lost || path.parent().is_some_and(|parent| self.hidden.contains(parent))
    }

    /// A look has come to its end.
    ///
    /// # Errors
    /// When the database failed for good.
    pub fn end(&mut self, looked: Looked) -> Result<(), IntakeError> {
        let Looked { folder, outcome } = looked;
        let path = folder.path.clone();
        let outcome = match outcome {
            Ok(outcome) => {
                self.fresh.remove(&path);
                outcome
            }
            Err(error) => {
                self.bear(Err(error))?;
                Outcome::default()
            }
        };
        match outcome.copying {
            0 => self.copying.remove(&path),
            count => self.copying.insert(path.clone(), count),
        };
        let troubled = folder.problems.current().is_some();
        match troubled {
            true => self.unread.insert(path.clone()),
            false => self.unread.remove(&path),
        };
        let again = self.out.remove(&path).unwrap_or_default();
        let place = self.places.get(&path).copied();
        if folder.removed && place.is_none() {
            self.fresh.remove(&path);
            self.unread.remove(&path);
            self.watch.remove(&path);
            self.watched.remove(&path);
            return Ok(());
        }
        let now = Instant::now();
        let polled = !self.watched.contains_key(&path);
        let poll = polled.then(|| now + self.ctx.settings.watch.poll_interval);
        let again = again.then(|| now + GATHER);
        for (at, priority) in
            [(outcome.next, Priority::Urgent), (again, Priority::Urgent), (poll, Priority::Routine)]
        {
            if let Some(at) = at {
                self.agenda.add(&path, at, priority);
            }
        }
        let brand = folder.brand.brand;
        self.folders.insert(path.clone(), folder);
        if let Some(identity) = place.filter(|_| !troubled && !self.is_out_of_reach(&path)) {
            // it may have been replaced while it was with the job
            self.watch_folder(&BrandFolder { path, brand, identity });
        }
        Ok(())
    }

    fn tell_progress(&self) {
        let scanned = self.surveyed && self.fresh.is_empty();
        let soon = Instant::now() + GATHER;
        let due = self.next_survey <= soon
            || self.event_survey.is_some()
            || self.agenda.next(Priority::Routine).is_some_and(|due| due <= soon);
        let idle = scanned && self.out.is_empty() && !due && !self.watch.has_news();
        let (copying, unread) = (
            self.copying.values().sum(),
            self.unread.len() + self.hidden.len() + usize::from(self.root_missing || !self.surveyed),
        );
        self.progress.send_modify(|progress| {
            let (surveyed, fresh) = (self.surveyed, self.fresh.len());
            let steps = progress.steps.wrapping_add(1);
            *progress = Progress { surveyed, fresh, scanned, idle, copying, unread, steps };
        });
    }
}

fn joined(done: Result<Looked, JoinError>) -> Result<Looked, IntakeError> {
    done.map_err(|error| IntakeError::Thread(io::Error::other(error)))
}
