//! What the section `archive` must keep to.

use crate::Archive;

impl Archive {
    /// Whether there is one.
    pub fn is_configured(&self) -> bool {
        self.s3.is_some() || self.gcs.is_some() || self.azure.is_some()
    }
}

/// Tells `require` of each condition whether it holds, for which key, and what to write.
pub(super) fn limits(archive: &Archive, mut require: impl FnMut(bool, &str, &str)) {
    require(
        archive
            .encryption
            .as_ref()
            .is_none_or(|sealed| !sealed.keys.as_os_str().is_empty()),
        "archive.encryption.keys",
        "must name a directory or a file of keys",
    );
    require(
        archive.copy.is_none() || archive.is_configured(),
        "archive.copy",
        "is a copy of an archive, which is missing: set archive.s3, archive.gcs or archive.azure",
    );
    let places = [
        archive.s3.is_some(),
        archive.gcs.is_some(),
        archive.azure.is_some(),
    ];
    require(
        places.iter().filter(|given| **given).count() <= 1,
        "archive",
        "goes to one place: keep one of s3, gcs and azure",
    );
    if let Some(gcs) = &archive.gcs {
        require(!gcs.bucket.is_empty(), "archive.gcs.bucket", "must name a bucket");
        require(is_endpoint(&gcs.endpoint), "archive.gcs.endpoint", ENDPOINT);
    }
    if let Some(azure) = &archive.azure {
        require(
            !azure.container.is_empty(),
            "archive.azure.container",
            "must name a container",
        );
        require(
            !azure.account.is_empty(),
            "archive.azure.account",
            "must name a storage account",
        );
        require(is_endpoint(&azure.endpoint), "archive.azure.endpoint", ENDPOINT);
    }
    for (s3, bucket, endpoint) in [
        (&archive.s3, "archive.s3.bucket", "archive.s3.endpoint"),
        (&archive.copy, "archive.copy.bucket", "archive.copy.endpoint"),
    ] {
        let Some(s3) = s3 else { continue };
        require(!s3.bucket.is_empty(), bucket, "must name a bucket");
        require(is_endpoint(&s3.endpoint), endpoint, ENDPOINT);
    }
}

const ENDPOINT: &str = "must begin with http:// or https://, or be empty for the service's own";

fn is_endpoint(text: &str) -> bool {
    text.is_empty() || text.starts_with("http://") || text.starts_with("https://")
}
