//! The user's own cluster, taken when KUBECONFIG names one that is not ours: reach it, and bring images to it.

use std::collections::BTreeMap;
use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::layout::Layout;
use crate::command;
use crate::images::Archive;
use crate::progress::step;
use crate::tools::{self, Tool};

/// Names a registry that the cluster pulls from, when `--registry` is not given.
pub(crate) const REGISTRY_VARIABLE: &str = "GEODE_REGISTRY";
/// Passed on when the user has set them: their cluster's S3 is their own.
const S3_VARIABLES: [&str; 4] = ["S3_ENDPOINT", "S3_BUCKET", "S3_ACCESS_KEY", "S3_SECRET_KEY"];

/// How images get into a cluster.
#[derive(Debug, PartialEq, Eq)]
enum Way<'a> {
    Kind(&'a str),
    K3d(&'a str),
    Registry(&'a str),
}

/// The user's kubeconfig, if they chose a cluster that is not ours.
pub(crate) fn kubeconfig(layout: &Layout) -> Option<PathBuf> {
    let chosen = env::var_os("KUBECONFIG").filter(|value| !value.is_empty())?;
    (Path::new(&chosen) != layout.kubeconfig()).then(|| PathBuf::from(chosen))
}

/// Checks that the cluster answers.
pub(crate) fn check(kubeconfig: &Path) -> Result<()> {
    let kubectl = tools::ensure(Tool::Kubectl)?;
    step(
        &format!("reaching the cluster of {}", kubeconfig.display()),
        || {
            command::output(Command::new(kubectl).args(["get", "--raw", "/readyz", "--request-timeout=10s"]))
                .map(drop)
        },
    )
    .context("KUBECONFIG is set, so that cluster is used; unset it to get a cluster on this machine")
}

/// Brings images to the cluster.
pub(crate) fn load(archives: &[Archive], registry: Option<&str>) -> Result<()> {
    let context =
        command::output(Command::new(tools::ensure(Tool::Kubectl)?).args(["config", "current-context"]))?;
    let way = way(context.trim(), registry)?;
    for archive in archives {
        step(&format!("loading {}", archive.name), || bring(&way, archive))?;
    }
    Ok(())
}

/// What users of the cluster need, as variables.
pub(crate) fn environment(kubeconfig: &Path) -> Result<BTreeMap<String, String>> {
    let passed = S3_VARIABLES.into_iter().chain([REGISTRY_VARIABLE]);
    let mut environment: BTreeMap<String, String> = passed
        .filter_map(|name| Some((name.to_owned(), env::var(name).ok()?)))
        .collect();
    environment.insert("KUBECONFIG".to_owned(), kubeconfig.display().to_string());
    tools::ensure(Tool::Kubectl)?;
    Ok(environment)
}

fn way<'a>(context: &'a str, registry: Option<&'a str>) -> Result<Way<'a>> {
    match (
        context.strip_prefix("kind-"),
        context.strip_prefix("k3d-"),
        registry,
    ) {
        (_, _, Some(registry)) => Ok(Way::Registry(registry)),
        (Some(name), _, None) => Ok(Way::Kind(name)),
        (_, Some(name), None) => Ok(Way::K3d(name)),
        (None, None, None) => bail!(
            "the cluster of context {context} is neither kind nor k3d, so it must pull the images: name a registry that it \
             reaches with `--registry HOST/PATH` or {REGISTRY_VARIABLE}"
        ),
    }
}

fn bring(way: &Way, archive: &Archive) -> Result<()> {
    let mut command = match way {
        Way::Kind(cluster) => {
            let mut kind = Command::new("kind");
            kind.args(["load", "image-archive", "--name", cluster])
                .arg(&archive.path);
            kind
        }
        Way::K3d(cluster) => {
            let mut k3d = Command::new("k3d");
            k3d.args(["image", "import", "--cluster", cluster])
                .arg(&archive.path);
            k3d
        }
        Way::Registry(registry) => {
            let mut crane = Command::new(tools::ensure(Tool::Crane)?);
            crane
                .arg("push")
                .arg(&archive.path)
                .arg(format!("{registry}/{}", archive.name));
            crane
        }
    };
    command::output(&mut command).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kind_and_k3d_take_archives_and_others_need_a_registry() {
        assert_eq!(way("kind-a", None).unwrap(), Way::Kind("a"));
        assert_eq!(way("k3d-b", None).unwrap(), Way::K3d("b"));
        assert_eq!(way("prod", Some("r/x")).unwrap(), Way::Registry("r/x"));
        assert!(way("prod", None).unwrap_err().to_string().contains("--registry"));
    }
}
