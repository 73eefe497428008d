//! `geode backup test-restore`: is what is archived a database that starts and answers? Fetches, replays, checks every byte, boots a server on a
//! loopback port, asks it, and tells how long each took. The archive is only read, and nothing is left of the restored data.
//!
//! The operator runs the same command in a pod of its own for a `GeodeRestoreTest` and reads the report.

mod ask;

use crate::Failure;
use crate::archive::{config_of, goal, goal_of, lines, remove};
use crate::args::{ArchiveArgs, Format, GoalArgs};
use ask::{answer, client, until_it_answers};
use clap::Args;
use geode_archive::{
    Access, Backoff, Fetch, FetchError, Lineage, ObjectStore, PARALLEL, ReadOnlyStore, bases, open_history,
    resolve,
};
use geode_config::Config;
use geode_server::restore::{ReplayOptions, Restored, VerifyReport, replay, verify};
use geode_server::{ServeOptions, Server};
use geode_types::{
    ClusterId, GraphSelection, RESTORE_CHECKS_MAX, RestoreCheck, RestoreGoal, RestoreTestReport,
    RestoreTestStep,
};
use jiff::Timestamp;
use std::fmt::Display;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// An archive that does not answer is asked so often.
const OPEN_ATTEMPTS: u32 = 10;

#[derive(Args, Debug)]
pub(crate) struct TestRestoreArgs {
    #[command(flatten)]
    pub(crate) archive: ArchiveArgs,
    #[command(flatten)]
    pub(crate) goal: GoalArgs,
    /// Directory with the files access-key and secret-key; the usual places of AWS when absent.
    #[arg(long, value_name = "DIR")]
    pub(crate) credentials_dir: Option<PathBuf>,
    /// Where the backup is restored; absent or empty, and removed in the end.
    #[arg(long, value_name = "DIR")]
    pub(crate) temp_dir: Option<PathBuf>,
    /// A statement that the restored database has to answer; repeatable. It can read and not write.
    #[arg(long, value_name = "STATEMENT")]
    pub(crate) run_queries: Vec<String>,
    /// Statements with what they have to answer: [{"statement": "…", "expectRows": 1, "expect": "…"}].
    #[arg(long, env = "GEODE_RESTORE_CHECKS", value_name = "JSON", value_parser = parse_checks)]
    pub(crate) checks: Option<Checks>,
    /// Also writes the report as JSON of at most 4 KiB to this file.
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,
    /// How the report is printed: table or json.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
}

/// Of `--checks`.
#[derive(Clone, Debug)]
pub(crate) struct Checks(Vec<RestoreCheck>);

fn parse_checks(text: &str) -> Result<Checks, String> {
    let example = r#"write [{"statement": "MATCH (n) RETURN count(n)", "expect": "42"}]"#;
    serde_json::from_str(text)
        .map(Checks)
        .map_err(|error| format!("{error}; {example}"))
}

impl TestRestoreArgs {
    fn checks(&self) -> Result<Vec<RestoreCheck>, Failure> {
        let plain = self.run_queries.iter().map(|statement| RestoreCheck {
            statement: statement.clone(),
            ..RestoreCheck::default()
        });
        let given = self.checks.iter().flat_map(|checks| checks.0.clone());
        let all: Vec<RestoreCheck> = plain.chain(given).collect();
        if all.len() > RESTORE_CHECKS_MAX {
            return Err(Failure::Message(format!(
                "{} statements are too many for one test; give at most {RESTORE_CHECKS_MAX}",
                all.len()
            )));
        }
        Ok(all)
    }

    fn access(&self) -> Access {
        Access {
            credentials_dir: self.credentials_dir.clone(),
            ..self.archive.access()
        }
    }

