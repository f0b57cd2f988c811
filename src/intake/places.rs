//! How many scans go on side by side: those of folders on local disks, which are quick, and those that wait for somebody
//! else's file system.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::time::Duration;

use tokio::time::Instant;

use super::agenda::{Agenda, Due, Priority};

/// How many scans go on side by side, and how many more of folders in which something has just happened.
pub(super) const AT_ONCE: usize = 8;
const URGENT: usize = 4;

/// Scans of folders that are not known to be on a local disk wait for somebody else's file system, and take no others'
/// places: so many of them go on side by side, of each device so many.
const ELSEWHERE: usize = 64;
const OF_DEVICE: usize = 8;

/// A scan that takes longer waits for something, and gives its place up: so many may do so. Where many wait, the next ones are
/// likely to do so, too, and get less time.
const BRIEF: Duration = Duration::from_secs(1);
const VERY_BRIEF: Duration = Duration::from_millis(100);
const SLOW: usize = 640;
const SLOW_ELSEWHERE: usize = 256;

/// Who may write in a folder, or read it, can have a scan of it wait. Of one owner's folders so many scans wait at a time before
/// others of his wait for these.
const OF_OWNER: usize = 8;

/// What scans have in common that one may hold up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Group {
    /// Folders on local disks that belong to root or to the service's user.
    Ours,
    /// Folders on local disks, of this user.
    Owner(u32),
    /// Folders on this device, which is not known to be a local disk.
    Device(u64),
}

/// The scans that are under way.
#[derive(Debug, Default)]
pub(super) struct Scanning {
    scans: HashMap<u64, Scan>,
    next_id: u64,
    /// Folders whose scan is due, and for which there is no place.
    waiting: HashMap<Group, Agenda>,
}

#[derive(Debug, Clone, Copy)]
struct Scan {
    group: Group,
    began: Instant,
}

impl Scan {
    fn is_local(&self) -> bool {
        !matches!(self.group, Group::Device(_))
    }

    fn is_slow(&self, now: Instant) -> bool {
        self.has_taken(BRIEF, now)
    }

    fn has_taken(&self, time: Duration, now: Instant) -> bool {
        self.began + time <= now
    }
}

impl Scanning {
    /// How many of these places are taken, if so many slow scans take none?
    fn taken(&self, slow: usize, now: Instant, is_one: impl Fn(&Scan) -> bool) -> usize {
        let (all, brief) = (self.scans.values().filter(|scan| is_one(scan)), self.brief(now));
        let (waiting, at_work): (Vec<&Scan>, Vec<&Scan>) = all.partition(|scan| scan.has_taken(brief, now));
        at_work.len() + waiting.len().saturating_sub(slow)
    }

    /// How long a scan keeps its place.
    fn brief(&self, now: Instant) -> Duration {
        let slow = self.scans.values().filter(|scan| scan.is_local() && scan.is_slow(now)).count();
        if slow >= AT_ONCE { VERY_BRIEF } else { BRIEF }
    }

    fn local(&self, now: Instant) -> usize {
        self.taken(SLOW, now, Scan::is_local)
    }

    /// How urgent a scan must be to be begun now; `None`: none is.
    pub(super) fn room(&self, now: Instant) -> Option<Priority> {
        match self.local(now) {
            ..AT_ONCE => Some(Priority::Routine),
            count if count < AT_ONCE + URGENT => Some(Priority::Urgent),
            _ => None,
        }
    }

    /// For how many more scans of this group is there a place, as far as the group is concerned?
    pub(super) fn places(&self, group: Group, now: Instant) -> usize {
        let of_group = || self.scans.values().filter(|scan| scan.group == group);
        match group {
            Group::Ours => usize::MAX,
            // as many as there are, until too many of them wait
            Group::Owner(_) if of_group().filter(|scan| scan.is_slow(now)).count() < OF_OWNER => usize::MAX,
            Group::Owner(_) => 0,
            Group::Device(_) => {
                let all = self.taken(SLOW_ELSEWHERE, now, |scan| !scan.is_local());
                OF_DEVICE.saturating_sub(of_group().count()).min(ELSEWHERE.saturating_sub(all))
            }
        }
    }

    /// When a place is wanted: when the next scan turns out to be slow, and gives its own up.
    pub(super) fn next_place(&self, now: Instant) -> Option<Instant> {
        if self.room(now) == Some(Priority::Routine) && self.waiting.is_empty() {
            return None;
        }
        let brief = self.brief(now);
        let with_place = self.scans.values().filter(|scan| !scan.has_taken(brief, now));
        with_place.map(|scan| scan.began + brief).min()
    }

