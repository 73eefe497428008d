//! `geode backup` from outside: of a server that this test starts, into a directory, and back.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use serde_json::Value as Json;
use std::net::UdpSocket;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

fn geode(directory: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_geode"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("GEODE_")) {
        command.env_remove(name);
    }
    command.args(args).current_dir(directory);
    command
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.as_slice(), output.stderr.as_slice()].concat()).into_owned()
}

fn port() -> u16 {
    UdpSocket::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

/// A server with an internal port, in a directory of its own.
struct Server {
    process: Child,
    directory: tempfile::TempDir,
    host: String,
    internal: String,
}

impl Server {
    fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (host, internal) = (format!("127.0.0.1:{}", port()), format!("127.0.0.1:{}", port()));
        let config = format!(
            "server: {{listen: \"{host}\", internal_listen: \"{internal}\", metrics_listen: \"\"}}\nstorage: {{data_dir: ./geode-data}}\n\
             cluster: {{node: {{id: one, address: \"{host}\"}}, internal_address: \"{internal}\"}}\n"
        );
        std::fs::write(directory.path().join("geode.yaml"), config).unwrap();
        let process = geode(
            directory.path(),
            &["serve", "--config", "geode.yaml", "--cluster-init"],
        )
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
        let server = Self {
            process,
            directory,
            host,
            internal,
        };
        let deadline = Instant::now() + Duration::from_secs(30);
        while !server.run(&["ready", "--host", &server.host]).status.success() {
            assert!(
                Instant::now() < deadline,
                "{}",
                text(&server.run(&["ready", "--host", &server.host]))
            );
            std::thread::sleep(Duration::from_millis(100));
        }
        server
    }

    fn run(&self, args: &[&str]) -> Output {
        geode(self.directory.path(), args).output().unwrap()
    }

    fn json(&self, args: &[&str]) -> Json {
        let output = self.run(&[args, &["--format", "json"]].concat());
        assert!(output.status.success(), "{args:?}: {}", text(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    fn query(&self, statement: &str) {
        let output = self.run(&["query", "--host", &self.host, statement]);
        assert!(output.status.success(), "{}", text(&output));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A command as it is typed, without quotes.
fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

/// A server with two nodes, and its sealed full backup in `./backups`.
fn sealed() -> (Server, Json) {
    let server = Server::start();
    server.query("INSERT (:P {n: 1})-[:K]->(:P {n: 2})");
    std::fs::write(server.directory.path().join("backup.key"), "ab".repeat(32)).unwrap();
    let create = format!(
        "backup create --output ./backups --internal {} --type full --compress gzip --parallel 4 --encrypt {KEY}",
        server.internal
    );
    let made = server.json(&words(&create));
    assert!(made["state_hash"].is_string(), "{made}");
    (server, made)
}

const KEY: &str = "--encryption-key-file backup.key";

#[test]
fn a_sealed_backup_of_a_running_server_is_listed_verified_and_restored() {
    let (server, made) = sealed();
    let (location, name) = (made["location"].as_str().unwrap(), made["name"].as_str().unwrap());
    let chain = text(&server.run(&["backup", "list", "--chain", location]));
    assert!(
        chain.contains(&format!("Backup Chain for {name}:")) && chain.contains("Total size:"),
        "{chain}"
    );
    let verify = format!("backup verify --input {location} --check-checksums --check-consistency");
    assert_eq!(server.json(&words(&format!("{verify} {KEY}")))["clean"], true);
    let without_key = text(&server.run(&words(&verify)));
    assert!(without_key.contains("no keys are given"), "{without_key}");

    let unknown = "00000000000000000001-00000000";
    for refused in [
        format!("backup verify --source ./backups --backup-id {unknown} {KEY}"),
        format!("restore --source ./backups --backup-id {unknown} --target ./none --target-lsn 0/1 {KEY}"),
        format!(
            "restore --source ./backups --backup-id {unknown} --target ./none --wal-archive ./backups {KEY}"
        ),
    ] {
        let output = server.run(&words(&refused));
        let said = text(&output);
        assert!(
            !output.status.success()
                && said.contains(&format!("has no backup {unknown}"))
                && said.contains(name),
            "{refused}: {said}"
        );
    }

    // disaster-recovery: BASE_BACKUP=$(geode backup --list --dest … --type full --format json | jq -r '.backups[0].id')
    let listed = server.json(&words("backup --list --dest ./backups --type full"));
    assert_eq!(listed["backups"][0]["id"], name, "{listed}");
    let earlier = server.json(&words(
        "backup --list --dest ./backups --before 2000-01-01T00:00:00Z",
    ));
    assert_eq!(earlier["backups"], serde_json::json!([]));
    let by_id = format!(
        "restore --source ./backups --backup-id {name} --target ./by-id --include-incrementals {KEY}"
    );
    assert_eq!(server.json(&words(&by_id))["state_hash"], made["state_hash"]);

    server.query("INSERT (:P {n: 3})");
    let restore =
        format!("backup restore --input {location} --data-dir ./restored --parallel 2 --restore-chain {KEY}");
    let restored = server.json(&words(&restore));
    assert_eq!(
        (&restored["state_hash"], &restored["index"]),
        (&made["state_hash"], &made["index"])
    );
    let refused = text(&server.run(&words(&format!("{restore} --incremental"))));
    assert!(refused.contains("its chain comes with it"), "{refused}");

    // The log of this server is archived nowhere, so nothing leads on from the full backup.
    let increment = format!(
        "backup create --output ./backups --internal {} --type incremental --base-backup nothing",
        server.internal
    );
    let refused = text(&server.run(&words(&increment)));
    assert!(
        refused.contains("has no full backup or increment of the name"),
        "{refused}"
    );
}

#[test]
fn a_test_restore_asks_the_restored_graph_and_leaves_nothing_behind() {
    let (server, made) = sealed();
    let location = made["location"].as_str().unwrap();
    let folder = server.directory.path().join("tests");
    std::fs::create_dir(&folder).unwrap();
    let test = format!("backup test-restore --input {location} --temp-dir ./tests {KEY} --run-queries");
    let tested = server.json(&[words(&test).as_slice(), &["MATCH (p:P) RETURN count(*) AS n"]].concat());
    assert_eq!(
        (&tested["checks"][0]["value"], &tested["stateHash"]),
        (&Json::from("2"), &made["state_hash"])
    );
    let bad = server.run(&[words(&test).as_slice(), &["MATCH (p:P) RETURN q"]].concat());
    assert!(!bad.status.success(), "a query that fails fails the test");
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0);
}

#[test]
fn a_backup_that_cannot_be_says_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    let create = |more: &[&str]| {
        let args = [["backup", "create", "--output", "x"].as_slice(), more].concat();
        let output = geode(directory.path(), &args).output().unwrap();
        assert!(!output.status.success());
        text(&output)
    };
    assert!(create(&[]).contains("server.internal_listen"));
    assert!(create(&["--encrypt"]).contains("--encryption-key-file"));
    assert!(create(&["--type", "partial"]).contains("full, incremental and differential"));
    assert!(create(&["--compress", "rar"]).contains("none, gzip, lz4 and zstd"));
    assert!(create(&["--base-backup", "a/b"]).contains("goes on from nothing"));
    assert!(
        create(&["--type", "incremental", "--base-backup", "/elsewhere/full"])
            .contains("name that as --output")
    );
}

/// production-deployment: "Incremental Backups" and "Point-in-Time Recovery"; disaster-recovery: `restore_command`.
#[test]
fn the_log_of_a_server_without_a_sidecar_is_stored_fetched_and_replayed() {
    let server = Server::start();
    server.query("INSERT (:P {n: 1})-[:K]->(:P {n: 2})");
    let store = format!(
        "wal-archive --since-checkpoint --output ./backups --internal {}",
        server.internal
    );
    let stored = server.json(&words(&store));
    assert!(stored["segments"].as_u64().unwrap() > 0, "{stored}");
    server.query("INSERT (:P {n: 3})");
    let both = format!(
        "admin backup --include-wal --include-config --output ./backups --internal {}",
        server.internal
    );
    let output = server.run(&words(&both));
    assert!(output.status.success(), "{}", text(&output));
    server.query("INSERT (:P {n: 4})");
    assert!(server.json(&words(&store))["segments"].as_u64().unwrap() > 0);

    let segments = segments(&server.directory.path().join("backups"));
    let newest = segments.last().unwrap();
    let name = newest.file_name().unwrap().to_str().unwrap();
    let output = server.run(&["wal-restore", name, "fetched.seg", "--source", "./backups"]);
    assert!(output.status.success(), "{}", text(&output));
    let fetched = std::fs::read(server.directory.path().join("fetched.seg")).unwrap();
    assert_eq!(fetched, std::fs::read(newest).unwrap());
    let output = server.run(&["wal-restore", "000000", "x", "--source", "./backups"]);
    assert!(text(&output).contains("FIRST-LAST.seg"), "{}", text(&output));

    let state = server.json(&[
        "query",
        "--host",
        &server.host,
        "SELECT hash FROM system.state_hash",
    ]);
    let replay = words("wal-replay --wal-archive ./backups --data-dir ./replayed");
    assert_eq!(server.json(&replay)["state_hash"], state["rows"][0][0]);
    let again = text(&server.run(&replay));
    assert!(again.contains("holds a database"), "{again}");
    let restore =
        words("admin restore --from ./backups --data-dir ./again --target-cluster other --verify-integrity");
    let output = server.run(&restore);
    assert!(
        output.status.success() && text(&output).contains("cluster.name: other"),
        "{}",
        text(&output)
    );
}

/// The archived segments below a folder, oldest first.
fn segments(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(segments(&path));
        } else if path.extension().is_some_and(|end| end == "seg") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// high-availability-guide: "Failover Events"; distributed-systems: "Upgrade script".
#[test]
fn a_member_tells_who_led_and_says_when_it_runs_a_version() {
    let server = Server::start();
    let led = server.json(&["cluster", "events", "--type", "failover", "--host", &server.host]);
    assert_eq!(led["events"].as_array().unwrap().len(), 1, "{led}");
    assert_eq!(led["events"][0]["new"], "one", "{led}");
    let version = env!("CARGO_PKG_VERSION");
    let runs = server.json(&[
        "admin",
        "upgrade",
        "one",
        "--version",
        version,
        "--host",
        &server.host,
    ]);
    assert_eq!(runs["version"], version);
    let wait = [
        "admin",
        "upgrade",
        "one",
        "--version",
        "9.9.9",
        "--timeout",
        "1s",
        "--host",
        &server.host,
    ];
    let output = server.run(&wait);
    assert!(
        !output.status.success() && text(&output).contains("it may be stopped now"),
        "{}",
        text(&output)
    );
    let metrics = server.json(&[
        "query",
        "--host",
        &server.host,
        "SELECT node_id, cpu_utilization FROM system.cluster_metrics",
    ]);
    assert_eq!(metrics["columns"][0], "node_id", "{metrics}");
}
