//! How many uploads and gateway calls a second, and fewer for a while when a cloud asks for it.

use std::num::NonZeroU32;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use tokio::time::Instant;

use crate::config::Limits;

/// The slowest pace that throttling leads to: a sixty-fourth of the full one, or one upload in `MAX_INTERVAL` if that
/// is slower. A cloud that throttles everything gets no more requests than one that is down.
const MIN_FACTOR: f64 = 1.0 / 64.0;
const MAX_INTERVAL: Duration = Duration::from_secs(5);

/// How much of the full pace each success gives back.
const RECOVERY: f64 = 1.0 / 32.0;

/// What one attempt tells about the load that the clouds take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Feedback {
    /// An upload went through.
    Uploaded,
    /// A cloud asks to slow down.
    SlowDown {
        /// For how long nothing may start, if it said so.
        wait: Option<Duration>,
        /// Its error, for people.
        error: String,
    },
    /// Nothing.
    None,
}

/// The pace of the whole pipeline.
#[derive(Debug)]
pub(super) struct Pace {
    uploads: Option<DefaultDirectRateLimiter>,
    gateway: Option<DefaultDirectRateLimiter>,
    throttle: Throttle,
}

impl Pace {
    /// The configured pace.
    pub(super) fn new(limits: &Limits) -> Self {
        let burst = NonZeroU32::new(limits.burst).unwrap_or(NonZeroU32::MIN);
        let limiter = |rate: u32| {
            Some(RateLimiter::direct(Quota::per_second(NonZeroU32::new(rate)?).allow_burst(burst)))
        };
        Self {
            uploads: limiter(limits.uploads_per_second),
            gateway: limiter(limits.gateway_per_second),
            throttle: Throttle::new(limits.uploads_per_second),
        }
    }

    /// May the next upload start? If so, it counts as started.
    ///
    /// # Errors
    /// With the time before which asking again is of no use.
    pub(super) fn upload(&self, now: Instant) -> Result<(), Instant> {
        if let Some(turn) = self.throttle.peek().filter(|turn| *turn > now) {
            return Err(turn);
        }
        if let Some(limiter) = &self.uploads {
            limiter
                .check()
                .map_err(|not_until| now + not_until.wait_time_from(DefaultClock::default().now()))?;
        }
        self.throttle.take(now);
        Ok(())
    }

    /// Resolves when the gateway may be called.
    pub(super) async fn gateway(&self) {
        if let Some(limiter) = &self.gateway {
            limiter.until_ready().await;
        }
    }

    /// Takes in what an attempt showed. When a cloud asks to slow down, the pace is halved and nothing starts before
    /// `wait` is over; each upload lets the pace recover a little.
    pub(super) fn record(&self, feedback: &Feedback, now: Instant) {
        match feedback {
            Feedback::Uploaded => self.throttle.recover(),
            Feedback::SlowDown { wait, error } => {
                self.throttle.slow_down(now, wait.unwrap_or_default(), error);
            }
            Feedback::None => {}
        }
    }

    /// The error of a cloud that has asked to slow down for at least so long, and has let nothing through since.
    pub(super) fn throttled(&self, now: Instant, at_least: Duration) -> Option<String> {
        self.throttle.lasting(now, at_least)
    }
}

/// Multiplicative decrease, additive increase.
#[derive(Debug)]
struct Throttle {
    /// Between two uploads at full pace.
    interval: Duration,
    state: Mutex<Throttled>,
}

#[derive(Debug)]
struct Throttled {
    factor: f64,
    next: Option<Instant>,
    /// Since when nothing goes through, and the cloud's error.
    since: Option<(Instant, String)>,
}

