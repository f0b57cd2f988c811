//! One brand's folder is compared with the table: scan → settle → inspect → record.
//!
//! Start, event, overflow and timer all come through here, so the way after a crash is the way of every day.

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::context::Context;
use super::log::{LimitLog, LossLog};
use super::mounts::UNMOUNTED;
use super::reads::Reading;
use super::scan::{self, Entry, Listing};
use super::settle::{Now, StabilityTracker};
use super::{IntakeError, tidy};
use crate::config::{After, Upload};
use crate::domain::brand::{BrandKey, UploadId};
use crate::domain::event;
use crate::domain::upload::{Stamp, State};
use crate::files::{self, Kind};
use crate::fs_timeout::{NOT_RESPONDING, READDIR_TIMEOUT};
use crate::intake::inspect::Inspected;
use crate::ledger::{BrandRow, RecordResult, UploadSnapshot};

/// So many files are inspected before their rows are written: the order of names is kept, and a large folder
/// does not wait for its last file.
const BATCH: usize = 32;

/// A file that could not be read for a reason that may pass (a file server's hiccup) is tried again then.
pub(super) const READ_AGAIN: Duration = Duration::from_secs(5);

/// After files could not be tidied away, it is tried again this much later.
const TIDY_AGAIN: Duration = Duration::from_mins(1);

/// So long it is waited for: another question than others about the folder.
const TIDY: Duration = Duration::from_secs(40);

/// A brand's folder and what is remembered of it between looks.
#[derive(Debug)]
pub(super) struct Folder {
    pub(super) brand: BrandRow,
    pub(super) path: PathBuf,
    pub(super) stability: StabilityTracker,
    /// It is not there any more, and that is certain.
    pub(super) removed: bool,
    /// The last thing that could not be read, so that it is said once.
    pub(super) trouble: Option<String>,
    /// How often that was logged.
    pub(super) losses: LossLog,
    /// Files of which it was said that they cannot be read now.
    pub(super) unread: HashSet<OsString>,
    /// Tidying failed; it is tried again then.
    pub(super) tidy_after: Option<Instant>,
    /// The ctimes of files that were put back when they could not be tidied away: nobody else has touched them.
    pub(super) put_back: HashMap<OsString, i64>,
    /// The table says that files in it are being read.
    pub(super) reading: bool,
    /// Files found no slot.
    pub(super) full: LimitLog,
}

impl Folder {
    pub(super) fn new(brand: BrandRow, path: PathBuf) -> Self {
        Self {
            brand,
            path,
            stability: StabilityTracker::default(),
            removed: false,
            trouble: None,
            losses: LossLog::default(),
            unread: HashSet::new(),
            tidy_after: None,
            put_back: HashMap::new(),
            reading: false,
            full: LimitLog::default(),
        }
    }
}

/// One look at a folder, from the listing to the table.
pub(super) struct Reconcile<'a> {
    pub(super) ctx: &'a Arc<Context>,
    pub(super) folder: &'a mut Folder,
    pub(super) now: Now,
    pub(super) outcome: Outcome,
    /// A complete file waits for one before it.
    pub(super) held_back: bool,
    /// Names that are not judged yet: what was asked of them stays asked.
    pub(super) waiting: HashSet<OsString>,
    /// Files that it takes long to read: how many bytes of how many were read.
    pub(super) reading: Vec<(OsString, u64, u64)>,
    /// Files that were refused, and are to be logged.
    pub(super) refused: Vec<RecordResult>,
}

/// What a look leaves to do.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// When the folder must be looked at again.
    pub(super) next: Option<Instant>,
    /// How many of its files are not complete yet.
    pub(super) copying: usize,
}

impl<'a> Reconcile<'a> {
    pub(super) fn new(ctx: &'a Arc<Context>, folder: &'a mut Folder) -> Self {
        let now = Now { wall: ctx.ledger.now(), steady: Instant::now() };
        Self {
            ctx,
            folder,
            now,
            outcome: Outcome::default(),
            held_back: false,
            waiting: HashSet::new(),
            reading: Vec::new(),
            refused: Vec::new(),
        }
    }

