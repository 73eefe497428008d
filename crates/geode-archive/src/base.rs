//! Writes a base backup: snapshot stream → hash → coded blocks → hash → object, then the manifest, whose presence makes it complete.

use crate::backoff::{Backoff, persist};
use crate::content::{Content, HashingReader};
use crate::inventory::{BaseBackup, MANIFEST_FORMAT, Manifest};
use crate::layout::{Lineage, MANIFEST, SNAPSHOT};
use crate::object::Codec;
use crate::store::{ErrorKind, ObjectError, ObjectStore, Put};
use geode_types::{GroupId, LogIndex, Term};
use jiff::Timestamp;
use std::time::Duration;
use tokio::io::AsyncRead;

/// How often the manifest, small and last, is tried before the whole backup counts as failed.
const MANIFEST_ATTEMPTS: u32 = 8;

/// What a snapshot is a snapshot of.
#[derive(Clone, Debug)]
pub struct SnapshotFacts {
    /// Of which history.
    pub lineage: Lineage,
    /// The last entry it contains.
    pub index: LogIndex,
    /// Its term.
    pub term: Term,
    /// Version of the server that writes it.
    pub server_version: String,
    /// How many blocks are compressed at the same time.
    pub parallel: usize,
}

/// Stores a snapshot stream. `state_hash` is asked once the stream has ended.
pub async fn write_base_backup<F: Future<Output = Option<String>>>(
    store: &dyn ObjectStore,
    codec: &Codec,
    facts: SnapshotFacts,
    snapshot: impl AsyncRead + Send + Unpin,
    state_hash: impl FnOnce() -> F,
) -> Result<BaseBackup, ObjectError> {
    let started_at = Timestamp::now();
    let folder = facts.lineage.base(facts.index, rand::random());
    let key = format!("{folder}{SNAPSHOT}");
    let mut snapshot = HashingReader::new(snapshot);
    let (coded, mut stream) = codec.encode_stream(store, &key, &mut snapshot, facts.parallel)?;
    let stored = store.put_stream(&key, &mut stream).await?;
    drop(stream);
    let (snapshot_bytes, snapshot_sha256) = snapshot.finish();
    let info = store.head(&key).await?;
    if info.map(|info| info.bytes) != Some(stored.bytes) {
        let detail = format!("{} bytes were stored, but the store says {info:?}", stored.bytes);
        return Err(ObjectError::new(
            ErrorKind::Corrupt,
            format!("verify {}", store.url(&key)),
            detail,
        ));
    }
    let manifest = Manifest {
        format: MANIFEST_FORMAT,
        cluster_id: facts.lineage.cluster_id,
        incarnation: facts.lineage.incarnation,
        group: GroupId(0),
        index: facts.index,
        term: facts.term,
        state_hash: state_hash().await,
        started_at,
        finished_at: Timestamp::now(),
        stored_bytes: stored.bytes,
        stored_sha256: stored.sha256,
        snapshot_bytes,
        snapshot_sha256,
        compression: Some(coded.compression),
        key: coded.key,
        server_version: facts.server_version,
    };
    let written = write_manifest(store, &folder, &manifest).await;
    if let Err(error) = written {
        // Nobody will find the snapshot without its manifest. Best effort: the failure to report is the first one.
        let _ = store.delete(&key).await;
        return Err(error);
    }
    Ok(BaseBackup { folder, manifest })
}

async fn write_manifest(
    store: &dyn ObjectStore,
    folder: &str,
    manifest: &Manifest,
) -> Result<(), ObjectError> {
    let key = format!("{folder}{MANIFEST}");
    let bytes = serde_json::to_vec_pretty(manifest).expect("a manifest has string keys only");
    let content = Content::from_bytes(bytes);
    let backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(15));
    match persist(MANIFEST_ATTEMPTS, backoff, || store.put_if_absent(&key, &content)).await? {
        Put::Created | Put::SameContent => Ok(()),
        Put::Conflict => {
            let detail = "another manifest is stored there already";
            Err(ObjectError::new(
                ErrorKind::Corrupt,
                format!("write {}", store.url(&key)),
                detail,
            ))
        }
    }
}
