//! Where an archive is, as people write it: `s3://bucket/prefix`, `gs://bucket/prefix`, `az://container/prefix`, `file:///directory`, optionally down
//! to a cluster and an incarnation.

use crate::inventory::{bases, clusters, newest_lineage};
use crate::layout::{Lineage, cluster_folder, incarnation_folder};
use crate::object::Codec;
use crate::store::{
    Cloud, CloudOptions, CloudStore, DirectoryStore, ObjectError, ObjectStore, S3Options, S3Store,
};
use geode_types::{ClusterId, Incarnation};
use std::path::{Path, PathBuf};
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
    Bucket {
        service: Service,
        bucket: String,
        prefix: String,
    },
    Directory(PathBuf),
}

/// What a bucket is in. An Azure container is a bucket too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// S3, or what speaks its protocol.
    S3,
    /// Google Cloud Storage.
    Google,
    /// Azure Blob Storage.
    Azure,
}

impl Service {
    const ALL: [Self; 3] = [Self::S3, Self::Google, Self::Azure];

    /// How its URLs begin.
    pub fn scheme(self) -> &'static str {
        match self {
            Self::S3 => "s3",
            Self::Google => "gs",
            Self::Azure => "az",
        }
    }
}

/// How the object store of a location is reached, and with which keys it is read.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// `http(s)://host:port`; that of the service when absent.
    pub endpoint: Option<String>,
    /// Region; `us-east-1` when absent.
    pub region: Option<String>,
    /// See [`S3Options::credentials_dir`] and [`CloudOptions::credentials`].
    pub credentials_dir: Option<PathBuf>,
    /// See [`S3Options::storage_class`]; for S3 alone.
    pub storage_class: Option<String>,
    /// See [`Cloud::Azure`].
    pub account: Option<String>,
    /// See [`Codec::keys`].
    pub keys: Option<PathBuf>,
    /// Segments downloaded at the same time; [`PARALLEL`](crate::PARALLEL) when absent.
    pub parallel: Option<usize>,
    /// Location of a copy of the archive, and how it is reached: read for what is missing or damaged.
    pub copy: Option<Box<(String, Access)>>,
}

impl Access {
    /// For reading what is there, and storing beside it.
    pub fn codec(&self) -> Codec {
        Codec {
            compression: None,
            keys: self.keys.clone(),
        }
    }
}

/// The text is not the URL of an archive.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "{0:?} is not the location of an archive: {1}; write s3://bucket/prefix, gs://bucket/prefix, az://container/prefix or file:///directory"
)]
pub struct LocationError(String, &'static str);

/// Which history a location means could not be found out.
#[derive(Debug, thiserror::Error)]
pub enum LineageError {
    /// Not an archive.
    #[error(
        "nothing is archived in {0}: this is not the prefix of a Geode archive, or nothing was ever archived to it"
    )]
    Empty(String),
    /// More than one cluster, and nobody said which.
    #[error("{place} has the histories of {} clusters: {}; name one: {place}CLUSTER-ID", .found.len(), .found.join(", "))]
    Several {
        /// The prefix.
        place: String,
        /// Each one's id and newest base backup.
        found: Vec<String>,
    },
    /// Nothing of that cluster.
    #[error("nothing of cluster {0} is archived in {1}")]
    Nothing(ClusterId, String),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] ObjectError),
}

/// Splits the location of a backup, as statuses and lists print it (`…/base/NAME/`, `…/backups/NAME.json`), into that of its archive and its name. The
/// location of an archive has no name.
pub fn split_backup(url: &str) -> (String, Option<String>) {
    let found = url
        .trim_end_matches('/')
        .rsplit_once('/')
        .and_then(|(folder, last)| {
            let name = last.strip_suffix(".json").unwrap_or(last);
            let parent = if name == last { "/base" } else { "/backups" };
            let archive = folder.strip_suffix(parent);
            let is_backup = name
                .split_once('-')
                .is_some_and(|(index, unique)| index.len() == 20 && unique.len() == 8);
            archive
                .filter(|_| is_backup)
                .map(|archive| (archive.to_owned(), Some(name.to_owned())))
        });
    found.unwrap_or_else(|| (url.to_owned(), None))
}

