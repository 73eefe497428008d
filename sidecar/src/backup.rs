//! Backups: the server's snapshot stream, through the archive crate, into the cluster's archive; or, when there is a full backup to go on from, an
//! entry there that the archived log leads to.

use crate::link::Server;
use crate::tasks::{self, Context, ProgressLine, lineage};
use crate::throttle::{self, Throttle, Throttled};
use geode_archive::{
    ErrorKind, IncrementError, IncrementFacts, Inventory, ObjectError, ObjectStore, SnapshotFacts, clean_up,
    cleanup_plan, inventory, write_base_backup, write_increment,
};
use geode_types::{BackupKind, CleanedUp, LogIndex, Retention, Term};
use geode_wire::internal::TaskResult;
use jiff::Timestamp;
use std::io;
use std::pin::Pin;
use std::task::{Context as Poller, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, ReadBuf};

/// A backup that breaks is begun again this often; each time with a new snapshot.
const ATTEMPTS: u32 = 5;
/// How long the log up to an incremental backup may need to reach the archive; usually `archive.max_lag`.
const PATIENCE: Duration = Duration::from_secs(600);
/// Blocks of a base backup that are compressed at the same time, at most: each takes memory.
const PARALLEL_MAX: usize = 2;
/// A line of progress each time this much has been read.
const PROGRESS_BYTES: u64 = 16 * 1024 * 1024;

/// Takes one and says where it is; then deletes what need not be kept any more.
pub(crate) async fn run(
    context: &Context,
    progress: &ProgressLine,
    kind: BackupKind,
    retention: Option<Retention>,
) -> Result<TaskResult, String> {
    let store = context.archive.as_ref().ok_or(
        "the cluster has no archive; set archive.s3, archive.gcs or archive.azure (on Kubernetes spec.archive) and file the backup again",
    )?;
    let mut backoff = tasks::backoff();
    loop {
        let attempt = async {
            match kind {
                BackupKind::Full => full(context, &**store, progress).await,
                _ => increment(context, &**store, progress, kind).await,
            }
        };
        let failure = match attempt.await {
            Ok(mut result) => {
                if let Some(retention) = &retention {
                    progress.set("deleting what need not be kept");
                    result.cleaned_up = Some(cleaned_up(context, &**store, retention).await);
                }
                return Ok(result);
            }
            Err(failure) => failure,
        };
        if !failure.again || backoff.failures() + 1 >= ATTEMPTS {
            return Err(failure.message);
        }
        progress.again(&failure.message, &mut backoff).await;
    }
}

struct Failure {
    message: String,
    again: bool,
}

/// A backup that goes on from another one. Without a full one it is a full one.
async fn increment(
    context: &Context,
    store: &dyn ObjectStore,
    progress: &ProgressLine,
    kind: BackupKind,
) -> Result<TaskResult, Failure> {
    let again = |message: String| Failure { message, again: true };
    let (lineage, server_version) = lineage(context).map_err(again)?;
    let told = context.server.state_hash().await;
    let (index, state_hash) = told.map_err(|error| again(error.to_string()))?;
    let facts = IncrementFacts {
        lineage,
        kind,
        parent: None,
        index,
        state_hash,
        server_version,
        patience: PATIENCE,
    };
    let written = match write_increment(store, facts, |line| progress.set(line)).await {
        Ok(written) => written,
        Err(IncrementError::NoFull(..)) => {
            tracing::info!(%kind, "there is no full backup to go on from: taking one");
            return full(context, store, progress).await;
        }
        Err(error) => {
            return Err(Failure {
                again: matches!(&error, IncrementError::Store(store) if store.kind == ErrorKind::Unavailable),
                message: error.to_string(),
            });
        }
    };
    context.metrics.increment(&written);
    Ok(TaskResult {
        location: store.url(&lineage.backup(&written.name)),
        index: written.index,
        bytes: written.bytes,
        state_hash: written.state_hash,
        kind: written.kind,
        parent: written.parent,
        cleaned_up: None,
    })
}

