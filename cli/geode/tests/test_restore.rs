//! `geode backup test-restore` from outside, on an archive that a real server's log was put into.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant, SystemTime};
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(60);

fn geode(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_geode"));
    command.args(args);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("GEODE_")) {
        command.env_remove(name);
    }
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Until it is there.
fn wait<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// An archive below a directory, and the hash of the graph that is in it.
struct Archive {
    place: TempDir,
}

impl Archive {
    /// The log of a server that ends its segments soon, because it believes that a sidecar archives them.
    fn new(statements: &[&str]) -> Self {
        let place = tempfile::tempdir().unwrap();
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap().to_string();
        drop(socket);
        let config = place.path().join("geode.yaml");
        let data = place.path().join("data");
        let settings = json!({
            "server": {"listen": address, "metrics_listen": ""}, "cluster": {"node": {"address": address}},
            "storage": {"data_dir": data}, "archive": {"s3": {"bucket": "none"}, "max_lag": "1s"},
        });
        std::fs::write(&config, settings.to_string()).unwrap();
        let mut server = geode(&["serve", "--config", config.to_str().unwrap()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let ask = |statement: &str| {
            geode(&["query", statement, "--format", "json"])
                .env("GEODE_HOST", &address)
                .env("GEODE_DATA_DIR", &data)
                .output()
                .unwrap()
        };
        wait("the server answers", || {
            ask("RETURN 1").status.success().then_some(())
        });
        let mut last = 0;
        for statement in statements {
            let output = ask(statement);
            assert!(output.status.success(), "{}", text(&output.stdout));
            let answer: Json = serde_json::from_slice(&output.stdout).unwrap();
            let lsn = answer["lsn"].as_str().unwrap();
            last = lsn.rsplit_once('/').unwrap().1.parse().unwrap();
        }
        wait("the last write is in a segment that has ended", || {
            segments(&data)
                .iter()
                .any(|segment| last_entry(segment) >= last)
                .then_some(())
        });
        server.kill().unwrap();
        server.wait().unwrap();
        let identity: Json =
            serde_json::from_slice(&std::fs::read(data.join("identity.json")).unwrap()).unwrap();
        let cluster = identity["cluster"].as_str().unwrap();
        let archive = Self { place };
        let folder = archive.root().join(format!("{cluster}/00000000/wal/0"));
        std::fs::create_dir_all(&folder).unwrap();
        for segment in segments(&data) {
            std::fs::copy(&segment, folder.join(segment.file_name().unwrap())).unwrap();
        }
        archive
    }

    fn root(&self) -> PathBuf {
        self.place.path().join("archive")
    }

    /// Names, sizes and times of everything in it.
    fn content(&self) -> BTreeMap<PathBuf, (u64, SystemTime)> {
        let mut content = BTreeMap::new();
        let mut open = vec![self.root()];
        while let Some(folder) = open.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let entry = entry.unwrap();
                let facts = entry.metadata().unwrap();
                if facts.is_dir() {
                    open.push(entry.path());
                } else {
                    content.insert(entry.path(), (facts.len(), facts.modified().unwrap()));
                }
            }
        }
        content
    }

    fn test(&self, flags: &[&str]) -> Output {
        let source = format!("file://{}", self.root().display());
        let mut args = vec!["backup", "test-restore", "--input", &source];
        args.extend(flags);
        geode(&args).output().unwrap()
    }
}

fn segments(data: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(data.join("wal/group-0")) else {
        return Vec::new();
    };
    let mut found: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    found.retain(|path| path.extension().is_some_and(|extension| extension == "seg"));
    found.sort();
    found
}

fn last_entry(segment: &Path) -> u64 {
    let name = segment.file_stem().unwrap().to_str().unwrap();
    name.rsplit_once('-').unwrap().1.parse().unwrap()
}

