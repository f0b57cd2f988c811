//! A first look at many folders together: at a start nothing has changed in most of them, and to begin a scan of each
//! takes longer than the scan. Where anything is to be done or to be waited for, the folder is scanned by itself.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::time::Instant;

use super::agenda::{Due, Priority};
use super::context::Context;
use super::folder::Folder;
use super::reconcile::ScanResult;
use super::scan::{self, Entry};
use super::scans::{CompletedScan, FolderScan};
use super::{Intake, IntakeError};
use crate::config::After;
use crate::domain::upload::State;
use crate::files;
use crate::fs_timeout::Question;
use crate::ledger::UploadSnapshot;

/// So many folders are looked at together.
pub(super) const TOGETHER: usize = 16;

/// What is in a folder.
#[derive(Debug)]
struct Glance {
    is_mount_point: bool,
    entries: Vec<Entry>,
}

impl Intake {
    /// A look at this folder, which is due, and at those after it on the agenda. `None`: it is scanned by itself.
    pub(super) fn glance(&mut self, first: &Due) -> Option<FolderScan> {
        let is_routine = first.priority == Priority::Routine;
        let mut next = Some(first.folder.clone()).filter(|path| is_routine && self.can_glance(path));
        let mut folders = Vec::new();
        while let Some(path) = next {
            self.watch_before_first_scan(&path);
            folders.extend(self.tracked.begin_scan(&path));
            next = self.agenda.next_routine(Instant::now()).filter(|path| self.can_glance(path));
            next = next.filter(|_| folders.len() < TOGETHER);
            if let Some(path) = &next {
                self.agenda.remove(path);
            }
        }
        if folders.is_empty() {
            return None;
        }
        let (ctx, due) = (self.ctx.clone(), first.at);
        Some(Box::pin(async move {
            let looks = look(&ctx, &folders).await;
            let mut scanned = Vec::with_capacity(folders.len());
            for (folder, look) in folders.into_iter().zip(looks) {
                let done = needs_no_scan(&ctx, &folder, look).await;
                let scan_due = |done: bool| (!done).then_some(due);
                let result = |done| ScanResult { full_scan_due: scan_due(done), ..ScanResult::default() };
                scanned.push((folder, done.map(result)));
            }
            CompletedScan { scanned }
        }))
    }

    /// Is it below the root, on a disk of this machine, and new to us? A file system that may not answer would hold up the
    /// others.
    fn can_glance(&self, path: &Path) -> bool {
        let Some(folder) = self.tracked.get(path) else { return false };
        let Some((device, _)) = folder.untouched() else { return false };
        self.ctx.devices.is_local(device)
            && self.ctx.settings.top_of(path).is_some()
            && !self.is_out_of_reach(path)
    }
}

/// What is in each; `None`: it cannot be read.
async fn look(ctx: &Context, folders: &[Box<Folder>]) -> Vec<Option<Glance>> {
    let Some(first) = folders.first().map(|folder| folder.path.clone()) else { return Vec::new() };
    let (paths, settings) =
        (folders.iter().map(|folder| folder.path.clone()).collect::<Vec<_>>(), ctx.settings.clone());
    let count = paths.len();
    let look = move || {
        let look = |path: &PathBuf| {
            let folder = files::open_brand_folder(settings.top_of(path), path)?;
            let listing = scan::list(folder, &settings.watch.ignore)?;
            let is_whole = listing.unknown.is_empty();
            let glance = Glance { is_mount_point: listing.is_mount_point, entries: listing.entries };
            io::Result::Ok(is_whole.then_some(glance))
        };
        paths.iter().map(|path| look(path).ok().flatten()).collect::<Vec<_>>()
    };
    let looked = ctx.fs_timeouts.run(&first, Question::Glance, look).await;
    looked.unwrap_or_else(|| std::iter::repeat_with(|| None).take(count).collect())
}

/// Is there nothing to do in the folder?
async fn needs_no_scan(
    ctx: &Arc<Context>,
    folder: &Folder,
    look: Option<Glance>,
) -> Result<bool, IntakeError> {
    let Some(Glance { is_mount_point, entries }) = look else { return Ok(false) };
    let rows = ctx.read_ahead.known(folder.brand).await?;
    let is_left = ctx.mounts.is_left(&folder.path, is_mount_point, entries.is_empty()).await?;
    Ok(!is_left && is_as_known(&entries, &rows, folder, ctx.settings.upload.after))
}