async fn full(
    context: &Context,
    store: &dyn ObjectStore,
    progress: &ProgressLine,
) -> Result<TaskResult, Failure> {
    let again = |message: String| Failure { message, again: true };
    let (lineage, server_version) = lineage(context).map_err(again)?;
    let throttle = Throttle::new(throttle::ask(&*context.server).await);
    let snapshot = context
        .server
        .snapshot()
        .await
        .map_err(|error| again(error.to_string()))?;
    let index = snapshot.applied;
    progress.set(format!("storing the graph at index {index}"));
    let facts = SnapshotFacts {
        lineage,
        index,
        term: Term(snapshot.term),
        server_version,
        parallel: parallel(),
    };
    let reader = Progressing {
        inner: Throttled::new(snapshot.bytes, context.server.clone(), throttle),
        progress,
        read: 0,
        said: 0,
    };
    let hash = || state_hash(&*context.server, index);
    // A snapshot that breaks off is the stream's fault (`Local`): it is worth another try, unlike refused credentials.
    let written = write_base_backup(store, &context.codec, facts, reader, hash).await;
    let backup = written.map_err(|error| Failure {
        again: matches!(error.kind, ErrorKind::Unavailable | ErrorKind::Local),
        message: error.to_string(),
    })?;
    context.metrics.base_backup(&backup.manifest);
    Ok(TaskResult {
        location: store.url(&backup.folder),
        index,
        bytes: backup.manifest.stored_bytes,
        state_hash: backup.manifest.state_hash.unwrap_or_default(),
        ..TaskResult::default()
    })
}

/// A clean-up that fails leaves the backup what it is; the one after the next backup makes up for it.
async fn cleaned_up(
    context: &Context,
    store: &dyn ObjectStore,
    retention: &Retention,
) -> Result<CleanedUp, String> {
    let cleaned = clean(context, store, retention).await;
    if let Err(message) = &cleaned {
        tracing::error!(message, "the archive could not be cleaned up");
        context.metrics.cleanup_failures.inc();
    }
    cleaned
}

async fn clean(
    context: &Context,
    store: &dyn ObjectStore,
    retention: &Retention,
) -> Result<CleanedUp, String> {
    let (lineage, _) = lineage(context)?;
    let found = inventory(store, lineage)
        .await
        .map_err(|error| error.to_string())?;
    let plan = cleanup_plan(&found, retention, Timestamp::now());
    clean_up(store, &plan).await.map_err(|error| error.to_string())?;
    if let Some(copy) = &context.copy {
        clean_copy(&**copy, &found, retention).await?;
    }
    let cleaned = plan.summary();
    tracing::info!(?cleaned, "archive cleaned up");
    Ok(cleaned)
}

/// The copy goes the same way as the archive, by what it has itself: what has not come there yet is no reason to delete anything.
async fn clean_copy(
    copy: &dyn ObjectStore,
    archive: &Inventory,
    retention: &Retention,
) -> Result<(), String> {
    let said = |error: ObjectError| format!("the copy of the archive: {error}");
    let found = inventory(copy, archive.lineage).await.map_err(said)?;
    let plan = cleanup_plan(&found, retention, Timestamp::now());
    clean_up(copy, &plan).await.map_err(said)
}

/// The hash of the graph, if the server is still where the snapshot was taken.
async fn state_hash(server: &dyn Server, index: LogIndex) -> Option<String> {
    match server.state_hash().await {
        Ok((applied, hash)) => (applied == index).then_some(hash),
        Err(error) => {
            tracing::info!(%error, "the base backup is stored without a state hash");
            None
        }
    }
}

/// Says how much has passed.
struct Progressing<'a, R> {
    inner: R,
    progress: &'a ProgressLine,
    read: u64,
    said: u64,
}

impl<R: AsyncRead + Unpin> AsyncRead for Progressing<'_, R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Poller<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.inner).poll_read(cx, buf);
        self.read += (buf.filled().len() - before) as u64;
        if self.read >= self.said + PROGRESS_BYTES {
            self.said = self.read;
            self.progress
                .set(format!("{} MiB of the graph read", self.read >> 20));
        }
        polled
    }
}
/// Half of the cores at most: the member beside us needs the others.
fn parallel() -> usize {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    (cores / 2).clamp(1, PARALLEL_MAX)
}
