//! What state the cluster is in, and what `up` has to do about it: [`observe`] looks, [`decide`] decides (pure).

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::layout::{CONTROL_PLANE_ADDRESS, CONTROL_PLANE_NAMESPACE, Layout, Node};
use super::{control_plane, daemon, network, node, teardown, templates};
use crate::command;
use crate::progress::wait_until;
use crate::tools::CLUSTER_TOOLS;

const READY_LIMIT: Duration = Duration::from_secs(120);
const PROBE_LIMIT: Duration = Duration::from_millis(500);
const DNS_PROBE_PORT: u16 = 8181;
const PROXY_PROBE_PORT: u16 = 10256;

/// What `up` writes when a cluster is complete.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// How many nodes it has.
    pub(crate) nodes: u32,
    /// What it was made of: another version of programs or configuration needs a new cluster.
    pub(crate) made_of: String,
}

/// What is there.
#[derive(Debug)]
pub(crate) struct Observed {
    record: Option<Record>,
    leftovers: bool,
    /// Why the control plane does not work, if it does not.
    control_plane: Result<(), String>,
    /// Nodes of which a program or the network is gone.
    fallen: Vec<Node>,
    partitioned: Vec<Node>,
}

/// What to do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Make it from nothing.
    Create,
    /// Take away what is there, then make it from nothing; the reason is for the user.
    Recreate(String),
    /// Restart, heal or add nodes; nothing at all if the lists are empty.
    Repair {
        /// Nodes that fell.
        restart: Vec<Node>,
        /// Nodes that are cut off.
        heal: Vec<Node>,
        /// Nodes that are wanted and not there yet.
        add: Vec<Node>,
    },
}

/// Decides what `up` does. The control plane is never repaired in part: its state is worth less than certainty about it.
pub(crate) fn decide(observed: Observed, wanted: u32, made_of: &str) -> Action {
    let Some(record) = observed.record else {
        let unfinished = || "an earlier start did not finish".to_owned();
        return if observed.leftovers {
            Action::Recreate(unfinished())
        } else {
            Action::Create
        };
    };
    if record.made_of != made_of {
        return Action::Recreate("it was made with other versions of programs or configuration".to_owned());
    }
    if let Err(why) = observed.control_plane {
        return Action::Recreate(why);
    }
    let add = Node::first(wanted)
        .into_iter()
        .skip(record.nodes as usize)
        .collect();
    Action::Repair {
        restart: observed.fallen,
        heal: observed.partitioned,
        add,
    }
}

/// Looks at what is there.
pub(crate) fn observe(layout: &Layout) -> Result<Observed> {
    let record = record(layout)?;
    let nodes = Node::first(record.as_ref().map_or(0, |record| record.nodes));
    let control_plane = if record.is_some() {
        control_plane_works(layout)
    } else {
        Ok(())
    };
    let (standing, fallen): (Vec<_>, Vec<_>) = nodes.into_iter().partition(|node| stands(layout, node));
    let partitioned = standing.into_iter().filter(network::is_partitioned).collect();
    Ok(Observed {
        record,
        leftovers: teardown::has_leftovers(layout),
        control_plane,
        fallen,
        partitioned,
    })
}

/// The record of a complete cluster.
pub(crate) fn record(layout: &Layout) -> Result<Option<Record>> {
    match fs::read(layout.record()) {
        Ok(bytes) => {
            let path = layout.record().display().to_string();
            serde_json::from_slice(&bytes)
                .with_context(|| format!("read {path}"))
                .map(Some)
        }
        Err(_) => Ok(None),
    }
}

/// A digest of everything that a cluster is made of.
pub(crate) fn made_of() -> Result<String> {
    let mut hash = Sha256::new();
    for tool in CLUSTER_TOOLS {
        hash.update(tool.path()?.as_os_str().as_encoded_bytes());
    }
    for template in [
        templates::CONTAINERD,
        templates::CNI,
        templates::KUBELET,
        templates::COREFILE,
        templates::DNS,
        templates::STORAGE,
    ] {
        hash.update(template);
    }
    Ok(format!("{:x}", hash.finalize()))
}

/// Waits until nodes are Ready and pods on them would have DNS and services.
pub(crate) fn wait_ready(layout: &Layout, nodes: &[Node]) -> Result<()> {
    let daemons: Vec<String> = nodes.iter().flat_map(node::daemons).collect();
    let own = control_plane::DAEMONS.map(str::to_owned);
    let waited = wait_until("nodes, services and DNS", READY_LIMIT, || {
        for names in [&own[..], &daemons] {
            if let Some(fallen) = daemon::fallen(layout, names) {
                anyhow::bail!("{fallen}");
            }
        }
        Ok(not_ready(layout, nodes)?.map_or(Ok(()), Err))
    });
    waited.with_context(|| format!("logs are in {}", layout.log("x").with_file_name("").display()))
}

