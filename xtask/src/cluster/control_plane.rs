//! The control plane's programs: database, API server, controllers, scheduler, and beside them DNS, volumes and S3.
//!
//! All run in one network namespace. Order matters once: controllers and scheduler end when the API server is not ready.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use super::certificates::{ADMINISTRATOR, CONTROLLER_MANAGER, SCHEDULER};
use super::daemon::{self, Daemon};
use super::layout::{
    API_PORT, CONTROL_PLANE_ADDRESS, CONTROL_PLANE_NAMESPACE, DNS_SERVICE_ADDRESS, Layout, POD_CIDR, S3_PORT,
    SERVICE_CIDR,
};
use super::templates::{self, render};
use crate::command;
use crate::progress::wait_until;
use crate::tools::Tool;

/// All programs of the control plane, in the order in which they start.
pub(crate) const DAEMONS: [&str; 7] = [
    "etcd",
    "s3",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "coredns",
    "provisioner",
];
const READY_LIMIT: Duration = Duration::from_secs(90);
/// How long without a sign of life until a node is NotReady: short, so that tests of node loss are.
const NODE_GRACE: &str = "12s";
const BUCKET: &str = "geode";
/// Keys of the test cluster's S3 server; it is reachable from this machine only.
const ACCESS_KEY: &str = "geode-test";
const SECRET_KEY: &str = "geode-test-secret";

/// The URL of the S3 server, the same for pods and this machine.
pub(crate) fn s3_endpoint() -> String {
    format!("http://{CONTROL_PLANE_ADDRESS}:{S3_PORT}")
}

