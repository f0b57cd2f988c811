//! Files whose folder is no brand's any more: those that are not there are gone, and the others are out of reach until
//! the folder is a brand's again.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::Instant;

use super::{Intake, IntakeError};
use crate::domain::brand::UploadId;
use crate::domain::upload::State;
use crate::files;
use crate::fs_timeout::Question;
use crate::ledger::{BrandRow, UploadSnapshot};

/// What is known of files without a folder.
#[derive(Debug, Default)]
pub(super) struct Orphans {
    /// Files for whose sake everything was discovered once more.
    doubted: HashSet<PathBuf>,
    /// Of some it is not known whether they are there: they are asked for again then.
    again: Option<Instant>,
}

/// A file system that does not answer is not asked for them at each discovery, which waits for it.
const AGAIN: Duration = Duration::from_mins(1);

impl Orphans {
    pub(super) fn is_due(&self) -> bool {
        self.again.is_some_and(|again| again <= Instant::now())
    }

    /// The folder is a brand's again.
    pub(super) fn folder_is_back(&mut self, folder: &Path) {
        self.doubted.retain(|file| file.parent() != Some(folder));
    }
}

impl Intake {
    pub(super) async fn resolve_orphans(
        &mut self,
        is_concerned: impl Fn(&BrandRow) -> bool,
    ) -> Result<(), IntakeError> {
        if self.root.missing {
            return Ok(());
        }
        let brands = self.ctx.ledger.open_brands().await?;
        let mut all = Vec::new();
        for brand in brands.into_iter().filter(is_concerned) {
            let rows = self.ctx.ledger.known(brand).await?;
            let orphans: Vec<_> =
                rows.into_iter().filter(|row| row.is_open() && self.is_orphan(row)).collect();
            if !orphans.is_empty() {
                all.push((brand, orphans));
            }
        }
        self.follow_orphans(&mut all).await?;
        let missing = self.missing_orphans(&all).await;
        for (brand, orphans) in all {
            self.resolve(brand, orphans, &missing).await?;
        }
        Ok(())
    }

    /// Files whose folder got another name while nobody looked.
    async fn follow_orphans(
        &self,
        orphans: &mut Vec<(BrandRow, Vec<UploadSnapshot>)>,
    ) -> Result<(), IntakeError> {
        let folders = self.tracked.folders_of(&orphans.iter().map(|(brand, _)| brand.brand).collect());
        for (brand, rows) in orphans {
            if let Some(folders) = folders.get(&brand.brand) {
                let moved = self.follow(*brand, &rows.iter().collect::<Vec<_>>(), folders.clone()).await?;
                rows.retain(|row| !moved.contains(&row.id));
            }
        }
        Ok(())
    }

    fn is_orphan(&self, row: &UploadSnapshot) -> bool {
        let listed = row.path.parent().is_some_and(|folder| self.tracked.is_listed(folder));
        !listed && !self.unreadable_parents.iter().any(|folder| row.path.starts_with(folder))
    }

    /// Which of these files are not there, by their rows. Where a file system does not answer, nothing is known, and
    /// it is asked again later.
    async fn missing_orphans(&mut self, orphans: &[(BrandRow, Vec<UploadSnapshot>)]) -> HashSet<UploadId> {
        let rows = orphans.iter().flat_map(|(_, rows)| rows).filter(|row| row.state != State::Uploaded);
        let files: Vec<_> = rows.map(|row| (row.id, row.path.clone())).collect();
        let Some((_, first)) = files.first() else {
            self.orphans.again = None;
            return HashSet::new();
        };
        // no folder of the configuration leads there any more: no link on the way does either
        let (first, is_missing) = (first.clone(), |path: &Path| files::is_missing(None, path));
        let check =
            move || files.into_iter().filter(|(_, path)| is_missing(path)).map(|(id, _)| id).collect();
        let missing = self.ctx.fs_timeouts.run(&first, Question::GoneOrphans, check).await;
        self.orphans.again = missing.is_none().then(|| Instant::now() + AGAIN);
        missing.unwrap_or_default()
    }

    async fn resolve(
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
        let is_back = |row: &UploadSnapshot| {
            row.path.parent().is_some_and(|folder| self.ctx.settings.is_folder_of(folder, brand.brand))
        };
        let requested = left.into_iter().filter(|row| row.recheck.is_some());
        let (back, foreign): (Vec<_>, Vec<_>) = requested.partition(is_back);
        // their folder has come back since the discovery: the next one finds it, and then they are inspected
        if back.into_iter().any(|row| self.orphans.doubted.insert(row.path)) {
            self.schedule.full_at(Instant::now());
        }
        let done: Vec<_> = foreign.iter().filter_map(|row| Some((row.id, row.recheck?))).collect();
        if !done.is_empty() {
            self.ctx.ledger.recheck_done(brand, done).await?;
        }
        Ok(())
    }
}
