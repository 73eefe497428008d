//! Three members of etcd on loopback, set up as Geode's: TLS 1.3 between clients and servers and between peers, every write synced.

use crate::program;
use anyhow::{Context, Result, bail};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const MEMBERS: usize = 3;
const READY_TIMEOUT: Duration = Duration::from_secs(30);

/// Members, and a folder with their data, certificates and logs.
pub(crate) struct Etcd {
    folder: tempfile::TempDir,
    members: Vec<Option<Child>>,
    /// Client and peer port of each member.
    ports: Vec<[u16; 2]>,
}

impl Etcd {
    /// Starts them and waits for a leader. Timing as `timing: fast`: a heartbeat every 60 ms, elections after 300 ms or later; here up to 600 ms.
    pub(crate) fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        geode_tests::certificates::certificates(folder.path());
        let ports: Vec<[u16; 2]> = (0..MEMBERS).map(|_| free_ports()).collect::<Result<_>>()?;
        let mut etcd = Self {
            folder,
            members: Vec::new(),
            ports,
        };
        for number in 0..MEMBERS {
            let child = etcd.member(number)?;
            etcd.members.push(Some(child));
        }
        etcd.wait_ready()?;
        Ok(etcd)
    }

    fn member(&self, number: usize) -> Result<Child> {
        let root = self.folder.path();
        let log = std::fs::File::create(root.join(format!("m{number}.log")))?;
        let file = |name: &str| root.join(name).display().to_string();
        let [client, peer] = self.ports[number].map(|port| format!("https://127.0.0.1:{port}"));
        let peers: Vec<String> = self
            .ports
            .iter()
            .enumerate()
            .map(|(number, [_, peer])| format!("m{number}=https://127.0.0.1:{peer}"))
            .collect();
        let mut command = Command::new(program("ETCD")?);
        command
            .args([
                "--name",
                &format!("m{number}"),
                "--data-dir",
                &file(&format!("m{number}")),
            ])
            .args([
                "--listen-client-urls",
                &client,
                "--advertise-client-urls",
                &client,
            ])
            .args([
                "--listen-peer-urls",
                &peer,
                "--initial-advertise-peer-urls",
                &peer,
            ])
            .args([
                "--initial-cluster",
                &peers.join(","),
                "--initial-cluster-state",
                "new",
            ])
            .args(["--cert-file", &file("tls.crt"), "--key-file", &file("tls.key")])
            .args([
                "--peer-cert-file",
                &file("tls.crt"),
                "--peer-key-file",
                &file("tls.key"),
            ])
            .args([
                "--peer-trusted-ca-file",
                &file("ca.crt"),
                "--peer-client-cert-auth",
            ])
            .args([
                "--heartbeat-interval",
                "60",
                "--election-timeout",
                "300",
                "--log-level",
                "error",
            ]);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        child.spawn().context("start etcd")
    }

    fn wait_ready(&self) -> Result<()> {
        let start = Instant::now();
        loop {
            let load = self.load(1, Duration::from_millis(1), false)?.output()?;
            if load.status.success() {
                return Ok(());
            }
            if start.elapsed() > READY_TIMEOUT {
                bail!("etcd is not ready: {}", String::from_utf8_lossy(&load.stderr));
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// A load for it.
    pub(crate) fn load(&self, clients: u32, duration: Duration, read: bool) -> Result<Command> {
        let mut command = self.client()?;
        command
            .args(["-clients", &clients.to_string()])
            .args(["-duration", &format!("{}ms", duration.as_millis())])
            .args(["-value-bytes", &crate::write::VALUE_BYTES.to_string()])
            .arg(format!("-read={read}"));
        Ok(command)
    }

    fn client(&self) -> Result<Command> {
        let endpoints: Vec<String> = self
            .ports
            .iter()
            .map(|[client, _]| format!("https://127.0.0.1:{client}"))
            .collect();
        let mut command = Command::new(program("ETCDLOAD")?);
        command
            .args(["-endpoints", &endpoints.join(","), "-tls"])
            .arg(self.folder.path());
        Ok(command)
    }

    /// Which member leads.
    pub(crate) fn leader(&self) -> Result<usize> {
        let output = self.client()?.arg("-leader").output()?;
        let number = String::from_utf8_lossy(&output.stdout);
        number
            .trim()
            .parse()
            .with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self, member: usize) -> Result<()> {
        let mut process = self.members[member].take().context("the member runs")?;
        process.kill()?;
        process.wait()?;
        Ok(())
    }

    /// Starts a member that was killed, and waits until the cluster answers.
    pub(crate) fn restart(&mut self, member: usize) -> Result<()> {
        self.members[member] = Some(self.member(member)?);
        self.wait_ready()
    }

    /// The processes that run.
    pub(crate) fn pids(&self) -> Vec<u32> {
        self.members.iter().flatten().map(Child::id).collect()
    }

    /// Where its data lie.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        for mut process in self.members.iter_mut().filter_map(Option::take) {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// Two TCP ports that were free a moment ago.
fn free_ports() -> Result<[u16; 2]> {
    let (one, other) = (
        TcpListener::bind("127.0.0.1:0")?,
        TcpListener::bind("127.0.0.1:0")?,
    );
    Ok([one.local_addr()?.port(), other.local_addr()?.port()])
}
