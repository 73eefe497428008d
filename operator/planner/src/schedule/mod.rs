//! Schedules of backups: what to do about one at this moment. A run that is due is taken, waits out its jitter, or is counted as missed with its
//! reason; each of them once. What was dealt with is remembered in the status alone, in one write, and the name of a backup follows from the
//! time at which it was due: whoever looks again, from whichever moment of a crash, finds it there.

mod report;
mod retention;
mod timetable;

pub use report::{News, failed_schedule_status};
pub use retention::{BackupPlace, expired_backups, joint_retention};
pub use timetable::Timetable;

use geode_api::{BackupPhase, GeodeBackupScheduleSpec, GeodeBackupScheduleStatus};
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use report::Report;
use xxhash_rust::xxh3::xxh3_64;

/// Runs that were due longer ago are not counted, so that a look ends soon.
const COUNTED_BACK: SignedDuration = SignedDuration::from_hours(366 * 24);

/// A `GeodeBackupSchedule`.
#[derive(Clone, Debug)]
pub struct ScheduleView {
    /// Name.
    pub name: String,
    /// Uid.
    pub uid: String,
    /// Generation.
    pub generation: i64,
    /// When it was created.
    pub created_at: Timestamp,
    /// What it asks for.
    pub spec: GeodeBackupScheduleSpec,
    /// How it stood.
    pub status: GeodeBackupScheduleStatus,
}

/// A `GeodeBackup` of the namespace.
#[derive(Clone, Debug)]
pub struct TakenBackup {
    /// Name.
    pub name: String,
    /// The schedule that it was made by.
    pub schedule: Option<String>,
    /// How it stands.
    pub phase: BackupPhase,
    /// How far it is, or why it failed.
    pub message: Option<String>,
    /// When it was complete or failed.
    pub ended_at: Option<Timestamp>,
    /// Where it is, once it is complete.
    pub place: Option<BackupPlace>,
    /// The oldest base backup that the clean-up after it left.
    pub oldest_kept: Option<BackupPlace>,
    /// Backups that are not full and end before this place are gone, by the same clean-up.
    pub oldest_increment_kept: Option<BackupPlace>,
}

/// What a schedule names as its cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackupTarget {
    /// It is there, and can be backed up.
    There,
    /// There is none of this name, or it is being deleted.
    Missing,
    /// Its manifest names no archive.
    WithoutArchive,
}

/// What to do about a schedule.
#[derive(Clone, Debug, PartialEq)]
pub struct ScheduleStep {
    /// First: create the GeodeBackup of this name; it is done as well when there is one with this schedule's label.
    pub create: Option<String>,
    /// Then: this is its status.
    pub status: GeodeBackupScheduleStatus,
    /// Then: tell about it.
    pub news: Vec<News>,
    /// When it has to be looked at again, if nothing changes before.
    pub wake: Option<Timestamp>,
}

/// What one look found out.
struct Look<'a> {
    view: &'a ScheduleView,
    backups: &'a [TakenBackup],
    target: BackupTarget,
    now: Timestamp,
    report: Report,
}

/// What to do about a schedule now.
pub fn keep_schedule(
    view: &ScheduleView,
    backups: &[TakenBackup],
    target: BackupTarget,
    now: Timestamp,
) -> ScheduleStep {
    let mut look = Look {
        view,
        backups,
        target,
        now,
        report: Report::new(view),
    };
    look.note_successes();
    let table = match Timetable::parse(&view.spec.schedule, &view.spec.time_zone, now) {
        Ok(table) => table,
        Err(invalid) => {
            look.report.next = None;
            return look.report.refused(view, &invalid, now);
        }
    };
    if view.spec.suspend {
        look.report.next = None;
        return look.report.suspended(view, now);
    }
    look.keep(&table)
}

