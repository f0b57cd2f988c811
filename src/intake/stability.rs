//! Is a file complete, or still being copied?
//!
//! It is complete when it was closed after writing or renamed into place, or when it has been still for
//! `watch.settle`. Its times prove stability at once: no program can set a file's ctime back. Where they
//! cannot (the file server's clock is ahead of ours), two equal observations that far apart do.
//! One close does not prove that the copy is whole: a picture that ends too early, or is damaged, is given `watch.grace`, from the
//! later of its times on: copiers set a file's own time back.

use std::collections::{HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::files::FileMeta;

/// The two clocks of one scan: the wall's, for the times of files, and the steady one, for waiting.
#[derive(Debug, Clone, Copy)]
pub(super) struct Now {
    pub(super) wall: Timestamp,
    pub(super) steady: Instant,
}

/// What to do with a file now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stability {
    Complete,
    /// Not yet; observe it again then.
    Again(Instant),
}

/// What is remembered of the files of one folder that are not recorded yet.
#[derive(Debug, Default)]
pub(super) struct StabilityTracker {
    seen: HashMap<OsString, Observation>,
    closed: HashSet<OsString>,
}

#[derive(Debug)]
struct Observation {
    meta: FileMeta,
    /// When it was first observed, and since when it has not changed.
    first: Instant,
    since: Instant,
    /// It ended too early when it was inspected like this.
    unfinished: bool,
}

impl StabilityTracker {
    /// These names were closed after writing or renamed into place.
    pub(super) fn closed(&mut self, names: impl IntoIterator<Item = OsString>) {
        self.closed.extend(names);
    }

    /// This name is looked at again without waiting until it settles, as if it had just been closed.
    pub(super) fn look_again(&mut self, name: &OsStr) {
        self.closed.insert(name.to_owned());
    }

    /// Was the file closed after writing, or is it not decided yet? Then it is inspected, whatever its times say.
    pub(super) fn is_pending(&self, name: &OsStr) -> bool {
        self.closed.contains(name) || self.seen.contains_key(name)
    }

    /// Is this file complete, as far as is known without reading it?
    pub(super) fn judge(
        &mut self,
        name: &OsStr,
        meta: &FileMeta,
        now: Now,
        settle: Duration,
        grace: Duration,
    ) -> Stability {
        let closed = self.closed.remove(name);
        let observation = self.observe(name, meta, now);
        if observation.unfinished {
            return match grace_ends(observation, now, grace) {
                Some(end) => Stability::Again(end),
                None => Stability::Complete,
            };
        }
        let is_still = now.steady.duration_since(observation.since) >= settle;
        if closed || is_still || age(meta, now.wall) >= Some(settle) {
            return Stability::Complete;
        }
        Stability::Again(observation.since + settle)
    }

    /// The file turned out to end too early. `Some` while it may still be being copied: inspect it again then.
    pub(super) fn unfinished(
        &mut self,
        name: &OsStr,
        meta: &FileMeta,
        now: Now,
        grace: Duration,
    ) -> Option<Instant> {
        let observation = self.observe(name, meta, now);
        observation.unfinished = true;
        grace_ends(observation, now, grace)
    }

    /// A file that waits: until when is it so new that those that come after it by name wait too, to be taken in
    /// order? No longer than it takes to see that it is complete: a long copy delays nobody.
    pub(super) fn is_new_until(&self, name: &OsStr, now: Now, settle: Duration) -> Option<Instant> {
        let end = self.seen.get(name)?.first + settle;
        (end > now.steady).then_some(end)
    }

    /// The file is recorded, or gone.
    pub(super) fn forget(&mut self, name: &OsStr) {
        self.seen.remove(name);
        self.closed.remove(name);
    }

    /// Gives memory back that is not needed any more: there may be ten thousand folders.
    pub(super) fn shrink(&mut self) {
        if self.seen.is_empty() {
            self.seen = HashMap::new();
        }
        if self.closed.is_empty() {
            self.closed = HashSet::new();
        }
    }

    /// Forgets all names but these.
    pub(super) fn keep_only(&mut self, listed: &HashSet<&OsStr>) {
        self.seen.retain(|name, _| listed.contains(name.as_os_str()));
        self.closed.retain(|name| listed.contains(name.as_os_str()));
    }

    /// What is remembered of a file; it begins again whenever the file has changed.
    fn observe(&mut self, name: &OsStr, meta: &FileMeta, now: Now) -> &mut Observation {
        let seen = |first| Observation { meta: *meta, first, since: now.steady, unfinished: false };
        let observation = self.seen.entry(name.to_owned()).or_insert_with(|| seen(now.steady));
        if observation.meta != *meta {
            *observation = seen(observation.first);
        }
        observation
    }
}

/// When the grace of a file that ended too early is over; `None` when it is over already. A file from the
/// future is given its grace from the first observation on.
fn grace_ends(observation: &Observation, now: Now, grace: Duration) -> Option<Instant> {
    let age = age(&observation.meta, now.wall).unwrap_or(now.steady.duration_since(observation.since));
    let left = grace.checked_sub(age).filter(|left| !left.is_zero())?;
    Some(now.steady + left)
}

