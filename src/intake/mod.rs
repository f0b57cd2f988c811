//! Intake, the first reconciler: folders → rows.
//!
//! It knows only that a folder is to be looked at, and when. Why (start, event, overflow, timer, a mark in
//! the table) makes no difference to what is done.

mod agenda;
mod folder;
pub mod inspect;
mod scan;
mod settle;
pub mod survey;
mod tidy;
mod watch;

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, watch as state};
use tokio::task::{JoinError, JoinHandle, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::config::{Settings, WatchMode};
use crate::files;
use crate::ledger::{Ledger, LedgerError};
use agenda::Agenda;
use folder::{Folder, Outcome, Reconcile, blocking, look_at};
use inspect::{Inspected, Inspector};
use scan::Entry;
use survey::{Identity, Place, Survey};
use watch::Watch;

/// Events that come this close together are one look: files that arrive together are taken in order of name.
const GATHER: Duration = Duration::from_millis(5);

/// After the database could not be used, everything is looked at again then.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// How many folders are looked at side by side.
const FOLDERS_AT_ONCE: usize = 8;

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

/// What every look at a folder shares.
#[derive(Debug)]
pub(crate) struct Context {
    settings: Arc<Settings>,
    ledger: Ledger,
    inspector: Arc<Inspector>,
    /// Bounds the threads that read and decode.
    threads: Arc<Semaphore>,
}

impl Context {
    /// Inspects on a blocking thread, when one is free.
    fn inspect(&self, folder: OwnedFd, entry: &Entry) -> JoinHandle<io::Result<Option<Inspected>>> {
        let (inspector, threads, entry) = (self.inspector.clone(), self.threads.clone(), entry.clone());
        tokio::spawn(async move {
            let _permit = threads.acquire_owned().await.map_err(io::Error::other)?;
            let look = tokio::task::spawn_blocking(move || look_at(&inspector, &folder, &entry));
            look.await.map_err(io::Error::other)?
        })
    }
}

/// How far intake is, for whoever waits for it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    /// All folders were looked at at least once since the start.
    pub scanned: bool,
    /// Nothing is being looked at or is to be looked at now.
    pub idle: bool,
    /// Files are waited for that are still being copied.
    pub waiting: bool,
    /// Counts up whenever intake took a step: the watchdog's sign of life.
    pub steps: u64,
}

/// The first reconciler.
pub struct Intake {
    ctx: Arc<Context>,
    watch: Watch,
    /// Folders that are with no job.
    folders: HashMap<PathBuf, Folder>,
    /// Folders that are with a job, and whether they must be looked at once more after it.
    out: HashMap<PathBuf, bool>,
    jobs: JoinSet<(Folder, Result<Outcome, IntakeError>)>,
    /// The root and the type folders that are watched.
    parents: HashMap<PathBuf, Identity>,
    /// Where brands' folders stood at the last survey.
    places: HashMap<PathBuf, Option<Identity>>,
    /// Names that were closed after writing, until their folder is looked at.
    closed: HashMap<PathBuf, HashSet<OsString>>,
    agenda: Agenda,
    next_survey: Instant,
    root: Option<Identity>,
    /// What was said already.
    told: HashSet<String>,
    /// Folders that were never looked at, and those with files that are not complete yet.
    fresh: HashSet<PathBuf>,
    waiting: HashSet<PathBuf>,
    progress: state::Sender<Progress>,
}

