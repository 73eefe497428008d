//! The newest life of a database under a location, and whether there was any. A prefix may hold many: a cluster that is deleted and begun again under its
//! name and bucket, or restored in place, archives into a folder of its own each time. The newest is the one that archived last, by the store's
//! clock: an incarnation says only which life was made from which, and an undo brings an older one back.

use crate::fetch::{FetchError, open_with_copy};
use crate::inventory::{bases, clusters, newest_lineage, segments};
use crate::layout::{Lineage, MANIFEST};
use crate::location::{Access, LineageError, Location};
use crate::store::{ObjectError, ObjectStore};
use geode_types::{GroupId, LogIndex};
use jiff::Timestamp;

/// The URL of the newest history under a location, or in the copy of it; `None` when nothing was ever archived there. A store that cannot be read is an error, and
/// so are several lives of which none is the newest.
pub async fn find_history(source: &str, access: &Access) -> Result<Option<String>, FetchError> {
    let location = Location::parse(source)?;
    let store = open_with_copy(&location, access).await?;
    let newest = newest_history(&location, &*store).await?;
    Ok(newest.map(|lineage| store.url(&lineage.root())))
}

async fn newest_history(
    location: &Location,
    store: &dyn ObjectStore,
) -> Result<Option<Lineage>, LineageError> {
    match location.lineage(store).await {
        Ok(lineage) => Ok(Some(lineage)),
        Err(LineageError::Empty(_) | LineageError::Nothing(..)) => Ok(None),
        Err(LineageError::Several { place, found }) => match newest_life(store).await? {
            Some(lineage) => Ok(Some(lineage)),
            None => Err(LineageError::Several { place, found }),
        },
        Err(error @ LineageError::Store(_)) => Err(error),
    }
}

/// The life that archived last; none when two of them did so at the same time, or the store does not say when.
async fn newest_life(store: &dyn ObjectStore) -> Result<Option<Lineage>, ObjectError> {
    let mut lives = Vec::new();
    for cluster in clusters(store).await? {
        if let Some(lineage) = newest_lineage(store, cluster).await? {
            let Some(at) = archived_last(store, lineage).await? else {
                return Ok(None);
            };
            lives.push((at, lineage));
        }
    }
    let newest = lives.iter().map(|(at, _)| *at).max();
    let mut candidates = lives.into_iter().filter(|(at, _)| Some(*at) == newest);
    let found = candidates.next().map(|(_, lineage)| lineage);
    Ok(found.filter(|_| candidates.next().is_none()))
}

/// When the newest segment or base backup of a life was stored.
async fn archived_last(store: &dyn ObjectStore, lineage: Lineage) -> Result<Option<Timestamp>, ObjectError> {
    let segment = segments(store, lineage, LogIndex(0)).await?;
    let segment = segment
        .last()
        .map(|segment| lineage.segment(GroupId(0), segment.range));
    let base = bases(store, lineage).await?;
    let base = base.last().map(|base| format!("{}{MANIFEST}", base.folder));
    let mut newest = None;
    for key in segment.into_iter().chain(base) {
        newest = newest.max(store.stored_at(&key).await?);
    }
    Ok(newest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::Content;
    use crate::store::{FailingStore, Fault, MemoryStore, Operation, PairedStore};
    use crate::{ErrorKind, SegmentRange};
    use geode_types::{ClusterId, Incarnation};
    use std::sync::Arc;
    use std::time::Duration;

    fn life(number: u128, incarnation: u32) -> Lineage {
        Lineage {
            cluster_id: ClusterId(uuid::Uuid::from_u128(number)),
            incarnation: Incarnation(incarnation),
        }
    }

    /// The life archives the segment that begins with this entry.
    async fn archive(store: &MemoryStore, lineage: Lineage, first: u64) {
        tokio::time::sleep(Duration::from_millis(2)).await;
        let range = SegmentRange {
            first: LogIndex(first),
            last: LogIndex(first + 9),
        };
        let key = lineage.segment(GroupId(0), range);
        store
            .put_if_absent(&key, &Content::from_bytes("x"))
            .await
            .unwrap();
    }

    async fn newest(store: &dyn ObjectStore) -> Result<Option<Lineage>, LineageError> {
        newest_history(&Location::parse("s3://wal/p").unwrap(), store).await
    }

    #[tokio::test]
    async fn the_life_that_archived_last_is_the_newest_also_after_an_undo_and_nothing_is_nothing() {
        let store = MemoryStore::new();
        assert_eq!(newest(&store).await.unwrap(), None);
        let (first, second) = (life(9, 0), life(1, 1));
        archive(&store, first, 0).await;
        assert_eq!(newest(&store).await.unwrap(), Some(first));
        archive(&store, second, 10).await;
        assert_eq!(newest(&store).await.unwrap(), Some(second));
        // The restore is undone: the first life goes on.
        archive(&store, first, 10).await;
        assert_eq!(newest(&store).await.unwrap(), Some(first));
    }

    #[tokio::test]
    async fn what_only_the_copy_has_left_is_found() {
        let (empty, copy) = (Arc::new(MemoryStore::new()), Arc::new(MemoryStore::new()));
        archive(&copy, life(9, 0), 0).await;
        archive(&copy, life(1, 1), 0).await;
        let paired = PairedStore::new(empty, copy.clone());
        assert_eq!(newest(&paired).await.unwrap(), Some(life(1, 1)));
        let away = FailingStore::new(Arc::new(MemoryStore::new()));
        away.fail(Operation::List, Fault::Unavailable, 100);
        let paired = PairedStore::new(Arc::new(away), copy);
        assert_eq!(newest(&paired).await.unwrap(), Some(life(1, 1)));
    }

    #[tokio::test]
    async fn an_archive_that_cannot_be_read_is_not_taken_for_an_empty_one() {
        let inner = Arc::new(MemoryStore::new());
        archive(&inner, life(9, 0), 0).await;
        archive(&inner, life(1, 1), 0).await;
        for fault in [Fault::Denied, Fault::Unavailable] {
            let store = FailingStore::new(inner.clone());
            store.fail(Operation::List, fault, 1);
            let Err(LineageError::Store(error)) = newest(&store).await else {
                panic!("{fault:?} is no answer")
            };
            assert!(matches!(error.kind, ErrorKind::Denied | ErrorKind::Unavailable));
            store.heal();
            store.fail(Operation::Head, fault, 1);
            assert!(newest(&store).await.is_err(), "{fault:?}");
        }
    }
}
