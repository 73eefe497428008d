//! Faults for end-to-end tests: cut a node off, or take its power, cut a service of the control plane off from all nodes, and undo it.

use anyhow::{Context, Result};

use super::layout::{API_PORT, CONTROL_PLANE_NAMESPACE, Layout, Node, S3_PORT};
use super::{health, load, network, node};
use crate::progress::step;

/// What nodes and pods can be cut off from.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum Service {
    /// The API server.
    Api,
    /// The S3 server.
    S3,
}

impl Service {
    fn port(self) -> u16 {
        match self {
            Self::Api => API_PORT,
            Self::S3 => S3_PORT,
        }
    }
}

/// Nodes and pods no longer reach the service; this machine does.
pub(crate) fn cut(service: Service) -> Result<()> {
    step(&format!("cutting {service:?} off from the nodes"), || {
        network::cut(service.port())
    })
}

/// They reach it again.
pub(crate) fn restore(service: Service) -> Result<()> {
    step(&format!("giving {service:?} back to the nodes"), || {
        network::restore(service.port())
    })
}

/// What a test left that was killed.
pub(crate) fn restore_all() -> Result<()> {
    if !network::exists(CONTROL_PLANE_NAMESPACE) {
        return Ok(());
    }
    [Service::Api, Service::S3]
        .into_iter()
        .try_for_each(|service| network::restore(service.port()))
}

/// The node of this name, if the cluster has it.
pub(crate) fn find(layout: &Layout, name: &str) -> Result<Node> {
    let record = health::record(layout)?.context("there is no cluster: run `cargo xtask cluster up`")?;
    let nodes = Node::first(record.nodes);
    let names = nodes.iter().map(Node::name).collect::<Vec<_>>().join(", ");
    let found = nodes.into_iter().find(|node| node.name() == name);
    found.with_context(|| format!("the cluster has no node {name}; it has {names}"))
}

/// Cuts the node and its pods off from everything else; processes go on.
pub(crate) fn partition(node: &Node) -> Result<()> {
    step(&format!("partitioning {}", node.name()), || {
        network::partition(node)
    })
}

/// Ends a partition.
pub(crate) fn heal(node: &Node) -> Result<()> {
    step(&format!("healing {}", node.name()), || network::heal(node))
}

/// Ends everything on the node at once; volumes stay. A machine without power refuses no connection, so it is cut off too.
pub(crate) fn kill(layout: &Layout, node: &Node) -> Result<()> {
    step(&format!("killing {}", node.name()), || {
        network::partition(node)?;
        node::cut(layout, node)
    })
}

/// Starts a node that was killed, and waits until it is Ready.
pub(crate) fn start(layout: &Layout, node: &Node) -> Result<()> {
    step(&format!("starting {}", node.name()), || {
        network::heal(node)?;
        node::start_containerd(layout, node, &load::pause()?)?;
        node::start_agents(layout, node)?;
        health::wait_ready(layout, std::slice::from_ref(node))
    })
}
