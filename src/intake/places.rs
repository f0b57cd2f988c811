//! Which folders are watched: kept in step with the root and with `[[brand]]`.
//!
//! What cannot be listed is unknown, not empty. A watch stands before the first look, and on the folder that
//! is there now, not on one that was moved away.

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::Instant;

use super::agenda::Priority;
use super::discovery::{self, BrandFolder, Discovery};
use super::folder::Folder;
use super::mounts::UNMOUNTED;
use super::{Intake, IntakeError, Logged, PollReason, watch};
use crate::config::WatchMode;
use crate::domain::brand::UploadId;
use crate::domain::event;
use crate::domain::text::visible;
use crate::domain::upload::State;
use crate::files::{self, Identity};
use crate::fs_timeout::{NOT_RESPONDING, READDIR_TIMEOUT, STAT_TIMEOUT};
use crate::ledger::{BrandRow, UploadSnapshot};
use crate::telemetry::repeat::RepeatLimiter;

/// How often it is looked whether the root is still the folder it was: one `stat`.
const GLANCE: Duration = Duration::from_secs(1);

/// So many names that are no brand's are logged at a time.
const MAX_NAMED: usize = 20;

impl Intake {
    /// inotify does not tell when the root, or the folder of a `[[brand]]`, is replaced by another one.
    pub(super) async fn glance(&mut self) -> Result<(), IntakeError> {
        self.next_glance = Instant::now() + GLANCE.min(self.ctx.settings.watch.poll_interval);
        let root = self.identity(&self.ctx.settings.watch.root).await;
        let mapped = self.mapped().await;
        let other = |place: &BrandFolder| {
            self.places.get(&place.path).is_some_and(|before| *before != place.identity)
        };
        if self.surveyed && ((root != self.root && !self.root_missing) || mapped.iter().any(other)) {
            self.next_survey = Instant::now();
        }
        Ok(())
    }

    /// Which folder stands there; `None` also when its file system does not answer.
    async fn identity(&self, path: &Path) -> Option<Identity> {
        let (look, devices) = (path.to_owned(), self.ctx.devices.clone());
        let look =
            move || files::named_identity(&look).ok().inspect(|identity| devices.learn(&look, *identity));
        self.ctx.fs_timeouts.run(path, STAT_TIMEOUT, look).await.flatten()
    }

    /// The folders of `[[brand]]`. One that does not answer holds up no other.
    async fn mapped(&self) -> Vec<BrandFolder> {
        let brands = self.ctx.settings.brands.iter().map(async |folder| {
            let (path, brand) = (folder.path.clone(), folder.brand);
            BrandFolder { identity: self.identity(&path).await, path, brand }
        });
        futures_util::future::join_all(brands).await
    }

    /// Compares the folders there are with those that are watched, and has all of them looked at, or those that
    /// came, changed or went.
    pub(super) async fn discovery(&mut self, all: bool) -> Result<(), IntakeError> {
        let now = Instant::now();
        if all {
            self.next_survey = now + self.ctx.settings.watch.rescan;
        }
        (self.event_survey, self.last_survey) = (None, Some(now));
        let before = self.places.clone();
        let settings = self.ctx.settings.clone();
        let root = settings.watch.root.clone();
        let devices = self.ctx.devices.clone();
        let look =
            move || discovery::discover_root(&settings).inspect(|discovery| devices.learn_all(discovery));
        let discovery = self.ctx.fs_timeouts.run(&root, READDIR_TIMEOUT, look).await;
        let mapped = self.mapped().await;
        let mut hidden = false;
        match discovery.unwrap_or_else(|| Err(io::Error::new(io::ErrorKind::TimedOut, NOT_RESPONDING))) {
            Ok(discovery) if self.is_unmounted(&discovery).await? => self.root_is_missing(UNMOUNTED).await?,
            Ok(mut discovery) => {
                discovery.folders.extend(mapped);
                self.set_unmounted_apart(&mut discovery).await?;
                hidden = !discovery.unread.is_empty();
                self.root_is_there(&discovery).await?;
                self.take_over(discovery).await?;
            }
            Err(error) => {
                match self.needs_no_root(&error).await? {
                    true => self.root_is_no_trouble().await?,
                    false => self.root_is_missing(&error.to_string()).await?,
                }
                self.places.extend(mapped.iter().map(|place| (place.path.clone(), place.identity)));
                self.adopt(mapped).await?;
            }
        }
        if !std::mem::replace(&mut self.surveyed, true)
            && let Err(error) = self.ctx.ledger.nothing_is_read().await
        {
            self.ctx.ledger.complain(&error);
        }
        let (known, native) = (self.folders.len() + self.out.len(), self.watched.len());
        self.ctx.metrics.rescanned(self.ctx.ledger.now(), native, known.saturating_sub(native));
        if hidden {
            self.next_survey = self.next_survey.min(now + self.ctx.settings.watch.poll_interval);
        }
        let now = Instant::now();
        let concerned = |path: &Path| all || before.get(path) != self.places.get(path);
        let priority = if all { Priority::Routine } else { Priority::Urgent };
        self.folders
            .keys()
            .filter(|path| concerned(path))
            .for_each(|path| self.agenda.add(path, now, priority));
        self.out.iter_mut().filter(|(path, _)| concerned(path)).for_each(|(_, again)| *again = true);
        Ok(())
    }

