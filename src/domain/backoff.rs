//! How long to wait before the next try: a pure function of the number of tries.

use std::time::Duration;

/// Exponential backoff between two bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    first: Duration,
    max: Duration,
}

impl Backoff {
    /// Delays from `first`, doubling, up to `max` (raised to `first` if it is smaller).
    pub fn new(first: Duration, max: Duration) -> Self {
        Self { first, max: max.max(first) }
    }

    /// The longest delay it gives.
    pub fn max(self) -> Duration {
        self.max
    }

    /// The delay after `failures` failures in a row (1 is the first). `chance` in `0.0..=1.0` takes up to a
    /// quarter off, so that files that failed together do not come back together.
    pub fn delay(self, failures: u32, chance: f64) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        let full = self.first.saturating_mul(1 << doublings).min(self.max);
        full.mul_f64(1.0 - chance.clamp(0.0, 1.0) / 4.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn it_doubles_up_to_the_ceiling() {
        let backoff = Backoff::new(Duration::from_secs(2), Duration::from_mins(15));
        let table = [(0, 2), (1, 2), (2, 4), (3, 8), (9, 512), (10, 900), (11, 900), (u32::MAX, 900)];
        for (failures, seconds) in table {
            assert_eq!(backoff.delay(failures, 0.0), Duration::from_secs(seconds), "{failures}");
        }
    }

    #[test]
    fn jitter_takes_a_quarter_at_most() {
        let backoff = Backoff::new(Duration::from_secs(4), Duration::from_secs(4));
        assert_eq!(backoff.delay(1, 1.0), Duration::from_secs(3));
    }

    proptest! {
        #[test]
        fn it_stays_between_its_bounds(first in 1u64..10_000, max in 1u64..10_000_000, n: u32, chance: f64) {
            let backoff = Backoff::new(Duration::from_millis(first), Duration::from_millis(max));
            let chance = if chance.is_nan() { 0.0 } else { chance };
            let delay = backoff.delay(n, chance);
            prop_assert!(delay >= Duration::from_millis(first).mul_f64(0.749));
            prop_assert!(delay <= backoff.max());
        }
    }
}
