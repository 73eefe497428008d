//! States in which a plan could wait for ever although an action helps, or ask for what the check refuses. Each is a sentence.

use crate::kubernetes::BAD_VERSION;
use crate::model::Model;
use geode_planner::{Action, Group, MemberSeen, Observed, VolumeKind, check, plan};
use geode_types::MemberId;
use serde_json::json;

/// Rounds within which everything here is over.
const ROUNDS: usize = 100;

fn members(count: u32) -> serde_json::Value {
    json!({ "members": count })
}

/// A follower with a place in every smaller cluster, and its identity.
fn follower(model: &Model) -> (String, MemberId) {
    let leader = model.leader_pod().unwrap();
    let (pod, volume) = model.volumes.iter().find(|(pod, _)| **pod != leader).unwrap();
    (pod.clone(), volume.id)
}

fn round(model: &mut Model) {
    model.round();
    model.step();
}

/// Rounds until something is so.
fn until(model: &mut Model, what: &str, is_so: impl Fn(&Model) -> bool) {
    for _ in 0..ROUNDS {
        if is_so(model) {
            return;
        }
        round(model);
    }
    panic!("never: {what}");
}

fn voters(model: &Model) -> usize {
    model.raft.as_ref().unwrap().membership.voters.len()
}

/// The plan that is made from an observation passes the check; its actions.
fn planned(model: &Model, seen: &Observed) -> Vec<Action> {
    let want = model.want();
    let plan = plan(&want, seen, model.now);
    assert_eq!(check(&plan, &want, seen, model.now), Ok(()), "{plan:?}");
    plan.actions
}

#[test]
fn a_cluster_may_grow_again_at_any_moment_of_becoming_smaller() {
    for lost in [None, Some("g-3"), Some("g-4")] {
        let mut model = Model::settled(members(5));
        if let Some(pod) = lost {
            let old = model.volumes[pod].id;
            model.lose_volume(pod);
            // The successor listens already, and does not vote yet.
            until(&mut model, "a successor", |model| {
                let raft = model.raft.as_ref().unwrap();
                raft.votes(old) && model.volumes.get(pod).is_some_and(|new| raft.knows(new.id))
            });
        }
        model.change(members(3));
        for moment in 0..20 {
            let mut again = model.clone();
            again.change(members(5));
            again.converge(ROUNDS);
            assert_eq!(voters(&again), 5, "lost {lost:?}, moment {moment}");
            round(&mut model);
        }
    }
}

#[test]
fn an_empty_member_is_not_added_above_a_place_that_has_to_be_cleared_first() {
    let mut model = Model::settled(members(5));
    model.change(members(3));
    until(&mut model, "three voters", |model| voters(model) == 3);
    model.lose_volume("g-4");
    model.change(members(5));
    model.converge(ROUNDS);
    assert_eq!(voters(&model), 5);
}

#[test]
fn pods_that_are_going_are_gone_before_their_places_are_filled_again() {
    let mut model = Model::settled(members(5));
    model.change(members(3));
    until(&mut model, "three pods wanted", |model| {
        model.replicas(Group::Voters) == 3
    });
    // The controller has not even begun to take them away.
    model.change(members(5));
    let scales = |action: &Action| matches!(action, Action::Scale { .. });
    for _ in 0..ROUNDS {
        let there = model.pods.contains_key("g-3") || model.pods.contains_key("g-4");
        let actions = planned(&model, &model.observe());
        if !there {
            break;
        }
        assert!(!actions.iter().any(scales), "{actions:?}");
        round(&mut model);
    }
    model.converge(ROUNDS);
}

#[test]
fn a_voter_beyond_the_wanted_places_makes_room_when_the_missing_one_is_there() {
    let mut model = Model::settled(members(5));
    let voters: Vec<MemberId> = ["g-0", "g-1", "g-3"].map(|pod| model.volumes[pod].id).into();
    model.raft.as_mut().unwrap().found(&voters);
    for pod in ["g-2", "g-4"] {
        model.lose_volume(pod);
    }
    model.change(members(3));
    model.converge(ROUNDS);
}

#[test]
fn a_change_that_its_leader_left_half_way_is_completed() {
    for (from, to) in [(1, 3), (3, 1), (3, 5), (5, 3)] {
        let mut model = Model::settled(members(from));
        model.change(members(to));
        until(&mut model, "a joint membership", |model| {
            model.raft.as_ref().unwrap().membership.joint
        });
        let leader = model.leader_pod().unwrap();
        model.pods.remove(&leader);
        model.converge(ROUNDS);
        assert_eq!(voters(&model), to as usize, "from {from}");
    }
}

#[test]
fn a_half_way_change_is_completed_although_the_newcomer_is_lost_again() {
    let mut model = Model::settled(members(3));
    let (pod, _) = follower(&model);
    model.lose_volume(&pod);
    until(&mut model, "a joint membership", |model| {
        model.raft.as_ref().unwrap().membership.joint
    });
    model.lose_volume(&pod);
    model.raft.as_mut().unwrap().leave_half_way();
    model.converge(ROUNDS);
}

