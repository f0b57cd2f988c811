//! What requests scans: events, and files that publish or an operator wants to have checked again.

use std::collections::HashSet;
use std::path::Path;

use tokio::time::Instant;

use super::agenda::Priority;
use super::events::FolderEvents;
use super::tracked::{Gathering, ScanRequest, TrackedFolder};
use super::watch::PollReason;
use super::{GATHER, Intake, IntakeError};
use crate::domain::event;

impl Intake {
    pub(super) fn take_events(&mut self) {
        let events = self.ctx.watch.events().take();
        let now = Instant::now();
        if !events.folders.is_empty() {
            self.ctx.metrics.event(self.ctx.ledger.now());
        }
        if events.lost && self.schedule.full_soon(now) {
            tracing::warn!(
                message_id = event::OVERFLOW,
                "more events than the queue holds; all folders are scanned"
            );
        }
        for path in &events.moved_or_removed {
            self.moved_or_removed(path);
        }
        for (path, events) in events.folders {
            if self.is_parent(&path) {
                self.schedule.request(now, GATHER);
            } else {
                self.take_folder_events(&path, events, now);
            }
        }
    }

    /// Is it the root or a type folder? A discovery that is under way may have watched it already, and know nothing of what is
    /// told now.
    fn is_parent(&self, path: &Path) -> bool {
        let root = &self.ctx.settings.watch.root;
        let may_be = path == root || path.parent() == Some(root);
        self.parents.contains_key(path) || (may_be && self.tracked.get(path).is_none())
    }

    fn take_folder_events(&mut self, path: &Path, events: FolderEvents, now: Instant) {
        let is_flooded = |folder: &mut TrackedFolder| folder.events.are_too_many(events.count, now);
        if self.tracked.update(path, is_flooded).unwrap_or_default() {
            self.log.polled(path, PollReason::Flooded(path.to_owned()));
            self.unwatch(path);
        }
        let gather = |folder: &mut TrackedFolder| {
            folder.note_closed(events.closed);
            folder.gather(now, events.writing_only)
        };
        let at = match self.tracked.update(path, gather).flatten() {
            Some(Gathering { before, until }) => {
                self.agenda.put_off(path, before, until);
                until
            }
            None => now + self.ctx.settings.watch.settle,
        };
        self.request_scan(path, at, Priority::Urgent);
    }

    /// The folder is scanned at this time, or after the scan that is under way. False: no brand has this folder.
    pub(super) fn request_scan(&mut self, path: &Path, at: Instant, priority: Priority) -> bool {
        match self.tracked.update(path, TrackedFolder::request_scan) {
            None | Some(ScanRequest::Refused) => return false,
            Some(ScanRequest::FollowsScan) => {}
            Some(ScanRequest::PutOnAgenda) => self.agenda.add(path, at, priority),
        }
        true
    }

    /// Files that publish or an operator wants to have checked again.
    pub(super) async fn schedule_rechecks(&mut self) -> Result<(), IntakeError> {
        let requested = self.ctx.ledger.rechecks_requested().await?;
        let now = Instant::now();
        let mut orphans = HashSet::new();
        for (brand, path) in &requested {
            let folder = path.parent().unwrap_or(path);
            if !self.request_scan(folder, now, Priority::Urgent) {
                orphans.insert(*brand);
            }
        }
        if self.discovered && !orphans.is_empty() {
            self.find_orphans(|brand| orphans.contains(&brand.id)).await?;
        }
        Ok(())
    }
}
