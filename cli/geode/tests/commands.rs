//! The binary from outside: a shell without a server, and every command against a server that this test starts.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use geode_tests::scrape::{self, free_address};
use serde_json::{Value as Json, json};
use std::io::{BufRead, BufReader, Write};
use std::net::UdpSocket;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

fn geode(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_geode"));
    command.args(args);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("GEODE_")) {
        command.env_remove(name);
    }
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

const CONFIG: &str = "geode.yaml";

/// A server in a directory of its own; commands run in that directory and find CA and password there.
struct Server {
    process: Child,
    directory: TempDir,
    address: String,
}

impl Server {
    fn start() -> Self {
        Self::start_with("")
    }

    /// With this configuration, if there is any.
    fn start_with(config: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        if !config.is_empty() {
            std::fs::write(directory.path().join(CONFIG), config).unwrap();
        }
        let port = UdpSocket::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let address = format!("127.0.0.1:{port}");
        let process = Self::spawn(&directory, &address);
        let server = Self {
            process,
            directory,
            address,
        };
        server.wait();
        server
    }

    fn spawn(directory: &TempDir, address: &str) -> Child {
        let mut serve = geode(&["serve", "--listen", address]);
        if directory.path().join(CONFIG).exists() {
            serve.args(["--config", CONFIG]);
        }
        serve
            .current_dir(directory.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    }

    fn wait(&self) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while !self.run(&["ready"]).status.success() {
            assert!(
                Instant::now() < deadline,
                "{}",
                text(&self.run(&["ready"]).stderr)
            );
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn end(&mut self) {
        let killed = Command::new("kill")
            .args(["-TERM", &self.process.id().to_string()])
            .status()
            .unwrap();
        assert!(killed.success());
        assert!(self.process.wait().unwrap().success());
    }

    fn restart(&mut self) {
        self.end();
        self.process = Self::spawn(&self.directory, &self.address);
        self.wait();
    }

    fn run(&self, args: &[&str]) -> Output {
        geode(args)
            .current_dir(self.directory.path())
            .env("GEODE_HOST", &self.address)
            .output()
            .unwrap()
    }

    fn json(&self, args: &[&str]) -> Json {
        let output = self.run(args);
        assert!(
            output.status.success(),
            "{args:?}: {}{}",
            text(&output.stdout),
            text(&output.stderr)
        );
        serde_json::from_slice(&output.stdout).unwrap()
    }

    fn stop(mut self) -> TempDir {
        self.end();
        self.directory
    }
}

#[test]
fn an_ephemeral_shell_needs_no_server() {
    let output = geode(&[
        "shell",
        "--ephemeral",
        "-c",
        "INSERT (:P {n: 'a;b'}); MATCH (p:P) RETURN p.n AS n",
        "--format",
        "csv",
    ])
    .output()
    .unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(text(&output.stdout), "\r\nn\r\na;b\r\n");
    let output = geode(&["shell", "--ephemeral", "-c", "MATCH (n:Person RETURN n"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let shown = text(&output.stderr);
    assert!(shown.contains("line 1, column") && shown.contains('^'), "{shown}");
}

#[test]
fn a_script_drives_an_ephemeral_shell_line_by_line() {
    let mut shell = geode(&["shell", "--ephemeral", "--format", "jsonl"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = shell.stdin.take().unwrap();
    let mut output = BufReader::new(shell.stdout.take().unwrap());
    let mut ask = |request: Json| -> Json {
        writeln!(input, "{request}").unwrap();
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    };
    assert_eq!(ask(json!({"op": "hello"}))["name"], "geode");
    for number in 0..100 {
        assert_eq!(ask(json!({"op": "reset"}))["ok"], true);
        let wrote = ask(json!({"op": "query", "text": "INSERT (:N {n: $n})", "params": {"n": number}}));
        assert_eq!(wrote["stats"]["nodes_created"], 1, "{wrote}");
        let read = ask(json!({"op": "query", "text": "MATCH (n) RETURN n.n AS n", "dialect": "cypher"}));
        assert_eq!(read["rows"], json!([[number]]));
    }
    assert_eq!(ask(json!({"op": "close"}))["ok"], true);
    assert!(shell.wait().unwrap().success());
}

#[test]
fn a_server_without_configuration_and_every_command_work_together() {
    let server = Server::start();
    for command in ["ping", "health"] {
        assert!(server.run(&[command]).status.success(), "{command}");
    }
    let wrote = server.json(&[
        "query",
        "INSERT (:Person {name: $name})",
        "--param",
        "name=\"Ada\"",
        "--format",
        "json",
    ]);
    let lsn = wrote["lsn"].as_str().unwrap();
    assert_eq!(
        (&wrote["stats"]["nodes_created"], &wrote["columns"]),
        (&json!(1), &json!([]))
    );
    let read = server.json(&[
        "query",
        "MATCH (p:Person) RETURN p.name AS name",
        "--read-lsn",
        lsn,
        "--format",
        "json",
    ]);
    assert_eq!(read["rows"], json!([["Ada"]]));

    let refused = server.run(&["query", "MATCH (n:Person RETURN n", "--format", "json"]);
    assert_eq!(refused.status.code(), Some(1));
    let error: Json = serde_json::from_slice(&refused.stdout).unwrap();
    assert_eq!(error["error"]["position"]["line"], 1);

    let status = server.json(&["cluster", "status", "--format", "json"]);
    assert_eq!(
        (&status["state"], &status["nodes"][0]["role"]),
        (&json!("healthy"), &json!("primary"))
    );
    assert!(text(&server.run(&["cluster", "status"]).stdout).contains("primary"));
    assert!(server.run(&["cluster", "health", "--verbose"]).status.success());
    assert_eq!(
        server.json(&["cluster", "lag", "--format", "json"])["nodes"][0]["lag_ms"],
        0
    );

    let bench = server.json(&[
        "bench",
        "--rate",
        "50",
        "--duration",
        "1s",
        "--clients",
        "4",
        "--format",
        "json",
    ]);
    assert_eq!(
        (&bench["failed"], &bench["unknown"]),
        (&json!(0), &json!(0)),
        "{bench}"
    );
    assert!(
        bench["write"]["count"].as_u64() >= Some(10) && bench["read"]["count"].as_u64() >= Some(10),
        "{bench}"
    );

    let shell = server.run(&[
        "shell",
        "-c",
        "START TRANSACTION; INSERT (:Gone); ROLLBACK; MATCH (g:Gone) RETURN count(*) AS n",
        "--format",
        "jsonl",
    ]);
    assert_eq!(text(&shell.stdout).trim(), r#"{"n":0}"#);

    let directory = server.stop();
    let verified = geode(&["verify"]).current_dir(directory.path()).output().unwrap();
    assert!(
        verified.status.success(),
        "{}{}",
        text(&verified.stdout),
        text(&verified.stderr)
    );
}

#[test]
fn nobody_there_is_an_error_that_says_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    let output = geode(&["query", "RETURN 1 AS x"])
        .current_dir(directory.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let shown = text(&output.stderr);
    assert!(shown.contains("geode serve") && shown.contains("--ca"), "{shown}");
    let output = geode(&[
        "health",
        "--insecure",
        "--host",
        "127.0.0.1:9",
        "--timeout",
        "300ms",
    ])
    .output()
    .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text(&output.stderr).contains("127.0.0.1:9"),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn unknown_words_are_refused_with_the_nearest_right_ones() {
    for (args, meant) in [
        (["qurey", "RETURN 1"], "query"),
        (["ping", "--hosst"], "--host"),
        (["cluster", "statsu"], "status"),
    ] {
        let output = geode(&args).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        assert!(text(&output.stderr).contains(meant), "{}", text(&output.stderr));
    }
}

/// backup-and-recovery: "Planned Failover (maintenance)" and "Unplanned Failover", disaster-recovery: "Failover Procedures", on a cluster of one.
#[test]
fn the_guides_admin_procedures_run_and_read_only_holds_over_a_restart() {
    let mut server = Server::start();
    let write = |server: &Server| server.run(&["query", "INSERT (:Account {id: 1})", "--timeout", "3s"]);
    assert!(write(&server).status.success());
    let before = text(&server.run(&["admin", "last-wal"]).stdout);
    assert!(before.starts_with("0/"), "{before}");
    assert!(server.run(&["admin", "set-read-only", "true"]).status.success());
    let refused = write(&server);
    assert!(!refused.status.success());
    let said = text(&refused.stderr);
    assert!(
        said.contains("read-only") && said.contains("geode admin set-read-only false"),
        "{said}"
    );
    assert!(server.run(&["admin", "wait-for-sync"]).status.success());
    let named = server.json(&[
        "admin",
        "checkpoint",
        "--name",
        "failover-20260128",
        "--format",
        "json",
    ]);
    assert_eq!(named["checkpoint"], "failover-20260128");
    let found = server.json(&[
        "query",
        "SELECT name, timestamp, wal_position FROM system.checkpoints ORDER BY timestamp DESC",
        "--format",
        "json",
    ]);
    assert_eq!(found["rows"][0][0], "failover-20260128");
    server.restart();
    assert!(!write(&server).status.success(), "a restart does not end it");
    assert!(
        server
            .run(&["query", "MATCH (a:Account) RETURN a.id"])
            .status
            .success()
    );
    assert!(
        server
            .run(&["admin", "promote", "--accept-writes", "--force"])
            .status
            .success()
    );
    assert!(write(&server).status.success());
    let status = server.json(&["admin", "status", "--format", "json"]);
    assert_eq!(
        (&status["role"], &status["primary"]),
        (&json!("primary"), &status["member"])
    );
    assert_eq!(text(&server.run(&["admin", "replication-lag"]).stdout), "0\n");
    let wal = server.json(&["admin", "wal-status", "--format", "json"]);
    assert!(
        wal["current_wal_file"].is_string() && wal["archive_lag_bytes"].is_null(),
        "{wal}"
    );
    let other = server.run(&["admin", "failover", "leader1", "--to", "follower1"]);
    assert!(text(&other.stderr).contains("no member is called leader1"));
    assert!(server.run(&["admin", "cluster-status"]).status.success());
    assert!(server.run(&["admin", "read-only"]).status.success());
    assert!(server.run(&["cluster", "last-transaction"]).status.success());
    server.stop();
}

/// Every statement of the guides about system tables, from the copies that are the engine's scenarios.
#[test]
fn the_guides_queries_about_system_tables_run_as_they_are_printed() {
    let server = Server::start();
    let mut count = 0;
    for entry in std::fs::read_dir("../../crates/geode-query/tests/scenarios/guides").unwrap() {
        let copy = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        for rest in copy.split("\n--- query\n").skip(1) {
            let statement = rest.split("\n---").next().unwrap();
            if !statement.to_lowercase().contains("from system.") {
                continue;
            }
            let output = server.run(&["shell", "-c", statement]);
            assert!(output.status.success(), "{statement}: {}", text(&output.stderr));
            count += 1;
        }
    }
    assert_eq!(count, 7);
    server.stop();
}

/// The object store takes nothing, as no sidecar reaches it.
#[test]
fn an_archive_that_gets_nothing_slows_writes_down_before_they_are_refused_and_reads_go_on() {
    let metrics = free_address();
    let server = Server::start_with(&format!(
        "server: {{metrics_listen: '{metrics}'}}\nstorage: {{wal: {{segment_bytes: 1Mi}}}}\n\
         archive: {{s3: {{bucket: nowhere}}, max_lag: 1s, backlog_max: 2Mi, slow_down_max: 300ms}}\n"
    ));
    let metric = |name: &str| scrape::metric(&metrics, name).unwrap();
    assert!(metric("geode_write_delay_seconds") <= 0.0);
    let param = format!("text=\"{}\"", "x".repeat(32 << 10));
    let (mut slowest, deadline) = (0.0, Instant::now() + Duration::from_secs(90));
    let refused = loop {
        let written = server.run(&[
            "query",
            "INSERT (:Page {text: $text})",
            "--param",
            &param,
            "--timeout",
            "3s",
        ]);
        if !written.status.success() {
            break text(&written.stderr);
        }
        slowest = f64::max(slowest, metric("geode_write_delay_seconds"));
        assert!(
            Instant::now() < deadline,
            "never refused; slowed down to {slowest} s"
        );
    };
    assert!(refused.contains("archive.backlog_max (2 MiB)"), "{refused}");
    assert!(slowest > 0.0 && slowest <= 0.3, "{slowest}");
    let count = server.json(&["query", "MATCH (p:Page) RETURN count(*)", "--format", "json"]);
    assert!(count["rows"][0][0].as_i64() > Some(20), "{count}");
    let status = server.json(&[
        "query",
        "SELECT archive_lag_bytes, last_archived_file FROM system.wal_archiving_status",
        "--format",
        "json",
    ]);
    assert!(
        status["rows"][0][0].as_i64() > Some(2 << 20) && status["rows"][0][1].is_null(),
        "{status}"
    );
    server.stop();
}

#[test]
fn every_command_has_a_manual_page() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("man1");
    let output = geode(&["man", path.to_str().unwrap()]).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    for page in [
        "geode.1",
        "geode-serve.1",
        "geode-cluster-failover.1",
        "geode-admin-set-read-only.1",
    ] {
        let said = std::fs::read_to_string(path.join(page)).unwrap();
        assert!(said.contains(".SH NAME"), "{page}");
    }
}
