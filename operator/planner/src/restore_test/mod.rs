//! Tests of restores: what to do about one at this moment. A run is recorded before its pod is made, its result before the pod goes, and a pod that
//! belongs to no recorded run goes as well: whoever looks again, from whichever moment of a crash, goes on or cleans up. Nothing of the cluster
//! is touched: a run is one pod that reads the archive.

mod pod;
mod result;

pub use pod::test_pod;
pub use result::RecordedHash;

use crate::archive::Archive;
use crate::schedule::{News, Timetable};
use crate::status::{condition, whole_second};
use crate::want::Invalid;
use geode_api::{
    ConditionType, GeodeRestoreTestSpec, GeodeRestoreTestStatus, Reason, RestoreTestPhase, RestoreTestRun,
};
use geode_types::LogIndex;
use k8s_openapi::api::core::v1::ResourceRequirements;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use k8s_openapi::jiff::{SignedDuration, Timestamp};

/// While a run is under way it is looked at again after this time, also when no watch reports anything.
const LOOK_AGAIN: SignedDuration = SignedDuration::from_secs(30);

/// A `GeodeRestoreTest`.
#[derive(Clone, Debug)]
pub struct RestoreTestView {
    /// Name.
    pub name: String,
    /// Uid.
    pub uid: String,
    /// Generation.
    pub generation: i64,
    /// When it was created.
    pub created_at: Timestamp,
    /// What it asks for.
    pub spec: GeodeRestoreTestSpec,
    /// How it stood.
    pub status: GeodeRestoreTestStatus,
}

/// What a test names as its cluster.
#[derive(Clone, Debug)]
pub enum TestTarget {
    /// There is none of this name, or it is being deleted.
    Missing,
    /// It has nothing that could be restored.
    Refused(Reason, String),
    /// Its archive can be restored.
    There(Box<TestedCluster>),
}

/// A cluster whose archive can be restored.
#[derive(Clone, Debug)]
pub struct TestedCluster {
    /// Name.
    pub name: String,
    /// Namespace.
    pub namespace: String,
    /// The history of its database in the archive.
    pub source: String,
    /// How that is reached.
    pub archive: Archive,
    /// Image of its servers.
    pub image: String,
    /// Resources of its servers.
    pub resources: Option<ResourceRequirements>,
    /// Last entry that any of its members was seen to have applied.
    pub applied: Option<LogIndex>,
}

/// A pod of a test.
#[derive(Clone, Debug)]
pub struct TestPod {
    /// Name.
    pub name: String,
    /// It is being deleted.
    pub deleting: bool,
    /// How it ended; `None` while it has not.
    pub end: Option<PodEnd>,
    /// Why it does not run, while it does not.
    pub waiting: Option<String>,
}

/// How the pod of a run ended.
#[derive(Clone, Debug, Default)]
pub struct PodEnd {
    /// What its program left to be read: its report.
    pub message: String,
    /// What Kubernetes says about the end.
    pub reason: String,
}

/// What is done after the status is written, in this order.
#[derive(Clone, Debug, PartialEq)]
pub enum RestoreTestDeed {
    /// Make the pod of the recorded run; it is done as well when there is one of this test.
    Create(RestoreTestRun),
    /// Delete a pod.
    Delete(String),
}

/// What to do about a test.
#[derive(Clone, Debug, PartialEq)]
pub struct RestoreTestStep {
    /// First: this is its status.
    pub status: GeodeRestoreTestStatus,
    /// Then: do this.
    pub deeds: Vec<RestoreTestDeed>,
    /// Then: tell about it.
    pub news: Vec<News>,
    /// When it has to be looked at again, if nothing changes before.
    pub wake: Option<Timestamp>,
}

/// What one look found out.
struct Look<'a> {
    view: &'a RestoreTestView,
    target: &'a TestTarget,
    pods: &'a [TestPod],
    hashes: &'a [RecordedHash],
    now: Timestamp,
    status: GeodeRestoreTestStatus,
    deeds: Vec<RestoreTestDeed>,
    news: Vec<News>,
}

