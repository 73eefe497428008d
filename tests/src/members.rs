//! Real members on loopback: starts, kills and asks them. Each cluster has its own directory, ports and certificates.

#![expect(clippy::panic, reason = "a test stops at the first surprise")]

use crate::certificates::certificates;
use crate::machine::{Frozen, Throttled, Volumes};
use crate::network::Network;
use crate::scrape;
use serde_json::Value;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

const READY_TIMEOUT: Duration = Duration::from_secs(60);

/// Asks until the answer is yes; panics with what was waited for.
pub fn wait_for(what: &str, timeout: Duration, mut probe: impl FnMut() -> bool) {
    let start = Instant::now();
    while !probe() {
        assert!(start.elapsed() < timeout, "{what}: not within {timeout:?}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Runs the binary `geode` and returns what it said when it failed.
pub fn geode_fails(geode: &str, arguments: &[&str]) -> String {
    let output = Command::new(geode)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .expect("geode starts");
    assert!(!output.status.success(), "geode {arguments:?} should have failed");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

struct Member {
    process: Option<Child>,
    arguments: Vec<String>,
    address: String,
    internal: u16,
    data: PathBuf,
    volumes: Volumes,
}

/// A disk of its own for one member, for [`Members::freeze`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnDisk {
    /// This member's log lies on it.
    Log(usize),
    /// This member's data directory lies on it.
    Data(usize),
}

/// A cluster that is to be started; the default is three members as a user has them.
#[derive(Clone, Debug)]
pub struct Plan {
    /// How many members.
    pub members: usize,
    /// `cluster.timing`.
    pub timing: &'static str,
    /// The seed of a bad network between them; it begins with fine weather.
    pub network: Option<u64>,
    /// The size of data and WAL volumes of member 0, MiB, when they are small volumes of its own.
    pub small_volumes: Option<u32>,
    /// What lies on a disk of its own.
    pub disk: Option<OwnDisk>,
    /// `cluster.feature_level_max` of all of them; a line of its own in each one's configuration.
    pub feature_level_max: Option<u8>,
    /// Further lines of each one's configuration.
    pub more: String,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            members: 3,
            timing: "fast",
            network: None,
            small_volumes: None,
            disk: None,
            feature_level_max: None,
            more: String::new(),
        }
    }
}

/// Members of one cluster, or a single embedded one.
pub struct Members {
    geode: String,
    folder: tempfile::TempDir,
    members: Vec<Member>,
    password: PathBuf,
    ca: PathBuf,
    network: Option<Network>,
}

impl Members {
    /// One member as `geode serve` without configuration makes it.
    pub fn embedded(geode: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let data = folder.path().join("data");
        let address = format!("127.0.0.1:{}", free_ports()[0]);
        let arguments = [
            "serve",
            "--data-dir",
            &data.display().to_string(),
            "--listen",
            &address,
        ]
        .map(str::to_owned)
        .to_vec();
        let (password, ca) = (data.join("admin-password"), data.join("tls/ca.crt"));
        let mut members = Self {
            geode: geode.to_owned(),
            folder,
            members: vec![Member {
                process: None,
                arguments,
                address,
                internal: 0,
                data,
                volumes: Volumes::Shared,
            }],
            password,
            ca,
            network: None,
        };
        members.start(0);
        members.wait_ready(0);
        members
    }

    /// Members that find each other as the guides say: the first with `--cluster-init`, the others with `--join`.
    pub fn cluster(geode: &str, count: usize) -> Self {
        let plan = Plan {
            members: count,
            ..Plan::default()
        };
        Self::planned(geode, &plan)
    }

    /// As [`Members::cluster`], in other circumstances.
    pub fn planned(geode: &str, plan: &Plan) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let root = folder.path().to_owned();
        certificates(&root);
        let password = root.join("password");
        std::fs::write(&password, "correct horse battery staple").expect("write the password");
        let ports: Vec<[u16; 2]> = (0..plan.members).map(|_| free_ports()).collect();
        let internal: Vec<u16> = ports.iter().map(|[_, internal]| *internal).collect();
        let mut members = Self {
            geode: geode.to_owned(),
            folder,
            members: Vec::new(),
            password,
            ca: root.join("ca.crt"),
            network: plan.network.map(|seed| Network::new(seed, &internal)),
        };
        for (number, [client, internal]) in ports.iter().enumerate() {
            let reached = match &members.network {
                Some(network) => network.address(number).port(),
                None => *internal,
            };
            let config = config(&root, number, plan, [*client, *internal, reached]);
            let path = members.write(&format!("geode-{number}.yaml"), &config);
            let mut arguments = ["serve", "--config", &path].map(str::to_owned).to_vec();
            match number {
                0 => arguments.push("--cluster-init".to_owned()),
                _ => arguments.extend(["--join".to_owned(), format!("127.0.0.1:{}", ports[0][1])]),
            }
            let (data, wal) = (data_folder(&root, number), wal_folder(&root, number));
            members.members.push(Member {
                process: None,
                arguments,
                address: format!("127.0.0.1:{client}"),
                internal: *internal,
                data: data.clone(),
                volumes: volumes(plan, number, data, wal),
            });
            members.start(number);
        }
        (0..plan.members).for_each(|member| members.wait_ready(member));
        wait_for("every member votes", READY_TIMEOUT, || {
            let table = members.try_query(0, "SELECT role FROM system.cluster_nodes", &[]);
            let rows = table
                .ok()
                .and_then(|table| table["rows"].as_array().cloned())
                .unwrap_or_default();
            rows.len() == plan.members && rows.iter().all(|row| row[0] == "leader" || row[0] == "follower")
        });
        members
    }

    /// The network between the members.
    pub fn network(&self) -> &Network {
        self.network.as_ref().expect("the plan has a network")
    }

    /// The data directory of a member.
    pub fn data(&self, member: usize) -> &Path {
        &self.members[member].data
    }

    /// The folder of a member's log.
    pub fn wal(&self, member: usize) -> PathBuf {
        wal_folder(self.folder.path(), member)
    }

    /// Writes a file into the test's folder and returns its path.
    pub fn write(&self, name: &str, text: &str) -> String {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).expect("write a file of the test");
        path.display().to_string()
    }

    /// Starts a member; its log goes to `<data>.log`.
    pub fn start(&mut self, member: usize) {
        let member = &mut self.members[member];
        let mut command = member.volumes.command(&self.geode);
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(log_file(&member.data))
            .expect("a log file");
        command
            .args(&member.arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        member.process = Some(command.spawn().expect("geode starts"));
    }

    /// Starts a member, whose directories must be gone, as a new one that joins the cluster of `seed`.
    pub fn rejoin(&mut self, member: usize, seed: usize) {
        let config = self.members[member].arguments[..3].to_vec();
        let join = [
            "--join".to_owned(),
            format!("127.0.0.1:{}", self.members[seed].internal),
        ];
        self.members[member].arguments = config.into_iter().chain(join).collect();
        self.start(member);
    }

    /// SIGKILL, and the process is gone when this returns.
    pub fn kill(&mut self, member: usize) {
        let mut process = self.members[member].process.take().expect("the member runs");
        process.kill().expect("kill");
        process.wait().expect("wait");
    }

    /// SIGSTOP: the process keeps everything and does nothing, until [`Members::go_on`].
    pub fn pause(&self, member: usize) {
        self.signal(member, "-STOP");
    }

    /// SIGCONT.
    pub fn go_on(&self, member: usize) {
        self.signal(member, "-CONT");
    }

    /// Every write to this member's own disk waits until the guard is dropped.
    pub fn freeze(&self, member: usize) -> Frozen {
        let Volumes::Disk { folder, .. } = &self.members[member].volumes else {
            panic!("member {member} has no disk of its own");
        };
        Frozen::new(&self.seen_by(member, folder))
    }

    /// The sum of a metric's series on the page of the member whose data has a disk of its own; an error when the page does not come.
    pub fn metric(&self, member: usize, name: &str) -> std::io::Result<f64> {
        let config = std::fs::read_to_string(self.config_file(member))?;
        let mut lines = config.lines().map(str::trim);
        let address = lines.find_map(|line| line.strip_prefix("metrics_listen: "));
        scrape::metric(address.expect("a page of metrics"), name)
    }

    /// The member has a tenth of a core until the guard is dropped.
    pub fn throttle(&self, member: usize) -> Throttled {
        let process = self.members[member].process.as_ref().expect("the member runs");
        Throttled::new(process.id())
    }

    fn signal(&self, member: usize, signal: &str) {
        let process = self.members[member].process.as_ref().expect("the member runs");
        let sent = Command::new("kill")
            .args([signal, &process.id().to_string()])
            .status();
        assert!(
            sent.is_ok_and(|status| status.success()),
            "kill {signal} of member {member}"
        );
    }

    /// Until its process has ended by itself with an error; what it said last.
    pub fn wait_refused(&mut self, member: usize, code: u8) -> String {
        wait_for("the member ends", READY_TIMEOUT, || !self.is_running(member));
        let mut process = self.members[member].process.take().expect("it was started");
        let status = process.wait().expect("it has ended");
        assert_eq!(
            status.code(),
            Some(code.into()),
            "member {member} ended with {status}"
        );
        self.log(member).lines().last().unwrap_or_default().to_owned()
    }

    /// All that a member has said.
    pub fn log(&self, member: usize) -> String {
        std::fs::read_to_string(log_file(&self.members[member].data)).unwrap_or_default()
    }

    /// Where another process reads and writes what this member's process has at `path`, on small volumes too.
    pub fn seen_by(&self, member: usize, path: &Path) -> PathBuf {
        let process = self.members[member].process.as_ref().expect("the member runs");
        let root = PathBuf::from(format!("/proc/{}/root", process.id()));
        root.join(path.strip_prefix("/").expect("an absolute path"))
    }

    /// Where a member answers clients.
    pub fn address(&self, member: usize) -> &str {
        &self.members[member].address
    }

    /// Where a member answers other members, sidecars and the operator.
    pub fn internal_address(&self, member: usize) -> SocketAddr {
        ([127, 0, 0, 1], self.members[member].internal).into()
    }

    /// A certificate of the cluster and its key, which every member has.
    pub fn certificate_files(&self) -> [PathBuf; 2] {
        ["tls.crt", "tls.key"].map(|name| self.folder.path().join(name))
    }

    /// A member's configuration.
    pub fn config_file(&self, member: usize) -> PathBuf {
        self.folder.path().join(format!("geode-{member}.yaml"))
    }

    /// The administrator's password.
    pub fn password_file(&self) -> &std::path::Path {
        &self.password
    }

    /// The certificate of the authority that clients trust.
    pub fn ca_file(&self) -> &std::path::Path {
        &self.ca
    }

    /// Whether its process is there.
    pub fn is_running(&mut self, member: usize) -> bool {
        self.members[member]
            .process
            .as_mut()
            .is_some_and(|process| matches!(process.try_wait(), Ok(None)))
    }

    /// The processes that run.
    pub fn pids(&self) -> Vec<u32> {
        let processes = self.members.iter().filter_map(|member| member.process.as_ref());
        processes.map(Child::id).collect()
    }

    /// What `geode ready` says.
    pub fn is_ready(&self, member: usize) -> bool {
        let output = self.command(member, "ready").output().expect("geode starts");
        output.status.success()
    }

    /// Until `geode ready` says so.
    pub fn wait_ready(&self, member: usize) {
        let start = Instant::now();
        loop {
            let output = self.command(member, "ready").output().expect("geode starts");
            if output.status.success() {
                return;
            }
            if start.elapsed() > READY_TIMEOUT {
                let log = self.log(member);
                let tail: Vec<&str> = log.lines().rev().take(20).collect();
                panic!(
                    "member {member} is not ready: {}\n{tail:#?}",
                    String::from_utf8_lossy(&output.stderr)
                );
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Which member leads.
    pub fn leader(&self) -> usize {
        self.leader_seen_by(0).expect("a leader")
    }

    /// Which member leads, as this one sees it, when it answers.
    pub fn leader_seen_by(&self, via: usize) -> Option<usize> {
        // With a position the member that is asked answers, whoever leads.
        let text = "SELECT name, role FROM system.cluster_nodes";
        let table = self
            .try_query(via, text, &["--read-lsn", "0/0", "--timeout", "3s"])
            .ok()?;
        let leader = table["rows"].as_array()?.iter().find(|row| row[1] == "leader")?;
        leader[0].as_str()?.rsplit_once('-')?.1.parse().ok()
    }

    /// The answer to a statement.
    pub fn query(&self, member: usize, text: &str) -> Value {
        self.query_with(member, text, &[])
    }

    /// The answer to a statement, with further flags.
    pub fn query_with(&self, member: usize, text: &str, flags: &[&str]) -> Value {
        self.try_query(member, text, flags)
            .unwrap_or_else(|said| panic!("{text}: {said}"))
    }

    /// The answer, or all that was said.
    pub fn try_query(&self, member: usize, text: &str, flags: &[&str]) -> Result<Value, String> {
        let output = self
            .command(member, "query")
            .arg(text)
            .args(["--format", "json"])
            .args(flags)
            .output()
            .expect("geode starts");
        let (said, complaint) = (
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
        );
        if !output.status.success() {
            return Err(format!("{said}{complaint}"));
        }
        serde_json::from_str(&said).map_err(|error| format!("{error}: {said}"))
    }

    /// `geode SUBCOMMAND` for one member.
    fn command(&self, member: usize, subcommand: &str) -> Command {
        self.command_for(&[member], subcommand)
    }

    /// The term that the leader is in, and which member that is.
    pub fn term(&self, via: usize) -> (u64, usize) {
        let output = self
            .command(via, "cluster status")
            .args(["--format", "json"])
            .output();
        let output = output.expect("geode starts");
        let said = String::from_utf8_lossy(&output.stdout);
        let status: Value = serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}"));
        let leader = self.leader_seen_by(via).expect("a leader");
        (status["term"].as_u64().expect("a term"), leader)
    }

    /// `geode SUBCOMMAND` that knows these members and may ask them.
    pub fn command_for(&self, members: &[usize], subcommand: &str) -> Command {
        let hosts: Vec<&str> = members
            .iter()
            .map(|member| self.members[*member].address.as_str())
            .collect();
        let mut command = Command::new(&self.geode);
        command
            .args(subcommand.split(' '))
            .args(["--host", &hosts.join(",")]);
        command
            .arg("--password-file")
            .arg(&self.password)
            .arg("--ca")
            .arg(&self.ca)
            .stdin(Stdio::null());
        command
    }
}

impl Drop for Members {
    fn drop(&mut self) {
        for member in &mut self.members {
            if let Some(mut process) = member.process.take() {
                let _ = process.kill();
                let _ = process.wait();
            }
            if std::thread::panicking() {
                let log = std::fs::read_to_string(log_file(&member.data)).unwrap_or_default();
                eprintln!("--- {}\n{log}", member.address);
            }
        }
    }
}

/// `geode shell --format jsonl` that knows several members.
pub struct Shell {
    process: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Shell {
    /// A shell that knows these members.
    pub fn open(members: &Members, hosts: &[usize]) -> Self {
        let mut command = members.command_for(hosts, "shell");
        let mut process = command
            .args(["--format", "jsonl"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("geode starts");
        let to = process.stdin.take().expect("piped");
        let from = BufReader::new(process.stdout.take().expect("piped"));
        Self { process, to, from }
    }

    /// A request, and its answer.
    pub fn ask(&mut self, request: &Value) -> Value {
        writeln!(self.to, "{request}").expect("the shell reads");
        let mut line = String::new();
        self.from.read_line(&mut line).expect("the shell answers");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Two UDP ports that were free a moment ago.
fn free_ports() -> [u16; 2] {
    let sockets = [(); 2].map(|()| UdpSocket::bind("127.0.0.1:0").expect("a free port"));
    sockets.map(|socket| socket.local_addr().expect("bound").port())
}

fn data_folder(root: &Path, number: usize) -> PathBuf {
    root.join(format!("data-{number}"))
}

fn wal_folder(root: &Path, number: usize) -> PathBuf {
    root.join(format!("wal-{number}"))
}

fn log_file(data: &Path) -> PathBuf {
    data.with_extension("log")
}

fn volumes(plan: &Plan, number: usize, data: PathBuf, wal: PathBuf) -> Volumes {
    match plan.disk {
        Some(OwnDisk::Log(member)) if member == number => return Volumes::on_a_disk(wal),
        Some(OwnDisk::Data(member)) if member == number => return Volumes::on_a_disk(data),
        _ => {}
    }
    match plan.small_volumes.filter(|_| number == 0) {
        Some(mebibytes) => Volumes::Small {
            folders: vec![data, wal],
            mebibytes,
        },
        None => Volumes::Shared,
    }
}

/// `ports`: for clients, for members, and the one by which other members reach it.
/// The line of [`Plan::feature_level_max`].
pub fn feature_level_line(level: u8) -> String {
    format!("  feature_level_max: {level}\n")
}

fn config(root: &Path, number: usize, plan: &Plan, ports: [u16; 3]) -> String {
    let ([client, internal, reached], timing) = (ports, plan.timing);
    let (data, wal) = (data_folder(root, number), wal_folder(root, number));
    let (data, wal, root) = (data.display(), wal.display(), root.display());
    let level = plan.feature_level_max.map(feature_level_line).unwrap_or_default();
    let metrics = if plan.disk == Some(OwnDisk::Data(number)) {
        scrape::free_address()
    } else {
        "\"\"".to_owned()
    };
    format!(
        "cluster:\n{level}  name: test\n  timing: {timing}\n  internal_address: 127.0.0.1:{reached}\n  node:\n    id: node-{number}\n    address: 127.0.0.1:{client}\n\
         server:\n  listen: 127.0.0.1:{client}\n  internal_listen: 127.0.0.1:{internal}\n  metrics_listen: {metrics}\n  tls:\n    \
         cert_file: {root}/tls.crt\n    key_file: {root}/tls.key\n    client_ca: {root}/ca.crt\n\
         auth:\n  admin_password_file: {root}/password\n\
         storage:\n  data_dir: {data}\n  wal_dir: {wal}\n{}",
        plan.more
    )
}
