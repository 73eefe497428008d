//! Real members on loopback: starts, kills and asks them. Each cluster has its own directory, ports and certificates.

#![expect(clippy::panic, reason = "a test stops at the first surprise")]

use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use serde_json::Value;
use std::io::{BufRead, BufReader, Write};
use std::net::UdpSocket;
use std::path::PathBuf;
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
    data: PathBuf,
}

/// Members of one cluster, or a single embedded one.
pub struct Members {
    geode: String,
    folder: tempfile::TempDir,
    members: Vec<Member>,
    password: PathBuf,
    ca: PathBuf,
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
                data,
            }],
            password,
            ca,
        };
        members.start(0);
        members.wait_ready(0);
        members
    }

    /// Members that find each other as the guides say: the first with `--cluster-init`, the others with `--join`.
    pub fn cluster(geode: &str, count: usize) -> Self {
        Self::cluster_with(geode, count, "fast", "")
    }

    /// The same, with a timing of its own and further lines in each one's configuration.
    pub fn cluster_with(geode: &str, count: usize, timing: &str, more: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let root = folder.path().to_owned();
        certificates(&root);
        let password = root.join("password");
        std::fs::write(&password, "correct horse battery staple").expect("write the password");
        let mut members = Self {
            geode: geode.to_owned(),
            folder,
            members: Vec::new(),
            password,
            ca: root.join("ca.crt"),
        };
        let ports: Vec<[u16; 2]> = (0..count).map(|_| free_ports()).collect();
        for (number, [client, internal]) in ports.iter().enumerate() {
            let data = root.join(format!("data-{number}"));
            let config = config(&root, number, *client, *internal, timing) + more;
            let path = members.write(&format!("geode-{number}.yaml"), &config);
            let mut arguments = ["serve", "--config", &path].map(str::to_owned).to_vec();
            match number {
                0 => arguments.push("--cluster-init".to_owned()),
                _ => arguments.extend(["--join".to_owned(), format!("127.0.0.1:{}", ports[0][1])]),
            }
            members.members.push(Member {
                process: None,
                arguments,
                address: format!("127.0.0.1:{client}"),
                data,
            });
            members.start(number);
        }
        (0..count).for_each(|member| members.wait_ready(member));
        wait_for("every member votes", READY_TIMEOUT, || {
            let table = members.try_query(0, "SELECT role FROM system.cluster_nodes", &[]);
            let rows = table
                .ok()
                .and_then(|table| table["rows"].as_array().cloned())
                .unwrap_or_default();
            rows.len() == count && rows.iter().all(|row| row[0] == "leader" || row[0] == "follower")
        });
        members
    }

    /// Writes a file into the test's folder and returns its path.
    pub fn write(&self, name: &str, text: &str) -> String {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).expect("write a file of the test");
        path.display().to_string()
    }

    /// Starts a member; its log goes to `<data>.log`.
    pub fn start(&mut self, member: usize) {
        let mut command = Command::new(&self.geode);
        let member = &mut self.members[member];
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(member.data.with_extension("log"))
            .expect("a log file");
        command
            .args(&member.arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        member.process = Some(command.spawn().expect("geode starts"));
    }

    /// SIGKILL, and the process is gone when this returns.
    pub fn kill(&mut self, member: usize) {
        let mut process = self.members[member].process.take().expect("the member runs");
        process.kill().expect("kill");
        process.wait().expect("wait");
    }

    /// Where a member answers clients.
    pub fn address(&self, member: usize) -> &str {
        &self.members[member].address
    }

    /// A member's configuration.
    pub fn config_file(&self, member: usize) -> PathBuf {
        self.folder.path().join(format!("geode-{member}.yaml"))
    }

    /// Where a member keeps its data.
    pub fn data_dir(&self, member: usize) -> &std::path::Path {
        &self.members[member].data
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

    /// Until `geode ready` says so.
    pub fn wait_ready(&self, member: usize) {
        let start = Instant::now();
        loop {
            let output = self.command(member, "ready").output().expect("geode starts");
            if output.status.success() {
                return;
            }
            if start.elapsed() > READY_TIMEOUT {
                let log = std::fs::read_to_string(self.members[member].data.with_extension("log"))
                    .unwrap_or_default();
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
        let table = self.query(0, "SELECT name, role FROM system.cluster_nodes");
        let rows = table["rows"].as_array().expect("rows");
        let leader = rows.iter().find(|row| row[1] == "leader").expect("a leader");
        leader[0]
            .as_str()
            .and_then(|name| name.rsplit_once('-'))
            .and_then(|(_, number)| number.parse().ok())
            .expect("node-N")
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

    /// `geode SUBCOMMAND` that knows these members and may ask them.
    pub fn command_for(&self, members: &[usize], subcommand: &str) -> Command {
        let hosts: Vec<&str> = members
            .iter()
            .map(|member| self.members[*member].address.as_str())
            .collect();
        let mut command = Command::new(&self.geode);
        command.args([subcommand, "--host", &hosts.join(",")]);
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
                let log = std::fs::read_to_string(member.data.with_extension("log")).unwrap_or_default();
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

fn config(root: &std::path::Path, number: usize, client: u16, internal: u16, timing: &str) -> String {
    let root = root.display();
    format!(
        "cluster:\n  name: test\n  timing: {timing}\n  internal_address: 127.0.0.1:{internal}\n  node:\n    id: node-{number}\n    address: 127.0.0.1:{client}\n\
         server:\n  listen: 127.0.0.1:{client}\n  internal_listen: 127.0.0.1:{internal}\n  metrics_listen: \"\"\n  tls:\n    \
         cert_file: {root}/tls.crt\n    key_file: {root}/tls.key\n    client_ca: {root}/ca.crt\n\
         auth:\n  admin_password_file: {root}/password\n\
         storage:\n  data_dir: {root}/data-{number}\n"
    )
}

/// A CA and one certificate for everybody on loopback: `ca.crt`, `tls.crt`, `tls.key`.
pub fn certificates(root: &std::path::Path) {
    let mut ca = CertificateParams::new(Vec::<String>::new()).expect("no names");
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca_key = KeyPair::generate().expect("a key");
    let ca_pem = ca.self_signed(&ca_key).expect("a CA").pem();
    let names = ["localhost", "127.0.0.1", "internal.geodedb.com"].map(str::to_owned);
    let mut leaf = CertificateParams::new(names).expect("valid names");
    leaf.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    let key = KeyPair::generate().expect("a key");
    let leaf = leaf
        .signed_by(&key, &Issuer::new(ca, ca_key))
        .expect("a certificate");
    for (name, text) in [
        ("ca.crt", ca_pem),
        ("tls.crt", leaf.pem()),
        ("tls.key", key.serialize_pem()),
    ] {
        std::fs::write(root.join(name), text).expect("write a certificate");
    }
}
