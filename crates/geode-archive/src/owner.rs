//! Who may write below a prefix: the first cluster that claims it, and no other. A restored cluster is another cluster.

use crate::content::Content;
use crate::layout::OWNER;
use crate::store::{ErrorKind, ObjectError, ObjectStore, Put, get_small};
use geode_types::ClusterId;
use serde::{Deserialize, Serialize};

const FORMAT: u32 = 1;
const OWNER_BYTES_MAX: usize = 4096;

#[derive(Serialize, Deserialize)]
struct Owner {
    format: u32,
    cluster_id: ClusterId,
}

/// Why a prefix cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OwnerError {
    /// Another cluster writes here.
    #[error(
        "{place} belongs to cluster {owner}, not to this one ({claimant}); give this cluster a prefix of its own (archive.s3.prefix)"
    )]
    Foreign {
        /// The marker.
        place: String,
        /// Whose it is.
        owner: ClusterId,
        /// Who asked.
        claimant: ClusterId,
    },
    /// The marker cannot be read or written.
    #[error(transparent)]
    Store(#[from] ObjectError),
}

/// Claims the prefix for a cluster, or confirms that it is its own.
pub async fn claim(store: &dyn ObjectStore, cluster_id: ClusterId) -> Result<(), OwnerError> {
    let marker = Owner {
        format: FORMAT,
        cluster_id,
    };
    let bytes = serde_json::to_vec(&marker).expect("a uuid and a number are JSON");
    match store.put_if_absent(OWNER, &Content::from_bytes(bytes)).await? {
        Put::Created | Put::SameContent => return Ok(()),
        Put::Conflict => {}
    }
    match owner(store).await? {
        Some(owner) if owner == cluster_id => Ok(()),
        Some(owner) => Err(OwnerError::Foreign {
            place: store.url(OWNER),
            owner,
            claimant: cluster_id,
        }),
        None => {
            let detail = "the marker was there and is gone; something deletes objects of the archive";
            Err(ObjectError::new(
                ErrorKind::Unavailable,
                format!("read {}", store.url(OWNER)),
                detail,
            )
            .into())
        }
    }
}

/// Whose prefix it is; `None` when it is nobody's.
pub async fn owner(store: &dyn ObjectStore) -> Result<Option<ClusterId>, ObjectError> {
    let bytes = match get_small(store, OWNER, OWNER_BYTES_MAX).await {
        Ok(bytes) => bytes,
        Err(error) if error.kind == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let owner: Owner = serde_json::from_slice(&bytes)
        .map_err(|error| ObjectError::new(ErrorKind::Corrupt, format!("read {}", store.url(OWNER)), error))?;
    Ok(Some(owner.cluster_id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::MemoryStore;

    #[tokio::test]
    async fn a_prefix_belongs_to_the_first_cluster_that_claims_it() {
        let store = MemoryStore::new();
        let (ours, theirs) = (
            ClusterId(uuid::Uuid::from_u128(1)),
            ClusterId(uuid::Uuid::from_u128(2)),
        );
        assert_eq!(owner(&store).await.unwrap(), None);
        claim(&store, ours).await.unwrap();
        claim(&store, ours).await.unwrap();
        assert!(
            matches!(claim(&store, theirs).await, Err(OwnerError::Foreign { owner, .. }) if owner == ours)
        );
        store.tamper(OWNER, "{}");
        assert!(
            matches!(claim(&store, ours).await, Err(OwnerError::Store(error)) if error.kind == ErrorKind::Corrupt)
        );
    }
}
