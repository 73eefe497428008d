//! `cargo xtask cluster`: a real Kubernetes in network namespaces of this machine, or the user's own one.
//!
//! The control plane and every node are processes in network namespaces ([`layout`], [`network`]); programs come from
//! [`crate::tools`], images from [`crate::images`]. `up` looks, decides and acts ([`health`]); `down` leaves nothing
//! ([`teardown`]). Knows nothing of Geode: an operator is installed by whoever wants one.

mod certificates;
mod cgroups;
mod control_plane;
mod daemon;
mod external;
mod fault;
mod health;
mod layout;
mod load;
mod network;
mod node;
mod teardown;
mod templates;

pub(crate) use external::REGISTRY_VARIABLE;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::thread;

use anyhow::{Context, Result, bail};

use health::{Action, Record};
use layout::{Layout, NODES_MOST, Node};

use crate::cargo::binary;
use crate::images::{self, Archive, archive::Image};
use crate::progress::{note, step};
use crate::tools::{self, CLUSTER_TOOLS, Tool};
use crate::{paths, prerequisites};

/// Enough for three members that never share a node.
pub(crate) const DEFAULT_NODES: u32 = 3;

/// What `cargo xtask cluster` can do.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Start the cluster, or repair what is there; ends with the line KUBECONFIG=…
    Up {
        /// At least so many nodes.
        #[arg(long, default_value_t = DEFAULT_NODES, value_parser = clap::value_parser!(u32).range(1..=i64::from(NODES_MOST)))]
        nodes: u32,
    },
    /// Take the cluster away: processes, networks, mounts, cgroups and files.
    Down,
    /// Print what scripts need to use the cluster, as NAME=value lines.
    Env,
    /// Bring the images that `cargo xtask images` wrote to all nodes; or one static binary as an image.
    Load {
        /// A registry that the user's own cluster pulls from.
        #[arg(long, env = external::REGISTRY_VARIABLE)]
        registry: Option<String>,
        /// A static binary to load instead.
        #[arg(long, requires = "name")]
        binary: Option<PathBuf>,
        /// The name and tag of its image, such as test/echo:1.
        #[arg(long = "as", value_name = "NAME:TAG", requires = "binary")]
        name: Option<String>,
    },
    /// Cut a node and its pods off from everything outside it.
    Partition {
        /// The node's name, such as node-1.
        node: String,
    },
    /// End a partition.
    Heal {
        /// The node's name.
        node: String,
    },
    /// Cut all nodes and pods off from a service of the control plane; this machine still reaches it.
    Cut {
        /// Which.
        service: fault::Service,
    },
    /// End such a cut.
    Restore {
        /// Which.
        service: fault::Service,
    },
    /// End everything on a node, as a power cut would.
    KillNode {
        /// The node's name.
        node: String,
    },
    /// Start a killed node and wait until it is Ready.
    StartNode {
        /// The node's name.
        node: String,
    },
}

/// Does what was asked for.
pub(crate) fn run(command: Command) -> Result<()> {
    let layout = Layout::new(&paths::cache()?);
    let node = |name: &str| fault::find(&layout, name);
    match command {
        Command::Up { nodes } => {
            up(nodes)?;
            let kubeconfig = external::kubeconfig(&layout).unwrap_or_else(|| layout.kubeconfig());
            println!("export KUBECONFIG='{}'", kubeconfig.display());
            Ok(())
        }
        Command::Down => down(),
        Command::Env => {
            for (name, value) in environment()? {
                println!("export {name}='{value}'");
            }
            Ok(())
        }
        Command::Load {
            registry,
            binary: None,
            ..
        } => load_archives(&images::built()?, registry.as_deref()),
        Command::Load {
            registry,
            binary: Some(binary),
            name,
        } => {
            let name = name.context("--binary needs --as NAME:TAG")?;
            let program = binary
                .file_name()
                .context("--binary needs a file")?
                .to_string_lossy()
                .into_owned();
            let archive = images::write(&Image {
                name,
                binary,
                program,
            })?;
            load_archives(&[archive], registry.as_deref())
        }
        Command::Partition { node: name } => fault::partition(&node(&name)?),
        Command::Heal { node: name } => fault::heal(&node(&name)?),
        Command::Cut { service } => fault::cut(service),
        Command::Restore { service } => fault::restore(service),
        Command::KillNode { node: name } => fault::kill(&layout, &node(&name)?),
        Command::StartNode { node: name } => fault::start(&layout, &node(&name)?),
    }
}

/// Makes sure that a cluster of at least so many nodes works.
pub(crate) fn up(nodes: u32) -> Result<()> {
    let layout = Layout::new(&paths::cache()?);
    if let Some(kubeconfig) = external::kubeconfig(&layout) {
        return external::check(&kubeconfig);
    }
    let _lock = lock()?;
    prerequisites::for_clusters()?;
    tools::ensure_all(&CLUSTER_TOOLS)?;
    fault::restore_all()?;
    let made_of = health::made_of()?;
    match health::decide(health::observe(&layout)?, nodes, &made_of) {
        Action::Create => {}
        Action::Recreate(why) => {
            note(&format!("the cluster that is here does not work: {why}"));
            note("it is made anew; what its volumes and buckets held is lost");
            teardown::run(&layout)?;
        }
        Action::Repair { restart, heal, add } => return repair(&layout, &restart, &heal, &add),
    }
    create(&layout, &Node::first(nodes))?;
    remember(&layout, nodes)
}