impl Location {
    /// Reads a URL.
    pub fn parse(url: &str) -> Result<Self, LocationError> {
        let wrong = |why| LocationError(url.to_owned(), why);
        let (scheme, path) = url.split_once("://").ok_or_else(|| wrong("it has no scheme"))?;
        let mut parts: Vec<&str> = path.trim_end_matches('/').split('/').collect();
        let mut incarnation = None;
        if let [.., above, last] = parts.as_slice()
            && cluster_folder(above).is_some()
        {
            incarnation =
                Some(incarnation_folder(last).ok_or_else(|| {
                    wrong("what follows the cluster id is not an incarnation, eight digits")
                })?);
            parts.pop();
        }
        let cluster_id = parts.last().and_then(|last| cluster_folder(last));
        if cluster_id.is_some() {
            parts.pop();
        }
        let service = Service::ALL
            .into_iter()
            .find(|service| service.scheme() == scheme);
        let place = match (service, scheme) {
            (Some(service), _) => {
                let (bucket, prefix) = parts.split_first().ok_or_else(|| wrong("it names no bucket"))?;
                if bucket.is_empty() {
                    return Err(wrong("it names no bucket"));
                }
                Place::Bucket {
                    service,
                    bucket: (*bucket).to_owned(),
                    prefix: prefix.join("/"),
                }
            }
            (None, "file") if path.starts_with('/') => {
                Place::Directory(Path::new("/").join(parts.join("/").trim_start_matches('/')))
            }
            (None, "file") => return Err(wrong("its directory is not absolute")),
            (None, _) => return Err(wrong("its scheme is none of s3, gs, az and file")),
        };
        Ok(Self {
            place,
            cluster_id,
            incarnation,
        })
    }

    /// A prefix of a bucket, as it stands: no part of it is taken for a cluster.
    pub fn of_bucket(service: Service, bucket: &str, prefix: &str) -> Self {
        Self {
            place: Place::Bucket {
                service,
                bucket: bucket.to_owned(),
                prefix: prefix.trim_matches('/').to_owned(),
            },
            cluster_id: None,
            incarnation: None,
        }
    }

    /// The store at the archive's prefix.
    pub async fn open(&self, access: &Access) -> Arc<dyn ObjectStore> {
        let (service, bucket, prefix) = match &self.place {
            Place::Directory(path) => return Arc::new(DirectoryStore::new(path)),
            Place::Bucket {
                service,
                bucket,
                prefix,
            } => (service, bucket, prefix),
        };
        let cloud = match service {
            Service::S3 => {
                let mut options = S3Options::new(bucket, prefix);
                options.endpoint.clone_from(&access.endpoint);
                options.credentials_dir.clone_from(&access.credentials_dir);
                options.storage_class.clone_from(&access.storage_class);
                if let Some(region) = &access.region {
                    options.region.clone_from(region);
                }
                return Arc::new(S3Store::new(options).await);
            }
            Service::Google => Cloud::Google,
            Service::Azure => Cloud::Azure {
                account: access.account.clone(),
            },
        };
        let mut options = CloudOptions::new(cloud, bucket, prefix);
        options.endpoint.clone_from(&access.endpoint);
        options.credentials.clone_from(&access.credentials_dir);
        Arc::new(CloudStore::new(options))
    }

    /// Which history is meant: the one that the URL names, else the newest of the only cluster that is there. With several clusters nobody
    /// guesses: the newest may be the empty one that was begun by mistake.
    pub async fn lineage(&self, store: &dyn ObjectStore) -> Result<Lineage, LineageError> {
        let cluster_id = match self.cluster_id {
            Some(cluster_id) => cluster_id,
            None => only_cluster(store).await?,
        };
        if let Some(incarnation) = self.incarnation {
            return Ok(Lineage {
                cluster_id,
                incarnation,
            });
        }
        let newest = newest_lineage(store, cluster_id).await?;
        newest.ok_or_else(|| LineageError::Nothing(cluster_id, store.url("")))
    }
}

