//! One problem is logged when it begins, when it changes, once an hour while it lasts, and when it is over: not each
//! time that it is met.
//!
//! There are two kinds of subject. One thing (a folder, the database) works again as soon as it works once:
//! [`RepeatLimiter::resolved`]. Of many things (files) one may succeed while others still fail: after a success
//! ([`RepeatLimiter::succeeded`]) a problem is over when it has not been met for a minute ([`RepeatLimiter::ended`]).
//!
//! A problem that comes and goes in a loop is logged in full three times. After that it is logged when it lasts for
//! a minute, or when an hour has passed.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// As long as a problem lasts, it is logged this often.
const REMIND: Duration = Duration::from_hours(1);

/// After this long without a problem it is over; after this long with it, it is no mere flapping.
const QUIET: Duration = Duration::from_mins(1);

/// How long a resolved problem is remembered, to know it when it comes back.
const MEMORY: Duration = Duration::from_hours(1);

/// How many times in a row a problem that comes back is logged at once.
const RETURNS: u32 = 2;

/// More problems than this at a time are not told apart any more: whoever can make them (folders that are no brand's, say)
/// must not take memory. Those that are over are forgotten first.
const MOST: usize = 1000;

/// Decides which occurrences of a problem are logged. `P` says what the problem is: another `P` is another problem.
#[derive(Debug)]
pub(crate) struct RepeatLimiter<P> {
    problems: Mutex<HashMap<P, Problem>>,
    remind: Duration,
}

/// A problem that is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Resolved<P> {
    /// What it was.
    pub problem: P,
    /// How many times it was met.
    pub times: u64,
    /// How long it lasted.
    pub lasted: Duration,
}

#[derive(Debug)]
struct Problem {
    times: u64,
    /// When it began, or came back.
    since: Instant,
    last: Instant,
    /// When it was logged last, and whether that was since it began or came back.
    logged: Instant,
    is_logged: bool,
    /// Something succeeded since it was met last.
    succeeded: bool,
    resolved: Option<Instant>,
    /// How many times it came back.
    returns: u32,
}

impl<P> Default for RepeatLimiter<P> {
    fn default() -> Self {
        Self { problems: Mutex::default(), remind: REMIND }
    }
}

