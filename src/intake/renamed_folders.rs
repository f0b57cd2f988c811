//! Brands' folders that have another name, as when one gets a label: the rows of their files follow, and nothing is read
//! or sent.
//!
//! That comes before any scan of the brand's other folders, so that its files are neither gone nor new: those are held back
//! until the one that is gone was scanned for the last time.

use std::collections::{HashMap, HashSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::agenda::Priority;
use super::context::Context;
use super::devices::RemoteDevices;
use super::folder::Folder;
use super::tracked::{FirstScan, Presence};
use super::{Intake, IntakeError};
use crate::config::Settings;
use crate::domain::brand::{BrandKey, UploadId};
use crate::domain::upload::State;
use crate::files;
use crate::fs_timeout::Question;
use crate::ledger::{BrandRow, UploadSnapshot};

/// So long new folders wait for those that are gone, whose file system may not answer.
const LONGEST: Duration = Duration::from_secs(10);

/// In so many folders of a brand files are looked for. With more, they are read again: who makes thousands of folders of one
/// brand would have each looked for in all.
const MOST_FOLDERS: usize = 64;

/// Brands whose new folders are not scanned yet.
#[derive(Debug, Default)]
pub(super) struct HeldBack {
    brands: HashMap<BrandKey, HeldBrand>,
    /// When they wait no longer, in order.
    deadlines: VecDeque<(Instant, BrandKey)>,
}

#[derive(Debug)]
struct HeldBrand {
    folders: Arc<[PathBuf]>,
    until: Instant,
    /// What must come to its end first.
    waits_for: HashSet<Work>,
    /// Folders whose scan was due meanwhile.
    due: HashSet<PathBuf>,
}

/// What comes before the scans of new folders.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Work {
    /// The last scan of a folder that is gone.
    Scan(PathBuf),
    /// A search for files without a folder, by its number.
    Orphans(u64),
}

impl HeldBack {
    /// The folders of a brand that is held back.
    pub(super) fn folders_of(&self, brand: BrandKey) -> Option<Arc<[PathBuf]>> {
        self.brands.get(&brand).map(|held| held.folders.clone())
    }

    pub(super) fn is_held(&self, brand: BrandKey) -> bool {
        self.brands.contains_key(&brand)
    }

    /// The brand's new folders wait for this.
    pub(super) fn add(&mut self, brand: BrandKey, folders: Arc<[PathBuf]>, work: Work, now: Instant) {
        let held = self.brands.entry(brand).or_insert_with(|| {
            let until = now + LONGEST;
            self.deadlines.push_back((until, brand));
            HeldBrand { folders: folders.clone(), until, waits_for: HashSet::new(), due: HashSet::new() }
        });
        held.folders = folders;
        held.waits_for.insert(work);
    }

    /// What was waited for has come to its end. Gives back which folders are due.
    pub(super) fn release(&mut self, brand: BrandKey, work: &Work) -> HashSet<PathBuf> {
        let Some(held) = self.brands.get_mut(&brand) else { return HashSet::new() };
        match held.waits_for.remove(work) && held.waits_for.is_empty() {
            true => self.brands.remove(&brand).map(|held| held.due).unwrap_or_default(),
            false => HashSet::new(),
        }
    }

    /// Those that have waited long enough. Gives back which folders are due.
    pub(super) fn expire(&mut self, now: Instant) -> HashSet<PathBuf> {
        let mut due = HashSet::new();
        while let Some((_, brand)) = self.deadlines.pop_front_if(|(until, _)| *until <= now) {
            if self.brands.get(&brand).is_some_and(|held| held.until <= now) {
                due.extend(self.brands.remove(&brand).map(|held| held.due).unwrap_or_default());
            }
        }
        due
    }

    /// When `expire` is to be asked.
    pub(super) fn next(&self) -> Option<Instant> {
        self.deadlines.front().map(|(until, _)| *until)
    }
}

impl Intake {
    /// Folders that the last discovery found to be removed may be there under other names.
    pub(super) fn hold_back_renamed(&mut self) {
        let now = Instant::now();
        let removed = self.tracked.removed_just_now();
        let folders = self.folders_to_search(&removed.iter().map(|(brand, _)| *brand).collect());
        for (brand, path) in removed {
            if let Some(folders) = folders.get(&brand) {
                self.held_back.add(brand, folders.clone(), Work::Scan(path), now);
            }
        }
    }

    /// The folders of these brands, unless they are too many.
    pub(super) fn folders_to_search(&self, brands: &HashSet<BrandKey>) -> HashMap<BrandKey, Arc<[PathBuf]>> {
        let folders = self.tracked.folders_of(brands).into_iter();
        folders
            .filter(|(_, folders)| folders.len() <= MOST_FOLDERS)
            .map(|(brand, folders)| (brand, folders.into()))
            .collect()
    }

    /// Is the folder not to be scanned yet? Then it is as soon as it may be. One that was scanned before is no other's new
    /// name, and waits for none; nor does any wait twice.
    pub(super) fn hold_back(&mut self, path: &Path) -> bool {
        let Some(folder) = self.tracked.get(path) else { return false };
        let Some(held) = self.held_back.brands.get_mut(&folder.brand) else { return false };
        let waits = match folder.first_scan {
            _ if folder.presence == Presence::Removed => false,
            FirstScan::Due => true,
            FirstScan::HeldBack => held.due.contains(path),
            FirstScan::OwnScanDue | FirstScan::Done => false,
        };
        if waits && held.due.insert(path.to_owned()) {
            self.tracked.update(path, |folder| folder.first_scan = FirstScan::HeldBack);
        }
        waits
    }

