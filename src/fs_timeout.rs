//! Calls that may never return: a dead file server must not hold up those that are well.

use std::any::Any;
use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use crate::files::{self, Place};

/// How long an answer is waited for: to one look at a name, and to the reading of a folder. Together they are well
/// below the unit's `WatchdogSec`.
pub(crate) const STAT_TIMEOUT: Duration = Duration::from_secs(5);
const READDIR_TIMEOUT: Duration = Duration::from_secs(30);

/// An archive on another file system gets copies.
const TIDY_TIMEOUT: Duration = Duration::from_secs(40);

/// The error when none comes.
pub(crate) fn not_responding() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "its file system does not answer")
}

/// An answer that came after its time: the next one who asks gets it, so that a slow answer is not none at all.
type Late = Option<Box<dyn Any + Send>>;

/// What a file system is asked about a path. One question has one type of answer, and an answer that comes late is taken by the next
/// who asks the same of the same path: it must hold for him, whatever else went into it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Question {
    /// Which folder is it?
    Identity,
    /// What is in the root?
    Discover,
    /// Which brands' folders are in a type folder?
    ListType,
    /// The same, of one on another file system than the root: those in the root do not wait for it for long.
    ListMountedType,
    /// What is in a brand's folder?
    List,
    /// What is in this brand's folder, and in some others?
    Glance,
    /// Which of a brand's files elsewhere are not there any more? Of the first of them.
    GoneElsewhere,
    /// Which of the files without a folder are not there? Of the first of them.
    GoneOrphans,
    /// Where are the files of a folder that has another name now?
    FindMoved,
    /// Opens a file that is to be sent.
    Open,
    /// Has the file changed that was sent?
    HasChanged,
    /// Deletes or archives what was uploaded.
    Tidy,
}

impl Question {
    /// How long an answer is waited for.
    fn limit(self) -> Duration {
        match self {
            Question::Identity
            | Question::ListMountedType
            | Question::GoneElsewhere
            | Question::GoneOrphans
            | Question::FindMoved
            | Question::Open
            | Question::HasChanged => STAT_TIMEOUT,
            Question::Discover | Question::ListType | Question::List | Question::Glance => READDIR_TIMEOUT,
            Question::Tidy => TIDY_TIMEOUT,
        }
    }
}

/// So many questions about what one may hold up may wait for an answer beyond their time: each keeps a thread, of which others
/// need some, too.
const MOST_UNANSWERED: usize = 8;
const MOST_OF_OURS: usize = 640;

/// Who may be the reason that there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Source {
    /// A file system that is not one of this machine.
    Device(u64),
    /// A user who may hold up what is asked about his folders.
    Owner(u32),
    /// The folder is root's or the service's own, on a disk of this machine.
    Ours,
}

impl Source {
    /// Of a path, as far as the kernel has that in memory.
    fn of(path: &Path) -> Option<Self> {
        Some(match path.ancestors().find_map(|path| files::place_in_memory(path).ok())? {
            Place { is_local: false, device, .. } => Source::Device(device),
            Place { stranger: Some(user), .. } => Source::Owner(user),
            Place { stranger: None, .. } => Source::Ours,
        })
    }

    fn most(self) -> usize {
        if self == Source::Ours { MOST_OF_OURS } else { MOST_UNANSWERED }
    }
}

/// The questions that are outstanding. None is asked twice.
#[derive(Debug, Clone, Default)]
pub(crate) struct FsTimeouts {
    asked: Arc<Mutex<HashMap<Asked, Late>>>,
    /// How many were not answered in time, and still are not.
    unanswered: Arc<Mutex<HashMap<Source, usize>>>,
}

/// A question about a path.
type Asked = (PathBuf, Question);

impl FsTimeouts {
    /// Does `work`, which asks this about `path`, on a thread of its own. `None`: there is no answer yet.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        path: &Path,
        question: Question,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let key = (path.to_owned(), question);
        if let Some(late) = self.begin(&key) {
            return late.and_then(|late| late.downcast().ok()).map(|late| *late);
        }
        if self.is_silent(path) {
            self.outstanding().remove(&key);
            return None;
        }
        let (all, asked) = (self.clone(), key.clone());
        let mut answer = tokio::task::spawn_blocking(move || {
            let answer = work();
            all.outstanding().insert(asked, Some(Box::new(answer)));
        });
        // the answer is taken from where it was put: in time, or by the next one who asks
        let Ok(done) = tokio::time::timeout(question.limit(), &mut answer).await else {
            self.count_unanswered(path, answer);
            return None;
        };
        done.ok()?;
        // perhaps that one has it already, and asks again: then it is his
        let late = self.take(&key)?;
        late.downcast().ok().map(|answer| *answer)
    }

    /// Are so many questions about what this path is on unanswered that no more are asked, until some are answered?
    fn is_silent(&self, path: &Path) -> bool {
        let unanswered = lock(&self.unanswered);
        // as long as all answer, nothing has to be found out
        let is_silent = |source: &Source| unanswered.get(source).is_some_and(|count| *count >= source.most());
        unanswered.keys().any(is_silent) && Source::of(path).as_ref().is_some_and(is_silent)
    }

    fn count_unanswered(&self, path: &Path, answer: JoinHandle<()>) {
        let Some(source) = Source::of(path) else { return };
        *lock(&self.unanswered).entry(source).or_default() += 1;
        let all = self.unanswered.clone();
        tokio::spawn(async move {
            let _ = answer.await;
            let mut all = lock(&all);
            if let Some(count) = all.get_mut(&source) {
                *count -= 1;
                if *count == 0 {
                    all.remove(&source);
                }
            }
        });
    }

    /// `None`: nobody asks, and now the caller does. `Some`: somebody does, and perhaps there is an answer to take.
    fn begin(&self, key: &Asked) -> Option<Late> {
        let mut outstanding = self.outstanding();
        match outstanding.get(key) {
            None => {
                outstanding.insert(key.clone(), None);
                None
            }
            Some(None) => Some(None),
            Some(Some(_)) => outstanding.remove(key),
        }
    }

    fn take(&self, key: &Asked) -> Late {
        let mut outstanding = self.outstanding();
        let is_there = outstanding.get(key).is_some_and(Option::is_some);
        if is_there { outstanding.remove(key).flatten() } else { None }
    }

    fn outstanding(&self) -> MutexGuard<'_, HashMap<Asked, Late>> {
        lock(&self.asked)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An open file that is closed on a thread of its own: a FUSE file system that is called may not answer, and the last one
