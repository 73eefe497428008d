//! openraft's state machine: the graph in the store.

use super::apply::{ApplyError, Item, apply_batch, item};
use super::blocking::Blocking;
use super::damage::Damage;
use super::snapshot::{self, AppliedState, Builder, SnapshotData, SnapshotFile};
use super::types::{Types, position};
use futures::{FutureExt, Stream, StreamExt};
use geode_log::Disk;
use geode_log::disk::Activity;
use geode_store::Store;
use geode_types::ClusterId;
use openraft::alias::{SnapshotMetaOf, SnapshotOf, WatchReceiverOf, WatchSenderOf};
use openraft::async_runtime::WatchSender;
use openraft::storage::{ApplyResponder, EntryResponder, RaftStateMachine};
use openraft::type_config::TypeConfigExt;
use openraft::{AsyncRuntime, OptionalSend};
use std::io;
use std::marker::PhantomData;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

/// How often a full data volume is tried again.
const FULL_RETRY: Duration = Duration::from_millis(500);

/// Commands of more bytes than this are applied on a thread of their own. Fewer take less time than waking one: a commit of the store
/// waits for no disk.
const INLINE_BYTES: usize = 64 * 1024;

/// What the state machine tells the handle, and the other way round.
pub(super) struct Progress<R: AsyncRuntime> {
    /// Index + 1 of the last applied entry.
    applied: Mutex<WatchSenderOf<Types<R>, u64>>,
    /// Why applying waits.
    pub(super) full: Mutex<Option<String>>,
    /// What the graph's disk has to finish.
    pub(super) applying: Activity,
    /// What was found damaged of its files.
    pub(super) damage: Damage,
    /// The member is being shut down.
    pub(super) closing: AtomicBool,
    /// Numbers the files of snapshots on their way.
    pub(super) files: AtomicU64,
}

impl<R: AsyncRuntime> Progress<R> {
    pub(super) fn new() -> Self {
        Self {
            applied: Mutex::new(Types::<R>::watch_channel(0).0),
            full: Mutex::new(None),
            applying: Activity::default(),
            damage: Damage::default(),
            closing: AtomicBool::new(false),
            files: AtomicU64::new(0),
        }
    }

    /// Tells everyone who waits for it that entries before `next` are applied.
    fn reached(&self, next: u64) {
        self.applied
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .send_if_greater(next);
    }

    /// Follows what is applied.
    pub(super) fn applied(&self) -> WatchReceiverOf<Types<R>, u64> {
        self.applied
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .subscribe()
    }

    pub(super) fn full(&self) -> Option<String> {
        self.full.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_full(&self, reason: Option<String>) {
        *self.full.lock().unwrap_or_else(PoisonError::into_inner) = reason;
    }

    /// A new name in the snapshot directory.
    pub(super) fn file(&self, directory: &std::path::Path, what: &str) -> PathBuf {
        directory.join(format!(
            "{what}-{}.tmp",
            self.files.fetch_add(1, Ordering::Relaxed)
        ))
    }
}

/// The graph, as openraft sees it.
pub(super) struct StateMachine<S, R: AsyncRuntime> {
    pub(super) store: Arc<S>,
    pub(super) disk: Arc<dyn Disk>,
    pub(super) directory: PathBuf,
    pub(super) cluster: Arc<OnceLock<ClusterId>>,
    pub(super) progress: Arc<Progress<R>>,
    pub(super) blocking: Blocking,
    pub(super) apply_entries: usize,
}

impl<S: Store, R: AsyncRuntime> StateMachine<S, R> {
    /// Applies a batch; waits while the data volume is full.
    async fn apply_items(
        &self,
        items: Vec<Item>,
        responders: Vec<Option<ApplyResponder<Types<R>>>>,
    ) -> io::Result<()> {
        let Some(last) = items.last().map(|item| item.position.index.0) else {
            return Ok(());
        };
        let bytes: usize = items.iter().map(|item| item.bytes).sum();
        let items = Arc::new(items);
        let replies = loop {
            let (store, batch, applying) =
                (self.store.clone(), items.clone(), self.progress.applying.clone());
            let apply = move || applying.during(|| apply_batch::<R, S>(&store, &batch, || applying.step()));
            let applied = if bytes <= INLINE_BYTES {
                apply()
            } else {
                self.blocking.run(apply).await?
            };
            match applied {
                Ok(replies) => break replies,
                Err(ApplyError::Full(reason)) if !self.progress.closing.load(Ordering::Relaxed) => {
                    self.wait_for_room(reason).await;
                }
                Err(error) => {
                    if matches!(error, ApplyError::Damaged { .. }) {
                        self.progress.damage.note(&error);
                    }
                    return Err(io::Error::other(error.to_string()));
                }
            }
        };
        self.progress.set_full(None);
        self.progress.reached(last + 1);
        for (responder, reply) in responders.into_iter().zip(replies) {
            if let Some(responder) = responder {
                responder.send(reply);
            }
        }
        Ok(())
    }

