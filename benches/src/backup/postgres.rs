//! PostgreSQL with pgBackRest, as their manuals set them up: asynchronous archive-push, restore with asynchronous archive-get. Both run as the user `postgres`.

use crate::archive::WRITES;
use crate::memory::free_port;
use crate::s3::{ACCESS, BUCKET, S3, SECRET};
use anyhow::{Context, Result, ensure};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const PROGRAMS: &str = "/usr/lib/postgresql/15/bin";
const STANZA: &str = "bench";
/// Where pgBackRest notes which segments it has archived.
const SPOOL: &str = "spool";
const ARCHIVED_WITHIN: Duration = Duration::from_secs(300);
const ANSWERED_WITHIN: Duration = Duration::from_secs(300);
const POLL: Duration = Duration::from_millis(20);

/// A server whose log waits for its archiver.
pub(crate) struct Postgres {
    folder: tempfile::TempDir,
    port: u16,
    s3: u16,
    /// What is archived in each round.
    segments: Vec<String>,
}

/// Of pgBackRest.
pub(crate) fn version() -> Result<String> {
    let output = Command::new("pgbackrest")
        .arg("version")
        .output()
        .context("pgBackRest is needed: apt-get install postgresql-15 pgbackrest")?;
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text
        .trim()
        .strip_prefix("pgBackRest ")
        .unwrap_or_default()
        .to_owned())
}

impl Postgres {
    /// An empty one, with a base backup below the first round's prefix.
    pub(crate) fn start(s3: &S3) -> Result<Self> {
        version()?;
        let postgres = Self {
            folder: tempfile::tempdir()?,
            port: free_port()?,
            s3: s3.port,
            segments: Vec::new(),
        };
        for name in [SPOOL, "log", "lock"] {
            std::fs::create_dir(postgres.path(name))?;
        }
        let mut own = Command::new("chown");
        output(own.args(["-R", "postgres"]).arg(postgres.folder.path()))?;
        postgres.program("initdb", &["--no-sync", "-D", &postgres.text("data")])?;
        let settings = format!(
            "port = {}\nlisten_addresses = ''\nunix_socket_directories = '{folder}'\narchive_mode = on\n\
             archive_command = '{}'\nmax_wal_size = 64GB\nwal_keep_size = 64GB\ncheckpoint_timeout = 1d\n",
            postgres.port,
            postgres.push(),
            folder = postgres.folder.path().display()
        );
        append(&postgres.path("data/postgresql.conf"), &settings)?;
        postgres.configure(0)?;
        postgres.begin("data")?;
        postgres.pgbackrest(&["stanza-create"])?;
        postgres.pgbackrest(&["backup", "--type=full"])?;
        Ok(postgres)
    }

    /// Writes so much into a table, and so into the log, and keeps it from the archive.
    pub(crate) fn write(&mut self, mebibytes: usize) -> Result<()> {
        self.archive_by("/bin/false")?;
        let before = self.waiting()?;
        let payload = mebibytes * 1024 * 1024 / WRITES;
        let begin = Instant::now();
        // Stored as it is: no compression makes noise smaller.
        self.sql(
            "data",
            "CREATE TABLE blob (payload bytea); ALTER TABLE blob ALTER payload SET STORAGE EXTERNAL",
        )?;
        let block =
            "(SELECT string_agg(sha512((random()::text || g)::bytea), ''::bytea) FROM generate_series(1, ";
        let blocks = payload.div_ceil(64);
        self.sql(
            "data",
            &format!(
                "DO $$ BEGIN FOR i IN 1..{WRITES} LOOP INSERT INTO blob VALUES ({block}{blocks}) g)); COMMIT; END LOOP; END $$"
            ),
        )?;
        self.sql("data", "SELECT pg_switch_wal()")?;
        let mut after = self.waiting()?;
        after.retain(|segment| !before.contains(segment));
        self.segments = after;
        eprintln!(
            "PostgreSQL has {} segments of log after {:.1} s",
            self.segments.len(),
            begin.elapsed().as_secs_f64()
        );
        Ok(())
    }

