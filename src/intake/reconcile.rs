//! One brand's folder is compared with the database: scan → settle → inspect → record.
//!
//! Start, event, overflow and timer all come through here, so what happens after a crash is what happens every day.

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::IntakeError;
use super::context::Context;
use super::folder::Folder;
use super::mounts::UNMOUNTED;
use super::scan::{self, Entry, Listing};
use super::stability::Now;
use crate::domain::brand::UploadId;
use crate::domain::upload::State;
use crate::files;
use crate::fs_timeout::{Question, not_responding};
use crate::ledger::{RecordResult, UploadSnapshot};

/// What could not be read for a reason that may pass (a file server's hiccup) is tried again after this time.
pub(super) const READ_RETRY: Duration = Duration::from_secs(5);

/// One scan of a folder, from the listing to the database.
pub(super) struct Reconcile<'a> {
    pub(super) ctx: &'a Arc<Context>,
    pub(super) folder: &'a mut Folder,
    pub(super) now: Now,
    pub(super) outcome: ScanResult,
    /// A complete file waits for one before it.
    pub(super) waits_in_order: bool,
    /// Names that are not decided yet: a recheck that was requested of them stays requested.
    pub(super) waiting: HashSet<OsString>,
    /// Files that it takes long to read: how many bytes of how many were read.
    pub(super) reading: Vec<(OsString, u64, u64)>,
    /// Files that were rejected, and are to be logged.
    pub(super) rejected: Vec<RecordResult>,
}

/// What a scan leaves to do.
#[derive(Debug, Default)]
pub(super) struct ScanResult {
    /// When the folder must be scanned again.
    pub(super) next: Option<Instant>,
    /// How many of its files are not complete yet.
    pub(super) incomplete: usize,
    /// It was not scanned in the end. When it was due, and is again.
    pub(super) full_scan_due: Option<Instant>,
}

/// What is known of the files in a folder and of the brand's others.
pub(super) struct KnownFiles<'a> {
    /// The rows of files in this folder.
    pub(super) here: &'a HashMap<OsString, UploadSnapshot>,
    /// Rows whose file is no longer where it was: a new file may be it.
    pub(super) missing: Vec<UploadId>,
    /// Those of them whose folder is no longer the brand's.
    pub(super) relocated: Vec<UploadId>,
}

impl<'a> Reconcile<'a> {
    pub(super) fn new(ctx: &'a Arc<Context>, folder: &'a mut Folder) -> Self {
        let now = Now { wall: ctx.ledger.now(), steady: Instant::now() };
        Self {
            ctx,
            folder,
            now,
            outcome: ScanResult::default(),
            waits_in_order: false,
            waiting: HashSet::new(),
            reading: Vec::new(),
            rejected: Vec::new(),
        }
    }

    /// Scans once.
    pub(super) async fn run(mut self) -> Result<ScanResult, IntakeError> {
        if let Some(listing) = self.list().await? {
            self.reconcile(&listing).await?;
        }
        Ok(self.outcome)
    }

