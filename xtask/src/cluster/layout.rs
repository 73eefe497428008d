//! Names, addresses and folders of the test cluster: pure, and the only place that knows them.
//!
//! The control plane and every node are network namespaces, joined by a bridge in the control plane's. All addresses are of
//! the range for benchmarks (198.18.0.0/15) and of the one after it, so that they never meet real ones.

use std::path::{Path, PathBuf};

/// The control plane: API server, S3 and DNS have this address.
pub(crate) const CONTROL_PLANE_ADDRESS: &str = "198.18.0.1";
/// This machine's own address on the bridge.
pub(crate) const HOST_ADDRESS: &str = "198.18.0.254";
/// Addresses of all pods.
pub(crate) const POD_CIDR: &str = "198.19.0.0/16";
/// Addresses of services.
pub(crate) const SERVICE_CIDR: &str = "198.20.0.0/16";
/// The service address of the API server: the first of the range.
pub(crate) const API_SERVICE_ADDRESS: &str = "198.20.0.1";
/// The service address of DNS.
pub(crate) const DNS_SERVICE_ADDRESS: &str = "198.20.0.10";
/// The API server's port.
pub(crate) const API_PORT: u16 = 6443;
/// The S3 server's port.
pub(crate) const S3_PORT: u16 = 7070;
/// The network namespace of the control plane.
pub(crate) const CONTROL_PLANE_NAMESPACE: &str = "geode-control-plane";
/// What the network namespaces of nodes start with; the node's name follows.
pub(crate) const NODE_NAMESPACE_PREFIX: &str = "geode-";
/// This machine's end of the cable to the bridge.
pub(crate) const HOST_LINK: &str = "geode-host";
/// The cgroup above all nodes' cgroups.
pub(crate) const CGROUP: &str = "geode";
/// The image that holds a pod's namespaces.
pub(crate) const PAUSE_IMAGE: &str = "geodedb/pause:1";
/// Node addresses end in this plus the node's number, and a /24 leaves room for so many.
const FIRST_NODE_HOST: u32 = 10;
/// The most nodes that the addresses allow.
pub(crate) const NODES_MOST: u32 = 200;
const ZONES: [&str; 3] = ["zone-a", "zone-b", "zone-c"];

/// One node of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    number: u32,
}

impl Node {
    /// The first nodes of a cluster.
    pub(crate) fn first(count: u32) -> Vec<Self> {
        (1..=count).map(|number| Self { number }).collect()
    }

    /// The node of this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        let number = name.strip_prefix("node-")?.parse().ok()?;
        (1..=NODES_MOST).contains(&number).then_some(Self { number })
    }

    /// As Kubernetes calls it.
    pub(crate) fn name(&self) -> String {
        format!("node-{}", self.number)
    }

    /// Its network namespace.
    pub(crate) fn namespace(&self) -> String {
        NODE_NAMESPACE_PREFIX.to_owned() + &self.name()
    }

    /// Its address.
    pub(crate) fn address(&self) -> String {
        format!("198.18.0.{}", FIRST_NODE_HOST + self.number)
    }

    /// The addresses of its pods.
    pub(crate) fn pod_cidr(&self) -> String {
        format!("198.19.{}.0/24", self.number)
    }

    /// The bridge's end of its cable.
    pub(crate) fn bridge_link(&self) -> String {
        format!("node{}", self.number)
    }

    /// Its failure domain: three zones in turn.
    pub(crate) fn zone(&self) -> &'static str {
        ZONES
            .get((self.number as usize - 1) % ZONES.len())
            .copied()
            .unwrap_or(ZONES[0])
    }

    /// Its cgroup, from the root of each controller.
    pub(crate) fn cgroup(&self) -> String {
        format!("{CGROUP}/{}", self.name())
    }
}

/// The folders of one cluster.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    root: PathBuf,
}

impl Layout {
    /// The cluster in this cache.
    pub(crate) fn new(cache: &Path) -> Self {
        Self {
            root: cache.join("cluster"),
        }
    }

    /// The state directory: everything that the cluster writes is below it.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// What `up` remembers of the cluster.
    pub(crate) fn record(&self) -> PathBuf {
        self.root.join("cluster.json")
    }

    /// The administrator's kubeconfig, for users of the cluster.
    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.root.join("kubeconfig")
    }

    /// The kubeconfig of one of the cluster's own programs.
    pub(crate) fn kubeconfig_of(&self, user: &str) -> PathBuf {
        self.certificates().join(format!("{user}.kubeconfig"))
    }

    /// Certificates and keys.
    pub(crate) fn certificates(&self) -> PathBuf {
        self.root.join("certificates")
    }

    /// A file of the certificate folder, as text for a flag.
    pub(crate) fn certificate(&self, file: &str) -> String {
        self.certificates().join(file).display().to_string()
    }

    /// One log a program.
    pub(crate) fn log(&self, daemon: &str) -> PathBuf {
        self.root.join("logs").join(format!("{daemon}.log"))
    }

    /// Process ids.
    pub(crate) fn pids(&self) -> PathBuf {
        self.root.join("pids")
    }

    /// The database of the API server.
    pub(crate) fn etcd(&self) -> PathBuf {
        self.root.join("etcd")
    }

    /// Buckets.
    pub(crate) fn s3(&self) -> PathBuf {
        self.root.join("s3")
    }

    /// Volumes of claims.
    pub(crate) fn volumes(&self) -> PathBuf {
        self.root.join("volumes")
    }

    /// Configuration of the control plane's programs.
    pub(crate) fn configuration(&self) -> PathBuf {
        self.root.join("configuration")
    }

    /// Everything of one node.
    pub(crate) fn node(&self, node: &Node) -> PathBuf {
        self.nodes().join(node.name())
    }

    /// The folder of all nodes.
    pub(crate) fn nodes(&self) -> PathBuf {
        self.root.join("nodes")
    }

    /// The socket of a node's containerd.
    pub(crate) fn containerd_socket(&self, node: &Node) -> PathBuf {
        self.node(node).join("containerd.sock")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_links_fit_in_the_kernels_fifteen_bytes() {
        for node in Node::first(NODES_MOST) {
            assert!(node.bridge_link().len() <= 15);
        }
        assert!(HOST_LINK.len() <= 15);
    }

    #[test]
    fn every_address_is_used_once() {
        let mut addresses: Vec<String> = Node::first(NODES_MOST).iter().map(Node::address).collect();
        addresses.extend([CONTROL_PLANE_ADDRESS.to_owned(), HOST_ADDRESS.to_owned()]);
        let count = addresses.len();
        addresses.sort();
        addresses.dedup();
        assert_eq!(addresses.len(), count);
        assert!(
            Node::first(NODES_MOST)
                .iter()
                .all(|node| node.address() != HOST_ADDRESS)
        );
    }

    #[test]
    fn a_node_is_found_by_its_name_and_nothing_else_is() {
        assert_eq!(Node::named("node-2").as_ref(), Node::first(2).last());
        for other in ["node-0", "node-201", "node-", "node-x", "other"] {
            assert_eq!(Node::named(other), None, "{other}");
        }
    }

    #[test]
    fn three_nodes_are_in_three_zones() {
        let zones: Vec<&str> = Node::first(4).iter().map(Node::zone).collect();
        assert_eq!(zones, ["zone-a", "zone-b", "zone-c", "zone-a"]);
    }
}