async fn only_cluster(store: &dyn ObjectStore) -> Result<ClusterId, LineageError> {
    let clusters = clusters(store).await?;
    let place = store.url("");
    match clusters[..] {
        [] => Err(LineageError::Empty(place)),
        [cluster] => Ok(cluster),
        _ => {
            let mut found = Vec::new();
            for cluster in clusters {
                found.push(describe(store, cluster).await?);
            }
            Err(LineageError::Several { place, found })
        }
    }
}

async fn describe(store: &dyn ObjectStore, cluster_id: ClusterId) -> Result<String, ObjectError> {
    let bases = match newest_lineage(store, cluster_id).await? {
        Some(newest) => bases(store, newest).await?,
        None => Vec::new(),
    };
    Ok(match bases.last() {
        Some(base) => format!(
            "{cluster_id} (newest base backup of {})",
            base.manifest.finished_at
        ),
        None => format!("{cluster_id} (no base backup)"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::Content;
    use crate::store::MemoryStore;

    const ID: &str = "6b1f2c9e-0b1d-4a57-9d0a-0c4b5f8f1a11";

    #[test]
    fn a_location_may_go_down_to_cluster_and_incarnation() {
        let bucket = |service, prefix: &str| Place::Bucket {
            service,
            bucket: "wal".into(),
            prefix: prefix.into(),
        };
        let s3 = |prefix: &str| bucket(Service::S3, prefix);
        let cluster = Some(ClusterId(ID.parse().unwrap()));
        for (url, place, cluster_id, incarnation) in [
            ("s3://wal".to_owned(), s3(""), None, None),
            ("s3://wal/a/b/".to_owned(), s3("a/b"), None, None),
            (format!("s3://wal/a/{ID}"), s3("a"), cluster, None),
            ("gs://wal/a".to_owned(), bucket(Service::Google, "a"), None, None),
            (
                format!("az://wal/{ID}/00000003"),
                bucket(Service::Azure, ""),
                cluster,
                Some(Incarnation(3)),
            ),
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
            "gs://",
            "http://wal/a",
            "file://x",
            &format!("s3://wal/{ID}/wal"),
        ] {
            assert!(Location::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_location_of_a_backup_is_that_of_its_archive_and_its_name() {
        let name = "00000000000000000900-0000002a";
        let archive = format!("s3://wal/a/{ID}/00000002");
        for url in [
            format!("{archive}/base/{name}/"),
            format!("{archive}/base/{name}"),
            format!("{archive}/backups/{name}.json"),
        ] {
            assert_eq!(
                split_backup(&url),
                (archive.clone(), Some(name.to_owned())),
                "{url}"
            );
        }
        for url in [
            archive.as_str(),
            "s3://wal/base/other",
            "file:///backups/x.json",
            "s3://wal",
        ] {
            assert_eq!(split_backup(url), (url.to_owned(), None));
        }
    }

    #[tokio::test]
    async fn without_more_the_newest_history_of_the_only_cluster_is_meant_and_of_several_none() {
        let store = MemoryStore::new();
        let location = Location::parse("s3://wal").unwrap();
        assert!(matches!(
            location.lineage(&store).await,
            Err(LineageError::Empty(_))
        ));
        let cluster_id = ClusterId(ID.parse().unwrap());
        let named = Location::parse(&format!("s3://wal/{ID}")).unwrap();
        assert!(matches!(
            named.lineage(&store).await,
            Err(LineageError::Nothing(..))
        ));
        store
            .put_if_absent("notes/of-somebody.txt", &Content::from_bytes("x"))
            .await
            .unwrap();
        // Listed before ours, and its lower-case spelling would be behind it.
        let shouted = "FFFFFFFF-0B1D-4A57-9D0A-0C4B5F8F1A11/x";
        store
            .put_if_absent(shouted, &Content::from_bytes("x"))
            .await
            .unwrap();
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
        // The same manifest was applied again after its cluster had been deleted.
        let other = "1".to_owned() + &ID[1..];
        let key = format!("{other}/00000000/wal/0/0");
        store
            .put_if_absent(&key, &Content::from_bytes("x"))
            .await
            .unwrap();
        let refused = location.lineage(&store).await.unwrap_err().to_string();
        assert!(
            refused.contains(ID) && refused.contains(&other) && refused.contains("no base backup"),
            "{refused}"
        );
        assert_eq!(named.lineage(&store).await.unwrap(), newest);
    }
}