#[test]
fn a_pod_whose_volume_a_person_deleted_is_made_anew() {
    let mut model = Model::settled(members(3));
    let (pod, old) = follower(&model);
    // As the runbook says: the pod first, its volume then. The new pod waits for the volume, and the volume for the pod.
    model.pods.remove(&pod);
    model.step();
    model.delete_volume(&pod);
    model.converge(ROUNDS);
    assert_ne!(model.volumes[&pod].id, old);
}

#[test]
fn a_cluster_never_shrinks_onto_a_volume_that_a_person_has_deleted() {
    let mut model = Model::settled(members(3));
    model.pods.get_mut("g-0").unwrap().reachable = false;
    let old = model.volumes["g-0"].id;
    model.delete_volume("g-0");
    model.change(json!({"members": 1, "version": "1.0.1"}));
    for _ in 0..20 {
        round(&mut model);
        assert_eq!(voters(&model), 3, "the others are still needed");
    }
    model.pods.get_mut("g-0").unwrap().reachable = true;
    model.converge(ROUNDS);
    assert_ne!(model.volumes["g-0"].id, old);
}

#[test]
fn members_are_added_although_a_person_deletes_a_volume_meanwhile() {
    let mut model = Model::settled(members(3));
    let old = model.volumes["g-0"].id;
    model.change(members(5));
    until(&mut model, "five pods", |model| model.pods.len() == 5);
    model.delete_volume("g-0");
    model.converge(ROUNDS);
    assert_ne!(model.volumes["g-0"].id, old);
}

#[test]
fn a_pod_is_not_made_anew_when_its_deleted_volume_is_needed() {
    let mut model = Model::settled(members(3));
    let (pod, _) = follower(&model);
    let leader = model.leader_pod().unwrap();
    for (pod, state) in &mut model.pods {
        state.startable = *pod == leader;
    }
    model.step();
    model.delete_volume(&pod);
    // The template is outdated, and no fresh pod gets to run.
    model.change(json!({"members": 3, "version": BAD_VERSION}));
    for _ in 0..10 {
        let actions = planned(&model, &model.observe());
        let restarts =
            |action: &Action| matches!(action, Action::RestartPod { pod: other, .. } if *other == pod);
        assert!(!actions.iter().any(restarts), "{actions:?}");
        round(&mut model);
    }
}

#[test]
fn taking_back_a_version_that_does_not_start_leads_back_to_the_one_before() {
    let mut model = Model::settled(members(3));
    model.change(json!({"members": 3, "version": BAD_VERSION}));
    for _ in 0..30 {
        round(&mut model);
    }
    let [stuck] = &model.restarted[..] else {
        panic!("one pod finds out: {:?}", model.restarted)
    };
    let stuck = stuck.clone();
    // The manifest from before: it has never named a version.
    model.change(members(3));
    model.converge(ROUNDS);
    assert_eq!(model.restarted, [stuck.clone(), stuck]);
}

#[test]
fn a_lost_volume_is_replaced_although_the_operator_died_while_it_did_so() {
    let mut model = Model::settled(members(3));
    let (pod, old) = follower(&model);
    model.volumes.get_mut(&pod).unwrap().lost = true;
    model.step();
    // The volume was deleted, its pod was not.
    model.delete_volume(&pod);
    model.converge(ROUNDS);
    assert_ne!(model.volumes[&pod].id, old);
}

#[test]
fn a_member_that_lost_one_of_its_volumes_is_replaced_as_a_whole() {
    for kind in VolumeKind::ALL {
        let mut model = Model::settled(members(3));
        let (pod, _) = follower(&model);
        model.pods.get_mut(&pod).unwrap().startable = false;
        model.step();
        let mut seen = model.observe();
        seen.claims
            .get_mut(&format!("{}-{pod}", kind.name(0)))
            .unwrap()
            .lost = true;
        let replaced = planned(&model, &seen)
            .into_iter()
            .find_map(|action| match action {
                Action::ReplaceLostVolume { claims, .. } => Some(claims),
                _ => None,
            });
        let names: Vec<String> = replaced.unwrap().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, [format!("data-{pod}"), format!("wal-{pod}")]);
    }
}

#[test]
fn volumes_of_more_members_than_are_wanted_are_adopted() {
    for (before, after) in [(3, 1), (5, 1), (7, 3)] {
        let mut model = Model::settled(members(before));
        model.recreate(members(after));
        model.converge(ROUNDS);
        assert_eq!(voters(&model), after as usize);
        let status = model.cluster.status.unwrap();
        assert_eq!(status.cluster_id.as_deref(), Some(crate::model::UID));
    }
}