impl Throttle {
    fn new(uploads_per_second: u32) -> Self {
        // without a limit, the full pace counts as a hundred a second
        let rate = if uploads_per_second == 0 { 100 } else { uploads_per_second };
        Self {
            interval: Duration::from_secs(1) / rate,
            state: Mutex::new(Throttled { factor: 1.0, next: None, since: None }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Throttled> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// No upload may start before then.
    fn peek(&self) -> Option<Instant> {
        self.lock().next
    }

    /// An upload starts now, and the next one an interval later.
    fn take(&self, now: Instant) {
        let mut state = self.lock();
        state.next = (state.factor < 1.0).then(|| now + self.interval.div_f64(state.factor));
    }

    fn slow_down(&self, now: Instant, wait: Duration, error: &str) {
        let mut state = self.lock();
        state.since.get_or_insert_with(|| (now, error.to_owned()));
        let slowest = MIN_FACTOR.min(self.interval.as_secs_f64() / MAX_INTERVAL.as_secs_f64());
        state.factor = (state.factor / 2.0).max(slowest);
        let next = now + wait.max(self.interval.div_f64(state.factor));
        state.next = Some(state.next.map_or(next, |before| before.max(next)));
    }

    fn recover(&self) {
        let mut state = self.lock();
        state.factor = (state.factor + RECOVERY).min(1.0);
        state.since = None;
    }

    fn lasting(&self, now: Instant, at_least: Duration) -> Option<String> {
        let state = self.lock();
        let (since, error) = state.since.as_ref()?;
        (now.duration_since(*since) >= at_least).then(|| error.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn throttling_halves_the_pace_and_successes_restore_it() {
        let throttle = Throttle::new(10);
        let now = Instant::now();
        throttle.take(now);
        assert_eq!(throttle.peek(), None, "full pace is the limiter's business");
        throttle.slow_down(now, Duration::ZERO, "busy");
        let first = now + Duration::from_millis(200);
        assert_eq!(throttle.peek(), Some(first));
        throttle.take(first);
        assert_eq!(throttle.peek(), Some(first + Duration::from_millis(200)));
        for _ in 0..16 {
            throttle.recover();
        }
        throttle.take(first);
        assert_eq!(throttle.peek(), None, "full pace again");
    }

    #[test]
    fn the_pace_is_kept_and_says_when_to_ask_again() {
        let limits = Limits {
            concurrency: 1,
            uploads_per_second: 2,
            burst: 1,
            gateway_per_second: 0,
            bytes_per_second: 0,
        };
        let pace = Pace::new(&limits);
        let now = Instant::now();
        assert_eq!(pace.upload(now), Ok(()));
        let again = pace.upload(now).unwrap_err();
        assert!(again > now && again <= now + Duration::from_millis(500), "{:?}", again - now);
    }

    #[test]
    fn a_cloud_that_throttles_everything_is_called_rarely() {
        let throttle = Throttle::new(0);
        let mut now = Instant::now();
        for _ in 0..20 {
            throttle.slow_down(now, Duration::ZERO, "busy");
            now = throttle.peek().unwrap();
            throttle.take(now);
        }
        assert!(throttle.peek().unwrap() - now >= MAX_INTERVAL);
        throttle.recover();
        throttle.take(now);
        assert!(throttle.peek().unwrap() - now < Duration::from_secs(1), "one success and it goes on");
    }

    #[test]
    fn throttling_lasts_until_something_goes_through() {
        let throttle = Throttle::new(10);
        let (start, minute) = (Instant::now(), Duration::from_mins(1));
        throttle.slow_down(start, Duration::ZERO, "first");
        throttle.slow_down(start + minute / 2, Duration::ZERO, "second");
        assert_eq!(throttle.lasting(start + minute / 2, minute), None);
        assert_eq!(throttle.lasting(start + minute, minute).as_deref(), Some("first"));
        throttle.recover();
        assert_eq!(throttle.lasting(start + minute, minute), None);
    }

    #[test]
    fn retry_after_is_honoured() {
        let throttle = Throttle::new(10);
        let now = Instant::now();
        throttle.slow_down(now, Duration::from_secs(30), "busy");
        assert_eq!(throttle.peek(), Some(now + Duration::from_secs(30)));
    }
}
