//! Time is a parameter: code that needs the wall clock is handed one.

use std::sync::Mutex;
use std::time::Duration;

use jiff::civil::DateTime;
use jiff::{Span, Timestamp, Zoned};

/// Where the wall-clock time comes from.
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// The time now, UTC.
    fn now(&self) -> Timestamp;
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place where the machine's clock is read")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// A clock that stands still until it is moved, for tests.
#[derive(Debug)]
pub struct ManualClock(Mutex<Timestamp>);

impl ManualClock {
    /// A clock that shows `start`.
    pub fn new(start: Timestamp) -> Self {
        Self(Mutex::new(start))
    }

    /// Moves the clock to `now`, forwards or back.
    pub fn set(&self, now: Timestamp) {
        *self.lock() = now;
    }

    /// Moves the clock forwards.
    pub fn advance(&self, by: Duration) {
        let mut now = self.lock();
        *now = later(*now, by);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Timestamp> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        *self.lock()
    }
}

/// `from` plus `by`, stopping at the end of representable time instead of failing.
pub fn later(from: Timestamp, by: Duration) -> Timestamp {
    let by = jiff::SignedDuration::try_from(by).unwrap_or(jiff::SignedDuration::MAX);
    from.saturating_add(by).unwrap_or(Timestamp::MAX)
}

/// How long it is from `now` until `due`; nothing when that is over.
pub fn until(now: Timestamp, due: Timestamp) -> Duration {
    Duration::try_from(due.duration_since(now)).unwrap_or_default()
}

/// RFC 3339 in UTC with exactly three decimals, as the database keeps times: such texts sort by time.
pub fn rfc3339(time: Timestamp) -> String {
    format!("{time:.3}")
}

/// A time as people write it: a time with its zone, one or a date of `now`'s zone, or how long ago (`2h`, `3d`). `None`: it is
/// no such text.
pub fn parse_past(text: &str, now: &Zoned) -> Option<Timestamp> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return Some(time);
    }
    if let Ok(time) = text.parse::<DateTime>() {
        return Some(time.to_zoned(now.time_zone().clone()).ok()?.timestamp());
    }
    let ago = text.parse::<Span>().ok()?;
    Some(now.checked_sub(ago.abs()).ok()?.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_may_be_given_in_many_ways() {
        let now: Zoned = "2026-11-24T18:00:00+08:00[Asia/Shanghai]".parse().unwrap();
        for (text, time) in [
            ("2026-11-24T08:00:00Z", "2026-11-24T08:00:00.000Z"),
            ("2026-11-24T08:00", "2026-11-24T00:00:00.000Z"),
            ("2026-11-24 08:00", "2026-11-24T00:00:00.000Z"),
            ("2026-11-24", "2026-11-23T16:00:00.000Z"),
            ("30m", "2026-11-24T09:30:00.000Z"),
            ("2h", "2026-11-24T08:00:00.000Z"),
            ("3d", "2026-11-21T10:00:00.000Z"),
            ("1w", "2026-11-17T10:00:00.000Z"),
        ] {
            assert_eq!(parse_past(text, &now).map(rfc3339).as_deref(), Some(time), "{text}");
        }
        for text in ["", "soon", "2 apples", "2026-13-01"] {
            assert_eq!(parse_past(text, &now), None, "{text}");
        }
    }

    #[test]
    fn database_times_have_a_fixed_width_and_sort() {
        let early = Timestamp::from_millisecond(1_700_000_000_000).unwrap();
        let late = later(early, Duration::from_millis(5));
        assert_eq!(rfc3339(early), "2023-11-14T22:13:20.000Z");
        assert_eq!(rfc3339(late), "2023-11-14T22:13:20.005Z");
        assert!(rfc3339(early) < rfc3339(late));
    }

    #[test]
    fn adding_for_ever_stops_at_the_end_of_time() {
        assert_eq!(later(Timestamp::MAX, Duration::MAX), Timestamp::MAX);
    }

    #[test]
    fn a_manual_clock_moves_only_when_told() {
        let clock = ManualClock::new(Timestamp::UNIX_EPOCH);
        clock.advance(Duration::from_secs(2));
        assert_eq!(clock.now().as_second(), 2);
    }
}
