//! The same complaint of thousands of files is one complaint: said when it begins, when it becomes another
//! one, once an hour, and when it is over. Each file's own story stands in the table.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::domain::failure::{ErrorKind, Failure};

/// As long as it lasts, a complaint is said this often.
const REMIND: Duration = Duration::from_hours(1);

/// What files complain of at present.
#[derive(Debug, Default)]
pub(super) struct Chorus(Mutex<Vec<Complaint>>);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Complaint {
    pub(super) kind: ErrorKind,
    pub(super) code: Option<String>,
    /// How often it came, the first time included.
    pub(super) times: u64,
    pub(super) since: Instant,
    said: Instant,
}

impl Chorus {
    /// One more failure. `Some` if it is to be said: how often it came since it began.
    pub(super) fn join(&self, failure: &Failure, now: Instant) -> Option<u64> {
        let mut complaints = self.lock();
        let same =
            |complaint: &&mut Complaint| complaint.kind == failure.kind && complaint.code == failure.code;
        if let Some(complaint) = complaints.iter_mut().find(same) {
            complaint.times += 1;
            let remind = now.duration_since(complaint.said) >= REMIND;
            return remind.then(|| {
                complaint.said = now;
                complaint.times
            });
        }
        complaints.push(Complaint {
            kind: failure.kind,
            code: failure.code.clone(),
            times: 1,
            since: now,
            said: now,
        });
        Some(1)
    }

    /// A file went through. What came more than once is said to be over.
    pub(super) fn over(&self) -> Vec<Complaint> {
        let ended = std::mem::take(&mut *self.lock());
        ended.into_iter().filter(|complaint| complaint.times > 1).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Complaint>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(code: &str) -> Failure {
        Failure { code: Some(code.into()), ..Failure::new(ErrorKind::Throttled, "slow down") }
    }

    #[test]
    fn it_is_said_when_it_begins_changes_lasts_and_ends() {
        let (chorus, start) = (Chorus::default(), Instant::now());
        assert_eq!(chorus.join(&failure("a"), start), Some(1));
        for _ in 0..1000 {
            assert_eq!(chorus.join(&failure("a"), start), None);
        }
        assert_eq!(chorus.join(&failure("b"), start), Some(1), "another nature");
        assert_eq!(chorus.join(&failure("a"), start + REMIND), Some(1002));
        assert_eq!(chorus.join(&failure("a"), start + REMIND), None);
        let over = chorus.over();
        assert_eq!(over.len(), 1, "what came once needs no end");
        assert_eq!((over[0].times, over[0].since), (1003, start));
        assert_eq!(chorus.join(&failure("a"), start), Some(1), "it begins anew");
    }
}