    /// Archives everything to a prefix of its own; bytes a second behind the first segment.
    pub(crate) fn archive(&self, round: usize) -> Result<f64> {
        if round > 0 {
            self.configure(round)?;
            self.pgbackrest(&["stanza-create"])?;
            // It believes its notes, and they are about the round before.
            let notes = self.path(SPOOL).join("archive");
            std::fs::remove_dir_all(&notes).with_context(|| notes.display().to_string())?;
            for segment in &self.segments {
                let mark = |state: &str| self.path(&format!("data/pg_wal/archive_status/{segment}.{state}"));
                std::fs::rename(mark("done"), mark("ready"))
                    .with_context(|| format!("{segment} was archived"))?;
            }
        }
        let bytes: u64 = self
            .segments
            .iter()
            .map(|segment| Ok(std::fs::metadata(self.path(&format!("data/pg_wal/{segment}")))?.len()))
            .sum::<Result<u64>>()?;
        let each = bytes as f64 / self.segments.len() as f64;
        self.archive_by(&self.push())?;
        // Who archives looks for work when a segment ends.
        self.sql(
            "data",
            "SELECT pg_logical_emit_message(true, 'bench', 'x'); SELECT pg_switch_wal()",
        )?;
        let begin = Instant::now();
        let mut first = None;
        let rate = loop {
            let waiting = self.waiting()?;
            let left = self
                .segments
                .iter()
                .filter(|segment| waiting.contains(segment))
                .count();
            let done = (self.segments.len() - left) as f64;
            match first {
                None if done > 0.0 => first = Some((Instant::now(), done)),
                Some((since, already)) if left == 0 => {
                    break (done - already) * each / since.elapsed().as_secs_f64();
                }
                _ => {}
            }
            ensure!(
                begin.elapsed() < ARCHIVED_WITHIN,
                "{left} segments are not archived"
            );
            std::thread::sleep(POLL);
        };
        self.archive_by("/bin/false")?;
        self.configure(0)?;
        Ok(rate)
    }

    /// Seconds.
    pub(crate) fn restore(&self) -> Result<f64> {
        let begin = Instant::now();
        let target = self.text("restored");
        self.pgbackrest(&["restore", &format!("--pg1-path={target}")])?;
        append(
            &self.path("restored/postgresql.auto.conf"),
            &format!("port = {}\narchive_mode = off\n", self.restored_port()),
        )?;
        self.begin("restored")?;
        let count = loop {
            // Until it has replayed everything and leads a history of its own, it is not restored.
            let answer = self.sql(
                "restored",
                "SELECT count(*) FROM blob WHERE NOT pg_is_in_recovery()",
            );
            match answer {
                Ok(count) if count != "0" => break count,
                other => ensure!(
                    begin.elapsed() < ANSWERED_WITHIN,
                    "PostgreSQL is not restored: {other:?}"
                ),
            }
            std::thread::sleep(Duration::from_millis(100));
        };
        let seconds = begin.elapsed().as_secs_f64();
        ensure!(count == WRITES.to_string(), "not everything is there: {count}");
        self.end("restored")?;
        std::fs::remove_dir_all(self.path("restored"))?;
        Ok(seconds)
    }

    /// pgBackRest's settings, with the prefix of a round.
    fn configure(&self, round: usize) -> Result<()> {
        let cores = std::thread::available_parallelism()?;
        let text = format!(
            "[global]\nrepo1-type=s3\nrepo1-path=/postgres-{round}\nrepo1-s3-bucket={BUCKET}\nrepo1-s3-endpoint=127.0.0.1\n\
             repo1-storage-port={}\nrepo1-storage-verify-tls=n\nrepo1-s3-region=us-east-1\nrepo1-s3-key={ACCESS}\n\
             repo1-s3-key-secret={SECRET}\nrepo1-s3-uri-style=path\nprocess-max={cores}\ncompress-type=none\narchive-async=y\n\
             archive-get-queue-max=1GiB\nspool-path={spool}\nlog-path={log}\nlock-path={lock}\nlog-level-console=warn\n\
             log-level-file=off\nstart-fast=y\n[{STANZA}]\npg1-path={data}\npg1-port={}\npg1-socket-path={folder}\n",
            self.s3,
            self.port,
            spool = self.text(SPOOL),
            log = self.text("log"),
            lock = self.text("lock"),
            data = self.text("data"),
            folder = self.folder.path().display()
        );
        std::fs::write(self.path("pgbackrest.conf"), text).context("pgBackRest's settings")
    }

