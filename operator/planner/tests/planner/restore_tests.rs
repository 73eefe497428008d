//! Restore tests: tables of single looks, what a run's pod may and may not have, how RTO and RPO are counted, and random lives in which an operator
//! is killed at any step, pods are lost, and nothing is left over in the end.

use crate::rules::config;
use crate::schedules::at;
use geode_api::{
    GeodeRestoreTestSpec, GeodeRestoreTestStatus, LABEL_CLUSTER, Reason, RestoreTestPhase, RestoreTestResult,
};
use geode_planner::{
    Archive, ArchiveService, News, PodEnd, RecordedHash, RestoreTestDeed, RestoreTestStep, RestoreTestView,
    TestPod, TestTarget, TestedCluster, keep_restore_test, test_pod,
};
use geode_types::{LogIndex, RestoreCheckResult, RestoreTestReport, RestoreTestStep as Step};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use serde_json::{Value, json};

const SOURCE: &str = "s3://wal/db/g/6f2c1d9e-0000-4000-8000-000000000001";

/// A test, its pods, its cluster, and the time.
struct Life {
    view: RestoreTestView,
    pods: Vec<TestPod>,
    target: TestTarget,
    hashes: Vec<RecordedHash>,
    now: Timestamp,
    news: Vec<News>,
    /// Pods that were ever made.
    made: Vec<String>,
}

fn spec(mut spec: Value) -> GeodeRestoreTestSpec {
    spec["cluster"] = "g".into();
    serde_json::from_value(spec).unwrap()
}

fn cluster() -> TestedCluster {
    TestedCluster {
        name: "g".into(),
        namespace: "db".into(),
        source: SOURCE.into(),
        archive: Archive {
            service: ArchiveService::S3,
            bucket: "wal".into(),
            prefix: "db/g".into(),
            endpoint: "http://s3:1".into(),
            region: "r".into(),
            credentials: Some("keys".into()),
            storage_class: None,
            copy: None,
            compression: None,
            encryption: Some("archive-keys".into()),
            max_lag: "5s".into(),
        },
        image: "geode:1".into(),
        resources: None,
        applied: Some(LogIndex(100)),
    }
}

fn there(applied: u64) -> TestTarget {
    TestTarget::There(Box::new(TestedCluster {
        applied: Some(LogIndex(applied)),
        ..cluster()
    }))
}

impl Life {
    fn new(asked: Value) -> Self {
        let now = at("2026-03-01T12:00:00Z");
        Self {
            view: RestoreTestView {
                name: "t".into(),
                uid: "6f2c1d9e-0000-4000-8000-000000000009".into(),
                generation: 1,
                created_at: now,
                spec: spec(asked),
                status: GeodeRestoreTestStatus::default(),
            },
            pods: Vec::new(),
            target: there(100),
            hashes: Vec::new(),
            now,
            news: Vec::new(),
            made: Vec::new(),
        }
    }

    fn step(&self) -> RestoreTestStep {
        keep_restore_test(&self.view, &self.target, &self.pods, &self.hashes, self.now)
    }

    /// Does the first so many of what there is to do: the status, then one deed after the other.
    fn do_some(&mut self, count: usize) {
        let step = self.step();
        if count == 0 {
            return;
        }
        self.view.status = step.status;
        for deed in step.deeds.into_iter().take(count - 1) {
            match deed {
                RestoreTestDeed::Create(run) if self.pods.iter().all(|pod| pod.name != run.pod) => {
                    self.made.push(run.pod.clone());
                    self.pods.push(TestPod {
                        name: run.pod,
                        deleting: false,
                        end: None,
                        waiting: None,
                    });
                }
                RestoreTestDeed::Create(_) => {}
                RestoreTestDeed::Delete(name) => self.pods.retain(|pod| pod.name != name),
            }
        }
        self.news.extend(step.news);
    }

    fn look(&mut self) {
        self.do_some(usize::MAX);
    }

    fn later(&mut self, seconds: i64) {
        self.now += SignedDuration::from_secs(seconds);
    }

    /// The pod of the run ends with these words.
    fn end(&mut self, message: impl Into<String>) {
        let end = PodEnd {
            message: message.into(),
            reason: "Error (exit code 1)".into(),
        };
        for pod in &mut self.pods {
            pod.end.get_or_insert(end.clone());
        }
    }

    fn result(&self) -> &RestoreTestResult {
        self.view.status.result.as_ref().unwrap()
    }