    async fn reconcile(&mut self, listing: &Listing) -> Result<(), IntakeError> {
        let rows = self.ctx.read_ahead.known(self.folder.brand).await?;
        let (here, elsewhere): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| self.is_here(row));
        let here = by_name(here);
        let mut missing = missing(listing, &here);
        if self.is_unmounted(listing, &missing).await? {
            return Ok(());
        }
        self.log_readable_folder();
        let ready = self.sort_out(listing, &here, &mut missing).await?;
        let known = self.known(listing.device, &here, &missing, elsewhere, &ready).await;
        for (name, error) in &listing.unknown {
            self.cannot_be_read(name, error);
        }
        let taken = self.take_in_all(listing, &ready, known).await;
        self.log_rejected();
        if !taken? {
            return Ok(());
        }
        self.record_reading().await?;
        self.mark_gone(listing, &missing).await?;
        self.tidy_uploaded(listing, &here).await;
        self.finish_rechecks(&here).await?;
        self.log_ended();
        Ok(())
    }

    /// `None` when nothing is known of the folder's files now.
    async fn list(&mut self) -> Result<Option<Listing>, IntakeError> {
        let (path, ctx) = (self.folder.path.clone(), self.ctx.clone());
        let to_watch = self.folder.watch.as_ref().map(|attempt| attempt.identity);
        let list = move || {
            let settings = &ctx.settings;
            let opened = files::open_brand_folder(settings.top_of(&path), &path);
            let folder = match opened {
                Ok(folder) => folder,
                Err(error) => return (None, Err(error)),
            };
            // where inotify sees no changes, files are read one by one
            let _ = ctx.devices.learn(&folder);
            let watched = to_watch.map(|identity| (identity, ctx.watch.add(&path, &folder, identity)));
            (watched, scan::list(folder, &settings.watch.ignore))
        };
        let listed = self.ctx.fs_timeouts.run(&self.folder.path, Question::List, list).await;
        let listed = listed.map(|(watched, listing)| {
            if let (Some(attempt), Some(watched)) = (&mut self.folder.watch, watched) {
                attempt.answered(&self.ctx.watch, &self.folder.path, watched);
            }
            listing
        });
        match listed.unwrap_or_else(|| Err(not_responding())) {
            Ok(listing) => return Ok(Some(listing)),
            Err(error) if error.kind() == io::ErrorKind::NotFound && self.folder.removed => {
                self.mark_all_gone().await?;
            }
            Err(error) => {
                self.log_unreadable_folder(&error);
                // it may have taken long: others have their turn first
                self.scan_again(Instant::now() + self.ctx.settings.watch.poll_interval.max(READ_RETRY));
            }
        }
        Ok(None)
    }

    /// Where the folder's file system is not mounted, nothing is known of the files.
    async fn is_unmounted(
        &mut self,
        listing: &Listing,
        missing: &[&UploadSnapshot],
    ) -> Result<bool, IntakeError> {
        let empty = listing.entries.is_empty();
        if !self.ctx.mounts.is_left(&self.folder.path, listing.is_mount_point, empty).await?
            || missing.is_empty()
        {
            return Ok(false);
        }
        self.log_unreadable_folder(&io::Error::other(UNMOUNTED));
        self.scan_again(self.now.steady + self.ctx.settings.watch.poll_interval);
        Ok(true)
    }

    /// What new files may be: rows whose file is no longer where it was.
    async fn known<'k>(
        &self,
        device: u64,
        here: &'k HashMap<OsString, UploadSnapshot>,
        missing: &[&UploadSnapshot],
        elsewhere: Vec<UploadSnapshot>,
        ready: &[&Entry],
    ) -> KnownFiles<'k> {
        let mut missing: Vec<_> = missing.iter().map(|row| row.id).collect();
        let mut relocated = Vec::new();
        if !ready.is_empty() && !elsewhere.is_empty() {
            let (watched, left) = elsewhere.into_iter().partition(|row| self.is_watched(row));
            missing.extend(self.gone_elsewhere(device, watched).await);
            relocated = left.into_iter().map(|row: UploadSnapshot| row.id).collect();
        }
        missing.extend(relocated.iter().copied());
        KnownFiles { here, missing, relocated }
    }

    /// Rechecks that were requested are done, but for files that are not decided yet.
    async fn finish_rechecks(
        &mut self,
        known: &HashMap<OsString, UploadSnapshot>,
    ) -> Result<(), IntakeError> {
        let is_decided = |(name, row): &(&OsString, &UploadSnapshot)| {
            row.state != State::Uploading && !self.waiting.contains(*name)
        };
        let done = known.iter().filter(is_decided);
        let done: Vec<_> = done.filter_map(|(_, row)| Some((row.id, row.recheck?))).collect();
        if !done.is_empty() {
            self.ctx.ledger.recheck_done(self.folder.brand, done).await?;
        }
        Ok(())
    }

    /// Is the file in a folder of the brand? Other folders were watched once, and their files may be anywhere now.
    fn is_watched(&self, row: &UploadSnapshot) -> bool {
        row.path
            .parent()
            .is_some_and(|folder| self.ctx.settings.is_folder_of(folder, self.folder.brand.brand))
    }

    pub(super) fn is_here(&self, row: &UploadSnapshot) -> bool {
        row.path.parent() == Some(&self.folder.path)
    }

    pub(super) fn scan_again(&mut self, at: Instant) {
        self.outcome.next = Some(self.outcome.next.map_or(at, |next| next.min(at)));
    }
}

fn by_name(rows: Vec<UploadSnapshot>) -> HashMap<OsString, UploadSnapshot> {
    rows.into_iter().filter_map(|row| Some((row.path.file_name()?.to_owned(), row))).collect()
}

/// Rows of this folder whose file is not in it, by their ids.
fn missing<'k>(listing: &Listing, known: &'k HashMap<OsString, UploadSnapshot>) -> Vec<&'k UploadSnapshot> {
    let listed = listing.names();
    let mut missing: Vec<_> = known.iter().filter(|(name, _)| !listed.contains(name.as_os_str())).collect();
    missing.sort_by_key(|(_, row)| row.id);
    missing.into_iter().map(|(_, row)| row).collect()
}