    fn push(&self) -> String {
        format!(
            "pgbackrest --config={} --stanza={STANZA} archive-push %p",
            self.text("pgbackrest.conf")
        )
    }

    fn archive_by(&self, command: &str) -> Result<()> {
        self.sql("data", &format!("ALTER SYSTEM SET archive_command = '{command}'"))?;
        self.sql("data", "SELECT pg_reload_conf()").map(drop)
    }

    /// Segments that are sealed and not archived.
    fn waiting(&self) -> Result<Vec<String>> {
        let mut found = Vec::new();
        for entry in std::fs::read_dir(self.path("data/pg_wal/archive_status"))? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            found.extend(name.strip_suffix(".ready").map(str::to_owned));
        }
        found.sort();
        Ok(found)
    }

    fn begin(&self, data: &str) -> Result<()> {
        self.program(
            "pg_ctl",
            &[
                "start",
                "-w",
                "-t",
                "120",
                "-l",
                &self.text(&format!("log/{data}")),
                "-D",
                &self.text(data),
            ],
        )
        .map(drop)
    }

    fn end(&self, data: &str) -> Result<()> {
        self.program("pg_ctl", &["stop", "-m", "immediate", "-D", &self.text(data)])
            .map(drop)
    }

    fn restored_port(&self) -> u16 {
        self.port ^ 1
    }

    fn sql(&self, data: &str, text: &str) -> Result<String> {
        let port = if data == "data" {
            self.port
        } else {
            self.restored_port()
        };
        let folder = self.folder.path().display().to_string();
        let said = self.program(
            "psql",
            &[
                "-X",
                "-A",
                "-t",
                "-q",
                "-v",
                "ON_ERROR_STOP=1",
                "-h",
                &folder,
                "-p",
                &port.to_string(),
                "-c",
                text,
                "postgres",
            ],
        )?;
        Ok(said.trim().to_owned())
    }

    fn program(&self, name: &str, arguments: &[&str]) -> Result<String> {
        output(self.as_postgres(&format!("{PROGRAMS}/{name}")).args(arguments))
    }

    fn pgbackrest(&self, arguments: &[&str]) -> Result<String> {
        let mut command = self.as_postgres("pgbackrest");
        command.arg(format!("--config={}", self.text("pgbackrest.conf")));
        output(command.arg(format!("--stanza={STANZA}")).args(arguments))
    }

    fn as_postgres(&self, program: &str) -> Command {
        let mut command = Command::new("setpriv");
        command
            .args(["--reuid=postgres", "--regid=postgres", "--clear-groups", program])
            .current_dir(self.folder.path());
        command
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        for data in ["restored", "data"] {
            if self.path(data).is_dir() {
                let _ = self.end(data);
            }
        }
    }
}

fn append(file: &Path, text: &str) -> Result<()> {
    let before = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
    std::fs::write(file, before + text).with_context(|| file.display().to_string())
}

/// What a program prints. Servers that it starts go on and must not hold its pipe.
fn output(command: &mut Command) -> Result<String> {
    let log = tempfile::NamedTempFile::new()?;
    let status = command
        .stdin(Stdio::null())
        .stdout(log.reopen()?)
        .stderr(log.reopen()?)
        .status()
        .with_context(|| format!("{command:?}"))?;
    let said = std::fs::read_to_string(log.path())?;
    ensure!(status.success(), "{command:?}: {said}");
    Ok(said)
}
