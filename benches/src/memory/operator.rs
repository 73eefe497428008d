//! The operator with many clusters, against etcd and kube-apiserver alone: there is no kubelet, so it makes all objects and waits for pods.

use super::{free_port, metric, page};
use crate::process::{Resident, resident};
use crate::program;
use anyhow::{Context, Result, ensure};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const READY_TIMEOUT: Duration = Duration::from_secs(120);
const MADE_TIMEOUT: Duration = Duration::from_secs(600);
/// How long it goes on with its rounds before it is looked at.
const SETTLED_AFTER: Duration = Duration::from_secs(60);
const ADMIN: &str = "admin-token";
const OPERATOR: &str = "operator-token";
const ACCOUNT: &str = "system:serviceaccount:geode-system:geode-operator";

pub(crate) struct Measured {
    pub(crate) resident: Resident,
    pub(crate) what: String,
}

/// Processes that end with the value, and their folder.
struct Cluster {
    processes: Vec<Child>,
    url: String,
    folder: tempfile::TempDir,
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for process in self.processes.iter_mut().rev() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

pub(crate) fn measure(clusters: usize) -> Result<Measured> {
    let mut cluster = Cluster::start()?;
    cluster.kubectl(&["apply", "--server-side", "-f", &program("INSTALL")?])?;
    cluster.kubectl(&[
        "wait",
        "--for=condition=Established",
        "--timeout=60s",
        "crd",
        "--all",
    ])?;
    let manifests: Vec<String> = (0..clusters)
        .map(|number| {
            format!(
                "---\napiVersion: geodedb.com/v1alpha1\nkind: GeodeCluster\nmetadata:\n  name: c{number}\n  namespace: default\nspec: {{}}\n"
            )
        })
        .collect();
    let file = cluster.path("clusters.yaml");
    std::fs::write(&file, manifests.concat())?;
    cluster.kubectl(&["apply", "--server-side", "-f", &file.display().to_string()])?;
    let port = free_port()?;
    let kubeconfig = cluster.kubeconfig("operator", OPERATOR)?;
    let mut operator = Command::new(program("OPERATOR")?);
    operator
        .args([
            "run",
            "--listen",
            &format!("127.0.0.1:{port}"),
            "--log-level",
            "warn",
        ])
        .env("KUBECONFIG", kubeconfig);
    let pid = cluster.spawn("operator", &mut operator)?;
    let begin = Instant::now();
    loop {
        let made = cluster.kubectl(&["get", "statefulsets", "-A", "-o", "name"])?;
        if made.lines().count() >= clusters {
            break;
        }
        ensure!(
            begin.elapsed() < MADE_TIMEOUT,
            "only {} of {clusters} StatefulSets",
            made.lines().count()
        );
        std::thread::sleep(Duration::from_secs(1));
    }
    let took = begin.elapsed().as_secs_f64();
    std::thread::sleep(SETTLED_AFTER);
    let rounds = metric(&page(port, "/metrics")?, "geode_operator_rounds_total");
    let resident = resident(pid)?;
    eprintln!("operator: {resident:?} after {rounds} rounds; all objects were made in {took:.0} s");
    Ok(Measured {
        resident,
        what: format!("{rounds:.0} rounds"),
    })
}

impl Cluster {
    fn start() -> Result<Self> {
        let [etcd, peer, secure] = [free_port()?, free_port()?, free_port()?];
        let mut cluster = Self {
            processes: Vec::new(),
            url: format!("https://127.0.0.1:{secure}"),
            folder: tempfile::tempdir()?,
        };
        let folder = cluster.folder.path().to_owned();
        let (client, peer) = (
            format!("http://127.0.0.1:{etcd}"),
            format!("http://127.0.0.1:{peer}"),
        );
        let mut command = Command::new(program("ETCD")?);
        command
            .arg("--data-dir")
            .arg(folder.join("etcd"))
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
                &format!("default={peer}"),
                "--unsafe-no-fsync",
            ]);
        cluster.spawn("etcd", &mut command)?;
        geode_tests::certificates::certificates(&folder);
        let tokens = format!("{ADMIN},admin,1,system:masters\n{OPERATOR},{ACCOUNT},2\n");
        std::fs::write(folder.join("tokens.csv"), tokens)?;
        // Tokens of service accounts are not used, but the API server wants a pair of keys for them.
        let [public, key] = ["tls.crt", "tls.key"].map(|name| cluster.path(name).display().to_string());
        let mut command = Command::new(program("KUBE_APISERVER")?);
        command
            .arg(format!("--etcd-servers={client}"))
            .args(["--bind-address=127.0.0.1", "--advertise-address=127.0.0.1"])
            .arg(format!("--secure-port={secure}"))
            .arg(format!("--cert-dir={}", folder.join("certs").display()))
            .args([
                "--authorization-mode=RBAC",
                "--service-account-issuer=https://bench",
            ])
            .arg(format!(
                "--token-auth-file={}",
                folder.join("tokens.csv").display()
            ))
            .arg(format!("--service-account-key-file={public}"))
            .arg(format!("--service-account-signing-key-file={key}"))
            .args([
                "--service-cluster-ip-range=10.200.0.0/16",
                "--endpoint-reconciler-type=none",
            ])
            .arg("--disable-admission-plugins=ServiceAccount");
        cluster.spawn("kube-apiserver", &mut command)?;
        let begin = Instant::now();
        while let Err(error) = cluster.kubectl(&["get", "--raw", "/readyz"]) {
            ensure!(
                begin.elapsed() < READY_TIMEOUT,
                "kube-apiserver is not ready: {error}\n{}",
                std::fs::read_to_string(cluster.path("kube-apiserver.log")).unwrap_or_default()
            );
            std::thread::sleep(Duration::from_millis(500));
        }
        Ok(cluster)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn spawn(&mut self, name: &str, command: &mut Command) -> Result<u32> {
        let log = std::fs::File::create(self.path(&format!("{name}.log")))?;
        let folder: &Path = self.folder.path();
        command
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        let process = command.spawn().with_context(|| format!("start {name}"))?;
        let pid = process.id();
        self.processes.push(process);
        Ok(pid)
    }

    /// A file by which clients find the API server.
    fn kubeconfig(&self, name: &str, token: &str) -> Result<PathBuf> {
        let text = serde_json::json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "c",
            "clusters": [{"name": "c", "cluster": {"server": self.url, "insecure-skip-tls-verify": true}}],
            "users": [{"name": "u", "user": {"token": token}}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        });
        let path = self.path(&format!("{name}.kubeconfig"));
        std::fs::write(&path, text.to_string())?;
        Ok(path)
    }

    fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        let output = Command::new(program("KUBECTL")?)
            .arg("--kubeconfig")
            .arg(self.kubeconfig("admin", ADMIN)?)
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .context("run kubectl")?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "kubectl {arguments:?}: {said}");
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}
