//! One node: containerd, kubelet and kube-proxy in a network namespace, with everything they write in one folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};

use super::certificates::{KUBE_PROXY, kubelet};
use super::daemon::{self, Daemon, Process};
use super::layout::{DNS_SERVICE_ADDRESS, Layout, Node, PAUSE_IMAGE, POD_CIDR};
use super::templates::{self, render};
use super::{cgroups, load, network};
use crate::command;
use crate::images::Archive;
use crate::prerequisites;
use crate::progress::wait_until;
use crate::tools::Tool;

const CONTAINERD_LIMIT: Duration = Duration::from_secs(30);

/// The names of a node's programs, in the order in which they start.
pub(crate) fn daemons(node: &Node) -> [String; 3] {
    ["containerd", "kubelet", "kube-proxy"].map(|program| format!("{program}-{}", node.name()))
}

/// Starts containerd and gives it the pause image; needs no API server.
pub(crate) fn start_containerd(layout: &Layout, node: &Node, pause: &Archive) -> Result<()> {
    let folder = layout.node(node);
    fs::create_dir_all(folder.join("cni"))?;
    let folder_text = folder.display().to_string();
    let plugins = prerequisites::cni_folder()
        .context("the CNI plugins are gone")?
        .display()
        .to_string();
    let containerd = render(
        templates::CONTAINERD,
        &[
            ("NODE_DIR", &folder_text),
            ("PAUSE_IMAGE", PAUSE_IMAGE),
            ("CNI_BIN_DIR", &plugins),
        ],
    )?;
    fs::write(folder.join("containerd.toml"), containerd)?;
    let cni = render(
        templates::CNI,
        &[
            ("NETWORK", &node.namespace()),
            ("NODE_DIR", &folder_text),
            ("POD_CIDR", &node.pod_cidr()),
        ],
    )?;
    fs::write(folder.join("cni/10-geode.conflist"), cni)?;
    let [name, ..] = daemons(node);
    let arguments = vec![
        "--config".to_owned(),
        folder.join("containerd.toml").display().to_string(),
    ];
    start(layout, node, &name, Path::new("containerd"), arguments)?;
    let waited = wait_until("containerd", CONTAINERD_LIMIT, || {
        if let Some(fallen) = daemon::fallen(layout, std::slice::from_ref(&name)) {
            anyhow::bail!("{fallen}");
        }
        Ok(load::containerd(layout, node, &["version"])
            .map(drop)
            .map_err(|error| error.to_string()))
    });
    waited.with_context(|| format!("log {}", command::log_tail(&layout.log(&name))))?;
    load::import(layout, node, pause)
}

/// Starts kubelet and kube-proxy; the API server must be ready.
pub(crate) fn start_agents(layout: &Layout, node: &Node) -> Result<()> {
    cgroups::make(node)?;
    let folder = layout.node(node);
    let configuration = render(
        templates::KUBELET,
        &[
            ("NODE", &node.name()),
            ("NODE_DIR", &folder.display().to_string()),
            ("CERTS", &layout.certificates().display().to_string()),
            ("DNS_ADDRESS", DNS_SERVICE_ADDRESS),
            ("CGROUP", &format!("/{}", node.cgroup())),
        ],
    )?;
    fs::write(folder.join("kubelet.yaml"), configuration)?;
    let [_, kubelet_name, proxy_name] = daemons(node);
    let kubelet_flags = vec![
        format!("--config={}", folder.join("kubelet.yaml").display()),
        format!("--kubeconfig={}", layout.kubeconfig_of(&kubelet(node)).display()),
        format!("--root-dir={}", folder.join("kubelet").display()),
        format!("--cert-dir={}", folder.join("kubelet-pki").display()),
        format!("--hostname-override={}", node.name()),
        format!("--node-ip={}", node.address()),
        format!(
            "--node-labels=topology.kubernetes.io/region=local,topology.kubernetes.io/zone={}",
            node.zone()
        ),
    ];
    start(layout, node, &kubelet_name, &Tool::Kubelet.path()?, kubelet_flags)?;
    let proxy_flags = vec![
        format!("--kubeconfig={}", layout.kubeconfig_of(KUBE_PROXY).display()),
        format!("--hostname-override={}", node.name()),
        "--proxy-mode=nftables".to_owned(),
        format!("--cluster-cidr={POD_CIDR}"),
        "--conntrack-max-per-core=0".to_owned(),
        // Endpoints that change must be seen within a fail-over's time.
        "--iptables-min-sync-period=100ms".to_owned(),
    ];
    start(layout, node, &proxy_name, &Tool::KubeProxy.path()?, proxy_flags)
}

