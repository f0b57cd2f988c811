//! Which folders are watched: kept in step with the root and with `[[brand]]`.
//!
//! What cannot be listed is unknown, not empty. A folder is watched before its first scan, and the watch is on the
//! folder that is there now, not on one that was moved away.

use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use tokio::time::Instant;

use super::agenda::Priority;
use super::discovery::{self, BrandFolder, Discovery};
use super::folder::Folder;
use super::folder_log::PollReason;
use super::mounts::UNMOUNTED;
use super::schedule::Scope;
use super::tracked::{Job, Presence, ScanRequest};
use super::{Intake, IntakeError, glance, scans, watch};
use crate::config::WatchMode;
use crate::domain::brand::BrandType;
use crate::files::{self, Identity};
use crate::fs_timeout::{NOT_RESPONDING, Question};

impl Intake {
    /// The folders of `[[brand]]`: as they were found at the start, and as is known since. One that does not answer then delays no
    /// other.
    async fn configured_brands(&self) -> Vec<BrandFolder> {
        let brands = self.ctx.settings.brands.iter().map(async |folder| {
            let (path, brand, label) = (folder.path.clone(), folder.brand, folder.label.clone());
            let identity = match self.tracked.get(&path).map(|folder| folder.presence) {
                Some(Presence::Listed(identity)) if self.discovered => identity,
                _ => self.ctx.identity(&path).await.flatten(),
            };
            BrandFolder { path, brand, label, identity }
        });
        futures_util::future::join_all(brands).await
    }

    /// Compares the folders that there are with those that are watched, and has all of them scanned, or those that
    /// came, changed or went.
    pub(super) async fn discover(&mut self, scope: Scope) -> Result<(), IntakeError> {
        let now = Instant::now();
        self.schedule.begin(scope, now, self.ctx.settings.watch.rescan);
        if !self.discovered {
            self.watch_parents_first().await;
        }
        let found = self.discover_root().await;
        let configured = self.configured_brands().await;
        match found {
            Ok(found) if self.is_root_unmounted(&found).await? => self.root_is_missing(UNMOUNTED).await?,
            Ok(mut found) => {
                found.folders.extend(configured);
                self.set_unmounted_apart(&mut found).await?;
                if !found.unread.is_empty() {
                    self.schedule.full_by(now + self.ctx.settings.watch.poll_interval);
                }
                self.root_is_there(&found).await?;
                self.take_over(found).await?;
            }
            Err(error) => {
                match self.needs_no_root(&error).await? {
                    true => self.clear_root_notice().await?,
                    false => self.root_is_missing(&error.to_string()).await?,
                }
                self.tracked.set_presence(&configured, |_| true);
                self.register_and_watch(&configured).await?;
                self.update_labels(&configured, |_| true).await?;
            }
        }
        self.finish_discovery(scope).await;
        Ok(())
    }

    /// What is made while the first discovery goes on raises events, so that no second one must follow.
    async fn watch_parents_first(&mut self) {
        let root = self.ctx.settings.watch.root.clone();
        let Some(identity) = self.ctx.identity(&root).await.flatten() else { return };
        let mut parents = vec![(root.clone(), Some(identity))];
        for kind in BrandType::ALL {
            let path = root.join(kind.as_str());
            let identity = self.ctx.identity(&path).await.flatten();
            parents.push((path, identity));
        }
        self.watch_parents(parents);
    }

    async fn discover_root(&self) -> io::Result<Discovery> {
        let (settings, devices) = (self.ctx.settings.clone(), self.ctx.devices.clone());
        let root = settings.watch.root.clone();
        let discover =
            move || discovery::discover_root(&settings).inspect(|discovery| devices.learn_all(discovery));
        let discovery = self.ctx.fs_timeouts.run(&root, Question::Discover, discover).await;
        discovery.unwrap_or_else(|| Err(io::Error::new(io::ErrorKind::TimedOut, NOT_RESPONDING)))
    }

    async fn finish_discovery(&mut self, scope: Scope) {
        if !std::mem::replace(&mut self.discovered, true)
            && let Err(error) = self.ctx.ledger.nothing_is_read().await
        {
            self.ctx.ledger.report_problem(&error);
        }
        self.ctx.metrics.rescanned(self.ctx.ledger.now());
        self.put_on_agenda(scope);
        if scope == Scope::Full {
            let brands = self.agenda.routine().filter_map(|path| self.tracked.brand(path)).collect();
            self.ctx.read_ahead.plan(brands, scans::AT_ONCE * glance::TOGETHER).await;
        }
    }

