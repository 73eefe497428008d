//! Fetches a backup for the empty server beside us, into its data directory. The server replays it and starts the new cluster. Or looks what that
//! would take, for a server in any state.

use crate::tasks::{self, Context, ProgressLine};
use geode_archive::{FetchError, Progress, fetch, find_history, preview};
use geode_types::{FetchedBackup, LogIndex, RestoreGoal};
use geode_wire::internal::TaskResult;
use std::path::Path;

/// Below the data directory.
const FOLDER: &str = "restore";

/// Fetches and says where it is.
pub(crate) async fn run(
    context: &Context,
    progress: &ProgressLine,
    source: &str,
    goal: &RestoreGoal,
) -> Result<TaskResult, String> {
    let into = context.data_dir.join(FOLDER);
    let mut backoff = tasks::backoff();
    let fetched = loop {
        // Of an earlier try; the server has not used it, or it would not ask again.
        match tokio::fs::remove_dir_all(&into).await {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(format!("cannot remove {}: {error}", into.display()));
            }
            _ => {}
        }
        match attempt(context, progress, source, goal, &into).await {
            Ok(fetched) => break fetched,
            // A store that is down comes back, and a cluster that waits for it loses nothing.
            Err(error) if error.is_transient() => {
                progress.again(&error.to_string(), &mut backoff).await;
            }
            Err(error) => return Err(error.to_string()),
        }
    };
    let last_segment = fetched.segments.last().map(|segment| segment.last);
    let base = fetched.base.as_ref().map(|base| base.index);
    let bytes = size_of(&into)
        .await
        .map_err(|error| format!("cannot read {}: {error}", into.display()))?;
    Ok(TaskResult {
        location: into.display().to_string(),
        index: last_segment.max(base).unwrap_or(LogIndex(0)),
        bytes,
        ..TaskResult::default()
    })
}

/// Says what would be fetched, or why it cannot be.
pub(crate) async fn plan(
    context: &Context,
    progress: &ProgressLine,
    source: &str,
    goal: &RestoreGoal,
) -> Result<TaskResult, String> {
    let mut backoff = tasks::backoff();
    loop {
        match preview(source, &context.access_to(source), goal).await {
            Ok(found) => {
                return Ok(TaskResult {
                    location: found.location,
                    index: found.last,
                    bytes: found.bytes,
                    ..TaskResult::default()
                });
            }
            Err(error) if error.is_transient() => {
                progress.again(&error.to_string(), &mut backoff).await;
            }
            Err(error) => return Err(error.to_string()),
        }
    }
}

/// Says which life under the source archived last, or that there is nothing. An archive that does not answer, or does not let us look, is asked until it
/// does: whoever takes it for an empty one begins an empty database.
pub(crate) async fn find(
    context: &Context,
    progress: &ProgressLine,
    source: &str,
) -> Result<TaskResult, String> {
    let mut backoff = tasks::backoff();
    loop {
        match find_history(source, &context.access_to(source)).await {
            Ok(found) => {
                return Ok(TaskResult {
                    location: found.unwrap_or_default(),
                    ..TaskResult::default()
                });
            }
            Err(error) if error.is_about_the_store() => {
                progress.again(&error.to_string(), &mut backoff).await;
            }
            Err(error) => return Err(error.to_string()),
        }
    }
}

async fn attempt(
    context: &Context,
    progress: &ProgressLine,
    source: &str,
    goal: &RestoreGoal,
    into: &Path,
) -> Result<FetchedBackup, FetchError> {
    let say = |at: Progress| {
        progress.set(format!(
            "{}, {} of {} MiB",
            at.step,
            at.done_bytes >> 20,
            at.total_bytes >> 20
        ));
    };
    fetch(source, &context.access_to(source), goal, into, &say).await
}

async fn size_of(directory: &std::path::Path) -> std::io::Result<u64> {
    let mut entries = tokio::fs::read_dir(directory).await?;
    let mut bytes = 0;
    while let Some(entry) = entries.next_entry().await? {
        bytes += entry.metadata().await?.len();
    }
    Ok(bytes)
}
