//! The archive that a manifest names, with its defaults: one bucket of one of three services, and what is done to objects on their way there.

use crate::names::Names;
use geode_api::{ArchiveSpec, GeodeClusterSpec, S3Spec};
use geode_types::ClusterId;

/// A resolved archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Archive {
    /// Whose bucket it is.
    pub service: ArchiveService,
    /// Bucket, or container.
    pub bucket: String,
    /// Prefix.
    pub prefix: String,
    /// Endpoint; empty for the service's own.
    pub endpoint: String,
    /// Region.
    pub region: String,
    /// Secret with the keys.
    pub credentials: Option<String>,
    /// Storage class; the bucket's own when absent.
    pub storage_class: Option<String>,
    /// A second bucket with the same objects.
    pub copy: Option<Bucket>,
    /// How what is stored is made smaller.
    pub compression: Option<String>,
    /// Secret with the keys that seal what is stored.
    pub encryption: Option<String>,
    /// Longest wait of a write.
    pub max_lag: String,
}

/// Where a bucket is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ArchiveService {
    /// S3, or what speaks its protocol.
    S3,
    /// Google Cloud Storage.
    Google,
    /// Azure Blob Storage.
    Azure {
        /// The storage account.
        account: String,
    },
}

/// A resolved bucket.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Bucket {
    /// Its name.
    pub bucket: String,
    /// Prefix.
    pub prefix: String,
    /// Endpoint; empty for AWS.
    pub endpoint: String,
    /// Region.
    pub region: String,
    /// Secret with the keys.
    pub credentials: Option<String>,
    /// Storage class; the bucket's own when absent.
    pub storage_class: Option<String>,
}

impl Archive {
    /// Where the history of a database of this cluster is.
    pub fn history(&self, database: ClusterId) -> String {
        let scheme = match self.service {
            ArchiveService::S3 => "s3",
            ArchiveService::Google => "gs",
            ArchiveService::Azure { .. } => "az",
        };
        let (bucket, prefix) = (&self.bucket, self.prefix.trim_matches('/'));
        format!("{scheme}://{bucket}/{prefix}/{database}")
    }
}

/// The place that the manifest names, its defaults filled in.
pub(crate) fn resolve(spec: &GeodeClusterSpec, names: &Names) -> Option<Archive> {
    let archive = spec.archive.as_ref()?;
    let (service, place) = place(archive)?;
    let Bucket {
        bucket,
        prefix,
        endpoint,
        region,
        credentials,
        storage_class,
    } = with_defaults(&place, names);
    Some(Archive {
        service,
        bucket,
        prefix,
        endpoint,
        region,
        credentials,
        storage_class,
        copy: archive.dr_copy.as_ref().map(|copy| with_defaults(copy, names)),
        compression: archive.compression.clone(),
        encryption: archive
            .encryption
            .as_ref()
            .map(|sealed| sealed.secret_name.clone()),
        max_lag: archive.max_lag.clone(),
    })
}

/// The one place that the manifest names, in the words of S3.
fn place(archive: &ArchiveSpec) -> Option<(ArchiveService, S3Spec)> {
    let in_words_of_s3 =
        |bucket: &String, prefix: &Option<String>, endpoint: &Option<String>, credentials| S3Spec {
            bucket: bucket.clone(),
            prefix: prefix.clone(),
            endpoint: endpoint.clone(),
            region: String::new(),
            storage_class: None,
            credentials,
        };
    if let Some(gcs) = &archive.gcs {
        let bucket = in_words_of_s3(&gcs.bucket, &gcs.prefix, &gcs.endpoint, gcs.credentials.clone());
        return Some((ArchiveService::Google, bucket));
    }
    if let Some(azure) = &archive.azure {
        let account = azure.account.clone();
        let credentials = azure.credentials.clone();
        let bucket = in_words_of_s3(&azure.container, &azure.prefix, &azure.endpoint, credentials);
        return Some((ArchiveService::Azure { account }, bucket));
    }
    let s3 = archive.s3.clone()?;
    Some((ArchiveService::S3, s3))
}

fn with_defaults(s3: &S3Spec, names: &Names) -> Bucket {
    let prefix = s3.prefix.clone().filter(|prefix| !prefix.is_empty());
    Bucket {
        bucket: s3.bucket.clone(),
        prefix: prefix.unwrap_or_else(|| format!("{}/{}", names.namespace, names.cluster)),
        endpoint: s3.endpoint.clone().unwrap_or_default(),
        region: s3.region.clone(),
        storage_class: s3.storage_class.clone(),
        credentials: s3
            .credentials
            .as_ref()
            .map(|credentials| credentials.secret_name.clone()),
    }
}