/// Takes the cluster away.
pub(crate) fn down() -> Result<()> {
    let layout = Layout::new(&paths::cache()?);
    let _lock = lock()?;
    if !teardown::has_leftovers(&layout) {
        note("there is no cluster");
    }
    teardown::run(&layout)
}

/// Brings images to the cluster.
pub(crate) fn load(archives: &[Archive]) -> Result<()> {
    load_archives(
        archives,
        std::env::var(external::REGISTRY_VARIABLE).ok().as_deref(),
    )
}

/// What scripts need to use the cluster.
pub(crate) fn environment() -> Result<BTreeMap<String, String>> {
    let layout = Layout::new(&paths::cache()?);
    let mut environment = if let Some(kubeconfig) = external::kubeconfig(&layout) {
        external::environment(&kubeconfig)?
    } else if health::record(&layout)?.is_some() {
        let own = [("KUBECONFIG", layout.kubeconfig().display().to_string())];
        let all = own.into_iter().chain(control_plane::s3_environment());
        all.map(|(name, value)| (name.to_owned(), value)).collect()
    } else {
        bail!("there is no cluster: run `cargo xtask cluster up`, or set KUBECONFIG to a cluster of yours");
    };
    // The plugin is found by its name.
    let mut programs = vec![("GEODE", binary("geode")?)];
    for (name, tool) in [("KUBECTL", Tool::Kubectl), ("HELM", Tool::Helm)] {
        programs.push((name, tool.path()?));
    }
    let mut folders = Vec::new();
    for (name, program) in programs.into_iter().filter(|(_, program)| program.exists()) {
        folders.extend(program.parent().map(Path::to_owned));
        environment.insert(name.to_owned(), program.display().to_string());
    }
    folders.extend(std::env::split_paths(
        &std::env::var_os("PATH").unwrap_or_default(),
    ));
    let path = std::env::join_paths(folders).context("PATH")?;
    environment.insert("PATH".to_owned(), path.to_string_lossy().into_owned());
    Ok(environment)
}

fn load_archives(archives: &[Archive], registry: Option<&str>) -> Result<()> {
    let layout = Layout::new(&paths::cache()?);
    if external::kubeconfig(&layout).is_some() {
        return external::load(archives, registry);
    }
    let record = health::record(&layout)?.context("there is no cluster: run `cargo xtask cluster up`")?;
    let names: Vec<&str> = archives.iter().map(|archive| archive.name.as_str()).collect();
    step(
        &format!("loading {} on {} nodes", names.join(", "), record.nodes),
        || load::import_everywhere(&layout, &Node::first(record.nodes), archives),
    )
}

/// Only one `up` or `down` at a time; the lock ends with the process.
fn lock() -> Result<File> {
    let path = paths::cache()?.join("cluster.lock");
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)?;
    if file.try_lock().is_err() {
        note("waiting for another `cargo xtask cluster` to end");
        file.lock().with_context(|| format!("lock {}", path.display()))?;
    }
    Ok(file)
}

fn remember(layout: &Layout, nodes: u32) -> Result<()> {
    let record = Record {
        nodes,
        made_of: health::made_of()?,
    };
    fs::write(layout.record(), serde_json::to_vec(&record)?).context("remember the cluster")
}

fn create(layout: &Layout, nodes: &[Node]) -> Result<()> {
    step("making certificates", || {
        certificates::make(layout, &Node::first(NODES_MOST))
    })?;
    step(&format!("making networks for {} nodes", nodes.len()), || {
        network::make_control_plane()?;
        nodes.iter().try_for_each(|node| network::make_node(node, nodes))
    })?;
    step("starting the API server, S3 and the nodes' containerd", || {
        let pause = load::pause()?;
        each(
            nodes,
            |node| node::start_containerd(layout, node, &pause),
            || control_plane::start(layout),
        )
    })?;
    step(
        "starting controllers, scheduler, DNS, volumes and the nodes' agents",
        || {
            each(
                nodes,
                |node| node::start_agents(layout, node),
                || control_plane::start_controllers(layout),
            )
        },
    )?;
    step("waiting for nodes, services and DNS", || {
        health::wait_ready(layout, nodes)
    })
}

/// Does one thing a node and one beside them, all at the same time.
fn each(
    nodes: &[Node],
    on_node: impl Fn(&Node) -> Result<()> + Sync,
    beside: impl FnOnce() -> Result<()>,
) -> Result<()> {
    thread::scope(|scope| {
        let on_node = &on_node;
        let threads: Vec<_> = nodes
            .iter()
            .map(|node| scope.spawn(move || on_node(node)))
            .collect();
        beside()?;
        threads
            .into_iter()
            .try_for_each(|thread| thread.join().expect("invariant: a start does not panic"))
    })
}

fn repair(layout: &Layout, restart: &[Node], heal: &[Node], add: &[Node]) -> Result<()> {
    let count = health::record(layout)?.map_or(0, |record| record.nodes) + add.len() as u32;
    let all = Node::first(count);
    for node in heal {
        fault::heal(node)?;
    }
    for node in restart.iter().chain(add) {
        // What still runs on a fallen node has lost its keepers.
        node::cut(layout, node)?;
        network::make_node(node, &all)?;
        fault::start(layout, node)?;
    }
    if !add.is_empty() {
        remember(layout, count)?;
    }
    let ready = health::ready_nodes(layout)?;
    if all.iter().all(|node| ready.contains(&node.name())) {
        note(&format!("the cluster is up with {count} nodes"));
        return Ok(());
    }
    step("waiting for nodes, services and DNS", || {
        health::wait_ready(layout, &all)
    })
}
