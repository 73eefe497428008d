//! What a person takes over for a while: pause, fence, hibernation, an upgrade that stands still.

use crate::model::Model;
use geode_api::Reason;
use geode_planner::{Action, Defaults, Group, Plan, Progress, VolumeKind, check, plan, validate};
use k8s_openapi::jiff::SignedDuration;
use serde_json::{Value, json};

fn next(model: &Model) -> Plan {
    let (want, seen) = (model.want(), model.observe());
    let plan = plan(&want, &seen, model.now);
    assert_eq!(check(&plan, &want, &seen, model.now), Ok(()));
    plan
}

fn said(plan: &Plan) -> Vec<String> {
    plan.actions.iter().map(Action::to_string).collect()
}

fn condition(model: &Model, kind: &str) -> (String, String, String) {
    let conditions = &model.cluster.status.as_ref().unwrap().conditions;
    let found = conditions.iter().find(|condition| condition.type_ == kind);
    found.map_or_else(Default::default, |found| {
        (found.status.clone(), found.reason.clone(), found.message.clone())
    })
}

fn maintain(mut spec: Value, maintenance: Value) -> Value {
    spec["maintenance"] = maintenance;
    spec
}

/// Rounds until nothing is left to do but to wait for a person.
fn rest(model: &mut Model) -> Plan {
    for _ in 0..60 {
        let plan = model.round();
        model.step();
        if plan.actions.is_empty() && matches!(plan.progress, Progress::Resting(..)) {
            return plan;
        }
    }
    panic!("it does not come to rest: {:?}", next(model));
}

#[test]
fn a_paused_operator_changes_nothing_says_what_it_leaves_undone_and_goes_on_by_itself() {
    let mut model = Model::settled(json!({}));
    let until = model.now + SignedDuration::from_mins(5);
    let paused = json!({"paused": {"until": until.to_string(), "reason": "a look at the network"}});
    model.change(maintain(json!({}), paused.clone()));
    model.round();
    assert_eq!(condition(&model, "Ready").0, "True", "it serves as before");
    assert_eq!(condition(&model, "Reconciling").1, "Paused");
    let (holds, reason, message) = condition(&model, "Maintenance");
    assert_eq!((holds.as_str(), reason.as_str()), ("True", "Paused"));
    assert!(
        message.contains("a look at the network") && message.contains(&until.to_string()),
        "{message}"
    );

    model.change(maintain(json!({"version": "0.2.0"}), paused));
    let plan = model.round();
    assert!(plan.actions.is_empty() && !plan.held.is_empty(), "{plan:?}");
    let (holds, reason, message) = condition(&model, "Ready");
    assert_eq!((holds.as_str(), reason.as_str()), ("False", "Paused"));
    assert!(message.contains("left undone: apply"), "{message}");

    model.now = until;
    model.converge(100);
    assert_eq!(model.restarted.len(), 3);
    assert_eq!(condition(&model, "Maintenance").0, "False");
}

#[test]
fn labels_follow_an_election_during_a_pause() {
    let mut model = Model::settled(json!({}));
    let old = model.leader_pod().unwrap();
    let new = model.pods.keys().find(|pod| **pod != old).unwrap().clone();
    let until = (model.now + SignedDuration::from_mins(5)).to_string();
    model.change(maintain(json!({}), json!({"paused": {"until": until}})));
    let raft = model.raft.as_mut().unwrap();
    (raft.leader, raft.term) = (Some(model.volumes[&new].id), raft.term + 1);
    let labels = [
        format!("label {old} as follower"),
        format!("label {new} as leader"),
    ];
    assert_eq!(said(&next(&model)), labels);
}

#[test]
fn a_leader_that_is_fenced_hands_over_first_and_comes_back_with_its_data() {
    let mut model = Model::settled(json!({}));
    let leader = model.leader_pod().unwrap();
    let id = model.volumes[&leader].id;
    let uid = model.pods[&leader].view.uid.clone();
    model.change(maintain(json!({}), json!({"fenced": [leader]})));
    let first = said(&model.round());
    assert!(
        first[0].starts_with(&format!("transfer leadership from {leader}")),
        "{first:?}"
    );
    model.step();
    rest(&mut model);
    assert_ne!(model.leader_pod().unwrap(), leader);
    assert!(model.volumes[&leader].fenced);
    assert_eq!(condition(&model, "Ready").1, "Fenced");
    assert_eq!(condition(&model, "QuorumHealthy").0, "True");
    assert_eq!(condition(&model, "Maintenance").1, "Fenced");
    assert_eq!(model.pods[&leader].view.role, None, "it is in no Service");
    // Nothing is disturbed meanwhile, and its pod stays also when the template changes.
    model.change(maintain(json!({"version": "0.2.0"}), json!({"fenced": [leader]})));
    rest(&mut model);
    assert_eq!(model.restarted, Vec::<String>::new());

    model.change(json!({}));
    model.converge(50);
    assert_eq!(
        (model.volumes[&leader].id, &model.pods[&leader].view.uid),
        (id, &uid)
    );
    assert_eq!(model.raft.as_ref().unwrap().membership.voters.len(), 3);
}

