//! A server whose own files are damaged: its volumes and no others are replaced.

use crate::stage::{Place, Stage};
use serde_json::json;

#[tokio::test]
async fn a_member_whose_files_are_damaged_gets_other_volumes_and_nobody_else_does() {
    let mut stage = Stage::settled(&Place::new().await, json!({ "members": 3 })).await;
    let leader = stage.leader().await;
    let pod = ["a-1", "a-2"].into_iter().find(|pod| *pod != leader).unwrap();
    let first = stage.kubernetes.made.clone();
    stage.kubernetes.damage(pod).await;
    stage.settle().await;
    for (name, count) in &first {
        let times = if name.ends_with(pod) { count + 1 } else { *count };
        assert_eq!(stage.kubernetes.made[name], times, "{name}");
    }
    assert_eq!(stage.fleet.voters(), ["a-0", "a-1", "a-2"]);
    assert_eq!(stage.leader().await, leader);
}
