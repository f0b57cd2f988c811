//! inotify, and nothing else: an event means "scan again", never more.
//!
//! The only thing taken from an event beside its folder is that a name was closed after writing or renamed
//! into place. Losing that costs a second of waiting, nothing else.

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use notify::event::{AccessKind, AccessMode, EventKind, ModifyKind, RenameMode};
use notify::{Event, INotifyWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;

use super::watch_name;
use crate::files::Identity;

const EMFILE: i32 = rustix::io::Errno::MFILE.raw_os_error();

/// More names than this are not remembered for one folder; the rest settle by themselves.
pub(super) const MAX_NAMES: usize = 4096;

/// Nor more paths of what was moved or removed: then everything is scanned.
const MAX_MOVED_OR_REMOVED: usize = 65_536;

/// The reason when this user may not watch more folders.
const LIMIT: &str = "too many are watched: sysctl fs.inotify.max_user_watches";

/// The reason when a folder is watched already under another path.
const SAME: &str = "it is the same folder as another one of the configuration";

/// What happened in a folder since the events were taken last.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct FolderEvents {
    /// Names that were closed after writing or renamed into place.
    pub(super) closed: HashSet<OsString>,
    /// Only bytes were written: no hurry.
    pub(super) writing_only: bool,
    /// How many events there were.
    pub(super) count: u32,
}

/// What happened since the events were taken last.
#[derive(Debug, Default)]
pub(super) struct Events {
    pub(super) folders: HashMap<PathBuf, FolderEvents>,
    /// Paths that were moved away or removed: if they were watched folders, they no longer are.
    pub(super) moved_or_removed: HashSet<PathBuf>,
    /// Events were lost: everything must be scanned.
    pub(super) lost: bool,
}

/// The watched folders.
#[derive(Debug)]
pub(super) struct Watch {
    inotify: Option<INotifyWatcher>,
    /// One watch a folder: inotify has no two of one.
    watches: HashMap<Identity, FolderWatch>,
    /// Numbers below that of the latest watch that no watch has.
    free: Vec<usize>,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct FolderWatch {
    folder: Arc<Path>,
    number: usize,
    name: PathBuf,
}

#[derive(Debug, Default)]
struct Shared {
    events: Mutex<Events>,
    /// The folders, by the numbers of their watches.
    folders: Mutex<Vec<Option<Arc<Path>>>>,
    notify: Notify,
}

impl Watch {
    /// Begins to watch; without inotify when it is not wanted or not available (then the error says why).
    pub(super) fn new(native: bool) -> (Self, Option<notify::Error>) {
        let shared = Arc::new(Shared::default());
        if !native {
            return (Self::with(None, shared), None);
        }
        match INotifyWatcher::new(sink(&shared), notify::Config::default()) {
            Ok(inotify) => (Self::with(Some(inotify), shared), None),
            Err(error) => (Self::with(None, shared), Some(error)),
        }
    }

    fn with(inotify: Option<INotifyWatcher>, shared: Arc<Shared>) -> Self {
        Self { inotify, watches: HashMap::new(), free: Vec::new(), shared }
    }

    /// Where events go in.
    pub(super) fn sink(&self) -> impl Fn(notify::Result<Event>) + Send + use<> {
        sink(&self.shared)
    }

    /// Watches a folder (not those in it), which was opened and has this identity.
    pub(super) fn add(&mut self, folder: &Path, open: &OwnedFd, identity: Identity) -> notify::Result<()> {
        let Some(inotify) = &mut self.inotify else {
            return Err(notify::Error::generic("not watched by inotify"));
        };
        if let Some(watch) = self.watches.get(&identity) {
            return match *watch.folder == *folder {
                true => Ok(()),
                false => Err(notify::Error::generic(SAME)),
            };
        }
        let number = self.free.pop().unwrap_or(self.watches.len());
        let name = watch_name::name(number, open);
        let folder = Arc::<Path>::from(folder);
        self.shared.set_folder(number, Some(folder.clone()));
        let added = inotify.watch(&name, RecursiveMode::NonRecursive);
        match added {
            Ok(()) => drop(self.watches.insert(identity, FolderWatch { folder, number, name })),
            Err(_) => self.release(number),
        }
        added
    }

    /// At which path this folder is watched.
    pub(super) fn path_of(&self, identity: Identity) -> Option<&Path> {
        self.watches.get(&identity).map(|watch| &*watch.folder)
    }

