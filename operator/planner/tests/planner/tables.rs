//! Single decisions: a sentence, a world, what is done next.

use crate::model::Model;
use geode_api::Reason;
use geode_planner::{Action, Plan, Progress, plan};
use geode_types::ClusterId;
use k8s_openapi::jiff::SignedDuration;
use serde_json::json;
use uuid::Uuid;

fn next(model: &Model) -> Plan {
    plan(&model.want(), &model.observe(), model.now)
}

fn said(plan: &Plan) -> Vec<String> {
    plan.actions.iter().map(Action::to_string).collect()
}

fn reason(plan: &Plan) -> Option<Reason> {
    match &plan.progress {
        Progress::Idle => None,
        Progress::Working(reason, _)
        | Progress::Waiting(reason, _)
        | Progress::Stuck(reason, _)
        | Progress::Resting(reason, _) => Some(*reason),
    }
}

#[test]
fn a_new_cluster_is_begun_once_and_only_after_that_was_recorded() {
    let mut model = Model::new(json!({}));
    let first = model.round();
    assert!(
        said(&first).contains(&"apply StatefulSet g".to_owned()),
        "{:?}",
        said(&first)
    );
    model.step();
    model.step();
    let begin = said(&model.round());
    assert_eq!(
        begin,
        [
            "record decisions in the status",
            &format!("initialize cluster {} on g-0", crate::model::UID)
        ]
    );
    model.step();
    let after = said(&model.round());
    assert_eq!(after, ["label g-0 as leader", "record decisions in the status"]);
    model.converge(50);
    assert_eq!(model.raft.as_ref().unwrap().membership.voters.len(), 3);
    assert!(model.restarted.is_empty());
}

#[test]
fn a_cluster_that_existed_is_never_begun_again() {
    let mut model = Model::settled(json!({}));
    for pod in ["g-0", "g-1", "g-2"] {
        model.lose_volume(pod);
    }
    model.raft = None;
    model.step();
    model.step();
    let plan = next(&model);
    assert_eq!(
        (said(&plan).len(), reason(&plan)),
        (0, Some(Reason::DataLost)),
        "{plan:?}"
    );
}

#[test]
fn volumes_of_an_earlier_cluster_are_adopted_and_never_overwritten() {
    let mut old = Model::settled(json!({}));
    let mut model = Model::new(json!({}));
    model.now = old.now + SignedDuration::from_hours(1);
    model.cluster.metadata.creation_timestamp =
        Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(model.now));
    model.cluster.metadata.uid = Some("6f2c1d9e-0000-4000-8000-000000000002".into());
    model.volumes = std::mem::take(&mut old.volumes);
    model.raft = old.raft.take();
    model.converge(50);
    let status = model.cluster.status.unwrap();
    assert_eq!(status.cluster_id.as_deref(), Some(crate::model::UID));
    assert_eq!(
        status.bootstrap.unwrap().method,
        geode_api::BootstrapMethod::Adopt
    );
}

#[test]
fn an_old_volume_that_cannot_be_seen_holds_back_the_beginning() {
    let mut model = Model::new(json!({}));
    model.round();
    model.step();
    model.step();
    let before = model.now - SignedDuration::from_hours(1);
    model.volumes.get_mut("g-2").unwrap().created_at = before;
    model.pods.get_mut("g-2").unwrap().reachable = false;
    let plan = next(&model);
    assert_eq!(reason(&plan), Some(Reason::WaitingForPods), "{plan:?}");
    model.volumes.get_mut("g-2").unwrap().created_at = model.now;
    assert!(matches!(
        next(&model).actions.last(),
        Some(Action::Initialize { .. })
    ));
}

#[test]
fn a_volume_of_another_cluster_is_left_alone() {
    let mut model = Model::settled(json!({}));
    model.volumes.get_mut("g-1").unwrap().cluster_id = Some(ClusterId(Uuid::from_u128(9)));
    let plan = next(&model);
    assert_eq!(reason(&plan), Some(Reason::ForeignVolume), "{plan:?}");
}

#[test]
fn an_upgrade_takes_followers_first_and_moves_leadership_before_the_old_leader() {
    let mut model = Model::settled(json!({}));
    let leader = model.leader_pod().unwrap();
    model.change(json!({"version": "0.2.0"}));
    model.converge(100);
    assert_eq!(model.restarted.len(), 3);
    assert_eq!(model.restarted.last(), Some(&leader), "{:?}", model.restarted);
    assert_ne!(model.leader_pod().unwrap(), leader);
    // What all of them run stays when the manifest names no version any more.
    model.change(json!({}));
    model.converge(100);
    assert_eq!(model.restarted.len(), 3);
}