#[test]
fn an_archive_is_restored_checked_asked_and_left_alone() {
    let archive = Archive::new(&["FOR i IN range(1, 50) INSERT (:P {n: i})-[:NEXT]->(:Q {n: i})"]);
    let (before, temp) = (archive.content(), archive.place.path().join("temp"));
    let report_file = archive.place.path().join("report");
    let temp = temp.to_str().unwrap();
    let passed = archive.test(&[
        "--temp-dir",
        temp,
        "--run-queries",
        "MATCH (p:P) RETURN count(p)",
        "--checks",
        r#"[{"statement": "MATCH (q:Q) RETURN sum(q.n)", "expectRows": 1, "expect": "1275"}]"#,
        "--format",
        "json",
        "--report",
        report_file.to_str().unwrap(),
    ]);
    assert!(passed.status.success(), "{}", text(&passed.stderr));
    let report: Json = serde_json::from_slice(&passed.stdout).unwrap();
    assert_eq!(
        (&report["step"], &report["nodes"], &report["edges"]),
        (&json!("done"), &json!(100), &json!(50)),
        "{report}"
    );
    assert_eq!(
        (&report["checks"][0]["value"], &report["checks"][1]["passed"]),
        (&json!("50"), &json!(true))
    );
    assert!(report["newestMicros"].as_i64() > Some(0) && report["answeredAtMicros"].as_i64() > Some(0));
    let written: Json = serde_json::from_slice(&std::fs::read(report_file).unwrap()).unwrap();
    assert_eq!(written, report);
    assert_eq!(archive.content(), before, "the archive was changed");
    assert_eq!(std::fs::read_dir(temp).unwrap().count(), 0, "something is left");

    let told = archive.test(&["--run-queries", "MATCH (p:P) RETURN count(p)"]);
    let shown = text(&told.stdout);
    assert!(
        told.status.success() && shown.contains("it restores") && shown.contains("ok"),
        "{shown}{}",
        text(&told.stderr)
    );
}

#[test]
fn a_query_that_fails_writes_or_is_answered_otherwise_fails_the_test_and_the_rest_is_told() {
    let archive = Archive::new(&["INSERT (:P)"]);
    let before = archive.content();
    let failed = archive.test(&[
        "--run-queries",
        "MATCH (p:P RETURN p",
        "--run-queries",
        "INSERT (:Written)",
        "--run-queries",
        "MATCH (p:P) RETURN count(p)",
        "--checks",
        r#"[{"statement": "MATCH (p:P) RETURN p", "expectRows": 2}]"#,
        "--format",
        "json",
    ]);
    assert_eq!(failed.status.code(), Some(1));
    let report: Json = serde_json::from_slice(&failed.stdout).unwrap();
    let passed: Vec<&Json> = report["checks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|check| &check["passed"])
        .collect();
    assert_eq!(passed, [false, false, true, false], "{report}");
    let said = text(&failed.stderr);
    assert!(
        said.contains("step queries") && said.contains("1 rows instead of 2"),
        "{said}"
    );
    assert!(
        report["checks"][1]["message"]
            .as_str()
            .unwrap()
            .to_lowercase()
            .contains("read"),
        "{report}"
    );
    assert_eq!(archive.content(), before, "the archive was changed");
}

#[test]
fn an_archive_that_is_damaged_empty_or_not_there_fails_in_the_step_that_finds_it() {
    let archive = Archive::new(&["INSERT (:P)"]);
    let (segment, (bytes, _)) = archive.content().pop_last().unwrap();
    let mut content = std::fs::read(&segment).unwrap();
    content[bytes as usize / 2] ^= 1;
    std::fs::write(&segment, content).unwrap();
    let failed = archive.test(&["--format", "json"]);
    let report: Json = serde_json::from_slice(&failed.stdout).unwrap();
    assert_eq!(
        (failed.status.code(), &report["step"]),
        (Some(1), &json!("fetch")),
        "{report}"
    );

    let empty = tempfile::tempdir().unwrap();
    let source = format!("file://{}", empty.path().display());
    let nothing = geode(&["backup", "test-restore", "--source", &source])
        .output()
        .unwrap();
    assert_eq!(nothing.status.code(), Some(1));
    assert!(text(&nothing.stderr).contains("nothing is archived"));

    std::fs::write(empty.path().join("something"), "x").unwrap();
    let taken = archive.test(&["--temp-dir", empty.path().to_str().unwrap()]);
    assert_eq!(taken.status.code(), Some(1));
    assert!(text(&taken.stderr).contains("is not empty"));
    assert!(empty.path().join("something").exists());
}
