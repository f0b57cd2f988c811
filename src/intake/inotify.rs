//! Folders that are watched with inotify, and what happens in them.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use rustix::io::{Errno, Result};
use tokio::io::unix::AsyncFd;
use tokio::task::JoinHandle;

/// How many bytes of events are read at a time.
const BUFFER: usize = 16 << 10;

/// Something has happened.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Happened {
    /// At this path: a name in a watched folder, or the folder itself.
    At(PathBuf, ReadFlags),
    /// Events were lost.
    Lost,
}

/// One instance of inotify.
#[derive(Debug)]
pub(super) struct Inotify {
    instance: Arc<OwnedFd>,
    watches: Arc<Mutex<Watches>>,
    reader: JoinHandle<()>,
}

/// Which watch is on which folder.
#[derive(Debug, Default)]
struct Watches {
    by_folder: HashMap<PathBuf, i32>,
    folders: HashMap<i32, PathBuf>,
}

impl Inotify {
    /// Begins, without a folder. `take_in` is called with all that has been read at a time.
    ///
    /// # Errors
    /// When this user has too many instances.
    pub(super) fn new(take_in: impl Fn(Vec<Happened>) + Send + 'static) -> io::Result<Self> {
        let instance = Arc::new(open()?);
        let watches = Arc::<Mutex<Watches>>::default();
        // what it is deprecated for, a descriptor that is closed meanwhile, an owner cannot be
        #[expect(deprecated, reason = "what replaces it is unsafe")]
        let readable = AsyncFd::new(instance.clone())?;
        let events =
            Events { readable, watches: watches.clone(), buffer: vec![MaybeUninit::uninit(); BUFFER] };
        let reader = tokio::spawn(events.read(take_in));
        Ok(Self { instance, watches, reader })
    }

    /// Watches a folder (not those in it). What happens before this returns may be missed.
    ///
    /// # Errors
    /// When it is not there, or too many are watched.
    pub(super) fn add(&self, folder: &Path) -> Result<()> {
        let what = WatchFlags::CREATE
            | WatchFlags::MODIFY
            | WatchFlags::CLOSE_WRITE
            | WatchFlags::ATTRIB
            | WatchFlags::MOVED_FROM
            | WatchFlags::MOVED_TO
            | WatchFlags::DELETE
            | WatchFlags::DELETE_SELF
            | WatchFlags::MOVE_SELF;
        let watch = inotify::add_watch(&*self.instance, folder, what)?;
        let mut watches = lock(&self.watches);
        watches.folders.insert(watch, folder.to_owned());
        watches.by_folder.insert(folder.to_owned(), watch);
        Ok(())
    }

    /// No longer watches a folder.
    pub(super) fn remove(&self, folder: &Path) {
        lock(&self.watches).remove(&self.instance, folder);
    }
}

impl Drop for Inotify {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

/// An instance that watches nothing.
///
/// # Errors
/// When this user has too many.
pub(super) fn open() -> Result<OwnedFd> {
    inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)
}

fn lock(watches: &Mutex<Watches>) -> MutexGuard<'_, Watches> {
    watches.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Watches {
    /// A folder that has another name now keeps its watch, which may be that name's already.
    fn remove(&mut self, instance: &OwnedFd, folder: &Path) {
        let Some(watch) = self.by_folder.remove(folder) else { return };
        if self.folders.get(&watch).is_some_and(|other| other == folder) {
            self.folders.remove(&watch);
            // it fails when the folder is gone, and then its watch is too
            let _ = inotify::remove_watch(instance, watch);
        }
    }

    /// What an event tells. The watch of a folder that was moved or removed is on nothing of ours any more.
    fn happened(&mut self, instance: &OwnedFd, event: &inotify::Event<'_>) -> Option<Happened> {
        if event.events().contains(ReadFlags::QUEUE_OVERFLOW) {
            return Some(Happened::Lost);
        }
        let folder = self.folders.get(&event.wd())?;
        let path = match event.file_name() {
            Some(name) => folder.join(OsStr::from_bytes(name.to_bytes())),
            None => folder.clone(),
        };
        let away = ReadFlags::MOVED_FROM | ReadFlags::DELETE | ReadFlags::DELETE_SELF | ReadFlags::IGNORED;
        if event.events().intersects(away) {
            self.remove(instance, &path);
        }
        Some(Happened::At(path, event.events()))
    }
}

