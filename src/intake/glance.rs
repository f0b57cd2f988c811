//! A first look at many folders together: at a start nothing has changed in most of them, and to begin a scan of each
//! takes longer than the scan. Where anything is to be done or to be waited for, the folder is scanned by itself.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::future::BoxFuture;
use tokio::time::Instant;

use super::agenda::{Due, Priority};
use super::context::Context;
use super::folder::Folder;
use super::reconcile::ScanResult;
use super::scan::{self, Entry, Listing};
use super::scans::ScannedFolder;
use super::watch::Watch;
use super::{Intake, IntakeError};
use crate::config::{After, Settings};
use crate::domain::upload::State;
use crate::files::{self, Identity};
use crate::fs_timeout::Question;
use crate::ledger::UploadSnapshot;

/// So many folders are looked at together.
pub(super) const TOGETHER: usize = 32;

/// What the look found in a folder.
#[derive(Debug, Default)]
struct Glance {
    /// Which folder is watched now, as was asked for.
    watched: Option<Identity>,
    /// `None`: it cannot be read, or not as a whole.
    contents: Option<Contents>,
}

#[derive(Debug)]
struct Contents {
    is_mount_point: bool,
    entries: Vec<Entry>,
}

impl From<Listing> for Contents {
    fn from(Listing { is_mount_point, entries, .. }: Listing) -> Self {
        Self { is_mount_point, entries }
    }
}

impl Intake {
    /// A look at this folder, which is due, and at those after it on the agenda. `None`: it is scanned by itself.
    pub(super) fn glance(&mut self, first: &Due) -> Option<BoxFuture<'static, Vec<ScannedFolder>>> {
        let is_routine = first.priority == Priority::Routine;
        let mut next = Some(first.folder.clone()).filter(|path| is_routine && self.can_glance(path));
        let mut folders = Vec::new();
        while let Some(path) = next {
            folders.extend(self.begin_scan(&path));
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
            let mut glances = look(&ctx, &folders).await;
            let mut scanned = Vec::with_capacity(folders.len());
            for mut folder in folders {
                let Glance { watched, contents } = glances.remove(&folder.path).unwrap_or_default();
                if let (Some(attempt), Some(identity)) = (&mut folder.watch, watched) {
                    attempt.answered(&ctx.watch, &folder.path, (identity, Ok(())));
                }
                let done = needs_no_scan(&ctx, &folder, contents).await;
                let scan_due = |done: bool| (!done).then_some(due);
                let result = |done| ScanResult { full_scan_due: scan_due(done), ..ScanResult::default() };
                scanned.push((folder, done.map(result)));
            }
            scanned
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
            && !self.held_back.is_held(folder.brand)
    }
}

/// Looks into each, as far as the file system answers in time.
async fn look(ctx: &Context, folders: &[Box<Folder>]) -> HashMap<PathBuf, Glance> {
    let Some(first) = folders.first().map(|folder| folder.path.clone()) else { return HashMap::new() };
    let to_watch = |folder: &Folder| folder.watch.as_ref().map(|watch| watch.identity);
    let folders = folders.iter().map(|folder| (folder.path.clone(), to_watch(folder))).collect();
    let (settings, watch) = (ctx.settings.clone(), ctx.watch.clone());
    let look = move || glances(&settings, &watch, folders);
    ctx.fs_timeouts.run(&first, Question::Glance, look).await.unwrap_or_default()
}

/// Opens the folders, watches those that are to be watched, and then lists them: what comes later raises an event.
fn glances(
    settings: &Settings,
    watch: &Watch,
    folders: Vec<(PathBuf, Option<Identity>)>,
) -> HashMap<PathBuf, Glance> {
    let Ok(root) = files::Top::find(&settings.watch.root) else { return HashMap::new() };
    let open = |(path, to_watch): (PathBuf, Option<Identity>)| {
        let opened = root.open(&path).ok()?;
        Some((path, to_watch, opened))
    };
    let opened: Vec<_> = folders.into_iter().filter_map(open).collect();
    let to_watch = opened.iter().filter_map(|(path, to_watch, folder)| Some((&**path, folder, (*to_watch)?)));
    let watched = watch.add_all(to_watch);
    let glance = |(path, to_watch, folder): (PathBuf, Option<Identity>, OwnedFd)| {
        let watched = to_watch.filter(|_| watched.contains(&path));
        // one that is not is scanned by itself, which watches what is there, or tells why it cannot
        let is_ready = watched.is_some() || to_watch.is_none();
        let listing = is_ready.then(|| scan::list(folder, &settings.watch.ignore).ok()).flatten();
        let contents = listing.filter(|listing| listing.unknown.is_empty()).map(Contents::from);
        (path, Glance { watched, contents })
    };
    opened.into_iter().map(glance).collect()
}

/// Is there nothing to do in the folder?
async fn needs_no_scan(
    ctx: &Arc<Context>,
    folder: &Folder,
    contents: Option<Contents>,
) -> Result<bool, IntakeError> {
    let Some(Contents { is_mount_point, entries }) = contents else { return Ok(false) };
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
