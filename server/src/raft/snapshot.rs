//! Snapshots.
//!
//! The store is durable by itself, so what openraft calls building a snapshot is only making it so and noting the position: the log may
//! be purged up to there. The content is written out, as `geode-graph`'s logical stream, when a member needs it; it comes from a read
//! transaction, so it shows one position and does not hold up applying.

use super::apply::{META_BEGUN, META_MEMBERSHIP};
use super::blocking::Blocking;
use super::types::{Types, decode_stored, encode_stored, log_id, position};
use geode_graph::{GraphError, SnapshotInfo, StreamError};
use geode_log::disk::{FileSink, FileSource};
use geode_log::{Disk, Position};
use geode_store::{Reader, Store};
use geode_types::ClusterId;
use openraft::alias::{LogIdOf, SnapshotMetaOf, SnapshotOf, StoredMembershipOf};
use openraft::{AsyncRuntime, RaftSnapshotBuilder};
use std::io::{self, BufReader, BufWriter, Write};
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const BUFFER_BYTES: usize = 256 * 1024;

/// A snapshot's content.
pub(super) enum SnapshotData<T> {
    /// What a read transaction of this member's store sees.
    Live(T),
    /// A stream that was received.
    File(SnapshotFile),
}

/// A file that is removed when nobody needs it any more.
pub(super) struct SnapshotFile {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) path: PathBuf,
}

impl Drop for SnapshotFile {
    fn drop(&mut self) {
        // What stays is removed when the member starts again.
        let _ = self.disk.remove(&self.path);
    }
}

/// The position and membership that a reader sees.
pub(super) type AppliedState<R> = (Option<LogIdOf<Types<R>>>, StoredMembershipOf<Types<R>>);

pub(super) fn applied_state<R: AsyncRuntime>(read: &impl Reader) -> io::Result<AppliedState<R>> {
    let graph = |error: geode_graph::GraphError| io::Error::other(error.to_string());
    let at = geode_graph::position(read).map_err(graph)?;
    let begun = at.index.0 > 0 || geode_graph::meta(read, META_BEGUN).map_err(graph)?.is_some();
    let membership = match geode_graph::meta(read, META_MEMBERSHIP).map_err(graph)? {
        Some(bytes) => decode_stored::<R>(&bytes)?,
        None => StoredMembershipOf::<Types<R>>::default(),
    };
    let applied = begun.then(|| {
        log_id::<R>(Position {
            term: at.term,
            index: at.index,
        })
    });
    Ok((applied, membership))
}

/// The snapshot that a read transaction sees now.
pub(super) fn live<R: AsyncRuntime, S: Store>(
    store: &S,
) -> io::Result<SnapshotOf<Types<R>, SnapshotData<S::Read>>> {
    let read = store.read().map_err(io::Error::other)?;
    let (last_log_id, last_membership) = applied_state::<R>(&read)?;
    Ok(SnapshotOf::<Types<R>, _> {
        meta: SnapshotMetaOf::<Types<R>> {
            last_log_id,
            last_membership,
        },
        snapshot: SnapshotData::Live(read),
    })
}

/// Writes what `read` sees into a file, durably.
pub(super) fn export_to_file(
    disk: &dyn Disk,
    path: &Path,
    read: &impl Reader,
    cluster: ClusterId,
) -> io::Result<SnapshotInfo> {
    let mut sink = BufWriter::with_capacity(BUFFER_BYTES, FileSink::new(disk.create(path)?));
    let info =
        geode_graph::export(read, cluster, &mut sink).map_err(|error| io::Error::other(error.to_string()))?;
    sink.flush()?;
    sink.into_inner()
        .map_err(io::IntoInnerError::into_error)?
        .finish()?;
    Ok(info)
}

/// Replaces the store's content with the stream in a file, after checking that it is what `meta` says. When there is no room for it,
/// nothing has changed, the kind of the error is `StorageFull`, and it can be tried again.
pub(super) fn import_from_file<R: AsyncRuntime, S: Store>(
    disk: &dyn Disk,
    path: &Path,
    store: &S,
    cluster: Option<ClusterId>,
    meta: &SnapshotMetaOf<Types<R>>,
) -> io::Result<()> {
    let source = FileSource::new(disk.open(path)?, 0);
    let head = geode_graph::SnapshotHeader::read(&mut BufReader::new(source))
        .map_err(|error| io::Error::other(error.to_string()))?;
    let expected = meta.last_log_id.as_ref().map(position::<R>).unwrap_or_default();
    if (head.position.term, head.position.index) != (expected.term, expected.index) {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!(
                "the snapshot ends at {}, not at {} as announced",
                head.position.index, expected.index
            ),
        ));
    }
    let membership = encode_stored::<R>(&meta.last_membership)?;
    let blobs: &[(&str, &[u8])] = &[(META_MEMBERSHIP, &membership), (META_BEGUN, &[1])];
    let mut source = BufReader::with_capacity(BUFFER_BYTES, FileSource::new(disk.open(path)?, 0));
    geode_graph::import(store, &mut source, cluster, blobs).map_err(|error| {
        let full = matches!(&error, StreamError::Graph(GraphError::Store(store)) if store.is_full());
        let kind = if full {
            io::ErrorKind::StorageFull
        } else {
            io::ErrorKind::Other
        };
        io::Error::new(kind, error.to_string())
    })?;
    store.sync().map_err(io::Error::other)
}

/// Removes snapshots that were on their way when the process ended.
pub(super) fn clear_directory(disk: &dyn Disk, directory: &Path) -> io::Result<()> {
    disk.create_dir_all(directory)?;
    for name in disk.list(directory)? {
        disk.remove(&directory.join(name))?;
    }
    disk.sync_dir(directory)
}

/// Makes the applied state durable and tells its position.
pub(super) struct Builder<S, R> {
    pub(super) store: Arc<S>,
    pub(super) blocking: Blocking,
    pub(super) runtime: PhantomData<fn() -> R>,
}

impl<S: Store, R: AsyncRuntime> RaftSnapshotBuilder<Types<R>> for Builder<S, R> {
    type SnapshotData = SnapshotData<S::Read>;

    async fn build_snapshot(&mut self) -> Result<SnapshotOf<Types<R>, Self::SnapshotData>, io::Error> {
        let store = self.store.clone();
        let built = self.blocking.run(move || -> io::Result<_> {
            let snapshot = live::<R, S>(&store)?;
            store.sync().map_err(io::Error::other)?;
            Ok(snapshot)
        });
        built.await?
    }
}
