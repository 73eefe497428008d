//! The order in which pods are restarted when their template has changed.

use std::cmp::Reverse;

/// Restarts go in ascending order of this: followers first, the highest number first; then the leader.
pub fn restart_rank(pod: &str, leader: &str) -> (bool, Reverse<u32>) {
    let number = pod.rsplit_once('-').and_then(|(_, number)| number.parse().ok());
    (pod == leader, Reverse(number.unwrap_or(0)))
}
