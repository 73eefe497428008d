//! Observers: they come and go, are restarted first, and hold nobody back.

use crate::kubernetes::BAD_VERSION;
use crate::model::Model;
use geode_planner::{Action, Group, Kind, ObjectKey, Plan, Progress, check};
use geode_types::MemberId;
use serde_json::{Value, json};

/// Rounds within which everything here is over.
const ROUNDS: usize = 100;

fn observers(count: u32) -> Value {
    json!({ "observers": { "replicas": count } })
}

fn round(model: &mut Model) -> Vec<Action> {
    let plan = model.round();
    model.step();
    plan.actions
}

/// Status of a condition, and its reason.
fn condition(model: &Model, kind: &str) -> (String, String) {
    let status = model.cluster.status.as_ref().unwrap();
    let found = status.conditions.iter().find(|had| had.type_ == kind).unwrap();
    (found.status.clone(), found.reason.clone())
}

fn learners(model: &Model) -> Vec<MemberId> {
    let members = model.members_of(Group::Observers);
    members.iter().map(|member| member.id).collect()
}

/// The node of this pod is gone.
fn lose_node(model: &mut Model, pod: &str) {
    let state = model.pods.get_mut(pod).unwrap();
    (state.reachable, state.connected) = (false, false);
    model.step();
}

#[test]
fn observers_join_a_running_cluster_and_touch_nobody() {
    let mut model = Model::settled(json!({}));
    let before = model.objects.clone();
    model.change(observers(2));
    model.converge(ROUNDS);
    let raft = model.raft.as_ref().unwrap();
    assert_eq!((raft.membership.voters.len(), learners(&model).len()), (3, 2));
    assert_eq!(model.restarted, Vec::<String>::new());
    for (key, object) in &before {
        assert_eq!(model.objects.get(key), Some(object), "{key:?}");
    }
    let new: Vec<String> = model
        .objects
        .keys()
        .filter(|key| !before.contains_key(key))
        .map(|key| format!("{:?} {}", key.kind, key.name))
        .collect();
    assert_eq!(new, ["Service g-observers", "StatefulSet g-observer"]);
    let roles = model.pods.iter().map(|(pod, state)| (pod, &state.view.role));
    for (pod, role) in roles.filter(|(pod, _)| pod.contains("observer")) {
        assert_eq!(role.as_deref(), Some("observer"), "{pod}");
    }
}

#[test]
fn observers_avoid_nodes_of_others_and_voters_forbid_each_other_theirs() {
    let model = Model::settled(observers(1));
    let affinity = |group| {
        let pod = &model.set(group).unwrap()["spec"]["template"]["spec"];
        pod["affinity"]["podAntiAffinity"].clone()
    };
    let (voters, observers) = (affinity(Group::Voters), affinity(Group::Observers));
    let (required, preferred) = (
        "requiredDuringSchedulingIgnoredDuringExecution",
        "preferredDuringSchedulingIgnoredDuringExecution",
    );
    assert_eq!(
        voters[required][0]["labelSelector"]["matchLabels"],
        json!({"geodedb.com/cluster": "g", "app.kubernetes.io/component": "database"})
    );
    assert!(observers.get(required).is_none());
    assert_eq!(
        observers[preferred][0]["podAffinityTerm"]["labelSelector"]["matchLabels"],
        json!({"geodedb.com/cluster": "g"})
    );
    let set = model.set(Group::Observers).unwrap();
    let (selector, labels) = (
        &set["spec"]["selector"]["matchLabels"],
        &set["spec"]["template"]["metadata"]["labels"],
    );
    let budget = &model.objects[&ObjectKey {
        kind: Kind::PodDisruptionBudget,
        name: "g".into(),
    }];
    let budget = &budget["spec"]["selector"]["matchLabels"];
    let takes = |selector: &Value| {
        let mut wanted = selector.as_object().unwrap().iter();
        wanted.all(|(label, value)| labels.get(label) == Some(value))
    };
    assert!(takes(selector) && !takes(budget), "{labels} {selector} {budget}");
}

