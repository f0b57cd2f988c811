//! Reads of pictures, which a slow file server makes long and a dead one endless. Each is begun once and goes on until
//! it ends; a look that does not want to wait for it leaves, and a later one takes what came of it.
//!
//! File systems do not hold each other up: each has its own threads. A read that takes long gives its thread to
//! others of its file system; only a few may, for they share what little it gives.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::inspect::Inspected;
use crate::files::FileMeta;

/// So long a look waits for a read.
const SHORT: Duration = Duration::from_secs(10);

/// A read that gets no byte further for so long is stuck.
const STUCK: Duration = Duration::from_mins(1);

/// Who waits for a thread asks so often whether those who have them take long.
const ASK: Duration = Duration::from_secs(1);

/// So many reads of one file system may go on beside its threads: slow ones, and stuck ones.
const MOST_SLOW: usize = 4;
const MOST_STUCK: usize = 16;

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
    at_once: usize,
}

#[derive(Debug)]
struct Read {
    /// What the file looked like: of another one the answer says nothing.
    look: FileMeta,
    count: ByteCount,
    stuck: bool,
    answer: Option<Answer>,
}

/// The threads that read from a file system, and how it behaves.
#[derive(Debug)]
struct FileSystem {
    threads: Arc<Semaphore>,
    /// Slow and stuck reads beside the threads, and slow ones on a thread.
    slow: AtomicUsize,
    stuck: AtomicUsize,
    slow_on_threads: AtomicUsize,
}

impl Reads {
    /// So many side by side on each file system.
    pub(super) fn new(at_once: usize) -> Self {
        Self { under_way: Mutex::default(), file_systems: Mutex::default(), at_once }
    }