    /// A directory that this test may fill and remove.
    fn directory(&self) -> Result<PathBuf, Failure> {
        let own = || std::env::temp_dir().join(format!("geode-test-restore-{}", std::process::id()));
        let directory = self.temp_dir.clone().unwrap_or_else(own);
        // A new volume of ext4 has a folder of its own.
        let ours = |entry: std::io::Result<std::fs::DirEntry>| {
            entry.is_ok_and(|entry| entry.file_name() == "lost+found")
        };
        let is_free = std::fs::read_dir(&directory).map_or(true, |mut entries| entries.all(ours));
        if is_free {
            Ok(directory)
        } else {
            Err(Failure::Message(format!(
                "--temp-dir {} is not empty; name a directory that may be filled and emptied",
                directory.display()
            )))
        }
    }
}

pub(crate) async fn run(args: TestRestoreArgs) -> Result<(), Failure> {
    let (checks, directory) = (args.checks()?, args.directory()?);
    let (place, backup) = args.archive.place()?;
    let goal = match &backup {
        Some(name) => goal_of(&args.goal, &place, &args.access(), name, false).await?,
        None => goal(&args.goal)?,
    };
    let mut test = Test {
        directory: directory.clone(),
        access: args.access(),
        goal,
        report: RestoreTestReport {
            source: place.clone(),
            ..RestoreTestReport::default()
        },
    };
    let ended = tokio::select! {
        ended = test.run(&place, &checks) => ended,
        _ = tokio::signal::ctrl_c() => Err("it was interrupted".to_owned()),
    };
    let mut report = test.report;
    report.failure = ended.err();
    if let Some(file) = &args.report {
        std::fs::write(file, report.to_bounded_json())?;
    }
    // Its content, not itself: it may be a mounted volume.
    for part in Part::ALL {
        remove(&directory.join(part.folder()))?;
    }
    if args.temp_dir.is_none() {
        remove(&directory)?;
    }
    print(&report, &checks, args.format);
    if report.passed() {
        Ok(())
    } else {
        Err(Failure::Message(format!(
            "the restore test failed in its step {}{}",
            report.step,
            report.failure.map(|why| format!(": {why}")).unwrap_or_default()
        )))
    }
}

/// What lies in the directory.
#[derive(Clone, Copy)]
enum Part {
    Fetched,
    Data,
}

impl Part {
    const ALL: [Self; 2] = [Self::Fetched, Self::Data];

    fn folder(self) -> &'static str {
        match self {
            Self::Fetched => "fetched",
            Self::Data => "data",
        }
    }
}

struct Test {
    directory: PathBuf,
    access: Access,
    goal: RestoreGoal,
    report: RestoreTestReport,
}

impl Test {
    async fn run(&mut self, place: &str, checks: &[RestoreCheck]) -> Result<(), String> {
        self.report.step = RestoreTestStep::Fetch;
        let (store, lineage) = open(place, &self.access).await?;
        // From here on nothing can be written to the archive.
        let store = ReadOnlyStore::new(store);
        self.fetch(&store, lineage).await?;

        self.report.step = RestoreTestStep::Replay;
        let config = config(&self.directory.join(Part::Data.folder()))?;
        let restored = self.replay(&config).await?;
        if self.report.newest_micros.is_none() {
            self.report.newest_micros = self.time_of_base(&store, lineage).await;
        }

        self.report.step = RestoreTestStep::Verify;
        self.verify(&config, &restored).await?;

        self.report.step = RestoreTestStep::Boot;
        let begun = Instant::now();
        let options = ServeOptions {
            config: config.clone(),
            cluster_init: false,
            join: None,
        };
        let server = Server::start(options).await.map_err(said)?;
        let asked = self.ask(&config, checks, begun).await;
        server.shutdown().await;
        asked?;
        self.report.step = RestoreTestStep::Done;
        Ok(())
    }