/// What to do about a test now. `hashes` are those that backups of the cluster recorded.
pub fn keep_restore_test(
    view: &RestoreTestView,
    target: &TestTarget,
    pods: &[TestPod],
    hashes: &[RecordedHash],
    now: Timestamp,
) -> RestoreTestStep {
    let mut look = Look {
        view,
        target,
        pods,
        hashes,
        now,
        status: view.status.clone(),
        deeds: Vec::new(),
        news: Vec::new(),
    };
    if let Some(run) = view.status.run.clone() {
        look.follow(&run);
    }
    let table = match &view.spec.schedule {
        Some(text) => Timetable::parse(text, &view.spec.time_zone, now).map(Some),
        None => Ok(None),
    };
    match table {
        Ok(table) => look.go_on(table.as_ref()),
        Err(invalid) => look.refuse(&invalid),
    }
}

impl Look<'_> {
    /// A run is under way: it goes on, ends, or is over its time.
    fn follow(&mut self, run: &RestoreTestRun) {
        let pod = self.pods.iter().find(|pod| pod.name == run.pod);
        let applied = match self.target {
            TestTarget::There(cluster) => cluster.applied,
            TestTarget::Missing | TestTarget::Refused(..) => None,
        };
        let end = pod.and_then(|pod| pod.end.as_ref());
        let result = match end {
            Some(end) => result::of_end(run, end, applied, self.hashes, self.now),
            None if self.now >= self.deadline(run) => {
                let state = pod.map_or_else(|| "it has no pod".to_owned(), state);
                let why = format!("it was not done within {}: {state}", self.view.spec.timeout);
                result::failed(run, why, self.now)
            }
            None if pod.is_none() && !matches!(self.target, TestTarget::There(_)) => {
                let why = "its pod is gone, and the cluster or its archive too".to_owned();
                result::failed(run, why, self.now)
            }
            None => {
                self.status.message = Some(pod.map_or_else(
                    || format!("the pod {} is made", run.pod),
                    |pod| format!("restoring {} in the pod {}: {}", run.source, run.pod, state(pod)),
                ));
                if pod.is_none() {
                    // Never made, or gone with its node: begun again, within the same time.
                    self.deeds.push(RestoreTestDeed::Create(run.clone()));
                }
                return;
            }
        };
        self.end(run, result);
    }

    fn end(&mut self, run: &RestoreTestRun, result: geode_api::RestoreTestResult) {
        let (passed, told) = (result.passed, result::told(&result));
        self.status.run = None;
        if passed {
            self.status.passed_runs = self.status.passed_runs.saturating_add(1);
            self.status.last_success_time = Some(result.completed_at.clone());
        } else {
            self.status.failed_runs = self.status.failed_runs.saturating_add(1);
            self.status.kept_pod = Some(run.pod.clone());
        }
        self.status.message = Some(told.clone());
        self.status.result = Some(result);
        let reason = if passed {
            Reason::RestoreTestPassed
        } else {
            Reason::RestoreTestFailed
        };
        self.tell(!passed, reason, told);
    }

    fn tell(&mut self, warning: bool, reason: Reason, note: String) {
        self.news.push(News {
            warning,
            reason,
            note,
        });
    }

    /// Begins a run that is due, unless one is under way.
    fn go_on(mut self, table: Option<&Timetable>) -> RestoreTestStep {
        if self.view.spec.suspend {
            self.status.next_schedule_time = None;
        }
        let running = self.status.run.as_ref();
        let wake = running.map(|run| self.deadline(run).min(self.now + LOOK_AGAIN));
        if wake.is_some() || self.view.spec.suspend {
            return self.finish(None, wake);
        }
        let due = match table {
            Some(table) => self.next(table),
            None => self.is_untested().then_some(self.now),
        };
        self.status.next_schedule_time = table.and(due).map(whole_second);
        let Some(due) = due.filter(|due| *due <= self.now) else {
            return self.finish(None, due);
        };
        // What ended in this look is told before something new begins.
        if self.view.status.run.is_some() {
            return self.finish(None, Some(due));
        }
        match self.target {
            TestTarget::There(cluster) => {
                let run = self.begin(cluster);
                self.status.next_schedule_time =
                    table.and_then(|table| table.next(self.now)).map(whole_second);
                let wake = self.deadline(&run).min(self.now + LOOK_AGAIN);
                self.finish(None, Some(wake))
            }
            TestTarget::Missing => {
                let why = format!(
                    "there is no GeodeCluster {} in this namespace",
                    self.view.spec.cluster
                );
                self.finish(Some((Reason::ClusterNotFound, why)), None)
            }
            TestTarget::Refused(reason, why) => self.finish(Some((*reason, why.clone())), None),
        }
    }

    fn begin(&mut self, cluster: &TestedCluster) -> RestoreTestRun {
        let run = RestoreTestRun {
            pod: format!("{}-t{:x}", self.view.name, self.now.as_second()),
            started_at: whole_second(self.now),
            generation: self.view.generation,
            source: cluster.source.clone(),
            cluster_lsn: cluster.applied.map(result::lsn),
        };
        self.status.run = Some(run.clone());
        self.status.kept_pod = None;
        self.status.message = Some(format!("restoring {} in the pod {}", run.source, run.pod));
        self.tell(
            false,
            Reason::RestoreTestRunning,
            format!("restores {} in the pod {}", run.source, run.pod),
        );
        self.deeds.push(RestoreTestDeed::Create(run.clone()));
        run
    }

    /// Without a schedule every spec is tested once.
    fn is_untested(&self) -> bool {
        let tested = self.status.result.as_ref().map(|result| result.generation);
        tested != Some(self.view.generation)
    }

    /// The next run that has not begun.
    fn next(&self, table: &Timetable) -> Option<Timestamp> {
        let status = &self.view.status;
        let changed = status.observed_generation != Some(self.view.generation);
        match status.next_schedule_time.as_ref().map(|next| next.0) {
            Some(next) if !changed || next <= self.now => Some(next),
            Some(_) => table.next(self.now),
            None if status.observed_generation.is_some() => table.next(self.now),
            None => table.next(self.view.created_at),
        }
    }

    fn deadline(&self, run: &RestoreTestRun) -> Timestamp {
        run.started_at.0 + SignedDuration::from_secs(seconds(&self.view.spec.timeout))
    }

    fn refuse(mut self, invalid: &Invalid) -> RestoreTestStep {
        let said = invalid.to_string();
        let stalled = ConditionType::Stalled.to_string();
        let known = |had: &Condition| had.type_ == stalled && had.message.starts_with(&said);
        if !self.view.status.conditions.iter().any(known) {
            self.tell(true, Reason::InvalidSpec, said.clone());
        }
        self.status.next_schedule_time = None;
        let wake = self.status.run.as_ref().map(|_| self.now + LOOK_AGAIN);
        self.finish(Some((Reason::InvalidSpec, said)), wake)
    }

    /// `obstacle` is why a run that is due does not begin.
    fn finish(mut self, obstacle: Option<(Reason, String)>, wake: Option<Timestamp>) -> RestoreTestStep {
        self.keep_or_delete_pods();
        let running = self.status.run.is_some();
        if let Some((_, why)) = &obstacle
            && !running
        {
            self.status.message = Some(why.clone());
        }
        let passed = self.status.result.as_ref().map(|result| result.passed);
        self.status.phase = match passed {
            _ if running => RestoreTestPhase::Running,
            Some(true) => RestoreTestPhase::Passed,
            Some(false) => RestoreTestPhase::Failed,
            None => RestoreTestPhase::Pending,
        };
        self.status.observed_generation = Some(self.view.generation);
        self.status.conditions = self.conditions(obstacle.as_ref(), passed);
        RestoreTestStep {
            status: self.status,
            deeds: self.deeds,
            news: self.news,
            wake,
        }
    }

    /// Pods that belong to no run go; that of the last one stays when it failed and the spec asks for it.
    fn keep_or_delete_pods(&mut self) {
        let there = |name: &String| self.pods.iter().any(|pod| pod.name == *name && !pod.deleting);
        let keeps = self.view.spec.keep_failed;
        self.status.kept_pod = self.status.kept_pod.take().filter(|name| keeps && there(name));
        let (run, kept) = (&self.status.run, &self.status.kept_pod);
        let wanted =
            |name: &str| run.as_ref().is_some_and(|run| run.pod == name) || kept.as_deref() == Some(name);
        let gone = self
            .pods
            .iter()
            .filter(|pod| !pod.deleting && !wanted(&pod.name))
            .map(|pod| RestoreTestDeed::Delete(pod.name.clone()));
        self.deeds.extend(gone);
    }

    fn conditions(&self, obstacle: Option<&(Reason, String)>, passed: Option<bool>) -> Vec<Condition> {
        let said = self.status.message.clone().unwrap_or_default();
        let running = self.status.run.is_some();
        let result = self.status.result.as_ref().map(result::told);
        let waits = if self.view.spec.suspend {
            (
                Reason::ScheduleSuspended,
                "spec.suspend is true: no run begins".to_owned(),
            )
        } else {
            (Reason::RestoreTestWaiting, said.clone())
        };
        let blocked = obstacle.cloned();
        let ready = match (passed, result) {
            (Some(true), Some(told)) => (Reason::RestoreTestPassed, told),
            (Some(false), Some(told)) => (Reason::RestoreTestFailed, told),
            _ if running => (Reason::RestoreTestRunning, said.clone()),
            _ => blocked.clone().unwrap_or(waits.clone()),
        };
        let active = if running {
            (Reason::RestoreTestRunning, said)
        } else {
            blocked.clone().unwrap_or(waits)
        };
        let invalid = obstacle.is_some_and(|(reason, _)| *reason == Reason::InvalidSpec);
        let stalled = if invalid {
            blocked.unwrap_or(active.clone())
        } else {
            active.clone()
        };
        [
            (ConditionType::Ready, passed.or(Some(false)), ready),
            (ConditionType::Reconciling, Some(running), active),
            (ConditionType::Stalled, Some(invalid), stalled),
        ]
        .map(|(kind, holds, (reason, message))| {
            condition(
                &self.view.status.conditions,
                kind,
                holds,
                reason,
                &message,
                self.view.generation,
                self.now,
            )
        })
        .to_vec()
    }
}

/// The status of a test whose step could not be done: what is known stays, so that the step is tried again.
pub fn failed_restore_test_status(
    view: &RestoreTestView,
    error: &str,
    now: Timestamp,
) -> GeodeRestoreTestStatus {
    let mut status = view.status.clone();
    let kind = ConditionType::Reconciling.to_string();
    status.conditions.retain(|had| had.type_ != kind);
    status.conditions.push(condition(
        &view.status.conditions,
        ConditionType::Reconciling,
        Some(true),
        Reason::ActionFailed,
        error,
        view.generation,
        now,
    ));
    status
}

fn state(pod: &TestPod) -> String {
    match &pod.waiting {
        _ if pod.deleting => "it is being deleted".to_owned(),
        Some(why) => why.clone(),
        None => "it runs".to_owned(),
    }
}

/// `90s`, `30m`, `2h`; the schema lets nothing else through.
fn seconds(text: &str) -> i64 {
    let (number, unit) = text.split_at(text.len().saturating_sub(1));
    let factor = match unit {
        "h" => 3600,
        "m" => 60,
        _ => 1,
    };
    number.parse::<i64>().unwrap_or(3600).saturating_mul(factor)
}