impl<P> RepeatLimiter<P> {
    /// A limiter that does not repeat itself while a problem lasts: for what is a notice rather than a problem.
    pub(crate) fn without_reminder() -> Self {
        Self { remind: Duration::MAX, ..Self::default() }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<P, Problem>> {
        self.problems.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<P: Eq + Hash + Clone> RepeatLimiter<P> {
    /// Counts one occurrence. `Some` when it is to be logged: how many times the problem was met so far.
    pub(crate) fn should_log(&self, problem: P) -> Option<u64> {
        let now = Instant::now();
        let mut problems = self.lock();
        if problems.len() >= MOST && !problems.contains_key(&problem) {
            problems.retain(|_, problem| problem.resolved.is_none());
            if problems.len() >= MOST {
                return None;
            }
        }
        let problem = problems.entry(problem).or_insert_with(|| Problem::new(now));
        if problem.is_forgotten(now) {
            *problem = Problem::new(now);
        }
        problem.meet(now);
        problem.is_due(now, self.remind).then(|| {
            (problem.logged, problem.is_logged) = (now, true);
            problem.times
        })
    }

    /// The subject works again: none of its problems is left. `Some` when that is to be logged, with the problem that
    /// was met last.
    pub(crate) fn resolved(&self) -> Option<Resolved<P>> {
        self.resolved_where(|_| true)
    }

    /// As [`RepeatLimiter::resolved`], for some of the problems.
    pub(crate) fn resolved_where(&self, is_over: impl Fn(&P) -> bool) -> Option<Resolved<P>> {
        let now = Instant::now();
        let mut problems = self.lock();
        problems.retain(|_, problem| !problem.is_forgotten(now));
        let over = problems.iter_mut().filter(|(key, problem)| problem.resolved.is_none() && is_over(key));
        let mut logged = Vec::new();
        for (key, problem) in over {
            problem.resolved = Some(now);
            if problem.is_logged {
                logged.push((key, problem));
            }
        }
        let (last, _) = logged.iter().max_by_key(|(_, problem)| problem.last)?;
        Some(Resolved {
            problem: (*last).clone(),
            times: logged.iter().map(|(_, problem)| problem.times).sum(),
            lasted: logged.iter().map(|(_, problem)| now - problem.since).max().unwrap_or_default(),
        })
    }

    /// One of many things went well.
    pub(crate) fn succeeded(&self) {
        self.lock().values_mut().for_each(|problem| problem.succeeded = true);
    }

    /// The problems of many things that are over, to be logged. What was met only once needs no end.
    pub(crate) fn ended(&self) -> Vec<Resolved<P>> {
        let now = Instant::now();
        let mut problems = self.lock();
        let ended = problems.extract_if(|_, problem| problem.has_ended(now));
        let ended = ended.filter(|(_, problem)| problem.times > 1);
        ended
            .map(|(key, problem)| Resolved {
                problem: key,
                times: problem.times,
                lasted: now - problem.since,
            })
            .collect()
    }

    /// The problem that was met last, if it is not resolved.
    pub(crate) fn current(&self) -> Option<P> {
        let problems = self.lock();
        let current = problems.iter().filter(|(_, problem)| problem.resolved.is_none());
        current.max_by_key(|(_, problem)| problem.last).map(|(key, _)| key.clone())
    }
}

impl Problem {
    fn new(now: Instant) -> Self {
        Self {
            times: 0,
            since: now,
            last: now,
            logged: now,
            is_logged: false,
            succeeded: false,
            resolved: None,
            returns: 0,
        }
    }

    fn meet(&mut self, now: Instant) {
        if self.resolved.take().is_some() {
            (self.since, self.is_logged) = (now, false);
            self.returns += 1;
        }
        (self.last, self.succeeded) = (now, false);
        self.times += 1;
    }

    fn is_due(&self, now: Instant, remind: Duration) -> bool {
        let remind = now - self.logged >= remind;
        match self.is_logged {
            true => remind,
            false => self.returns <= RETURNS || now - self.since >= QUIET || remind,
        }
    }

    fn has_ended(&self, now: Instant) -> bool {
        self.succeeded && now - self.last >= QUIET
    }

    fn is_forgotten(&self, now: Instant) -> bool {
        self.resolved.is_some_and(|resolved| now - resolved >= MEMORY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::advance;

    #[tokio::test(start_paused = true)]
    async fn a_problem_is_logged_when_it_begins_when_it_changes_and_once_an_hour() {
        let limiter = RepeatLimiter::default();
        assert_eq!(limiter.should_log("full"), Some(1));
        for _ in 0..1000 {
            assert_eq!(limiter.should_log("full"), None);
        }
        assert_eq!(limiter.should_log("locked"), Some(1));
        advance(REMIND).await;
        assert_eq!(limiter.should_log("full"), Some(1002));
        assert_eq!(limiter.should_log("full"), None);
    }

    #[tokio::test(start_paused = true)]
    async fn one_thing_works_again_when_it_works_once() {
        let limiter = RepeatLimiter::default();
        assert_eq!(limiter.resolved(), None, "nothing was wrong");
        limiter.should_log("full");
        advance(Duration::from_secs(3)).await;
        limiter.should_log("locked");
        assert_eq!(limiter.current(), Some("locked"));
        let over = Resolved { problem: "locked", times: 2, lasted: Duration::from_secs(3) };
        assert_eq!(limiter.resolved(), Some(over));
        assert_eq!((limiter.resolved(), limiter.current()), (None, None), "it is over once");
    }

    #[tokio::test(start_paused = true)]
    async fn what_comes_and_goes_in_a_loop_does_not_flood_the_log() {
        let limiter = RepeatLimiter::default();
        let (mut begun, mut over) = (0, 0);
        for _ in 0..5000 {
            begun += u32::from(limiter.should_log("gone").is_some());
            advance(Duration::from_secs(1)).await;
            over += u32::from(limiter.resolved().is_some());
            advance(Duration::from_secs(1)).await;
        }
        // three times at first, and twice in almost three hours
        assert_eq!((begun, over), (5, 5));
    }

    #[tokio::test(start_paused = true)]
    async fn what_stays_after_it_came_and_went_is_logged_within_a_minute() {
        let limiter = RepeatLimiter::default();
        for _ in 0..10 {
            limiter.should_log("gone");
            limiter.resolved();
        }
        assert_eq!(limiter.should_log("gone"), None);
        advance(QUIET).await;
        assert_eq!(limiter.should_log("gone"), Some(12));
        assert_eq!(limiter.resolved().unwrap().lasted, QUIET);
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_over_for_an_hour_begins_again() {
        let limiter = RepeatLimiter::default();
        for _ in 0..10 {
            limiter.should_log("gone");
            limiter.resolved();
        }
        advance(MEMORY).await;
        assert_eq!(limiter.should_log("gone"), Some(1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_problem_of_many_things_is_over_when_it_was_not_met_for_a_minute_after_a_success() {
        let limiter = RepeatLimiter::default();
        for problem in ["timeout", "timeout", "refused"] {
            limiter.should_log(problem);
        }
        advance(QUIET).await;
        assert_eq!(limiter.ended(), [], "nothing succeeded");
        limiter.should_log("timeout");
        limiter.succeeded();
        let refused = limiter.ended();
        assert_eq!(refused, [], "it was met only once");
        advance(QUIET).await;
        let over = Resolved { problem: "timeout", times: 3, lasted: QUIET * 2 };
        assert_eq!(limiter.ended(), [over]);
        assert_eq!(limiter.should_log("timeout"), Some(1), "it begins again");
    }

    #[tokio::test(start_paused = true)]
    async fn notices_are_logged_once_and_each_subject_is_resolved_for_itself() {
        let limiter = RepeatLimiter::without_reminder();
        assert_eq!(limiter.should_log("a.txt"), Some(1));
        advance(REMIND * 100).await;
        assert_eq!(limiter.should_log("a.txt"), None);
        limiter.should_log("b.txt");
        assert_eq!(limiter.resolved_where(|name| *name == "b.txt").unwrap().problem, "b.txt");
        assert_eq!(limiter.current(), Some("a.txt"));
    }
    #[tokio::test(start_paused = true)]
    async fn only_so_many_are_remembered_and_those_that_are_over_are_forgotten_first() {
        let limiter = RepeatLimiter::default();
        for number in 0..2 * MOST {
            assert_eq!(limiter.should_log(number).is_some(), number < MOST, "{number}");
        }
        limiter.resolved_where(|number| *number > 9);
        assert_eq!(limiter.should_log(2 * MOST), Some(1));
        assert_eq!(limiter.lock().len(), 11);
    }
}