    async fn fetch(&mut self, store: &dyn ObjectStore, lineage: Lineage) -> Result<(), String> {
        let begun = Instant::now();
        self.report.source = store.url(&lineage.root());
        self.report.looked_at_micros = Timestamp::now().as_microsecond();
        let into = self.directory.join(Part::Fetched.folder());
        let codec = self.access.codec();
        let target = resolve(store, &codec, lineage, &self.goal).await.map_err(said)?;
        let fetch = Fetch {
            store,
            codec: &codec,
            lineage,
            target,
            into: &into,
            parallel: PARALLEL,
            progress: &lines(),
        };
        // One after the other, as a cluster's first member does it, so that the times are those of a restore.
        let fetched = fetch.whole().await.map_err(said)?;
        self.report.fetch_millis = millis(begun);
        self.report.bytes = size_of(&into).map_err(said)?;
        if let Some(base) = fetched.base {
            self.report.base = Some(base.index);
            self.report.base_hash = base.state_hash;
        }
        Ok(())
    }

    async fn replay(&mut self, config: &Config) -> Result<Restored, String> {
        let begun = Instant::now();
        let (from, config) = (self.directory.join(Part::Fetched.folder()), config.clone());
        let files = from.clone();
        let replayed = tokio::task::spawn_blocking(move || {
            replay(&ReplayOptions {
                from: &files,
                data_dir: &config.storage.data_dir,
                wal_dir: &config.wal_dir(),
                map_size: config.storage.map_size.0,
                cluster_id: ClusterId(Uuid::new_v4()),
                graphs: &GraphSelection::All,
                name: &config.cluster.node.id,
                client_address: &config.cluster.node.address,
                internal_address: &config.internal_address(),
                progress: &|line| eprintln!("{line}"),
            })
        });
        let restored = replayed.await.map_err(said)?.map_err(said)?;
        self.report.replay_millis = millis(begun);
        self.report.index = Some(restored.index);
        self.report.state_hash = Some(restored.state_hash.clone());
        self.report.newest_micros = restored.last_commit_micros;
        // The space is for the server.
        std::fs::remove_dir_all(&from).map_err(said)?;
        Ok(restored)
    }

    /// When the base backup was complete: no commit was replayed after it, so the newest one is at most that old.
    async fn time_of_base(&self, store: &dyn ObjectStore, lineage: Lineage) -> Option<i64> {
        let found = bases(store, lineage).await.ok()?;
        let base = found
            .iter()
            .find(|base| Some(base.manifest.index) == self.report.base)?;
        Some(base.manifest.started_at.as_microsecond())
    }

    async fn verify(&mut self, config: &Config, restored: &Restored) -> Result<(), String> {
        let begun = Instant::now();
        let config = config.clone();
        let checked = tokio::task::spawn_blocking(move || {
            verify(
                &config.storage.data_dir,
                &config.wal_dir(),
                config.storage.map_size.0,
            )
        });
        let found: VerifyReport = checked.await.map_err(said)?.map_err(said)?;
        self.report.verify_millis = millis(begun);
        (self.report.nodes, self.report.edges) = (found.graph.nodes, found.graph.edges);
        let problems: Vec<&str> = found.all_problems().collect();
        if !found.is_clean() {
            return Err(format!("the restored data is damaged: {}", problems.join("; ")));
        }
        if found.state_hash != restored.state_hash {
            return Err(format!(
                "the restored graph had the hash {} and has {} now",
                restored.state_hash, found.state_hash
            ));
        }
        Ok(())
    }

    async fn ask(&mut self, config: &Config, checks: &[RestoreCheck], begun: Instant) -> Result<(), String> {
        let client = client(config).map_err(said)?;
        let asked = async {
            until_it_answers(&client, begun).await?;
            self.report.boot_millis = millis(begun);
            self.report.answered_at_micros = Some(Timestamp::now().as_microsecond());
            self.report.step = RestoreTestStep::Queries;
            for check in checks {
                let result = answer(&client, check).await;
                self.report.checks.push(result);
            }
            Ok::<(), String>(())
        }
        .await;
        client.close().await;
        asked?;
        let failed: Vec<String> = self
            .report
            .checks
            .iter()
            .enumerate()
            .filter(|(_, check)| !check.passed)
            .map(|(number, check)| {
                let why = check.message.as_deref().unwrap_or_default();
                format!("query {}: {why}", number + 1)
            })
            .collect();
        if failed.is_empty() {
            Ok(())
        } else {
            Err(failed.join("; "))
        }
    }
}

