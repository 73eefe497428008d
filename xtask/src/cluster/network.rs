//! The cluster's network: namespaces, the bridge that joins them, the cable to this machine, and partitions.
//!
//! Speaks only `ip` and `nft`. Every function may be called again.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use super::layout::{
    CONTROL_PLANE_ADDRESS, CONTROL_PLANE_NAMESPACE, HOST_ADDRESS, HOST_LINK, NODE_NAMESPACE_PREFIX, Node,
};
use crate::command;
use crate::prerequisites::search_path;

const NAMESPACE_FOLDER: &str = "/run/netns";
const BRIDGE: &str = "bridge";
const NODE_LINK: &str = "eth0";
const PARTITION_TABLE: &str = "inet geode_partition";
/// A table in the control plane's namespace; the port follows.
const CUT_TABLE: &str = "inet geode_cut_";
/// Settings that a router between pods needs; written inside the namespace.
const ROUTER_SETTINGS: &str = "echo 1 > /proc/sys/net/ipv4/ip_forward; \
     for file in /proc/sys/net/ipv4/conf/*/rp_filter; do echo 0 > $file; done";

/// Whether the namespace is there.
pub(crate) fn exists(namespace: &str) -> bool {
    Path::new(NAMESPACE_FOLDER).join(namespace).exists()
}

/// The namespaces of the cluster, also of one that an earlier xtask left.
pub(crate) fn namespaces() -> Vec<String> {
    let Ok(listed) = fs::read_dir(NAMESPACE_FOLDER) else {
        return Vec::new();
    };
    let names = listed.filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()));
    names.filter(|name| is_ours(name)).collect()
}

fn is_ours(namespace: &str) -> bool {
    namespace == CONTROL_PLANE_NAMESPACE
        || namespace
            .strip_prefix(NODE_NAMESPACE_PREFIX)
            .and_then(Node::named)
            .is_some()
}

/// Makes the control plane's namespace with the bridge, and connects this machine to it.
pub(crate) fn make_control_plane() -> Result<()> {
    if exists(CONTROL_PLANE_NAMESPACE) {
        return Ok(());
    }
    let space = CONTROL_PLANE_NAMESPACE;
    ip(&["netns", "add", space])?;
    batch(
        Some(space),
        &format!(
            "link set lo up\n\
         link add {BRIDGE} type bridge\n\
         address add {CONTROL_PLANE_ADDRESS}/24 dev {BRIDGE}\n\
         link set {BRIDGE} up\n"
        ),
    )?;
    batch(
        None,
        &format!(
            "link add {HOST_LINK} type veth peer name host netns {space}\n\
         address add {HOST_ADDRESS}/24 dev {HOST_LINK}\n\
         link set {HOST_LINK} up\n"
        ),
    )?;
    batch(Some(space), &format!("link set host master {BRIDGE} up\n"))?;
    inside(space, &["sh", "-c", ROUTER_SETTINGS]).map(drop)
}

/// Makes a node's namespace and connects it to the bridge; `others` are the nodes that it must reach, and that must reach it.
pub(crate) fn make_node(node: &Node, others: &[Node]) -> Result<()> {
    let space = node.namespace();
    if exists(&space) {
        return Ok(());
    }
    ip(&["netns", "add", &space])?;
    let cable = node.bridge_link();
    batch(
        Some(CONTROL_PLANE_NAMESPACE),
        &format!(
            "link add {cable} type veth peer name {NODE_LINK} netns {space}\n\
         link set {cable} master {BRIDGE} up\n"
        ),
    )?;
    let mut lines = format!(
        "link set lo up\n\
         address add {}/24 dev {NODE_LINK}\n\
         link set {NODE_LINK} up\n\
         route add default via {CONTROL_PLANE_ADDRESS}\n",
        node.address()
    );
    for other in others.iter().filter(|other| *other != node) {
        lines += &route_to_pods_of(other);
    }
    batch(Some(&space), &lines)?;
    for other in others
        .iter()
        .filter(|other| *other != node && exists(&other.namespace()))
    {
        batch(Some(&other.namespace()), &route_to_pods_of(node))?;
    }
    batch(Some(CONTROL_PLANE_NAMESPACE), &route_to_pods_of(node))?;
    batch(None, &route_to_pods_of(node))?;
    inside(&space, &["sh", "-c", ROUTER_SETTINGS]).map(drop)
}

fn route_to_pods_of(node: &Node) -> String {
    format!("route replace {} via {}\n", node.pod_cidr(), node.address())
}

