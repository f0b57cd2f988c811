//! What inotify told and intake has not taken yet. An event means "scan again", never more.
//!
//! The only thing taken from an event beside its folder is that a name was closed after writing or renamed
//! into place. Losing that costs a second of waiting, nothing else.

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use notify::Event;
use notify::event::{AccessKind, AccessMode, EventKind, ModifyKind, RenameMode};
use tokio::sync::Notify;

use super::watch_name;

/// More names than this are not remembered for one folder; the rest settle by themselves.
pub(super) const MAX_NAMES: usize = 4096;

/// Nor more paths of what was moved or removed: then everything is scanned.
const MAX_MOVED_OR_REMOVED: usize = 65_536;

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

/// What inotify told, and of which folders.
#[derive(Debug, Default)]
pub(super) struct PendingEvents {
    events: Mutex<Events>,
    /// The folders, by the numbers of their watches.
    folders: Mutex<Vec<Option<Arc<Path>>>>,
    notify: Notify,
}

impl PendingEvents {
    /// Where events go in.
    pub(super) fn sink(self: &Arc<Self>) -> impl Fn(notify::Result<Event>) + Send + use<> {
        let pending = self.clone();
        move |event| pending.note_event(event)
    }

    /// Resolves when something happened. Nothing that happened before is missed.
    pub(super) async fn happened(&self) {
        self.notify.notified().await;
    }

    /// Was all that happened taken?
    pub(super) fn is_empty(&self) -> bool {
        let events = self.lock();
        !events.lost && events.folders.is_empty()
    }

    /// Takes what happened.
    pub(super) fn take(&self) -> Events {
        std::mem::take(&mut *self.lock())
    }

    /// The watch with this number is of this folder from now on; `None`: of none.
    pub(super) fn set_folder(&self, number: usize, folder: Option<Arc<Path>>) {
        let mut folders = self.folders.lock().unwrap_or_else(PoisonError::into_inner);
        let length = folders.len().max(number + 1);
        folders.resize(length, None);
        folders[number] = folder;
    }

    fn lock(&self) -> MutexGuard<'_, Events> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
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
        let pending = PendingEvents::default();
        pending.note_event(Ok(Event::new(EventKind::Other).set_flag(Flag::Rescan)));
        assert!(pending.lock().lost);
    }

    #[test]
    fn a_close_after_writing_is_remembered_by_name() {
        let pending = PendingEvents::default();
        pending.note_event(Ok(event(EventKind::Modify(ModifyKind::Data(DataChange::Any)))));
        assert!(pending.lock().folders[Path::new("/inbox/OWNBRAND/1")].writing_only);
        pending.note_event(Ok(event(EventKind::Create(CreateKind::File))));
        pending.note_event(Ok(event(EventKind::Access(AccessKind::Close(AccessMode::Write)))));
        let events = pending.lock();
        let events = &events.folders[Path::new("/inbox/OWNBRAND/1")];
        assert!(!events.writing_only && events.closed.contains(std::ffi::OsStr::new("a.jpg")));
    }

    #[test]
    fn our_own_reading_is_no_event() {
        let pending = PendingEvents::default();
        pending.note_event(Ok(event(EventKind::Access(AccessKind::Open(AccessMode::Any)))));
        pending.note_event(Ok(event(EventKind::Access(AccessKind::Close(AccessMode::Read)))));
        assert!(pending.lock().folders.is_empty());
    }
}
