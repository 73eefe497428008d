//! Random worlds. Whatever happens to a minority, the operator reaches the goal and breaks no rule on the way; and whatever it sees, also nonsense,
//! its plan passes the check.

use crate::model::Model;
use geode_planner::{Action, MemberSeen, Observed, check, plan};
use geode_types::LogIndex;
use k8s_openapi::jiff::SignedDuration;
use proptest::prelude::*;
use serde_json::{Value, json};

/// Rounds within which any disturbance must be over.
const ROUNDS: usize = 300;

#[derive(Clone, Debug)]
enum Event {
    Rounds(u8),
    Members(u32),
    Version(u8),
    Release(u8),
    LoseVolume(u32),
    LoseStorage(u32),
    KillPod(u32),
    Partition(u32),
    Heal,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        (1u8..30).prop_map(Event::Rounds),
        prop_oneof![Just(1u32), Just(3), Just(5), Just(7)].prop_map(Event::Members),
        (0u8..4).prop_map(Event::Version),
        (0u8..4).prop_map(Event::Release),
        (0u32..7).prop_map(Event::LoseVolume),
        (0u32..7).prop_map(Event::LoseStorage),
        (0u32..7).prop_map(Event::KillPod),
        (0u32..7).prop_map(Event::Partition),
        Just(Event::Heal),
    ]
}

fn spec(members: u32, version: u8) -> Value {
    json!({ "members": members, "version": format!("1.0.{version}") })
}

/// Losing this pod's member leaves a majority of complete voters.
fn may_lose(model: &Model, pod: &str) -> bool {
    let (Some(raft), Some(volume)) = (&model.raft, model.volumes.get(pod)) else {
        return false;
    };
    let up = model.up();
    let complete =
        |id: &geode_types::MemberId| up.contains(id) && raft.matched.get(id) == Some(&raft.last_log);
    let rest = raft
        .membership
        .voters
        .iter()
        .filter(|id| **id != volume.id && complete(id))
        .count();
    rest * 2 > raft.membership.voters.len()
}

fn round(model: &mut Model) {
    let plan = model.round();
    for action in &plan.actions {
        if let Action::RestartPod { .. } = action {
            let raft = model.raft.as_ref().expect("restarts need a cluster");
            let up = model.up();
            let voting = raft.membership.voters.iter().filter(|id| up.contains(id)).count();
            let alone = raft.membership.voters.len() == 1;
            assert!(
                alone || voting * 2 > raft.membership.voters.len(),
                "a restart took the majority away"
            );
        }
    }
    let leaders = model
        .pods
        .values()
        .filter(|pod| pod.view.role.as_deref() == Some("leader"))
        .count();
    assert!(leaders <= 1, "two leaders by label");
    model.step();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_disturbance_of_a_minority_ends_at_the_goal(events in prop::collection::vec(event(), 1..12)) {
        let (mut members, mut version) = (3, 0);
        let mut model = Model::new(spec(members, version));
        for event in events {
            match event {
                Event::Rounds(count) => (0..count).for_each(|_| round(&mut model)),
                Event::Members(count) => {
                    members = count;
                    model.change(spec(members, version));
                }
                Event::Version(patch) => {
                    version = patch;
                    model.change(spec(members, version));
                }
                Event::Release(minor) => model.release = format!("0.{minor}.0"),
                Event::LoseVolume(ordinal) => {
                    let pod = model.names().pod(ordinal);
                    if may_lose(&model, &pod) {
                        model.lose_volume(&pod);
                    }
                }
                Event::LoseStorage(ordinal) => {
                    let pod = model.names().pod(ordinal);
                    if may_lose(&model, &pod) {
                        model.volumes.get_mut(&pod).unwrap().lost = true;
                    }
                }
                Event::KillPod(ordinal) => {
                    let pod = model.names().pod(ordinal);
                    model.pods.remove(&pod);
                }
                Event::Partition(ordinal) => {
                    let pod = model.names().pod(ordinal);
                    if let Some(pod) = model.pods.get_mut(&pod) {
                        pod.reachable = false;
                    }
                }
                Event::Heal => model.pods.values_mut().for_each(|pod| pod.reachable = true),
            }
            round(&mut model);
        }
        model.pods.values_mut().for_each(|pod| pod.reachable = true);
        model.converge(ROUNDS);
        let raft = model.raft.as_ref().unwrap();
        prop_assert_eq!(raft.membership.voters.len(), members as usize);
        prop_assert_eq!(raft.membership.members.len(), members as usize);
        prop_assert_eq!(model.replicas(), members);
        let goal = plan(&model.want(), &model.observe(), model.now);
        prop_assert!(goal.actions.is_empty() && goal.is_settled(), "planning at the goal gives {:?}", goal);
        let leader = model.leader_pod().unwrap();
        for (pod, state) in &model.pods {
            prop_assert_eq!(state.view.role.as_deref() == Some("leader"), *pod == leader);
        }
    }

    #[test]
    fn a_plan_on_any_observation_passes_the_check(
        events in prop::collection::vec(event(), 0..6),
        damage in prop::collection::vec((0usize..8, 0u32..7, any::<u8>()), 0..6),
        age_seconds in 0i64..30,
    ) {
        let mut model = Model::settled(spec(3, 0));
        for event in events {
            match event {
                Event::Members(count) => model.change(spec(count, 0)),
                Event::Version(patch) => model.change(spec(3, patch)),
                Event::Rounds(count) => (0..count).for_each(|_| round(&mut model)),
                _ => {}
            }
        }
        let mut seen = model.observe();
        for (kind, ordinal, amount) in damage {
            spoil(&mut seen, kind, &model.names().pod(ordinal), amount);
        }
        let now = seen.at + SignedDuration::from_secs(age_seconds.min(9));
        let want = model.want();
        let plan = plan(&want, &seen, now);
        prop_assert_eq!(check(&plan, &want, &seen, now), Ok(()));
        let stale = seen.at + SignedDuration::from_secs(60);
        let touches = plan.actions.iter().any(|action| matches!(
            action,
            Action::RestartPod { .. } | Action::ChangeVoters { .. } | Action::AddLearner { .. } | Action::RemoveLearners { .. }
                | Action::TransferLeader { .. } | Action::ReplaceLostVolume { .. }
        ));
        prop_assert!(!touches || check(&plan, &want, &seen, stale).is_err(), "a stale plan was let through: {:?}", plan);
    }
}

/// Makes an observation partly wrong, old or missing.
fn spoil(seen: &mut Observed, kind: usize, pod: &str, amount: u8) {
    if kind == 0 {
        seen.members
            .insert(pod.to_owned(), MemberSeen::Unknown("spoiled".into()));
    }
    if let Some(view) = seen.pods.get_mut(pod) {
        match kind {
            1 => view.deleting = true,
            2 => view.ready = false,
            3 => view.running = amount.is_multiple_of(2),
            _ => {}
        }
    }
    if let Some(MemberSeen::Seen(status)) = seen.members.get_mut(pod) {
        match kind {
            4 => status.quorum_age_ms = Some(u64::from(amount) * 100),
            5 => status.membership.joint = amount.is_multiple_of(2),
            6 => status.last_log = LogIndex(status.last_log.0 + u64::from(amount) * 100),
            7 => status
                .replication
                .retain(|replication| replication.member.0 % 2 == u64::from(amount) % 2),
            _ => {}
        }
    }
}
