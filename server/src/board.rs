//! Where the operator and this member's sidecar meet: tasks that the one files and the other works on, and the sidecar's last report
//! about the archive. In memory: a restart forgets it, and both sides say it again.

use geode_wire::internal::{ArchiveReport, Task, TaskKind, TaskReport, TaskState};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Finished tasks that are remembered; older ones are forgotten by name order (names carry their time).
const FINISHED_MAX: usize = 32;

/// Tasks and the archive's state.
#[derive(Default)]
pub(crate) struct Board {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    tasks: BTreeMap<String, TaskReport>,
    archive: Option<ArchiveReport>,
}

impl Board {
    /// Files a task; one that is known under this name stays as it is.
    pub(crate) fn file(&self, task: Task) {
        let mut state = self.lock();
        let finished =
            |report: &TaskReport| matches!(report.state, TaskState::Done(_) | TaskState::Failed(_));
        while state.tasks.values().filter(|report| finished(report)).count() >= FINISHED_MAX {
            let oldest = state
                .tasks
                .iter()
                .find(|(_, report)| finished(report))
                .map(|(name, _)| name.clone());
            let Some(oldest) = oldest else { break };
            state.tasks.remove(&oldest);
        }
        state.tasks.entry(task.name.clone()).or_insert(TaskReport {
            task,
            state: TaskState::Waiting,
        });
    }

    /// The sidecar says how a task stands. A task that nobody filed is not taken up.
    pub(crate) fn report(&self, report: TaskReport) {
        if let Some(known) = self.lock().tasks.get_mut(&report.task.name) {
            known.state = report.state;
        }
    }

    /// What the sidecar still has to do.
    pub(crate) fn open_tasks(&self) -> Vec<Task> {
        let open = |report: &&TaskReport| matches!(report.state, TaskState::Waiting | TaskState::Running(_));
        self.lock()
            .tasks
            .values()
            .filter(open)
            .map(|report| report.task.clone())
            .collect()
    }

    /// Whether a backup is being fetched for this member.
    pub(crate) fn is_restoring(&self) -> bool {
        self.open_tasks()
            .iter()
            .any(|task| matches!(task.kind, TaskKind::Restore { .. }))
    }

    /// All tasks and how they stand.
    pub(crate) fn reports(&self) -> Vec<TaskReport> {
        self.lock().tasks.values().cloned().collect()
    }

    /// Keeps the sidecar's report.
    pub(crate) fn keep_archive(&self, report: ArchiveReport) {
        self.lock().archive = Some(report);
    }

    /// The sidecar's last report.
    pub(crate) fn archive(&self) -> Option<ArchiveReport> {
        self.lock().archive.clone()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use geode_wire::internal::TaskResult;

    fn task(name: &str) -> Task {
        Task {
            name: name.to_owned(),
            kind: TaskKind::Backup {
                retention: None,
                kind: geode_types::BackupKind::Full,
            },
        }
    }

    #[test]
    fn filing_twice_is_filing_once_and_a_finished_task_is_not_open() {
        let board = Board::default();
        board.file(task("a"));
        board.report(TaskReport {
            task: task("a"),
            state: TaskState::Done(TaskResult::default()),
        });
        board.file(task("a"));
        board.report(TaskReport {
            task: task("stranger"),
            state: TaskState::Waiting,
        });
        assert!(board.open_tasks().is_empty());
        assert_eq!(board.reports().len(), 1);
    }

    #[test]
    fn finished_tasks_are_forgotten_in_the_end_and_open_ones_never() {
        let board = Board::default();
        board.file(task("000"));
        for number in 1..100 {
            board.file(task(&format!("{number:03}")));
            board.report(TaskReport {
                task: task(&format!("{number:03}")),
                state: TaskState::Failed("x".into()),
            });
        }
        assert_eq!(board.open_tasks(), [task("000")]);
        assert!(board.reports().len() <= FINISHED_MAX + 2);
    }
}
