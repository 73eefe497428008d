//! Images into the nodes' containerd, or into the user's own cluster; a node takes an archive only when it changed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use anyhow::{Context, Result};

use super::layout::{Layout, Node, PAUSE_IMAGE};
use crate::command;
use crate::images::{self, Archive, archive::Image};
use crate::paths;
use crate::prerequisites::search_path;

/// The containerd namespace that kubelet looks into.
const KUBERNETES_NAMESPACE: &str = "k8s.io";

/// Imports the archives on all nodes at the same time.
pub(crate) fn import_everywhere(layout: &Layout, nodes: &[Node], archives: &[Archive]) -> Result<()> {
    thread::scope(|scope| {
        let imports: Vec<_> = nodes
            .iter()
            .map(|node| {
                scope.spawn(move || {
                    archives
                        .iter()
                        .try_for_each(|archive| import(layout, node, archive))
                })
            })
            .collect();
        imports
            .into_iter()
            .try_for_each(|import| import.join().expect("invariant: an import does not panic"))
    })
}

/// Imports one archive on one node, unless the node has it already.
pub(crate) fn import(layout: &Layout, node: &Node, archive: &Archive) -> Result<()> {
    let mark = layout
        .node(node)
        .join("images")
        .join(archive.name.replace('/', "_"));
    if fs::read_to_string(&mark).is_ok_and(|digest| digest == archive.digest) {
        return Ok(());
    }
    let path = archive.path.display().to_string();
    containerd(layout, node, &["images", "import", &path])
        .with_context(|| format!("import {} on {}", archive.name, node.name()))?;
    fs::create_dir_all(mark.parent().unwrap_or(Path::new("/")))?;
    fs::write(&mark, &archive.digest).context("remember an import")
}

/// Speaks to a node's containerd.
pub(crate) fn containerd(layout: &Layout, node: &Node, arguments: &[&str]) -> Result<String> {
    let mut ctr = Command::new("ctr");
    ctr.env("PATH", search_path())
        .arg("--address")
        .arg(layout.containerd_socket(node));
    command::output(ctr.args(["--namespace", KUBERNETES_NAMESPACE]).args(arguments))
}

/// The image of the pause process: compiled once, then kept in the cache.
pub(crate) fn pause() -> Result<Archive> {
    let source = paths::repository().join("e2e/kube/pause/pause.c");
    let binary: PathBuf = paths::cache()?.join("images/pause");
    let newer = |path: &Path| fs::metadata(path).and_then(|metadata| metadata.modified());
    if !binary.exists() || newer(&source)? > newer(&binary)? {
        fs::create_dir_all(binary.parent().unwrap_or(Path::new("/")))?;
        let partial = binary.with_extension(format!("{}", std::process::id()));
        command::output(
            Command::new("musl-gcc")
                .args(["-static", "-Os", "-s", "-o"])
                .arg(&partial)
                .arg(&source),
        )?;
        fs::rename(partial, &binary)?;
    }
    images::write(&Image {
        name: PAUSE_IMAGE.to_owned(),
        binary,
        program: "pause".to_owned(),
    })
}
