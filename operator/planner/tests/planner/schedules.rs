//! Schedules of backups: tables of single looks, and random lives of a schedule in which no run is taken twice and none is forgotten.

use geode_api::{BackupPhase, GeodeBackupScheduleSpec, GeodeBackupScheduleStatus, Reason, RetentionSpec};
use geode_planner::{
    BackupPlace, BackupTarget, ScheduleStep, ScheduleView, TakenBackup, Timetable, expired_backups,
    joint_retention, keep_schedule,
};
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

/// A schedule, its backups, and the time.
#[derive(Clone)]
pub(crate) struct Life {
    pub(crate) view: ScheduleView,
    pub(crate) backups: Vec<TakenBackup>,
    pub(crate) target: BackupTarget,
    pub(crate) now: Timestamp,
    /// Events so far: reason and note.
    pub(crate) news: Vec<(Reason, String)>,
}

pub(crate) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn spec(mut spec: Value) -> GeodeBackupScheduleSpec {
    spec["cluster"] = "g".into();
    serde_json::from_value(spec).unwrap()
}

impl Life {
    /// Created at this time, and looked at for the first time.
    pub(crate) fn new(created: &str, asked: Value) -> Self {
        let mut life = Self::unseen(created, asked);
        life.look();
        life
    }

    fn unseen(created: &str, asked: Value) -> Self {
        Self {
            view: ScheduleView {
                name: "s".into(),
                uid: "6f2c1d9e-0000-4000-8000-000000000002".into(),
                generation: 1,
                created_at: at(created),
                spec: spec(asked),
                status: GeodeBackupScheduleStatus::default(),
            },
            backups: Vec::new(),
            target: BackupTarget::There,
            now: at(created),
            news: Vec::new(),
        }
    }

    pub(crate) fn step(&self) -> ScheduleStep {
        keep_schedule(&self.view, &self.backups, self.target, self.now)
    }

    /// Creates what the step says; an operator that is killed then has written no status.
    pub(crate) fn create(&mut self, step: &ScheduleStep) {
        let Some(name) = &step.create else { return };
        assert!(
            self.backups.iter().all(|backup| backup.name != *name),
            "{name} twice"
        );
        self.backups.push(TakenBackup {
            name: name.clone(),
            schedule: Some("s".into()),
            phase: BackupPhase::Pending,
            message: None,
            ended_at: None,
            place: None,
            oldest_kept: None,
            oldest_increment_kept: None,
        });
    }

    /// Looks and does what there is to do; looking again changes nothing.
    pub(crate) fn look(&mut self) {
        let step = self.step();
        self.create(&step);
        self.view.status = step.status;
        self.news
            .extend(step.news.into_iter().map(|news| (news.reason, news.note)));
        let again = self.step();
        assert_eq!((again.create, &again.status), (None, &self.view.status));
        assert_eq!((again.news, again.wake), (Vec::new(), step.wake));
    }

    pub(crate) fn look_at(&mut self, now: &str) {
        self.now = at(now);
        self.look();
    }

    /// The backup that runs ends.
    pub(crate) fn end(&mut self, phase: BackupPhase) {
        for backup in self.backups.iter_mut().filter(|backup| !backup.phase.is_final()) {
            backup.phase = phase;
            backup.message = (phase == BackupPhase::Failed).then(|| "the bucket is gone".to_owned());
            backup.ended_at = Some(self.now);
        }
    }

    pub(crate) fn change(&mut self, asked: Value) {
        self.view.spec = spec(asked);
        self.view.generation += 1;
    }

    fn names(&self) -> Vec<&str> {
        self.backups.iter().map(|backup| backup.name.as_str()).collect()
    }

    fn condition(&self, kind: &str) -> (String, String) {
        let mut conditions = self.view.status.conditions.iter();
        let found = conditions.find(|condition| condition.type_ == kind).unwrap();
        (
            format!("{}:{}", found.status, found.reason),
            found.message.clone(),
        )
    }

    fn next(&self) -> Option<Timestamp> {
        self.view.status.next_schedule_time.as_ref().map(|time| time.0)
    }
}

fn runs(text: &str, zone: &str, from: &str, count: usize) -> Vec<String> {
    let table = Timetable::parse(text, zone, at(from)).unwrap();
    let first = table.next(at(from));
    let due = std::iter::successors(first, |before| table.next(*before));
    due.take(count).map(|due| due.to_string()).collect()
}