    fn holds(&self, kind: &str) -> (String, String) {
        let mut conditions = self.view.status.conditions.iter();
        let found = conditions.find(|condition| condition.type_ == kind).unwrap();
        (found.status.clone(), found.reason.clone())
    }
}

/// A report of a run that began at noon, looked at the archive after 3 s and was answered after 8.25 s.
fn report() -> RestoreTestReport {
    let noon = at("2026-03-01T12:00:00Z").as_microsecond();
    RestoreTestReport {
        step: Step::Done,
        source: format!("{SOURCE}/00000000/"),
        looked_at_micros: noon + 3_000_000,
        base: Some(LogIndex(40)),
        base_hash: Some("aa".into()),
        bytes: 1234,
        index: Some(LogIndex(100)),
        newest_micros: Some(noon - 60_000_000),
        state_hash: Some("bb".into()),
        nodes: 7,
        edges: 3,
        answered_at_micros: Some(noon + 8_250_000),
        checks: vec![RestoreCheckResult {
            passed: true,
            rows: 1,
            value: Some("7".into()),
            ..RestoreCheckResult::default()
        }],
        ..RestoreTestReport::default()
    }
}

fn text(report: &RestoreTestReport) -> String {
    report.to_bounded_json()
}

#[test]
fn without_a_schedule_a_test_is_run_once_and_again_when_its_spec_changes() {
    let mut life = Life::new(json!({}));
    life.look();
    assert_eq!(life.view.status.phase, RestoreTestPhase::Running);
    assert_eq!(
        life.holds("Reconciling"),
        ("True".into(), "RestoreTestRunning".into())
    );
    life.later(9);
    life.end(text(&report()));
    life.look();
    assert!(life.pods.is_empty(), "its pod is left");
    let status = &life.view.status;
    assert_eq!(
        (status.phase, status.passed_runs, status.failed_runs),
        (RestoreTestPhase::Passed, 1, 0)
    );
    let result = life.result();
    assert_eq!(
        (result.rto_seconds, result.rpo_seconds, result.lsn.as_deref()),
        (Some(9), Some(0), Some("0/100"))
    );
    assert_eq!(
        (result.nodes, result.edges, result.bytes),
        (Some(7), Some(3), 1234)
    );
    assert_eq!(result.queries[0].value.as_deref(), Some("7"));
    assert_eq!(life.holds("Ready"), ("True".into(), "RestoreTestPassed".into()));
    for _ in 0..3 {
        life.later(100_000);
        life.look();
    }
    assert_eq!((life.made.len(), life.step().wake), (1, None));
    life.view.generation = 2;
    life.look();
    assert_eq!(life.made.len(), 2);
    // What is known stays until there is something new.
    assert_eq!(life.holds("Ready").0, "True");
}

#[test]
fn what_is_due_by_a_schedule_is_run_once_and_one_that_is_suspended_begins_nothing() {
    let mut life = Life::new(json!({"schedule": "0 4 * * *", "timeZone": "Europe/Berlin"}));
    life.look();
    assert_eq!(life.view.status.phase, RestoreTestPhase::Pending);
    let due = at("2026-03-02T03:00:00Z");
    assert_eq!(life.step().wake, Some(due));
    life.now = due;
    life.look();
    assert_eq!(life.made.len(), 1);
    life.later(60);
    life.end(text(&report()));
    life.look();
    let next = life.view.status.next_schedule_time.as_ref().unwrap().0;
    assert_eq!(next, at("2026-03-03T03:00:00Z"));
    // Days without an operator are one run.
    life.now = at("2026-03-09T12:00:00Z");
    life.look();
    life.look();
    assert_eq!(life.made.len(), 2);
    life.later(10);
    life.end(text(&report()));
    life.look();
    (life.view.spec.suspend, life.view.generation) = (true, 2);
    life.now = at("2026-03-20T12:00:00Z");
    life.look();
    assert_eq!((life.made.len(), life.step().wake), (2, None));
    assert!(life.view.status.next_schedule_time.is_none());
    (life.view.spec.suspend, life.view.generation) = (false, 3);
    life.look();
    assert_eq!(
        life.made.len(),
        2,
        "what was due while it was suspended is made up"
    );
}

