//! The task loop: tells the server how the archive stands, takes the tasks that the operator filed there, does them one at a time, and
//! reports until the server has heard it.
//!
//! The server keeps tasks in memory. A task that comes again after its restart is answered with the result, not done again.

use crate::backup;
use crate::link::{LinkError, Server};
use crate::metrics::Metrics;
use crate::report::Shared;
use crate::restore;
use crate::watch::Seen;
use geode_archive::{Access, Backoff, Codec, ObjectStore};
use geode_types::BackupKind;
use geode_wire::internal::{MemberState, Task, TaskKind, TaskReport, TaskResult, TaskState};
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// How often the server is told and asked.
const INTERVAL: Duration = Duration::from_millis(500);
/// Results that are remembered for tasks that come again.
const RESULTS_MAX: usize = 32;
/// Pause before a base backup that nobody asked for is tried again.
const AUTOMATIC_PAUSE: Duration = Duration::from_secs(60);

const PAUSE_FIRST: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// What the jobs need.
#[derive(Clone)]
pub(crate) struct Context {
    pub(crate) server: Arc<dyn Server>,
    /// The cluster's archive; none when it has none.
    pub(crate) archive: Option<Arc<dyn ObjectStore>>,
    /// Its DR copy.
    pub(crate) copy: Option<Arc<dyn ObjectStore>>,
    /// The place of the archive, and how its copy is reached, for restores from it.
    pub(crate) copy_access: Option<(String, (String, Access))>,
    /// How what is stored there is coded.
    pub(crate) codec: Codec,
    /// How the source of a restore is reached.
    pub(crate) access: Access,
    /// The data directory, which the server shares.
    pub(crate) data_dir: PathBuf,
    pub(crate) metrics: Metrics,
    pub(crate) seen: watch::Receiver<Seen>,
}

impl Context {
    /// How a source is reached: that of the cluster's own archive with its copy.
    pub(crate) fn access_to(&self, source: &str) -> Access {
        let copy = self.copy_access.as_ref().and_then(|(archive, (place, access))| {
            let below = source
                .trim_end_matches('/')
                .strip_prefix(archive.trim_end_matches('/'))?;
            let is_ours = below.is_empty() || below.starts_with('/');
            is_ours.then(|| Box::new((format!("{}{below}", place.trim_end_matches('/')), access.clone())))
        });
        Access {
            copy,
            ..self.access.clone()
        }
    }
}

/// Pauses of a job that is begun again.
pub(crate) fn backoff() -> Backoff {
    Backoff::new(PAUSE_FIRST, PAUSE_MAX)
}

/// A line about how far a job is.
#[derive(Clone, Default)]
pub(crate) struct ProgressLine(Arc<Mutex<String>>);

impl ProgressLine {
    pub(crate) fn set(&self, line: impl Into<String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = line.into();
    }

    /// Says why a job begins again, and waits for that moment.
    pub(crate) async fn again(&self, reason: &str, backoff: &mut Backoff) {
        let pause = backoff.failed();
        tracing::warn!(reason, ?pause, "the task will be begun again");
        self.set(format!("trying again after: {reason}"));
        tokio::time::sleep(pause).await;
    }

