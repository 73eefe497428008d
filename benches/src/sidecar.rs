//! A sidecar as a process, with a configuration of its own.

use crate::process::{Resident, resident};
use crate::program;
use crate::s3::S3;
use anyhow::{Context, Result};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// Ends with the value.
pub(crate) struct Sidecar {
    process: Child,
    log: PathBuf,
}

impl Sidecar {
    /// Starts one by a file, beside which its log will be.
    pub(crate) fn start(s3: &S3, config: impl Into<PathBuf>) -> Result<Self> {
        let config = config.into();
        let log = config.with_extension("log");
        let process = s3
            .admit(&mut Command::new(program("SIDECAR")?))
            .arg("--config")
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(&log)?)
            .spawn()
            .context("start the sidecar")?;
        Ok(Self { process, log })
    }

    /// Its memory.
    pub(crate) fn resident(&self) -> Result<Resident> {
        resident(self.process.id())
    }

    /// All that it has said.
    pub(crate) fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Sidecar {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
