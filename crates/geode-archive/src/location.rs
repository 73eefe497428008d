//! Where an archive is, as people write it: `s3://bucket/prefix`, `file:///directory`, optionally down to a cluster and an incarnation.

use crate::inventory::newest_incarnation;
use crate::layout::{Lineage, OWNER, incarnation_folder};
use crate::owner::owner;
use crate::store::{DirectoryStore, ObjectError, ObjectStore, S3Options, S3Store};
use geode_types::{ClusterId, Incarnation};
use std::path::PathBuf;
use std::sync::Arc;

/// A parsed URL of an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    place: Place,
    cluster_id: Option<ClusterId>,
    incarnation: Option<Incarnation>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    S3 { bucket: String, prefix: String },
    Directory(PathBuf),
}

/// How the object store of a `s3://` location is reached.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// `http(s)://host:port`; AWS when absent.
    pub endpoint: Option<String>,
    /// Region; `us-east-1` when absent.
    pub region: Option<String>,
    /// See [`S3Options::credentials_dir`].
    pub credentials_dir: Option<PathBuf>,
}

/// The text is not the URL of an archive.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0:?} is not the location of an archive: {1}; write s3://bucket/prefix or file:///directory")]
pub struct LocationError(String, &'static str);

/// Which history a location means could not be found out.
#[derive(Debug, thiserror::Error)]
pub enum LineageError {
    /// Not an archive.
    #[error(
        "{0} is not there: this is not the prefix of a Geode archive, or nothing was ever archived to it"
    )]
    NoOwner(String),
    /// Nothing of that cluster.
    #[error("nothing of cluster {0} is archived in {1}")]
    Nothing(ClusterId, String),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] ObjectError),
}

impl Location {
    /// Reads a URL.
    pub fn parse(url: &str) -> Result<Self, LocationError> {
        let wrong = |why| LocationError(url.to_owned(), why);
        let (scheme, path) = url.split_once("://").ok_or_else(|| wrong("it has no scheme"))?;
        let mut parts: Vec<&str> = path.trim_end_matches('/').split('/').collect();
        let mut incarnation = None;
        let parse_cluster = |part: &str| {
            uuid::Uuid::try_parse(part)
                .ok()
                .filter(|_| part.len() == 36)
                .map(ClusterId)
        };
        if let [.., above, last] = parts.as_slice()
            && parse_cluster(above).is_some()
        {
            incarnation =
                Some(incarnation_folder(last).ok_or_else(|| {
                    wrong("what follows the cluster id is not an incarnation, eight digits")
                })?);
            parts.pop();
        }
        let cluster_id = parts.last().and_then(|last| parse_cluster(last));
        if cluster_id.is_some() {
            parts.pop();
        }
        let place = match scheme {
            "s3" => {
                let (bucket, prefix) = parts.split_first().ok_or_else(|| wrong("it names no bucket"))?;
                if bucket.is_empty() {
                    return Err(wrong("it names no bucket"));
                }
                Place::S3 {
                    bucket: (*bucket).to_owned(),
                    prefix: prefix.join("/"),
                }
            }
            "file" if path.starts_with('/') => {
                Place::Directory(PathBuf::from(format!("/{}", parts.join("/"))))
            }
            "file" => return Err(wrong("its directory is not absolute")),
            _ => return Err(wrong("its scheme is neither s3 nor file")),
        };
        Ok(Self {
            place,
            cluster_id,
            incarnation,
        })
    }

    /// The store at the archive's prefix.
    pub async fn open(&self, access: &Access) -> Arc<dyn ObjectStore> {
        match &self.place {
            Place::Directory(path) => Arc::new(DirectoryStore::new(path)),
            Place::S3 { bucket, prefix } => {
                let mut options = S3Options::new(bucket, prefix);
                options.endpoint.clone_from(&access.endpoint);
                options.credentials_dir.clone_from(&access.credentials_dir);
                if let Some(region) = &access.region {
                    options.region.clone_from(region);
                }
                Arc::new(S3Store::new(options).await)
            }
        }
    }

    /// Which history is meant: the one that the URL names, else the owner's newest.
    pub async fn lineage(&self, store: &dyn ObjectStore) -> Result<Lineage, LineageError> {
        let cluster_id = match self.cluster_id {
            Some(cluster_id) => cluster_id,
            None => owner(store)
                .await?
                .ok_or_else(|| LineageError::NoOwner(store.url(OWNER)))?,
        };
        if let Some(incarnation) = self.incarnation {
            return Ok(Lineage {
                cluster_id,
                incarnation,
            });
        }
        let newest = newest_incarnation(store, cluster_id).await?;
        let incarnation = newest.ok_or_else(|| LineageError::Nothing(cluster_id, store.url("")))?;
        Ok(Lineage {
            cluster_id,
            incarnation,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::Content;
    use crate::store::MemoryStore;

    const ID: &str = "6b1f2c9e-0b1d-4a57-9d0a-0c4b5f8f1a11";

    #[test]
    fn a_location_may_go_down_to_cluster_and_incarnation() {
        let s3 = |prefix: &str| Place::S3 {
            bucket: "wal".into(),
            prefix: prefix.into(),
        };
        let cluster = Some(ClusterId(ID.parse().unwrap()));
        for (url, place, cluster_id, incarnation) in [
            ("s3://wal".to_owned(), s3(""), None, None),
            ("s3://wal/a/b/".to_owned(), s3("a/b"), None, None),
            (format!("s3://wal/a/{ID}"), s3("a"), cluster, None),
            (
                format!("s3://wal/{ID}/00000002"),
                s3(""),
                cluster,
                Some(Incarnation(2)),
            ),
            (
                format!("file:///x/y/{ID}/"),
                Place::Directory("/x/y".into()),
                cluster,
                None,
            ),
        ] {
            assert_eq!(
                Location::parse(&url),
                Ok(Location {
                    place,
                    cluster_id,
                    incarnation
                }),
                "{url}"
            );
        }
        for bad in [
            "wal/a",
            "s3://",
            "gs://wal/a",
            "file://x",
            &format!("s3://wal/{ID}/wal"),
        ] {
            assert!(Location::parse(bad).is_err(), "{bad}");
        }
    }

    #[tokio::test]
    async fn without_more_the_newest_history_of_the_owner_is_meant() {
        let store = MemoryStore::new();
        let location = Location::parse("s3://wal").unwrap();
        assert!(matches!(
            location.lineage(&store).await,
            Err(LineageError::NoOwner(_))
        ));
        let cluster_id = ClusterId(ID.parse().unwrap());
        crate::owner::claim(&store, cluster_id).await.unwrap();
        assert!(matches!(
            location.lineage(&store).await,
            Err(LineageError::Nothing(..))
        ));
        for incarnation in [1, 3, 2] {
            for number in 0..3 {
                let key = format!("{ID}/{incarnation:08}/wal/0/{number}");
                store
                    .put_if_absent(&key, &Content::from_bytes("x"))
                    .await
                    .unwrap();
            }
        }
        let newest = location.lineage(&store).await.unwrap();
        assert_eq!(
            newest,
            Lineage {
                cluster_id,
                incarnation: Incarnation(3)
            }
        );
    }
}
