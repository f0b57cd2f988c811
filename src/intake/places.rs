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

/// A scan that takes longer waits for something, and gives its place up: so many may do so.
const BRIEF: Duration = Duration::from_secs(1);
const SLOW: usize = 64;
const SLOW_ELSEWHERE: usize = 256;

/// The scans that are under way.
#[derive(Debug, Default)]
pub(super) struct Scanning {
    scans: HashMap<u64, Scan>,
    next_id: u64,
    /// Folders whose scan is due, and for which there is no place.
    waiting: HashMap<u64, Agenda>,
}

#[derive(Debug, Clone, Copy)]
struct Scan {
    /// Where the folder is; `None`: on a local disk.
    device: Option<u64>,
    began: Instant,
}

impl Scan {
    fn is_slow(&self, now: Instant) -> bool {
        self.began + BRIEF <= now
    }
}

impl Scanning {
    /// How many of these places are taken, if so many slow scans take none?
    fn taken(&self, slow: usize, now: Instant, is_one: impl Fn(&Scan) -> bool) -> usize {
        let all = self.scans.values().filter(|scan| is_one(scan));
        let (waiting, at_work): (Vec<&Scan>, Vec<&Scan>) = all.partition(|scan| scan.is_slow(now));
        at_work.len() + waiting.len().saturating_sub(slow)
    }

    fn local(&self, now: Instant) -> usize {
        self.taken(SLOW, now, |scan| scan.device.is_none())
    }

    /// How urgent a scan must be to be begun now; `None`: none is.
    pub(super) fn room(&self, now: Instant) -> Option<Priority> {
        match self.local(now) {
            ..AT_ONCE => Some(Priority::Routine),
            count if count < AT_ONCE + URGENT => Some(Priority::Urgent),
            _ => None,
        }
    }

    /// For how many scans on this device, which is not known to be a local disk, is there a place?
    pub(super) fn places(&self, device: u64, now: Instant) -> usize {
        let of_device = self.scans.values().filter(|scan| scan.device == Some(device)).count();
        let all = self.taken(SLOW_ELSEWHERE, now, |scan| scan.device.is_some());
        OF_DEVICE.saturating_sub(of_device).min(ELSEWHERE.saturating_sub(all))
    }

    /// When a place is wanted: when the next scan turns out to be slow, and gives its own up.
    pub(super) fn next_place(&self, now: Instant) -> Option<Instant> {
        if self.room(now) == Some(Priority::Routine) && self.waiting.is_empty() {
            return None;
        }
        self.scans.values().filter(|scan| !scan.is_slow(now)).map(|scan| scan.began + BRIEF).min()
    }

    pub(super) fn begin(&mut self, device: Option<u64>, now: Instant) -> u64 {
        self.next_id += 1;
        self.scans.insert(self.next_id, Scan { device, began: now });
        self.next_id
    }

    pub(super) fn end(&mut self, id: u64) {
        self.scans.remove(&id);
    }

    /// The scan of this folder waits for a place.
    pub(super) fn wait(&mut self, device: u64, Due { folder, at, priority }: Due) {
        self.waiting.entry(device).or_default().add(&folder, at, priority);
    }

    /// Folders that waited, and for which there are places now.
    pub(super) fn take_waiting(&mut self, now: Instant) -> Vec<Due> {
        let devices: Vec<_> = self.waiting.keys().copied().collect();
        let mut next = Vec::new();
        for device in devices {
            let places = self.places(device, now);
            let Entry::Occupied(mut queue) = self.waiting.entry(device) else { continue };
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
            ids.push(scanning.begin(Some(7), now));
            assert_eq!(scanning.places(7, now), left);
        }
        assert_eq!((scanning.local(now), scanning.places(8, now)), (0, OF_DEVICE));
        for name in ["a", "b"] {
            scanning.wait(7, due(name));
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
            scanning.begin(None, now);
        }
        for device in 0..u64::try_from(ELSEWHERE).unwrap() {
            scanning.begin(Some(device), now);
        }
        assert_eq!((scanning.local(now), scanning.places(99, now)), (AT_ONCE, 0));
        let later = now + BRIEF;
        assert_eq!(scanning.next_place(now), Some(later));
        assert_eq!((scanning.local(later), scanning.places(99, later)), (0, OF_DEVICE));
        for _ in 0..SLOW {
            scanning.begin(None, now);
        }
        assert_eq!(scanning.local(later), AT_ONCE, "but not without end");
    }
}