/// Does each file have its row, each row its file, and is nothing to be done about any of them? `Reconcile` would find
/// nothing else.
fn is_as_known(entries: &[Entry], rows: &[UploadSnapshot], folder: &Folder, after: After) -> bool {
    let here = rows.iter().filter(|row| row.path.parent() == Some(&folder.path));
    let here: HashMap<_, _> = here.filter_map(|row| Some((row.path.file_name()?, row))).collect();
    let is_done = |row: &UploadSnapshot| match row.state {
        State::Uploading | State::Gone => false,
        State::Uploaded => after == After::Keep,
        State::Queued | State::Retrying | State::Failed | State::Rejected => true,
    };
    let is_known = |entry: &Entry| {
        here.get(&*entry.name)
            .is_some_and(|row| is_done(row) && row.recheck.is_none() && row.is_unchanged(&entry.meta))
    };
    here.len() == entries.len() && entries.iter().all(is_known)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::brand::{BrandId, UploadId};
    use crate::domain::upload::Stamp;
    use crate::files::{FileMeta, Kind};
    use crate::ledger::BrandRow;

    const STAMP: Stamp = Stamp { size: 1, mtime_ns: 2, inode: 3 };

    fn row(name: &str, state: State) -> UploadSnapshot {
        let path = PathBuf::from("/inbox/OWNBRAND/1").join(name);
        UploadSnapshot {
            id: UploadId(1),
            path,
            state,
            stamp: STAMP,
            ctime_ns: Some(4),
            recheck: None,
            unreadable: false,
        }
    }

    fn entry(name: &str) -> Entry {
        Entry { name: name.into(), meta: FileMeta { kind: Kind::Regular, stamp: STAMP, ctime_ns: 4 } }
    }

    fn needs_none(entries: &[Entry], rows: &[UploadSnapshot], after: After) -> bool {
        let brand = BrandRow { id: BrandId(1), brand: "OWNBRAND/1".parse().unwrap() };
        is_as_known(entries, rows, &Folder::new(brand, "/inbox/OWNBRAND/1".into()), after)
    }

    #[test]
    fn a_folder_in_which_nothing_is_to_be_done_needs_no_scan() {
        assert!(needs_none(&[], &[], After::Delete), "an empty one");
        for state in [State::Uploaded, State::Queued, State::Retrying, State::Failed, State::Rejected] {
            assert!(needs_none(&[entry("a")], &[row("a", state)], After::Keep), "{state}");
        }
        let elsewhere = UploadSnapshot { path: "/other/b".into(), ..row("b", State::Queued) };
        assert!(needs_none(&[entry("a")], &[row("a", State::Failed), elsewhere], After::Keep));
    }

    #[test]
    fn whatever_is_to_be_done_asks_for_a_scan() {
        let known = || row("a", State::Rejected);
        let one = [entry("a")];
        assert!(!needs_none(&one, &[], After::Keep), "a new file");
        assert!(!needs_none(&[], &[known()], After::Keep), "one that is missing");
        assert!(!needs_none(&one, &[row("b", State::Queued)], After::Keep), "one that has another name");
        assert!(!needs_none(&one, &[known(), row("b", State::Gone)], After::Keep), "one that was gone");
        for state in [State::Uploading, State::Gone] {
            assert!(!needs_none(&one, &[row("a", state)], After::Keep), "{state}");
        }
        let changed = |change: fn(&mut UploadSnapshot)| {
            let mut row = known();
            change(&mut row);
            !needs_none(&one, &[row], After::Keep)
        };
        assert!(changed(|row| row.stamp.size = 9), "a changed file");
        assert!(changed(|row| row.ctime_ns = Some(9)), "one that was touched");
        assert!(changed(|row| row.recheck = Some(1)), "one that somebody asks about");
        assert!(changed(|row| row.unreadable = true), "one that could not be read");
        assert!(
            !needs_none(&one, &[row("a", State::Uploaded)], After::Archive),
            "one that is to be tidied away"
        );
    }
}