#[test]
fn a_member_that_a_majority_needs_is_fenced_only_with_the_token() {
    let mut model = Model::settled(json!({}));
    let leader = model.leader_pod().unwrap();
    let others: Vec<String> = model.pods.keys().filter(|pod| **pod != leader).cloned().collect();
    let pod = model.pods.get_mut(&others[0]).unwrap();
    (pod.startable, pod.view.running) = (false, false);
    model.step();
    let fenced = |token: Option<&str>| json!({"fenced": [others[1]], "allowQuorumLoss": token});
    model.change(maintain(json!({}), fenced(None)));
    let refused = next(&model);
    assert!(
        !said(&refused).iter().any(|said| said.starts_with("fence")),
        "{refused:?}"
    );
    model.change(maintain(json!({}), fenced(Some("g"))));
    assert!(
        said(&next(&model)).contains(&format!("fence {}", others[1])),
        "{:?}",
        next(&model)
    );
    // Without the token it waits, and says for what.
    model.change(maintain(json!({"members": 1}), json!({})));
    let mut alone = Model::settled(json!({"members": 1}));
    alone.change(maintain(json!({"members": 1}), json!({"fenced": ["g-0"]})));
    let plan = next(&alone);
    let Progress::Waiting(Reason::Fenced, message) = &plan.progress else {
        panic!("{plan:?}");
    };
    assert!(message.contains("allowQuorumLoss: g"), "{message}");
}

#[test]
fn a_fence_that_cannot_be_holds_back_nothing_else() {
    let mut model = Model::settled(json!({}));
    let leader = model.leader_pod().unwrap();
    let others: Vec<String> = model.pods.keys().filter(|pod| **pod != leader).cloned().collect();
    model.lose_volume(&others[0]);
    model.change(maintain(json!({}), json!({"fenced": [others[1]]})));
    rest(&mut model);
    // The lost member was replaced first; then the fence was possible.
    let raft = model.raft.as_ref().unwrap();
    assert!(raft.votes(model.volumes[&others[0]].id) && model.volumes[&others[1]].fenced);
}

#[test]
fn a_cluster_sleeps_and_wakes_with_the_same_members_whatever_its_deletion_policy() {
    for policy in ["Retain", "Delete"] {
        let spec = json!({"observers": {"replicas": 2}, "deletionPolicy": policy});
        let mut model = Model::settled(spec.clone());
        let ids = |model: &Model| model.everybody();
        let before = ids(&model);
        let sleep = json!({"hibernate": true, "allowQuorumLoss": "g"});
        model.change(maintain(spec.clone(), sleep));
        let mut order = Vec::new();
        for _ in 0..30 {
            let stops = model.round().actions.into_iter();
            order.extend(
                stops
                    .map(|action| action.to_string())
                    .filter(|said| said.starts_with("stop")),
            );
            model.step();
        }
        order.dedup();
        assert_eq!(
            order,
            [
                "stop all observers and keep their volumes",
                "stop all voters and keep their volumes"
            ]
        );
        assert!(model.pods.is_empty());
        assert_eq!(ids(&model), before, "every volume is there");
        assert_eq!(condition(&model, "Ready").1, "Hibernated");
        assert_eq!(condition(&model, "Reconciling").0, "False");
        let asleep = next(&model);
        assert!(asleep.actions.is_empty() && asleep.is_settled(), "{asleep:?}");
        let set = model.set(Group::Voters).unwrap();
        let kept = &set["spec"]["persistentVolumeClaimRetentionPolicy"];
        assert_eq!(
            (&kept["whenScaled"], &kept["whenDeleted"]),
            (&json!("Retain"), &json!(policy))
        );

        model.change(spec);
        model.converge(60);
        assert_eq!(ids(&model), before);
        assert_eq!(model.restarted, Vec::<String>::new());
        let set = model.set(Group::Voters).unwrap();
        assert_eq!(
            set["spec"]["persistentVolumeClaimRetentionPolicy"]["whenScaled"],
            "Delete"
        );
    }
}

