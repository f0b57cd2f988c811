//! Reads of pictures, which a slow file server makes long and a dead one endless. Each is begun once and goes on until
//! it ends; a scan waits for it only briefly, and a later scan takes the result.
//!
//! No file system delays another: each has its own threads. A read that takes long gives its thread to
//! others of its file system; only a few may, for they share what little it gives. Nor does a folder delay another, with
//! very many files or with files that take long: its own wait behind each other, and it never has the last thread.

mod limits;
mod places;

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use super::byte_count::ByteCount;
use super::inspect::Inspected;
use crate::files::FileMeta;
use limits::{FileSystem, Folder, Holding, Limits, Permit};

/// How long a scan waits for a read.
const WAIT: Duration = Duration::from_secs(10);

/// A read that gets no byte for so long is stuck.
const STUCK: Duration = Duration::from_mins(1);

/// So many reads of a folder's files may go on, whatever file systems are mounted there one after the other: each
/// that is stuck keeps a thread.
const MAX_OF_FOLDER: usize = 64;

/// What comes of a read.
pub(super) type Answer = io::Result<Option<Inspected>>;

/// How far a read is.
#[derive(Debug)]
pub(super) enum Reading {
    /// It has ended.
    Done(Answer),
    /// It goes on, or waits until others of its file system have ended.
    UnderWay(ReadStatus),
}

/// A read that goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ReadStatus {
    /// So many bytes were read; `None`: it was not begun yet.
    pub(super) bytes: Option<u64>,
    /// It gets no further.
    pub(super) stuck: bool,
}

/// All reads that go on.
#[derive(Debug)]
pub(super) struct Reads {
    under_way: Mutex<HashMap<PathBuf, Read>>,
    /// By device.
    file_systems: Mutex<HashMap<u64, Arc<FileSystem>>>,
    /// Folders whose files are read now.
    folders: Mutex<HashMap<PathBuf, Weak<Folder>>>,
    most_of_folder: usize,
}

#[derive(Debug)]
struct Read {
    /// What the file was: the answer says nothing about another one.
    meta: FileMeta,
    count: ByteCount,
    stuck: bool,
    answer: Option<Answer>,
}

impl Reads {
    /// So many files of a folder are read side by side.
    pub(super) fn new(most_of_folder: usize) -> Self {
        Self {
            under_way: Mutex::default(),
            file_systems: Mutex::default(),
            folders: Mutex::default(),
            most_of_folder,
        }
    }

    /// Has `work` read the file at `path`, which is on this device and has this metadata. Waits for its end, but not for
    /// long.
    pub(super) async fn read(
        self: &Arc<Self>,
        path: &Path,
        meta: FileMeta,
        device: u64,
        work: impl FnOnce() -> Answer + Send + 'static,
    ) -> Reading {
        if let Some(reading) = self.begun(path, meta) {
            return reading;
        }
        let limits = Limits { file_system: self.file_system(device), folder: self.folder(path) };
        let Some(permit) = limits.permit().await else {
            self.lock().remove(path);
            return Reading::UnderWay(ReadStatus { bytes: None, stuck: false });
        };
        let count = self.lock().get(path).map(|read| read.count.clone()).unwrap_or_default();
        let (all, file) = (self.clone(), path.to_owned());
        let mut work = tokio::task::spawn_blocking(move || {
            let answer = count.during(work);
            if let Some(read) = all.lock().get_mut(&file) {
                read.answer = Some(answer);
            }
        });
        let ended = tokio::time::timeout(WAIT, &mut work).await;
        match ended {
            Ok(Ok(())) => {}
            // nobody will ever answer
            Ok(Err(broken)) => {
                self.lock().remove(path);
                return Reading::Done(Err(io::Error::other(broken)));
            }
            Err(_) => drop(tokio::spawn(self.clone().supervise(path.to_owned(), limits, permit, work))),
        }
        self.begun(path, meta).unwrap_or(Reading::UnderWay(ReadStatus { bytes: None, stuck: false }))
    }

    /// Stays with a read that takes long, until it ends.
    async fn supervise(
        self: Arc<Self>,
        path: PathBuf,
        limits: Limits,
        permit: Permit,
        mut work: tokio::task::JoinHandle<()>,
    ) {
        let mut holding = Holding::keep(&limits, permit).or_slow(&limits);
        let mut before = None;
        while tokio::time::timeout(STUCK, &mut work).await.is_err() {
            let Some(bytes) = self.lock().get(&path).map(|read| read.count.bytes()) else { break };
            let stuck = before.replace(bytes) == Some(bytes);
            if let Some(read) = self.lock().get_mut(&path) {
                read.stuck = stuck;
            }
            holding = if stuck { holding.or_stuck(&limits) } else { holding.or_slow(&limits) };
        }
        let broken = |read: &mut Read| read.answer.is_none();
        // it broke off: nobody will ever answer
        if self.lock().get_mut(&path).is_some_and(broken) {
            self.lock().remove(&path);
        }
    }

    /// `None`: the file is not being read yet, and now the caller does it.
    fn begun(&self, path: &Path, meta: FileMeta) -> Option<Reading> {
        let mut under_way = self.lock();
        let Some(read) = under_way.get(path) else {
            if is_crowded(&under_way, path) {
                return Some(Reading::UnderWay(ReadStatus { bytes: None, stuck: false }));
            }
            let read = Read { meta, count: ByteCount::default(), stuck: false, answer: None };
            under_way.insert(path.to_owned(), read);
            return None;
        };
        if read.answer.is_none() {
            return Some(Reading::UnderWay(ReadStatus {
                bytes: Some(read.count.bytes()),
                stuck: read.stuck,
            }));
        }
        let read = under_way.remove(path)?;
        if read.meta == meta {
            return read.answer.map(Reading::Done);
        }
        drop(under_way);
        self.begun(path, meta)
    }

    fn folder(&self, path: &Path) -> Arc<Folder> {
        let mut all = self.folders.lock().unwrap_or_else(PoisonError::into_inner);
        let path = path.parent().unwrap_or(path);
        if let Some(folder) = all.get(path).and_then(Weak::upgrade) {
            return folder;
        }
        all.retain(|_, folder| folder.strong_count() > 0);
        let folder = Arc::new(Folder::new(self.most_of_folder));
        all.insert(path.to_owned(), Arc::downgrade(&folder));
        folder
    }

    fn file_system(&self, device: u64) -> Arc<FileSystem> {
        let mut all = self.file_systems.lock().unwrap_or_else(PoisonError::into_inner);
        all.entry(device).or_insert_with(|| Arc::new(FileSystem::new(self.most_of_folder))).clone()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<PathBuf, Read>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Do too many reads of the file's folder go on?
fn is_crowded(under_way: &HashMap<PathBuf, Read>, path: &Path) -> bool {
    let of_folder = |other: &&PathBuf| other.parent() == path.parent();
    under_way.len() >= MAX_OF_FOLDER && under_way.keys().filter(of_folder).count() >= MAX_OF_FOLDER
}

#[cfg(test)]
mod tests;