#[test]
fn a_schedule_that_cannot_be_is_refused_and_a_run_that_is_under_way_is_ended_all_the_same() {
    let mut life = Life::new(json!({}));
    life.look();
    life.view.spec.schedule = Some("0 4 30 2 *".into());
    life.view.generation = 2;
    life.look();
    assert_eq!(life.holds("Stalled"), ("True".into(), "InvalidSpec".into()));
    life.end(text(&report()));
    life.look();
    assert!(life.pods.is_empty() && life.view.status.run.is_none());
    assert!(life.result().passed);
    let told = life.news.iter().filter(|news| news.reason == Reason::InvalidSpec);
    assert_eq!(told.count(), 1);
}

#[test]
fn a_test_waits_for_a_cluster_that_can_be_restored_with_its_reason() {
    let mut life = Life::new(json!({}));
    for (target, reason) in [
        (TestTarget::Missing, "ClusterNotFound"),
        (
            TestTarget::Refused(Reason::ArchiveNotConfigured, "it has no archive".into()),
            "ArchiveNotConfigured",
        ),
    ] {
        life.target = target;
        life.look();
        assert!(life.made.is_empty());
        assert_eq!(life.holds("Ready"), ("False".into(), reason.into()));
        assert!(
            life.view
                .status
                .message
                .as_ref()
                .unwrap()
                .contains(if reason == "ClusterNotFound" {
                    "GeodeCluster g"
                } else {
                    "no archive"
                })
        );
    }
    life.target = there(5);
    life.look();
    assert_eq!(life.made.len(), 1);
}

#[test]
fn a_query_that_fails_turns_the_condition_and_the_next_run_that_passes_turns_it_back() {
    let mut life = Life::new(json!({"keepFailed": true}));
    life.look();
    let failed = RestoreTestReport {
        step: Step::Queries,
        failure: Some("query 1: 6 instead of 7".into()),
        checks: vec![RestoreCheckResult::default()],
        ..report()
    };
    life.end(text(&failed));
    life.look();
    assert_eq!(life.holds("Ready"), ("False".into(), "RestoreTestFailed".into()));
    let status = &life.view.status;
    assert_eq!((status.failed_runs, status.passed_runs), (1, 0));
    let said = status.message.clone().unwrap();
    assert!(
        said.contains("queries") && said.contains("6 instead of 7"),
        "{said}"
    );
    // It restored all the same, so the figures are there.
    assert_eq!(life.result().rto_seconds, Some(9));
    assert_eq!(life.view.status.kept_pod.as_ref(), life.made.first());
    assert_eq!(life.pods.len(), 1, "the pod was to be kept");
    let warned = life.news.iter().filter(|news| news.warning).count();
    assert_eq!(warned, 1);

    life.view.generation = 2;
    life.later(5);
    life.look();
    assert_eq!(life.pods.len(), 1, "the kept pod goes when the next run begins");
    life.end(text(&report()));
    life.look();
    assert_eq!(life.holds("Ready"), ("True".into(), "RestoreTestPassed".into()));
    assert!(life.pods.is_empty() && life.view.status.kept_pod.is_none());
}

#[test]
fn a_run_that_takes_too_long_or_says_nothing_has_failed_with_what_is_known() {
    let mut life = Life::new(json!({"timeout": "2m"}));
    life.look();
    life.pods[0].waiting = Some("ImagePullBackOff: no such image".into());
    life.later(119);
    life.look();
    assert_eq!(life.view.status.phase, RestoreTestPhase::Running);
    assert!(
        life.view
            .status
            .message
            .as_ref()
            .unwrap()
            .contains("ImagePullBackOff")
    );
    life.later(1);
    life.look();
    let said = life.view.status.message.clone().unwrap();
    assert!(said.contains("2m") && said.contains("ImagePullBackOff"), "{said}");
    assert_eq!((life.result().step.as_str(), life.pods.len()), ("pod", 0));

    for words in ["error: unrecognized subcommand 'test-restore'", "", "{\"step\":"] {
        let mut life = Life::new(json!({}));
        life.look();
        life.end(words);
        life.look();
        let said = life.view.status.message.clone().unwrap();
        assert!(
            said.contains("without a report") && said.contains(words) && said.contains("exit code 1"),
            "{said}"
        );
    }
    // Long words that are no report are cut between letters.
    let mut life = Life::new(json!({}));
    life.look();
    life.end("ä".repeat(5000));
    life.look();
    assert!(life.view.status.message.as_ref().unwrap().len() < 1000);
}

