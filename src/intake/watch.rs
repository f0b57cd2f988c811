//! inotify, and nothing else: which folders it watches, and why it does not watch others.

use std::collections::{HashMap, HashSet};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use notify::{INotifyWatcher, RecursiveMode, Watcher};

use super::events::PendingEvents;
use super::watch_name;
use crate::files::Identity;

const EMFILE: i32 = rustix::io::Errno::MFILE.raw_os_error();

/// The reason when this user may not watch more folders.
const LIMIT: &str = "too many are watched: sysctl fs.inotify.max_user_watches";

/// The reason when a folder is watched already under another path.
const SAME: &str = "it is the same folder as another one of the configuration";

/// The watched folders. Threads that look into folders add them too.
#[derive(Debug)]
pub(super) struct Watch {
    inotify: Option<Mutex<Watches>>,
    pending: Arc<PendingEvents>,
}

/// One watch a folder: inotify has no two of one.
#[derive(Debug)]
struct Watches {
    inotify: INotifyWatcher,
    folders: HashMap<Identity, FolderWatch>,
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

impl Watch {
    /// Begins to watch; without inotify when it is not wanted or not available (then the error says why).
    pub(super) fn new(native: bool) -> (Self, Option<notify::Error>) {
        let pending = Arc::new(PendingEvents::default());
        if !native {
            return (Self::with(None, pending), None);
        }
        match INotifyWatcher::new(pending.sink(), notify::Config::default()) {
            Ok(inotify) => (Self::with(Some(inotify), pending), None),
            Err(error) => (Self::with(None, pending), Some(error)),
        }
    }

    fn with(inotify: Option<INotifyWatcher>, pending: Arc<PendingEvents>) -> Self {
        let watches = |inotify| Mutex::new(Watches { inotify, folders: HashMap::new(), free: Vec::new() });
        Self { inotify: inotify.map(watches), pending }
    }

    /// What inotify told.
    pub(super) fn events(&self) -> &Arc<PendingEvents> {
        &self.pending
    }

    /// Watches a folder (not those in it), which was opened and has this identity.
    pub(super) fn add(&self, path: &Path, open: &OwnedFd, identity: Identity) -> notify::Result<()> {
        let Some(mut watches) = self.watches() else {
            return Err(notify::Error::generic("not watched by inotify"));
        };
        self.add_to(&mut watches, path, open, identity)
    }

    /// As `add`, without a reason for those that cannot be watched. Gives back the others.
    pub(super) fn add_all<'a>(
        &self,
        folders: impl Iterator<Item = (&'a Path, &'a OwnedFd, Identity)>,
    ) -> HashSet<PathBuf> {
        let Some(mut watches) = self.watches() else { return HashSet::new() };
        let mut add = |(path, open, identity)| self.add_to(&mut watches, path, open, identity).is_ok();
        folders.filter(|folder| add(*folder)).map(|(path, ..)| path.to_owned()).collect()
    }

    fn add_to(
        &self,
        watches: &mut Watches,
        path: &Path,
        open: &OwnedFd,
        identity: Identity,
    ) -> notify::Result<()> {
        match watches.folders.get(&identity).map(|watch| *watch.folder == *path) {
            // it may be the watch of one that is gone and had the same number
            Some(true) => self.give_up(watches, identity),
            Some(false) => return Err(notify::Error::generic(SAME)),
            None => {}
        }
        let number = watches.free.pop().unwrap_or(watches.folders.len());
        let descriptor = open.as_raw_fd();
        let folder = Arc::<Path>::from(path);
        self.pending.set_folder(number, Some(folder.clone()));
        let added = watches.inotify.watch(&watch_name::name(number, descriptor), RecursiveMode::NonRecursive);
        match added {
            Ok(()) => drop(watches.folders.insert(identity, FolderWatch { folder, number, descriptor })),
            Err(_) => self.release(watches, number),
        }
        added
    }

    /// At which path this folder is watched.
    pub(super) fn path_of(&self, identity: Identity) -> Option<Arc<Path>> {
        Some(self.watches()?.folders.get(&identity)?.folder.clone())
    }

    /// No longer watches a folder.
    pub(super) fn remove(&self, path: &Path, identity: Identity) {
        let Some(mut watches) = self.watches() else { return };
        if watches.folders.get(&identity).is_some_and(|watch| *watch.folder == *path) {
            self.give_up(&mut watches, identity);
        }
    }

    fn give_up(&self, watches: &mut Watches, identity: Identity) {
        let Some(watch) = watches.folders.remove(&identity) else { return };
        // it fails when the folder is gone, and then its watch is too
        let _ = watches.inotify.unwatch(&watch_name::name(watch.number, watch.descriptor));
        self.release(watches, watch.number);
    }

    fn release(&self, watches: &mut Watches, number: usize) {
        self.pending.set_folder(number, None);
        watches.free.push(number);
    }

    fn watches(&self) -> Option<MutexGuard<'_, Watches>> {
        self.inotify.as_ref().map(|watches| watches.lock().unwrap_or_else(PoisonError::into_inner))
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
pub(super) fn why_unwatched(error: &notify::Error) -> String {
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
        let (watch, error) = Watch::new(true);
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
        let (watch, _) = Watch::new(true);
        watch.add(top.path(), &folder, identity).unwrap();
        watch.add(top.path(), &folder, identity).unwrap();
        let other = Path::new("/another/name");
        let error = watch.add(other, &folder, identity).unwrap_err();
        assert_eq!(why_unwatched(&error), SAME);
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
        let (watch, _) = Watch::new(true);
        std::fs::create_dir(&path).unwrap();
        let (before, identity) = open(&path);
        watch.add(&path, &before, identity).unwrap();
        drop(before);
        std::fs::remove_dir(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        watch.add(&path, &open(&path).0, identity).unwrap();
        watch.events().take();
        std::fs::write(path.join("a.jpg"), "a").unwrap();
        assert_eq!(folder_of_next_event(&watch).await, path);
    }
}