/// Ends everything that runs on the node, as a power cut would: agents, containers and their keepers.
pub(crate) fn cut(layout: &Layout, node: &Node) -> Result<()> {
    daemon::cut(layout, &daemons(node))?;
    let mut ids = cgroups::processes(Some(node))?;
    if network::exists(&node.namespace()) {
        ids.extend(network::processes(&node.namespace())?);
    }
    // containerd's shims: in the node's namespace when it is there, else known by the socket that they serve.
    ids.extend(shims(&layout.containerd_socket(node)));
    let sockets = shim_sockets(&layout.node(node));
    daemon::kill(&ids.into_iter().filter_map(Process::of).collect::<Vec<_>>())?;
    for socket in sockets {
        // The next containerd removes what is left of a shim by itself; a gone socket only saves it a timeout.
        let _ = fs::remove_file(socket);
    }
    Ok(())
}

fn start(layout: &Layout, node: &Node, name: &str, program: &Path, arguments: Vec<String>) -> Result<()> {
    let namespace = node.namespace();
    Daemon {
        name: name.to_owned(),
        namespace,
        program,
        arguments,
        environment: Vec::new(),
    }
    .start(layout)
}

/// The containerd shims whose containerd listens on this socket.
fn shims(socket: &Path) -> Vec<u32> {
    let Ok(listed) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let ids = listed
        .flatten()
        .filter_map(|entry| entry.file_name().to_string_lossy().parse::<u32>().ok());
    ids.filter(|id| {
        let line = fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
        is_shim_of(&String::from_utf8_lossy(&line), socket)
    })
    .collect()
}

/// Whether a command line (parts separated by NUL) is that of a shim whose containerd listens on the socket.
fn is_shim_of(line: &str, socket: &Path) -> bool {
    let parts: Vec<&str> = line.split('\0').collect();
    let is_shim = parts
        .first()
        .is_some_and(|program| program.rsplit('/').next() == Some("containerd-shim-runc-v2"));
    is_shim
        && parts
            .windows(2)
            .any(|pair| pair[0] == "-address" && Path::new(pair[1]) == socket)
}

/// The sockets that a node's shims made outside the state directory; each container's `address` file names its own.
fn shim_sockets(folder: &Path) -> Vec<PathBuf> {
    let tasks = folder.join("containerd/state/io.containerd.runtime.v2.task/k8s.io");
    let Ok(listed) = fs::read_dir(tasks) else {
        return Vec::new();
    };
    listed
        .flatten()
        .filter_map(|entry| fs::read_to_string(entry.path().join("address")).ok())
        .filter_map(|address| address.trim().strip_prefix("unix://").map(PathBuf::from))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_shim_of_this_socket_is_ours() {
        let socket = Path::new("/c/node-1/containerd.sock");
        let line =
            |program: &str, address: &str| format!("{program}\0-namespace\0k8s.io\0-address\0{address}\0");
        let shim = "/usr/bin/containerd-shim-runc-v2";
        assert!(is_shim_of(&line(shim, "/c/node-1/containerd.sock"), socket));
        assert!(!is_shim_of(
            &line(shim, "/run/containerd/containerd.sock"),
            socket
        ));
        assert!(!is_shim_of(
            &line("/usr/bin/grep", "/c/node-1/containerd.sock"),
            socket
        ));
    }
}
