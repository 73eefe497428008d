//! What a stranger does in the bucket: reads, overwrites and deletes objects, by curl.

use crate::S3;
use anyhow::{Result, ensure};
use std::path::Path;
use std::process::{Command, Stdio};

impl S3 {
    /// The keys below a prefix, at most a thousand.
    pub fn keys(&self, prefix: &str) -> Result<Vec<String>> {
        // What curl signs has to be written as it is signed.
        let prefix = prefix.replace('/', "%2F");
        let list = self.curl(&[], &format!("?list-type=2&prefix={prefix}"))?;
        let list = String::from_utf8_lossy(&list).into_owned();
        let keys = list
            .split("<Key>")
            .skip(1)
            .filter_map(|rest| rest.split("</Key>").next());
        Ok(keys.map(str::to_owned).collect())
    }

    /// An object's bytes.
    pub fn get(&self, key: &str) -> Result<Vec<u8>> {
        self.curl(&[], &format!("/{key}"))
    }

    /// Stores bytes under a key, whatever was there.
    pub fn overwrite(&self, key: &str, bytes: &[u8]) -> Result<()> {
        let file = std::env::temp_dir().join(format!("geode-e2e-object-{}", std::process::id()));
        std::fs::write(&file, bytes)?;
        let put = self.upload(&file, key);
        std::fs::remove_file(&file)?;
        put
    }

    fn upload(&self, file: &Path, key: &str) -> Result<()> {
        let file = file.display().to_string();
        self.curl(&["--upload-file", &file], &format!("/{key}")).map(drop)
    }

    /// Deletes an object.
    pub fn delete(&self, key: &str) -> Result<()> {
        self.curl(&["--request", "DELETE"], &format!("/{key}")).map(drop)
    }

    fn curl(&self, arguments: &[&str], of_bucket: &str) -> Result<Vec<u8>> {
        let output = Command::new("curl")
            .args(["--silent", "--show-error", "--fail", "--header", "Expect:"])
            .args(["--header", "x-amz-content-sha256: UNSIGNED-PAYLOAD"])
            .args(["--aws-sigv4", "aws:amz:us-east-1:s3"])
            .args(["--user", &format!("{}:{}", self.access_key, self.secret_key)])
            .args(arguments)
            .arg(format!("{}/{}{of_bucket}", self.endpoint, self.bucket))
            .stdin(Stdio::null())
            .output()?;
        ensure!(
            output.status.success(),
            "curl {arguments:?} {of_bucket}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(output.stdout)
    }
}
