//! inotify, and nothing else: which folders it watches, and why it does not watch others.

use std::collections::{HashMap, HashSet};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use notify::{INotifyWatcher, RecursiveMode, Watcher};

use super::devices::RemoteDevices;
use super::events::PendingEvents;
use super::watch_name;
use crate::config::WatchMode;
use crate::files::{self, Identity};

const EMFILE: i32 = rustix::io::Errno::MFILE.raw_os_error();

/// The reason when this user may not watch more folders.
const LIMIT: &str = "too many are watched: sysctl fs.inotify.max_user_watches";

/// The reason when a folder is watched already under another path.
const SAME: &str = "it is the same folder as another one of the configuration";

/// The watched folders. Whoever opens a folder, beside intake's loop, has it watched; the loop gives watches up, and waits
/// for nobody.
#[derive(Debug)]
pub(super) struct Watch {
    mode: WatchMode,
    devices: RemoteDevices,
    inotify: Option<Mutex<INotifyWatcher>>,
    watches: Mutex<Watches>,
    pending: Arc<PendingEvents>,
}

/// One watch a folder: inotify has no two of one.
#[derive(Debug, Default)]
struct Watches {
    folders: HashMap<Identity, FolderWatch>,
    /// Watches that were given up, of which inotify does not know that yet.
    given_up: Vec<FolderWatch>,
    /// Numbers below that of the latest watch that no watch has.
    free: Vec<usize>,
}

#[derive(Debug)]
struct FolderWatch {
    folder: Arc<Path>,
    number: usize,
    /// The descriptor that it was watched by.
    descriptor: RawFd,
}

/// Why a folder is not watched.
#[derive(Debug)]
pub(super) enum Unwatched {
    /// Another one is in its place.
    Replaced,
    /// It is polled, for this reason.
    Polled(PollReason),
}

/// Why a folder is polled although inotify is wanted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum PollReason {
    /// It is on this network file system.
    Remote(&'static str),
    /// It cannot be watched, for this reason.
    Unwatched(String),
    /// So much happens in it that its events would fill the queue of all.
    Flooded(PathBuf),
}

impl Watch {
    /// Begins to watch; without inotify when it is not wanted or not available (then the error says why).
    pub(super) fn new(mode: WatchMode, devices: RemoteDevices) -> (Self, Option<notify::Error>) {
        let pending = Arc::new(PendingEvents::default());
        let (inotify, error) = match mode {
            WatchMode::Poll => (None, None),
            WatchMode::Auto | WatchMode::Native => {
                match INotifyWatcher::new(pending.sink(), notify::Config::default()) {
                    Ok(inotify) => (Some(Mutex::new(inotify)), None),
                    Err(error) => (None, Some(error)),
                }
            }
        };
        (Self { mode, devices, inotify, watches: Mutex::default(), pending }, error)
    }

    /// Are folders to be watched at all?
    pub(super) fn is_wanted(&self) -> bool {
        self.mode != WatchMode::Poll
    }

    /// What inotify told.
    pub(super) fn events(&self) -> &Arc<PendingEvents> {
        &self.pending
    }

    /// Watches a folder (not those in it), which was opened, if it has this identity and inotify sees all that happens in
    /// it. A file system is asked for that, which may take its time.
    ///
    /// # Errors
    /// Why it is not watched.
    pub(super) fn add(&self, path: &Path, open: &OwnedFd, identity: Identity) -> Result<(), Unwatched> {
        let unwatched = |why: String| Unwatched::Polled(PollReason::Unwatched(why));
        if files::identity_of(open).map_err(|error| unwatched(error.to_string()))? != identity {
            return Err(Unwatched::Replaced);
        }
        let remote = self.devices.learn(open).map_err(|error| unwatched(error.to_string()))?;
        // who serves a file system in user space could hold up inotify's thread, and so all others
        if let Some(name) = remote.filter(|name| self.mode == WatchMode::Auto || *name == files::FUSE) {
            return Err(Unwatched::Polled(PollReason::Remote(name)));
        }
        let watched = match self.inotify() {
            Some(mut inotify) => self.add_to(&mut inotify, path, open, identity),
            None => Err(notify::Error::generic("not watched by inotify")),
        };
        watched.map_err(|error| unwatched(why_unwatched(&error)))
    }