#[test]
fn a_cron_text_means_what_it_does_elsewhere() {
    for (text, from, due) in [
        (
            "*/20 * * * *",
            "2026-01-01T00:00:30Z",
            ["2026-01-01T00:20:00Z", "2026-01-01T00:40:00Z"],
        ),
        (
            "@hourly",
            "2026-01-01T00:00:00Z",
            ["2026-01-01T01:00:00Z", "2026-01-01T02:00:00Z"],
        ),
        (
            "@daily",
            "2026-12-31T00:00:00Z",
            ["2027-01-01T00:00:00Z", "2027-01-02T00:00:00Z"],
        ),
        (
            "@weekly",
            "2026-01-01T00:00:00Z",
            ["2026-01-04T00:00:00Z", "2026-01-11T00:00:00Z"],
        ),
        (
            "30 2 * * mon-FRI",
            "2026-01-02T02:30:00Z",
            ["2026-01-05T02:30:00Z", "2026-01-06T02:30:00Z"],
        ),
        (
            "0 0 13 * 5",
            "2026-01-01T00:00:00Z",
            ["2026-01-02T00:00:00Z", "2026-01-09T00:00:00Z"],
        ),
        (
            "0 0 13 * */5",
            "2026-01-01T00:00:00Z",
            ["2026-02-13T00:00:00Z", "2026-03-13T00:00:00Z"],
        ),
        (
            "0 0 29 2 *",
            "2096-03-01T00:00:00Z",
            ["2104-02-29T00:00:00Z", "2108-02-29T00:00:00Z"],
        ),
        (
            "59 23 31 DEC 7",
            "2026-12-26T00:00:00Z",
            ["2026-12-27T23:59:00Z", "2026-12-31T23:59:00Z"],
        ),
        (
            "5,10-14/2 1 * * *",
            "2026-01-01T01:05:00Z",
            ["2026-01-01T01:10:00Z", "2026-01-01T01:12:00Z"],
        ),
    ] {
        assert_eq!(runs(text, "UTC", from, 2), due, "{text}");
    }
}

#[test]
fn a_local_time_that_does_not_exist_is_run_at_the_next_one_and_one_that_exists_twice_once() {
    let berlin = "Europe/Berlin";
    let york = "America/New_York";
    for (text, zone, from, due) in [
        // Set forward from 02:00 to 03:00.
        (
            "30 2 * * *",
            berlin,
            "2026-03-28T00:00:00Z",
            [
                "2026-03-28T01:30:00Z",
                "2026-03-29T01:00:00Z",
                "2026-03-30T00:30:00Z",
            ],
        ),
        (
            "*/30 * * * *",
            berlin,
            "2026-03-29T00:20:00Z",
            [
                "2026-03-29T00:30:00Z",
                "2026-03-29T01:00:00Z",
                "2026-03-29T01:30:00Z",
            ],
        ),
        (
            "15,45 2 * * *",
            york,
            "2026-03-08T00:00:00Z",
            [
                "2026-03-08T07:00:00Z",
                "2026-03-09T06:15:00Z",
                "2026-03-09T06:45:00Z",
            ],
        ),
        // Set back from 03:00 to 02:00, and in New York from 02:00 to 01:00.
        (
            "30 2 * * *",
            berlin,
            "2026-10-24T22:00:00Z",
            [
                "2026-10-25T00:30:00Z",
                "2026-10-26T01:30:00Z",
                "2026-10-27T01:30:00Z",
            ],
        ),
        (
            "30 1 * * *",
            york,
            "2026-11-01T04:00:00Z",
            [
                "2026-11-01T05:30:00Z",
                "2026-11-02T06:30:00Z",
                "2026-11-03T06:30:00Z",
            ],
        ),
        (
            "0 * * * *",
            york,
            "2026-11-01T04:30:00Z",
            [
                "2026-11-01T05:00:00Z",
                "2026-11-01T07:00:00Z",
                "2026-11-01T08:00:00Z",
            ],
        ),
        // In the middle of the hour that comes twice.
        (
            "30 2 * * *",
            berlin,
            "2026-10-25T01:15:00Z",
            [
                "2026-10-26T01:30:00Z",
                "2026-10-27T01:30:00Z",
                "2026-10-28T01:30:00Z",
            ],
        ),
        // A year that the database does not list by itself.
        (
            "30 2 * * *",
            berlin,
            "2060-03-26T12:00:00Z",
            [
                "2060-03-27T01:30:00Z",
                "2060-03-28T01:00:00Z",
                "2060-03-29T00:30:00Z",
            ],
        ),
    ] {
        assert_eq!(runs(text, zone, from, 3), due, "{text} {zone} {from}");
    }
}

