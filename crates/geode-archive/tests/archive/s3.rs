//! A real S3 server for tests: versitygw over a temporary folder, on loopback.

use geode_archive::{S3Options, S3Store};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The key pair of the server's only user.
pub(crate) const ACCESS_KEY: &str = "geode-test";
pub(crate) const SECRET_KEY: &str = "geode-test-secret";

/// On a machine that does twenty things at once it takes its time.
const START_TIMEOUT: Duration = Duration::from_secs(90);

/// A running server; ends with the value.
pub(crate) struct Server {
    process: Child,
    port: u16,
    dir: tempfile::TempDir,
}

impl Server {
    /// Starts it with one bucket.
    pub(crate) fn start(bucket: &str) -> Self {
        let binary = binary();
        // In memory: what a busy disk does to a request's time is no matter of these tests.
        let dir = tempfile::tempdir_in("/dev/shm").unwrap();
        std::fs::create_dir_all(dir.path().join("data").join(bucket)).unwrap();
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let process = Command::new(&binary)
            .args([
                "--access",
                ACCESS_KEY,
                "--secret",
                SECRET_KEY,
                "--region",
                "us-east-1",
            ])
            .args(["--port", &format!("127.0.0.1:{port}"), "--quiet", "posix"])
            .arg(dir.path().join("data"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{} does not start: {error}", binary.display()));
        let server = Self { process, port, dir };
        server.write_credentials(ACCESS_KEY, SECRET_KEY);
        let start = Instant::now();
        while !server.answers() {
            assert!(
                start.elapsed() < START_TIMEOUT,
                "versitygw does not answer on port {port}"
            );
            std::thread::sleep(Duration::from_millis(50));
        }
        server
    }

    fn answers(&self) -> bool {
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.port)) else {
            return false;
        };
        let request = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        let mut byte = [0; 1];
        stream.write_all(request.as_bytes()).is_ok() && stream.read(&mut byte).is_ok_and(|count| count == 1)
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(crate) fn credentials_dir(&self) -> PathBuf {
        self.dir.path().join("credentials")
    }

    pub(crate) fn write_credentials(&self, access: &str, secret: &str) {
        let directory = self.credentials_dir();
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(directory.join("access-key"), access).unwrap();
        std::fs::write(directory.join("secret-key"), secret).unwrap();
    }

    pub(crate) fn options(&self, bucket: &str, prefix: &str) -> S3Options {
        let mut options = S3Options::new(bucket, prefix);
        options.endpoint = Some(self.endpoint());
        options.credentials_dir = Some(self.credentials_dir());
        options
    }

    /// Multipart uploads that are neither completed nor aborted: versitygw keeps each in a folder of its own.
    pub(crate) fn unfinished_uploads(&self, bucket: &str) -> usize {
        let folder = self
            .dir
            .path()
            .join("data")
            .join(bucket)
            .join(".sgwtmp/multipart");
        let objects = std::fs::read_dir(folder).into_iter().flatten().flatten();
        objects
            .map(|object| std::fs::read_dir(object.path()).map_or(0, Iterator::count))
            .sum()
    }

    pub(crate) async fn store(&self, bucket: &str, prefix: &str) -> S3Store {
        S3Store::new(self.options(bucket, prefix)).await
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The server's binary, from where `cargo xtask tools` puts it.
fn binary() -> PathBuf {
    let cache = std::env::var_os("GEODE_CACHE").map_or_else(
        || PathBuf::from(std::env::var_os("HOME").expect("HOME is set")).join(".cache/geode"),
        PathBuf::from,
    );
    let folders = std::fs::read_dir(cache.join("tools"))
        .into_iter()
        .flatten()
        .flatten();
    let mut found: Vec<_> = folders
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("versitygw-"))
        .map(|entry| entry.path().join("versitygw"))
        .filter(|path| path.is_file())
        .collect();
    found.sort();
    found
        .pop()
        .expect("no S3 server to test against: run cargo xtask tools versitygw")
}
