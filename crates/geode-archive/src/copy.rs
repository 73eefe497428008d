//! A second place with the same objects (a DR copy): what is missing there, and how it comes there. Objects are copied as they are stored, so a copy is as
//! sealed as the archive. Nothing is overwritten, and what a clean-up deletes is not brought back, because it is not in the archive either.

use crate::content::HashingReader;
use crate::inventory::corrupt;
use crate::layout::{Lineage, MANIFEST};
use crate::store::{ErrorKind, Listed, ObjectError, ObjectStore, list_all};
use geode_types::GroupId;

/// Copies one history.
#[derive(Clone, Debug)]
pub struct Copier {
    lineage: Lineage,
    /// Every segment up to this key is in both places.
    after: String,
}

impl Copier {
    /// For a history, of which nothing is known.
    pub fn new(lineage: Lineage) -> Self {
        Self {
            lineage,
            after: String::new(),
        }
    }

    /// Of which history.
    pub fn lineage(&self) -> Lineage {
        self.lineage
    }

    /// What the second place lacks, in the order in which it has to come there: whenever it breaks off, a backup that is complete there can be restored
    /// from there.
    pub async fn missing(
        &mut self,
        archive: &dyn ObjectStore,
        copy: &dyn ObjectStore,
    ) -> Result<Vec<Listed>, ObjectError> {
        let segments = self.lineage.segments(GroupId(0));
        let listed = list_all(archive, &segments, &self.after).await?;
        let there = list_all(copy, &segments, &self.after).await?;
        let mut missing = difference(copy, &listed, &there)?;
        match missing.first() {
            None => {
                self.after = listed
                    .last()
                    .map_or(std::mem::take(&mut self.after), |last| last.key.clone());
            }
            Some(first) => {
                let before = listed.iter().take_while(|entry| entry.key < first.key).last();
                if let Some(last) = before {
                    self.after.clone_from(&last.key);
                }
            }
        }
        for folder in [
            self.lineage.checkpoints(),
            self.lineage.bases(),
            self.lineage.backups(),
        ] {
            let (listed, there) = (
                list_all(archive, &folder, "").await?,
                list_all(copy, &folder, "").await?,
            );
            let mut found = difference(copy, &listed, &there)?;
            // A manifest makes a backup complete.
            found.sort_by_key(|entry| entry.key.ends_with(MANIFEST));
            missing.append(&mut found);
        }
        Ok(missing)
    }
}

/// What is listed and not there; an error when something of another size is.
fn difference(
    copy: &dyn ObjectStore,
    listed: &[Listed],
    there: &[Listed],
) -> Result<Vec<Listed>, ObjectError> {
    let mut missing = Vec::new();
    for entry in listed {
        match there.binary_search_by(|other| other.key.cmp(&entry.key)) {
            Ok(place) if there[place].bytes == entry.bytes => {}
            Ok(place) => {
                let detail = format!(
                    "it has {} bytes, and the archive {}; it was left alone",
                    there[place].bytes, entry.bytes
                );
                return Err(corrupt(format!("copy to {}", copy.url(&entry.key)), detail));
            }
            Err(_) => missing.push(entry.clone()),
        }
    }
    Ok(missing)
}

/// Copies one object. One that is not in the archive any more is fine.
pub async fn copy_object(
    archive: &dyn ObjectStore,
    copy: &dyn ObjectStore,
    object: &Listed,
) -> Result<(), ObjectError> {
    let reader = match archive.get(&object.key, 0).await {
        Err(error) if error.kind == ErrorKind::NotFound => return Ok(()),
        reader => reader?,
    };
    let mut reader = HashingReader::new(reader);
    let stored = copy.put_stream(&object.key, &mut reader).await?;
    if stored.bytes == object.bytes {
        return Ok(());
    }
    copy.delete(&object.key).await?;
    let detail = format!("{} bytes came instead of {}", stored.bytes, object.bytes);
    Err(ObjectError::new(
        ErrorKind::Unavailable,
        format!("copy {}", archive.url(&object.key)),
        detail,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::Content;
    use crate::store::{FailingStore, Fault, MemoryStore, Operation};
    use geode_types::{ClusterId, Incarnation, LogIndex};
    use std::sync::Arc;

    fn lineage() -> Lineage {
        Lineage {
            cluster_id: ClusterId(uuid::Uuid::nil()),
            incarnation: Incarnation(1),
        }
    }

    fn segment(first: u64) -> String {
        let range = crate::layout::SegmentRange {
            first: LogIndex(first),
            last: LogIndex(first + 9),
        };
        lineage().segment(GroupId(0), range)
    }

    async fn put(store: &dyn ObjectStore, key: &str) {
        store
            .put_if_absent(key, &Content::from_bytes(key.to_owned()))
            .await
            .unwrap();
    }

    async fn keys(copier: &mut Copier, archive: &dyn ObjectStore, copy: &dyn ObjectStore) -> Vec<String> {
        let missing = copier.missing(archive, copy).await.unwrap();
        missing.into_iter().map(|entry| entry.key).collect()
    }

    #[tokio::test]
    async fn a_copy_gets_what_it_lacks_and_a_manifest_after_its_snapshot() {
        let (archive, copy) = (MemoryStore::new(), MemoryStore::new());
        let base = lineage().base(LogIndex(4), 1);
        let (snapshot, manifest) = (format!("{base}snapshot.obj"), format!("{base}manifest.json"));
        for key in [&segment(0), &segment(10), &snapshot, &manifest] {
            put(&archive, key).await;
        }
        put(&copy, &segment(0)).await;
        let mut copier = Copier::new(lineage());
        let due = keys(&mut copier, &archive, &copy).await;
        assert_eq!(due, [segment(10), snapshot, manifest]);
        for key in due {
            let bytes = key.len() as u64;
            copy_object(&archive, &copy, &Listed { key, bytes })
                .await
                .unwrap();
        }
        assert!(keys(&mut copier, &archive, &copy).await.is_empty());
        // What a clean-up deletes in between is not missed, and what comes later is found.
        archive.delete(&segment(0)).await.unwrap();
        put(&archive, &segment(20)).await;
        assert_eq!(keys(&mut copier, &archive, &copy).await, [segment(20)]);
        let gone = Listed {
            key: segment(0),
            bytes: 1,
        };
        copy_object(&archive, &copy, &gone).await.unwrap();
    }

    #[tokio::test]
    async fn a_copy_that_differs_is_left_alone_and_one_that_was_cut_off_is_copied_again() {
        let archive = FailingStore::new(Arc::new(MemoryStore::new()));
        let copy = MemoryStore::new();
        put(&archive, &segment(0)).await;
        let due = Copier::new(lineage()).missing(&archive, &copy).await.unwrap();
        archive.fail(Operation::Get, Fault::BreaksAfter(5), 1);
        copy_object(&archive, &copy, &due[0]).await.unwrap_err();
        assert_eq!(copy.head(&segment(0)).await.unwrap(), None);
        copy.tamper(&segment(0), "other");
        let refused = Copier::new(lineage()).missing(&archive, &copy).await.unwrap_err();
        assert!(refused.to_string().contains("it was left alone"), "{refused}");
    }
}