/// who closes a file that was deleted frees its blocks, which takes a disk seconds if there are many.
#[derive(Debug)]
pub struct OpenFile {
    file: Option<File>,
    on_disk: bool,
}

impl From<File> for OpenFile {
    fn from(file: File) -> Self {
        Self { file: Some(file), on_disk: false }
    }
}

impl OpenFile {
    /// A file on a local disk, which answers questions about it at once.
    pub(crate) fn on_disk(file: File) -> Self {
        Self { file: Some(file), on_disk: true }
    }

    /// Is it on a local disk?
    pub(crate) fn is_on_disk(&self) -> bool {
        self.on_disk
    }

    /// Closes it on this thread, which may wait for it.
    pub fn close(mut self) {
        drop(self.file.take());
    }
}

impl Deref for OpenFile {
    type Target = File;

    fn deref(&self) -> &File {
        self.file.as_ref().expect("it is there until it is dropped")
    }
}

impl Drop for OpenFile {
    fn drop(&mut self) {
        if let (Some(file), Ok(runtime)) = (self.file.take(), Handle::try_current()) {
            drop(runtime.spawn_blocking(move || drop(file)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[tokio::test(start_paused = true)]
    async fn who_does_not_answer_is_not_asked_twice_and_holds_nobody_up() {
        let (fs_timeouts, path) = (FsTimeouts::default(), Path::new("/dead"));
        let (answer, silence) = mpsc::channel::<i32>();
        let dead = tokio::spawn({
            let fs_timeouts = fs_timeouts.clone();
            async move { fs_timeouts.run(path, Question::Open, move || silence.recv().unwrap()).await }
        });
        tokio::task::yield_now().await;
        assert_eq!(fs_timeouts.run(path, Question::Open, || 7).await, None);
        assert_eq!(fs_timeouts.run(path, Question::HasChanged, || 7).await, Some(7), "another question");
        assert_eq!(fs_timeouts.run(Path::new("/well"), Question::Open, || 7).await, Some(7));
        // a paused clock stands still while a thread is at work: the limit is passed by hand
        tokio::time::advance(STAT_TIMEOUT).await;
        assert_eq!(dead.await.unwrap(), None);
        answer.send(8).unwrap();
        let late = loop {
            match fs_timeouts.run(path, Question::Open, || 7).await {
                Some(late) => break late,
                None => tokio::task::yield_now().await,
            }
        };
        assert_eq!(late, 8, "an answer that comes late is an answer");
        assert_eq!(fs_timeouts.run(path, Question::Open, || 7).await, Some(7));
    }

    /// `/proc` stands for a file system that is not on a disk of this machine.
    #[tokio::test(start_paused = true)]
    async fn who_leaves_many_questions_unanswered_is_asked_no_more_until_it_answers() {
        let fs_timeouts = FsTimeouts::default();
        let mut answers = Vec::new();
        for number in 0..MOST_UNANSWERED {
            let (answer, silence) = mpsc::channel::<i32>();
            let (all, path) = (fs_timeouts.clone(), PathBuf::from(format!("/proc/none/{number}")));
            let asked =
                tokio::spawn(
                    async move { all.run(&path, Question::List, move || silence.recv().unwrap()).await },
                );
            tokio::task::yield_now().await;
            answers.push((answer, asked));
        }
        let ask = async |path: &str| fs_timeouts.run(Path::new(path), Question::List, || 7).await;
        assert_eq!(ask("/proc/none/in-time").await, Some(7), "they have time left");
        tokio::time::advance(READDIR_TIMEOUT).await;
        let (answers, asked): (Vec<_>, Vec<_>) = answers.into_iter().unzip();
        for asked in asked {
            assert_eq!(asked.await.unwrap(), None);
        }
        assert_eq!(ask("/proc/none/more").await, None);
        assert_eq!(ask("/well").await, Some(7), "another file system");
        answers[0].send(8).unwrap();
        while ask("/proc/none/more").await.is_none() {
            tokio::task::yield_now().await;
        }
        drop(answers);
    }

    #[tokio::test]
    async fn an_answer_that_another_one_took_leaves_no_question_behind() {
        let (fs_timeouts, path) = (FsTimeouts::default(), Path::new("/quick"));
        let all = fs_timeouts.clone();
        let first = tokio::spawn(async move { all.run(path, Question::Identity, || 7).await });
        tokio::task::yield_now().await;
        while !fs_timeouts.outstanding().values().any(Option::is_some) {
            std::thread::yield_now();
        }
        assert_eq!(
            fs_timeouts.run(path, Question::Identity, || 8).await,
            Some(7),
            "before the first one wakes"
        );
        assert_eq!(first.await.unwrap(), None);
        assert_eq!(fs_timeouts.run(path, Question::Identity, || 8).await, Some(8), "it is asked again");
    }
}