    /// Has the folders scanned that a discovery concerns.
    fn put_on_agenda(&mut self, scope: Scope) {
        let now = Instant::now();
        let priority = if scope == Scope::Full { Priority::Routine } else { Priority::Urgent };
        self.tracked.update_all(|path, folder| {
            let changed = std::mem::take(&mut folder.presence_changed);
            let is_concerned = changed || scope == Scope::Full;
            if is_concerned && folder.request_scan() == ScanRequest::PutOnAgenda {
                self.agenda.add(path, now, priority);
            }
        });
    }

    async fn take_over(&mut self, found: Discovery) -> Result<(), IntakeError> {
        self.log.found(&found, &self.unreadable_parents);
        self.unreadable_parents = found.unread.iter().map(|(path, _)| path.clone()).collect();
        if self.watch_parents(found.parents) {
            // folders may have been made between the discovery and the watch
            self.schedule.request_now(Instant::now());
        }
        // what is in a folder that cannot be read is not gone
        let is_unknown = |path: &Path| self.unreadable_parents.iter().any(|folder| path.starts_with(folder));
        self.tracked.set_presence(&found.folders, is_unknown);
        self.register_and_watch(&found.folders).await?;
        let unreadable = self.unreadable_parents.clone();
        self.update_labels(&found.folders, |type_folder| unreadable.contains(type_folder)).await?;
        self.follow_renamed_folders().await?;
        if self.discovered && !self.orphans.is_due() {
            return Ok(());
        }
        self.resolve_orphans(|_| true).await
    }

    /// Watches the root and the type folders, in which new folders may appear. True when a watch is new.
    fn watch_parents(&mut self, parents: Vec<(PathBuf, Option<Identity>)>) -> bool {
        let there: HashMap<_, _> =
            parents.into_iter().filter_map(|(path, identity)| Some((path, identity?))).collect();
        let is_stale = |(path, identity): &(&PathBuf, &Identity)| there.get(*path) != Some(*identity);
        let stale = self.parents.iter().filter(is_stale).map(|(path, identity)| (path.clone(), *identity));
        for (path, identity) in stale.collect::<Vec<_>>() {
            self.watch.remove(&path, identity);
            self.parents.remove(&path);
        }
        let new: Vec<_> = there.into_iter().filter(|(path, _)| !self.parents.contains_key(path)).collect();
        let mut added = false;
        for (path, identity) in new {
            if self.add_watch(&path, identity) {
                self.parents.insert(path, identity);
                added = true;
            } else {
                self.schedule.full_by(Instant::now() + self.ctx.settings.watch.poll_interval);
            }
        }
        added
    }

    /// Registers folders that are new, and watches those that were scanned already: the others are watched when their first
    /// scan begins, while others are scanned.
    async fn register_and_watch(&mut self, found: &[BrandFolder]) -> Result<(), IntakeError> {
        let new: Vec<_> = found.iter().filter(|folder| self.tracked.is_unregistered(&folder.path)).collect();
        let brands: Vec<_> =
            new.iter().map(|folder| (folder.brand, self.ctx.settings.slots_of(folder.brand))).collect();
        let rows = if brands.is_empty() { Vec::new() } else { self.ctx.ledger.register(&brands).await? };
        for (brand, BrandFolder { path, .. }) in rows.into_iter().zip(new) {
            self.orphans.folder_is_back(path);
            let job = Job::Idle(Box::new(Folder::new(brand, path.clone())));
            self.tracked.update(path, |folder| folder.job = job);
        }
        for BrandFolder { path, identity, .. } in found {
            if self.tracked.get(path).is_some_and(|folder| !folder.is_first_scan_pending()) {
                self.watch_folder(path, *identity);
            }
        }
        Ok(())
    }

    /// Makes sure that the folder that is there now is the one that is watched.
    pub(super) fn watch_folder(&mut self, path: &Path, identity: Option<Identity>) {
        if self.renew_watch(path, identity) {
            // what came before the watch raised no event
            self.request_scan(path, Instant::now(), Priority::Urgent);
        }
    }

    /// A scan is about to begin; the first one of a folder sees what came before its watch.
    pub(super) fn watch_before_first_scan(&mut self, path: &Path) {
        if let Some(folder) = self.tracked.get(path).filter(|folder| folder.is_first_scan_pending())
            && let Presence::Listed(identity) = folder.presence
        {
            self.renew_watch(path, identity);
        }
    }

    /// A look at many folders opens this one anyway and watches it then: which folder it must be. `None`: it is watched
    /// already, or must be watched by itself.
    pub(super) fn watch_in_look(&mut self, path: &Path) -> Option<Identity> {
        let folder = self.tracked.get(path).filter(|folder| folder.watch.is_none())?;
        let identity = folder.untouched()?;
        if self.ctx.settings.watch.mode == WatchMode::Poll || self.watch.path_of(identity).is_some() {
            return None;
        }
        self.tracked.update(path, |folder| folder.watch = Some(identity));
        Some(identity)
    }