/// How long ago anything about a file changed; `None` when that lies in the future.
pub(super) fn age(meta: &FileMeta, now: Timestamp) -> Option<Duration> {
    let nanos = now.as_nanosecond() - i128::from(meta.stamp.mtime_ns.max(meta.ctime_ns));
    u64::try_from(nanos).ok().map(Duration::from_nanos)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::clock::later;
    use crate::domain::upload::Stamp;
    use crate::files::Kind;

    const SETTLE: Duration = Duration::from_secs(1);
    const GRACE: Duration = Duration::from_secs(30);

    struct Bench {
        stability: StabilityTracker,
        now: Now,
    }

    impl Bench {
        fn new() -> Self {
            let wall = Timestamp::from_second(1_700_000_000).unwrap();
            Self { stability: StabilityTracker::default(), now: Now { wall, steady: Instant::now() } }
        }

        fn pass(&mut self, time: Duration) {
            self.now = Now { wall: later(self.now.wall, time), steady: self.now.steady + time };
        }

        /// A file whose times lie `ago` seconds back.
        fn file(&self, size: u64, ago: i64) -> FileMeta {
            let time = i64::try_from(self.now.wall.as_nanosecond()).unwrap() - ago * 1_000_000_000;
            FileMeta { kind: Kind::Regular, stamp: Stamp { size, mtime_ns: time, inode: 1 }, ctime_ns: time }
        }

        fn judge(&mut self, meta: &FileMeta) -> Stability {
            self.stability.judge(OsStr::new("a.jpg"), meta, self.now, SETTLE, GRACE)
        }
    }

    #[test]
    fn an_old_file_is_complete_at_once() {
        let mut bench = Bench::new();
        let meta = bench.file(10, 5);
        assert_eq!(bench.judge(&meta), Stability::Complete);
    }

    #[test]
    fn a_copier_that_sets_mtime_back_does_not_hide_that_it_still_writes() {
        let mut bench = Bench::new();
        let meta = FileMeta { ctime_ns: bench.file(10, 0).ctime_ns, ..bench.file(10, 500) };
        assert!(matches!(bench.judge(&meta), Stability::Again(_)));
    }

    #[test]
    fn a_copier_that_sets_mtime_back_gets_its_grace_all_the_same() {
        let mut bench = Bench::new();
        let meta = FileMeta { ctime_ns: bench.file(10, 10).ctime_ns, ..bench.file(10, 500) };
        let end = bench.now.steady + Duration::from_secs(20);
        assert_eq!(bench.stability.unfinished(OsStr::new("a.jpg"), &meta, bench.now, GRACE), Some(end));
    }

    #[test]
    fn a_closed_file_is_not_waited_for() {
        let mut bench = Bench::new();
        let meta = bench.file(10, 0);
        bench.stability.closed(["a.jpg".into()]);
        assert_eq!(bench.judge(&meta), Stability::Complete);
    }

    #[test]
    fn a_growing_file_is_waited_for_until_it_is_still() {
        let mut bench = Bench::new();
        for size in 0..5 {
            let meta = bench.file(size, 0);
            assert_eq!(bench.judge(&meta), Stability::Again(bench.now.steady + SETTLE));
            bench.pass(Duration::from_millis(900));
        }
        let meta = bench.file(5, 0);
        bench.judge(&meta);
        bench.pass(SETTLE);
        assert_eq!(bench.judge(&meta), Stability::Complete);
    }

    #[test]
    fn a_file_is_new_for_as_long_as_it_takes_to_settle_however_it_grows() {
        let mut bench = Bench::new();
        let (name, end) = (OsStr::new("a.jpg"), bench.now.steady + SETTLE);
        let meta = bench.file(1, 0);
        bench.judge(&meta);
        assert_eq!(bench.stability.is_new_until(name, bench.now, SETTLE), Some(end));
        bench.pass(SETTLE / 2);
        let meta = bench.file(2, 0);
        bench.judge(&meta);
        assert_eq!(bench.stability.is_new_until(name, bench.now, SETTLE), Some(end));
        bench.pass(SETTLE / 2);
        let meta = bench.file(3, 0);
        bench.judge(&meta);
        assert_eq!(bench.stability.is_new_until(name, bench.now, SETTLE), None);
    }

    #[test]
    fn a_file_from_the_future_is_complete_after_two_equal_observations() {
        let mut bench = Bench::new();
        let meta = bench.file(10, -3600);
        assert!(matches!(bench.judge(&meta), Stability::Again(_)));
        bench.pass(SETTLE);
        assert_eq!(bench.judge(&meta), Stability::Complete);
    }

    #[test]
    fn an_unfinished_picture_is_given_its_grace_once_and_new_bytes_a_new_one() {
        let mut bench = Bench::new();
        let meta = bench.file(10, 10);
        let name = OsStr::new("a.jpg");
        let end = bench.now.steady + Duration::from_secs(20);
        assert_eq!(bench.stability.unfinished(name, &meta, bench.now, GRACE), Some(end));
        assert_eq!(bench.judge(&meta), Stability::Again(end), "not read again meanwhile");
        let more = bench.file(20, 5);
        assert_eq!(bench.judge(&more), Stability::Complete, "read again, for it changed");
        assert!(bench.stability.unfinished(name, &more, bench.now, GRACE).is_some());
        bench.pass(GRACE);
        assert_eq!(bench.judge(&more), Stability::Complete);
        assert_eq!(bench.stability.unfinished(name, &more, bench.now, GRACE), None);
    }
}
