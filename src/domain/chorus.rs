//! The same complaint of thousands of files is one complaint: said when it begins, when it becomes another
//! one, once an hour, and when it is over. Each file's own story stands in the table.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// As long as it lasts, a complaint is said this often.
const REMIND: Duration = Duration::from_hours(1);

/// It is over when things go well and it was not heard for so long: what comes and goes is one complaint.
const QUIET: Duration = Duration::from_mins(1);

/// What is complained of at present.
#[derive(Debug)]
pub struct Chorus<K>(Mutex<Vec<Complaint<K>>>);

/// One complaint of many.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complaint<K> {
    /// What it is.
    pub what: K,
    /// How often it came, the first time included.
    pub times: u64,
    /// When it came first.
    pub since: Instant,
    last: Instant,
    said: Instant,
    /// Things went well since it came last.
    healed: bool,
}

impl<K> Default for Chorus<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: PartialEq> Chorus<K> {
    /// One more. `Some` if it is to be said: how often it came since it began.
    pub fn join(&self, what: K, now: Instant) -> Option<u64> {
        let mut complaints = self.lock();
        if let Some(complaint) = complaints.iter_mut().find(|complaint| complaint.what == what) {
            complaint.times += 1;
            (complaint.last, complaint.healed) = (now, false);
            let remind = now.duration_since(complaint.said) >= REMIND;
            return remind.then(|| {
                complaint.said = now;
                complaint.times
            });
        }
        complaints.push(Complaint { what, times: 1, since: now, last: now, said: now, healed: false });
        Some(1)
    }

    /// Something went well.
    pub fn heal(&self) {
        self.lock().iter_mut().for_each(|complaint| complaint.healed = true);
    }

    /// What is over. What came only once need not be said again.
    pub fn over(&self, now: Instant) -> Vec<Complaint<K>> {
        let ended =
            |complaint: &mut Complaint<K>| complaint.healed && now.duration_since(complaint.last) >= QUIET;
        self.lock().extract_if(.., ended).filter(|complaint| complaint.times > 1).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Complaint<K>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_said_when_it_begins_changes_lasts_and_ends() {
        let (chorus, start) = (Chorus::default(), Instant::now());
        assert_eq!(chorus.join("a", start), Some(1));
        for _ in 0..1000 {
            assert_eq!(chorus.join("a", start), None);
        }
        assert_eq!(chorus.join("b", start), Some(1), "another nature");
        assert_eq!(chorus.join("a", start + REMIND), Some(1002));
        assert_eq!(chorus.join("a", start + REMIND), None);
        let later = start + REMIND + QUIET;
        assert_eq!(chorus.over(later), [], "nothing went well");
        chorus.heal();
        assert_eq!(chorus.over(start + REMIND), [], "it may come again");
        let over = chorus.over(later);
        assert_eq!(over.len(), 1, "what came once needs no end");
        assert_eq!((over[0].what, over[0].times, over[0].since), ("a", 1003, start));
        assert_eq!(chorus.join("a", later), Some(1), "it begins anew");
    }
}