impl Look<'_> {
    fn note_successes(&mut self) {
        let complete = self.own().filter(|backup| backup.phase == BackupPhase::Completed);
        let newest = complete.filter_map(|backup| backup.ended_at).max();
        self.report.last_successful = self.report.last_successful.max(newest);
    }

    /// The backups that this schedule made.
    fn own(&self) -> impl Iterator<Item = &TakenBackup> {
        let name = self.view.name.as_str();
        self.backups
            .iter()
            .filter(move |backup| backup.schedule.as_deref() == Some(name))
    }

    fn named(&self, name: &str) -> Option<&TakenBackup> {
        self.backups.iter().find(|backup| backup.name == name)
    }

    /// The next run that has not been dealt with.
    fn first_open(&self, table: &Timetable) -> Option<Timestamp> {
        let status = &self.view.status;
        let changed = status.observed_generation != Some(self.view.generation);
        match status.next_schedule_time.as_ref().map(|next| next.0) {
            // It was due before the manifest changed, or the manifest has not changed.
            Some(next) if !changed || next <= self.now => Some(next),
            Some(_) => table.next(self.now),
            None if status.observed_generation.is_some() => table.next(self.now),
            None if self.view.spec.immediate => Some(self.view.created_at),
            None => table.next(self.view.created_at),
        }
    }

    fn keep(mut self, table: &Timetable) -> ScheduleStep {
        let changed = self.view.status.observed_generation.is_some()
            && self.view.status.observed_generation != Some(self.view.generation);
        let horizon = self.now - COUNTED_BACK;
        let mut next = self.first_open(table);
        let mut latest = None;
        while let Some(due) = next.filter(|due| self.begins(table, *due) <= self.now) {
            if let Some(passed) = latest.replace(due) {
                self.pass(passed);
            }
            // Under the new manifest nothing was due before it came.
            next = table.next(if changed { self.now } else { due.max(horizon) });
        }
        let create = match latest {
            Some(due) if self.waits_for_its_cluster(due) => {
                self.report.waiting = true;
                self.report.next = Some(due);
                None
            }
            latest => {
                self.report.next = next;
                latest.and_then(|due| self.run(table, due))
            }
        };
        let wake = next.map(|due| self.begins(table, due));
        self.report
            .settled(self.view, self.backups, self.target, create, wake, self.now)
    }

    /// A backup that is taken when the schedule is created may be asked for before its cluster is.
    fn waits_for_its_cluster(&self, due: Timestamp) -> bool {
        self.is_immediate(due)
            && self.target != BackupTarget::There
            && self.named(&backup_name(self.view, due)).is_none()
    }

    fn is_immediate(&self, due: Timestamp) -> bool {
        self.view.spec.immediate && due == self.view.created_at
    }

    /// When the run that is due at this time begins.
    fn begins(&self, table: &Timetable, due: Timestamp) -> Timestamp {
        if self.view.spec.jitter_seconds <= 0 || self.is_immediate(due) {
            return due;
        }
        let gap = table
            .next(due)
            .map_or(i64::MAX, |after| after.duration_since(due).as_secs());
        let most = self.view.spec.jitter_seconds.min(gap - 1);
        let seed = xxh3_64(format!("{} {}", self.view.uid, due.as_second()).as_bytes());
        due + SignedDuration::from_secs((seed % (most as u64 + 1)) as i64)
    }

    /// A run that a later one has overtaken is not made up.
    fn pass(&mut self, due: Timestamp) {
        if self.is_ours(&backup_name(self.view, due)) {
            self.report.took(due);
        } else {
            self.report
                .missed(due, "a later one was due before it could begin".to_owned());
        }
    }

    fn is_ours(&self, backup: &str) -> bool {
        self.own().any(|own| own.name == backup)
    }

    /// The newest run that is due: the name of its backup, if it is to be created.
    fn run(&mut self, table: &Timetable, due: Timestamp) -> Option<String> {
        let name = backup_name(self.view, due);
        if self.is_ours(&name) {
            self.report.took(due);
            return None;
        }
        match self.obstacle(table, due, &name) {
            Some(why) => {
                self.report.missed(due, why);
                None
            }
            None => {
                self.report.took(due);
                self.report.created(&name);
                Some(name)
            }
        }
    }

    /// Why this run makes no backup.
    fn obstacle(&self, table: &Timetable, due: Timestamp, name: &str) -> Option<String> {
        let late = self.now.duration_since(self.begins(table, due)).as_secs();
        let spec = &self.view.spec;
        if let Some(deadline) = spec.starting_deadline_seconds
            && late > deadline
            && !self.is_immediate(due)
        {
            return Some(format!(
                "it was {late} s late, and spec.startingDeadlineSeconds is {deadline}"
            ));
        }
        if self.named(name).is_some() {
            return Some(format!(
                "a GeodeBackup {name} that is not of this schedule exists"
            ));
        }
        if let Some(before) = self.own().find(|backup| !backup.phase.is_final()) {
            return Some(format!("the GeodeBackup {} before it had not ended", before.name));
        }
        report::obstacle(&spec.cluster, self.target)
    }
}

/// The name of the backup of the run that is due at this time: `SCHEDULE-YYYYMMDDHHMMSS`, in UTC.
fn backup_name(view: &ScheduleView, due: Timestamp) -> String {
    format!("{}-{}", view.name, due.strftime("%Y%m%d%H%M%S"))
}
