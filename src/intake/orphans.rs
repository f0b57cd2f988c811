//! Files whose folder is no brand's any more: those that are not there are gone, and the others are out of reach until
//! the folder is a brand's again.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::time::Instant;

use super::context::Context;
use super::renamed_folders::{Work, follow};
use super::{Intake, IntakeError};
use crate::domain::brand::{BrandKey, UploadId};
use crate::domain::upload::State;
use crate::files;
use crate::fs_timeout::{Question, STAT_TIMEOUT};
use crate::ledger::{BrandRow, UploadSnapshot};

/// What is known of files without a folder.
#[derive(Debug, Default)]
pub(super) struct Orphans {
    /// Files for whose sake everything was discovered once more.
    doubted: HashSet<PathBuf>,
    /// Of some it is not known whether they are there: they are asked for again then.
    again: Option<Instant>,
    /// Those of which it is to be found out what became of them.
    found: Vec<OrphansOf>,
    /// The number of the latest search for them.
    search: u64,
    /// So many searches are under way.
    under_way: usize,
}

/// A file system that does not answer is not asked for them at each discovery.
const AGAIN: Duration = Duration::from_mins(1);

impl Orphans {
    pub(super) fn is_due(&self) -> bool {
        self.again.is_some_and(|again| again <= Instant::now())
    }

    /// Is nothing to be found out?
    pub(super) fn are_resolved(&self) -> bool {
        self.found.is_empty() && self.under_way == 0
    }

    /// The folder is a brand's again.
    pub(super) fn folder_is_back(&mut self, folder: &Path) {
        self.doubted.retain(|file| file.parent() != Some(folder));
    }
}

/// What was found out about files without a folder.
pub(super) struct OrphansFollowed {
    /// The brands whose new folders waited for it, and for which search.
    brands: Vec<(BrandKey, Work)>,
    resolved: Result<Resolved, IntakeError>,
}

#[derive(Default)]
struct Resolved {
    /// A file system did not answer.
    is_open: bool,
    /// Files that are to be inspected, and whose folder has come back since the discovery.
    back: Vec<PathBuf>,
}

/// A brand's files without a folder.
#[derive(Debug)]
struct OrphansOf {
    brand: BrandRow,
    rows: Vec<UploadSnapshot>,
    /// Where they may be now.
    folders: Option<Arc<[PathBuf]>>,
    /// What the brand's new folders wait for.
    search: Work,
}

impl Intake {
    /// Has it found out what became of the files of these brands that are in no folder of theirs.
    pub(super) async fn find_orphans(
        &mut self,
        is_concerned: impl Fn(&BrandRow) -> bool,
    ) -> Result<(), IntakeError> {
        if self.root.missing {
            return Ok(());
        }
        self.orphans.again = None;
        let brands = self.ctx.ledger.open_brands().await?;
        let mut found = Vec::new();
        for brand in brands.into_iter().filter(is_concerned) {
            let rows = self.ctx.ledger.known(brand).await?;
            let rows: Vec<_> = rows.into_iter().filter(|row| row.is_open() && self.is_orphan(row)).collect();
            if !rows.is_empty() {
                found.push((brand, rows));
            }
        }
        let mut folders = self.folders_to_search(&found.iter().map(|(brand, _)| brand.brand).collect());
        self.orphans.search += 1;
        for (brand, rows) in found {
            let (folders, search) = (folders.remove(&brand.brand), Work::Orphans(self.orphans.search));
            if let Some(folders) = folders.clone() {
                self.held_back.add(brand.brand, folders, search.clone(), Instant::now());
            }
            self.orphans.found.push(OrphansOf { brand, rows, folders, search });
        }
        Ok(())
    }

    fn is_orphan(&self, row: &UploadSnapshot) -> bool {
        let listed = row.path.parent().is_some_and(|folder| self.tracked.is_listed(folder));
        !listed && !self.unreadable_parents.keys().any(|folder| row.path.starts_with(folder))
    }