    /// As `add`, of folders that are known to be on local disks: which of them are watched.
    pub(super) fn add_all<'a>(
        &self,
        folders: impl Iterator<Item = (&'a Path, &'a OwnedFd, Identity)>,
    ) -> HashSet<PathBuf> {
        let Some(mut inotify) = self.inotify() else { return HashSet::new() };
        let is_same = |open, identity| files::identity_of(open).is_ok_and(|there| there == identity);
        let mut add = |(path, open, identity)| {
            is_same(open, identity) && self.add_to(&mut inotify, path, open, identity).is_ok()
        };
        folders.filter(|folder| add(*folder)).map(|(path, ..)| path.to_owned()).collect()
    }

    fn add_to(
        &self,
        inotify: &mut INotifyWatcher,
        path: &Path,
        open: &OwnedFd,
        identity: Identity,
    ) -> notify::Result<()> {
        match self.path_of(identity).map(|watched| *watched == *path) {
            // it may be the watch of one that is gone and had the same number
            Some(true) => self.remove(path, identity),
            Some(false) => return Err(notify::Error::generic(SAME)),
            None => {}
        }
        self.end_given_up(inotify);
        let number = self.watches().take_number();
        let (folder, descriptor) = (Arc::<Path>::from(path), open.as_raw_fd());
        self.pending.set_folder(number, Some(folder.clone()));
        let added = inotify.watch(&watch_name::name(number, descriptor), RecursiveMode::NonRecursive);
        let mut watches = self.watches();
        if added.is_ok() {
            watches.folders.insert(identity, FolderWatch { folder, number, descriptor });
        } else {
            self.pending.set_folder(number, None);
            watches.free.push(number);
        }
        added
    }

    /// At which path this folder is watched.
    pub(super) fn path_of(&self, identity: Identity) -> Option<Arc<Path>> {
        Some(self.watches().folders.get(&identity)?.folder.clone())
    }

    /// No longer watches a folder: nothing is told of it from now on. inotify hears of it with the next watch, or by `tidy`.
    pub(super) fn remove(&self, path: &Path, identity: Identity) {
        let mut watches = self.watches();
        if watches.folders.get(&identity).is_some_and(|watch| *watch.folder == *path)
            && let Some(watch) = watches.folders.remove(&identity)
        {
            self.pending.set_folder(watch.number, None);
            watches.given_up.push(watch);
        }
    }

    /// Does inotify still watch folders that were given up?
    pub(super) fn is_tidy(&self) -> bool {
        self.watches().given_up.is_empty()
    }

    /// Tells inotify what was given up. Takes microseconds each.
    pub(super) fn tidy(&self) {
        if let Some(mut inotify) = self.inotify() {
            self.end_given_up(&mut inotify);
        }
    }

    fn end_given_up(&self, inotify: &mut INotifyWatcher) {
        let given_up = std::mem::take(&mut self.watches().given_up);
        for watch in &given_up {
            // it fails when the folder is gone, and then its watch is too
            let _ = inotify.unwatch(&watch_name::name(watch.number, watch.descriptor));
        }
        self.watches().free.extend(given_up.iter().map(|watch| watch.number));
    }

    fn inotify(&self) -> Option<MutexGuard<'_, INotifyWatcher>> {
        self.inotify.as_ref().map(|inotify| inotify.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn watches(&self) -> MutexGuard<'_, Watches> {
        self.watches.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watches {
    /// Only who holds inotify takes one, and has its watch in the map before anybody else does.
    fn take_number(&mut self) -> usize {
        self.free.pop().unwrap_or(self.folders.len() + self.given_up.len())
    }
}

/// Can this user watch folders at all?
///
/// # Errors
/// Why not, and what to do.
pub fn inotify_available() -> Result<(), String> {
    INotifyWatcher::new(|_| {}, notify::Config::default()).map(drop).map_err(|error| no_inotify(&error))
}

/// Why there is no inotify: `inotify_init` fails with `EMFILE` when the user has too many instances.
pub(super) fn no_inotify(error: &notify::Error) -> String {
    let too_many =
        matches!(&error.kind, notify::ErrorKind::Io(error) if error.raw_os_error() == Some(EMFILE));
    match too_many {
        true => format!(
            "inotify is not available ({error}): sysctl fs.inotify.max_user_instances, or too many open files"
        ),
        false => format!("inotify is not available ({error})"),
    }
}

/// Why a folder cannot be watched, and what to do: each cause has its own text.
fn why_unwatched(error: &notify::Error) -> String {
    const ENOSPC: i32 = rustix::io::Errno::NOSPC.raw_os_error();
    match &error.kind {
        notify::ErrorKind::MaxFilesWatch => LIMIT.into(),
        notify::ErrorKind::Io(error) if error.raw_os_error() == Some(ENOSPC) => LIMIT.into(),
        notify::ErrorKind::Io(error) => error.to_string(),
        notify::ErrorKind::PathNotFound => "it is not there".into(),
        notify::ErrorKind::Generic(text) => text.clone(),
        other => format!("{other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_may_not_be_read_is_no_limit() {
        let io = |error: rustix::io::Errno| notify::Error::io(error.into());
        assert_eq!(why_unwatched(&io(rustix::io::Errno::NOSPC)), LIMIT);
        assert_eq!(why_unwatched(&notify::Error::new(notify::ErrorKind::MaxFilesWatch)), LIMIT);
        assert_eq!(why_unwatched(&io(rustix::io::Errno::ACCESS)), "Permission denied (os error 13)");
    }

    /// A folder in a test, opened as intake does.
    fn open(path: &Path) -> (OwnedFd, Identity) {
        let folder = crate::files::open_named_folder(path).unwrap();
        let identity = crate::files::identity_of(&folder).unwrap();
        (folder, identity)
    }

    async fn folder_of_next_event(watch: &Watch) -> PathBuf {
        loop {
            watch.events().happened().await;
            if let Some(folder) = watch.events().take().folders.into_keys().next() {
                return folder;
            }
        }
    }

    /// For the moment in which it is watched, its owner puts a link to another one in its place.
    #[tokio::test]
    async fn a_link_in_a_folders_place_steals_no_events() {
        let top = tempfile::tempdir().unwrap();
        let path = |name: &str| top.path().join(name);
        for name in ["theirs", "mine"] {
            std::fs::create_dir(path(name)).unwrap();
        }
        let (watch, error) = Watch::new(WatchMode::Native, RemoteDevices::default());
        assert!(error.is_none(), "{error:?}");
        let (theirs, mine) = (open(&path("theirs")), open(&path("mine")));
        watch.add(&path("theirs"), &theirs.0, theirs.1).unwrap();
        std::fs::rename(path("mine"), path("before")).unwrap();
        std::os::unix::fs::symlink("theirs", path("mine")).unwrap();
        watch.add(&path("mine"), &mine.0, mine.1).unwrap();
        std::fs::write(path("theirs/a.jpg"), "a").unwrap();
        assert_eq!(folder_of_next_event(&watch).await, path("theirs"));
        watch.remove(&path("mine"), mine.1);
        watch.events().take();
        std::fs::write(path("theirs/b.jpg"), "b").unwrap();
        assert_eq!(folder_of_next_event(&watch).await, path("theirs"), "it is still watched");
    }

    /// inotify has one watch of a folder, whatever paths lead to it.
    #[tokio::test]
    async fn a_folder_is_watched_by_one_path() {
        let top = tempfile::tempdir().unwrap();
        let (folder, identity) = open(top.path());
        let (watch, _) = Watch::new(WatchMode::Native, RemoteDevices::default());
        watch.add(top.path(), &folder, identity).unwrap();
        watch.add(top.path(), &folder, identity).unwrap();
        let other = Path::new("/another/name");
        let error = watch.add(other, &folder, identity).unwrap_err();
        let is_same = |why: &str| why == SAME;
        assert!(matches!(&error, Unwatched::Polled(PollReason::Unwatched(why)) if is_same(why)), "{error:?}");
        watch.remove(other, identity);
        assert_eq!(watch.path_of(identity).as_deref(), Some(top.path()));
        watch.remove(top.path(), identity);
        watch.add(other, &folder, identity).unwrap();
        std::fs::write(top.path().join("a.jpg"), "a").unwrap();
        assert_eq!(folder_of_next_event(&watch).await, other);
    }

    /// The watch of a folder that is gone is gone too, and another folder may have its number.
    #[tokio::test]
    async fn a_folder_with_the_number_of_one_before_is_watched() {
        let top = tempfile::tempdir().unwrap();
        let path = top.path().join("a");
        let (watch, _) = Watch::new(WatchMode::Native, RemoteDevices::default());
        std::fs::create_dir(&path).unwrap();
        let (before, identity) = open(&path);
        watch.add(&path, &before, identity).unwrap();
        drop(before);
        std::fs::remove_dir(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        let after = open(&path).0;
        watch.add_to(&mut watch.inotify().unwrap(), &path, &after, identity).unwrap();
        watch.events().take();
        std::fs::write(path.join("a.jpg"), "a").unwrap();
        assert_eq!(folder_of_next_event(&watch).await, path);
    }

    /// The number of a watch is free when inotify knows that it was given up, and no two watches have one.
    #[tokio::test]
    async fn watches_that_were_given_up_are_told_to_inotify_with_the_next() {
        let top = tempfile::tempdir().unwrap();
        let paths: Vec<_> = (0..4).map(|number| top.path().join(number.to_string())).collect();
        let (watch, _) = Watch::new(WatchMode::Native, RemoteDevices::default());
        let add = |path: &PathBuf| {
            std::fs::create_dir_all(path).unwrap();
            let (folder, identity) = open(path);
            watch.add(path, &folder, identity).unwrap();
            (path.clone(), identity, folder)
        };
        let before: Vec<_> = paths[..3].iter().map(add).collect();
        before[..2].iter().for_each(|(path, identity, _)| watch.remove(path, *identity));
        assert!(!watch.is_tidy());
        add(&paths[3]);
        add(&paths[0]);
        assert!(watch.is_tidy());
        let numbers: HashSet<_> = watch.watches().folders.values().map(|watch| watch.number).collect();
        assert_eq!(numbers.len(), 3);
        std::fs::write(paths[0].join("a.jpg"), "a").unwrap();
        assert_eq!(folder_of_next_event(&watch).await, paths[0]);
        watch.remove(&paths[3], open(&paths[3]).1);
        watch.tidy();
        assert!(watch.is_tidy());
    }
}
