use super::limits::SLOW_FOLDERS;
use super::places::{ASK, Places};
use super::*;
use crate::domain::upload::Stamp;
use crate::files::Kind;
use std::sync::mpsc;

const NAS: u64 = 1;
const DISK: u64 = 2;

impl Reads {
    /// Has `work` read one file.
    async fn read_one(
        self: &Arc<Self>,
        path: &Path,
        meta: FileMeta,
        device: u64,
        work: impl FnOnce(&ByteCount) -> Answer + Send + 'static,
    ) -> Reading {
        let file = ToRead { path: path.to_owned(), meta };
        self.read(&[file], device, |begun| vec![work(&begun[0].count)]).await.remove(0)
    }
}

fn meta(ctime_ns: i64) -> FileMeta {
    FileMeta { kind: Kind::Regular, stamp: Stamp { size: 9, mtime_ns: 0, inode: 1 }, ctime_ns }
}

/// A read that gets a byte for each that is sent, and ends when the sender is dropped.
fn slow() -> (mpsc::Sender<()>, impl FnOnce(&ByteCount) -> Answer + Send + 'static) {
    let (bytes, more) = mpsc::channel();
    let work = move |count: &ByteCount| {
        for () in more {
            count.advance(1);
        }
        Ok(None)
    };
    (bytes, work)
}

fn never(_: &ByteCount) -> Answer {
    panic!("it is read already")
}

#[track_caller]
fn status(reading: &Reading) -> ReadStatus {
    match reading {
        Reading::UnderWay(status) => *status,
        Reading::Done(_) => panic!("it has not ended"),
    }
}

/// Lets other tasks run, and advances the clock by hand: a paused clock does not advance while a thread works.
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
    path: &str,
    work: impl FnOnce(&ByteCount) -> Answer + Send + 'static,
) -> Reading {
    let (reads, path) = (reads.clone(), PathBuf::from(path));
    let scan = tokio::spawn(async move { reads.read_one(&path, meta(0), NAS, work).await });
    pass(WAIT + ASK).await;
    scan.await.unwrap()
}

/// The thread that has answered ends a moment later, and gives its place back then.
async fn until_released(reads: &Arc<Reads>) {
    while reads.folders.lock().unwrap().values().any(|folder| folder.strong_count() > 0) {
        tokio::task::yield_now().await;
    }
}

/// What a read comes to that needs no more of the clock; its thread may be late.
async fn ended(read: JoinHandle<Reading>, what: &str) -> Reading {
    for _ in 0..20_000 {
        if read.is_finished() {
            return read.await.unwrap();
        }
        std::thread::sleep(Duration::from_millis(1));
        tokio::task::yield_now().await;
    }
    panic!("it has not ended: {what}");
}

