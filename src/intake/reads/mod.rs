//! Reads of pictures, which a slow file server makes long and a dead one endless. Each is begun once and goes on until
//! it ends; a scan waits for it only briefly, and a later scan takes the result.
//!
//! No file system delays another: each has its own threads. A read that is not brief gives its thread to others of its
//! file system and goes on beside them; there is room for those of a few folders, for they share what little it gives.
//! Nor does a folder delay another, with very many files or with files that take long: so many of its own are read at a
//! time, brief or not, and the others wait behind them.

mod limits;
mod places;

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::task::{JoinError, JoinHandle};

use super::byte_count::ByteCount;
use super::inspect::Inspected;
use crate::files::FileMeta;
use limits::{FileSystem, FolderReads, Holding, Limits, Permit};

/// A read that takes longer gives its thread to others.
const BRIEF: Duration = Duration::from_secs(1);

/// How long a scan waits for a read.
const WAIT: Duration = Duration::from_secs(10);

/// How much longer it waits for one that is not brief.
const LONGER: Duration = WAIT.saturating_sub(BRIEF);

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

const NOT_BEGUN: Reading = Reading::UnderWay(ReadStatus { bytes: None, stuck: false });

/// A file that is to be read.
#[derive(Debug)]
pub(super) struct ToRead {
    pub(super) path: PathBuf,
    /// The answer is about the file that has this metadata, and about no other.
    pub(super) meta: FileMeta,
}

/// A read that is begun now.
#[derive(Debug)]
pub(super) struct Begun {
    /// Which of the files it is.
    pub(super) at: usize,
    /// Counts the bytes of it.
    pub(super) count: ByteCount,
}

/// All reads that go on.
#[derive(Debug)]
pub(super) struct Reads {
    under_way: Mutex<HashMap<PathBuf, Read>>,
    /// By device.
    file_systems: Mutex<HashMap<u64, Arc<FileSystem>>>,
    /// Folders whose files are read now.
    folders: Mutex<HashMap<PathBuf, Weak<FolderReads>>>,
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

    /// Has `work` read these files of one folder, which are on this device, on one thread. It is told which of them, for
    /// some may be read already, and gives back what comes of each. Waits for their end, but not for long.
    pub(super) async fn read(
        self: &Arc<Self>,
        files: &[ToRead],
        device: u64,
        work: impl FnOnce(&[Begun]) -> Vec<Answer> + Send + 'static,
    ) -> Vec<Reading> {
        let mut readings: Vec<_> = files.iter().map(|file| self.begun(file)).collect();
        let begun: Vec<_> = (0..files.len()).filter(|at| readings[*at].is_none()).collect();
        if !begun.is_empty() {
            let paths: Vec<_> = begun.iter().map(|at| files[*at].path.clone()).collect();
            let ended = self.begin(&begun, paths, device, work).await;
            for at in begun {
                readings[at] = match &ended {
                    Some(Ok(())) => taken(&mut self.lock(), &files[at]),
                    Some(Err(broken)) => Some(Reading::Done(Err(io::Error::other(broken.to_string())))),
                    None => None,
                };
            }
        }
        readings.into_iter().map(|reading| reading.unwrap_or(NOT_BEGUN)).collect()
    }

    /// Begins a read, and waits for its end for a while. `None`: there was no thread for it.
    async fn begin(
        self: &Arc<Self>,
        which: &[usize],
        paths: Vec<PathBuf>,
        device: u64,
        work: impl FnOnce(&[Begun]) -> Vec<Answer> + Send + 'static,
    ) -> Option<Result<(), JoinError>> {
        let limits = Limits { file_system: self.file_system(device), folder: self.folder(&paths[0]) };
        let begun = Arc::new(self.counts(which, &paths));
        let Some(permit) = limits.permit().await else {
            self.forget(&paths, &begun, |_| true);
            return None;
        };
        let (all, files, reads) = (self.clone(), paths.clone(), begun.clone());
        let mut work = tokio::task::spawn_blocking(move || all.answer(&files, &reads, work(&reads)));
        if let Ok(ended) = tokio::time::timeout(BRIEF, &mut work).await {
            // what broke off is never answered
            return Some(ended.inspect_err(|_| self.forget(&paths, &begun, |_| true)));
        }
        let ended = tokio::spawn(self.clone().supervise(paths, begun, limits, permit, work));
        Some(tokio::time::timeout(LONGER, ended).await.map_or(Ok(()), Result::flatten))
    }