#[test]
fn a_newer_operator_restarts_nothing() {
    let mut model = Model::settled(json!({}));
    let objects = model.objects.clone();
    model.release = "0.9.0".into();
    model.converge(50);
    assert_eq!(model.restarted, Vec::<String>::new());
    assert_eq!(model.objects, objects);
}

#[test]
fn no_pod_is_restarted_while_another_one_is_away() {
    let mut model = Model::settled(json!({}));
    model.change(json!({"timing": "wan"}));
    model.round();
    model.step();
    model.pods.get_mut("g-1").unwrap().reachable = false;
    let plan = next(&model);
    assert_eq!(
        (said(&plan).len(), reason(&plan)),
        (0, Some(Reason::MemberNotReady)),
        "{plan:?}"
    );
}

#[test]
fn a_bad_image_is_corrected_although_nothing_runs() {
    let mut model = Model::settled(json!({"members": 1, "image": "typo:1"}));
    let pod = model.pods.get_mut("g-0").unwrap();
    (pod.startable, pod.view.running, pod.view.ready) = (false, false, false);
    model.step();
    model.change(json!({"members": 1, "image": "right:1"}));
    model.converge(20);
    assert_eq!(model.restarted, ["g-0"]);
}

#[test]
fn a_lost_volume_is_replaced_through_a_learner_and_the_old_identity_leaves() {
    let mut model = Model::settled(json!({}));
    let leader = model.leader_pod().unwrap();
    let victim = model.pods.keys().find(|pod| **pod != leader).unwrap().clone();
    let old = model.volumes[&victim].id;
    model.lose_volume(&victim);
    model.converge(50);
    let raft = model.raft.as_ref().unwrap();
    assert!(!raft.knows(old));
    assert!(raft.membership.voters.contains(&model.volumes[&victim].id));
    assert_eq!(raft.membership.voters.len(), 3);
}

#[test]
fn a_volume_whose_storage_is_gone_is_given_up_only_with_a_majority_that_has_everything() {
    let mut model = Model::settled(json!({}));
    let leader = model.leader_pod().unwrap();
    let victim = model.pods.keys().find(|pod| **pod != leader).unwrap().clone();
    model.volumes.get_mut(&victim).unwrap().lost = true;
    model.step();
    assert!(
        said(&next(&model)).contains(&format!("replace the lost or damaged volume of {victim}")),
        "{:?}",
        next(&model)
    );
    for (pod, state) in &mut model.pods {
        state.view.running = *pod == leader;
    }
    let up = model.up();
    model.raft.as_mut().unwrap().step(&up);
    assert_eq!(reason(&next(&model)), Some(Reason::QuorumLost));
}

#[test]
fn without_a_quorum_nothing_is_changed() {
    let mut model = Model::settled(json!({"members": 5}));
    model.change(json!({"members": 3, "timing": "wan"}));
    for pod in ["g-0", "g-1", "g-2"] {
        model.pods.get_mut(pod).unwrap().view.running = false;
    }
    let up = model.up();
    model.raft.as_mut().unwrap().step(&up);
    let plan = next(&model);
    let disturbing = plan
        .actions
        .iter()
        .any(|action| !matches!(action, Action::Apply(_)));
    assert!(
        !disturbing && reason(&plan) == Some(Reason::QuorumLost),
        "{plan:?}"
    );
}

#[test]
fn scaling_in_moves_leadership_then_voters_then_pods() {
    let mut model = Model::settled(json!({"members": 5}));
    let highest = model.volumes["g-4"].id;
    model.raft.as_mut().unwrap().leader = Some(highest);
    model.round();
    model.change(json!({"members": 3}));
    let mut order = Vec::new();
    for _ in 0..40 {
        order.extend(
            model
                .round()
                .actions
                .iter()
                .map(Action::to_string)
                .filter(|said| !said.contains("label") && !said.contains("apply")),
        );
        model.step();
    }
    // A change that is seen half-way is asked for again, which does no harm.
    order.dedup();
    let words = [
        "transfer leadership from g-4",
        "make",
        "set the number of pods to 3",
    ];
    assert_eq!(order.len(), words.len(), "{order:?}");
    for (said, word) in order.iter().zip(words) {
        assert!(said.starts_with(word), "{order:?}");
    }
    assert_eq!(model.volumes.len(), 3);
}

