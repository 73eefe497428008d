//! `geode restore` of what a sidecar has archived, until the restored server answers.

use crate::memory::free_port;
use crate::program;
use crate::s3::{BUCKET, S3};
use anyhow::{Context, Result, ensure};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const ANSWERED_WITHIN: Duration = Duration::from_secs(120);

/// Something of which the restored graph must have so many.
pub(crate) struct Expected {
    /// The statement that counts it.
    pub(crate) count: &'static str,
    pub(crate) answer: usize,
}

/// Seconds until the restored server has given this answer. `goal` are flags of `geode restore`.
pub(crate) fn restore(s3: &S3, prefix: &str, goal: &[&str], expected: &Expected) -> Result<Restored> {
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    let begin = Instant::now();
    let mut restore = Command::new(program("GEODE")?);
    let output = s3
        .admit(&mut restore)
        .args([
            "restore",
            "--source",
            &format!("s3://{BUCKET}/{prefix}"),
            "--endpoint",
            &s3.endpoint(),
        ])
        .args(goal)
        .args(["--format", "json", "--target"])
        .arg(&data)
        .output()?;
    ensure!(
        output.status.success(),
        "geode restore: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).context("its report")?;
    let state_hash = report["state_hash"].as_str().context("a state hash")?.to_owned();
    let address = format!("127.0.0.1:{}", free_port()?);
    let server = Command::new(program("GEODE")?)
        .args(["serve", "--listen", &address, "--data-dir"])
        .arg(&data)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .context("start the restored server")?;
    let _ends = Server(server);
    loop {
        let mut query = Command::new(program("GEODE")?);
        query
            .args(["query", "--host", &address, "--format", "json", "--password-file"])
            .arg(data.join("admin-password"))
            .arg("--ca")
            .arg(data.join("tls/ca.crt"))
            .arg(expected.count);
        let output = query.stdin(Stdio::null()).output()?;
        if output.status.success() {
            let answer: serde_json::Value = serde_json::from_slice(&output.stdout)?;
            ensure!(
                answer["rows"][0][0] == expected.answer,
                "not everything is there: {answer}"
            );
            return Ok(Restored {
                seconds: begin.elapsed().as_secs_f64(),
                state_hash,
            });
        }
        ensure!(
            begin.elapsed() < ANSWERED_WITHIN,
            "the restored server does not answer: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// A restore that is over.
pub(crate) struct Restored {
    pub(crate) seconds: f64,
    pub(crate) state_hash: String,
}

/// Ends with the value.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
