//! Computes how long a crashed service waits before it starts again.

use std::time::Duration;

/// The first pause. Each following pause is twice as long.
const FIRST: Duration = Duration::from_millis(500);
/// The longest pause.
const LONGEST: Duration = Duration::from_secs(30);
/// A service that was healthy for this long starts again with the first pause.
const STEADY: Duration = Duration::from_secs(10);

/// Computes the pauses of one service.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    crashes: u32,
}

impl Backoff {
    /// Returns the pause after a crash. `healthy` is how long the service was
    /// healthy.
    pub(super) fn rest(&mut self, healthy: Option<Duration>) -> Duration {
        if healthy.is_some_and(|healthy| healthy >= STEADY) {
            self.crashes = 0;
        }
        let rest = FIRST.saturating_mul(2_u32.saturating_pow(self.crashes));
        self.crashes = self.crashes.saturating_add(1);
        rest.min(LONGEST)
    }

    /// Forgets the crashes: the service has a new program.
    pub(super) fn forget(&mut self) {
        self.crashes = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rests_double_up_to_the_longest() {
        let mut backoff = Backoff::default();
        let rests: Vec<u64> = (0..8)
            .map(|_| u64::try_from(backoff.rest(None).as_millis()).unwrap_or(0))
            .collect();
        let expected = [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000];
        assert_eq!(rests, expected);
        for _ in 0..100 {
            assert_eq!(backoff.rest(Some(STEADY / 2)), LONGEST);
        }
    }

    #[test]
    fn a_while_of_health_begins_anew() {
        let mut backoff = Backoff::default();
        backoff.rest(None);
        backoff.rest(None);
        assert_eq!(backoff.rest(Some(STEADY)), FIRST);
        assert_eq!(backoff.rest(None), FIRST * 2);
        backoff.forget();
        assert_eq!(backoff.rest(None), FIRST);
    }
}