async fn end(reads: &Arc<Reads>, path: &str, ctime_ns: i64) -> Answer {
    loop {
        match reads.read_one(Path::new(path), meta(ctime_ns), NAS, never).await {
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
    // it takes longer than a stuck read may
    for count in 1..=10 {
        bytes.send(()).unwrap();
        while status(&reads.read_one(Path::new("/nas/a"), meta(0), NAS, never).await).bytes != Some(count) {
            tokio::task::yield_now().await;
        }
        pass(STUCK).await;
    }
    assert!(!status(&reads.read_one(Path::new("/nas/a"), meta(0), NAS, never).await).stuck);
    drop(bytes);
    assert!(matches!(end(&reads, "/nas/a", 0).await, Ok(None)));
    // and the next read is another one
    until_released(&reads).await;
    let again = reads
        .read_one(Path::new("/nas/a"), meta(0), NAS, |_: &ByteCount| Err(io::ErrorKind::NotFound.into()))
        .await;
    assert!(matches!(again, Reading::Done(Err(_))));
}

#[tokio::test(start_paused = true)]
async fn a_read_that_breaks_off_is_begun_again() {
    let reads = Arc::new(Reads::new(1));
    let (bytes, work) = slow();
    let broken = move |count: &ByteCount| {
        let _ = work(count);
        panic!("as a mistake in the program")
    };
    begin(&reads, "/nas/a", broken).await;
    drop(bytes);
    while !reads.lock().is_empty() {
        pass(ASK).await;
    }
    let again = reads.read_one(Path::new("/nas/a"), meta(0), NAS, |_: &ByteCount| Ok(None)).await;
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
    until_released(&reads).await;
    let again = reads
        .read_one(Path::new("/nas/a"), meta(7), NAS, |_: &ByteCount| Err(io::ErrorKind::NotFound.into()))
        .await;
    assert!(matches!(again, Reading::Done(Err(_))));
}

#[tokio::test(start_paused = true)]
async fn a_slow_file_system_holds_up_no_other_and_a_stuck_read_no_other() {
    let reads = Arc::new(Reads::new(1));
    let read = async |path: &str, device| {
        reads.read_one(Path::new(path), meta(0), device, |_: &ByteCount| Ok(None)).await
    };
    let (mut bytes, mut sent) = (Vec::new(), 0);
    let mut begin_slow = async |path: String| {
        let (sender, work) = slow();
        bytes.push(sender);
        // a byte now and then: they are slow, and not stuck
        for sender in &bytes {
            sender.send(()).unwrap();
        }
        sent += bytes.len() as u64;
        begin(&reads, &path, work).await;
        // their threads may be late, and the clock does not wait for them
        while reads.lock().values().map(|read| read.count.bytes()).sum::<u64>() < sent {
            tokio::task::yield_now().await;
        }
    };
    for folder in 0..SLOW_FOLDERS {
        let path = format!("/nas/{folder}/0");
        begin_slow(path.clone()).await;
        assert!(matches!(read("/nas/fast/1", NAS).await, Reading::Done(Ok(None))), "{path} is aside");
    }
    begin_slow("/nas/c/1".into()).await;
    begin_slow("/nas/d/1".into()).await;
    let waits = ReadStatus { bytes: None, stuck: false };
    let other = status(&read("/nas/fast/1", NAS).await);
    assert_eq!(other, waits, "both threads are taken, and nobody waits for them");
    assert!(matches!(read("/disk/f", DISK).await, Reading::Done(Ok(None))));
    pass(STUCK * 3).await;
    assert!(status(&reads.read_one(Path::new("/nas/0/0"), meta(0), NAS, never).await).stuck);
    assert!(matches!(read("/nas/fast/1", NAS).await, Reading::Done(Ok(None))), "stuck reads take no thread");
    assert!(matches!(read("/nas/0/more", NAS).await, Reading::Done(Ok(None))), "nor a turn");
}

#[tokio::test(start_paused = true)]
async fn a_folder_with_many_files_does_not_hold_up_the_only_one_of_another() {
    let reads = Arc::new(Reads::new(1));
    let (go, wait) = mpsc::channel::<()>();
    let wait = Arc::new(Mutex::new(wait));
    let begin = |path: &'static str| {
        let (reads, wait) = (reads.clone(), wait.clone());
        let work = move |_: &ByteCount| {
            let _ = wait.lock().unwrap().recv();
            Ok(None)
        };
        tokio::spawn(async move { reads.read_one(Path::new(path), meta(0), DISK, work).await })
    };
    let many: Vec<_> = ["/disk/a/0", "/disk/a/1", "/disk/a/2", "/disk/a/3"].into_iter().map(begin).collect();
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
    let other = reads.read_one(Path::new("/disk/b/0"), meta(0), DISK, |_: &ByteCount| Ok(None)).await;
    assert!(matches!(other, Reading::Done(Ok(None))));
    drop(go);
    for read in many {
        assert!(matches!(read.await.unwrap(), Reading::Done(Ok(None))));
    }
}

/// Its owner can make pictures that take as long as may be.
#[tokio::test(start_paused = true)]
async fn a_folder_whose_files_all_take_long_does_not_hold_up_another() {
    let reads = Arc::new(Reads::new(3));
    let mut bytes = Vec::new();
    let looks: Vec<_> = (0..12)
        .map(|number| {
            let (sender, work) = slow();
            bytes.push(sender);
            let (reads, path) = (reads.clone(), PathBuf::from(format!("/disk/a/{number}")));
            tokio::spawn(async move { reads.read_one(&path, meta(0), DISK, work).await })
        })
        .collect();
    for more in ["none", "some", "all"] {
        for name in ["/disk/b/0", "/disk/c/0"] {
            let reads = reads.clone();
            let read =
                async move { reads.read_one(Path::new(name), meta(0), DISK, |_: &ByteCount| Ok(None)).await };
            let other = tokio::spawn(read);
            let other = ended(other, &format!("{name} when {more} of them take long")).await;
            assert!(matches!(other, Reading::Done(Ok(None))));
        }
        pass(WAIT + ASK).await;
    }
    let begun = bytes.len();
    drop(bytes);
    let mut under_way = 0;
    for look in looks {
        under_way += usize::from(status(&look.await.unwrap()).bytes.is_some());
    }
    assert_eq!((begun, under_way), (12, 3), "so many of one folder are read");
}

#[tokio::test(start_paused = true)]
async fn answers_about_files_that_are_gone_do_not_close_a_folder() {
    let reads = Arc::new(Reads::new(1));
    for device in 0..MAX_OF_FOLDER as u64 {
        let (bytes, work) = slow();
        let (all, path) = (reads.clone(), PathBuf::from(format!("/mapped/{device}")));
        let scan = tokio::spawn(async move { all.read_one(&path, meta(0), device, work).await });
        pass(WAIT + ASK).await;
        assert_eq!(status(&scan.await.unwrap()).bytes, Some(0));
        // nobody asks for it again
        drop(bytes);
        let path = PathBuf::from(format!("/mapped/{device}"));
        while reads.lock()[&path].answer.is_none() {
            tokio::task::yield_now().await;
        }
        until_released(&reads).await;
    }
    let more = reads.read_one(Path::new("/mapped/more"), meta(0), DISK, |_: &ByteCount| Ok(None)).await;
    assert!(matches!(more, Reading::Done(Ok(None))), "{more:?}");
}

/// Their owners can make pictures that take as long as may be, and come together.
#[tokio::test(start_paused = true)]
async fn slow_files_in_several_folders_hold_up_no_other_folder() {
    for (most, folders) in
        [(1, 2), (1, SLOW_FOLDERS - 1), (2, 2), (2, SLOW_FOLDERS - 1), (8, 2), (8, SLOW_FOLDERS - 1)]
    {
        let reads = Arc::new(Reads::new(most));
        let begin = |path: String, work| {
            let reads = reads.clone();
            tokio::spawn(async move { reads.read_one(Path::new(&path), meta(0), DISK, work).await })
        };
        let mut senders = Vec::new();
        for number in 0..folders * 16 {
            let (sender, work) = slow();
            senders.push(sender);
            drop(begin(format!("/disk/{}/{number}", number % folders), work));
        }
        for step in 0..5 {
            let (go, brief) = slow();
            drop(go);
            let other = begin(format!("/disk/other/{step}"), brief);
            // each second as many go aside as there are threads
            pass(BRIEF * 8).await;
            let what = format!("{most} of a folder, {folders} slow folders, step {step}");
            assert!(matches!(ended(other, &what).await, Reading::Done(Ok(None))));
        }
        drop(senders);
    }
}

/// A place that is not slow is free again soon, whoever has it: it is worth waiting for.
#[tokio::test(start_paused = true)]
async fn a_place_is_waited_for_unless_all_are_slow() {
    let places = Arc::new(Places::new(3));
    let take = || {
        let places = places.clone();
        tokio::spawn(async move { places.take().await })
    };
    let [first, second, third] = [take().await, take().await, take().await].map(Result::unwrap);
    let slow = (places.slow(), places.slow());
    let waits = take();
    pass(WAIT).await;
    assert!(!waits.is_finished());
    drop(third);
    let third = waits.await.unwrap();
    assert!(third.is_some());
    let all = (slow, places.slow());
    assert!(take().await.unwrap().is_none());
    drop((first, second, third, all));
    assert!(take().await.unwrap().is_some());
}

/// Its owner can mount one file system that never answers after the other.
#[tokio::test(start_paused = true)]
async fn a_folder_takes_only_so_many_threads_whatever_is_mounted_there() {
    let reads = Arc::new(Reads::new(1));
    let mut stuck = Vec::new();
    for device in 0..MAX_OF_FOLDER as u64 {
        let (sender, work) = slow();
        stuck.push(sender);
        let reads = reads.clone();
        let path = PathBuf::from(format!("/mapped/{device}"));
        let scan = tokio::spawn(async move { reads.read_one(&path, meta(0), device, work).await });
        pass(WAIT + ASK).await;
        assert_eq!(status(&scan.await.unwrap()).bytes, Some(0));
        pass(STUCK * 2).await;
    }
    let more = reads.read_one(Path::new("/mapped/more"), meta(0), DISK, never).await;
    assert_eq!(status(&more).bytes, None);
    let other = reads.read_one(Path::new("/other/file"), meta(0), DISK, |_: &ByteCount| Ok(None)).await;
    assert!(matches!(other, Reading::Done(Ok(None))));
}

#[tokio::test(start_paused = true)]
async fn files_that_are_read_together_have_their_own_answers_and_are_stuck_together() {
    let reads = Arc::new(Reads::new(2));
    let files = ["/disk/a", "/disk/b", "/disk/c"];
    let files = Arc::new(files.map(|path| ToRead { path: path.into(), meta: meta(0) }));
    let (bytes, work) = slow();
    begin(&reads, "/disk/b", work).await;
    let (go, wait) = mpsc::channel();
    let (read, has_read) = mpsc::channel();
    let together = tokio::spawn({
        let (reads, files) = (reads.clone(), files.clone());
        let work = move |begun: &[Begun]| {
            assert_eq!(begun.iter().map(|begun| begun.at).collect::<Vec<_>>(), [0, 2], "b is read already");
            begun[1].count.advance(7);
            read.send(()).unwrap();
            wait.recv().unwrap();
            vec![Ok(None), Err(io::ErrorKind::NotFound.into())]
        };
        async move { reads.read(&files[..], NAS, work).await }
    });
    while has_read.try_recv().is_err() {
        tokio::task::yield_now().await;
    }
    pass(WAIT + STUCK * 3).await;
    let begun: Vec<_> = together.await.unwrap().iter().map(|reading| status(reading).bytes).collect();
    assert_eq!(begun, [Some(0), Some(0), Some(7)]);
    let none = |_: &[Begun]| panic!("all are read already");
    let under_way = reads.read(&files[..], NAS, none).await;
    assert!(under_way.iter().all(|reading| status(reading).stuck), "{under_way:?}");
    go.send(()).unwrap();
    drop(bytes);
    assert!(matches!(end(&reads, "/disk/a", 0).await, Ok(None)));
    assert!(end(&reads, "/disk/c", 0).await.is_err());
    assert!(matches!(end(&reads, "/disk/b", 0).await, Ok(None)));
    // whoever stayed with the reads that have ended leaves a new one of the same file alone
    let mut again = None;
    for _ in 0..50 {
        let missing = |_: &ByteCount| Err(io::ErrorKind::NotFound.into());
        match reads.read_one(Path::new("/disk/a"), meta(0), NAS, missing).await {
            Reading::Done(answer) => again = again.or(Some(answer)),
            Reading::UnderWay(_) => pass(Duration::from_secs(1)).await,
        }
    }
    assert!(again.is_some_and(|answer| answer.is_err()));
}