/// Removes this machine's cable and the namespaces.
pub(crate) fn remove() -> Result<()> {
    if Path::new("/sys/class/net").join(HOST_LINK).exists() {
        ip(&["link", "delete", HOST_LINK])?;
    }
    for namespace in namespaces() {
        ip(&["netns", "delete", &namespace])?;
    }
    if fs::read_dir(NAMESPACE_FOLDER).is_ok_and(|mut listed| listed.next().is_none()) {
        // `ip` mounts this folder on itself when it makes the first namespace. Whoever needs it next makes it again.
        let _ = command::output(
            Command::new("umount")
                .env("PATH", search_path())
                .arg(NAMESPACE_FOLDER),
        );
        let _ = fs::remove_dir(NAMESPACE_FOLDER);
    }
    Ok(())
}

/// The ids of all processes in a namespace.
pub(crate) fn processes(namespace: &str) -> Result<Vec<u32>> {
    let listed = ip(&["netns", "pids", namespace])?;
    Ok(listed
        .lines()
        .filter_map(|line| line.trim().parse().ok())
        .collect())
}

/// Cuts a node and its pods off from everything outside the node.
pub(crate) fn partition(node: &Node) -> Result<()> {
    if is_partitioned(node) {
        return Ok(());
    }
    let chain = |hook: &str, rules: &str| {
        format!("chain {hook} {{ type filter hook {hook} priority -300; {rules} }}\n")
    };
    let (arriving, leaving) = (
        format!("iifname \"{NODE_LINK}\" drop;"),
        format!("oifname \"{NODE_LINK}\" drop;"),
    );
    let rules = format!(
        "table {PARTITION_TABLE} {{\n{}{}{}}}\n",
        chain("input", &arriving),
        chain("output", &leaving),
        chain("forward", &format!("{arriving} {leaving}")),
    );
    let mut nft = enter(&node.namespace(), &["nft", "-f", "-"]);
    command::output_with_input(&mut nft, &rules)
        .with_context(|| format!("partition {}", node.name()))
        .map(drop)
}

/// Ends a partition.
pub(crate) fn heal(node: &Node) -> Result<()> {
    if !is_partitioned(node) {
        return Ok(());
    }
    let delete = format!("delete table {PARTITION_TABLE}");
    inside(&node.namespace(), &["nft", &delete])
        .with_context(|| format!("heal {}", node.name()))
        .map(drop)
}

/// Whether the node is cut off.
pub(crate) fn is_partitioned(node: &Node) -> bool {
    let list = format!("list table {PARTITION_TABLE}");
    inside(&node.namespace(), &["nft", &list]).is_ok()
}

/// Cuts a port of the control plane off from all nodes and pods; this machine still reaches it, to see what happens.
pub(crate) fn cut(port: u16) -> Result<()> {
    restore(port)?;
    let rules = format!(
        "table {CUT_TABLE}{port} {{ chain input {{ type filter hook input priority -300; \
         iifname \"{BRIDGE}\" ip saddr != {HOST_ADDRESS} tcp dport {port} drop;\n}}\n}}\n"
    );
    let mut nft = enter(CONTROL_PLANE_NAMESPACE, &["nft", "-f", "-"]);
    command::output_with_input(&mut nft, &rules)
        .with_context(|| format!("cut port {port}"))
        .map(drop)
}

/// Ends what [`cut`] did, if it did.
pub(crate) fn restore(port: u16) -> Result<()> {
    let table = |verb: &str| format!("{verb} table {CUT_TABLE}{port}");
    if inside(CONTROL_PLANE_NAMESPACE, &["nft", &table("list")]).is_err() {
        return Ok(());
    }
    inside(CONTROL_PLANE_NAMESPACE, &["nft", &table("delete")])
        .with_context(|| format!("restore port {port}"))
        .map(drop)
}

fn ip(arguments: &[&str]) -> Result<String> {
    command::output(Command::new("ip").env("PATH", search_path()).args(arguments))
}

fn batch(namespace: Option<&str>, lines: &str) -> Result<()> {
    let mut command = Command::new("ip");
    command.env("PATH", search_path());
    if let Some(namespace) = namespace {
        command.args(["-n", namespace]);
    }
    command::output_with_input(command.args(["-batch", "-"]), lines).map(drop)
}

fn inside(namespace: &str, arguments: &[&str]) -> Result<String> {
    command::output(&mut enter(namespace, arguments))
}

fn enter(namespace: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new("nsenter");
    command
        .env("PATH", search_path())
        .arg(format!("--net={NAMESPACE_FOLDER}/{namespace}"))
        .args(arguments);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_clusters_own_namespaces_are_ours() {
        for ours in ["geode-control-plane", "geode-node-1", "geode-node-12"] {
            assert!(is_ours(ours), "{ours}");
        }
        for other in [
            "geode",
            "geode-node-",
            "geode-node-x",
            "geode-other",
            "node-1",
            "cni-1",
        ] {
            assert!(!is_ours(other), "{other}");
        }
    }
}