fn said(error: impl Display) -> String {
    error.to_string()
}

fn millis(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}

fn size_of(directory: &Path) -> std::io::Result<u64> {
    std::fs::read_dir(directory)?
        .map(|entry| Ok(entry?.metadata()?.len()))
        .sum()
}

/// The archive and its newest history. A store that is down or overloaded is asked again.
async fn open(source: &str, access: &Access) -> Result<(Arc<dyn ObjectStore>, Lineage), String> {
    let mut pauses = Backoff::new(Duration::from_millis(300), Duration::from_secs(15));
    loop {
        match open_history(source, access).await {
            Ok(found) => return Ok(found),
            Err(error) if is_worth_another_try(&error, &pauses) => {
                eprintln!("{error}; trying again");
                tokio::time::sleep(pauses.failed()).await;
            }
            Err(error) => return Err(error.to_string()),
        }
    }
}

fn is_worth_another_try(error: &FetchError, pauses: &Backoff) -> bool {
    error.is_transient() && pauses.failures() + 1 < OPEN_ATTEMPTS
}

/// A member on a loopback port that is free now; it has no archive, so it archives nothing.
fn config(data_dir: &Path) -> Result<Config, String> {
    let free = UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr());
    let port = free.map_err(|error| format!("no port is free: {error}"))?.port();
    let mut config = config_of(data_dir);
    config.server.listen = format!("127.0.0.1:{port}");
    config.server.metrics_listen.clear();
    // Not a name: it may stand for ::1 as well, where nobody listens.
    config.cluster.node.address.clone_from(&config.server.listen);
    Ok(config)
}

fn print(report: &RestoreTestReport, checks: &[RestoreCheck], format: Format) {
    if format != Format::Table {
        println!("{}", serde_json::json!(report));
        return;
    }
    println!(
        "{}: {}",
        report.source,
        if report.passed() { "it restores" } else { "FAILED" }
    );
    let seconds = |millis: u64| format!("{:.1} s", Duration::from_millis(millis).as_secs_f64());
    let time = |micros: Option<i64>| {
        micros
            .and_then(|micros| Timestamp::from_microsecond(micros).ok())
            .map_or_else(|| "-".to_owned(), |time| time.to_string())
    };
    let index = |index: Option<geode_types::LogIndex>| {
        index.map_or_else(|| "-".to_owned(), |index| index.to_string())
    };
    println!("base backup    up to {}", index(report.base));
    println!("restored       up to {}", index(report.index));
    println!("newest commit  {}", time(report.newest_micros));
    println!("state hash     {}", report.state_hash.as_deref().unwrap_or("-"));
    println!("graph          {} nodes, {} edges", report.nodes, report.edges);
    println!(
        "fetch          {}, {} bytes",
        seconds(report.fetch_millis),
        report.bytes
    );
    println!("replay         {}", seconds(report.replay_millis));
    println!("verify         {}", seconds(report.verify_millis));
    println!("boot           {}", seconds(report.boot_millis));
    for (check, result) in checks.iter().zip(&report.checks) {
        let verdict = if result.passed { "ok" } else { "FAILED" };
        let told = result.message.as_deref().or(result.value.as_deref());
        println!("{verdict:<6} {}: {}", check.statement, told.unwrap_or("no rows"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_are_json_and_a_slip_is_told_with_an_example() {
        let checks = parse_checks(r#"[{"statement": "RETURN 1", "expectRows": 1}]"#).unwrap();
        assert_eq!(checks.0[0].expect_rows, Some(1));
        for bad in ["MATCH (n) RETURN n", r#"[{"statement": "x", "expects": "1"}]"#] {
            assert!(parse_checks(bad).unwrap_err().contains("statement"), "{bad}");
        }
    }
}
