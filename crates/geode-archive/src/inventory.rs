//! What is in the archive of one incarnation, read from listings and manifests: the only source of truth about it.

use crate::catalogue::{Unreadable, read_entry};
use crate::content::Sha256;
use crate::increment::{Increment, read_increments};
use crate::layout::{
    Lineage, MANIFEST, SNAPSHOT, SNAPSHOT_ZSTD, SegmentRange, parse_cluster, parse_incarnation, parse_segment,
};
use crate::store::{ErrorKind, ObjectError, ObjectStore, list_all};
use geode_types::{ClusterId, Compression, GroupId, Incarnation, LogIndex, Term};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The version of manifests that are written.
pub const MANIFEST_FORMAT: u32 = 2;
/// The version whose snapshot is a zstd stream.
const ZSTD_FORMAT: u32 = 1;

/// What stands in the manifest of a base backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`MANIFEST_FORMAT`], or an older one.
    pub format: u32,
    /// The cluster.
    pub cluster_id: ClusterId,
    /// Which of its histories.
    pub incarnation: Incarnation,
    /// The Raft group.
    pub group: GroupId,
    /// The last entry that the snapshot contains.
    pub index: LogIndex,
    /// Its term.
    pub term: Term,
    /// Hash of the graph, hexadecimal, when the server could tell it for exactly this index.
    #[serde(default)]
    pub state_hash: Option<String>,
    /// When it was begun.
    pub started_at: Timestamp,
    /// When the snapshot was stored; every commit in it is older.
    pub finished_at: Timestamp,
    /// Size of the object with the snapshot.
    pub stored_bytes: u64,
    /// Hash of that object.
    pub stored_sha256: Sha256,
    /// Size of the snapshot stream before it was compressed.
    pub snapshot_bytes: u64,
    /// Hash of the snapshot stream.
    pub snapshot_sha256: Sha256,
    /// How it is compressed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compression: Option<Compression>,
    /// Id of the key that it is sealed with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Version of the server that wrote the snapshot.
    pub server_version: String,
}

/// A complete base backup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseBackup {
    /// Its folder.
    pub folder: String,
    /// What it says about itself.
    pub manifest: Manifest,
}

impl BaseBackup {
    /// Whether its snapshot is one zstd stream: of an older version.
    pub(crate) fn is_zstd_stream(&self) -> bool {
        self.manifest.format == ZSTD_FORMAT
    }

    /// Its name: of its folder.
    pub fn name(&self) -> &str {
        let folder = self.folder.trim_end_matches('/');
        folder.rsplit('/').next().unwrap_or(folder)
    }

    /// The object with the snapshot.
    pub fn snapshot(&self) -> String {
        let name = if self.is_zstd_stream() {
            SNAPSHOT_ZSTD
        } else {
            SNAPSHOT
        };
        format!("{}{name}", self.folder)
    }
}

/// A segment in the archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArchivedSegment {
    /// Its entries.
    pub range: SegmentRange,
    /// Size.
    pub bytes: u64,
}

/// Everything of one incarnation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inventory {
    /// Which.
    pub lineage: Lineage,
    /// Complete base backups, oldest index first.
    pub bases: Vec<BaseBackup>,
    /// Incremental and differential backups, oldest index first.
    pub increments: Vec<Increment>,
    /// Segments of group 0, in order.
    pub segments: Vec<ArchivedSegment>,
    /// Backups of all kinds that are there and cannot be read; they are not among the others.
    pub unreadable: Vec<Unreadable>,
}

impl Inventory {
    /// Whether there is a backup of this name that cannot be read.
    pub(crate) fn hides(&self, name: &str) -> bool {
        self.unreadable.iter().any(|unreadable| unreadable.name() == name)
    }
}

/// The backups of one incarnation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backups {
    /// As in [`Inventory`].
    pub bases: Vec<BaseBackup>,
    /// As in [`Inventory`].
    pub increments: Vec<Increment>,
    /// As in [`Inventory`].
    pub unreadable: Vec<Unreadable>,
}

/// Reads everything of one incarnation.
pub async fn inventory(store: &dyn ObjectStore, lineage: Lineage) -> Result<Inventory, ObjectError> {
    let backups = backups(store, lineage).await?;
    let segments = segments(store, lineage, LogIndex(0)).await?;
    Ok(Inventory {
        lineage,
        bases: backups.bases,
        increments: backups.increments,
        segments,
        unreadable: backups.unreadable,
    })
}

