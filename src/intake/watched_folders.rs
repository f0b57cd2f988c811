//! Which folders are watched: kept in step with the root and with `[[brand]]`.
//!
//! What cannot be listed is unknown, not empty. A folder is watched by the scan that opens it, before it is listed, and the
//! watch is on the folder that is there now, not on one that was moved away.

use std::collections::HashMap;
use std::path::Path;

use tokio::time::Instant;

use super::agenda::Priority;
use super::discover::{Discovered, DiscoveryStep};
use super::discovery::{BrandFolder, Discovery, Parent};
use super::folder::WatchAttempt;
use super::mounts::UNMOUNTED;
use super::registration::MANY;
use super::schedule::Scope;
use super::tracked::{Presence, ScanRequest, TrackedFolder};
use super::watch::Unwatched;
use super::{Intake, IntakeError, glance, places};
use crate::files::Identity;

impl Intake {
    /// Has the folders that there are discovered, and all of them scanned, or those that came, changed or went.
    pub(super) fn begin_discovery(&mut self, scope: Scope) {
        self.schedule.begin(scope, Instant::now(), self.ctx.settings.watch.rescan);
        self.discovery = DiscoveryStep::Due(scope);
    }

    /// May a discovery begin? One is taken over after the other.
    pub(super) fn can_discover(&self) -> bool {
        matches!(self.discovery, DiscoveryStep::None) && self.registration.is_idle()
    }

    /// Compares the folders that there are with those that are watched.
    pub(super) async fn take_over(&mut self, discovered: Discovered) -> Result<(), IntakeError> {
        let now = Instant::now();
        let Discovered { scope, root, mut configured } = discovered;
        self.update_identities(&mut configured);
        match root {
            Ok(found) if self.is_root_unmounted(&found).await? => self.root_is_missing(UNMOUNTED).await?,
            Ok(mut found) => {
                found.folders.extend(configured);
                self.set_unmounted_apart(&mut found).await?;
                if !found.unread.is_empty() {
                    self.schedule.full_by(now + self.ctx.settings.watch.poll_interval);
                }
                self.root_is_there(&found).await?;
                self.take_over_folders(found).await?;
            }
            Err(error) => {
                match self.needs_no_root(&error).await? {
                    true => self.clear_root_notice().await?,
                    false if self.is_root_held_up(&error) => self.root_is_silent(&error),
                    false => self.root_is_missing(&error.to_string()).await?,
                }
                self.tracked.set_presence(&configured, |_| true);
                let labels = self.changed_labels(&configured, |_| true).await?;
                self.request_registration(&configured, labels);
            }
        }
        self.finish_discovery(scope).await;
        Ok(())
    }

    /// The folders of `[[brand]]` are those that the last check of their identities found.
    fn update_identities(&self, configured: &mut [BrandFolder]) {
        for folder in configured.iter_mut().filter(|_| self.discovered) {
            if let Some(Presence::Listed(identity)) =
                self.tracked.get(&folder.path).map(|folder| folder.presence)
            {
                folder.identity = identity;
            }
        }
    }

    async fn finish_discovery(&mut self, scope: Scope) {
        if !std::mem::replace(&mut self.discovered, true)
            && let Err(error) = self.ctx.ledger.nothing_is_read().await
        {
            self.ctx.ledger.report_problem(&error);
        }
        self.ctx.metrics.rescanned(self.ctx.ledger.now());
        self.put_on_agenda(scope);
        self.plan_due |= scope == Scope::Full;
    }

    /// Has the database read ahead for the folders that are scanned next.
    pub(super) async fn plan(&mut self) {
        if std::mem::take(&mut self.plan_due) {
            let brands = self.agenda.routine().filter_map(|path| self.tracked.brand(path)).collect();
            self.ctx.read_ahead.plan(brands, places::AT_ONCE * glance::TOGETHER).await;
        }
    }

    /// Has the folders scanned that a discovery concerns; new ones follow when they are registered.
    fn put_on_agenda(&mut self, scope: Scope) {
        let mut concerned = Vec::new();
        self.tracked.update_all(|path, folder| {
            let changed = std::mem::take(&mut folder.presence_changed);
            let is_concerned = changed || folder.watch_lost || scope == Scope::Full;
            if is_concerned && folder.request_scan() == ScanRequest::PutOnAgenda {
                concerned.push(path.to_owned());
            }
        });
        let is_urgent = scope == Scope::Changes && concerned.len() <= MANY;
        let priority = if is_urgent { Priority::Urgent } else { Priority::Routine };
        let now = Instant::now();
        for path in &concerned {
            self.agenda.add(path, now, priority);
        }
    }

    async fn take_over_folders(&mut self, found: Discovery) -> Result<(), IntakeError> {
        self.log.found(&found, &self.unreadable_parents);
        (self.unreadable_parents, self.silent_parents) = (found.unread.into_iter().collect(), found.silent);
        self.take_over_parents(found.parents);
        // what is in a folder that cannot be read is not gone
        let is_unknown = |path: &Path| self.unreadable_parents.keys().any(|folder| path.starts_with(folder));
        self.tracked.set_presence(&found.folders, is_unknown);
        let unreadable = self.unreadable_parents.clone();
        let is_unreadable = |type_folder: &Path| unreadable.contains_key(type_folder);
        let labels = self.changed_labels(&found.folders, is_unreadable).await?;
        self.request_registration(&found.folders, labels);
        self.hold_back_renamed();
        if self.discovered && !self.orphans.is_due() {
            return Ok(());
        }
        self.find_orphans(|_| true).await
    }