    /// A folder was scanned. If that was the last time, or it is there again, others of its brand need not wait for it.
    pub(super) fn end_hold_back(&mut self, folder: &Folder, is_done: bool) {
        let is_removed = self.tracked.get(&folder.path).is_some_and(|now| now.presence == Presence::Removed);
        if !is_removed || (folder.removed && is_done) {
            self.release(folder.brand.brand, &Work::Scan(folder.path.clone()));
        }
    }

    /// The brand's new folders need not wait for this.
    pub(super) fn release(&mut self, brand: BrandKey, work: &Work) {
        let due = self.held_back.release(brand, work);
        self.request_scans(due);
    }

    /// New folders that have waited long enough wait no longer.
    pub(super) fn expire_held_back(&mut self) {
        let due = self.held_back.expire(Instant::now());
        self.request_scans(due);
    }

    fn request_scans(&mut self, due: HashSet<PathBuf>) {
        for path in due {
            self.request_scan(&path, Instant::now(), Priority::Urgent);
        }
    }
}

/// Rows follow files that are no longer where they were into one of these folders. Gives back which did.
///
/// # Errors
/// When the database fails.
pub(super) async fn follow(
    ctx: &Arc<Context>,
    brand: BrandRow,
    rows: &[UploadSnapshot],
    folders: Arc<[PathBuf]>,
) -> Result<HashSet<UploadId>, IntakeError> {
    let rows: Vec<_> = rows.iter().filter(|row| row.state != State::Gone).cloned().collect();
    let Some(before) = rows.first().and_then(|row| row.path.parent()).map(Path::to_owned) else {
        return Ok(HashSet::new());
    };
    let (settings, devices) = (ctx.settings.clone(), ctx.devices.clone());
    let find = move || find(&settings, &devices, &rows, &folders);
    let found = ctx.fs_timeouts.run(&before, Question::FindMoved, find).await.unwrap_or_default();
    let ids = found.iter().map(|(id, _)| *id).collect();
    if !found.is_empty() {
        let count = ctx.ledger.moved(brand, found).await?;
        tracing::info!(brand = %brand.brand, count, "a folder has another name; nothing is sent");
    }
    Ok(ids)
}

/// Where files are that are no longer at their paths: in one of these folders, with the same name and stamp. Only local disks
/// and the file system of the root are asked.
fn find(
    settings: &Settings,
    devices: &RemoteDevices,
    rows: &[UploadSnapshot],
    folders: &[PathBuf],
) -> Vec<(UploadId, PathBuf)> {
    let root = files::place_in_memory(&settings.watch.root).ok().map(|place| place.device);
    let open = |path: &PathBuf| {
        if !devices.may_ask(path, root) {
            return None;
        }
        let folder = files::open_brand_folder(settings.top_of(path), path).ok()?;
        Some((path.clone(), folder))
    };
    let folders: Vec<_> = folders.iter().filter_map(open).collect();
    let top = |row: &UploadSnapshot| row.path.parent().and_then(|folder| settings.top_of(folder));
    let is_away = |row: &&UploadSnapshot| files::is_missing(top(row), &row.path);
    let find = |row: &UploadSnapshot| {
        let name = row.path.file_name()?;
        let is_it = |meta: files::FileMeta| meta.stamp == row.stamp;
        let (path, _) = folders.iter().find(|(_, folder)| files::look(folder, name).is_ok_and(is_it))?;
        Some((row.id, path.join(name)))
    };
    rows.iter().filter(is_away).filter_map(find).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BRAND: &str = "OWNBRAND/1";

    fn scan(path: &str) -> Work {
        Work::Scan(path.into())
    }

    fn held(work: &[Work], now: Instant) -> (HeldBack, BrandKey) {
        let (mut held, brand) = (HeldBack::default(), BRAND.parse().unwrap());
        for work in work {
            held.add(brand, Arc::from(["/new".into()]), work.clone(), now);
        }
        held.brands.get_mut(&brand).unwrap().due.insert("/new".into());
        (held, brand)
    }

    #[tokio::test(start_paused = true)]
    async fn a_brand_is_held_until_all_that_it_waits_for_is_done() {
        let (mut held, brand) = held(&[scan("/a"), Work::Orphans(1)], Instant::now());
        assert!(held.release(brand, &scan("/other")).is_empty() && held.is_held(brand));
        assert!(held.release(brand, &scan("/a")).is_empty() && held.is_held(brand));
        assert!(held.release(brand, &scan("/a")).is_empty() && held.is_held(brand), "once");
        assert_eq!(held.release(brand, &Work::Orphans(1)).len(), 1);
        assert!(!held.is_held(brand));
    }

    #[tokio::test(start_paused = true)]
    async fn no_brand_is_held_for_longer_than_that() {
        let now = Instant::now();
        let (mut held, brand) = held(&[scan("/a")], now);
        held.add(brand, Arc::from([]), scan("/b"), now + LONGEST / 2);
        assert_eq!(held.next(), Some(now + LONGEST));
        assert!(held.expire(now + LONGEST / 2).is_empty());
        assert_eq!(held.expire(now + LONGEST).len(), 1);
        assert!(!held.is_held(brand) && held.next().is_none());
        held.add(brand, Arc::from([]), scan("/c"), now + LONGEST);
        assert!(held.release(brand, &scan("/a")).is_empty() && held.is_held(brand), "of the time before");
    }
}
