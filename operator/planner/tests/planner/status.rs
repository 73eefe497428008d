//! What the user sees, and that it follows kstatus.

use crate::model::Model;
use geode_api::GeodeClusterStatus;
use geode_planner::{Report, cluster_status, invalid_status, plan};
use serde_json::json;

fn status(model: &Model) -> GeodeClusterStatus {
    let (want, seen) = (model.want(), model.observe());
    let plan = plan(&want, &seen, model.now);
    cluster_status(&want, &seen, &plan, &Report::Done, model.now)
}

fn line(status: &GeodeClusterStatus) -> String {
    let conditions = status
        .conditions
        .iter()
        .map(|condition| format!("{}={}:{}", condition.type_, condition.status, condition.reason));
    conditions.collect::<Vec<_>>().join(" ")
}

#[test]
fn a_settled_cluster_is_ready_and_nothing_else() {
    let model = Model::settled(json!({}));
    let status = status(&model);
    assert_eq!(
        line(&status),
        "Ready=True:AllMembersReady Reconciling=False:Idle Stalled=False:Idle QuorumHealthy=True:LeaderElected Archiving=False:ArchiveNotConfigured ObserversReady=True:AllMembersReady"
    );
    assert_eq!(
        (status.ready.as_deref(), status.leader),
        (Some("3/3"), model.leader_pod())
    );
    assert!(
        status
            .conditions
            .iter()
            .all(|condition| condition.observed_generation == Some(1))
    );
}

#[test]
fn a_new_generation_is_not_ready_before_it_is_carried_out() {
    let mut model = Model::settled(json!({}));
    model.change(json!({"members": 5}));
    let changed = status(&model);
    assert_eq!(changed.observed_generation, Some(2));
    assert!(line(&changed).starts_with("Ready=False:"), "{}", line(&changed));
}

#[test]
fn a_member_that_is_away_and_a_lost_quorum_are_told_apart() {
    let mut model = Model::settled(json!({}));
    let leader = model.leader_pod().unwrap();
    let others: Vec<String> = model.pods.keys().filter(|pod| **pod != leader).cloned().collect();
    model.pods.get_mut(&others[0]).unwrap().view.running = false;
    let up = model.up();
    model.raft.as_mut().unwrap().step(&up);
    let one_away = status(&model);
    assert!(
        line(&one_away).contains("Ready=False:MemberNotReady")
            && line(&one_away).contains("QuorumHealthy=True"),
        "{}",
        line(&one_away)
    );
    model.pods.get_mut(&others[1]).unwrap().view.running = false;
    let up = model.up();
    model.raft.as_mut().unwrap().step(&up);
    let lost = status(&model);
    assert!(
        line(&lost).contains("Ready=False:QuorumLost")
            && line(&lost).contains("QuorumHealthy=False:QuorumLost"),
        "{}",
        line(&lost)
    );
    assert!(
        lost.conditions[0].message.contains("docs/runbooks/QuorumLost.md"),
        "{}",
        lost.conditions[0].message
    );
}

#[test]
fn a_condition_keeps_its_time_while_it_keeps_its_value() {
    let mut model = Model::settled(json!({}));
    let before = status(&model);
    model.cluster.status = Some(before.clone());
    model.now += k8s_openapi::jiff::SignedDuration::from_hours(1);
    assert_eq!(status(&model), before);
}

#[test]
fn a_refused_manifest_is_stalled_with_its_sentence_and_forgets_nothing() {
    let model = Model::settled(json!({}));
    let before = status(&model);
    let refused = invalid_status(&before, 2, "spec.config: no", model.now);
    assert!(
        line(&refused)
            .starts_with("Ready=False:InvalidSpec Reconciling=False:InvalidSpec Stalled=True:InvalidSpec"),
        "{}",
        line(&refused)
    );
    assert_eq!(
        (refused.leader, refused.observed_generation),
        (before.leader, Some(2))
    );
}

#[test]
fn an_archive_is_behind_since_it_stopped_and_not_since_it_last_moved() {
    let mut model = Model::settled(json!({"archive": {"s3": {"bucket": "b"}}}));
    let mut seen = model.observe();
    let leader = model.leader_pod().unwrap();
    let report = |seen: &mut geode_planner::Observed, archived: u64, committed: u64, now| {
        if let Some(geode_planner::MemberSeen::Seen(status)) = seen.members.get_mut(&leader) {
            status.committed = geode_types::LogIndex(committed);
            let archived_up_to = geode_types::LogIndex(archived);
            status.archive = Some(geode_wire::internal::ArchiveReport {
                archived_up_to,
                ..Default::default()
            });
        }
        let want = model.want();
        let plan = plan(&want, seen, now);
        seen.status = cluster_status(&want, seen, &plan, &Report::Done, now);
        (
            seen.status.archive.clone().unwrap().lag_seconds,
            line(&seen.status).contains("Archiving=True"),
        )
    };
    let mut now = model.now;
    let mut later = |seconds| {
        now += k8s_openapi::jiff::SignedDuration::from_secs(seconds);
        now
    };
    assert_eq!(report(&mut seen, 10, 10, later(0)), (Some(0), true));
    assert_eq!(report(&mut seen, 10, 11, later(3600)), (Some(0), true));
    assert_eq!(report(&mut seen, 10, 11, later(4)), (Some(4), true));
    assert_eq!(report(&mut seen, 10, 11, later(60)), (Some(64), false));
    assert_eq!(report(&mut seen, 11, 11, later(1)), (Some(0), true));
    model.step();
}

#[test]
fn a_gap_of_the_archive_is_said_and_covered_by_one_backup() {
    let mut model = Model::settled(json!({"archive": {"s3": {"bucket": "b"}}}));
    let leader = model.leader_pod().unwrap();
    let with_gap = |model: &Model| {
        let mut seen = model.observe();
        if let Some(geode_planner::MemberSeen::Seen(status)) = seen.members.get_mut(&leader) {
            status.archive = Some(geode_wire::internal::ArchiveReport {
                archived_up_to: status.committed,
                gap: Some(geode_wire::internal::ArchiveGap {
                    first: geode_types::LogIndex(10),
                    last: geode_types::LogIndex(19),
                    entries: 10,
                }),
                ..Default::default()
            });
        }
        seen
    };
    let seen = with_gap(&model);
    let want = model.want();
    let found = plan(&want, &seen, model.now);
    let takes: Vec<String> = found.actions.iter().map(ToString::to_string).collect();
    let name = format!("{}-gap-19", want.names.cluster);
    assert_eq!(takes, [format!("take the backup {name}: the archive has a gap")]);
    let told = cluster_status(&want, &seen, &found, &Report::Done, model.now);
    assert!(
        line(&told).contains("Archiving=False:ArchiveGap"),
        "{}",
        line(&told)
    );
    for action in &found.actions {
        model.act(action).unwrap();
    }
    let again = plan(&want, &with_gap(&model), model.now);
    assert!(
        !again
            .actions
            .iter()
            .any(|action| matches!(action, geode_planner::Action::TakeBackup { .. })),
        "{again:?}"
    );
}