#[test]
fn a_pod_that_is_lost_with_its_node_is_made_again_within_the_same_time() {
    let mut life = Life::new(json!({"timeout": "2m"}));
    life.look();
    let deadline = life.now + SignedDuration::from_mins(2);
    for _ in 0..3 {
        life.later(30);
        life.pods.clear();
        life.look();
        assert_eq!(life.pods.len(), 1);
    }
    life.now = deadline;
    life.pods.clear();
    life.look();
    assert_eq!((life.view.status.failed_runs, life.made.len()), (1, 4));
    // And one whose cluster is gone too has failed.
    let mut life = Life::new(json!({}));
    life.look();
    (life.pods, life.target) = (Vec::new(), TestTarget::Missing);
    life.look();
    assert_eq!(life.view.status.failed_runs, 1);
}

#[test]
fn the_measured_recovery_point_is_the_age_of_what_was_restored_and_nothing_when_all_is_there() {
    let noon = at("2026-03-01T12:00:00Z").as_microsecond();
    let newest = |seconds: i64| Some(noon + seconds * 1_000_000);
    // Applied at the begin, applied at the end, restored, newest restored commit, expected.
    for (begin, end, restored, newest, expected) in [
        // Nobody writes: an old commit is the newest.
        (100, 100, 100, newest(-3600), Some(0)),
        // Everything of the begin is there, and somebody has written since.
        (100, 120, 100, newest(-3600), Some(6)),
        (100, 120, 110, newest(1), Some(2)),
        // The archive is behind.
        (100, 120, 90, newest(-20), Some(23)),
        // What was committed after the look does not count.
        (100, 120, 110, newest(4), Some(0)),
        // Nobody knows.
        (100, 120, 90, None, None),
    ] {
        let mut life = Life::new(json!({}));
        life.target = there(begin);
        life.look();
        life.target = there(end);
        life.end(text(&RestoreTestReport {
            index: Some(LogIndex(restored)),
            newest_micros: newest,
            ..report()
        }));
        life.look();
        assert_eq!(
            life.result().rpo_seconds,
            expected,
            "{begin} {end} {restored} {newest:?}"
        );
    }
}

#[test]
fn hashes_that_backups_recorded_are_compared_and_another_one_fails_the_test() {
    let recorded = |index: u64, hash: &str, location: &str| RecordedHash {
        backup: format!("b{index}"),
        location: location.into(),
        index: LogIndex(index),
        hash: hash.into(),
    };
    let own = format!("{SOURCE}/00000000/base/x/");
    for (hashes, passed, compared) in [
        (vec![], true, vec!["base backup"]),
        (
            vec![recorded(40, "aa", &own), recorded(100, "bb", &own)],
            true,
            vec!["base backup", "b40", "b100"],
        ),
        (vec![recorded(40, "ab", &own)], false, vec![]),
        (vec![recorded(100, "ab", &own)], false, vec![]),
        // Of another entry, or of another life.
        (
            vec![
                recorded(41, "ab", &own),
                recorded(40, "ab", "s3://wal/db/g/other/"),
            ],
            true,
            vec!["base backup"],
        ),
    ] {
        let mut life = Life::new(json!({}));
        life.hashes = hashes.clone();
        life.look();
        life.end(text(&report()));
        life.look();
        let result = life.result();
        assert_eq!(result.passed, passed, "{hashes:?}");
        if passed {
            assert_eq!(result.hash_compared_with, compared, "{hashes:?}");
        } else {
            assert!(result.message.as_ref().unwrap().contains("recorded the hash ab"));
        }
    }
}

