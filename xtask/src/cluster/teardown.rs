//! `cluster down`: takes everything away, also what a crashed cluster or a killed xtask left. May be called at any time.
//!
//! Finds its own by pid file, network namespace, cgroup and paths below the state directory; touches nothing else.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::daemon::{self, Process};
use super::layout::{Layout, NODE_NAMESPACE_PREFIX, Node};
use super::{cgroups, network, node};
use crate::command;
use crate::prerequisites::search_path;
use crate::progress::step;

/// Where kubelet links the logs of containers, CNI remembers addresses, shims and device plugins have sockets: fixed in
/// those programs, so the only traces outside the state directory.
const CONTAINER_LOG_LINKS: &str = "/var/log/containers";
const CNI_RESULTS: &str = "/var/lib/cni/results";
const DEVICE_PLUGIN_SOCKET: &str = "/var/lib/kubelet/device-plugins/kubelet.sock";
/// Folders that those programs make; removed when they are empty.
const OUTSIDE_FOLDERS: [&str; 9] = [
    CONTAINER_LOG_LINKS,
    CNI_RESULTS,
    "/var/lib/cni",
    "/var/lib/kubelet/device-plugins",
    "/var/lib/kubelet/plugins_registry",
    "/var/lib/kubelet",
    "/run/containerd/s",
    "/run/containerd/fifo",
    "/run/containerd",
];

/// Whether anything of a cluster is here.
pub(crate) fn has_leftovers(layout: &Layout) -> bool {
    layout.root().exists() || !network::namespaces().is_empty()
}

/// Takes everything away.
pub(crate) fn run(layout: &Layout) -> Result<()> {
    step("ending the cluster's processes", || end_processes(layout))?;
    step("removing mounts and loop devices", || unmount(layout.root()))?;
    step("removing networks and cgroups", || {
        network::remove().and_then(|()| cgroups::remove())
    })?;
    step("removing files", || {
        remove_outside_traces(layout)?;
        match fs::remove_dir_all(layout.root()) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("remove {}", layout.root().display()))
            }
            _ => Ok(()),
        }
    })
}

fn end_processes(layout: &Layout) -> Result<()> {
    daemon::cut(layout, &names_in(&layout.pids()))?;
    for name in names_in(&layout.nodes()) {
        if let Some(node) = Node::named(&name) {
            node::cut(layout, &node)?;
        }
    }
    let mut ids = cgroups::processes(None)?;
    for namespace in network::namespaces() {
        ids.extend(network::processes(&namespace)?);
    }
    daemon::kill(&ids.into_iter().filter_map(Process::of).collect::<Vec<_>>())
}

/// Unmounts everything below the folder, last mount first; loop devices detach themselves, and those that did not are detached.
fn unmount(root: &Path) -> Result<()> {
    let table = fs::read_to_string("/proc/self/mountinfo").context("read the mount table")?;
    for mount in mounts_below(&table, root).into_iter().rev() {
        let umount = |flags: &[&str]| {
            command::output(
                Command::new("umount")
                    .env("PATH", search_path())
                    .args(flags)
                    .arg(&mount),
            )
        };
        // A process that is just ending may still hold the mount: then it goes when the process has gone.
        umount(&[]).or_else(|_| umount(&["--lazy"]))?;
    }
    let list = ["--list", "--noheadings", "--output", "NAME,BACK-FILE"];
    let devices = command::output(Command::new("losetup").env("PATH", search_path()).args(list))?;
    for line in devices.lines() {
        if let Some((device, file)) = line.split_once(char::is_whitespace)
            && Path::new(file.trim()).starts_with(root)
        {
            command::output(
                Command::new("losetup")
                    .env("PATH", search_path())
                    .args(["--detach", device]),
            )?;
        }
    }
    Ok(())
}

/// The mount points below the folder, in the order of mounting; the table is that of proc(5).
fn mounts_below(table: &str, root: &Path) -> Vec<PathBuf> {
    let points = table.lines().filter_map(|line| line.split(' ').nth(4));
    let unescaped = |point: &str| {
        PathBuf::from(
            point
                .replace("\\040", " ")
                .replace("\\011", "\t")
                .replace("\\134", "\\"),
        )
    };
    points
        .map(unescaped)
        .filter(|point| point.starts_with(root))
        .collect()
}

fn remove_outside_traces(layout: &Layout) -> Result<()> {
    for name in names_in(Path::new(CONTAINER_LOG_LINKS)) {
        let link = Path::new(CONTAINER_LOG_LINKS).join(name);
        if fs::read_link(&link).is_ok_and(|target| target.starts_with(layout.root())) {
            fs::remove_file(&link).with_context(|| format!("remove {}", link.display()))?;
        }
    }
    for name in cni_results_of_ours(&names_in(Path::new(CNI_RESULTS))) {
        let _ = fs::remove_file(Path::new(CNI_RESULTS).join(name));
    }
    // All kubelets of a machine share this one socket; another one on this machine still has it open, and then it stays.
    if std::os::unix::net::UnixStream::connect(DEVICE_PLUGIN_SOCKET).is_err() {
        let _ = fs::remove_file(DEVICE_PLUGIN_SOCKET);
    }
    for folder in OUTSIDE_FOLDERS {
        // Not empty means not ours alone.
        let _ = fs::remove_dir(folder);
    }
    Ok(())
}

/// CNI calls a result NETWORK-SANDBOX-INTERFACE. The network of a pod is named after our node; the loopback device of the same
/// sandbox is in a network whose name is the same everywhere.
fn cni_results_of_ours(names: &[String]) -> Vec<String> {
    let sandbox = |name: &String| {
        let (node, rest) = name
            .strip_prefix(NODE_NAMESPACE_PREFIX)?
            .strip_suffix("-eth0")?
            .rsplit_once('-')?;
        Node::named(node).map(|_| rest.to_owned())
    };
    let sandboxes: Vec<String> = names.iter().filter_map(sandbox).collect();
    let loopbacks = sandboxes
        .iter()
        .map(|sandbox| format!("cni-loopback-{sandbox}-lo"));
    names
        .iter()
        .filter(|name| sandbox(name).is_some())
        .cloned()
        .chain(loopbacks)
        .collect()
}

fn names_in(folder: &Path) -> Vec<String> {
    let Ok(listed) = fs::read_dir(folder) else {
        return Vec::new();
    };
    listed
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_network_results_of_our_pods_are_ours() {
        let names = [
            "geode-node-1-abc-eth0",
            "cni-loopback-abc-lo",
            "cni-loopback-def-lo",
            "bridge-abc-eth0",
        ];
        let ours = cni_results_of_ours(&names.map(str::to_owned));
        assert_eq!(ours, ["geode-node-1-abc-eth0", "cni-loopback-abc-lo"]);
    }

    #[test]
    fn mounts_below_the_state_directory_are_found_in_order_and_others_are_not() {
        let table = "21 1 8:1 / / rw - ext4 /dev/vda rw\n\
                     22 21 0:5 / /c/cluster/a rw - tmpfs tmpfs rw\n\
                     23 22 0:6 / /c/cluster/a/b\\040c rw - tmpfs tmpfs rw\n\
                     24 21 0:7 / /c/cluster-other rw - tmpfs tmpfs rw\n";
        let found = mounts_below(table, Path::new("/c/cluster"));
        assert_eq!(
            found,
            [PathBuf::from("/c/cluster/a"), PathBuf::from("/c/cluster/a/b c")]
        );
    }
}