    fn counts(&self, which: &[usize], paths: &[PathBuf]) -> Vec<Begun> {
        let under_way = self.lock();
        let begun = |(at, path): (&usize, &PathBuf)| {
            let count = under_way.get(path).map(|read| read.count.clone()).unwrap_or_default();
            Begun { at: *at, count }
        };
        which.iter().zip(paths).map(begun).collect()
    }

    fn answer(&self, paths: &[PathBuf], begun: &[Begun], answers: Vec<Answer>) {
        let mut under_way = self.lock();
        for ((path, begun), answer) in paths.iter().zip(begun).zip(answers) {
            if let Some(read) = under_way.get_mut(path).filter(|read| read.count.is(&begun.count)) {
                read.answer = Some(answer);
            }
        }
    }

    /// Forgets these reads only if their counters match; a later read of the same file is left alone.
    fn forget(&self, paths: &[PathBuf], begun: &[Begun], which: impl Fn(&Read) -> bool) {
        let mut under_way = self.lock();
        for (path, begun) in paths.iter().zip(begun) {
            if under_way.get(path).is_some_and(|read| read.count.is(&begun.count) && which(read)) {
                under_way.remove(path);
            }
        }
    }

    /// Stays with a read that is not brief, until it ends.
    async fn supervise(
        self: Arc<Self>,
        paths: Vec<PathBuf>,
        begun: Arc<Vec<Begun>>,
        limits: Limits,
        permit: Permit,
        mut work: JoinHandle<()>,
    ) -> Result<(), JoinError> {
        let mut holding = Holding::slow(&limits, permit);
        let mut before = None;
        let mut patience = LONGER;
        let ended = loop {
            match tokio::time::timeout(patience, &mut work).await {
                Ok(ended) => break ended,
                Err(_) => patience = STUCK,
            }
            let mut under_way = self.lock();
            let bytes: u64 =
                paths.iter().filter_map(|path| under_way.get(path)).map(|read| read.count.bytes()).sum();
            let stuck = before.replace(bytes) == Some(bytes);
            for path in &paths {
                under_way.entry(path.clone()).and_modify(|read| read.stuck = stuck);
            }
            drop(under_way);
            holding = if stuck { holding.or_stuck(&limits) } else { holding.or_very_slow(&limits) };
        };
        // it broke off: nobody will ever answer
        self.forget(&paths, &begun, |read| read.answer.is_none());
        ended
    }

    /// `None`: the file is not being read yet, and now the caller does it.
    fn begun(&self, file: &ToRead) -> Option<Reading> {
        let mut under_way = self.lock();
        if let Some(reading) = taken(&mut under_way, file) {
            return Some(reading);
        }
        if is_crowded(&mut under_way, &file.path) {
            return Some(NOT_BEGUN);
        }
        let read = Read { meta: file.meta, count: ByteCount::default(), stuck: false, answer: None };
        under_way.insert(file.path.clone(), read);
        None
    }

    fn folder(&self, path: &Path) -> Arc<FolderReads> {
        let mut all = self.folders.lock().unwrap_or_else(PoisonError::into_inner);
        let path = path.parent().unwrap_or(path);
        if let Some(folder) = all.get(path).and_then(Weak::upgrade) {
            return folder;
        }
        all.retain(|_, folder| folder.strong_count() > 0);
        let folder = Arc::new(FolderReads::new(self.most_of_folder));
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

/// How far the read of this file is; its answer is taken. `None`: nobody reads it, or what was read was another one.
fn taken(under_way: &mut HashMap<PathBuf, Read>, file: &ToRead) -> Option<Reading> {
    let read = under_way.get(&file.path)?;
    if read.answer.is_none() {
        return Some(Reading::UnderWay(ReadStatus { bytes: Some(read.count.bytes()), stuck: read.stuck }));
    }
    let read = under_way.remove(&file.path)?;
    read.answer.filter(|_| read.meta == file.meta).map(Reading::Done)
}

/// Do too many reads of the file's folder go on? Answers that nobody has taken, because the files are gone, are forgotten then.
fn is_crowded(under_way: &mut HashMap<PathBuf, Read>, path: &Path) -> bool {
    let is_of_folder = |other: &Path| other.parent() == path.parent();
    let count = |reads: &HashMap<PathBuf, Read>| reads.keys().filter(|path| is_of_folder(path)).count();
    if under_way.len() < MAX_OF_FOLDER || count(under_way) < MAX_OF_FOLDER {
        return false;
    }
    under_way.retain(|path, read| read.answer.is_none() || !is_of_folder(path));
    count(under_way) >= MAX_OF_FOLDER
}

#[cfg(test)]
mod tests;
