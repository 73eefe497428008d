//! Faults below Kubernetes: nodes that are cut off, services that no node reaches. Only for the cluster of `cargo xtask cluster up`.

use crate::environment;
use anyhow::{Result, ensure};
use std::process::{Command, Stdio};

/// A fault that lasts as long as this value.
pub struct Fault {
    end: &'static str,
    what: String,
}

impl Fault {
    /// A node and its pods reach nothing outside it, and are not reached.
    pub fn partition(node: &str) -> Result<Self> {
        Self::begin(["partition", "heal"], node)
    }

    /// No node and no pod reaches the API server; kubectl on this machine does.
    pub fn no_api_server() -> Result<Self> {
        Self::begin(["cut", "restore"], "api")
    }

    /// No node and no pod reaches S3.
    pub fn no_s3() -> Result<Self> {
        Self::begin(["cut", "restore"], "s3")
    }

    fn begin(verbs: [&'static str; 2], what: &str) -> Result<Self> {
        xtask(verbs[0], what)?;
        Ok(Self {
            end: verbs[1],
            what: what.to_owned(),
        })
    }

    /// Ends it.
    pub fn end(self) -> Result<()> {
        xtask(self.end, &self.what)
        // Dropping ends it once more, which does nothing.
    }
}

impl Drop for Fault {
    fn drop(&mut self) {
        let _ = xtask(self.end, &self.what);
    }
}

fn xtask(verb: &str, what: &str) -> Result<()> {
    let output = Command::new(environment("XTASK")?)
        .args(["cluster", verb, what])
        .stdin(Stdio::null())
        .output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "cargo xtask cluster {verb} {what}: {said}"
    );
    Ok(())
}