    /// The files whose folder is to be looked for, for the caller to run.
    pub(super) fn next_orphans(&mut self) -> Option<BoxFuture<'static, OrphansFollowed>> {
        let orphans = std::mem::take(&mut self.orphans.found);
        if orphans.is_empty() {
            return None;
        }
        self.orphans.under_way += 1;
        let ctx = self.ctx.clone();
        Some(Box::pin(async move {
            let brands =
                orphans.iter().map(|orphans| (orphans.brand.brand, orphans.search.clone())).collect();
            let resolved = resolve_all(&ctx, orphans).await;
            OrphansFollowed { brands, resolved }
        }))
    }

    pub(super) fn end_orphans(&mut self, followed: OrphansFollowed) -> Result<(), IntakeError> {
        self.orphans.under_way -= 1;
        for (brand, search) in followed.brands {
            self.release(brand, &search);
        }
        let resolved = match followed.resolved {
            Ok(resolved) => resolved,
            Err(error) => return self.defer_if_transient(Err(error)),
        };
        if resolved.is_open {
            self.orphans.again = Some(Instant::now() + AGAIN);
        }
        // the next discovery finds their folder, and then they are inspected
        if resolved.back.into_iter().any(|path| self.orphans.doubted.insert(path)) {
            self.schedule.full_at(Instant::now());
        }
        Ok(())
    }
}

async fn resolve_all(ctx: &Arc<Context>, mut orphans: Vec<OrphansOf>) -> Result<Resolved, IntakeError> {
    // who serves one of the folders holds up the others for no longer than that
    let follow = tokio::time::timeout(STAT_TIMEOUT, follow_all(ctx, &mut orphans)).await;
    let is_followed = follow.map_or(Ok(false), |followed| followed.map(|()| true))?;
    let missing = missing(ctx, &orphans).await;
    let mut resolved = Resolved { is_open: missing.is_none() || !is_followed, back: Vec::new() };
    let missing = missing.filter(|_| is_followed).unwrap_or_default();
    for OrphansOf { brand, rows, .. } in orphans {
        resolved.back.extend(resolve(ctx, brand, rows, &missing).await?);
    }
    Ok(resolved)
}

/// Files whose folder got another name while nobody looked.
async fn follow_all(ctx: &Arc<Context>, orphans: &mut [OrphansOf]) -> Result<(), IntakeError> {
    for OrphansOf { brand, rows, folders, .. } in orphans {
        if let Some(folders) = folders {
            let moved = follow(ctx, *brand, rows, folders.clone()).await?;
            rows.retain(|row| !moved.contains(&row.id));
        }
    }
    Ok(())
}

/// Which of these files are not there, by their rows. `None`: a file system does not answer, and nothing is known.
async fn missing(ctx: &Context, orphans: &[OrphansOf]) -> Option<HashSet<UploadId>> {
    let rows = orphans.iter().flat_map(|orphans| &orphans.rows).filter(|row| row.state != State::Uploaded);
    let files: Vec<_> = rows.map(|row| (row.id, row.path.clone())).collect();
    let Some((_, first)) = files.first() else { return Some(HashSet::new()) };
    // no folder of the configuration leads there any more: no link on the way does either
    let (first, is_missing) = (first.clone(), |path: &Path| files::is_missing(None, path));
    let check = move || files.into_iter().filter(|(_, path)| is_missing(path)).map(|(id, _)| id).collect();
    ctx.fs_timeouts.run(&first, Question::GoneOrphans, check).await
}

/// Gives back the files that are to be inspected and whose folder is the brand's again.
async fn resolve(
    ctx: &Context,
    brand: BrandRow,
    orphans: Vec<UploadSnapshot>,
    missing: &HashSet<UploadId>,
) -> Result<Vec<PathBuf>, IntakeError> {
    let (gone, left): (Vec<_>, Vec<_>) = orphans.into_iter().partition(|row| missing.contains(&row.id));
    let gone: Vec<_> = gone.iter().map(|row| row.id).collect();
    if !gone.is_empty() {
        ctx.ledger.vanished(brand, gone).await?;
    }
    let is_back = |row: &UploadSnapshot| {
        row.path.parent().is_some_and(|folder| ctx.settings.is_folder_of(folder, brand.brand))
    };
    let requested = left.into_iter().filter(|row| row.recheck.is_some());
    let (back, foreign): (Vec<_>, Vec<_>) = requested.partition(is_back);
    let done: Vec<_> = foreign.iter().filter_map(|row| Some((row.id, row.recheck?))).collect();
    if !done.is_empty() {
        ctx.ledger.recheck_done(brand, done).await?;
    }
    Ok(back.into_iter().map(|row| row.path).collect())
}
