//! Volumes that cannot become what is wanted are replaced with their members, one at a time.

use crate::model::Model;
use geode_api::Reason;
use geode_planner::{Action, Progress, plan};
use serde_json::{Value, json};

fn spec(size: &str, class: &str) -> Value {
    json!({"storage": {"size": size, "storageClassName": class, "replaceMembers": true}, "observers": {"replicas": 1}})
}

#[test]
fn smaller_volumes_and_another_class_come_with_new_members_one_at_a_time_the_leader_last() {
    for (size, class) in [("1Gi", "slow"), ("2Gi", "fast"), ("1Gi", "fast")] {
        let mut model = Model::settled(spec("2Gi", "slow"));
        let leader = model.leader_pod().unwrap();
        let before = model.everybody();
        model.change(spec(size, class));
        let mut order = Vec::new();
        for _ in 0..150 {
            let plan = model.round();
            let replaced = plan.actions.iter().filter_map(|action| match action {
                Action::ReplaceVolumes { pod, .. } => Some(pod.clone()),
                _ => None,
            });
            order.extend(replaced);
            let raft = model.raft.as_ref().unwrap();
            assert!(raft.has_quorum(&model.up()), "the majority is gone");
            model.step();
        }
        assert_eq!(order.len(), 4, "{order:?}");
        assert_eq!(order[0], "g-observer-0");
        assert_eq!(order.last(), Some(&leader));
        model.converge(10);
        for (place, id) in &before {
            assert_ne!(model.everybody()[place], *id, "{place:?} is the same member");
        }
        for volume in model.volumes.values() {
            assert_eq!(
                (volume.size.as_str(), volume.class.as_deref()),
                (size, Some(class))
            );
        }
    }
}

#[test]
fn without_leave_nothing_is_replaced_and_one_member_alone_never_is() {
    let mut model = Model::settled(json!({"storage": {"size": "2Gi"}}));
    model.change(json!({"storage": {"size": "1Gi"}}));
    model.converge(10);
    assert!(model.restarted.is_empty());

    let alone = |size: &str| json!({"members": 1, "storage": {"size": size, "replaceMembers": true}});
    let mut model = Model::settled(alone("2Gi"));
    model.change(alone("1Gi"));
    let plan = plan(&model.want(), &model.observe(), model.now);
    let Progress::Stuck(Reason::InvalidSpec, message) = &plan.progress else {
        panic!("{plan:?}");
    };
    assert!(message.contains("set spec.members to 3 first"), "{message}");
}

#[test]
fn a_volume_that_grows_is_not_replaced() {
    let mut model = Model::settled(spec("1Gi", "slow"));
    let before = model.everybody();
    model.change(spec("2Gi", "slow"));
    model.converge(20);
    assert_eq!(model.everybody(), before);
    // A member that comes later gets what the manifest says.
    assert!(model.volumes.values().all(|volume| volume.size == "2Gi"));
}
