//! Upgrades of random clusters: observers before voters and the leader last, one at a time, whatever happens meanwhile and wherever the operator is
//! cut off.

use crate::events::{Event, OBSERVERS, Story, members, pod};
use crate::model::{Model, ModelPod};
use crate::rules::{ROUNDS, config_of};
use geode_api::{ImagesStatus, Reason, restart_rank};
use geode_planner::build::template_hash;
use geode_planner::{Action, Group, ObjectKey, Plan, Progress, plan};
use geode_types::MemberId;
use proptest::prelude::*;
use serde_json::Value;
use std::collections::BTreeMap;

/// Entries that a member may lack and still count.
const LACKS_MAX: u64 = 1_000;

/// A well member is restarted, or gives leadership away to be restarted, when all others are there and those before it have had their turn. What ails
/// may be mended by the new template, and does not wait for its turn.
pub(crate) fn keeps_the_order(before: &Model, plan: &Plan) {
    let (want, names) = (before.want(), before.names());
    let observes = |pod: &str| names.ordinal(Group::Observers, pod).is_some();
    let new = template_hash(&want);
    for action in &plan.actions {
        let (pod, leads) = match action {
            Action::RestartPod { pod, .. } => (pod, before.leader_pod().as_ref() == Some(pod)),
            // One that is to be fenced gives leadership away for that.
            Action::TransferLeader { leader, .. }
                if matches!(plan.progress, Progress::Working(Reason::Updating, _))
                    && !want.maintenance.fenced.contains(leader) =>
            {
                (leader, true)
            }
            _ => continue,
        };
        if !is_well(before, pod) {
            continue;
        }
        let others = || want.pods().filter(move |other| other != pod);
        let away = others().find(|other| !before.pods.get(other).is_some_and(is_there));
        assert_eq!(away, None, "{action}, and this one is away");
        let comes_first = |other: &str| leads || (observes(other) && !observes(pod));
        let waits = |other: &String| {
            let template = before
                .pods
                .get(other)
                .and_then(|state| state.view.template.as_ref());
            comes_first(other) && template != Some(&new)
        };
        assert_eq!(others().find(waits), None, "{action} before this one");
    }
}

/// Whether the operator and Kubernetes see this pod at work.
fn is_there(state: &ModelPod) -> bool {
    state.reachable && state.view.running && state.view.ready && !state.view.deleting
}

/// Whether nothing at all is the matter with this pod and its member.
fn is_well(model: &Model, pod: &str) -> bool {
    let (Some(raft), Some(state), Some(volume)) = (&model.raft, model.pods.get(pod), model.volumes.get(pod))
    else {
        return false;
    };
    let has_place = match model.names().ordinal(Group::Voters, pod) {
        Some(_) => raft.votes(volume.id),
        None => raft.knows(volume.id),
    };
    let matched = raft.matched.get(&volume.id).copied().unwrap_or(0);
    is_there(state)
        && has_place
        && raft.leader.is_some()
        && model.up().contains(&volume.id)
        && volume.cluster_id == Some(raft.cluster_id)
        && !volume.doomed()
        && matched + LACKS_MAX >= raft.last_log
}

/// A cluster that is about to be upgraded.
#[derive(Clone, Debug)]
struct Cluster {
    members: u32,
    observers: u32,
    /// Which of the voters leads.
    leader: u8,
    /// Which pods have the new template already.
    updated: Vec<bool>,
}

fn cluster() -> impl Strategy<Value = Cluster> {
    let updated = prop::collection::vec(prop::bool::weighted(0.3), 7 + OBSERVERS as usize);
    (members(), 0..=OBSERVERS, any::<u8>(), updated).prop_map(|(members, observers, leader, updated)| {
        Cluster {
            members,
            observers,
            leader,
            updated,
        }
    })
}

impl Cluster {
    /// It is at its goal, and its manifest has just been changed.
    fn begin(&self) -> Story {
        let mut story = Story::new();
        story.happen(Event::Members(self.members));
        story.happen(Event::Observers(self.observers));
        story.model.converge(ROUNDS);
        story.happen(Event::Elect(self.leader));
        story.model.converge(ROUNDS);
        story.model.restarted.clear();
        story.change(|wishes| wishes.version = 1);
        let new = template_hash(&story.model.want());
        for (state, updated) in story.model.pods.values_mut().zip(&self.updated) {
            if *updated {
                state.view.template = Some(new.clone());
            }
        }
        story
    }
}