    fn get(&self) -> String {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

struct Job {
    /// None for a base backup that nobody asked for.
    task: Option<Task>,
    progress: ProgressLine,
    reported: Option<String>,
    handle: JoinHandle<Result<TaskResult, String>>,
}

/// Takes and does tasks.
pub(crate) struct Worker {
    context: Context,
    shared: Arc<Shared>,
    job: Option<Job>,
    results: VecDeque<TaskReport>,
    automatic_after: Option<Instant>,
}

impl Worker {
    pub(crate) fn new(context: Context, shared: Arc<Shared>) -> Self {
        Self {
            context,
            shared,
            job: None,
            results: VecDeque::new(),
            automatic_after: None,
        }
    }

    /// Works until the process ends.
    pub(crate) async fn run(mut self) {
        loop {
            if self.context.seen.borrow().fresh(Instant::now()).is_some()
                && let Err(error) = self.round(Instant::now()).await
            {
                tracing::debug!(%error, "the server could not be told");
            }
            tokio::time::sleep(INTERVAL).await;
        }
    }

    /// Tells, asks, starts and finishes what there is.
    pub(crate) async fn round(&mut self, now: Instant) -> Result<(), LinkError> {
        self.finish(now).await;
        let tasks = self.context.server.report(self.shared.report()).await?;
        for task in tasks {
            if let Some(result) = self.results.iter().find(|result| result.task == task) {
                self.context.server.report_task(result.clone()).await?;
            } else if self.job.is_none() {
                tracing::info!(task = task.name, kind = ?task.kind, "task taken");
                self.start(Some(task));
            }
        }
        self.report_progress().await?;
        let due = self.automatic_after.is_none_or(|after| now >= after);
        if self.job.is_none() && self.shared.wants_base() && due {
            tracing::info!("taking a base backup: without one, this history cannot be restored");
            self.start(None);
        }
        Ok(())
    }

    fn start(&mut self, task: Option<Task>) {
        let (context, progress) = (self.context.clone(), ProgressLine::default());
        let (kind, line) = (task.as_ref().map(|task| task.kind.clone()), progress.clone());
        let handle = tokio::spawn(async move {
            match kind {
                None => backup::run(&context, &line, BackupKind::Full, None).await,
                Some(TaskKind::Backup { retention, kind }) => {
                    backup::run(&context, &line, kind, retention).await
                }
                Some(TaskKind::Restore { source, goal, .. }) => {
                    restore::run(&context, &line, &source, &goal).await
                }
                Some(TaskKind::PlanRestore { source, goal }) => {
                    restore::plan(&context, &line, &source, &goal).await
                }
                Some(TaskKind::FindHistory { source }) => restore::find(&context, &line, &source).await,
            }
        });
        self.job = Some(Job {
            task,
            progress,
            reported: None,
            handle,
        });
    }

    /// Takes the result of a job that has ended.
    async fn finish(&mut self, now: Instant) {
        let Some(job) = self.job.take_if(|job| job.handle.is_finished()) else {
            return;
        };
        let result = job
            .handle
            .await
            .unwrap_or_else(|error| Err(format!("the job broke off: {error}")));
        let is_backup = job
            .task
            .as_ref()
            .is_none_or(|task| matches!(task.kind, TaskKind::Backup { .. }));
        if is_backup && result.as_ref().is_ok_and(|done| done.kind.is_full()) {
            self.shared.base_taken();
        }
        if is_backup && result.is_err() {
            self.context.metrics.backup_failed();
        }
        let state = match result {
            Ok(result) => {
                tracing::info!(location = result.location, index = %result.index, bytes = result.bytes, "task done");
                TaskState::Done(result)
            }
            Err(message) => {
                tracing::error!(message, "task failed");
                TaskState::Failed(message)
            }
        };
        let Some(task) = job.task else {
            self.automatic_after = Some(now + AUTOMATIC_PAUSE);
            return;
        };
        // Remembered, so told in this or a later round: the task stays open at the server until it has heard.
        self.results.push_back(TaskReport { task, state });
        if self.results.len() > RESULTS_MAX {
            self.results.pop_front();
        }
    }

    async fn report_progress(&mut self) -> Result<(), LinkError> {
        let Some(Job {
            task: Some(task),
            progress,
            reported,
            ..
        }) = &mut self.job
        else {
            return Ok(());
        };
        let line = progress.get();
        if reported.as_ref() != Some(&line) {
            let report = TaskReport {
                task: task.clone(),
                state: TaskState::Running(line.clone()),
            };
            self.context.server.report_task(report).await?;
            *reported = Some(line);
        }
        Ok(())
    }
}

/// The member's history, when it runs in a cluster.
pub(crate) fn lineage(context: &Context) -> Result<(geode_archive::Lineage, String), String> {
    let seen = context.seen.borrow();
    let status = seen.fresh(Instant::now()).ok_or("the server does not answer")?;
    match (status.state, status.cluster_id) {
        (MemberState::Running, Some(cluster_id)) => {
            let lineage = geode_archive::Lineage {
                cluster_id,
                incarnation: status.incarnation,
            };
            Ok((lineage, status.version.clone()))
        }
        _ => Err("this member is in no cluster yet".to_owned()),
    }
}

#[cfg(test)]
#[path = "tasks_tests.rs"]
mod tests;
