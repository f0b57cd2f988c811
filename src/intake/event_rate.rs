//! How many events a folder raises. inotify has one queue for all folders: one in which something happens all the time would
//! fill it, and the events of the others would be lost.

use std::time::Duration;

use tokio::time::Instant;

/// So many events in so much time are more than copying makes: a brand has some ten files.
const MOST: u32 = 100_000;
const WITHIN: Duration = Duration::from_secs(10);

/// So long a folder with more of them is not watched, but polled.
const UNWATCHED: Duration = Duration::from_mins(1);

/// The events of one folder.
#[derive(Debug, Default)]
pub(super) struct EventRate {
    /// How many there were, and since when they are counted.
    counted: Option<(u32, Instant)>,
    unwatched_until: Option<Instant>,
}

impl EventRate {
    /// So many more came. True when they are too many: then the folder is not to be watched for a while.
    pub(super) fn are_too_many(&mut self, more: u32, now: Instant) -> bool {
        let (count, since) = self.counted.filter(|(_, since)| now - *since < WITHIN).unwrap_or((0, now));
        let count = count.saturating_add(more);
        self.counted = Some((count, since));
        let too_many = count > MOST;
        if too_many {
            (self.counted, self.unwatched_until) = (None, Some(now + UNWATCHED));
        }
        too_many
    }

    /// Were they too many, not long ago?
    pub(super) fn were_too_many(&self, now: Instant) -> bool {
        self.unwatched_until.is_some_and(|until| now < until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_events_are_no_flood_unless_they_come_at_once() {
        let (mut events, start) = (EventRate::default(), Instant::now());
        for times in 0..100 {
            assert!(!events.are_too_many(MOST, start + WITHIN * times), "{times}");
        }
        let last = start + WITHIN * 100;
        assert!(!events.are_too_many(1, last) && !events.were_too_many(last));
        assert!(events.are_too_many(MOST, last + WITHIN / 2));
        assert!(events.were_too_many(last + WITHIN / 2 + UNWATCHED / 2));
        assert!(!events.were_too_many(last + WITHIN / 2 + UNWATCHED));
    }
}