    /// The look is over. What is told of a watch before its folder is handed back is told to the folder, as of any other.
    pub(super) fn end_watch_in_look(&mut self, path: &Path, identity: Identity, is_watched: bool) {
        let is_wanted = self.tracked.get(path).is_some_and(|folder| folder.watch == Some(identity));
        match (is_wanted, is_watched) {
            (true, false) => drop(self.tracked.update(path, |folder| folder.watch = None)),
            // it was moved away or removed meanwhile
            (false, true) => self.watch.remove(path, identity),
            (true, true) | (false, false) => {}
        }
    }

    /// True when another folder is watched at this path from now on than before.
    fn renew_watch(&mut self, path: &Path, identity: Option<Identity>) -> bool {
        let Some(folder) = self.tracked.get(path) else { return false };
        let before = folder.watch;
        if (before.is_some() && before == identity) || folder.events.were_too_many(Instant::now()) {
            return false;
        }
        self.unwatch(path);
        if let Some(identity) = identity {
            self.release_moved(path, identity);
        }
        let watch = identity.filter(|identity| self.add_watch(path, *identity));
        self.tracked.update(path, |folder| folder.watch = watch);
        watch.is_some()
    }

    /// Folders that have another name now are watched under the one before, until that name is found to be gone.
    fn release_moved(&mut self, path: &Path, identity: Identity) {
        let Some(before) = self.watch.path_of(identity).filter(|before| **before != *path) else { return };
        let is_still_there = Presence::Listed(Some(identity));
        if self.tracked.get(&before).is_some_and(|folder| folder.presence != is_still_there) {
            self.unwatch(&before);
        }
    }

    /// The folder is no longer watched.
    pub(super) fn unwatch(&mut self, path: &Path) {
        if let Some(identity) = self.tracked.update(path, |folder| folder.watch.take()).flatten() {
            self.watch.remove(path, identity);
        }
    }

    /// True when inotify reports changes in the folder from now on.
    fn add_watch(&mut self, path: &Path, identity: Identity) -> bool {
        let mode = self.ctx.settings.watch.mode;
        if mode == WatchMode::Poll {
            return false;
        }
        let remote = self.ctx.devices.remote(identity.0).filter(|_| mode == WatchMode::Auto);
        if let Some(name) = remote {
            self.log.polled(path, PollReason::Remote(name));
            return false;
        }
        let watched = match self.open_if(path, identity) {
            Ok(Some(folder)) => self.watch.add(path, &folder, identity),
            Ok(None) => return false,
            Err(error) => Err(notify::Error::io(error)),
        };
        if let Err(error) = &watched {
            self.log.polled(path, PollReason::Unwatched(watch::why_unwatched(error)));
        }
        watched.is_ok()
    }

    /// Opens the folder, if it is this one. What came in its place, if anything, is found at the next look; what the kernel
    /// does not have in memory, it has after a scan.
    fn open_if(&self, path: &Path, identity: Identity) -> io::Result<Option<OwnedFd>> {
        let settings = &self.ctx.settings;
        let top = settings.top_of(path).filter(|top| *top != path);
        let opened = match files::brand_folder_in_memory(top, path) {
            Err(error) if is_unknown_there(&error, top) => files::open_brand_folder(top, path),
            opened => opened,
        };
        match opened {
            Ok(folder) => Ok((files::identity_of(&folder)? == identity).then_some(folder)),
            Err(error) if [io::ErrorKind::NotFound, io::ErrorKind::WouldBlock].contains(&error.kind()) => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// A watched folder was moved away or removed: it is no longer watched, nor is what was in it.
    pub(super) fn moved_or_removed(&mut self, path: &Path) {
        self.unwatch(path);
        let settings = &self.ctx.settings;
        if path == settings.watch.root || settings.top_of(path).is_none() {
            // no folder above it is watched that would report its return
            self.schedule.full_soon(Instant::now());
        }
        if self.parents.contains_key(path) {
            self.unwatch_all_below(path);
        }
    }

    fn unwatch_all_below(&mut self, path: &Path) {
        let mut watches = Vec::new();
        self.tracked.update_all(|folder, tracked| {
            let watch = if folder.starts_with(path) { tracked.watch.take() } else { None };
            watches.extend(watch.map(|identity| (folder.to_owned(), identity)));
        });
        watches.extend(self.parents.extract_if(|folder, _| folder.starts_with(path)));
        for (folder, identity) in watches {
            self.watch.remove(&folder, identity);
        }
    }
}

/// Can only our own rules tell? Kernels before 5.12 do not look in memory alone, and a link may be the operator's.
fn is_unknown_there(error: &io::Error, top: Option<&Path>) -> bool {
    let is = |errno: Errno| error.raw_os_error() == Some(errno.raw_os_error());
    [Errno::INVAL, Errno::NOSYS, Errno::PERM].into_iter().any(is) || (top.is_none() && is(Errno::LOOP))
}
