//! The order in which pods are restarted when their template has changed.

use crate::OBSERVER_SUFFIX;
use std::cmp::Reverse;

/// Restarts go in ascending order of this: observers first, then followers, each with the highest number first; then the leader.
pub fn restart_rank(pod: &str, leader: &str) -> (bool, bool, Reverse<u32>) {
    let (set, number) = pod.rsplit_once('-').unwrap_or((pod, ""));
    let votes = !set.ends_with(OBSERVER_SUFFIX);
    (pod == leader, votes, Reverse(number.parse().unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::restart_rank;

    #[test]
    fn observers_go_first_and_the_leader_last() {
        let mut pods = [
            "a-0",
            "a-1",
            "a-2",
            "a-observer-0",
            "a-observer-10",
            "a-observer-9",
        ];
        pods.sort_by_key(|pod| restart_rank(pod, "a-1"));
        assert_eq!(
            pods,
            [
                "a-observer-10",
                "a-observer-9",
                "a-observer-0",
                "a-2",
                "a-0",
                "a-1"
            ]
        );
    }
}