/// What befalls a cluster while it is upgraded.
fn upset() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (1u8..6).prop_map(Event::Rounds),
        2 => (0u8..4).prop_map(Event::Interrupt),
        3 => any::<u8>().prop_map(Event::Elect),
        2 => pod().prop_map(Event::KillPod),
        1 => pod().prop_map(Event::Partition),
        1 => pod().prop_map(Event::Cut),
        1 => (0u8..10).prop_map(Event::Load),
        1 => Just(Event::Heal),
    ]
}

/// Pods that the new template waits for.
fn outdated(model: &Model) -> Vec<String> {
    let new = template_hash(&model.want());
    let pods = model.pods.iter();
    pods.filter(|(_, state)| state.view.template.as_ref() != Some(&new))
        .map(|(pod, _)| pod.clone())
        .collect()
}

/// Rounds until nothing is left to do.
fn finish(story: &mut Story) {
    story.end();
    for _ in 0..ROUNDS {
        let model = &story.model;
        let next = plan(&model.want(), &model.observe(), model.now);
        if next.actions.is_empty() && next.progress == Progress::Idle && model.is_ready() {
            assert_eq!(outdated(model), Vec::<String>::new());
            return;
        }
        story.round(usize::MAX);
    }
    panic!("not at the goal: {:#?}", story.model.cluster.status);
}

/// What an upgrade leaves behind.
#[derive(Debug, PartialEq)]
struct Left {
    objects: BTreeMap<ObjectKey, Value>,
    pods: Vec<String>,
    voters: Vec<MemberId>,
    images: Option<ImagesStatus>,
}

fn left(model: &Model) -> Left {
    let status = model.cluster.status.as_ref();
    Left {
        objects: model.objects.clone(),
        pods: model.pods.keys().cloned().collect(),
        voters: model.raft.as_ref().unwrap().membership.voters.clone(),
        images: status.and_then(|status| status.images.clone()),
    }
}

/// Fewer than elsewhere: each makes a cluster of up to ten pods and replaces all of them.
const CASES: u32 = 100;

proptest! {
    #![proptest_config(config_of(CASES))]

    // `Story::round` holds every step against `keeps_the_order`.
    #[test]
    fn an_upgrade_takes_observers_before_voters_and_the_leader_last_whatever_happens_meanwhile(
        cluster in cluster(),
        upsets in prop::collection::vec(upset(), 0..8),
    ) {
        let mut story = cluster.begin();
        let (due, before) = (outdated(&story.model), left(&story.model));
        for event in upsets {
            story.happen(event);
        }
        finish(&mut story);
        let after = left(&story.model);
        prop_assert_eq!((after.pods, after.voters), (before.pods, before.voters));
        // A pod that was killed came back with the new template; nobody is restarted twice or for nothing.
        let mut restarted = story.model.restarted;
        restarted.sort();
        prop_assert!(restarted.windows(2).all(|pair| pair[0] != pair[1]), "{:?}", restarted);
        prop_assert!(restarted.iter().all(|pod| due.contains(pod)), "{:?} of {:?}", restarted, due);
    }

    #[test]
    fn an_upgrade_that_is_cut_off_anywhere_restarts_the_same_pods_in_the_same_order_and_ends_at_the_same_goal(
        cluster in cluster(),
        cuts in prop::collection::vec(0usize..3, 0..40),
    ) {
        let mut plain = cluster.begin();
        let leader = plain.model.leader_pod().unwrap();
        let mut due = outdated(&plain.model);
        due.sort_by_key(|pod| restart_rank(pod, &leader));
        finish(&mut plain);
        prop_assert_eq!(&plain.model.restarted, &due);
        let mut cut = cluster.begin();
        for actions in cuts {
            cut.round(actions);
        }
        finish(&mut cut);
        prop_assert_eq!(&cut.model.restarted, &due);
        prop_assert_eq!(left(&cut.model), left(&plain.model));
    }
}
