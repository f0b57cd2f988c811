//! inotify, and nothing else: an event means "scan again", never more.
//!
//! The only thing taken from an event beside its folder is that a name was closed after writing or renamed
//! into place. Losing that costs a second of waiting, nothing else.

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use notify::Event;
use notify::event::{AccessKind, AccessMode, EventKind, ModifyKind, RenameMode};
use rustix::fs::inotify::ReadFlags;
use rustix::io::Errno;
use tokio::sync::Notify;

use super::inotify::{self, Happened, Inotify};

/// More names than this are not remembered for one folder; the rest settle by themselves.
const MAX_NAMES: usize = 4096;

/// Nor more paths of what was moved or removed: then everything is scanned.
const MAX_MOVED_OR_REMOVED: usize = 65_536;

/// The reason when this user may not watch more folders.
const LIMIT: &str = "too many are watched: sysctl fs.inotify.max_user_watches";

/// What happened in a folder since the events were taken last.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct FolderEvents {
    /// Names that were closed after writing or renamed into place.
    pub(super) closed: HashSet<OsString>,
    /// Only bytes were written: no hurry.
    pub(super) writing_only: bool,
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
    inotify: Option<Inotify>,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    events: Mutex<Events>,
    notify: Notify,
}

impl Watch {
    /// Begins to watch; without inotify when it is not wanted or not available (then the error says why).
    pub(super) fn new(native: bool) -> (Self, Option<io::Error>) {
        let shared = Arc::new(Shared::default());
        if !native {
            return (Self { inotify: None, shared }, None);
        }
        let told = shared.clone();
        match Inotify::new(move |happened| told.take_in_all(happened)) {
            Ok(inotify) => (Self { inotify: Some(inotify), shared }, None),
            Err(error) => (Self { inotify: None, shared }, Some(error)),
        }
    }

    /// Where events go in.
    pub(super) fn sink(&self) -> impl Fn(notify::Result<Event>) + Send + use<> {
        sink(&self.shared)
    }

    /// Watches a folder (not those in it).
    ///
    /// # Errors
    /// Why it is not watched, and what to do.
    pub(super) fn add(&self, folder: &Path) -> Result<(), String> {
        match &self.inotify {
            Some(inotify) => inotify.add(folder).map_err(why_unwatched),
            None => Err("not watched by inotify".into()),
        }
    }

    /// No longer watches a folder.
    pub(super) fn remove(&self, folder: &Path) {
        if let Some(inotify) = &self.inotify {
            inotify.remove(folder);
        }
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
    inotify::open().map(drop).map_err(|error| no_inotify(&error.into()))
}

/// Why there is no inotify: `inotify_init` fails with `EMFILE` when the user has too many instances.
pub(super) fn no_inotify(error: &io::Error) -> String {
    match Errno::from_io_error(error) {
        Some(Errno::MFILE) => format!(
            "inotify is not available ({error}): sysctl fs.inotify.max_user_instances, or too many open files"
        ),
        _ => format!("inotify is not available ({error})"),
    }
}

/// Why a folder cannot be watched, and what to do: each cause has its own text.
fn why_unwatched(error: Errno) -> String {
    match error {
        Errno::NOSPC => LIMIT.into(),
        Errno::NOENT => "it is not there".into(),
        error => io::Error::from(error).to_string(),
    }
}

fn sink(shared: &Arc<Shared>) -> impl Fn(notify::Result<Event>) + Send + use<> {
    let shared = shared.clone();
    move |event| shared.take_in_event(event)
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, Events> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in what inotify tells.
    fn take_in_all(&self, happened: Vec<Happened>) {
        if happened.is_empty() {
            return;
        }
        for one in happened {
            match one {
                Happened::At(path, what) => self.take_in(&path, what),
                Happened::Lost => self.lock().lost = true,
            }
        }
        self.notify.notify_one();
    }

    fn take_in(&self, path: &Path, what: ReadFlags) {
        const AWAY: ReadFlags = ReadFlags::MOVED_FROM
            .union(ReadFlags::MOVE_SELF)
            .union(ReadFlags::DELETE)
            .union(ReadFlags::DELETE_SELF)
            .union(ReadFlags::IGNORED);
        if what.intersects(AWAY) {
            self.note_moved_or_removed(Some(&path.to_owned()));
        }
        let closed = what.intersects(ReadFlags::CLOSE_WRITE | ReadFlags::MOVED_TO);
        self.note(
            path,
            match () {
                () if closed => Meaning::Closed,
                () if what == ReadFlags::MODIFY => Meaning::Writing,
                () => Meaning::Changed,
            },
        );
    }

    fn take_in_event(&self, event: notify::Result<Event>) {
        match event {
            // paths come second: an overflow has none
            Ok(event) if event.need_rescan() => self.lock().lost = true,
            Ok(event) => match meaning(event.kind) {
                Some(meaning) => {
                    if is_moved_or_removed(event.kind) {
                        self.note_moved_or_removed(event.paths.first());
                    }
                    event.paths.iter().for_each(|path| self.note(path, meaning));
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
        let new = || FolderEvents { closed: HashSet::new(), writing_only: true };
        let events = events.folders.entry(folder.to_owned()).or_insert_with(new);
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

/// inotify watches a folder, not its name, and `notify` drops the watch of one that is moved.
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
        shared.take_in_event(Ok(Event::new(EventKind::Other).set_flag(Flag::Rescan)));
        assert!(shared.lock().lost);
    }

    #[test]
    fn a_close_after_writing_is_remembered_by_name() {
        let shared = Shared::default();
        shared.take_in_event(Ok(event(EventKind::Modify(ModifyKind::Data(DataChange::Any)))));
        assert!(shared.lock().folders[Path::new("/inbox/OWNBRAND/1")].writing_only);
        shared.take_in_event(Ok(event(EventKind::Create(CreateKind::File))));
        shared.take_in_event(Ok(event(EventKind::Access(AccessKind::Close(AccessMode::Write)))));
        let events = shared.lock();
        let events = &events.folders[Path::new("/inbox/OWNBRAND/1")];
        assert!(!events.writing_only && events.closed.contains(std::ffi::OsStr::new("a.jpg")));
    }

    #[test]
    fn a_folder_that_may_not_be_read_is_no_limit() {
        assert_eq!(why_unwatched(Errno::NOSPC), LIMIT);
        assert_eq!(why_unwatched(Errno::ACCESS), "Permission denied (os error 13)");
    }

    #[test]
    fn our_own_reading_is_no_event() {
        let shared = Shared::default();
        shared.take_in_event(Ok(event(EventKind::Access(AccessKind::Open(AccessMode::Any)))));
        shared.take_in_event(Ok(event(EventKind::Access(AccessKind::Close(AccessMode::Read)))));
        assert!(shared.lock().folders.is_empty());
    }
}
