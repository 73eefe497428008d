//! What a user is told about a schedule: its status, with conditions, and events.

use super::{BackupTarget, ScheduleStep, ScheduleView, TakenBackup, backup_name};
use crate::status::{condition, whole_second};
use crate::want::Invalid;
use geode_api::{BackupPhase, ConditionType, GeodeBackupScheduleStatus, Reason};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff::Timestamp;

/// An event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct News {
    /// Whether it is a warning.
    pub warning: bool,
    /// Why.
    pub reason: Reason,
    /// What.
    pub note: String,
}

/// The facts that a status is made of.
pub(super) struct Report {
    last_schedule: Option<Timestamp>,
    pub(super) last_successful: Option<Timestamp>,
    pub(super) next: Option<Timestamp>,
    last_missed: Option<Timestamp>,
    missed_runs: i64,
    message: Option<String>,
    /// The backup at creation waits for the cluster.
    pub(super) waiting: bool,
    /// Runs that this look found to be missed.
    just_missed: i64,
    news: Vec<News>,
}

/// What a condition says: type, whether it holds, and why.
type Verdicts = [(ConditionType, bool); 3];

const fn verdicts(ready: bool, reconciling: bool, stalled: bool) -> Verdicts {
    [
        (ConditionType::Ready, ready),
        (ConditionType::Reconciling, reconciling),
        (ConditionType::Stalled, stalled),
    ]
}

impl Report {
    /// As it stood.
    pub(super) fn new(view: &ScheduleView) -> Self {
        let status = &view.status;
        let at = |time: &Option<_>| time.as_ref().map(|time: &Time| time.0);
        Self {
            last_schedule: at(&status.last_schedule_time),
            last_successful: at(&status.last_successful_time),
            next: at(&status.next_schedule_time),
            last_missed: at(&status.last_missed_time),
            missed_runs: status.missed_runs,
            message: status.message.clone(),
            waiting: false,
            just_missed: 0,
            news: Vec::new(),
        }
    }

    pub(super) fn took(&mut self, due: Timestamp) {
        self.last_schedule = self.last_schedule.max(Some(due));
        self.message = None;
    }

    pub(super) fn created(&mut self, name: &str) {
        self.news.push(News {
            warning: false,
            reason: Reason::Scheduled,
            note: format!("created GeodeBackup {name}"),
        });
    }

    pub(super) fn missed(&mut self, due: Timestamp, why: String) {
        self.last_missed = self.last_missed.max(Some(due));
        self.missed_runs = self.missed_runs.saturating_add(1);
        self.just_missed += 1;
        self.message = Some(format!("the run of {due} made no backup: {why}"));
    }

    /// The manifest asks for something that cannot be.
    pub(super) fn refused(mut self, view: &ScheduleView, invalid: &Invalid, now: Timestamp) -> ScheduleStep {
        let said = invalid.to_string();
        let known = |kind: &str| {
            view.status
                .conditions
                .iter()
                .any(|had| had.type_ == kind && had.message.starts_with(&said))
        };
        if !known(&ConditionType::Stalled.to_string()) {
            self.news.push(News {
                warning: true,
                reason: Reason::InvalidSpec,
                note: said.clone(),
            });
        }
        self.finish(
            view,
            verdicts(false, false, true),
            Reason::InvalidSpec,
            &said,
            None,
            now,
        )
    }

    /// The manifest asks for no backups.
    pub(super) fn suspended(self, view: &ScheduleView, now: Timestamp) -> ScheduleStep {
        let said = "spec.suspend is true: no backups are taken";
        self.finish(
            view,
            verdicts(true, false, false),
            Reason::ScheduleSuspended,
            said,
            None,
            now,
        )
    }