/// What is still missing, in words.
fn not_ready(layout: &Layout, nodes: &[Node]) -> Result<Option<String>> {
    let ready = match ready_nodes(layout) {
        Ok(ready) => ready,
        Err(error) => return Ok(Some(error.to_string())),
    };
    if let Some(node) = nodes.iter().find(|node| !ready.contains(&node.name())) {
        let [_, kubelet, _] = node::daemons(node);
        return Ok(Some(format!(
            "{} is not Ready; log {}",
            node.name(),
            command::log_tail(&layout.log(&kubelet))
        )));
    }
    for node in nodes {
        if !answers(&node.address(), PROXY_PROBE_PORT, "/healthz") {
            return Ok(Some(format!("kube-proxy of {} does not answer", node.name())));
        }
    }
    if !answers(CONTROL_PLANE_ADDRESS, DNS_PROBE_PORT, "/ready") {
        return Ok(Some(format!(
            "DNS does not answer; log {}",
            command::log_tail(&layout.log("coredns"))
        )));
    }
    let account = [
        "get",
        "serviceaccount",
        "default",
        "--namespace=default",
        "--output=name",
    ];
    let account = command::output(control_plane::kubectl(layout)?.args(account));
    Ok(account.err().map(|error| error.to_string()))
}

/// The names of the nodes that are Ready.
pub(crate) fn ready_nodes(layout: &Layout) -> Result<Vec<String>> {
    let template = "jsonpath={range .items[*]}{.metadata.name} {.status.conditions[?(@.type==\"Ready\")].status}{\"\\n\"}{end}";
    let mut kubectl = control_plane::kubectl(layout)?;
    let listed =
        command::output(kubectl.args(["get", "nodes", "--request-timeout=5s", "--output", template]))?;
    Ok(listed
        .lines()
        .filter_map(|line| line.strip_suffix(" True"))
        .map(str::to_owned)
        .collect())
}

fn control_plane_works(layout: &Layout) -> Result<(), String> {
    if !network::exists(CONTROL_PLANE_NAMESPACE) {
        return Err("its network is gone (was the machine restarted?)".to_owned());
    }
    if let Some(name) = control_plane::DAEMONS
        .iter()
        .find(|name| !daemon::is_running(layout, name))
    {
        return Err(format!(
            "{name} has ended; the end of its log {}",
            command::log_tail(&layout.log(name))
        ));
    }
    ready_nodes(layout).map(drop).map_err(|error| error.to_string())
}

fn stands(layout: &Layout, node: &Node) -> bool {
    network::exists(&node.namespace())
        && node::daemons(node)
            .iter()
            .all(|name| daemon::is_running(layout, name))
}

/// Whether an HTTP probe answers with 200.
fn answers(address: &str, port: u16, path: &str) -> bool {
    let ask = || -> Option<bool> {
        let address: SocketAddr = format!("{address}:{port}").parse().ok()?;
        let mut stream = TcpStream::connect_timeout(&address, PROBE_LIMIT).ok()?;
        stream.set_read_timeout(Some(PROBE_LIMIT)).ok()?;
        stream
            .write_all(format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n").as_bytes())
            .ok()?;
        let mut head = [0; 12];
        stream.read_exact(&mut head).ok()?;
        Some(head.ends_with(b" 200"))
    };
    ask().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn healthy() -> Observed {
        Observed {
            record: Some(Record {
                nodes: 3,
                made_of: "a".into(),
            }),
            leftovers: true,
            control_plane: Ok(()),
            fallen: Vec::new(),
            partitioned: Vec::new(),
        }
    }

    fn repair(restart: Vec<Node>, heal: Vec<Node>, add: Vec<Node>) -> Action {
        Action::Repair { restart, heal, add }
    }

    #[test]
    fn a_healthy_cluster_is_left_alone() {
        assert_eq!(decide(healthy(), 3, "a"), repair(vec![], vec![], vec![]));
        assert_eq!(
            decide(healthy(), 1, "a"),
            repair(vec![], vec![], vec![]),
            "nodes are never taken away"
        );
    }

    #[test]
    fn more_nodes_are_added() {
        let add: Vec<Node> = ["node-4", "node-5"].into_iter().filter_map(Node::named).collect();
        assert_eq!(decide(healthy(), 5, "a"), repair(vec![], vec![], add));
    }

    #[test]
    fn fallen_and_partitioned_nodes_are_repaired_in_place() {
        let nodes = Node::first(2);
        let observed = Observed {
            fallen: vec![nodes[0].clone()],
            partitioned: vec![nodes[1].clone()],
            ..healthy()
        };
        assert_eq!(
            decide(observed, 3, "a"),
            repair(vec![nodes[0].clone()], vec![nodes[1].clone()], vec![])
        );
    }

    #[test]
    fn a_broken_control_plane_means_a_new_cluster() {
        let observed = Observed {
            control_plane: Err("etcd has ended".into()),
            ..healthy()
        };
        assert_eq!(
            decide(observed, 3, "a"),
            Action::Recreate("etcd has ended".into())
        );
    }

    #[test]
    fn other_programs_mean_a_new_cluster() {
        assert!(matches!(decide(healthy(), 3, "b"), Action::Recreate(_)));
    }

    #[test]
    fn without_a_record_what_is_there_is_an_unfinished_start() {
        let unfinished = Observed {
            record: None,
            ..healthy()
        };
        assert!(matches!(decide(unfinished, 3, "a"), Action::Recreate(_)));
        let nothing = Observed {
            record: None,
            leftovers: false,
            ..healthy()
        };
        assert_eq!(decide(nothing, 3, "a"), Action::Create);
    }
}