#[test]
fn a_newer_operator_wakes_what_an_older_one_put_to_sleep_and_volumes_go_again_when_members_leave() {
    let mut model = Model::settled(json!({"members": 5}));
    model.change(maintain(
        json!({"members": 5}),
        json!({"hibernate": true, "allowQuorumLoss": "g"}),
    ));
    rest(&mut model);
    model.release = "0.9.0".into();
    // Fewer members are wanted by now; all of them come back first, so that two can leave.
    model.change(json!({"members": 3}));
    model.converge(100);
    assert_eq!(model.volumes.len(), 3);
    assert_eq!(model.raft.as_ref().unwrap().membership.voters.len(), 3);
}

#[test]
fn nothing_is_put_to_sleep_that_serves_out_of_sight() {
    let mut model = Model::settled(json!({}));
    model.change(maintain(
        json!({}),
        json!({"hibernate": true, "allowQuorumLoss": "g"}),
    ));
    model.pods.get_mut("g-1").unwrap().reachable = false;
    let plan = next(&model);
    assert!(
        !said(&plan).iter().any(|said| said.starts_with("stop")),
        "{plan:?}"
    );
    assert!(
        matches!(&plan.progress, Progress::Waiting(Reason::Hibernated, message) if message.contains("g-1"))
    );
}

#[test]
fn a_cluster_that_is_made_asleep_begins_when_it_wakes() {
    let mut model = Model::new(maintain(
        json!({}),
        json!({"hibernate": true, "allowQuorumLoss": "g"}),
    ));
    rest(&mut model);
    assert!(model.pods.is_empty() && model.raft.is_none());
    model.change(json!({}));
    model.converge(60);
    assert_eq!(model.raft.as_ref().unwrap().membership.voters.len(), 3);
}

#[test]
fn an_upgrade_stands_still_goes_on_and_is_taken_back() {
    let mut model = Model::settled(json!({"version": "0.1.0"}));
    model.change(json!({"version": "0.2.0"}));
    while model.restarted.is_empty() {
        model.round();
        model.step();
    }
    model.change(maintain(
        json!({"version": "0.2.0"}),
        json!({"holdUpdates": true}),
    ));
    let held = rest(&mut model);
    assert!(
        matches!(held.progress, Progress::Resting(Reason::UpdatesHeld, _)),
        "{held:?}"
    );
    assert_eq!(model.restarted.len(), 1);
    assert_eq!(condition(&model, "Maintenance").1, "UpdatesHeld");
    // Taken back: only the one that was changed restarts again.
    model.change(json!({"version": "0.1.0"}));
    model.converge(60);
    assert_eq!(model.restarted.len(), 2);
    assert_eq!(model.restarted[0], model.restarted[1]);
}

#[test]
fn what_the_api_server_may_have_let_through_is_refused_with_a_sentence() {
    let defaults = Defaults {
        server_image: "geode:0.1.0".into(),
        sidecar_image: "geode-sidecar:0.1.0".into(),
        release: "0.1.0".into(),
    };
    for (maintenance, said) in [
        (json!({"fenced": ["h-0"]}), "which is no pod of this cluster"),
        (json!({"allowQuorumLoss": "h"}), "it must be g"),
        (json!({"hibernate": true}), "says that this is meant"),
        (json!({"paused": {"until": "tomorrow"}}), "paused.until"),
    ] {
        let model = Model::new(maintain(json!({}), maintenance));
        let refused = validate(&model.cluster, &defaults).unwrap_err().to_string();
        assert!(refused.contains(said), "{refused}");
    }
}

#[test]
fn the_second_opinion_knows_maintenance_too() {
    let mut model = Model::settled(json!({}));
    let leader = model.leader_pod().unwrap();
    let follower = model.pods.keys().find(|pod| **pod != leader).unwrap().clone();
    let refusal = |model: &Model, action: Action| {
        let plan = Plan {
            actions: vec![action],
            progress: Progress::Idle,
            concerns: Group::Voters,
            held: Vec::new(),
        };
        let violations = check(&plan, &model.want(), &model.observe(), model.now).unwrap_err();
        violations[0].rule
    };
    let fence = |pod: &str, fenced| Action::Fence {
        pod: pod.to_owned(),
        fenced,
    };
    let stop = Action::StopPods {
        group: Group::Voters,
        uid: "set".into(),
    };
    assert_eq!(
        refusal(&model, fence(&follower, true)),
        "only a member that the manifest names is fenced"
    );
    assert_eq!(
        refusal(&model, stop.clone()),
        "members are stopped only for an exchange that is recorded, or to hibernate"
    );
    model.change(maintain(json!({}), json!({"fenced": [leader]})));
    assert_eq!(
        refusal(&model, fence(&leader, true)),
        "a leader hands over before it is fenced"
    );
    assert_eq!(
        refusal(&model, fence(&leader, false)),
        "a fence is lifted when the manifest does not name the member any more"
    );
    rest(&mut model);
    let uid = model.pods[&leader].view.uid.clone();
    assert_eq!(
        refusal(&model, Action::RestartPod { pod: leader, uid }),
        "a pod whose member is fenced stays for inspection"
    );
    let until = (model.now + SignedDuration::from_mins(1)).to_string();
    model.change(maintain(json!({}), json!({"paused": {"until": until}})));
    let grow = Action::GrowClaim {
        claim: format!("{}-g-0", VolumeKind::Data.name(0)),
        size: "2Gi".into(),
    };
    assert_eq!(refusal(&model, grow), "a paused operator changes nothing");
}

