//! One cgroup a node: kubelet and runc put pods below it, so that a node's containers can be found and ended.
//!
//! Works with version 1 (one tree a controller, and perhaps one of version 2 without any) and version 2 (one tree).

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::layout::{CGROUP, Node};

const ROOT: &str = "/sys/fs/cgroup";
/// Only version 2 has this file in its root.
const VERSION_2_MARK: &str = "cgroup.controllers";
/// Version 1 leaves these empty in a new cpuset, and then no process may join.
const CPUSET_FILES: [&str; 2] = ["cpuset.cpus", "cpuset.mems"];
const EMPTY_LIMIT: Duration = Duration::from_secs(5);

/// Makes a node's cgroup in every tree.
pub(crate) fn make(node: &Node) -> Result<()> {
    for tree in trees()? {
        let mut folder = tree.clone();
        for part in node.cgroup().split('/') {
            enable_controllers(&folder)?;
            let parent = folder.clone();
            folder.push(part);
            fs::create_dir_all(&folder).with_context(|| format!("make the cgroup {}", folder.display()))?;
            inherit_cpuset(&parent, &folder)?;
        }
        enable_controllers(&folder)?;
    }
    Ok(())
}

/// The ids of all processes in the cgroups of a node, or of all nodes.
pub(crate) fn processes(node: Option<&Node>) -> Result<Vec<u32>> {
    let below = node.map_or_else(|| CGROUP.to_owned(), Node::cgroup);
    let mut ids = Vec::new();
    for tree in trees()? {
        for folder in folders(&tree.join(&below)) {
            let listed = fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
            ids.extend(listed.lines().filter_map(|line| line.parse::<u32>().ok()));
        }
    }
    ids.sort_unstable();
    ids.dedup();
    Ok(ids)
}

/// Removes the cgroups of all nodes, which must be empty of processes; the kernel may need a moment to see that.
pub(crate) fn remove() -> Result<()> {
    for tree in trees()? {
        for folder in folders(&tree.join(CGROUP)).into_iter().rev() {
            let start = Instant::now();
            while let Err(error) = fs::remove_dir(&folder) {
                match error.kind() {
                    ErrorKind::NotFound => break,
                    ErrorKind::ResourceBusy if start.elapsed() < EMPTY_LIMIT => {
                        thread::sleep(Duration::from_millis(50));
                    }
                    _ => {
                        return Err(error).with_context(|| format!("remove the cgroup {}", folder.display()));
                    }
                }
            }
        }
    }
    Ok(())
}

fn trees() -> Result<Vec<PathBuf>> {
    let root = Path::new(ROOT);
    if root.join(VERSION_2_MARK).exists() {
        return Ok(vec![root.to_owned()]);
    }
    let listed = fs::read_dir(root).with_context(|| format!("read {ROOT}: are cgroups mounted?"))?;
    let mut trees = Vec::new();
    for entry in listed {
        let entry = entry?;
        // Combined controllers (`cpu,cpuacct`) have links as second names: those are the same trees.
        if entry.file_type()?.is_dir() {
            trees.push(entry.path());
        }
    }
    Ok(trees)
}

fn enable_controllers(folder: &Path) -> Result<()> {
    if !folder.join(VERSION_2_MARK).exists() {
        return Ok(());
    }
    let all = fs::read_to_string(folder.join(VERSION_2_MARK))?;
    let line: Vec<String> = all.split_whitespace().map(|name| format!("+{name}")).collect();
    fs::write(folder.join("cgroup.subtree_control"), line.join(" "))
        .with_context(|| format!("enable controllers below the cgroup {}", folder.display()))
}

fn inherit_cpuset(parent: &Path, child: &Path) -> Result<()> {
    if child.join(VERSION_2_MARK).exists() {
        return Ok(());
    }
    for file in CPUSET_FILES {
        let own = child.join(file);
        if fs::read_to_string(&own).is_ok_and(|value| value.trim().is_empty()) {
            let value = fs::read_to_string(parent.join(file))?;
            fs::write(&own, value).with_context(|| format!("copy {file} to {}", child.display()))?;
        }
    }
    Ok(())
}

/// The folder and all below it, parents first.
fn folders(folder: &Path) -> Vec<PathBuf> {
    let Ok(listed) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut found = vec![folder.to_owned()];
    for entry in listed.flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            found.extend(folders(&entry.path()));
        }
    }
    found
}