    /// Has `work` read the file at `path`, which lies on this device and looks like this. Waits for its end, but not for
    /// long.
    pub(super) async fn read(
        self: &Arc<Self>,
        path: &Path,
        look: FileMeta,
        device: u64,
        work: impl FnOnce() -> Answer + Send + 'static,
    ) -> Reading {
        if let Some(reading) = self.begun(path, look) {
            return reading;
        }
        let file_system = self.file_system(device);
        let Some(thread) = file_system.thread().await else {
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
        let ended = tokio::time::timeout(SHORT, &mut work).await;
        match ended {
            Ok(Ok(())) => {}
            // nobody will ever answer
            Ok(Err(broken)) => {
                self.lock().remove(path);
                return Reading::Done(Err(io::Error::other(broken)));
            }
            Err(_) => drop(tokio::spawn(self.clone().outlast(path.to_owned(), file_system, thread, work))),
        }
        self.begun(path, look).unwrap_or(Reading::UnderWay(ReadStatus { bytes: None, stuck: false }))
    }

    /// Stays with a read that takes long, until it ends.
    async fn outlast(
        self: Arc<Self>,
        path: PathBuf,
        file_system: Arc<FileSystem>,
        thread: OwnedSemaphorePermit,
        mut work: tokio::task::JoinHandle<()>,
    ) {
        let mut holding = Holding::keep(&file_system, thread).or_slow(&file_system);
        let mut before = None;
        while tokio::time::timeout(STUCK, &mut work).await.is_err() {
            let Some(bytes) = self.lock().get(&path).map(|read| read.count.bytes()) else { break };
            let stuck = before.replace(bytes) == Some(bytes);
            if let Some(read) = self.lock().get_mut(&path) {
                read.stuck = stuck;
            }
            holding = if stuck { holding.or_stuck(&file_system) } else { holding.or_slow(&file_system) };
        }
        let broken = |read: &mut Read| read.answer.is_none();
        // it broke off: nobody will ever answer
        if self.lock().get_mut(&path).is_some_and(broken) {
            self.lock().remove(&path);
        }
    }

    /// `None`: the file is not being read yet, and now the caller does it.
    fn begun(&self, path: &Path, look: FileMeta) -> Option<Reading> {
        let mut under_way = self.lock();
        let Some(read) = under_way.get(path) else {
            let read = Read { look, count: ByteCount::default(), stuck: false, answer: None };
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
        if read.look == look {
            return read.answer.map(Reading::Done);
        }
        drop(under_way);
        self.begun(path, look)
    }

    fn file_system(&self, device: u64) -> Arc<FileSystem> {
        let mut all = self.file_systems.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || FileSystem {
            threads: Arc::new(Semaphore::new(self.at_once)),
            slow: AtomicUsize::default(),
            stuck: AtomicUsize::default(),
            slow_on_threads: AtomicUsize::default(),
        };
        all.entry(device).or_insert_with(|| Arc::new(new())).clone()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<PathBuf, Read>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl FileSystem {
    /// Waits for a thread, but not for those who take long.
    async fn thread(&self) -> Option<OwnedSemaphorePermit> {
        loop {
            if self.slow_on_threads.load(Ordering::Relaxed) > 0 {
                return self.threads.clone().try_acquire_owned().ok();
            }
            if let Ok(thread) = tokio::time::timeout(ASK, self.threads.clone().acquire_owned()).await {
                return thread.ok();
            }
        }
    }
}

/// What a read that takes long holds.
enum Holding<'a> {
    /// It keeps one of the threads that others wait for.
    Thread {
        _thread: OwnedSemaphorePermit,
        _count: Option<Counted<'a>>,
    },
    Slow {
        _count: Counted<'a>,
    },
    Stuck {
        _count: Counted<'a>,
    },
}

impl<'a> Holding<'a> {
    fn keep(file_system: &'a FileSystem, thread: OwnedSemaphorePermit) -> Self {
        Holding::Thread { _thread: thread, _count: Counted::new(&file_system.slow_on_threads, usize::MAX) }
    }

    fn or_slow(self, file_system: &'a FileSystem) -> Self {
        match self {
            Holding::Thread { .. } => Counted::new(&file_system.slow, MOST_SLOW)
                .map_or(self, |count| Holding::Slow { _count: count }),
            other => other,
        }
    }

    fn or_stuck(self, file_system: &'a FileSystem) -> Self {
        match self {
            Holding::Stuck { .. } => self,
            _ => Counted::new(&file_system.stuck, MOST_STUCK)
                .map_or(self, |count| Holding::Stuck { _count: count }),
        }
    }
}

/// One more, until it is dropped.
struct Counted<'a>(&'a AtomicUsize);

impl<'a> Counted<'a> {
    fn new(count: &'a AtomicUsize, most: usize) -> Option<Self> {
        let more = |count: usize| (count < most).then_some(count + 1);
        count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok().then_some(Self(count))
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

thread_local! {
    /// Of the read that this thread is at.
    static CURRENT: RefCell<Option<ByteCount>> = const { RefCell::new(None) };
}

/// How many bytes a read has got.
#[derive(Debug, Clone, Default)]
struct ByteCount(Arc<AtomicU64>);

impl ByteCount {
    /// Counts what the work reads on this thread.
    fn during<T>(&self, work: impl FnOnce() -> T) -> T {
        CURRENT.set(Some(self.clone()));
        let done = work();
        CURRENT.take();
        done
    }

    fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The read that this thread is at has got so many bytes more.
pub(super) fn advance(bytes: usize) {
    CURRENT.with_borrow(|current| {
        if let Some(ByteCount(count)) = current {
            count.fetch_add(bytes as u64, Ordering::Relaxed);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::upload::Stamp;
    use crate::files::Kind;
    use std::sync::mpsc;

    const NAS: u64 = 1;
    const DISK: u64 = 2;

    fn look(ctime_ns: i64) -> FileMeta {
        FileMeta { kind: Kind::Regular, stamp: Stamp { size: 9, mtime_ns: 0, inode: 1 }, ctime_ns }
    }

    /// A read that gets a byte for each that is sent, and ends when the sender is dropped.
    fn slow() -> (mpsc::Sender<()>, impl FnOnce() -> Answer + Send + 'static) {
        let (bytes, more) = mpsc::channel();
        let work = move || {
            for () in more {
                advance(1);
            }
            Ok(None)
        };
        (bytes, work)
    }

    fn never() -> Answer {
        panic!("it is read already")
    }

    fn status(reading: &Reading) -> ReadStatus {
        match reading {
            Reading::UnderWay(status) => *status,
            Reading::Done(_) => panic!("it has not ended"),
        }
    }

    /// Lets others do what is due, and passes the time by hand: a paused clock stands still while a thread is at work.
    async fn pass(time: Duration) {
        for _ in 0..time.as_secs() {
            tokio::time::advance(Duration::from_secs(1)).await;
            for _ in 0..20 {
                tokio::task::yield_now().await;
            }
        }
    }

    async fn begin(
        reads: &Arc<Reads>,
        path: &'static str,
        work: impl FnOnce() -> Answer + Send + 'static,
    ) -> Reading {
        let reads = reads.clone();
        let look = tokio::spawn(async move { reads.read(Path::new(path), look(0), NAS, work).await });
        pass(SHORT + ASK).await;
        look.await.unwrap()
    }

    async fn end(reads: &Arc<Reads>, path: &str, ctime_ns: i64) -> Answer {
        loop {
            match reads.read(Path::new(path), look(ctime_ns), NAS, never).await {
                Reading::Done(answer) => return answer,
                Reading::UnderWay(_) => tokio::task::yield_now().await,
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_read_that_takes_long_is_begun_once_and_its_answer_is_taken_later() {
        let reads = Arc::new(Reads::new(1));
        let (bytes, work) = slow();
        assert_eq!(status(&begin(&reads, "/nas/a", work).await), ReadStatus { bytes: Some(0), stuck: false });
        // it takes longer than anything may that stands still
        for count in 1..=10 {
            bytes.send(()).unwrap();
            while status(&reads.read(Path::new("/nas/a"), look(0), NAS, never).await).bytes != Some(count) {
                tokio::task::yield_now().await;
            }
            pass(STUCK).await;
        }
        assert!(!status(&reads.read(Path::new("/nas/a"), look(0), NAS, never).await).stuck);
        drop(bytes);
        assert!(matches!(end(&reads, "/nas/a", 0).await, Ok(None)));
        // and the next read is another one
        pass(ASK).await;
        let again =
            reads.read(Path::new("/nas/a"), look(0), NAS, || Err(io::ErrorKind::NotFound.into())).await;
        assert!(matches!(again, Reading::Done(Err(_))));
    }

    #[tokio::test(start_paused = true)]
    async fn a_read_that_breaks_off_is_begun_again() {
        let reads = Arc::new(Reads::new(1));
        let (bytes, work) = slow();
        let broken = move || {
            let _ = work();
            panic!("as a mistake in the program")
        };
        begin(&reads, "/nas/a", broken).await;
        drop(bytes);
        while !reads.lock().is_empty() {
            pass(ASK).await;
        }
        let again = reads.read(Path::new("/nas/a"), look(0), NAS, || Ok(None)).await;
        assert!(matches!(again, Reading::Done(Ok(None))));
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_read_of_a_file_says_nothing_of_one_that_has_changed_since() {
        let reads = Arc::new(Reads::new(1));
        let (bytes, work) = slow();
        begin(&reads, "/nas/a", work).await;
        drop(bytes);
        while reads.lock()[Path::new("/nas/a")].answer.is_none() {
            tokio::task::yield_now().await;
        }
        pass(ASK).await;
        let again =
            reads.read(Path::new("/nas/a"), look(7), NAS, || Err(io::ErrorKind::NotFound.into())).await;
        assert!(matches!(again, Reading::Done(Err(_))));
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_file_system_holds_up_no_other_and_a_stuck_read_no_other() {
        let reads = Arc::new(Reads::new(1));
        let read = async |path: &str, device| reads.read(Path::new(path), look(0), device, || Ok(None)).await;
        let paths = ["/nas/a", "/nas/b", "/nas/c", "/nas/d", "/nas/e"];
        let mut bytes = Vec::new();
        for path in &paths[..MOST_SLOW] {
            let (sender, work) = slow();
            bytes.push(sender);
            begin(&reads, path, work).await;
            assert!(matches!(read("/nas/fast", NAS).await, Reading::Done(Ok(None))), "it is aside");
        }
        let (_last, work) = slow();
        begin(&reads, paths[MOST_SLOW], work).await;
        let waits = ReadStatus { bytes: None, stuck: false };
        assert_eq!(
            status(&read("/nas/fast", NAS).await),
            waits,
            "the only thread is taken, and nobody waits for it"
        );
        assert!(matches!(read("/disk/f", DISK).await, Reading::Done(Ok(None))));
        pass(STUCK * 3).await;
        assert!(status(&reads.read(Path::new("/nas/a"), look(0), NAS, never).await).stuck);
        assert!(
            matches!(read("/nas/fast", NAS).await, Reading::Done(Ok(None))),
            "stuck reads take no thread"
        );
    }
}