/// What is read of an instance.
struct Events {
    readable: AsyncFd<Arc<OwnedFd>>,
    watches: Arc<Mutex<Watches>>,
    buffer: Vec<MaybeUninit<u8>>,
}

impl Events {
    async fn read(mut self, take_in: impl Fn(Vec<Happened>)) {
        while let Ok(mut ready) = self.readable.readable().await {
            let instance = self.readable.get_ref();
            let mut reader = Reader::new(instance, &mut self.buffer);
            let mut happened = Vec::new();
            loop {
                match reader.next() {
                    Ok(event) => happened.extend(lock(&self.watches).happened(instance, &event)),
                    Err(Errno::INTR) => {}
                    Err(Errno::AGAIN) => break,
                    Err(_) => {
                        happened.push(Happened::Lost);
                        break;
                    }
                }
            }
            ready.clear_ready();
            take_in(happened);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use tokio::sync::mpsc;

    fn watching() -> (Inotify, mpsc::UnboundedReceiver<Happened>) {
        let (sender, happened) = mpsc::unbounded_channel();
        let take_in = move |all: Vec<Happened>| all.into_iter().for_each(|one| drop(sender.send(one)));
        (Inotify::new(take_in).unwrap(), happened)
    }

    /// The paths of what happens, up to this one.
    async fn until(
        happened: &mut mpsc::UnboundedReceiver<Happened>,
        path: &Path,
    ) -> Vec<(PathBuf, ReadFlags)> {
        let mut all = Vec::new();
        while all.last().is_none_or(|(last, _)| last != path) {
            match happened.recv().await {
                Some(Happened::At(path, what)) => all.push((path, what)),
                other => panic!("{other:?}"),
            }
        }
        all
    }

    #[tokio::test]
    async fn what_happens_in_a_watched_folder_is_told_and_our_own_reading_is_not() {
        let place = tempfile::tempdir().unwrap();
        let (inotify, mut happened) = watching();
        inotify.add(place.path()).unwrap();
        let (a, b) = (place.path().join("a"), place.path().join("b"));
        fs::write(&a, "x").unwrap();
        fs::read(&a).unwrap();
        fs::rename(&a, &b).unwrap();
        let all = until(&mut happened, &b).await;
        let what: Vec<_> = all.iter().map(|(_, what)| *what).collect();
        let (written, moved) = what.split_at(3);
        assert_eq!(written, [ReadFlags::CREATE, ReadFlags::MODIFY, ReadFlags::CLOSE_WRITE]);
        assert_eq!(moved, [ReadFlags::MOVED_FROM, ReadFlags::MOVED_TO]);
        inotify.remove(place.path());
        assert!(lock(&inotify.watches).folders.is_empty());
        assert_eq!(inotify.add(&a), Err(Errno::NOENT));
    }

    #[tokio::test]
    async fn a_folder_that_was_renamed_is_watched_under_its_new_name_only() {
        let place = tempfile::tempdir().unwrap();
        let (inotify, mut happened) = watching();
        let (old, new, end) = (place.path().join("1"), place.path().join("2"), place.path().join("3"));
        fs::create_dir(&old).unwrap();
        inotify.add(place.path()).unwrap();
        inotify.add(&old).unwrap();
        fs::rename(&old, &new).unwrap();
        // before the rename was heard of
        inotify.add(&new).unwrap();
        fs::write(&end, "").unwrap();
        until(&mut happened, &end).await;
        fs::write(new.join("a"), "").unwrap();
        until(&mut happened, &new.join("a")).await;
        fs::remove_dir_all(&new).unwrap();
        fs::remove_file(&end).unwrap();
        until(&mut happened, &end).await;
        let watches = lock(&inotify.watches);
        assert_eq!(watches.folders.len(), 1, "{watches:?}");
        assert_eq!(watches.by_folder.len(), 1);
    }
}