/// What users of the S3 server need, as variables.
pub(crate) fn s3_environment() -> [(&'static str, String); 4] {
    [
        ("S3_ENDPOINT", s3_endpoint()),
        ("S3_BUCKET", BUCKET.to_owned()),
        ("S3_ACCESS_KEY", ACCESS_KEY.to_owned()),
        ("S3_SECRET_KEY", SECRET_KEY.to_owned()),
    ]
}

/// Starts what needs no API server: the database, S3 and the API server itself; returns when the API server is ready.
pub(crate) fn start(layout: &Layout) -> Result<()> {
    launch(layout, "etcd", Tool::Etcd, etcd(layout))?;
    fs::create_dir_all(layout.s3().join(BUCKET))?;
    let flags = [
        "--port".to_owned(),
        format!("{CONTROL_PLANE_ADDRESS}:{S3_PORT}"),
        "--keep-alive".to_owned(),
        "--quiet".to_owned(),
        "posix".to_owned(),
        layout.s3().display().to_string(),
    ];
    let keys = [("ROOT_ACCESS_KEY", ACCESS_KEY), ("ROOT_SECRET_KEY", SECRET_KEY)];
    launch_with(layout, "s3", Tool::Versitygw, flags.to_vec(), &keys)?;
    launch(layout, "kube-apiserver", Tool::KubeApiserver, api_server(layout))?;
    wait_ready(layout)
}

/// Starts what talks to the API server, and applies what every cluster has.
pub(crate) fn start_controllers(layout: &Layout) -> Result<()> {
    launch(
        layout,
        "kube-controller-manager",
        Tool::KubeControllerManager,
        controller_manager(layout),
    )?;
    launch(layout, "kube-scheduler", Tool::KubeScheduler, scheduler(layout))?;
    launch(
        layout,
        "coredns",
        Tool::Coredns,
        vec!["-conf".to_owned(), corefile(layout)?],
    )?;
    fs::create_dir_all(layout.volumes())?;
    let flags = vec![
        format!("--kubeconfig={}", layout.kubeconfig_of(ADMINISTRATOR).display()),
        format!("--directory={}", layout.volumes().display()),
    ];
    launch(layout, "provisioner", Tool::Provisioner, flags)?;
    let addresses = [
        ("ADDRESS", CONTROL_PLANE_ADDRESS),
        ("DNS_ADDRESS", DNS_SERVICE_ADDRESS),
    ];
    let manifests = render(templates::DNS, &addresses)? + "---\n" + templates::STORAGE;
    command::output_with_input(kubectl(layout)?.args(["apply", "-f", "-"]), &manifests).map(drop)
}

/// kubectl as the administrator of this cluster.
pub(crate) fn kubectl(layout: &Layout) -> Result<Command> {
    let mut command = Command::new(Tool::Kubectl.path()?);
    command.env("KUBECONFIG", layout.kubeconfig());
    Ok(command)
}

fn wait_ready(layout: &Layout) -> Result<()> {
    let needed = ["etcd", "kube-apiserver", "s3"].map(str::to_owned);
    let waited = wait_until("the API server", READY_LIMIT, || {
        if let Some(fallen) = daemon::fallen(layout, &needed) {
            anyhow::bail!("{fallen}");
        }
        let ready = command::output(kubectl(layout)?.args(["get", "--raw", "/readyz"]));
        Ok(ready.map(drop).map_err(|error| error.to_string()))
    });
    waited.with_context(|| format!("log {}", command::log_tail(&layout.log("kube-apiserver"))))
}

fn launch(layout: &Layout, name: &str, tool: Tool, arguments: Vec<String>) -> Result<()> {
    launch_with(layout, name, tool, arguments, &[])
}

fn launch_with(
    layout: &Layout,
    name: &str,
    tool: Tool,
    arguments: Vec<String>,
    environment: &[(&'static str, &str)],
) -> Result<()> {
    let program: PathBuf = tool.path()?;
    let environment = environment
        .iter()
        .map(|(name, value)| (*name, (*value).to_owned()))
        .collect();
    let namespace = CONTROL_PLANE_NAMESPACE.to_owned();
    Daemon {
        name: name.to_owned(),
        namespace,
        program: &program,
        arguments,
        environment,
    }
    .start(layout)
}

fn etcd(layout: &Layout) -> Vec<String> {
    let client = "http://127.0.0.1:2379";
    let peer = "http://127.0.0.1:2380";
    vec![
        "--name=geode".to_owned(),
        format!("--data-dir={}", layout.etcd().display()),
        format!("--listen-client-urls={client}"),
        format!("--advertise-client-urls={client}"),
        format!("--listen-peer-urls={peer}"),
        format!("--initial-advertise-peer-urls={peer}"),
        format!("--initial-cluster=geode={peer}"),
        // The test cluster's own state is not worth an fsync: it is made anew after a crash of the machine.
        "--unsafe-no-fsync".to_owned(),
        "--log-level=warn".to_owned(),
    ]
}

fn api_server(layout: &Layout) -> Vec<String> {
    let file = |name: &str| layout.certificate(name);
    vec![
        "--etcd-servers=http://127.0.0.1:2379".to_owned(),
        format!("--advertise-address={CONTROL_PLANE_ADDRESS}"),
        format!("--secure-port={API_PORT}"),
        format!("--service-cluster-ip-range={SERVICE_CIDR}"),
        format!("--client-ca-file={}", file("ca.crt")),
        format!("--tls-cert-file={}", file("apiserver.crt")),
        format!("--tls-private-key-file={}", file("apiserver.key")),
        format!("--kubelet-certificate-authority={}", file("ca.crt")),
        format!(
            "--kubelet-client-certificate={}",
            file("apiserver-kubelet-client.crt")
        ),
        format!("--kubelet-client-key={}", file("apiserver-kubelet-client.key")),
        "--kubelet-preferred-address-types=InternalIP".to_owned(),
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local".to_owned(),
        format!("--service-account-key-file={}", file("service-account.pub")),
        format!(
            "--service-account-signing-key-file={}",
            file("service-account.key")
        ),
        "--authorization-mode=Node,RBAC".to_owned(),
        "--enable-admission-plugins=NodeRestriction".to_owned(),
        // There is no kube-proxy here: webhooks are reached at their pods' addresses.
        "--enable-aggregator-routing=true".to_owned(),
        "--allow-privileged=true".to_owned(),
        "--profiling=false".to_owned(),
    ]
}

fn controller_manager(layout: &Layout) -> Vec<String> {
    let file = |name: &str| layout.certificate(name);
    let mut flags = client_flags(layout, CONTROLLER_MANAGER);
    flags.extend([
        format!("--cluster-signing-cert-file={}", file("ca.crt")),
        format!("--cluster-signing-key-file={}", file("ca.key")),
        format!("--root-ca-file={}", file("ca.crt")),
        format!(
            "--service-account-private-key-file={}",
            file("service-account.key")
        ),
        "--use-service-account-credentials=true".to_owned(),
        format!("--cluster-cidr={POD_CIDR}"),
        "--allocate-node-cidrs=false".to_owned(),
        format!(
            "--flex-volume-plugin-dir={}",
            layout.configuration().join("volume-plugins").display()
        ),
        "--node-monitor-period=2s".to_owned(),
        format!("--node-monitor-grace-period={NODE_GRACE}"),
        "--pvclaimbinder-sync-period=2s".to_owned(),
        "--kube-api-qps=100".to_owned(),
        "--kube-api-burst=200".to_owned(),
    ]);
    flags
}

fn scheduler(layout: &Layout) -> Vec<String> {
    client_flags(layout, SCHEDULER)
}

fn client_flags(layout: &Layout, user: &str) -> Vec<String> {
    let kubeconfig = layout.kubeconfig_of(user).display().to_string();
    vec![
        format!("--kubeconfig={kubeconfig}"),
        format!("--authentication-kubeconfig={kubeconfig}"),
        format!("--authorization-kubeconfig={kubeconfig}"),
        "--leader-elect=false".to_owned(),
        "--profiling=false".to_owned(),
    ]
}

fn corefile(layout: &Layout) -> Result<String> {
    let path = layout.configuration().join("Corefile");
    fs::create_dir_all(layout.configuration())?;
    let kubeconfig = layout.kubeconfig_of(ADMINISTRATOR).display().to_string();
    fs::write(
        &path,
        render(
            templates::COREFILE,
            &[("ADDRESS", CONTROL_PLANE_ADDRESS), ("KUBECONFIG", &kubeconfig)],
        )?,
    )?;
    Ok(path.display().to_string())
}
