//! An S3 server on loopback, and a plain copy to it.

use crate::memory::{files, free_port};
use crate::program;
use anyhow::{Context, Result, ensure};
use geode_tests::certificates::certificates;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

pub(crate) const BUCKET: &str = "archive";
pub(crate) const ACCESS: &str = "geode-bench";
pub(crate) const SECRET: &str = "geode-bench-secret";
/// A file system without a disk, as every Linux has one.
const MEMORY: &str = "/dev/shm";
const READY_TIMEOUT: Duration = Duration::from_secs(20);

pub(crate) struct S3 {
    process: Child,
    pub(crate) port: u16,
    folder: tempfile::TempDir,
    is_secure: bool,
}

impl S3 {
    pub(crate) fn start() -> Result<Self> {
        Self::begin(Command::new(program("VERSITYGW")?), false, tempfile::tempdir()?)
    }

    /// As if it were on another machine, as buckets are: without a disk, and with the processor time that nobody else wants.
    pub(crate) fn elsewhere() -> Result<Self> {
        let mut command = Command::new("nice");
        command.args(["-n", "19"]).arg(program("VERSITYGW")?);
        Self::begin(command, false, tempfile::tempdir_in(MEMORY)?)
    }

    /// The same with a certificate, for clients that speak nothing else.
    pub(crate) fn start_secure() -> Result<Self> {
        Self::begin(Command::new(program("VERSITYGW")?), true, tempfile::tempdir()?)
    }

    fn begin(mut command: Command, is_secure: bool, folder: tempfile::TempDir) -> Result<Self> {
        let (data, keys) = (folder.path().join("data"), folder.path().join("keys"));
        std::fs::create_dir_all(data.join(BUCKET))?;
        std::fs::create_dir_all(&keys)?;
        std::fs::write(keys.join("access-key"), ACCESS)?;
        std::fs::write(keys.join("secret-key"), SECRET)?;
        let port = free_port()?;
        command
            .args(["--access", ACCESS, "--secret", SECRET, "--region", "us-east-1"])
            .args(["--port", &format!("127.0.0.1:{port}"), "--quiet"]);
        if is_secure {
            certificates(folder.path());
            command.arg("--cert").arg(folder.path().join("tls.crt"));
            command.arg("--key").arg(folder.path().join("tls.key"));
        }
        let process = command
            .arg("posix")
            .arg(&data)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("start versitygw")?;
        let server = Self {
            process,
            port,
            folder,
            is_secure,
        };
        let begin = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            ensure!(begin.elapsed() < READY_TIMEOUT, "versitygw does not answer");
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(server)
    }

    pub(crate) fn endpoint(&self) -> String {
        let scheme = if self.is_secure { "https" } else { "http" };
        format!("{scheme}://127.0.0.1:{}", self.port)
    }

    /// What a program of ours needs to know, beside the endpoint, to be let in.
    pub(crate) fn admit<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        if self.is_secure {
            command.env("SSL_CERT_FILE", self.folder.path().join("ca.crt"));
        }
        command
            .env("AWS_ACCESS_KEY_ID", ACCESS)
            .env("AWS_SECRET_ACCESS_KEY", SECRET)
    }

    pub(crate) fn keys(&self) -> PathBuf {
        self.folder.path().join("keys")
    }

    /// The bytes of all objects below a prefix.
    pub(crate) fn stored(&self, prefix: &str) -> Result<u64> {
        let folder = self.folder.path().join("data").join(BUCKET).join(prefix);
        let sizes = files(&folder, "")?;
        let sizes = sizes.iter().map(|file| Ok(std::fs::metadata(file)?.len()));
        sizes.sum()
    }

    /// Makes room.
    pub(crate) fn forget(&self, prefix: &str) -> Result<()> {
        let folder = self.folder.path().join("data").join(BUCKET).join(prefix);
        std::fs::remove_dir_all(folder).context("remove what was archived")
    }

    /// Uploads files one after the other over one connection, as curl does it; returns the seconds.
    pub(crate) fn copy(&self, files: &[PathBuf], prefix: &str) -> Result<f64> {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--fail"])
            .args(["--aws-sigv4", "aws:amz:us-east-1:s3"])
            .args(["--user", &format!("{ACCESS}:{SECRET}")])
            // Without it curl waits a second for a permission to send.
            .args(["--header", "Expect:"])
            // Older versions of curl do not say by themselves that they have not hashed the file.
            .args(["--header", "x-amz-content-sha256: UNSIGNED-PAYLOAD"]);
        for file in files {
            let name = file.file_name().map(Path::new).context("a file has a name")?;
            let url = format!("{}/{BUCKET}/{prefix}/{}", self.endpoint(), name.display());
            curl.arg("--upload-file").arg(file).arg(url);
        }
        let begin = Instant::now();
        let output = curl.stdin(Stdio::null()).output().context("run curl")?;
        let seconds = begin.elapsed().as_secs_f64();
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "curl failed: {said}");
        Ok(seconds)
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
