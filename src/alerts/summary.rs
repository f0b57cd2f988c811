//! The daily summary: when it is due, and what it says.

use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};
use serde::Serialize;

use crate::domain::upload::State;
use crate::ledger::{LedgerError, Report};

/// What it says is of this time, and of now.
const PERIOD: SignedDuration = SignedDuration::from_hours(24);

/// How it stands.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Summary {
    /// Which day's it is, on this machine's calendar.
    pub(super) date: Date,
    /// How many files were uploaded in the last 24 hours.
    pub(super) uploaded: u64,
    /// How many wait now, and how many of them for an operator's word.
    pub(super) waiting: u64,
    pub(super) held: u64,
    /// How many are refused now.
    pub(super) failed: u64,
    pub(super) rejected: u64,
}

impl Summary {
    /// As it is now.
    ///
    /// # Errors
    /// When the database fails.
    pub(super) async fn read(report: &Report, date: Date, now: Timestamp) -> Result<Self, LedgerError> {
        let counts = report.counts(None).await?;
        let since = now.checked_sub(PERIOD).unwrap_or(Timestamp::MIN);
        Ok(Self {
            date,
            uploaded: report.uploaded_since(since).await?,
            waiting: counts.pending(),
            held: report.held().await?,
            failed: counts.of(State::Failed),
            rejected: counts.of(State::Rejected),
        })
    }
}

/// The day whose summary is the latest that may be sent: today's from this time of day on, by this machine's clock and time zone.
pub(super) fn latest(now: Timestamp, at: Time) -> Date {
    let now = now.to_zoned(TimeZone::system());
    let today = now.date();
    if now.time() >= at { today } else { today.yesterday().unwrap_or(today) }
}

/// Is the summary of the latest day to be sent, if that of `last` was? A `last` that is more than a day ahead is from
/// another clock.
pub(super) fn is_due(last: Option<Date>, latest: Date) -> bool {
    last.is_some_and(|last| last < latest || last > latest.saturating_add(1.day()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    #[test]
    fn a_summary_is_due_once_a_day_whatever_the_clock_does() {
        let day = date(2026, 11, 30);
        for (last, due) in [
            (None, false),
            (Some(day), false),
            (Some(date(2026, 11, 29)), true),
            // the daemon was down for a week: one summary, not seven
            (Some(date(2026, 11, 23)), true),
            // the clock was set back by less than a day
            (Some(date(2026, 12, 1)), false),
            // and by years, from a wrong time
            (Some(date(2030, 1, 1)), true),
        ] {
            assert_eq!(is_due(last, day), due, "{last:?}");
        }
    }

    #[test]
    fn the_time_of_day_is_the_machine_s() {
        let at = Time::constant(8, 0, 0, 0);
        let noon = date(2026, 11, 30).at(12, 0, 0, 0).to_zoned(TimeZone::system()).unwrap();
        assert_eq!(latest(noon.timestamp(), at), date(2026, 11, 30));
        let early = noon.timestamp() - SignedDuration::from_hours(5);
        assert_eq!(latest(early, at), date(2026, 11, 29));
        let eight = noon.timestamp() - SignedDuration::from_hours(4);
        assert_eq!(latest(eight, at), date(2026, 11, 30));
    }
}