    pub(super) fn begin(&mut self, group: Group, now: Instant) -> u64 {
        self.next_id += 1;
        self.scans.insert(self.next_id, Scan { group, began: now });
        self.next_id
    }

    pub(super) fn end(&mut self, id: u64) {
        self.scans.remove(&id);
    }

    /// The scan of this folder waits for a place.
    pub(super) fn wait(&mut self, group: Group, Due { folder, at, priority }: Due) {
        self.waiting.entry(group).or_default().add(&folder, at, priority);
    }

    /// Folders that waited, and for which there are places now.
    pub(super) fn take_waiting(&mut self, now: Instant) -> Vec<Due> {
        let groups: Vec<_> = self.waiting.keys().copied().collect();
        let mut next = Vec::new();
        for group in groups {
            let places = self.places(group, now);
            let Entry::Occupied(mut queue) = self.waiting.entry(group) else { continue };
            let before = next.len();
            let due = std::iter::from_fn(|| queue.get_mut().take_due(now, Priority::Routine));
            next.extend(due.take(places));
            if next.len() - before < places {
                queue.remove();
            }
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn due(name: &str) -> Due {
        Due { folder: name.into(), at: Instant::now(), priority: Priority::Routine }
    }

    #[tokio::test(start_paused = true)]
    async fn scans_elsewhere_take_no_local_place_and_wait_for_their_own() {
        let (mut scanning, now) = (Scanning::default(), Instant::now());
        let mut ids = Vec::new();
        for left in (0..OF_DEVICE).rev() {
            ids.push(scanning.begin(Group::Device(7), now));
            assert_eq!(scanning.places(Group::Device(7), now), left);
        }
        assert_eq!((scanning.local(now), scanning.places(Group::Device(8), now)), (0, OF_DEVICE));
        for name in ["a", "b"] {
            scanning.wait(Group::Device(7), due(name));
        }
        assert_eq!(scanning.take_waiting(now), []);
        scanning.end(ids[0]);
        assert_eq!(scanning.take_waiting(now), [due("a")]);
        ids[1..3].iter().for_each(|id| scanning.end(*id));
        assert_eq!(scanning.take_waiting(now), [due("b")]);
        assert!(scanning.waiting.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_scan_that_takes_long_gives_its_place_up() {
        let (mut scanning, now) = (Scanning::default(), Instant::now());
        for _ in 0..AT_ONCE {
            scanning.begin(Group::Ours, now);
        }
        for device in 0..u64::try_from(ELSEWHERE).unwrap() {
            scanning.begin(Group::Device(device), now);
        }
        assert_eq!((scanning.local(now), scanning.places(Group::Device(99), now)), (AT_ONCE, 0));
        let later = now + BRIEF;
        assert_eq!(scanning.next_place(now), Some(later));
        assert_eq!((scanning.local(later), scanning.places(Group::Device(99), later)), (0, OF_DEVICE));
        for _ in 0..SLOW {
            scanning.begin(Group::Ours, now);
        }
        assert_eq!(scanning.local(later), AT_ONCE, "but not without end");
    }

    #[tokio::test(start_paused = true)]
    async fn where_many_wait_the_next_ones_get_less_time() {
        let (mut scanning, began) = (Scanning::default(), Instant::now());
        for _ in 0..AT_ONCE {
            scanning.begin(Group::Ours, began);
        }
        let now = began + BRIEF;
        for _ in 0..AT_ONCE {
            scanning.begin(Group::Ours, now);
        }
        assert_eq!((scanning.local(now), scanning.next_place(now)), (AT_ONCE, Some(now + VERY_BRIEF)));
        assert_eq!(scanning.local(now + VERY_BRIEF), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn an_owner_whose_folders_hold_up_their_scans_holds_up_no_others() {
        let (mut scanning, now) = (Scanning::default(), Instant::now());
        let (theirs, others) = (Group::Owner(7), Group::Owner(8));
        let ids: Vec<_> = (0..AT_ONCE).map(|_| scanning.begin(theirs, now)).collect();
        assert!(scanning.places(theirs, now) > 0, "they have not waited yet");
        let later = now + BRIEF;
        assert_eq!((scanning.room(later), scanning.places(theirs, later)), (Some(Priority::Routine), 0));
        assert!(scanning.places(others, later) > 0 && scanning.places(Group::Ours, later) > 0);
        scanning.wait(theirs, due("a"));
        assert_eq!(scanning.take_waiting(later), []);
        scanning.end(ids[0]);
        assert_eq!(scanning.take_waiting(later), [due("a")]);
    }
}