    /// A watched folder was moved away or removed: it is watched no longer, nor is what was in it.
    pub(super) fn unwatched(&mut self, path: &Path) {
        self.watched.remove(path);
        let settings = &self.ctx.settings;
        if path == settings.watch.root || settings.top_of(path).is_none() {
            // no folder above it is watched that would tell of its return
            self.next_survey = Instant::now();
        }
        if self.parents.remove(path).is_some() {
            self.watched.retain(|folder, _| !folder.starts_with(path));
            self.parents.retain(|folder, _| !folder.starts_with(path));
        }
    }

    /// An unmounted root leaves an empty folder behind; so does one that was moved away and made anew.
    async fn is_unmounted(&self, discovery: &Discovery) -> Result<bool, IntakeError> {
        let root = &self.ctx.settings.watch.root;
        let empty = !discovery.has_anything_in(root);
        let changed = self.root.is_some() && discovery.root != self.root;
        let lost = changed && empty && self.places.len() > self.ctx.settings.brands.len();
        Ok(self.ctx.mounts.is_unmounted(root, empty).await? || lost)
    }

    /// Type folders can be mount points too. What is in one that is not mounted is unknown.
    async fn set_unmounted_apart(&self, discovery: &mut Discovery) -> Result<(), IntakeError> {
        for (path, _) in discovery.parents.iter().filter(|(path, _)| *path != self.ctx.settings.watch.root) {
            if self.ctx.mounts.is_unmounted(path, !discovery.has_anything_in(path)).await? {
                discovery.unread.push((path.clone(), UNMOUNTED.into()));
            }
        }
        Ok(())
    }

    pub(super) async fn root_is_missing(&mut self, why: &str) -> Result<(), IntakeError> {
        let watch = &self.ctx.settings.watch;
        self.next_survey = Instant::now() + watch.poll_interval;
        let root = watch.root.display();
        let message =
            format!("the watched folder {root} is not there ({why}); its files wait until it is back");
        self.root_missing = true;
        if self.logged.root.should_log(why.to_owned()).is_some() {
            tracing::error!(message_id = event::FOLDER_LOST, "{message}");
        }
        // until the table is known to say it: a commit that failed may have been one
        if self.root_noticed != Some(true) {
            self.root_noticed = None;
            self.ctx.ledger.set_notice("root", &message).await?;
            self.root_noticed = Some(true);
        }
        Ok(())
    }

    /// What was said of the root, also before the start, holds no longer.
    async fn root_is_no_trouble(&mut self) -> Result<(), IntakeError> {
        if self.root_noticed != Some(false) {
            self.root_noticed = None;
            // a start does not wait for a disk that is full
            let notices = self.ctx.ledger.report().notices().await?;
            if notices.iter().any(|notice| notice.name == "root") {
                self.ctx.ledger.clear_notice("root").await?;
            }
            self.root_noticed = Some(false);
        }
        Ok(())
    }

    pub(super) async fn root_is_there(&mut self, discovery: &Discovery) -> Result<(), IntakeError> {
        self.root = discovery.root;
        self.root_is_no_trouble().await?;
        self.root_missing = false;
        if self.logged.root.resolved().is_some() {
            tracing::info!(message_id = event::FOLDER_BACK, root = %self.ctx.settings.watch.root.display(), "the watched folder is back");
        }
        Ok(())
    }

