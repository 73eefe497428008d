//! Names of objects (docs/formats/archive-layout.md). All are relative to the archive's prefix.
//!
//! ```text
//! <cluster id>/<incarnation:08>/wal/<group>/<first:020>-<last:020>.seg
//! <cluster id>/<incarnation:08>/base/<index:020>-<unique>/snapshot.obj
//!                                                        /manifest.json   written last: its presence makes the backup complete
//! <cluster id>/<incarnation:08>/backups/<index:020>-<unique>.json      an incremental or differential backup
//! <cluster id>/<incarnation:08>/checkpoints/<index:020>.json
//! ```

use geode_log::SegmentName;
use geode_types::{ClusterId, GroupId, Incarnation, LogIndex};

/// The manifest of a base backup, in its folder.
pub const MANIFEST: &str = "manifest.json";
/// The snapshot of a base backup, in its folder: a coded object.
pub const SNAPSHOT: &str = "snapshot.obj";
/// The snapshot of a base backup whose manifest has format 1; and the file of a fetched one.
pub const SNAPSHOT_ZSTD: &str = "snapshot.zst";

/// One incarnation of one cluster: a history without branches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lineage {
    /// The cluster.
    pub cluster_id: ClusterId,
    /// Which of its histories.
    pub incarnation: Incarnation,
}

/// A range of log entries in one segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SegmentRange {
    /// First entry.
    pub first: LogIndex,
    /// Last entry.
    pub last: LogIndex,
}

impl Lineage {
    /// The folder of everything.
    pub fn root(&self) -> String {
        format!("{}/{:08}/", self.cluster_id, self.incarnation.0)
    }

    /// The folder of a group's segments.
    pub fn segments(&self, group: GroupId) -> String {
        format!("{}wal/{group}/", self.root())
    }

    /// A segment.
    pub fn segment(&self, group: GroupId, range: SegmentRange) -> String {
        let name = SegmentName::Sealed(range.first, range.last);
        format!("{}{name}", self.segments(group))
    }

    /// A key before every segment that begins at `next` or later, and after every one that begins earlier: where to begin a listing.
    pub fn segments_from(&self, group: GroupId, next: LogIndex) -> String {
        format!("{}{:020}", self.segments(group), next.0)
    }

    /// The folder of all base backups.
    pub fn bases(&self) -> String {
        format!("{}base/", self.root())
    }

    /// The name of a backup. `unique` keeps two of the same index apart.
    pub fn backup_name(&self, index: LogIndex, unique: u32) -> String {
        format!("{:020}-{unique:08x}", index.0)
    }

    /// The folder of one base backup.
    pub fn base(&self, index: LogIndex, unique: u32) -> String {
        format!("{}{}/", self.bases(), self.backup_name(index, unique))
    }

    /// The folder of incremental and differential backups.
    pub fn backups(&self) -> String {
        format!("{}backups/", self.root())
    }

    /// An incremental or differential backup.
    pub fn backup(&self, name: &str) -> String {
        format!("{}{name}.json", self.backups())
    }

    /// The folder of the lists of checkpoints.
    pub fn checkpoints(&self) -> String {
        format!("{}checkpoints/", self.root())
    }

    /// The checkpoints that the graph has at this index.
    pub fn checkpoints_at(&self, index: LogIndex) -> String {
        format!("{}{:020}.json", self.checkpoints(), index.0)
    }
}

/// Reads the range from a segment's key.
pub fn parse_segment(key: &str) -> Option<SegmentRange> {
    match SegmentName::parse(key.rsplit('/').next()?)? {
        SegmentName::Sealed(first, last) if first <= last => Some(SegmentRange { first, last }),
        _ => None,
    }
}

/// Reads the cluster from the key of anything of it.
pub fn parse_cluster(key: &str) -> Option<ClusterId> {
    let folder = key.split_once('/')?.0;
    // Only as we write it: another spelling of a UUID is another folder.
    cluster_folder(folder).filter(|id| id.to_string() == folder)
}

/// Reads the name of a cluster's folder.
pub fn cluster_folder(name: &str) -> Option<ClusterId> {
    (name.len() == 36)
        .then(|| uuid::Uuid::try_parse(name).ok().map(ClusterId))
        .flatten()
}

/// Reads the incarnation from a key below a cluster's folder.
pub fn parse_incarnation(cluster_id: ClusterId, key: &str) -> Option<Incarnation> {
    let below = key.strip_prefix(&cluster_id.to_string())?.strip_prefix('/')?;
    let digits = below.split('/').next()?;
    incarnation_folder(digits)
}

/// Reads the name of an incarnation's folder.
pub fn incarnation_folder(name: &str) -> Option<Incarnation> {
    (name.len() == 8 && name.bytes().all(|byte| byte.is_ascii_digit()))
        .then(|| name.parse().ok().map(Incarnation))
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lineage() -> Lineage {
        Lineage {
            cluster_id: ClusterId(uuid::Uuid::from_u128(7)),
            incarnation: Incarnation(2),
        }
    }

    #[test]
    fn the_names_are_those_of_the_layout_document() {
        let range = SegmentRange {
            first: LogIndex(4096),
            last: LogIndex(8191),
        };
        let key = lineage().segment(GroupId(0), range);
        assert_eq!(
            key,
            "00000000-0000-0000-0000-000000000007/00000002/wal/0/00000000000000004096-00000000000000008191.seg"
        );
        assert_eq!(parse_segment(&key), Some(range));
        assert_eq!(
            parse_incarnation(lineage().cluster_id, &key),
            Some(Incarnation(2))
        );
        assert_eq!(
            lineage().base(LogIndex(9), 0xab),
            "00000000-0000-0000-0000-000000000007/00000002/base/00000000000000000009-000000ab/"
        );
        assert_eq!(
            lineage().backup(&lineage().backup_name(LogIndex(9), 0xab)),
            "00000000-0000-0000-0000-000000000007/00000002/backups/00000000000000000009-000000ab.json"
        );
        assert_eq!(
            lineage().checkpoints_at(LogIndex(9)),
            "00000000-0000-0000-0000-000000000007/00000002/checkpoints/00000000000000000009.json"
        );
    }

    #[test]
    fn a_listing_from_an_index_begins_with_its_segment() {
        let key = |first, last| {
            let range = SegmentRange {
                first: LogIndex(first),
                last: LogIndex(last),
            };
            lineage().segment(GroupId(0), range)
        };
        let from = lineage().segments_from(GroupId(0), LogIndex(100));
        assert!(key(99, 99) < from && key(90, 150) < from);
        assert!(key(100, 100) > from && key(101, 200) > from);
    }

    #[test]
    fn names_that_are_not_segments_are_left_alone() {
        for key in [
            "",
            "a/b",
            "x/00000000000000000009-00000000000000000001.seg",
            "x/00000000000000000009.open",
        ] {
            assert_eq!(parse_segment(key), None, "{key}");
        }
        assert_eq!(incarnation_folder("2"), None);
        assert_eq!(incarnation_folder("+0000002"), None);
    }
}
