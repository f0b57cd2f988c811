//! Brands' folders that have another name, as when one gets a label: the rows of their files follow, and nothing is read
//! or sent.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::{Intake, IntakeError};
use crate::config::Settings;
use crate::domain::brand::UploadId;
use crate::domain::upload::State;
use crate::files;
use crate::fs_timeout::Question;
use crate::ledger::{BrandRow, UploadSnapshot};

impl Intake {
    /// A folder that the last discovery found to be removed may be there under another name. This comes before any scan,
    /// so that its files are neither gone nor new.
    pub(super) async fn follow_renamed_folders(&self) -> Result<(), IntakeError> {
        let removed = self.tracked.removed_just_now();
        let brands = removed.iter().map(|(brand, _)| *brand).collect();
        let folders = self.tracked.folders_of(&brands);
        for (brand, before) in removed {
            let Some(folders) = folders.get(&brand) else { continue };
            let Some((brand, _)) = self.ctx.ledger.report().brand(brand).await? else { continue };
            let rows = self.ctx.ledger.known(brand).await?;
            let rows: Vec<_> = rows.iter().filter(|row| row.path.parent() == Some(&before)).collect();
            self.follow(brand, &rows, folders.clone()).await?;
        }
        Ok(())
    }

    /// Rows follow files that are no longer where they were into one of these folders. Gives back which did.
    pub(super) async fn follow(
        &self,
        brand: BrandRow,
        rows: &[&UploadSnapshot],
        mut folders: Vec<PathBuf>,
    ) -> Result<HashSet<UploadId>, IntakeError> {
        // it is waited for: after the start, only the root's own file system may make others wait
        folders.retain(|folder| !self.discovered || self.ctx.settings.top_of(folder).is_some());
        let rows: Vec<_> =
            rows.iter().filter(|row| row.state != State::Gone).map(|row| (*row).clone()).collect();
        let Some(before) = rows.first().and_then(|row| row.path.parent()).map(Path::to_owned) else {
            return Ok(HashSet::new());
        };
        let settings = self.ctx.settings.clone();
        let find = move || find(&settings, &rows, &folders);
        let found = self.ctx.fs_timeouts.run(&before, Question::FindMoved, find).await.unwrap_or_default();
        let ids = found.iter().map(|(id, _)| *id).collect();
        if !found.is_empty() {
            let count = self.ctx.ledger.moved(brand, found).await?;
            tracing::info!(brand = %brand.brand, count, "a folder has another name; nothing is sent");
        }
        Ok(ids)
    }
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