impl Intake {
    /// An intake that has done nothing yet.
    pub fn new(settings: Arc<Settings>, ledger: Ledger) -> Self {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        let (watch, trouble) = Watch::new(settings.watch.mode != WatchMode::Poll);
        if let Some(error) = trouble {
            tracing::warn!(%error, "inotify is not to be had; folders are polled");
        }
        let inspector = Arc::new(Inspector::new(settings.images.clone()));
        let ctx = Arc::new(Context { settings, ledger, inspector, threads: Arc::new(Semaphore::new(cores)) });
        Self {
            ctx,
            watch,
            folders: HashMap::new(),
            out: HashMap::new(),
            jobs: JoinSet::new(),
            parents: HashMap::new(),
            places: HashMap::new(),
            closed: HashMap::new(),
            agenda: Agenda::default(),
            next_survey: Instant::now(),
            root: None,
            told: HashSet::new(),
            fresh: HashSet::new(),
            waiting: HashSet::new(),
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
    pub async fn run(mut self, stop: CancellationToken) -> Result<(), IntakeError> {
        let mut changes = self.ctx.ledger.changes();
        changes.mark_changed();
        while !stop.is_cancelled() {
            if Instant::now() >= self.next_survey {
                let surveyed = self.survey().await;
                self.bear(surveyed)?;
            }
            self.begin_due();
            self.tell_progress();
            let next_step = self.next_step();
            tokio::select! {
                () = stop.cancelled() => break,
                () = self.watch.happened() => self.take_wakes(),
                Some(done) = self.jobs.join_next() => self.end_job(done)?,
                Ok(()) = changes.changed() => {
                    let looked = self.look_at_marked().await;
                    self.bear(looked)?;
                }
                () = tokio::time::sleep_until(next_step) => {}
            }
        }
        while let Some(done) = self.jobs.join_next().await {
            self.end_job(done)?;
        }
        Ok(())
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

    fn next_step(&self) -> Instant {
        let due = self.agenda.next().filter(|_| self.jobs.len() < FOLDERS_AT_ONCE);
        due.map_or(self.next_survey, |due| due.min(self.next_survey))
    }

    /// Compares the folders there are with those that are watched, and has all of them looked at.
    async fn survey(&mut self) -> Result<(), IntakeError> {
        self.next_survey = Instant::now() + self.ctx.settings.watch.rescan;
        let settings = self.ctx.settings.clone();
        match blocking(move || survey::survey(&settings)).await? {
            Ok(survey) if self.is_empty_mount_point(&survey) => {
                self.root_is_missing("an empty folder is in its place: is it unmounted?").await?;
            }
            Ok(survey) => {
                self.root_is_there(&survey).await?;
                self.take_over(survey).await?;
            }
            Err(error) => {
                self.root_is_missing(&error.to_string()).await?;
                self.adopt(survey::mapped(&self.ctx.settings).collect()).await?;
            }
        }
        let now = Instant::now();
        self.folders.keys().for_each(|path| self.agenda.add(path, now));
        self.out.values_mut().for_each(|again| *again = true);
        Ok(())
    }

    /// An unmounted root leaves an empty folder with another identity behind.
    fn is_empty_mount_point(&self, survey: &Survey) -> bool {
        let mapped = self.ctx.settings.brands.len();
        let changed = self.root.is_some() && survey.root != self.root;
        changed && survey.folders.len() == mapped && self.places.len() > mapped
    }

    async fn root_is_missing(&mut self, why: &str) -> Result<(), IntakeError> {
        let watch = &self.ctx.settings.watch;
        self.next_survey = Instant::now() + watch.poll_interval;
        let root = watch.root.display();
        let message =
            format!("the watched folder {root} is not there ({why}); its files wait until it is back");
        if self.told.insert("root".into()) {
            tracing::error!("{message}");
            self.ctx.ledger.set_notice("root", &message).await?;
        }
        Ok(())
    }

    async fn root_is_there(&mut self, survey: &Survey) -> Result<(), IntakeError> {
        self.root = survey.root;
        if self.told.remove("root") {
            tracing::info!(root = %self.ctx.settings.watch.root.display(), "the watched folder is back");
            self.ctx.ledger.clear_notice(Some("root")).await?;
        }
        Ok(())
    }

    async fn take_over(&mut self, survey: Survey) -> Result<(), IntakeError> {
        for (path, why) in &survey.strays {
            if self.told.insert(path.display().to_string()) {
                tracing::warn!(path = %path.display(), "left alone: {why}");
            }
        }
        if self.watch_parents(survey.parents) {
            // folders may have been made between the look and the watch: look once more
            self.next_survey = Instant::now();
        }
        self.places = survey.folders.iter().map(|place| (place.path.clone(), place.identity)).collect();
        self.adopt(survey.folders).await
    }

    /// True when a watch is new.
    fn watch_parents(&mut self, parents: Vec<(PathBuf, Option<Identity>)>) -> bool {
        let there: HashMap<_, _> =
            parents.into_iter().filter_map(|(path, identity)| Some((path, identity?))).collect();
        let stale = |(path, identity): &(&PathBuf, &Identity)| there.get(*path) != Some(*identity);
        let stale: Vec<PathBuf> = self.parents.iter().filter(stale).map(|(path, _)| path.clone()).collect();
        for path in stale {
            self.watch.remove(&path);
            self.parents.remove(&path);
        }
        let new: Vec<_> = there.into_iter().filter(|(path, _)| !self.parents.contains_key(path)).collect();
        let mut added = false;
        for (path, identity) in new {
            if self.add_watch(&path) {
                self.parents.insert(path, identity);
                added = true;
            } else {
                self.next_survey =
                    self.next_survey.min(Instant::now() + self.ctx.settings.watch.poll_interval);
            }
        }
        added
    }

    /// Registers folders that are new, and watches before the first look.
    async fn adopt(&mut self, places: Vec<Place>) -> Result<(), IntakeError> {
        let known =
            |place: &Place| self.folders.contains_key(&place.path) || self.out.contains_key(&place.path);
        let (old, new): (Vec<_>, Vec<_>) = places.into_iter().partition(known);
        let brands: Vec<_> =
            new.iter().map(|place| (place.brand, self.ctx.settings.slots_of(place.brand))).collect();
        let rows = if brands.is_empty() { Vec::new() } else { self.ctx.ledger.register(&brands).await? };
        for (brand, place) in rows.into_iter().zip(&new) {
            self.fresh.insert(place.path.clone());
            self.folders.insert(place.path.clone(), Folder::new(brand, place.path.clone()));
        }
        old.iter().chain(&new).for_each(|place| self.watch_folder(place));
        Ok(())
    }

    /// Makes sure that the folder that stands there now is the one that is watched.
    fn watch_folder(&mut self, place: &Place) {
        let Some(before) = self.folders.get(&place.path).map(|folder| folder.watched) else {
            return;
        };
        if before.is_some() && before == place.identity {
            return;
        }
        if before.is_some() {
            self.watch.remove(&place.path);
        }
        let watched = place.identity.filter(|_| self.add_watch(&place.path));
        if let Some(folder) = self.folders.get_mut(&place.path) {
            folder.watched = watched;
        }
    }

    /// True when inotify tells of changes in the folder from now on.
    fn add_watch(&mut self, path: &Path) -> bool {
        let mode = self.ctx.settings.watch.mode;
        if mode == WatchMode::Poll {
            return false;
        }
        let remote = files::remote_file_system(path).ok().flatten();
        if let Some(name) = remote.filter(|_| mode == WatchMode::Auto) {
            if self.told.insert(format!("remote {name}")) {
                tracing::info!(path = %path.display(), "on {name}, where inotify sees no remote changes; polled");
            }
            return false;
        }
        match self.watch.add(path) {
            Ok(()) => true,
            Err(error) => {
                if self.told.insert("watches".into()) {
                    tracing::warn!(path = %path.display(), %error, "cannot be watched and is polled; if it is the limit: sysctl fs.inotify.max_user_watches");
                }
                false
            }
        }
    }

    fn take_wakes(&mut self) {
        let wakes = self.watch.take();
        let now = Instant::now();
        if wakes.lost {
            tracing::warn!("more events than the queue holds; all folders are looked at");
            self.next_survey = now;
        }
        for (path, wake) in wakes.folders {
            if self.parents.contains_key(&path) {
                self.next_survey = self.next_survey.min(now + GATHER);
                continue;
            }
            let wait = if wake.writing_only { self.ctx.settings.watch.settle } else { GATHER };
            if let Some(again) = self.out.get_mut(&path) {
                *again = true;
            } else if self.folders.contains_key(&path) {
                self.agenda.add(&path, now + wait);
            }
            if !wake.closed.is_empty() {
                self.closed.entry(path).or_default().extend(wake.closed);
            }
        }
    }

    /// Brands with files that carry a mark: publish or an operator asks for another look.
    async fn look_at_marked(&mut self) -> Result<(), IntakeError> {
        let marked: HashSet<i64> = self.ctx.ledger.brands_to_recheck().await?.into_iter().collect();
        if marked.is_empty() {
            return Ok(());
        }
        let now = Instant::now();
        for folder in self.folders.values().filter(|folder| marked.contains(&folder.brand.id)) {
            self.agenda.add(&folder.path, now);
        }
        Ok(())
    }

    fn begin_due(&mut self) {
        while self.jobs.len() < FOLDERS_AT_ONCE {
            let Some(path) = self.agenda.take_due(Instant::now()) else {
                break;
            };
            let Some(mut folder) = self.folders.remove(&path) else {
                continue;
            };
            folder.removed = !self.places.contains_key(&path) && !self.told.contains("root");
            folder.stillness.closed(self.closed.remove(&path).unwrap_or_default());
            self.out.insert(path, false);
            let ctx = self.ctx.clone();
            self.jobs.spawn(async move {
                let result = Reconcile::new(&ctx, &mut folder).run().await;
                (folder, result)
            });
        }
    }

    fn end_job(
        &mut self,
        done: Result<(Folder, Result<Outcome, IntakeError>), JoinError>,
    ) -> Result<(), IntakeError> {
        let (folder, outcome) = done.map_err(|error| IntakeError::Thread(io::Error::other(error)))?;
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
        match outcome.waiting {
            0 => self.waiting.remove(&path),
            _ => self.waiting.insert(path.clone()),
        };
        let again = self.out.remove(&path).unwrap_or_default();
        if folder.removed {
            self.watch.remove(&path);
            return Ok(());
        }
        let now = Instant::now();
        let poll = folder.watched.is_none().then(|| now + self.ctx.settings.watch.poll_interval);
        let again = again.then(|| now + GATHER);
        if let Some(next) = [outcome.next, poll, again].into_iter().flatten().min() {
            self.agenda.add(&path, next);
        }
        self.folders.insert(path, folder);
        Ok(())
    }

    fn tell_progress(&self) {
        let scanned = self.surveyed() && self.fresh.is_empty();
        let due = self.agenda.next().is_some_and(|due| due <= Instant::now());
        let quiet = self.out.is_empty() && self.fresh.is_empty() && !due && !self.watch.has_news();
        let (idle, waiting) = (quiet && self.surveyed(), !self.waiting.is_empty());
        self.progress.send_modify(|progress| {
            *progress = Progress { scanned, idle, waiting, steps: progress.steps.wrapping_add(1) };
        });
    }

    fn surveyed(&self) -> bool {
        self.root.is_some() || self.told.contains("root")
    }
}