#[test]
fn an_upgrade_takes_observers_first() {
    let mut model = Model::settled(observers(2));
    let leader = model.leader_pod().unwrap();
    model.change(json!({"observers": {"replicas": 2}, "version": "0.2.0"}));
    model.converge(ROUNDS);
    let mut followers = vec!["g-2", "g-1", "g-0"];
    followers.retain(|pod| *pod != leader);
    let order = [
        &["g-observer-1", "g-observer-0"],
        followers.as_slice(),
        &[&leader],
    ]
    .concat();
    assert_eq!(model.restarted, order);
}

#[test]
fn an_image_that_does_not_start_stops_at_the_first_observer() {
    let mut model = Model::settled(observers(2));
    model.change(json!({"observers": {"replicas": 2}, "version": BAD_VERSION}));
    for _ in 0..30 {
        round(&mut model);
    }
    assert_eq!(model.restarted, ["g-observer-1"]);
    // The change is not carried out, although nobody but an observer is away.
    assert_eq!(condition(&model, "Ready").0, "False");
    model.change(observers(2));
    model.converge(ROUNDS);
    assert_eq!(model.restarted, ["g-observer-1", "g-observer-1"]);
}

#[test]
fn an_observer_whose_volume_is_lost_comes_back_as_a_learner() {
    for storage in [false, true] {
        let mut model = Model::settled(observers(2));
        let leader = model.leader_pod();
        let old = model.volumes["g-observer-0"].id;
        if storage {
            model.volumes.get_mut("g-observer-0").unwrap().lost = true;
            model.step();
        } else {
            model.lose_volume("g-observer-0");
        }
        model.converge(ROUNDS);
        let new = model.volumes["g-observer-0"].id;
        assert!(new != old && learners(&model).contains(&new) && !learners(&model).contains(&old));
        assert_eq!(model.raft.as_ref().unwrap().membership.voters.len(), 3);
        assert_eq!(model.leader_pod(), leader);
    }
}

#[test]
fn a_plan_that_gives_an_observer_a_vote_is_refused() {
    let model = Model::settled(observers(1));
    let (want, seen) = (model.want(), model.observe());
    let membership = &model.raft.as_ref().unwrap().membership;
    let (voters, observer) = (membership.voters.clone(), learners(&model)[0]);
    let leader = model.leader_pod().unwrap();
    let change = |without: &str, with: Option<MemberId>| {
        let gone = model.volumes[without].id;
        let stay = voters.iter().copied().filter(|id| *id != gone);
        Plan {
            actions: vec![Action::ChangeVoters {
                leader: leader.clone(),
                voters: stay.chain(with).collect(),
                expected: membership.index,
            }],
            progress: Progress::Idle,
            concerns: Group::Voters,
            held: Vec::new(),
        }
    };
    let follower = ["g-0", "g-1"].into_iter().find(|pod| *pod != leader).unwrap();
    let same = change(follower, Some(model.volumes[follower].id));
    assert_eq!(check(&same, &want, &seen, model.now), Ok(()));
    let rules = check(&change(follower, Some(observer)), &want, &seen, model.now).unwrap_err();
    assert_eq!(rules[0].rule, "an observer never gets a vote");
}

#[test]
fn an_observer_that_is_away_holds_back_restarts_and_no_repair() {
    let mut model = Model::settled(observers(2));
    lose_node(&mut model, "g-observer-0");
    round(&mut model);
    assert_eq!(
        condition(&model, "Ready"),
        ("True".into(), "AllMembersReady".into())
    );
    assert_eq!(
        condition(&model, "ObserversReady"),
        ("False".into(), "MemberNotReady".into())
    );
    let status = model.cluster.status.clone().unwrap();
    assert_eq!(
        (status.ready.as_deref(), status.observers.unwrap().ready.as_str()),
        (Some("3/3"), "1/2")
    );
    let away = status.members.iter().find(|member| member.pod == "g-observer-0");
    let away = away.map(|member| (member.role.as_str(), member.state.as_str()));
    assert_eq!(away, Some(("observer", "Unreachable")));
    // A voter is replaced, through a learner.
    let leader = model.leader_pod().unwrap();
    let voter = ["g-0", "g-1"].into_iter().find(|pod| *pod != leader).unwrap();
    let old = model.volumes[voter].id;
    model.lose_volume(voter);
    for _ in 0..20 {
        round(&mut model);
    }
    let raft = model.raft.as_ref().unwrap();
    assert!(raft.votes(model.volumes[voter].id) && !raft.knows(old));
    assert_eq!(condition(&model, "Ready").0, "True");
    // A new template waits, and says for whom.
    model.change(json!({"observers": {"replicas": 2}, "timing": "wan"}));
    for _ in 0..20 {
        round(&mut model);
    }
    assert_eq!(model.restarted, Vec::<String>::new());
    let ready = &model.cluster.status.as_ref().unwrap().conditions[0];
    assert!(
        ready.status == "False" && ready.message.contains("g-observer-0"),
        "{ready:?}"
    );
    // Nobody has to wait for one that is not asked for any more.
    model.change(json!({"timing": "wan"}));
    model.converge(ROUNDS);
    assert_eq!(model.restarted.len(), 3);
}