/// Reads what there is about the backups of one incarnation.
pub async fn backups(store: &dyn ObjectStore, lineage: Lineage) -> Result<Backups, ObjectError> {
    let mut unreadable = Vec::new();
    let bases = read_bases(store, lineage, &mut unreadable).await?;
    let increments = read_increments(store, lineage, &mut unreadable).await?;
    Ok(Backups {
        bases,
        increments,
        unreadable,
    })
}

/// Complete base backups, oldest index first. A folder without manifest was never finished and does not count, and neither does one whose manifest
/// cannot be read: see [`backups`].
pub async fn bases(store: &dyn ObjectStore, lineage: Lineage) -> Result<Vec<BaseBackup>, ObjectError> {
    read_bases(store, lineage, &mut Vec::new()).await
}

async fn read_bases(
    store: &dyn ObjectStore,
    lineage: Lineage,
    unreadable: &mut Vec<Unreadable>,
) -> Result<Vec<BaseBackup>, ObjectError> {
    let mut bases = Vec::new();
    for entry in list_all(store, &lineage.bases(), "").await? {
        let Some(folder) = entry.key.strip_suffix(MANIFEST) else {
            continue;
        };
        match read_entry(store, &entry.key, ZSTD_FORMAT..=MANIFEST_FORMAT).await? {
            Ok(manifest) => bases.push(BaseBackup {
                folder: folder.to_owned(),
                manifest,
            }),
            Err(bad) => unreadable.push(bad),
        }
    }
    bases.sort_by_key(|base| (base.manifest.index, base.manifest.finished_at));
    Ok(bases)
}

pub(crate) fn corrupt(act: String, detail: impl std::fmt::Display) -> ObjectError {
    ObjectError::new(ErrorKind::Corrupt, act, detail)
}

/// Segments that begin at `next` or later, in order.
pub async fn segments(
    store: &dyn ObjectStore,
    lineage: Lineage,
    next: LogIndex,
) -> Result<Vec<ArchivedSegment>, ObjectError> {
    let group = GroupId(0);
    let listed = list_all(
        store,
        &lineage.segments(group),
        &lineage.segments_from(group, next),
    )
    .await?;
    let found = listed.iter().filter_map(|entry| {
        Some(ArchivedSegment {
            range: parse_segment(&entry.key)?,
            bytes: entry.bytes,
        })
    });
    Ok(found.collect())
}

/// The clusters that have ever archived anything here, in the order of their ids.
pub(crate) async fn clusters(store: &dyn ObjectStore) -> Result<Vec<ClusterId>, ObjectError> {
    let mut clusters = Vec::new();
    let mut after = String::new();
    // Jumps from the first key of one cluster to the first beyond it: `~` is greater than any digit or letter of our names.
    loop {
        let page = store.list("", &after).await?;
        let Some(last) = page.last() else {
            return Ok(clusters);
        };
        let next = page
            .iter()
            .filter_map(|entry| parse_cluster(&entry.key))
            .find(|cluster| clusters.last() != Some(cluster));
        after = match next {
            Some(cluster) => format!("{cluster}/~"),
            None => last.key.clone(),
        };
        clusters.extend(next);
    }
}

/// The newest history of a cluster that has anything in the archive.
pub(crate) async fn newest_lineage(
    store: &dyn ObjectStore,
    cluster_id: ClusterId,
) -> Result<Option<Lineage>, ObjectError> {
    let folder = format!("{cluster_id}/");
    let mut newest = None;
    let mut after = folder.clone();
    // Jumps from the first key of one incarnation to the first beyond it: `~` is greater than any digit or letter of our names.
    loop {
        let page = store.list(&folder, &after).await?;
        let Some(found) = page
            .iter()
            .filter_map(|entry| parse_incarnation(cluster_id, &entry.key))
            .max()
        else {
            return Ok(newest.map(|incarnation| Lineage {
                cluster_id,
                incarnation,
            }));
        };
        newest = newest.max(Some(found));
        after = format!("{folder}{:08}/~", found.0);
    }
}