    pub(super) async fn take_over(&mut self, discovery: Discovery) -> Result<(), IntakeError> {
        self.log_unrecognized(&discovery);
        // what lies in a folder that cannot be read is not gone
        let unread = |path: &Path| discovery.unread.iter().any(|(folder, _)| path.starts_with(folder));
        let hidden: Vec<_> = self
            .places
            .iter()
            .filter(|(path, _)| unread(path))
            .map(|(path, at)| (path.clone(), *at))
            .collect();
        let now_hidden: HashSet<_> = discovery.unread.iter().map(|(path, _)| path.clone()).collect();
        for back in self.hidden.difference(&now_hidden) {
            let resolved = self.logged.unreadable.resolved_where(|path| path == back);
            if resolved.is_some() && discovery.parents.iter().any(|(path, _)| path == back) {
                tracing::info!(message_id = event::FOLDER_BACK, folder = %back.display(), "the folder can be read again");
            }
        }
        self.hidden = now_hidden;
        if self.watch_parents(discovery.parents) {
            // folders may have been made between the look and the watch: look once more
            self.event_survey = Some(Instant::now());
        }
        self.places = discovery
            .folders
            .iter()
            .map(|place| (place.path.clone(), place.identity))
            .chain(hidden)
            .collect();
        self.adopt(discovery.folders).await?;
        if self.surveyed && !self.orphans_left {
            return Ok(());
        }
        self.settle_orphans(|_| true).await
    }

    /// Not thousands of them at a time.
    fn log_unrecognized(&self, discovery: &Discovery) {
        let Logged { unrecognized, unreadable, .. } = &self.logged;
        let there: HashSet<_> = discovery.unrecognized.iter().map(|(path, _)| path).collect();
        unrecognized.resolved_where(|path| !there.contains(path));
        let is_new =
            |limiter: &RepeatLimiter<PathBuf>, path: &PathBuf| limiter.should_log(path.clone()).is_some();
        let new = discovery.unrecognized.iter().filter(|(path, _)| is_new(unrecognized, path));
        let unread = discovery.unread.iter().filter(|(path, _)| is_new(unreadable, path));
        let new: Vec<_> = new.chain(unread).collect();
        for (path, why) in new.iter().take(MAX_NAMED) {
            let path = visible(&path.to_string_lossy());
            tracing::warn!(message_id = event::STRAY, %path, "left alone: {why}");
        }
        if new.len() > MAX_NAMED {
            tracing::warn!("{} more are left alone; `brandpost check` lists them", new.len() - MAX_NAMED);
        }
    }

