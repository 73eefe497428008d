//! How long to wait before the next try.

use crate::store::{ErrorKind, ObjectError};
use std::time::Duration;

/// Pauses that double up to a limit, each drawn from its upper half, so that many sidecars do not come back at the same moment.
#[derive(Clone, Debug)]
pub struct Backoff {
    first: Duration,
    limit: Duration,
    failures: u32,
}

impl Backoff {
    /// From `first` up to `limit`.
    pub fn new(first: Duration, limit: Duration) -> Self {
        Self {
            first,
            limit,
            failures: 0,
        }
    }

    /// The pause after one more failure.
    pub fn failed(&mut self) -> Duration {
        let doubled = self
            .first
            .saturating_mul(2u32.saturating_pow(self.failures.min(20)));
        self.failures += 1;
        doubled.min(self.limit).mul_f64(rand::random_range(0.5..=1.0))
    }

    /// It worked: the next failure waits `first` again.
    pub fn worked(&mut self) {
        self.failures = 0;
    }

    /// Failures since it last worked.
    pub fn failures(&self) -> u32 {
        self.failures
    }
}

/// Runs a call again while the store is unavailable, `attempts` times in all.
pub(crate) async fn persist<T, F: Future<Output = Result<T, ObjectError>>>(
    attempts: u32,
    mut backoff: Backoff,
    mut call: impl FnMut() -> F,
) -> Result<T, ObjectError> {
    loop {
        match call().await {
            Err(error) if error.kind == ErrorKind::Unavailable && backoff.failures() + 1 < attempts => {
                let pause = backoff.failed();
                tracing::warn!(%error, ?pause, "trying again");
                tokio::time::sleep(pause).await;
            }
            done => return done,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_the_limit_and_start_again_after_success() {
        let (first, limit) = (Duration::from_millis(500), Duration::from_secs(30));
        let mut backoff = Backoff::new(first, limit);
        for doubling in 0..200 {
            let due = first
                .saturating_mul(2u32.saturating_pow(doubling.min(20)))
                .min(limit);
            let pause = backoff.failed();
            assert!(pause <= due && pause >= due / 2, "{doubling}: {pause:?}");
        }
        backoff.worked();
        assert!(backoff.failed() <= first);
    }
}