#[test]
fn leadership_leaves_a_cordoned_node_before_its_pod_is_evicted() {
    let mut model = Model::settled(json!({}));
    let leader = model.leader_pod().unwrap();
    let others: Vec<String> = model.pods.keys().filter(|pod| **pod != leader).cloned().collect();
    for pod in [&leader, &others[0]] {
        model.pods.get_mut(pod).unwrap().view.cordoned = true;
    }
    assert_eq!(
        said(&next(&model)),
        [format!("transfer leadership from {leader} to {}", others[1])]
    );
    model.converge(20);
    assert_eq!(model.leader_pod().as_ref(), Some(&others[1]));
    // With every node cordoned there is nowhere better.
    model.pods.get_mut(&others[1]).unwrap().view.cordoned = true;
    assert!(next(&model).actions.is_empty());
}

#[test]
fn leadership_goes_to_the_member_that_has_most_of_the_log_and_of_equals_to_the_first_by_name() {
    let is_behind = |model: &mut Model, pod: &str| {
        let id = model.volumes[pod].id;
        let raft = model.raft.as_mut().unwrap();
        raft.matched.insert(id, raft.last_log - 1);
    };
    let mut model = Model::settled(json!({}));
    let leader = model.leader_pod().unwrap();
    let others: Vec<String> = model.pods.keys().filter(|pod| **pod != leader).cloned().collect();
    let moves_to = |pod: &str| format!("transfer leadership from {leader} to {pod}");
    model.pods.get_mut(&leader).unwrap().view.cordoned = true;
    assert_eq!(said(&next(&model)), [moves_to(&others[0])]);
    is_behind(&mut model, &others[0]);
    assert_eq!(said(&next(&model)), [moves_to(&others[1])]);
    // The same before a member stops,
    model.pods.get_mut(&leader).unwrap().view.cordoned = false;
    model.change(maintain(json!({}), json!({"fenced": [leader]})));
    assert!(said(&next(&model)).contains(&moves_to(&others[1])));
    // and before its place is taken away.
    let mut model = Model::settled(json!({"members": 5}));
    let highest = model.volumes["g-4"].id;
    model.raft.as_mut().unwrap().leader = Some(highest);
    model.round();
    model.change(json!({"members": 3}));
    is_behind(&mut model, "g-0");
    let moves = said(&next(&model));
    let to = "transfer leadership from g-4 to g-1".to_owned();
    assert!(moves.contains(&to), "{moves:?}");
}

#[test]
fn a_cordoned_node_does_not_turn_an_upgrade_round_in_circles() {
    let mut model = Model::settled(json!({}));
    let leader = model.leader_pod().unwrap();
    model.pods.get_mut(&leader).unwrap().view.cordoned = true;
    model.change(json!({"version": "0.2.0"}));
    model.converge(100);
    assert_eq!(model.restarted.len(), 3);
    assert_eq!(model.restarted.last(), Some(&leader));
}

#[test]
fn the_budget_counts_on_no_voter_that_only_looks_healthy_and_stays_until_the_last_voter_but_one_has_left() {
    let budget = |model: &Model| {
        let mut budgets = model
            .objects
            .iter()
            .filter(|(key, _)| key.kind == geode_planner::Kind::PodDisruptionBudget);
        budgets.next().map(|(_, budget)| budget["spec"].clone())
    };
    let mut model = Model::settled(json!({}));
    let spec = budget(&model).unwrap();
    assert_eq!(
        (&spec["maxUnavailable"], &spec["unhealthyPodEvictionPolicy"]),
        (&json!(1), &json!("AlwaysAllow"))
    );
    // Kubernetes calls all three ready, and two lack more than a member may lack.
    model.raft.as_mut().unwrap().load(5_000);
    model.round();
    assert_eq!(budget(&model).unwrap()["maxUnavailable"], 0);
    model.converge(20);
    assert_eq!(budget(&model).unwrap()["maxUnavailable"], 1);
    model.change(json!({"members": 1}));
    while model.raft.as_ref().unwrap().membership.voters.len() > 1 {
        model.round();
        assert!(budget(&model).is_some());
        model.step();
    }
    model.converge(30);
    assert_eq!(budget(&model), None);
}