    /// Looks once.
    pub(super) async fn run(mut self) -> Result<Outcome, IntakeError> {
        let Some(listing) = self.list().await? else {
            return Ok(self.outcome);
        };
        let rows = self.ctx.ledger.known(self.folder.brand).await?;
        let (here, elsewhere): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| self.is_here(row));
        let known = by_name(here);
        let mut missing = missing(&listing, &known);
        if self.ctx.mounts.is_unmounted(&self.folder.path, listing.entries.is_empty()).await?
            && !missing.is_empty()
        {
            self.complain(&io::Error::other(UNMOUNTED));
            self.look_again(self.now.steady + self.ctx.settings.watch.poll_interval);
            return Ok(self.outcome);
        }
        if self.folder.trouble.take().is_some() && self.folder.losses.is_logged() {
            tracing::info!(message_id = event::FOLDER_BACK, folder = %self.folder.path.display(), "the folder can be read again");
        }
        let ready = self.sort_out(&listing, &known, &mut missing).await?;
        let mut moved: Vec<_> = missing.iter().map(|row| row.id).collect();
        let mut relocated = Vec::new();
        if !ready.is_empty() && !elsewhere.is_empty() {
            let (watched, left) = elsewhere.into_iter().partition(|row| self.is_watched(row));
            moved.extend(self.gone_elsewhere(watched).await);
            relocated = left.into_iter().map(|row: UploadSnapshot| row.id).collect();
        }
        moved.extend(relocated.iter().copied());
        for (name, error) in &listing.unknown {
            self.cannot_be_read(name, error);
        }
        let taken = self.take_in_all(&listing, &ready, &known, &mut moved, &relocated).await;
        self.log_refused();
        if !taken? {
            return Ok(self.outcome);
        }
        self.note_reading().await?;
        // a file that was held back may be one of them under a new name
        if !self.held_back {
            self.mark_gone(&listing, &missing).await?;
        }
        self.tidy(listing, &known).await?;
        self.log_what_is_over();
        Ok(self.outcome)
    }

    /// Does the file lie in a folder of the brand? Other folders were watched once, and their files may be anywhere now.
    fn is_watched(&self, row: &UploadSnapshot) -> bool {
        row.path
            .parent()
            .is_some_and(|folder| self.ctx.settings.is_folder_of(folder, self.folder.brand.brand))
    }

    /// False: there was no time for all of it.
    async fn take_in_all(
        &mut self,
        listing: &Listing,
        ready: &[&Entry],
        known: &HashMap<OsString, UploadSnapshot>,
        moved: &mut Vec<UploadId>,
        relocated: &[UploadId],
    ) -> Result<bool, IntakeError> {
        for batch in ready.chunks(BATCH) {
            if self.ctx.stop.is_cancelled() {
                return Ok(false);
            }
            self.take_in(listing, batch, known, moved, relocated).await?;
        }
        Ok(true)
    }

    /// Rows of the brand whose file is no longer where it was, in another folder; none while that folder's file system
    /// does not answer.
    async fn gone_elsewhere(&self, rows: Vec<UploadSnapshot>) -> Vec<UploadId> {
        let Some(first) = rows.first().map(|row| row.path.clone()) else { return Vec::new() };
        let gone = move || rows.iter().filter(|row| !row.path.exists()).map(|row| row.id).collect();
        self.ctx.fs_timeouts.run(&first, READDIR_TIMEOUT, gone).await.unwrap_or_default()
    }

    fn is_here(&self, row: &UploadSnapshot) -> bool {
        row.path.parent() == Some(&self.folder.path)
    }

    /// `None` when nothing can be said of the folder's files now.
    async fn list(&mut self) -> Result<Option<Listing>, IntakeError> {
        let (path, settings) = (self.folder.path.clone(), self.ctx.settings.clone());
        let list = move || {
            files::open_brand_folder(settings.top_of(&path), &path)
                .and_then(|folder| scan::list(folder, &settings.watch.ignore))
        };
        let listed = self.ctx.fs_timeouts.run(&self.folder.path, READDIR_TIMEOUT, list).await;
        match listed.unwrap_or_else(|| Err(io::Error::new(io::ErrorKind::TimedOut, NOT_RESPONDING))) {
            Ok(listing) => Ok(Some(listing)),
            Err(error) if error.kind() == io::ErrorKind::NotFound && self.folder.removed => {
                let rows = self.ctx.ledger.known(self.folder.brand).await?;
                let missing: Vec<_> = rows.iter().filter(|row| self.is_here(row)).map(|row| row.id).collect();
                self.ctx.ledger.vanished(self.folder.brand, missing).await?;
                Ok(None)
            }
            Err(error) => {
                self.complain(&error);
                self.look_again(self.now.steady + self.ctx.settings.watch.poll_interval.max(READ_AGAIN));
                Ok(None)
            }
        }
    }

    /// Inspects a batch side by side and records it in order.
    async fn take_in(
        &mut self,
        listing: &Listing,
        batch: &[&Entry],
        known: &HashMap<OsString, UploadSnapshot>,
        moved: &mut Vec<UploadId>,
        relocated: &[UploadId],
    ) -> Result<(), IntakeError> {
        let mut looks = Vec::with_capacity(batch.len());
        for entry in batch {
            let (path, folder) = (self.folder.path.join(&entry.name), listing.folder.clone());
            looks.push(self.ctx.inspect(path, folder, listing.device, entry));
        }
        let mut found = Vec::new();
        for (entry, look) in batch.iter().zip(looks) {
            match look.await.map_err(|error| IntakeError::Thread(io::Error::other(error)))? {
                Reading::Done(answer) => found.extend(self.conclude(entry, answer, known.get(&entry.name))),
                Reading::UnderWay(status) => self.read_under_way(entry, status),
            }
        }
        if found.is_empty() {
            return Ok(());
        }
        let (missing, brand) = (moved.clone(), self.folder.brand);
        for recorded in self.ctx.ledger.record(brand, found, missing, relocated.to_vec()).await? {
            // whose name it has taken over is no longer missing
            moved.retain(|id| *id != recorded.id);
            let name = recorded.path.file_name().unwrap_or_default();
            self.folder.stability.forget(name);
            if self.folder.unread.remove(name) {
                self.ctx.unread.heal();
            }
            if recorded.state == State::Uploaded && self.ctx.settings.upload.after != After::Keep {
                // known already: nothing is sent, but it is to be tidied away
                self.look_again(self.now.steady);
            }
            self.log_recorded(recorded);
        }
        Ok(())
    }

    async fn mark_gone(&self, listing: &Listing, missing: &[&UploadSnapshot]) -> Result<(), IntakeError> {
        let ended =
            |row: &&&UploadSnapshot| !matches!(row.state, State::Uploaded | State::Gone | State::Uploading);
        let ids: Vec<_> = missing.iter().filter(ended).map(|row| row.id).collect();
        if ids.is_empty() {
            return Ok(());
        }
        // some of them may have been found under another name meanwhile
        let ids = self.still_missing(listing, ids).await?;
        if !ids.is_empty() {
            let count = self.ctx.ledger.vanished(self.folder.brand, ids).await?;
            tracing::info!(message_id = event::GONE, brand = %self.folder.brand.brand, count, "files were deleted before they could be sent");
        }
        Ok(())
    }

    async fn still_missing(
        &self,
        listing: &Listing,
        ids: Vec<UploadId>,
    ) -> Result<Vec<UploadId>, IntakeError> {
        let rows = self.ctx.ledger.known(self.folder.brand).await?;
        let listed = listing.names();
        let found = |row: &&UploadSnapshot| {
            self.is_here(row) && row.path.file_name().is_some_and(|name| listed.contains(name))
        };
        let there: HashSet<UploadId> = rows.iter().filter(found).map(|row| row.id).collect();
        Ok(ids.into_iter().filter(|id| !there.contains(id)).collect())
    }

    /// What was asked for of files that did not change: tidying them away, and taking the mark off.
    async fn tidy(
        &mut self,
        listing: Listing,
        known: &HashMap<OsString, UploadSnapshot>,
    ) -> Result<(), IntakeError> {
        let answered = |(name, row): &(&OsString, &UploadSnapshot)| {
            row.state != State::Uploading && !self.waiting.contains(*name)
        };
        let marked = known.iter().filter(answered);
        let marked: Vec<_> = marked.filter_map(|(_, row)| Some((row.id, row.recheck?))).collect();
        let rules = &self.ctx.settings.upload;
        let tidied = listing.entries.iter().filter_map(|entry| {
            let row = known.get(&entry.name)?;
            (rules.after != After::Keep && row.state == State::Uploaded && row.stamp == entry.look.stamp)
                .then(|| (entry.name.clone(), row.stamp))
        });
        let (work, rules) = (tidied.collect::<Vec<_>>(), rules.clone());
        let (brand, folder) = (self.folder.brand.brand, listing.folder);
        if !work.is_empty() {
            let now = self.now.steady;
            if self.folder.tidy_after.is_none_or(|after| after <= now) {
                let tidy = move || tidy_all(&rules, brand, &folder, work);
                let silent = || {
                    (
                        Err((OsString::new(), io::Error::new(io::ErrorKind::TimedOut, NOT_RESPONDING))),
                        HashMap::new(),
                    )
                };
                let tidied = self.ctx.fs_timeouts.run(&self.folder.path, TIDY, tidy).await;
                let (done, put_back) = tidied.unwrap_or_else(silent);
                self.log_tidied(brand, &done);
                self.folder.put_back = put_back;
                self.folder.tidy_after = done.is_err().then(|| now + TIDY_AGAIN);
            }
            self.folder.tidy_after.into_iter().for_each(|after| self.look_again(after));
        }
        if !marked.is_empty() {
            self.ctx.ledger.recheck_done(self.folder.brand, marked).await?;
        }
        Ok(())
    }

    /// A file is not complete yet.
    pub(super) fn wait(&mut self, entry: &Entry, until: Instant) {
        self.waiting.insert(entry.name.clone());
        self.outcome.copying += 1;
        self.look_again(until);
    }

    pub(super) fn look_again(&mut self, at: Instant) {
        self.outcome.next = Some(self.outcome.next.map_or(at, |next| next.min(at)));
    }
}