    /// The root and the type folders, in which new folders may appear: which of them are watched.
    fn take_over_parents(&mut self, found: Vec<Parent>) {
        let there: HashMap<_, _> =
            found.iter().filter_map(|parent| Some((&*parent.path, parent.identity?))).collect();
        let is_stale = |path: &Path, identity: Identity| there.get(path) != Some(&identity);
        for (path, identity) in self.parents.extract_if(|path, identity| is_stale(path, *identity)) {
            self.ctx.watch.remove(&path, identity);
        }
        for Parent { path, identity, watch, .. } in found {
            match (watch, identity) {
                // it was moved away or removed since
                (Some(Ok(())), Some(identity)) if self.lost_parents.contains(&path) => {
                    self.ctx.watch.remove(&path, identity);
                }
                (Some(Ok(())), Some(identity)) => drop(self.parents.insert(path.clone(), identity)),
                (Some(Err(Unwatched::Polled(reason))), _) => self.log.polled(&path, reason),
                (Some(Ok(()) | Err(Unwatched::Replaced)) | None, _) => {}
            }
            if !self.parents.contains_key(&path) {
                self.schedule.full_by(Instant::now() + self.ctx.settings.watch.poll_interval);
            }
        }
    }

    /// The folder that is there and is not watched, although it should be.
    pub(super) fn unwatched(&self, path: &Path) -> Option<Identity> {
        let folder = self.tracked.get(path)?;
        let Presence::Listed(Some(identity)) = folder.presence else { return None };
        let is_wanted = self.ctx.watch.is_wanted() && !folder.events.were_too_many(Instant::now());
        (is_wanted && folder.watch != Some(identity)).then_some(identity)
    }

    /// A scan is about to begin, which has the folder watched when it has opened it: which folder it must be.
    pub(super) fn begin_watch(&mut self, path: &Path) -> Option<Identity> {
        let identity = self.unwatched(path)?;
        self.unwatch(path);
        self.release_moved(path, identity);
        self.tracked.update(path, |folder| (folder.watch, folder.watch_lost) = (Some(identity), false));
        Some(identity)
    }

    /// The scan is over. What was told of the folder meanwhile holds.
    pub(super) fn end_watch(&mut self, path: &Path, WatchAttempt { identity, end }: WatchAttempt) {
        let is_wanted = self.tracked.get(path).is_some_and(|folder| folder.watch == Some(identity));
        match (is_wanted, end) {
            (true, Some(Ok(()))) => {}
            (true, end) => {
                self.tracked.update(path, |folder| folder.watch = None);
                if let Some(Err(Unwatched::Polled(reason))) = end {
                    self.log.polled(path, reason);
                }
            }
            // it was moved away or removed
            (false, Some(Ok(()))) => self.ctx.watch.remove(path, identity),
            (false, _) => {}
        }
    }

    /// Folders that have another name now are watched under the one before, until that name is found to be gone.
    fn release_moved(&mut self, path: &Path, identity: Identity) {
        let Some(before) = self.ctx.watch.path_of(identity).filter(|before| **before != *path) else {
            return;
        };
        let is_still_there = Presence::Listed(Some(identity));
        if self.tracked.get(&before).is_some_and(|folder| folder.presence != is_still_there) {
            self.unwatch(&before);
        }
    }

    /// The folder is no longer watched.
    pub(super) fn unwatch(&mut self, path: &Path) {
        if let Some(identity) = self.tracked.update(path, |folder| folder.watch.take()).flatten() {
            self.ctx.watch.remove(path, identity);
        }
    }

    /// A watched folder was moved away or removed: it is no longer watched, nor is what was in it.
    pub(super) fn moved_or_removed(&mut self, path: &Path) {
        if let Some(identity) = self.tracked.update(path, TrackedFolder::lose_watch).flatten() {
            self.ctx.watch.remove(path, identity);
        }
        let settings = &self.ctx.settings;
        let root = &settings.watch.root;
        if path == root || settings.top_of(path).is_none() {
            // no folder above it is watched that would report its return
            self.schedule.full_soon(Instant::now());
        }
        if path == root || path.parent() == Some(root) {
            self.lost_parents.insert(path.to_owned());
        }
        if self.parents.contains_key(path) {
            self.unwatch_all_below(path);
        }
    }

    fn unwatch_all_below(&mut self, path: &Path) {
        let mut watches = Vec::new();
        self.tracked.update_all(|folder, tracked| {
            let watch = if folder.starts_with(path) { tracked.lose_watch() } else { None };
            watches.extend(watch.map(|identity| (folder.to_owned(), identity)));
        });
        watches.extend(self.parents.extract_if(|folder, _| folder.starts_with(path)));
        for (folder, identity) in watches {
            self.ctx.watch.remove(&folder, identity);
        }
    }
}