#[test]
fn a_database_is_not_begun_while_volumes_beyond_the_wanted_places_may_hold_one() {
    let mut model = Model::settled(members(3));
    model.lose_volume("g-0");
    model.recreate(members(1));
    model.converge(ROUNDS);
    let status = model.cluster.status.clone().unwrap();
    assert_eq!(status.cluster_id.as_deref(), Some(crate::model::UID));
    assert_eq!(voters(&model), 1);
}

#[test]
fn a_volume_from_before_is_not_taken_away_unseen() {
    let mut model = Model::settled(members(3));
    model.recreate(members(1));
    for _ in 0..ROUNDS {
        if let Some(pod) = model.pods.get_mut("g-2") {
            pod.reachable = false;
        }
        round(&mut model);
    }
    assert!(model.volumes.contains_key("g-2"));
    model.pods.get_mut("g-2").unwrap().reachable = true;
    model.converge(ROUNDS);
    assert_eq!(model.volumes.len(), 1);
}

#[test]
fn pods_of_voters_that_somebody_took_away_come_back_without_a_leader() {
    let model = Model::settled(members(3));
    let mut seen = model.observe();
    for pod in ["g-1", "g-2"] {
        seen.pods.remove(pod);
        seen.members.remove(pod);
    }
    if let Some(MemberSeen::Seen(status)) = seen.members.get_mut("g-0") {
        (status.role, status.leader) = (geode_types::Role::Follower, None);
    }
    seen.sets.get_mut(&Group::Voters).unwrap().replicas = 1;
    let actions = planned(&model, &seen);
    let scale = Action::Scale {
        group: Group::Voters,
        replicas: 3,
    };
    assert!(actions.contains(&scale), "{actions:?}");
}

#[test]
fn an_outdated_pod_that_is_the_only_unwell_one_is_the_next_to_be_restarted() {
    for leads in [false, true] {
        let mut model = Model::settled(members(3));
        let leader = model.leader_pod().unwrap();
        let pod = if leads { leader } else { follower(&model).0 };
        // Its sidecar does not run, which another configuration mends.
        model.pods.get_mut(&pod).unwrap().probed = false;
        model.step();
        model.change(json!({"members": 3, "timing": "wan"}));
        model.converge(ROUNDS);
        assert_eq!(model.restarted.first(), Some(&pod));
        assert_eq!(model.restarted.len(), 3);
    }
}

#[test]
fn volumes_that_cannot_grow_hold_nothing_else_back() {
    let mut model = Model::settled(json!({"storage": {"size": "1Gi"}}));
    let (pod, old) = follower(&model);
    model.growable = false;
    model.change(json!({"storage": {"size": "2Gi"}, "timing": "wan"}));
    model.lose_volume(&pod);
    until(
        &mut model,
        "a successor that votes and a new configuration",
        |model| voters(model) == 3 && !model.raft.as_ref().unwrap().votes(old) && model.restarted.len() >= 2,
    );
    model.growable = true;
    model.converge(ROUNDS);
}

#[test]
fn full_volumes_grow_before_anything_else_is_tried() {
    let mut model = Model::settled(json!({"storage": {"size": "1Gi"}}));
    model.change(json!({"members": 5, "storage": {"size": "2Gi"}}));
    let mut seen = model.observe();
    let first = |seen: &Observed| {
        let actions = planned(&model, seen);
        let is_other =
            |action: &&Action| !matches!(action, Action::Apply(_) | Action::IssueCertificates { .. });
        actions.iter().find(is_other).unwrap().to_string()
    };
    assert_eq!(first(&seen), "set the number of pods to 5");
    if let Some(MemberSeen::Seen(status)) = seen.members.get_mut("g-1") {
        status.read_only = Some("the volume is full".to_owned());
    }
    assert_eq!(first(&seen), "grow data-g-0 to 2Gi");
}

#[test]
fn nothing_is_asked_of_a_leader_while_somebody_knows_a_newer_term() {
    let mut model = Model::settled(members(3));
    model.change(members(5));
    round(&mut model);
    until(&mut model, "five pods", |model| model.up().len() == 5);
    let (pod, _) = follower(&model);
    let mut seen = model.observe();
    if let Some(MemberSeen::Seen(status)) = seen.members.get_mut(&pod) {
        status.term += 1;
    }
    assert_eq!(planned(&model, &seen), []);
}

#[test]
fn what_deletion_does_to_volumes_is_changed_under_any_release() {
    let mut model = Model::settled(json!({"deletionPolicy": "Delete"}));
    model.release = "0.9.0".into();
    model.change(json!({"deletionPolicy": "Retain"}));
    model.converge(ROUNDS);
    let policy = &model.set(Group::Voters).unwrap()["spec"]["persistentVolumeClaimRetentionPolicy"];
    assert_eq!(policy["whenDeleted"], "Retain");
    assert_eq!(model.restarted, Vec::<String>::new());
}