#[test]
fn what_cannot_be_is_refused_with_the_way_out() {
    for (text, zone, said) in [
        (
            "0 2 * *",
            "UTC",
            "it has 4 fields instead of 5; write minute, hour",
        ),
        ("0 0 2 * * *", "UTC", "it has 6 fields instead of 5"),
        ("@reboot", "UTC", "@hourly, @daily, @weekly, @monthly, @yearly"),
        ("60 2 * * *", "UTC", "the minute is 0 to 59, not `60`"),
        (
            "0 2 * * MOON",
            "UTC",
            "the day of the week is 0 to 7 or SUN to SAT, not `MOON`",
        ),
        (
            "0 22-6 * * *",
            "UTC",
            "the hour `22-6` runs backwards; write 22-23,0-6",
        ),
        ("*/0 * * * *", "UTC", "the step of the minute is 1 to 59, not `0`"),
        ("0 2 L * *", "UTC", "the day of the month is 1 to 31, not `L`"),
        ("0 2 1, * *", "UTC", "the day of the month is 1 to 31, not ``"),
        ("0 0 30 2 *", "UTC", "it never fires, because no such day exists"),
        ("0 0 31 4,6,9,11 *", "UTC", "it never fires"),
        ("0 2 * * *", "Europe/Berlln", "did you mean Europe/Berlin?"),
        ("0 2 * * *", "Nowhere", "no zone of the IANA database"),
    ] {
        let mut life = Life::unseen(
            "2026-01-01T00:00:00Z",
            json!({"schedule": text, "timeZone": zone, "immediate": true}),
        );
        life.look();
        let (stalled, message) = life.condition("Stalled");
        assert_eq!(stalled, "True:InvalidSpec", "{text} {zone}");
        assert!(message.contains(said), "{text} {zone}: {message}");
        assert!(life.backups.is_empty() && life.next().is_none());
        assert_eq!(life.news.len(), 1);
    }
}

#[test]
fn a_run_is_taken_when_it_is_due_and_counted_when_it_cannot_be() {
    let mut life = Life::new("2026-01-01T12:00:00Z", json!({"schedule": "0 2 * * *"}));
    assert_eq!(life.next(), Some(at("2026-01-02T02:00:00Z")));
    assert_eq!(life.step().wake, life.next());
    life.look_at("2026-01-02T01:59:59Z");
    assert!(life.backups.is_empty());
    life.look_at("2026-01-02T02:00:00Z");
    assert_eq!(life.names(), ["s-20260102020000"]);
    assert_eq!(life.condition("Ready").0, "True:Scheduled");

    life.look_at("2026-01-03T02:00:00Z");
    assert_eq!((life.backups.len(), life.view.status.missed_runs), (1, 1));
    assert_eq!(life.condition("Ready").0, "False:BackupMissed");
    let said = "the run of 2026-01-03T02:00:00Z made no backup: the GeodeBackup s-20260102020000 before it had not ended";
    assert_eq!(
        life.news.last().unwrap(),
        &(Reason::BackupMissed, said.to_owned())
    );
    assert_eq!(life.view.status.message.as_deref(), Some(said));

    life.end(BackupPhase::Completed);
    life.look_at("2026-01-04T02:00:00Z");
    assert_eq!(life.names(), ["s-20260102020000", "s-20260104020000"]);
    assert_eq!(life.condition("Ready").0, "True:Scheduled");
    assert_eq!(
        life.view.status.last_successful_time.as_ref().map(|time| time.0),
        Some(at("2026-01-03T02:00:00Z"))
    );

    life.end(BackupPhase::Failed);
    life.look();
    assert_eq!(life.condition("Ready").0, "False:BackupFailed");
    assert!(
        life.condition("Ready")
            .1
            .contains("s-20260104020000 failed: the bucket is gone")
    );

    for (day, target, said) in [
        (5, BackupTarget::Missing, "no GeodeCluster g"),
        (6, BackupTarget::WithoutArchive, "no spec.archive"),
    ] {
        life.target = target;
        life.look_at(&format!("2026-01-{day:02}T02:00:00Z"));
        assert!(life.news.last().unwrap().1.contains(said), "{:?}", life.news);
    }
    assert_eq!((life.backups.len(), life.view.status.missed_runs), (2, 3));
}