#[test]
fn members_come_back_under_new_identities_after_scaling_in_and_out_at_once() {
    let mut model = Model::settled(json!({"members": 5}));
    let old = model.volumes["g-4"].id;
    model.change(json!({"members": 3}));
    while model.raft.as_ref().unwrap().membership.voters.len() == 5 {
        model.round();
        model.step();
    }
    assert!(
        model.pods.contains_key("g-4"),
        "its member has left, its pod is still there"
    );
    model.change(json!({"members": 5}));
    model.converge(100);
    assert_ne!(model.volumes["g-4"].id, old);
    assert_eq!(model.raft.as_ref().unwrap().membership.voters.len(), 5);
}

#[test]
fn role_labels_follow_an_election_and_never_show_two_leaders() {
    let mut model = Model::settled(json!({}));
    let old = model.leader_pod().unwrap();
    let new = model.pods.keys().find(|pod| **pod != old).unwrap().clone();
    let raft = model.raft.as_mut().unwrap();
    (raft.leader, raft.term) = (Some(model.volumes[&new].id), raft.term + 1);
    let roles = said(&next(&model));
    assert_eq!(
        roles,
        [
            format!("label {old} as follower"),
            format!("label {new} as leader")
        ]
    );
    model.pods.get_mut(&old).unwrap().reachable = false;
    let roles = said(&next(&model));
    assert_eq!(
        roles,
        [
            format!("remove the role label of {old}"),
            format!("label {new} as leader")
        ]
    );
}

#[test]
fn a_backup_goes_to_a_follower_and_holds_back_restarts() {
    let archive = json!({"s3": {"bucket": "b"}});
    let mut model = Model::settled(json!({"archive": archive}));
    let leader = model.leader_pod().unwrap();
    model.ask_for_backup("first");
    let plan = model.round();
    let filed = plan.actions.iter().find_map(|action| match action {
        Action::FileTask { pod, .. } => Some(pod.clone()),
        _ => None,
    });
    assert!(filed.is_some_and(|pod| pod != leader), "{plan:?}");
    model.change(json!({"archive": archive, "timing": "wan"}));
    model.round();
    assert_eq!(reason(&next(&model)), Some(Reason::Updating));
    assert!(model.restarted.is_empty());
    model.step();
    model.converge(100);
    assert_eq!(model.backups[0].status.phase, geode_api::BackupPhase::Completed);
    assert_eq!(model.restarted.len(), 3);
}

#[test]
fn a_backup_without_an_archive_fails_and_says_why() {
    let mut model = Model::settled(json!({}));
    model.ask_for_backup("first");
    model.round();
    let status = &model.backups[0].status;
    assert_eq!(status.phase, geode_api::BackupPhase::Failed);
    assert!(status.message.as_ref().unwrap().contains("spec.archive"));
}

#[test]
fn a_restore_is_filed_once_and_its_failure_needs_a_person() {
    let spec =
        json!({"archive": {"s3": {"bucket": "b"}}, "bootstrap": {"restore": {"source": "s3://b/old"}}});
    let mut model = Model::new(spec);
    model.round();
    model.step();
    model.step();
    assert_eq!(
        said(&model.round()),
        [
            "record decisions in the status",
            &format!("file task restore-{} with g-0", crate::model::UID)
        ]
    );
    assert_eq!(reason(&next(&model)), Some(Reason::Restoring));
    assert!(next(&model).actions.is_empty());
    model.tasks.get_mut("g-0").unwrap()[0].state =
        geode_wire::internal::TaskState::Failed("no backup there".into());
    assert_eq!(
        next(&model).progress,
        Progress::Stuck(Reason::RestoreFailed, "no backup there".into())
    );
}

#[test]
fn certificates_are_renewed_when_a_third_of_their_life_is_left() {
    let mut model = Model::settled(json!({}));
    model.now += SignedDuration::from_hours(24 * 200);
    assert!(next(&model).actions.is_empty());
    model.now += SignedDuration::from_hours(24 * 50);
    assert_eq!(said(&next(&model)), ["issue certificates for g-0, g-1, g-2"]);
}

#[test]
fn volumes_grow_even_without_a_quorum() {
    let mut model = Model::settled(json!({"storage": {"size": "1Gi"}}));
    model.change(json!({"storage": {"size": "2Gi"}}));
    for pod in model.pods.values_mut() {
        pod.reachable = false;
    }
    let grown = said(&next(&model));
    assert_eq!(
        grown.iter().filter(|said| said.starts_with("grow")).count(),
        6,
        "{grown:?}"
    );
    for pod in model.pods.values_mut() {
        pod.reachable = true;
    }
    model.converge(20);
    assert!(model.restarted.is_empty());
}