#[test]
fn the_pod_of_a_run_is_none_of_the_clusters_and_only_reads() {
    for storage in [json!(null), json!({"size": "5Gi", "storageClassName": "fast"})] {
        let mut life = Life::new(json!({
            "timeout": "90s", "queries": [{"statement": "MATCH (n {a: $x}) RETURN '$(HOME)'", "expectRows": 0}],
        }));
        life.view.spec.storage = serde_json::from_value(storage.clone()).unwrap();
        life.look();
        let run = life.view.status.run.clone().unwrap();
        let value = test_pod(&life.view, &run, &cluster());
        let pod: Pod = serde_json::from_value(value.clone()).unwrap();
        let labels = pod.metadata.labels.unwrap();
        assert!(!labels.contains_key(LABEL_CLUSTER), "{labels:?}");
        assert_eq!(value["metadata"]["ownerReferences"][0]["uid"], life.view.uid);
        let spec = pod.spec.unwrap();
        assert!(!spec.automount_service_account_token.unwrap());
        assert_eq!(
            (spec.restart_policy.as_deref(), spec.active_deadline_seconds),
            (Some("Never"), Some(150))
        );
        for volume in spec.volumes.unwrap() {
            assert!(volume.persistent_volume_claim.is_none(), "{volume:?}");
            let secret = volume.secret.and_then(|secret| secret.secret_name);
            assert!(secret.is_none_or(|name| ["keys", "archive-keys"].contains(&name.as_str())));
        }
        let container = &value["spec"]["containers"][0];
        let command: Vec<&str> = container["command"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(Value::as_str)
            .collect();
        assert_eq!(command[1..4], ["backup", "test-restore", "--source"]);
        assert!(command.contains(&SOURCE) && command.contains(&"http://s3:1"));
        let keys = ["--encryption-key-file", "/etc/geode/archive-keys"];
        assert!(command.windows(2).any(|flag| flag == keys), "{command:?}");
        // Kubernetes makes one dollar of two, and does not look for a variable then.
        let checks = container["env"][0]["value"].as_str().unwrap().replace("$$", "$");
        let checks: Value = serde_json::from_str(&checks).unwrap();
        assert_eq!(checks[0]["statement"], "MATCH (n {a: $x}) RETURN '$(HOME)'");
        assert_eq!(checks[0]["expectRows"], 0);
    }
}

#[derive(Clone, Debug)]
enum Event {
    /// Time passes, and the operator does the first so many of what it has to do.
    Look(u16, usize),
    Passes,
    Fails,
    Dies,
    Lost,
    Change,
    Target(bool),
    Suspend(bool),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => (0u16..2000, prop_oneof![Just(usize::MAX), 0usize..4]).prop_map(|(time, count)| Event::Look(time, count)),
        2 => Just(Event::Passes),
        1 => Just(Event::Fails),
        1 => Just(Event::Dies),
        1 => Just(Event::Lost),
        1 => Just(Event::Change),
        1 => any::<bool>().prop_map(Event::Target),
        1 => any::<bool>().prop_map(Event::Suspend),
    ]
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn whoever_looks_goes_on_or_cleans_up_and_every_run_is_counted_once(
        events in prop::collection::vec(event(), 1..60),
        scheduled in any::<bool>(),
        keep in any::<bool>(),
    ) {
        let mut life = Life::new(json!({"timeout": "10m", "keepFailed": keep}));
        if scheduled {
            life.view.spec.schedule = Some("*/20 * * * *".into());
        }
        let mut begun = 0;
        for event in events {
            match event {
                Event::Look(seconds, count) => {
                    life.later(i64::from(seconds));
                    let had = life.view.status.run.clone();
                    life.do_some(count);
                    let has = life.view.status.run.clone();
                    prop_assert!(had.is_none() || has.is_none() || had == has, "a run was replaced");
                    begun += i64::from(had.is_none() && has.is_some());
                    if count == usize::MAX {
                        // Looking again changes nothing but what time brings.
                        let again = life.step();
                        prop_assert_eq!(&again.status.result, &life.view.status.result);
                        // A new run, whose time has come, takes the place of a pod that was kept.
                        let begins = again.deeds.iter().any(|deed| matches!(deed, RestoreTestDeed::Create(_)));
                        prop_assert!(begins || again.deeds.is_empty(), "{:?}", again.deeds);
                        // One that runs, and one that is kept.
                        prop_assert!(life.pods.len() <= 1, "{:?}", life.pods);
                    }
                }
                Event::Passes => life.end(text(&report())),
                Event::Fails => life.end(text(&RestoreTestReport { step: Step::Fetch, failure: Some("no".into()), ..report() })),
                Event::Dies => life.end("killed"),
                Event::Lost => life.pods.clear(),
                Event::Change => life.view.generation += 1,
                Event::Target(yes) => life.target = if yes { there(100) } else { TestTarget::Missing },
                Event::Suspend(yes) => life.view.spec.suspend = yes,
            }
        }
        // Somebody suspends it, and after its time nothing runs and nothing is left but what was to be kept.
        life.view.spec.suspend = true;
        for _ in 0..3 {
            life.later(601);
            life.look();
        }
        let status = &life.view.status;
        prop_assert!(status.run.is_none());
        prop_assert_eq!(status.passed_runs + status.failed_runs, begun);
        let left: Vec<&String> = life.pods.iter().map(|pod| &pod.name).collect();
        let kept: Vec<&String> = status.kept_pod.iter().collect();
        prop_assert_eq!(left, kept);
        prop_assert!(keep || life.pods.is_empty());
    }
}