#[test]
fn of_the_runs_that_nobody_was_there_for_the_last_is_made_up_within_its_deadline() {
    let asked = json!({"schedule": "0 * * * *"});
    let mut life = Life::new("2026-01-01T00:30:00Z", asked);
    life.look_at("2026-01-01T05:10:00Z");
    assert_eq!(life.names(), ["s-20260101050000"]);
    assert_eq!(life.view.status.missed_runs, 4);
    assert_eq!(life.condition("Ready").0, "True:Scheduled");

    let asked = json!({"schedule": "0 * * * *", "startingDeadlineSeconds": 300});
    let mut life = Life::new("2026-01-01T00:30:00Z", asked);
    life.look_at("2026-01-01T05:10:00Z");
    assert_eq!((life.backups.len(), life.view.status.missed_runs), (0, 5));
    assert!(life.view.status.message.as_ref().unwrap().contains("600 s late"));
    life.look_at("2026-01-01T06:05:00Z");
    assert_eq!(life.names(), ["s-20260101060000"]);
}

#[test]
fn a_backup_at_creation_waits_for_its_cluster() {
    let asked = json!({"schedule": "0 2 * * *", "immediate": true, "startingDeadlineSeconds": 10});
    let mut life = Life::unseen("2026-01-01T12:00:00Z", asked);
    life.target = BackupTarget::Missing;
    life.look_at("2026-01-01T12:00:01Z");
    assert_eq!(life.condition("Reconciling").0, "True:ClusterNotFound");
    assert_eq!(life.step().wake, Some(at("2026-01-02T02:00:00Z")));
    life.target = BackupTarget::There;
    life.look_at("2026-01-01T13:00:00Z");
    assert_eq!(life.names(), ["s-20260101120000"]);
    assert_eq!(
        (life.view.status.missed_runs, life.next()),
        (0, Some(at("2026-01-02T02:00:00Z")))
    );
}

#[test]
fn a_suspended_schedule_does_nothing_and_counts_nothing() {
    let (asked, suspended) = (
        json!({"schedule": "0 * * * *"}),
        json!({"schedule": "0 * * * *", "suspend": true}),
    );
    let mut life = Life::new("2026-01-01T00:30:00Z", asked.clone());
    life.change(suspended);
    life.look_at("2026-01-01T09:30:00Z");
    assert_eq!(life.condition("Ready").0, "True:ScheduleSuspended");
    assert_eq!((life.next(), life.step().wake), (None, None));
    life.change(asked);
    life.look_at("2026-01-02T09:30:00Z");
    assert_eq!((life.backups.len(), life.view.status.missed_runs), (0, 0));
    assert_eq!(life.next(), Some(at("2026-01-02T10:00:00Z")));
}

#[test]
fn a_changed_manifest_owes_what_was_due_before_and_nothing_else() {
    let mut life = Life::new("2026-01-01T00:30:00Z", json!({"schedule": "0 2 * * *"}));
    life.change(json!({"schedule": "* * * * *"}));
    life.look_at("2026-01-01T01:00:30Z");
    assert_eq!(
        (life.backups.len(), life.next()),
        (0, Some(at("2026-01-01T01:01:00Z")))
    );
    life.change(json!({"schedule": "0 2 * * *"}));
    life.look_at("2026-01-01T01:00:40Z");
    life.change(json!({"schedule": "* * * * *"}));
    life.look_at("2026-01-03T00:00:30Z");
    assert_eq!(life.names(), ["s-20260101020000"]);
    assert_eq!(
        (life.view.status.missed_runs, life.next()),
        (0, Some(at("2026-01-03T00:01:00Z")))
    );
}

#[test]
fn a_strangers_backup_is_left_alone() {
    let mut life = Life::new("2026-01-01T00:30:00Z", json!({"schedule": "0 2 * * *"}));
    life.backups.push(TakenBackup {
        name: "s-20260101020000".into(),
        schedule: None,
        phase: BackupPhase::Completed,
        message: None,
        ended_at: Some(life.now),
        place: None,
        oldest_kept: None,
        oldest_increment_kept: None,
    });
    life.look_at("2026-01-01T02:00:00Z");
    assert_eq!((life.backups.len(), life.view.status.missed_runs), (1, 1));
    assert!(life.view.status.last_successful_time.is_none());
}

