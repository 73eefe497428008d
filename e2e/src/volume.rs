//! Faults of a volume: it finishes no write, somebody fills it, or a byte of the log turns over. The test cluster's volumes are file systems on this machine.

use crate::{Cluster, kubectl};
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

const BALLAST: &str = "ballast";

/// Where a claim's volume is on this machine.
fn path(cluster: &Cluster, claim: &str) -> Result<PathBuf> {
    let object = |kind: &str, name: &str| -> Result<Value> {
        let found = kubectl(&["get", kind, name, "-n", &cluster.namespace, "-o", "json"])?;
        Ok(serde_json::from_str(&found)?)
    };
    let claim = object("pvc", claim)?;
    let name = claim["spec"]["volumeName"].as_str().context("a bound claim")?;
    let volume = object("pv", name)?;
    let path = volume["spec"]["local"]["path"].as_str();
    Ok(path.context("a volume on this machine")?.into())
}

/// In the header of a segment of the log: whatever is written behind it meanwhile, its checksum does not match any more.
const HEADER_BYTE: u64 = 20;

/// Turns a byte over in every segment of a member's log.
pub fn damage_log(cluster: &Cluster, pod: &str) -> Result<()> {
    let group = path(cluster, &format!("wal-{pod}"))?.join("group-0");
    let mut damaged = 0;
    for entry in fs::read_dir(&group).with_context(|| group.display().to_string())? {
        let file = entry?.path();
        let is_segment = file
            .extension()
            .is_some_and(|kind| kind == "open" || kind == "seg");
        if !is_segment {
            continue;
        }
        let file = OpenOptions::new().read(true).write(true).open(&file)?;
        let mut byte = [0];
        file.read_exact_at(&mut byte, HEADER_BYTE)?;
        file.write_all_at(&[byte[0] ^ 4], HEADER_BYTE)?;
        damaged += 1;
    }
    ensure!(damaged > 0, "no segment in {}", group.display());
    Ok(())
}

/// Writes to the volume wait as long as this value.
pub struct Frozen(PathBuf);

impl Frozen {
    /// Freezes the volume of a claim.
    pub fn new(cluster: &Cluster, claim: &str) -> Result<Self> {
        let path = path(cluster, claim)?;
        fsfreeze("--freeze", &path)?;
        Ok(Self(path))
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        if let Err(error) = fsfreeze("--unfreeze", &self.0) {
            eprintln!("{error:#}");
        }
    }
}

fn fsfreeze(verb: &str, path: &Path) -> Result<()> {
    let output = Command::new("fsfreeze").arg(verb).arg(path).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "fsfreeze {verb} {}: {said}",
        path.display()
    );
    Ok(())
}

/// A file in the volume that goes away with this value.
pub struct Ballast(PathBuf);

impl Ballast {
    /// Leaves this part of the claim's volume free.
    pub fn leaving(part: f64, cluster: &Cluster, claim: &str) -> Result<Self> {
        let path = path(cluster, claim)?;
        let stat = Command::new("stat")
            .args(["--file-system", "--format", "%f %b %S"])
            .arg(&path)
            .output()?;
        let text = String::from_utf8_lossy(&stat.stdout).into_owned();
        let numbers: Vec<u64> = text
            .split_whitespace()
            .filter_map(|word| word.parse().ok())
            .collect();
        let [free, all, block] = numbers[..] else {
            anyhow::bail!("stat of {} says {text:?}", path.display())
        };
        let ballast = Self(path.join(BALLAST));
        let left = (all as f64 * part) as u64;
        let length = free.saturating_sub(left) * block;
        let made = Command::new("fallocate")
            .args(["--length", &length.to_string()])
            .arg(&ballast.0)
            .output()?;
        ensure!(
            made.status.success(),
            "fallocate: {}",
            String::from_utf8_lossy(&made.stderr)
        );
        Ok(ballast)
    }
}

impl Drop for Ballast {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.0) {
            eprintln!("{}: {error}", self.0.display());
        }
    }
}