    /// All that was due has been dealt with.
    pub(super) fn settled(
        mut self,
        view: &ScheduleView,
        backups: &[TakenBackup],
        target: BackupTarget,
        create: Option<String>,
        wake: Option<Timestamp>,
        now: Timestamp,
    ) -> ScheduleStep {
        self.tell_of_missed();
        let next = self
            .next
            .map_or_else(String::new, |next| format!("the next run is due at {next}"));
        let (held, reason, said) = if self.waiting {
            let why = obstacle(&view.spec.cluster, target).unwrap_or_default();
            (
                verdicts(false, true, false),
                target_reason(target),
                format!("the first backup waits: {why}"),
            )
        } else if let Some(why) = obstacle(&view.spec.cluster, target) {
            (
                verdicts(false, false, false),
                target_reason(target),
                format!("{why}; {next}"),
            )
        } else if let Some(why) = self
            .message
            .as_ref()
            .filter(|_| self.last_missed > self.last_schedule)
        {
            (
                verdicts(false, false, false),
                Reason::BackupMissed,
                format!("{why}; {next}"),
            )
        } else if let Some(why) = self.failure(view, backups) {
            (
                verdicts(false, false, false),
                Reason::BackupFailed,
                format!("{why}; {next}"),
            )
        } else {
            (verdicts(true, false, false), Reason::Scheduled, next)
        };
        ScheduleStep {
            create,
            ..self.finish(view, held, reason, &said, wake, now)
        }
    }

    fn tell_of_missed(&mut self) {
        let Some(note) = self.message.clone().filter(|_| self.just_missed > 0) else {
            // Those before the one that is taken now.
            if self.just_missed > 0 {
                let count = self.just_missed;
                self.warn(format!(
                    "{count} runs made no backup: a later one was due before they could begin"
                ));
            }
            return;
        };
        let others = self.just_missed - 1;
        self.warn(if others > 0 {
            format!("{note}; nor did {others} before it")
        } else {
            note
        });
    }

    fn warn(&mut self, note: String) {
        self.news.push(News {
            warning: true,
            reason: Reason::BackupMissed,
            note,
        });
    }

    /// Whether the newest backup failed, and why.
    fn failure(&self, view: &ScheduleView, backups: &[TakenBackup]) -> Option<String> {
        let name = backup_name(view, self.last_schedule?);
        let newest = backups.iter().find(|backup| backup.name == name)?;
        (newest.phase == BackupPhase::Failed).then(|| {
            let why = newest.message.as_deref().unwrap_or("it does not say why");
            format!("GeodeBackup {name} failed: {why}")
        })
    }

    fn finish(
        self,
        view: &ScheduleView,
        held: Verdicts,
        reason: Reason,
        said: &str,
        wake: Option<Timestamp>,
        now: Timestamp,
    ) -> ScheduleStep {
        let status = GeodeBackupScheduleStatus {
            observed_generation: Some(view.generation),
            conditions: conditions(view, held, reason, said, now),
            last_schedule_time: self.last_schedule.map(whole_second),
            last_successful_time: self.last_successful.map(whole_second),
            next_schedule_time: self.next.map(whole_second),
            last_missed_time: self.last_missed.map(whole_second),
            missed_runs: self.missed_runs,
            message: self.message,
        };
        ScheduleStep {
            create: None,
            status,
            news: self.news,
            wake,
        }
    }
}

/// The status of a schedule whose step could not be done: what is known stays, so that the step is tried again.
pub fn failed_schedule_status(view: &ScheduleView, error: &str, now: Timestamp) -> GeodeBackupScheduleStatus {
    GeodeBackupScheduleStatus {
        conditions: conditions(
            view,
            verdicts(false, true, false),
            Reason::ActionFailed,
            error,
            now,
        ),
        ..view.status.clone()
    }
}

fn conditions(
    view: &ScheduleView,
    held: Verdicts,
    reason: Reason,
    said: &str,
    now: Timestamp,
) -> Vec<Condition> {
    held.map(|(kind, holds)| {
        condition(
            &view.status.conditions,
            kind,
            Some(holds),
            reason,
            said,
            view.generation,
            now,
        )
    })
    .to_vec()
}

/// Why this cluster cannot be backed up.
pub(super) fn obstacle(cluster: &str, target: BackupTarget) -> Option<String> {
    match target {
        BackupTarget::There => None,
        BackupTarget::Missing => Some(format!("there is no GeodeCluster {cluster} in this namespace")),
        BackupTarget::WithoutArchive => Some(format!(
            "the GeodeCluster {cluster} has no spec.archive where a backup could go"
        )),
    }
}

fn target_reason(target: BackupTarget) -> Reason {
    match target {
        BackupTarget::Missing => Reason::ClusterNotFound,
        BackupTarget::There | BackupTarget::WithoutArchive => Reason::ArchiveNotConfigured,
    }
}