#[test]
fn jitter_is_the_same_whenever_it_is_asked_and_differs_between_schedules() {
    let asked = json!({"schedule": "0 2 * * *", "jitterSeconds": 3600});
    let life = Life::new("2026-01-01T12:00:00Z", asked.clone());
    let wake = life.step().wake.unwrap();
    let due = at("2026-01-02T02:00:00Z");
    assert_eq!(life.next(), Some(due));
    assert!(
        wake > due && wake <= due + SignedDuration::from_hours(1),
        "{wake}"
    );
    let mut early = life.clone();
    early.now = wake - SignedDuration::from_secs(1);
    early.look();
    assert!(early.backups.is_empty());
    let mut in_time = life.clone();
    in_time.now = wake;
    in_time.look();
    assert_eq!(in_time.names(), ["s-20260102020000"]);
    let mut other = Life::unseen("2026-01-01T12:00:00Z", asked);
    other.view.uid = "another".into();
    other.look();
    assert_ne!(other.step().wake, Some(wake));
}

fn retention(days: u32, min_count: u32, wal_days: Option<u32>) -> RetentionSpec {
    RetentionSpec {
        days,
        min_count,
        wal_days,
        incremental_days: None,
        incremental_min_count: None,
    }
}

#[test]
fn what_one_schedule_of_a_cluster_keeps_no_other_one_deletes() {
    let (nightly, hourly) = (retention(90, 2, Some(14)), retention(2, 48, None));
    let both = joint_retention([Some(&nightly), Some(&hourly)]);
    assert_eq!(both, Some(retention(90, 48, Some(14))));
    assert_eq!(joint_retention([Some(&hourly)]), Some(hourly.clone()));
    let mut increments = hourly.clone();
    (increments.incremental_days, increments.incremental_min_count) = (Some(7), Some(3));
    let all = joint_retention([Some(&nightly), Some(&increments)]).unwrap();
    assert_eq!(
        (all.incremental_days, all.incremental_min_count),
        (Some(90), Some(3)),
        "as days when absent"
    );
    assert_eq!(joint_retention([Some(&hourly), None]), None);
    assert_eq!(joint_retention([]), None);
}

#[test]
fn a_backup_object_goes_when_its_backup_is_gone_and_no_sooner() {
    let now = at("2026-03-01T00:00:00Z");
    let place = |history: &str, index: u64| {
        let place = BackupPlace::read(
            &format!("s3://b/p/{history}/base/{index:020}-0000002a/"),
            &format!("0/{index}"),
        );
        assert!(place.is_some());
        place
    };
    let backup = |name: &str, phase, place, ended: &str| TakenBackup {
        name: name.into(),
        schedule: Some("s".into()),
        phase,
        message: None,
        ended_at: Some(at(ended)),
        place,
        oldest_kept: None,
        oldest_increment_kept: None,
    };
    let mut all = vec![
        backup(
            "gone",
            BackupPhase::Completed,
            place("x", 9),
            "2026-01-01T00:00:00Z",
        ),
        backup(
            "oldest",
            BackupPhase::Completed,
            place("x", 10),
            "2026-01-02T00:00:00Z",
        ),
        backup(
            "other-life",
            BackupPhase::Completed,
            place("y", 5),
            "2026-01-03T00:00:00Z",
        ),
        backup(
            "failed-long-ago",
            BackupPhase::Failed,
            None,
            "2026-02-01T00:00:00Z",
        ),
        backup("failed-lately", BackupPhase::Failed, None, "2026-02-27T00:00:00Z"),
        backup("running", BackupPhase::Running, None, "2026-01-01T00:00:00Z"),
        backup(
            "by-hand",
            BackupPhase::Completed,
            place("x", 3),
            "2026-01-01T00:00:00Z",
        ),
        backup(
            "newest",
            BackupPhase::Completed,
            place("x", 30),
            "2026-03-01T00:00:00Z",
        ),
    ];
    all[6].schedule = None;
    let expired = |all: &[TakenBackup]| expired_backups("s", &retention(7, 1, None), all, now);
    assert_eq!(expired(&all), ["failed-long-ago"], "nothing was cleaned up yet");
    all[7].oldest_kept = place("x", 10);
    assert_eq!(expired(&all), ["gone", "failed-long-ago"]);
    let increment = |index: u64| {
        BackupPlace::read(
            &format!("s3://b/p/x/backups/{index:020}-0000002a.json"),
            &format!("0/{index}"),
        )
    };
    all[7].place = increment(12);
    assert_eq!(
        expired(&all),
        ["gone", "failed-long-ago"],
        "other kinds are told apart"
    );
    all[7].oldest_increment_kept = increment(13);
    assert_eq!(expired(&all), ["gone", "failed-long-ago", "newest"]);
}