#[test]
fn a_voter_that_is_away_makes_the_cluster_not_ready_whatever_observers_do() {
    let mut model = Model::settled(observers(1));
    let leader = model.leader_pod().unwrap();
    let voter = ["g-0", "g-1"].into_iter().find(|pod| *pod != leader).unwrap();
    lose_node(&mut model, voter);
    lose_node(&mut model, "g-observer-0");
    model.change(observers(3));
    for _ in 0..20 {
        round(&mut model);
        assert_eq!(condition(&model, "Ready").0, "False");
    }
    assert_eq!(learners(&model).len(), 3, "observers join all the same");
}

#[test]
fn an_observer_leaves_the_cluster_before_its_pod_goes() {
    let mut model = Model::settled(observers(3));
    model.change(observers(1));
    let mut said = Vec::new();
    for _ in 0..20 {
        said.extend(round(&mut model).iter().map(Action::to_string));
    }
    said.retain(|said| !said.contains("label") && !said.contains("apply"));
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(said[0].starts_with("remove the learners"), "{said:?}");
    assert_eq!(said[1], "set the number of observers' pods to 1");
    assert_eq!((model.volumes.len(), learners(&model).len()), (4, 1));
    model.change(json!({}));
    model.converge(ROUNDS);
    assert_eq!((model.pods.len(), model.volumes.len()), (3, 3));
}

#[test]
fn observers_may_be_wanted_again_at_any_moment_of_their_going() {
    let mut model = Model::settled(observers(3));
    let old = learners(&model);
    model.change(json!({}));
    for moment in 0..10 {
        let mut again = model.clone();
        again.change(observers(3));
        again.converge(ROUNDS);
        let new = learners(&again);
        assert_eq!(new.len(), 3, "moment {moment}");
        let all_gone = learners(&model).is_empty();
        assert!(
            !all_gone || new.iter().all(|id| !old.contains(id)),
            "moment {moment}"
        );
        round(&mut model);
    }
    assert!(learners(&model).is_empty());
}

#[test]
fn an_observers_copy_is_no_reason_to_begin_the_database_again() {
    let mut model = Model::settled(observers(1));
    let copy = model.volumes["g-observer-0"].id;
    for pod in ["g-0", "g-1", "g-2"] {
        model.lose_volume(pod);
    }
    for _ in 0..20 {
        round(&mut model);
    }
    assert_eq!(condition(&model, "Stalled"), ("True".into(), "DataLost".into()));
    assert_eq!(model.volumes["g-observer-0"].id, copy);
}

#[test]
fn a_backup_is_taken_from_an_observer_that_has_caught_up() {
    for (away, expected) in [(&[][..], "g-observer-0"), (&["g-observer-0"], "g-observer-1")] {
        let mut model =
            Model::settled(json!({"observers": {"replicas": 2}, "archive": {"s3": {"bucket": "b"}}}));
        for pod in away {
            lose_node(&mut model, pod);
        }
        model.ask_for_backup("first");
        let filed = round(&mut model).into_iter().find_map(|action| match action {
            Action::FileTask { pod, .. } => Some(pod),
            _ => None,
        });
        assert_eq!(filed.as_deref(), Some(expected));
    }
}

#[test]
fn volumes_of_observers_that_are_not_wanted_any_more_are_looked_at_before_a_database_is_begun() {
    let mut model = Model::settled(observers(2));
    model.recreate(json!({}));
    model.converge(ROUNDS);
    let status = model.cluster.status.clone().unwrap();
    assert_eq!(status.cluster_id.as_deref(), Some(crate::model::UID));
    assert_eq!((model.pods.len(), learners(&model).len()), (3, 0));
}
