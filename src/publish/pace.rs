//! How fast: uploads and gateway calls a second, and slower for a while when a cloud asks for it.

use std::num::NonZeroU32;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use tokio::time::Instant;

use crate::config::Limits;

/// The slowest pace that throttling leads to, as a part of the full one.
const SLOWEST: f64 = 1.0 / 64.0;

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

    /// Resolves when the next upload may begin.
    pub async fn upload(&self) {
        loop {
            let now = Instant::now();
            match self.throttle.turn(now) {
                turn if turn <= now => break,
                turn => tokio::time::sleep_until(turn).await,
            }
        }
        if let Some(limiter) = &self.uploads {
            limiter.until_ready().await;
        }
    }

    /// Resolves when the gateway may be called.
    pub async fn gateway(&self) {
        if let Some(limiter) = &self.gateway {
            limiter.until_ready().await;
        }
    }

    /// A cloud asks us to slow down: the pace is halved, and nothing begins before `wait` is over.
    pub fn slow_down(&self, wait: Option<Duration>) {
        self.throttle.cut(Instant::now(), wait.unwrap_or_default());
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
}

impl Throttle {
    fn new(uploads_per_second: u32) -> Self {
        // without a limit, a hundred a second is what the halves are taken of
        let rate = if uploads_per_second == 0 { 100 } else { uploads_per_second };
        Self {
            interval: Duration::from_secs(1) / rate,
            state: Mutex::new(Throttled { factor: 1.0, next: None }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Throttled> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When the next upload may begin; if that is now, the turn is taken.
    fn turn(&self, now: Instant) -> Instant {
        let mut state = self.lock();
        match state.next {
            Some(next) if next > now => next,
            _ => {
                state.next = (state.factor < 1.0).then(|| now + self.interval.div_f64(state.factor));
                now
            }
        }
    }

    fn cut(&self, now: Instant, wait: Duration) {
        let mut state = self.lock();
        state.factor = (state.factor / 2.0).max(SLOWEST);
        let next = now + wait.max(self.interval.div_f64(state.factor));
        state.next = Some(state.next.map_or(next, |before| before.max(next)));
    }

    fn recover(&self) {
        let mut state = self.lock();
        state.factor = (state.factor + RECOVERY).min(1.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn throttling_halves_the_pace_and_successes_restore_it() {
        let throttle = Throttle::new(10);
        let now = Instant::now();
        assert_eq!(throttle.turn(now), now);
        assert_eq!(throttle.turn(now), now, "full pace is the limiter's business");
        throttle.cut(now, Duration::ZERO);
        let first = throttle.turn(now);
        assert_eq!(first, now + Duration::from_millis(200));
        assert_eq!(throttle.turn(first), first);
        assert_eq!(throttle.turn(first), first + Duration::from_millis(200));
        for _ in 0..16 {
            throttle.recover();
        }
        let last = throttle.turn(first);
        assert_eq!(throttle.turn(last), last);
        assert_eq!(throttle.turn(last), last, "full pace again");
    }

    #[test]
    fn retry_after_is_honoured() {
        let throttle = Throttle::new(10);
        let now = Instant::now();
        throttle.cut(now, Duration::from_secs(30));
        assert_eq!(throttle.turn(now), now + Duration::from_secs(30));
    }
}
