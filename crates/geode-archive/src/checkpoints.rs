//! The checkpoints of a history: an object with all of them whenever they have changed, stored before the segment that has the change. So a
//! restore can tell where a name is without a server.

use crate::content::Content;
use crate::inventory::corrupt;
use crate::layout::Lineage;
use crate::object::Codec;
use crate::store::{ErrorKind, ObjectError, ObjectStore, Put, list_all};
use geode_types::{Checkpoint, LogIndex};
use serde::{Deserialize, Serialize};

/// The version of the object.
const FORMAT: u32 = 1;
/// More than the most checkpoints with the longest names take.
const BYTES_MAX: usize = 1024 * 1024;

#[derive(Serialize, Deserialize)]
struct Document {
    format: u32,
    checkpoints: Vec<Checkpoint>,
}

/// The checkpoints that the archive knows, oldest first: those of its newest list.
pub async fn checkpoints(
    store: &dyn ObjectStore,
    codec: &Codec,
    lineage: Lineage,
) -> Result<Vec<Checkpoint>, ObjectError> {
    let lists = list_all(store, &lineage.checkpoints(), "").await?;
    let Some(newest) = lists.last() else {
        return Ok(Vec::new());
    };
    let bytes = codec.get_small(store, &newest.key, BYTES_MAX).await?;
    let act = || format!("read the checkpoints {}", store.url(&newest.key));
    let document: Document = serde_json::from_slice(&bytes).map_err(|error| corrupt(act(), error))?;
    if document.format != FORMAT {
        let detail = format!(
            "its format {} is newer than {FORMAT}, the newest that this version of Geode reads",
            document.format
        );
        return Err(corrupt(act(), detail));
    }
    Ok(document.checkpoints)
}

/// Stores the checkpoints that the graph has at the index `applied`.
pub async fn write_checkpoints(
    store: &dyn ObjectStore,
    codec: &Codec,
    lineage: Lineage,
    applied: LogIndex,
    checkpoints: Vec<Checkpoint>,
) -> Result<(), ObjectError> {
    let document = Document {
        format: FORMAT,
        checkpoints,
    };
    let bytes = serde_json::to_vec_pretty(&document).expect("invariant: checkpoints have string keys only");
    let key = lineage.checkpoints_at(applied);
    match codec.put(store, &key, &Content::from_bytes(bytes)).await?.0 {
        Put::Created | Put::SameContent => Ok(()),
        Put::Conflict => Err(ObjectError::new(
            ErrorKind::Corrupt,
            format!("write {}", store.url(&key)),
            "other checkpoints of this index are stored there",
        )),
    }
}
