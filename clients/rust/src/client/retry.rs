//! When to try again, and what can be said about a write when trying ends. Pure.

use geode_types::{ErrorClass, Outcome, QueryError};
use std::time::Duration;

/// The longest pause between two attempts.
const PAUSE_MAX: Duration = Duration::from_millis(400);
/// Being sent from one server to another costs no pause this many times in a row.
const FREE_HOPS: u32 = 2;
/// `UnavailableError`s that no other attempt will cure soon: the cluster answers, and means it.
const LASTING: [&str; 4] = ["ReadOnly", "LsnNotReached", "NotSupported", "FeatureLevel"];

/// How often and how fast failed attempts are repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    retries: Option<u32>,
    base: Duration,
    max: Duration,
}

impl RetryPolicy {
    /// At most `retries` more attempts, the first after about `base`, each pause twice the one before.
    pub fn exponential(retries: u32, base: Duration) -> Self {
        Self {
            retries: Some(retries),
            base,
            max: Duration::MAX,
        }
    }

    /// No second attempt after a failure (being sent on to the leader is not one).
    pub fn none() -> Self {
        Self::exponential(0, Duration::ZERO)
    }
}

impl Default for RetryPolicy {
    /// Until the deadline, with pauses from 20 ms to 400 ms.
    fn default() -> Self {
        Self {
            retries: None,
            base: Duration::from_millis(20),
            max: PAUSE_MAX,
        }
    }
}

/// What has happened so far to one statement.
#[derive(Debug, Default)]
pub(crate) struct Attempts {
    hops: u32,
    failures: u32,
    /// Some attempt may have been applied, and no later answer has told.
    may_have_happened: bool,
}

impl Attempts {
    /// A server sent us to another one. Returns the pause before going there; `None` to give up.
    pub(crate) fn hop(&mut self, policy: &RetryPolicy, knows_leader: bool) -> Option<Duration> {
        self.hops += 1;
        if knows_leader && self.hops <= FREE_HOPS {
            return Some(Duration::ZERO);
        }
        self.fail(policy)
    }

    /// An attempt gave no answer. Returns the pause before the next one; `None` to give up.
    pub(crate) fn fail(&mut self, policy: &RetryPolicy) -> Option<Duration> {
        let failures = self.failures;
        self.failures += 1;
        if policy.retries.is_some_and(|retries| failures >= retries) {
            return None;
        }
        let factor = 2_u32.saturating_pow(failures.min(16));
        Some(policy.base.saturating_mul(factor).min(policy.max))
    }

    /// A request was sent and its answer was not seen.
    pub(crate) fn lost(&mut self) {
        self.hops = 0;
        self.may_have_happened = true;
    }

    /// What is certain now.
    pub(crate) fn outcome(&self) -> Outcome {
        if self.may_have_happened {
            Outcome::Unknown
        } else {
            Outcome::Failed
        }
    }
}

/// Whether the same statement may succeed when it is simply sent again.
pub(crate) fn passes(error: &QueryError) -> bool {
    match error.class {
        ErrorClass::UnavailableError => !LASTING.contains(&error.detail.as_str()),
        ErrorClass::ConflictError => true,
        _ => error.outcome == Some(Outcome::Unknown),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_limit_and_end_with_the_retries() {
        let policy = RetryPolicy::exponential(3, Duration::from_secs(1));
        let mut attempts = Attempts::default();
        let pauses: Vec<_> = (0..4)
            .map(|_| attempts.fail(&policy).map(|pause| pause.as_secs()))
            .collect();
        assert_eq!(pauses, [Some(1), Some(2), Some(4), None]);
        let mut attempts = Attempts::default();
        let last = (0..50).map(|_| attempts.fail(&RetryPolicy::default())).last();
        assert_eq!(last, Some(Some(PAUSE_MAX)));
    }

    #[test]
    fn following_the_leader_costs_no_retry_until_it_goes_in_circles() {
        let policy = RetryPolicy::none();
        let mut attempts = Attempts::default();
        assert_eq!(attempts.hop(&policy, true), Some(Duration::ZERO));
        assert_eq!(attempts.hop(&policy, true), Some(Duration::ZERO));
        assert_eq!(attempts.hop(&policy, true), None);
    }

    #[test]
    fn only_a_request_that_was_sent_can_have_happened() {
        let mut attempts = Attempts::default();
        attempts.fail(&RetryPolicy::default());
        assert_eq!(attempts.outcome(), Outcome::Failed);
        attempts.lost();
        assert_eq!(attempts.outcome(), Outcome::Unknown);
    }

    #[test]
    fn a_refusal_is_repeated_only_when_waiting_can_help() {
        let unavailable =
            |detail| QueryError::runtime(ErrorClass::UnavailableError, detail, "08000", "no leader");
        assert!(passes(&unavailable("NoLeader")));
        assert!(!passes(&unavailable("ReadOnly")));
        let type_error = QueryError::runtime(ErrorClass::TypeError, "x", "22G03", "no");
        assert!(!passes(&type_error));
        assert!(passes(&type_error.outcome(Outcome::Unknown)));
    }
}