    /// True when a watch is new.
    pub(super) fn watch_parents(&mut self, parents: Vec<(PathBuf, Option<Identity>)>) -> bool {
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
            if self.add_watch(&path, identity) {
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
    pub(super) async fn adopt(&mut self, places: Vec<BrandFolder>) -> Result<(), IntakeError> {
        let known = |place: &BrandFolder| {
            self.folders.contains_key(&place.path) || self.out.contains_key(&place.path)
        };
        let (old, new): (Vec<_>, Vec<_>) = places.into_iter().partition(known);
        let brands: Vec<_> =
            new.iter().map(|place| (place.brand, self.ctx.settings.slots_of(place.brand))).collect();
        let rows = if brands.is_empty() { Vec::new() } else { self.ctx.ledger.register(&brands).await? };
        for (brand, place) in rows.into_iter().zip(&new) {
            self.fresh.insert(place.path.clone());
            self.doubted.retain(|file| file.parent() != Some(&place.path));
            self.folders.insert(place.path.clone(), Folder::new(brand, place.path.clone()));
        }
        old.iter().chain(&new).for_each(|place| self.watch_folder(place));
        Ok(())
    }

    /// With folders of its own in `[[brand]]`, a daemon needs no root, unless files of one are known.
    async fn needs_no_root(&self, error: &io::Error) -> Result<bool, IntakeError> {
        let never = self.root.is_none() && !self.ctx.settings.brands.is_empty();
        if !never || error.kind() != io::ErrorKind::NotFound {
            return Ok(false);
        }
        Ok(!self.ctx.ledger.has_open_files_below(&self.ctx.settings.watch.root).await?)
    }

    /// Makes sure that the folder that stands there now is the one that is watched.
    pub(super) fn watch_folder(&mut self, place: &BrandFolder) {
        let before = self.watched.get(&place.path).copied();
        if before.is_some() && before == place.identity {
            return;
        }
        if before.is_some() {
            self.watch.remove(&place.path);
            self.watched.remove(&place.path);
        }
        if let Some(identity) = place.identity.filter(|identity| self.add_watch(&place.path, *identity)) {
            self.watched.insert(place.path.clone(), identity);
            // what came before the watch raised no event
            self.look_soon(&place.path);
        }
    }

    fn look_soon(&mut self, path: &Path) {
        let priority = if self.surveyed { Priority::Urgent } else { Priority::Routine };
        match self.out.get_mut(path) {
            Some(again) => *again = true,
            None if self.folders.contains_key(path) => self.agenda.add(path, Instant::now(), priority),
            None => {}
        }
    }

    /// True when inotify tells of changes in the folder from now on.
    pub(super) fn add_watch(&mut self, path: &Path, (device, _): Identity) -> bool {
        let mode = self.ctx.settings.watch.mode;
        if mode == WatchMode::Poll {
            return false;
        }
        if let Some(name) = self.ctx.devices.remote(device).filter(|_| mode == WatchMode::Auto) {
            if self.logged.polled.should_log(PollReason::Remote(name)).is_some() {
                tracing::info!(path = %path.display(), "on {name}, where inotify sees no remote changes; polled");
            }
            return false;
        }
        match self.watch.add(path) {
            Ok(()) => true,
            Err(error) => {
                let why = watch::why_unwatched(&error);
                // of the limit, of rights, of others: each once
                if self.logged.polled.should_log(PollReason::Unwatched(why.clone())).is_some() {
                    tracing::warn!(path = %path.display(), "cannot be watched by inotify ({why}); it is polled");
                }
                false
            }
        }
    }

    /// Files whose folder no brand has any more: those that are not there are gone, and the others are out of
    /// reach until the folder is a brand's again.
    pub(super) async fn settle_orphans(
        &mut self,
        concerned: impl Fn(&BrandRow) -> bool,
    ) -> Result<(), IntakeError> {
        if self.root_missing {
            return Ok(());
        }
        let brands = self.ctx.ledger.open_brands().await?;
        let mut all = Vec::new();
        for brand in brands.into_iter().filter(concerned) {
            let rows = self.ctx.ledger.known(brand).await?;
            let orphans: Vec<_> =
                rows.into_iter().filter(|row| row.is_open() && self.is_orphan(row)).collect();
            if !orphans.is_empty() {
                all.push((brand, orphans));
            }
        }
        let missing = self.missing_orphans(&all).await;
        for (brand, orphans) in all {
            self.settle(brand, orphans, &missing).await?;
        }
        Ok(())
    }

    /// Which of these files are not there, by their rows. Where a file system does not answer, nothing is known, and
    /// the next discovery asks again.
    async fn missing_orphans(&mut self, orphans: &[(BrandRow, Vec<UploadSnapshot>)]) -> HashSet<UploadId> {
        let rows = orphans.iter().flat_map(|(_, rows)| rows).filter(|row| row.state != State::Uploaded);
        let files: Vec<_> = rows.map(|row| (row.id, row.path.clone())).collect();
        let Some((_, first)) = files.first() else {
            self.orphans_left = false;
            return HashSet::new();
        };
        let (first, missing) = (first.clone(), |path: &Path| {
            path.symlink_metadata().is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
        });
        let look = move || files.into_iter().filter(|(_, path)| missing(path)).map(|(id, _)| id).collect();
        let found = self.ctx.fs_timeouts.run(&first, STAT_TIMEOUT, look).await;
        self.orphans_left = found.is_none();
        found.unwrap_or_default()
    }

    fn is_orphan(&self, row: &UploadSnapshot) -> bool {
        let place = row.path.parent().is_some_and(|folder| self.places.contains_key(folder));
        !place && !self.hidden.iter().any(|folder| row.path.starts_with(folder))
    }

    async fn settle(
        &mut self,
        brand: BrandRow,
        orphans: Vec<UploadSnapshot>,
        missing: &HashSet<UploadId>,
    ) -> Result<(), IntakeError> {
        let (gone, left): (Vec<_>, Vec<_>) = orphans.into_iter().partition(|row| missing.contains(&row.id));
        let gone: Vec<_> = gone.iter().map(|row| row.id).collect();
        if !gone.is_empty() {
            self.ctx.ledger.vanished(brand, gone).await?;
        }
        let (back, foreign): (Vec<_>, Vec<_>) =
            left.into_iter().filter(|row| row.recheck.is_some()).partition(|row| {
                row.path.parent().is_some_and(|folder| self.ctx.settings.is_folder_of(folder, brand.brand))
            });
        // their folder has come back since the discovery: the next one finds it, and then they are looked at
        if back.into_iter().any(|row| self.doubted.insert(row.path)) {
            self.next_survey = Instant::now();
        }
        let marked: Vec<_> = foreign.iter().filter_map(|row| Some((row.id, row.recheck?))).collect();
        if !marked.is_empty() {
            self.ctx.ledger.recheck_done(brand, marked).await?;
        }
        Ok(())
    }
}
