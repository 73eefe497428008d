//! Random worlds. Whatever happens to a minority, the operator reaches the goal and breaks no rule on the way; and whatever it sees, also nonsense,
//! its plan passes the check.

use crate::events::{Event, Story, event, pod};
use geode_planner::{Action, Group, MemberSeen, Observed, check, plan};
use geode_types::LogIndex;
use k8s_openapi::jiff::SignedDuration;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

/// Rounds within which any disturbance must be over.
pub(crate) const ROUNDS: usize = 300;

pub(crate) fn config() -> ProptestConfig {
    config_of(400)
}

/// So many cases on every run; `PROPTEST_CASES` asks for others.
pub(crate) fn config_of(cases: u32) -> ProptestConfig {
    let number = |name: &str| std::env::var(name).ok()?.parse().ok();
    ProptestConfig {
        cases: number("PROPTEST_CASES").unwrap_or(cases),
        // The same worlds on every run: `PROPTEST_RNG_SEED=n cargo test -p geode-planner --test planner` looks at others.
        rng_seed: RngSeed::Fixed(number("PROPTEST_RNG_SEED").map_or(1, u64::from)),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// After these events, and when what is broken has been mended, everything is as the manifest says.
fn ends_at_the_goal(events: &[Event]) {
    let mut story = Story::of(events);
    story.end();
    let Story {
        mut model, wishes, ..
    } = story;
    model.converge(ROUNDS);
    let voters = &model.raft.as_ref().unwrap().membership.voters;
    assert_eq!(voters.len(), wishes.members as usize);
    for (group, count) in [
        (Group::Voters, wishes.members),
        (Group::Observers, wishes.observers),
    ] {
        assert_eq!(model.members_of(group).len(), count as usize, "{group:?}");
        assert_eq!(model.replicas(group), count, "{group:?}");
    }
    if wishes.members > 1 {
        let want = model.want();
        for (pod, volume) in model.volumes.iter().filter(|(pod, _)| want.wants_pod(pod)) {
            let (size, class) = wishes.volumes();
            assert_eq!(
                (volume.size.as_str(), volume.class.as_deref()),
                (size, Some(class)),
                "{pod}"
            );
        }
    }
    let goal = plan(&model.want(), &model.observe(), model.now);
    assert!(
        goal.actions.is_empty() && goal.is_settled(),
        "planning at the goal gives {goal:?}"
    );
    let leader = model.leader_pod().unwrap();
    for (pod, state) in &model.pods {
        assert_eq!(state.view.role.as_deref() == Some("leader"), *pod == leader);
    }
    assert!(model.backups.iter().all(|backup| backup.status.phase.is_final()));
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn any_disturbance_of_a_minority_ends_at_the_goal(events in prop::collection::vec(event(), 1..12)) {
        ends_at_the_goal(&events);
    }

    #[test]
    fn a_plan_on_any_observation_passes_the_check(
        events in prop::collection::vec(event(), 0..6),
        damage in prop::collection::vec((0usize..10, pod(), any::<u8>()), 0..6),
        age_seconds in 0i64..30,
    ) {
        let mut story = Story::new();
        story.model.converge(100);
        for event in events {
            if let Event::Storage(_) | Event::Fence(_) | Event::Cordon(_) | Event::Members(_) | Event::Observers(_) | Event::Version(_) | Event::Rounds(_) | Event::KillPod(_) = event {
                story.happen(event);
            }
        }
        let model = story.model;
        let mut seen = model.observe();
        for (kind, pod, amount) in damage {
            spoil(&mut seen, kind, &model.names().pod(pod.group, pod.ordinal), amount);
        }
        let now = seen.at + SignedDuration::from_secs(age_seconds.min(9));
        let want = model.want();
        let plan = plan(&want, &seen, now);
        prop_assert_eq!(check(&plan, &want, &seen, now), Ok(()));
        let stale = seen.at + SignedDuration::from_secs(60);
        let touches = plan.actions.iter().any(|action| matches!(
            action,
            Action::RestartPod { .. } | Action::ChangeVoters { .. } | Action::AddLearner { .. } | Action::RemoveLearners { .. }
                | Action::TransferLeader { .. } | Action::ReplaceLostVolume { .. } | Action::Fence { fenced: true, .. }
                | Action::ReplaceVolumes { .. } | Action::RemakeSet { .. }
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
    if kind == 9 {
        seen.members.remove(pod);
    }
    if let Some(view) = seen.pods.get_mut(pod) {
        match kind {
            1 => view.deleting = true,
            2 => view.ready = false,
            3 => view.running = amount.is_multiple_of(2),
            9 => (view.running, view.damage) = (false, Some("spoiled".to_owned())),
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
            8 => status.term += u64::from(amount % 3),
            _ => {}
        }
    }
}
