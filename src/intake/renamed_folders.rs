//! Brands' folders that have another name, as when one gets a label: the rows of their files follow, and nothing is read
//! or sent.
//!
//! That comes before any scan of the brand's other folders, so that its files are neither gone nor new: those are held back
//! until the one that is gone was scanned for the last time.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::time::Instant;

use super::agenda::Priority;
use super::context::Context;
use super::folder::Folder;
use super::tracked::{Presence, TrackedFolder};
use super::{Intake, IntakeError};
use crate::config::Settings;
use crate::domain::brand::{BrandKey, UploadId};
use crate::domain::upload::State;
use crate::files;
use crate::fs_timeout::Question;
use crate::ledger::{BrandRow, UploadSnapshot};

/// Brands whose folders are not scanned yet.
#[derive(Debug, Default)]
pub(super) struct HeldBack {
    brands: HashMap<BrandKey, HeldBrand>,
    /// The folders that are gone, which are scanned first.
    removed: HashMap<PathBuf, BrandKey>,
}

#[derive(Debug, Default)]
struct HeldBrand {
    folders: Vec<PathBuf>,
    /// So many pieces of work must come to their end first.
    waits_for: usize,
    /// Folders whose scan was due meanwhile.
    due: HashSet<PathBuf>,
}

impl HeldBack {
    /// The folders of a brand that is held back.
    pub(super) fn folders_of(&self, brand: BrandKey) -> Vec<PathBuf> {
        self.brands.get(&brand).map(|held| held.folders.clone()).unwrap_or_default()
    }

    pub(super) fn is_held(&self, brand: BrandKey) -> bool {
        self.brands.contains_key(&brand)
    }

    /// The brand's folders wait for a piece of work.
    pub(super) fn add(&mut self, brand: BrandKey, folders: Vec<PathBuf>) {
        let held = self.brands.entry(brand).or_default();
        held.folders = folders;
        held.waits_for += 1;
    }

    /// A piece of work that is waited for has come to its end. Gives back which folders are due.
    pub(super) fn release(&mut self, brand: BrandKey) -> Vec<PathBuf> {
        let Some(held) = self.brands.get_mut(&brand) else { return Vec::new() };
        held.waits_for -= 1;
        match held.waits_for {
            0 => self.brands.remove(&brand).map(|held| held.due.into_iter().collect()).unwrap_or_default(),
            _ => Vec::new(),
        }
    }
}

impl Intake {
    /// Folders that the last discovery found to be removed may be there under other names.
    pub(super) fn hold_back_renamed(&mut self) {
        let removed = self.tracked.removed_just_now();
        let mut folders = self.tracked.folders_of(&removed.iter().map(|(brand, _)| *brand).collect());
        for (brand, path) in removed {
            if !self.held_back.removed.contains_key(&path)
                && let Some(folders) = folders.get_mut(&brand)
            {
                self.held_back.add(brand, folders.clone());
                self.held_back.removed.insert(path, brand);
            }
        }
    }

    /// Is the folder not to be scanned yet? Then it is as soon as it may be. One that was scanned before is no other's new
    /// name, and waits for none.
    pub(super) fn hold_back(&mut self, path: &Path) -> bool {
        let may_wait =
            |folder: &&TrackedFolder| folder.presence != Presence::Removed && folder.is_first_scan_pending();
        let Some(folder) = self.tracked.get(path).filter(may_wait) else { return false };
        let held = self.held_back.brands.get_mut(&folder.brand);
        held.map(|held| held.due.insert(path.to_owned())).is_some()
    }

    /// A folder was scanned. If that was the last time, or it is there again, others of its brand need not wait for it.
    pub(super) fn end_hold_back(&mut self, folder: &Folder, is_done: bool) {
        let is_removed = self.tracked.get(&folder.path).is_some_and(|now| now.presence == Presence::Removed);
        if !is_removed || (folder.removed && is_done) {
            self.release_for(&folder.path);
        }
    }

    /// Others of its brand need not wait for this folder, which is gone.
    pub(super) fn release_for(&mut self, path: &Path) {
        if let Some(brand) = self.held_back.removed.remove(path) {
            self.release(brand);
        }
    }

    pub(super) fn release(&mut self, brand: BrandKey) {
        for path in self.held_back.release(brand) {
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
    folders: Vec<PathBuf>,
) -> Result<HashSet<UploadId>, IntakeError> {
    let rows: Vec<_> = rows.iter().filter(|row| row.state != State::Gone).cloned().collect();
    let Some(before) = rows.first().and_then(|row| row.path.parent()).map(Path::to_owned) else {
        return Ok(HashSet::new());
    };
    let settings = ctx.settings.clone();
    let find = move || find(&settings, &rows, &folders);
    let found = ctx.fs_timeouts.run(&before, Question::FindMoved, find).await.unwrap_or_default();
    let ids = found.iter().map(|(id, _)| *id).collect();
    if !found.is_empty() {
        let count = ctx.ledger.moved(brand, found).await?;
        tracing::info!(brand = %brand.brand, count, "a folder has another name; nothing is sent");
    }
    Ok(ids)
}

/// Where files are that are no longer at their paths: in one of these folders, with the same name and stamp.
fn find(settings: &Settings, rows: &[UploadSnapshot], folders: &[PathBuf]) -> Vec<(UploadId, PathBuf)> {
    let open = |path: &PathBuf| {
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
