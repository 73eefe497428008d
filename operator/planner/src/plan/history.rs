//! Does the archive that a manifest names hold a database already? A sidecar of an empty member is asked, and only its answer counts: an archive that cannot be
//! read is waited for, because whoever takes it for an empty one begins an empty database beside the one that is in it.

use crate::observed::Observed;
use crate::plan::{Action, Step};
use crate::want::Want;
use geode_api::Reason;
use geode_wire::internal::{Task, TaskKind, TaskState};

/// What is known about the archive.
pub(super) enum History {
    /// Its newest history, or that there is none.
    Known(Option<String>),
    /// Nothing yet, and this is next.
    Open(Step),
}

/// Asks the sidecar of this pod, or takes the answer. One that forgot the question is asked again.
pub(super) fn look(want: &Want, seen: &Observed, pod: &str, source: &str) -> History {
    let task = Task {
        name: format!("history-{}", want.uid),
        kind: TaskKind::FindHistory {
            source: source.to_owned(),
        },
    };
    let reports = seen.member(pod).into_iter().flat_map(|member| &member.tasks);
    let state = reports
        .into_iter()
        .find(|report| report.task == task)
        .map(|report| &report.state);
    let message = format!("looking whether {source} holds a database");
    History::Open(match state {
        Some(TaskState::Done(result)) => {
            return History::Known(Some(result.location.clone()).filter(|found| !found.is_empty()));
        }
        None => {
            let pod = pod.to_owned();
            Step::Act(
                vec![Action::FileTask { pod, task }],
                Reason::RestoreWaiting,
                message,
            )
        }
        Some(TaskState::Waiting) => Step::Wait(Reason::RestoreWaiting, message),
        Some(TaskState::Running(progress)) => {
            Step::Wait(Reason::RestoreWaiting, format!("{message}; {progress}"))
        }
        Some(TaskState::Failed(why)) => Step::Stuck(Reason::RestoreFailed, why.clone()),
    })
}
