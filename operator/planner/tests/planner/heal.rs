//! A member whose own files are damaged gets other ones from the others: while all of them are well, and not again and again.

use crate::model::Model;
use geode_planner::{Action, MemberSeen, Plan, Progress, check, plan};
use geode_types::MemberId;
use k8s_openapi::jiff::SignedDuration;
use serde_json::{Value, json};

const ROUNDS: usize = 100;

fn members(count: u32) -> Value {
    json!({ "members": count })
}

/// Damages a follower, and lets Kubernetes see how its server ends; its pod and its identity.
fn damaged(model: &mut Model) -> (String, MemberId) {
    let leader = model.leader_pod().unwrap();
    let (pod, volume) = model.volumes.iter().find(|(pod, _)| **pod != leader).unwrap();
    let found = (pod.clone(), volume.id);
    model.damage_volume(&found.0);
    model.step();
    found
}

fn next(model: &Model) -> Plan {
    let (want, seen) = (model.want(), model.observe());
    let plan = plan(&want, &seen, model.now);
    assert_eq!(check(&plan, &want, &seen, model.now), Ok(()), "{plan:?}");
    plan
}

fn replaces(plan: &Plan) -> Option<&str> {
    plan.actions.iter().find_map(|action| match action {
        Action::ReplaceLostVolume { pod, .. } => Some(pod.as_str()),
        _ => None,
    })
}

fn said(plan: &Plan) -> &str {
    match &plan.progress {
        Progress::Idle => "",
        Progress::Resting(_, said)
        | Progress::Working(_, said)
        | Progress::Waiting(_, said)
        | Progress::Stuck(_, said) => said,
    }
}

/// Nothing is replaced, and this is said.
fn refuses(model: &Model, why: &str) {
    let plan = next(model);
    assert_eq!(replaces(&plan), None, "{plan:?}");
    assert!(said(&plan).contains(why), "{plan:?}");
}

#[test]
fn a_member_whose_files_are_damaged_is_replaced_through_a_learner() {
    let mut model = Model::settled(members(3));
    let (pod, old) = damaged(&mut model);
    let plan = next(&model);
    assert_eq!(replaces(&plan), Some(pod.as_str()));
    assert_eq!(
        said(&plan),
        format!(
            "the data of {pod} is damaged (wal/3 is damaged at byte 7); its volume is replaced from the other members"
        )
    );
    model.converge(ROUNDS);
    let raft = model.raft.as_ref().unwrap();
    assert!(!raft.knows(old) && raft.votes(model.volumes[&pod].id));
    assert_eq!(raft.membership.voters.len(), 3);
}

#[test]
fn an_observer_whose_files_are_damaged_is_replaced_too() {
    let mut model = Model::settled(json!({ "members": 3, "observers": { "replicas": 2 } }));
    let old: Vec<MemberId> = ["g-observer-0", "g-observer-1"]
        .map(|pod| model.volumes[pod].id)
        .into();
    for pod in ["g-observer-0", "g-observer-1"] {
        model.damage_volume(pod);
    }
    model.step();
    model.converge(ROUNDS);
    let raft = model.raft.as_ref().unwrap();
    assert!(!old.iter().any(|id| raft.knows(*id)));
    assert_eq!(raft.membership.members.len(), 5);
}

#[test]
fn nothing_is_given_up_while_another_voter_is_away() {
    let mut model = Model::settled(members(5));
    let (pod, _) = damaged(&mut model);
    let leader = model.leader_pod().unwrap();
    let others: Vec<String> = model.pods.keys().cloned().collect();
    let other = others
        .iter()
        .find(|other| **other != pod && **other != leader)
        .unwrap();
    model.pods.get_mut(other).unwrap().connected = false;
    model.step();
    refuses(&model, &format!("{other} is not well either"));
    model.pods.get_mut(other).unwrap().connected = true;
    model.converge(ROUNDS);
}

#[test]
fn the_only_member_and_a_damaged_majority_are_never_touched() {
    let mut alone = Model::settled(members(1));
    alone.damage_volume("g-0");
    alone.step();
    refuses(&alone, "its data is damaged");
    let mut model = Model::settled(members(3));
    damaged(&mut model);
    model.damage_volume(&model.leader_pod().unwrap());
    for _ in 0..5 {
        model.step();
        assert_eq!(replaces(&next(&model)), None);
    }
}

#[test]
fn an_observer_of_a_single_member_stays_too() {
    let mut model = Model::settled(json!({ "members": 1, "observers": { "replicas": 1 } }));
    model.damage_volume("g-observer-0");
    model.step();
    refuses(&model, "fewer than three members vote");
}

#[test]
fn a_volume_that_took_anothers_place_stays_for_an_hour() {
    let mut model = Model::settled(members(3));
    model.now += SignedDuration::from_mins(30);
    let (pod, _) = damaged(&mut model);
    model.converge(ROUNDS);
    model.damage_volume(&pod);
    model.step();
    refuses(&model, "took another's place less than an hour ago");
    // Somebody else is not held back by that.
    model.now += SignedDuration::from_hours(1);
    assert_eq!(replaces(&next(&model)), Some(pod.as_str()));
    model.converge(ROUNDS);
}

#[test]
fn a_fenced_member_and_a_paused_operator_leave_damaged_volumes_alone() {
    let mut model = Model::settled(members(3));
    let (pod, _) = damaged(&mut model);
    let until = (model.now + SignedDuration::from_hours(1)).to_string();
    for maintenance in [
        json!({ "fenced": [pod] }),
        json!({ "paused": { "until": until } }),
    ] {
        model.change(json!({ "members": 3, "maintenance": maintenance }));
        assert_eq!(replaces(&next(&model)), None, "{maintenance}");
    }
}

#[test]
fn what_one_operator_began_the_next_one_ends() {
    let mut model = Model::settled(members(3));
    let (pod, _) = damaged(&mut model);
    let want = model.want();
    let mut seen = model.observe();
    seen.claims.get_mut(&format!("data-{pod}")).unwrap().doomed = true;
    let begun = plan(&want, &seen, model.now);
    assert_eq!(check(&begun, &want, &seen, model.now), Ok(()));
    assert_eq!(replaces(&begun), Some(pod.as_str()));
    // The pod must not come back on the half that is left, whoever is away.
    let leader = model.leader_pod().unwrap();
    let third = seen
        .pods
        .keys()
        .find(|other| **other != pod && **other != leader)
        .unwrap()
        .clone();
    seen.members
        .insert(third, MemberSeen::Unknown("no answer within 1s".into()));
    let waits = plan(&want, &seen, model.now);
    let restarts = |action: &Action| action.ends() == Some(pod.as_str());
    assert!(!waits.actions.iter().any(restarts), "{waits:?}");
}