fn by_name(rows: Vec<UploadSnapshot>) -> HashMap<OsString, UploadSnapshot> {
    rows.into_iter().filter_map(|row| Some((row.path.file_name()?.to_owned(), row))).collect()
}

/// Rows whose file is not where it was.
fn missing<'k>(listing: &Listing, known: &'k HashMap<OsString, UploadSnapshot>) -> Vec<&'k UploadSnapshot> {
    let listed = listing.names();
    let mut missing: Vec<_> = known.iter().filter(|(name, _)| !listed.contains(name.as_os_str())).collect();
    missing.sort_by_key(|(_, row)| row.id);
    missing.into_iter().map(|(_, row)| row).collect()
}

/// Gives back the last one that could not be, and why, and the ctimes of all that could not.
fn tidy_all(
    rules: &Upload,
    brand: BrandKey,
    folder: &OwnedFd,
    work: Vec<(OsString, Stamp)>,
) -> (Result<(), (OsString, io::Error)>, HashMap<OsString, i64>) {
    let (mut done, mut put_back) = (Ok(()), HashMap::new());
    for (name, stamp) in work {
        if let Err(error) = tidy::tidy(rules, brand, folder, &name, stamp) {
            if let Ok(look) = files::look(folder, &name).map(|look| look.ctime_ns) {
                put_back.insert(name.clone(), look);
            }
            done = Err((name, error));
        }
    }
    (done, put_back)
}

/// Opens and inspects one entry; for links and special files, says so without opening them.
pub(super) fn look_at(
    inspector: &super::inspect::Inspector,
    folder: &OwnedFd,
    entry: &Entry,
) -> io::Result<Option<Inspected>> {
    if entry.look.kind != Kind::Regular {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let file = files::open_regular(folder, &entry.name)?;
    let inspected = inspector.inspect(&file, Path::new(&entry.name));
    // one that went while it was read leaves no row
    files::look(folder, &entry.name)?;
    inspected
}