    /// No longer watches a folder.
    pub(super) fn remove(&mut self, folder: &Path, identity: Identity) {
        if self.path_of(identity) != Some(folder) {
            return;
        }
        let Some(watch) = self.watches.remove(&identity) else { return };
        if let Some(inotify) = &mut self.inotify {
            // it fails when the folder is gone, and then its watch is too
            let _ = inotify.unwatch(&watch.name);
        }
        self.release(watch.number);
    }

    fn release(&mut self, number: usize) {
        self.shared.set_folder(number, None);
        self.free.push(number);
    }

    /// Resolves when something happened. Nothing that happened before is missed.
    pub(super) async fn happened(&self) {
        self.shared.notify.notified().await;
    }

    /// Did anything happen that was not taken yet?
    pub(super) fn has_events(&self) -> bool {
        let events = self.shared.lock();
        events.lost || !events.folders.is_empty()
    }

    /// Takes what happened.
    pub(super) fn take(&self) -> Events {
        std::mem::take(&mut *self.shared.lock())
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

fn sink(shared: &Arc<Shared>) -> impl Fn(notify::Result<Event>) + Send + use<> {
    let shared = shared.clone();
    move |event| shared.note_event(event)
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, Events> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_folder(&self, number: usize, folder: Option<Arc<Path>>) {
        let mut folders = self.folders.lock().unwrap_or_else(PoisonError::into_inner);
        let length = folders.len().max(number + 1);
        folders.resize(length, None);
        folders[number] = folder;
    }

    /// The path that an event tells of; `None`: its folder is no longer watched.
    fn path(&self, path: &Path) -> Option<PathBuf> {
        let Some((number, file)) = watch_name::read(path) else { return Some(path.to_owned()) };
        let folders = self.folders.lock().unwrap_or_else(PoisonError::into_inner);
        let folder = folders.get(number)?.as_deref()?;
        Some(file.map_or_else(|| folder.to_owned(), |file| folder.join(file)))
    }

    fn note_event(&self, event: notify::Result<Event>) {
        match event {
            // paths come second: an overflow has none
            Ok(event) if event.need_rescan() => self.lock().lost = true,
            Ok(event) => match meaning(event.kind) {
                Some(meaning) => {
                    let paths: Vec<_> = event.paths.iter().filter_map(|path| self.path(path)).collect();
                    if is_moved_or_removed(event.kind) {
                        self.note_moved_or_removed(paths.first());
                    }
                    for path in &paths {
                        self.note(path, meaning);
                    }
                }
                None => return,
            },
            Err(_) => self.lock().lost = true,
        }
        self.notify.notify_one();
    }

    fn note_moved_or_removed(&self, path: Option<&PathBuf>) {
        let mut events = self.lock();
        events.moved_or_removed.extend(path.cloned());
        if events.moved_or_removed.len() > MAX_MOVED_OR_REMOVED {
            events.moved_or_removed.clear();
            events.lost = true;
        }
    }

    fn note(&self, path: &Path, meaning: Meaning) {
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
            return;
        };
        let mut events = self.lock();
        let new = || FolderEvents { closed: HashSet::new(), writing_only: true, count: 0 };
        let events = events.folders.entry(folder.to_owned()).or_insert_with(new);
        events.count = events.count.saturating_add(1);
        events.writing_only &= meaning == Meaning::Writing;
        if meaning == Meaning::Closed && events.closed.len() < MAX_NAMES {
            events.closed.insert(name.to_owned());
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    Closed,
    Changed,
    Writing,
}

/// Our own reading raises events too (open, close without writing): those mean nothing.
fn meaning(kind: EventKind) -> Option<Meaning> {
    match kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write))
        | EventKind::Modify(ModifyKind::Name(RenameMode::To | RenameMode::Both)) => Some(Meaning::Closed),
        EventKind::Modify(ModifyKind::Data(_)) => Some(Meaning::Writing),
        EventKind::Access(_) => None,
        _ => Some(Meaning::Changed),
    }
}

/// inotify watches a folder, not its name: that of one that is moved tells of another place.
fn is_moved_or_removed(kind: EventKind) -> bool {
    use RenameMode::{Any, Both, From};
    matches!(kind, EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(From | Both | Any)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use notify::event::{CreateKind, DataChange, Flag};

    fn event(kind: EventKind) -> Event {
        Event::new(kind).add_path("/inbox/OWNBRAND/1/a.jpg".into())
    }

    #[test]
    fn an_overflow_means_scan_everything() {
        let shared = Shared::default();
        shared.note_event(Ok(Event::new(EventKind::Other).set_flag(Flag::Rescan)));
        assert!(shared.lock().lost);
    }

    #[test]
    fn a_close_after_writing_is_remembered_by_name() {
        let shared = Shared::default();
        shared.note_event(Ok(event(EventKind::Modify(ModifyKind::Data(DataChange::Any)))));
        assert!(shared.lock().folders[Path::new("/inbox/OWNBRAND/1")].writing_only);
        shared.note_event(Ok(event(EventKind::Create(CreateKind::File))));
        shared.note_event(Ok(event(EventKind::Access(AccessKind::Close(AccessMode::Write)))));
        let events = shared.lock();
        let events = &events.folders[Path::new("/inbox/OWNBRAND/1")];
        assert!(!events.writing_only && events.closed.contains(std::ffi::OsStr::new("a.jpg")));
    }

    #[test]
    fn a_folder_that_may_not_be_read_is_no_limit() {
        let io = |error: rustix::io::Errno| notify::Error::io(error.into());
        assert_eq!(why_unwatched(&io(rustix::io::Errno::NOSPC)), LIMIT);
        assert_eq!(why_unwatched(&notify::Error::new(notify::ErrorKind::MaxFilesWatch)), LIMIT);
        assert_eq!(why_unwatched(&io(rustix::io::Errno::ACCESS)), "Permission denied (os error 13)");
    }

    #[test]
    fn our_own_reading_is_no_event() {
        let shared = Shared::default();
        shared.note_event(Ok(event(EventKind::Access(AccessKind::Open(AccessMode::Any)))));
        shared.note_event(Ok(event(EventKind::Access(AccessKind::Close(AccessMode::Read)))));
        assert!(shared.lock().folders.is_empty());
    }

    /// A folder in a test, opened as intake does.
    fn open(path: &Path) -> (OwnedFd, Identity) {
        let folder = crate::files::open_named_folder(path).unwrap();
        let identity = crate::files::identity_of(&folder).unwrap();
        (folder, identity)
    }

    async fn folder_of_next_event(watch: &Watch) -> PathBuf {
        loop {
            watch.happened().await;
            if let Some(folder) = watch.take().folders.into_keys().next() {
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
        let (mut watch, error) = Watch::new(true);
        assert!(error.is_none(), "{error:?}");
        let (theirs, mine) = (open(&path("theirs")), open(&path("mine")));
        watch.add(&path("theirs"), &theirs.0, theirs.1).unwrap();
        std::fs::rename(path("mine"), path("before")).unwrap();
        std::os::unix::fs::symlink("theirs", path("mine")).unwrap();
        watch.add(&path("mine"), &mine.0, mine.1).unwrap();
        std::fs::write(path("theirs/a.jpg"), "a").unwrap();
        assert_eq!(folder_of_next_event(&watch).await, path("theirs"));
        watch.remove(&path("mine"), mine.1);
        watch.take();
        std::fs::write(path("theirs/b.jpg"), "b").unwrap();
        assert_eq!(folder_of_next_event(&watch).await, path("theirs"), "it is still watched");
    }

    /// inotify has one watch of a folder, whatever paths lead to it.
    #[tokio::test]
    async fn a_folder_is_watched_by_one_path() {
        let top = tempfile::tempdir().unwrap();
        let (folder, identity) = open(top.path());
        let (mut watch, _) = Watch::new(true);
        watch.add(top.path(), &folder, identity).unwrap();
        watch.add(top.path(), &folder, identity).unwrap();
        let other = Path::new("/another/name");
        let error = watch.add(other, &folder, identity).unwrap_err();
        assert_eq!(why_unwatched(&error), SAME);
        watch.remove(other, identity);
        assert_eq!(watch.path_of(identity), Some(top.path()));
        watch.remove(top.path(), identity);
        watch.add(other, &folder, identity).unwrap();
        std::fs::write(top.path().join("a.jpg"), "a").unwrap();
        assert_eq!(folder_of_next_event(&watch).await, other);
    }
}
