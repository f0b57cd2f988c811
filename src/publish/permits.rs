//! Permits: how many attempts may begin now.
//!
//! At full load a permit that has just become free waits a moment for others: files that are claimed together share a
//! query and a commit.

use std::time::Duration;

use tokio::time::Instant;

/// The longest that a free permit waits for others.
const GATHER: Duration = Duration::from_millis(5);

/// With so many permits in all, none waits.
const FEW: usize = 4;

/// The permits of the attempts.
#[derive(Debug, Default)]
pub(super) struct Permits {
    /// The first of those that are free became so then, if they wait for others.
    free_since: Option<Instant>,
}

impl Permits {
    /// How many attempts may begin now, when `used` of `total` are under way; or when to ask again, if nothing ends
    /// before.
    pub(super) fn free(&mut self, total: usize, used: usize, now: Instant) -> Result<usize, Option<Instant>> {
        let free = total.saturating_sub(used);
        if free == 0 {
            self.free_since = None;
            return Err(None);
        }
        let enough = total <= FEW || free >= total / 2;
        let gathered = *self.free_since.get_or_insert(now) + GATHER;
        if !enough && now < gathered {
            return Err(Some(gathered));
        }
        self.free_since = None;
        Ok(free)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_permits_wait_a_moment_for_others() {
        let (mut permits, now) = (Permits::default(), Instant::now());
        assert_eq!(permits.free(16, 0, now), Ok(16));
        assert_eq!(permits.free(16, 16, now), Err(None));
        assert_eq!(permits.free(16, 15, now), Err(Some(now + GATHER)));
        let later = now + GATHER / 2;
        assert_eq!(permits.free(16, 14, later), Err(Some(now + GATHER)), "from the first one on");
        assert_eq!(permits.free(16, 8, later), Ok(8), "half of them are enough");
        assert_eq!(permits.free(16, 15, later), Err(Some(later + GATHER)));
        assert_eq!(permits.free(16, 15, later + GATHER), Ok(1), "the others may take their time");
    }

    #[test]
    fn with_few_of_them_none_waits() {
        let (mut permits, now) = (Permits::default(), Instant::now());
        assert_eq!(permits.free(4, 3, now), Ok(1));
        assert_eq!(permits.free(1, 0, now), Ok(1));
    }
}