    /// The data volume is full: says so, and lets some time pass.
    async fn wait_for_room(&self, reason: String) {
        tracing::warn!(%reason, "applying waits for room on the data volume");
        self.progress.set_full(Some(reason));
        Types::<R>::sleep(FULL_RETRY).await;
    }

    /// The content of a snapshot as a file.
    async fn in_file(&self, snapshot: SnapshotData<S::Read>) -> io::Result<SnapshotFile> {
        let read = match snapshot {
            SnapshotData::File(file) => return Ok(file),
            SnapshotData::Live(read) => read,
        };
        let cluster = self.cluster.get().copied();
        let cluster = cluster.unwrap_or(ClusterId(uuid::Uuid::nil()));
        let file = SnapshotFile {
            disk: self.disk.clone(),
            path: self.progress.file(&self.directory, "install"),
        };
        let export = move || {
            snapshot::export_to_file(&*file.disk, &file.path, &read, cluster)?;
            Ok(file)
        };
        self.blocking.run(export).await?
    }
}

impl<S: Store, R: AsyncRuntime> RaftStateMachine<Types<R>> for StateMachine<S, R> {
    type SnapshotData = SnapshotData<S::Read>;
    type SnapshotBuilder = Builder<S, R>;

    async fn applied_state(&mut self) -> Result<AppliedState<R>, io::Error> {
        let store = self.store.clone();
        let read = move || snapshot::applied_state::<R>(&store.read().map_err(io::Error::other)?);
        let state = self.blocking.run(read).await??;
        let next = state.0.as_ref().map_or(0, |id| id.index() + 1);
        self.progress.reached(next);
        Ok(state)
    }

    async fn apply<E>(&mut self, mut entries: E) -> Result<(), io::Error>
    where
        E: Stream<Item = Result<EntryResponder<Types<R>>, io::Error>> + Unpin + OptionalSend,
    {
        let (mut items, mut responders) = (Vec::new(), Vec::new());
        loop {
            // What is ready is gathered; for what is not, the batch so far does not wait.
            let next = match entries.next().now_or_never() {
                Some(next) => next,
                None => {
                    self.apply_items(std::mem::take(&mut items), std::mem::take(&mut responders))
                        .await?;
                    entries.next().await
                }
            };
            let Some(next) = next else { break };
            let (entry, responder) = next?;
            items.push(item::<R>(entry)?);
            responders.push(responder);
            if items.len() >= self.apply_entries {
                self.apply_items(std::mem::take(&mut items), std::mem::take(&mut responders))
                    .await?;
            }
        }
        self.apply_items(items, responders).await
    }

    async fn get_snapshot_builder(&mut self) -> Self::SnapshotBuilder {
        Builder {
            store: self.store.clone(),
            blocking: self.blocking,
            runtime: PhantomData,
        }
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMetaOf<Types<R>>,
        snapshot: Self::SnapshotData,
    ) -> Result<(), io::Error> {
        let file = Arc::new(self.in_file(snapshot).await?);
        let cluster = self.cluster.get().copied();
        loop {
            let (store, file, announced) = (self.store.clone(), file.clone(), meta.clone());
            let install = move || {
                snapshot::import_from_file::<R, S>(&*file.disk, &file.path, &store, cluster, &announced)
            };
            match self.blocking.run(install).await? {
                Ok(()) => break,
                Err(error)
                    if error.kind() == io::ErrorKind::StorageFull
                        && !self.progress.closing.load(Ordering::Relaxed) =>
                {
                    self.wait_for_room(error.to_string()).await;
                }
                Err(error) => return Err(error),
            }
        }
        self.progress.set_full(None);
        let last = meta.last_log_id.as_ref().map(position::<R>);
        self.progress.reached(last.map_or(0, |last| last.index.0 + 1));
        Ok(())
    }

    async fn get_current_snapshot(
        &mut self,
    ) -> Result<Option<SnapshotOf<Types<R>, Self::SnapshotData>>, io::Error> {
        let store = self.store.clone();
        let snapshot = self
            .blocking
            .run(move || snapshot::live::<R, S>(&store))
            .await??;
        Ok(snapshot.meta.last_log_id.is_some().then_some(snapshot))
    }
}
