//! The root, in which the brands' folders are: while it is missing, nothing is known of what is in it.

use std::io;

use tokio::time::Instant;

use super::discovery::Discovery;
use super::mounts::UNMOUNTED;
use super::{Intake, IntakeError};
use crate::domain::event;
use crate::domain::notice::NoticeName;
use crate::domain::text::shown;
use crate::files::Identity;
use crate::telemetry::repeat::RepeatLimiter;

/// What is known of the root.
#[derive(Debug, Default)]
pub(super) struct Root {
    /// Which folder it was when it was there last.
    pub(super) identity: Option<Identity>,
    pub(super) missing: bool,
    /// Does the database say that it is missing, as far as that is known?
    noticed: Option<bool>,
    /// Why it is missing.
    problems: RepeatLimiter<String>,
}

impl Intake {
    /// An unmounted root leaves an empty folder behind; so does one that was moved away and made again.
    pub(super) async fn is_root_unmounted(&self, discovery: &Discovery) -> Result<bool, IntakeError> {
        let root = &self.ctx.settings.watch.root;
        let empty = !discovery.has_anything_in(root);
        let changed = self.root.identity.is_some() && discovery.root != self.root.identity;
        let lost = changed && empty && self.has_folders_in_root();
        let is_mount_point = discovery.parents.iter().find(|parent| parent.path == *root);
        let is_mount_point = is_mount_point.and_then(|parent| parent.is_mount_point).unwrap_or_default();
        Ok(self.ctx.mounts.is_left(root, is_mount_point, empty).await? || lost)
    }

    fn has_folders_in_root(&self) -> bool {
        self.tracked.listed().count() > self.ctx.settings.brands.len()
    }

    /// Type folders can be mount points too. What is in one that is not mounted is unknown.
    pub(super) async fn set_unmounted_apart(&self, discovery: &mut Discovery) -> Result<(), IntakeError> {
        let root = &self.ctx.settings.watch.root;
        for parent in discovery.parents.iter().filter(|parent| parent.path != *root) {
            let Some(is_mount_point) = parent.is_mount_point else { continue };
            let (path, is_empty) = (&parent.path, !discovery.has_anything_in(&parent.path));
            if self.ctx.mounts.is_left(path, is_mount_point, is_empty).await? {
                discovery.unread.push((path.clone(), UNMOUNTED.into()));
            }
        }
        Ok(())
    }

    /// Does the listing of a root on a local disk take too long? Who reads it can hold that up, and not the folders in it, which
    /// are known.
    pub(super) fn is_root_held_up(&self, error: &io::Error) -> bool {
        let device = self.root.identity.map(|(device, _)| device);
        error.kind() == io::ErrorKind::TimedOut
            && device.is_some_and(|device| self.ctx.devices.is_local(device))
    }

    /// What is new in it is not known; the folders that are known are watched and scanned as ever.
    pub(super) fn root_is_silent(&mut self, error: &io::Error) {
        self.schedule.full_at(Instant::now() + self.ctx.settings.watch.poll_interval);
        let root = self.ctx.settings.watch.root.clone();
        if self.root.problems.should_log(error.to_string()).is_some() {
            let root = shown(root.as_os_str());
            tracing::error!(message_id = event::FOLDER_LOST, %root, "the watched folder cannot be listed; new folders in it wait: {error}");
        }
        self.unreadable_parents.insert(root.clone(), error.to_string());
        self.silent_parents.insert(root);
    }

    pub(super) async fn root_is_missing(&mut self, why: &str) -> Result<(), IntakeError> {
        let watch = &self.ctx.settings.watch;
        self.schedule.full_at(Instant::now() + watch.poll_interval);
        let root = shown(watch.root.as_os_str());
        let message =
            format!("the watched folder {root} is not there ({why}); its files wait until it is back");
        self.root.missing = true;
        if self.root.problems.should_log(why.to_owned()).is_some() {
            tracing::error!(message_id = event::FOLDER_LOST, "{message}");
        }
        // until the database is known to say it: a commit that failed may have been one
        if self.root.noticed != Some(true) {
            self.root.noticed = None;
            self.ctx.ledger.set_notice(NoticeName::Root, &message).await?;
            self.root.noticed = Some(true);
        }
        Ok(())
    }

    pub(super) async fn root_is_there(&mut self, discovery: &Discovery) -> Result<(), IntakeError> {
        self.root.identity = discovery.root;
        self.clear_root_notice().await?;
        self.root.missing = false;
        if self.root.problems.resolved().is_some() {
            let root = shown(self.ctx.settings.watch.root.as_os_str());
            tracing::info!(message_id = event::FOLDER_BACK, %root, "the watched folder is back");
        }
        Ok(())
    }

    /// The notice no longer holds; it may be from before the start.
    pub(super) async fn clear_root_notice(&mut self) -> Result<(), IntakeError> {
        if self.root.noticed != Some(false) {
            self.root.noticed = None;
            self.ctx.clear_notice(NoticeName::Root).await?;
            self.root.noticed = Some(false);
        }
        Ok(())
    }

    /// With folders of its own in `[[brand]]`, a daemon needs no root, unless files of one are known.
    pub(super) async fn needs_no_root(&self, error: &io::Error) -> Result<bool, IntakeError> {
        let never_there = self.root.identity.is_none() && !self.ctx.settings.brands.is_empty();
        if !never_there || error.kind() != io::ErrorKind::NotFound {
            return Ok(false);
        }
        Ok(!self.ctx.ledger.has_open_files_below(&self.ctx.settings.watch.root).await?)
    }
}
