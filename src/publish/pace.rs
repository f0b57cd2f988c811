//! How fast: uploads and gateway calls a second, and slower for a while when a cloud asks for it.

use std::num::NonZeroU32;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use tokio::time::Instant;

use crate::config::Limits;

/// The slowest pace that throttling leads to: a sixty-fourth of the full one, or one upload in this time if
/// that is slower. A cloud that throttles everything gets no more requests than one that is down.
const SLOWEST: f64 = 1.0 / 64.0;
const SELDOM: Duration = Duration::from_secs(5);

/// How much of the full pace each success gives back.
const RECOVERY: f64 = 1.0 / 32.0;

/// The pace of the whole pipeline.
#[derive(Debug)]
pub struct Pace {
    uploads: Option<DefaultDirectRateLimiter>,
    gateway: Option<DefaultDirectRateLimiter>,
    throttle: Throttle,
}

impl Pace {
    /// The configured pace.
    pub fn new(limits: &Limits) -> Self {
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

    /// May the next upload begin? Then its turn is taken.
    ///
    /// # Errors
    /// With the time from which on it is worth asking again.
    pub fn upload(&self, now: Instant) -> Result<(), Instant> {
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
    pub async fn gateway(&self) {
        if let Some(limiter) = &self.gateway {
            limiter.until_ready().await;
        }
    }

    /// A cloud asks us to slow down: the pace is halved, and nothing begins before `wait` is over.
    pub fn slow_down(&self, wait: Option<Duration>, words: &str) {
        self.throttle.cut(Instant::now(), wait.unwrap_or_default(), words);
    }

    /// What the cloud said that has asked to slow down for so long, and let nothing through since.
    pub fn throttled(&self, now: Instant, at_least: Duration) -> Option<String> {
        self.throttle.lasting(now, at_least)
    }

    /// An upload went through: the pace recovers a little.
    pub fn recover(&self) {
        self.throttle.recover();
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
    /// When nothing went through any more, and in which words.
    since: Option<(Instant, String)>,
}

impl Throttle {
    fn new(uploads_per_second: u32) -> Self {
        // without a limit, a hundred a second is what the halves are taken of
        let rate = if uploads_per_second == 0 { 100 } else { uploads_per_second };
        Self {
            interval: Duration::from_secs(1) / rate,
            state: Mutex::new(Throttled { factor: 1.0, next: None, since: None }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Throttled> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Before when no upload may begin.
    fn peek(&self) -> Option<Instant> {
        self.lock().next
    }

    /// An upload begins now: the next one may so much later.
    fn take(&self, now: Instant) {
        let mut state = self.lock();
        state.next = (state.factor < 1.0).then(|| now + self.interval.div_f64(state.factor));
    }

    fn cut(&self, now: Instant, wait: Duration, words: &str) {
        let mut state = self.lock();
        state.since.get_or_insert_with(|| (now, words.to_owned()));
        let slowest = SLOWEST.min(self.interval.as_secs_f64() / SELDOM.as_secs_f64());
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
        let (since, words) = state.since.as_ref()?;
        (now.duration_since(*since) >= at_least).then(|| words.clone())
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
        throttle.cut(now, Duration::ZERO, "busy");
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
    fn the_pace_is_kept_and_tells_when_to_ask_again() {
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
    fn a_cloud_that_throttles_everything_is_asked_seldom() {
        let throttle = Throttle::new(0);
        let mut now = Instant::now();
        for _ in 0..20 {
            throttle.cut(now, Duration::ZERO, "busy");
            now = throttle.peek().unwrap();
            throttle.take(now);
        }
        assert!(throttle.peek().unwrap() - now >= SELDOM);
        throttle.recover();
        throttle.take(now);
        assert!(throttle.peek().unwrap() - now < Duration::from_secs(1), "one success and it goes on");
    }

    #[test]
    fn throttling_lasts_until_something_goes_through() {
        let throttle = Throttle::new(10);
        let (start, minute) = (Instant::now(), Duration::from_mins(1));
        throttle.cut(start, Duration::ZERO, "first");
        throttle.cut(start + minute / 2, Duration::ZERO, "second");
        assert_eq!(throttle.lasting(start + minute / 2, minute), None);
        assert_eq!(throttle.lasting(start + minute, minute).as_deref(), Some("first"));
        throttle.recover();
        assert_eq!(throttle.lasting(start + minute, minute), None);
    }

    #[test]
    fn retry_after_is_honoured() {
        let throttle = Throttle::new(10);
        let now = Instant::now();
        throttle.cut(now, Duration::from_secs(30), "busy");
        assert_eq!(throttle.peek(), Some(now + Duration::from_secs(30)));
    }
}
