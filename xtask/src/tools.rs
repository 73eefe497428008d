//! The outside programs that xtask needs, built from their Go modules below `e2e/kube/` and cached by version.
//!
//! Data: a [`Tool`] → [`Spec`] (module, package, version) → one `go build` for all that miss from one module →
//! `<cache>/tools/<name>-<version>/<name>`. Go's own cache is shared, so client-go compiles once. Knows nothing of clusters.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use crate::command;
use crate::paths;
use crate::progress::step;

const KUBERNETES: &str = "k8s.io/kubernetes";
const OLDEST_GO: &str = "1.26";
const SOURCE_DIGEST_LENGTH: usize = 12;

/// A program that can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Tool {
    /// The API server.
    KubeApiserver,
    /// The built-in controllers.
    KubeControllerManager,
    /// The scheduler.
    KubeScheduler,
    /// The node agent.
    Kubelet,
    /// Services on a node.
    KubeProxy,
    /// The command line.
    Kubectl,
    /// The API server's database.
    Etcd,
    /// Load for it, for `cargo xtask bench`.
    Etcdload,
    /// DNS for pods.
    Coredns,
    /// Volumes for claims.
    Provisioner,
    /// The cluster's certificates.
    Certificates,
    /// The S3 server.
    Versitygw,
    /// Charts.
    Helm,
    /// Pushes images to a registry.
    Crane,
    /// Checks manifests against schemas.
    Kubeconform,
    /// Checks alert rules and tests them.
    Promtool,
}

/// How a tool is built.
struct Spec {
    name: &'static str,
    /// The folder of the Go module, below `e2e/kube`.
    module: &'static str,
    package: &'static str,
    version: Version,
}

#[derive(Clone, Copy)]
enum Version {
    /// That of a required module in `go.mod`.
    Of(&'static str),
    /// Our own program: its version is the digest of its source and of `go.mod`.
    Source,
}

/// All that a test cluster runs.
pub(crate) const CLUSTER_TOOLS: [Tool; 11] = [
    Tool::KubeApiserver,
    Tool::KubeControllerManager,
    Tool::KubeScheduler,
    Tool::Kubelet,
    Tool::KubeProxy,
    Tool::Kubectl,
    Tool::Etcd,
    Tool::Coredns,
    Tool::Provisioner,
    Tool::Certificates,
    Tool::Versitygw,
];

impl Tool {
    fn spec(self) -> Spec {
        let kubernetes = |name, package| Spec {
            name,
            module: "",
            package,
            version: Version::Of(KUBERNETES),
        };
        let own = |name, package| Spec {
            name,
            module: "",
            package,
            version: Version::Source,
        };
        let other = |name, package, of| Spec {
            name,
            module: name,
            package,
            version: Version::Of(of),
        };
        match self {
            Self::KubeApiserver => kubernetes("kube-apiserver", "k8s.io/kubernetes/cmd/kube-apiserver"),
            Self::KubeControllerManager => kubernetes(
                "kube-controller-manager",
                "k8s.io/kubernetes/cmd/kube-controller-manager",
            ),
            Self::KubeScheduler => kubernetes("kube-scheduler", "k8s.io/kubernetes/cmd/kube-scheduler"),
            Self::Kubelet => kubernetes("kubelet", "k8s.io/kubernetes/cmd/kubelet"),
            Self::KubeProxy => kubernetes("kube-proxy", "k8s.io/kubernetes/cmd/kube-proxy"),
            Self::Kubectl => kubernetes("kubectl", "k8s.io/kubernetes/cmd/kubectl"),
            Self::Etcd => Spec {
                name: "etcd",
                module: "",
                package: "go.etcd.io/etcd/server/v3",
                version: Version::Of("go.etcd.io/etcd/server/v3"),
            },
            Self::Etcdload => own("etcdload", "./etcdload"),
            Self::Coredns => own("coredns", "./coredns"),
            Self::Provisioner => own("provisioner", "./provisioner"),
            Self::Certificates => own("certificates", "./certificates"),
            Self::Versitygw => {
                let module = "github.com/versity/versitygw";
                other("versitygw", "github.com/versity/versitygw/cmd/versitygw", module)
            }
            Self::Helm => other("helm", "helm.sh/helm/v4/cmd/helm", "helm.sh/helm/v4"),
            Self::Crane => {
                let module = "github.com/google/go-containerregistry";
                other(
                    "crane",
                    "github.com/google/go-containerregistry/cmd/crane",
                    module,
                )
            }
            Self::Kubeconform => {
                let module = "github.com/yannh/kubeconform";
                other(
                    "kubeconform",
                    "github.com/yannh/kubeconform/cmd/kubeconform",
                    module,
                )
            }
            Self::Promtool => {
                let module = "github.com/prometheus/prometheus";
                other(
                    "promtool",
                    "github.com/prometheus/prometheus/cmd/promtool",
                    module,
                )
            }
        }
    }

    /// Where the built program is or will be.
    pub(crate) fn path(self) -> Result<PathBuf> {
        let spec = self.spec();
        let version = match spec.version {
            Version::Of(module) => required_version(&go_mod(&spec)?, module)?,
            Version::Source => source_digest(&module_folder(&spec).join(spec.package), &go_mod(&spec)?)?,
        };
        Ok(paths::cache()?
            .join("tools")
            .join(format!("{}-{version}", spec.name))
            .join(spec.name))
    }
}

/// Returns the path of the program; builds it first when this version is not in the cache.
pub(crate) fn ensure(tool: Tool) -> Result<PathBuf> {
    ensure_all(&[tool])?;
    tool.path()
}

/// Builds every program that is not in the cache yet, in one build a Go module.
pub(crate) fn ensure_all(tools: &[Tool]) -> Result<()> {
    let mut missing: BTreeMap<&str, Vec<Tool>> = BTreeMap::new();
    for &tool in tools {
        if !tool.path()?.exists() {
            missing.entry(tool.spec().module).or_default().push(tool);
        }
    }
    if !missing.is_empty() {
        check_go()?;
    }
    for (_, group) in missing {
        let names: Vec<&str> = group.iter().map(|tool| tool.spec().name).collect();
        step(
            &format!(
                "building {} (minutes the first time, then cached)",
                names.join(", ")
            ),
            || build(&group),
        )?;
    }
    Ok(())
}

fn check_go() -> Result<()> {
    let version = command::output(Command::new("go").args(["env", "GOVERSION"]));
    let version = version.with_context(|| {
        format!(
            "Go {OLDEST_GO} or newer is needed to build the cluster's programs: install it and put it on PATH"
        )
    })?;
    let number = |text: &str| -> Option<(u32, u32)> {
        let mut parts = text.trim().trim_start_matches("go").split('.');
        Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
    };
    if number(&version) < number(OLDEST_GO) {
        bail!(
            "Go {OLDEST_GO} or newer is needed, but PATH has {}",
            version.trim()
        );
    }
    Ok(())
}

fn build(group: &[Tool]) -> Result<()> {
    let folder = paths::cache()?
        .join("tools")
        .join(format!(".build-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    for flags in [LinkFlags::Kubernetes, LinkFlags::Plain] {
        let specs: Vec<Spec> = group
            .iter()
            .map(|tool| tool.spec())
            .filter(|spec| spec.link_flags() == flags)
            .collect();
        if let Some(first) = specs.first() {
            let mut go = Command::new("go");
            go.current_dir(module_folder(first));
            go.env("CGO_ENABLED", "0")
                .env("GOTOOLCHAIN", "local")
                .env("GOWORK", "off");
            go.args([
                "build",
                // Rules need no discovery of targets, and Prometheus has every cloud's SDK for it.
                "-tags",
                "remove_all_sd",
                "-trimpath",
                "-ldflags",
                &flags.text(&go_mod(first)?)?,
                "-o",
            ])
            .arg(folder.join(""));
            go.args(specs.iter().map(|spec| spec.package));
            command::output(&mut go)?;
        }
    }
    for tool in group {
        let place = tool.path()?;
        fs::create_dir_all(place.parent().expect("invariant: a tool lies in a folder"))?;
        fs::rename(folder.join(built_name(&tool.spec())), &place)?;
    }
    fs::remove_dir_all(&folder).context("remove the build folder")
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum LinkFlags {
    Kubernetes,
    Plain,
}

impl LinkFlags {
    fn text(self, go_mod: &str) -> Result<String> {
        let plain = "-s -w".to_owned();
        if self == Self::Plain {
            return Ok(plain);
        }
        let version = required_version(go_mod, KUBERNETES)?;
        let mut numbers = version.split('.');
        let (major, minor) = (
            numbers.next().unwrap_or_default(),
            numbers.next().unwrap_or_default(),
        );
        let full = format!("v{version}");
        let fields = [
            ("gitVersion", full.as_str()),
            ("gitMajor", major),
            ("gitMinor", minor),
            ("gitTreeState", "clean"),
        ];
        let set = |text: String, (field, value): (&str, &str)| {
            text + &format!(" -X k8s.io/component-base/version.{field}={value}")
        };
        Ok(fields.into_iter().fold(plain, set))
    }
}

impl Spec {
    fn link_flags(&self) -> LinkFlags {
        if self.package.starts_with("k8s.io/kubernetes/") {
            LinkFlags::Kubernetes
        } else {
            LinkFlags::Plain
        }
    }
}

/// What `go build` calls the program: the last part of its package that is no major version.
fn built_name(spec: &Spec) -> &'static str {
    let is_version = |part: &str| part.starts_with('v') && part[1..].parse::<u32>().is_ok();
    spec.package
        .rsplit('/')
        .find(|part| !is_version(part))
        .unwrap_or(spec.name)
}

fn module_folder(spec: &Spec) -> PathBuf {
    paths::repository().join("e2e/kube").join(spec.module)
}

fn go_mod(spec: &Spec) -> Result<String> {
    let path = module_folder(spec).join("go.mod");
    fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))
}

/// The version that `go.mod` requires of a module, without its `v`.
fn required_version(go_mod: &str, module: &str) -> Result<String> {
    let line = go_mod
        .lines()
        .map(str::trim)
        .find_map(|line| line.strip_prefix(module)?.strip_prefix(" v"));
    let version = line.and_then(|rest| rest.split_whitespace().next());
    version
        .map(str::to_owned)
        .with_context(|| format!("go.mod requires no version of {module}"))
}

fn source_digest(folder: &Path, go_mod: &str) -> Result<String> {
    let listed = fs::read_dir(folder).with_context(|| format!("read {}", folder.display()))?;
    let mut files = listed
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<Vec<_>>>()?;
    files.sort();
    let mut hash = Sha256::new_with_prefix(go_mod);
    for file in files {
        hash.update(fs::read(&file)?);
    }
    let digest = format!("{:x}", hash.finalize());
    Ok(digest.chars().take(SOURCE_DIGEST_LENGTH).collect())
}

/// Runs a tool in the user's terminal: `cargo xtask helm template …`.
pub(crate) fn run(tool: Tool, arguments: &[String]) -> Result<()> {
    let mut command = Command::new(ensure(tool)?);
    if env::var_os("KUBECONFIG").is_none() {
        let ours = paths::cache()?.join("cluster/kubeconfig");
        if ours.exists() {
            command.env("KUBECONFIG", ours);
        }
    }
    command::passthrough(command.args(arguments))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tool_has_a_version_in_its_go_module() {
        let others = [Tool::Helm, Tool::Crane, Tool::Kubeconform, Tool::Promtool];
        for tool in CLUSTER_TOOLS.into_iter().chain(others) {
            let spec = tool.spec();
            if let Version::Of(module) = spec.version {
                assert!(
                    required_version(&go_mod(&spec).unwrap(), module).is_ok(),
                    "{}",
                    spec.name
                );
            }
        }
    }

    #[test]
    fn a_version_is_that_of_the_whole_module_name() {
        let go_mod = "require (\n\ta.b/c v1.2.3 // indirect\n\ta.b/c/d v4.5.6\n)";
        assert_eq!(required_version(go_mod, "a.b/c").unwrap(), "1.2.3");
        assert_eq!(required_version(go_mod, "a.b/c/d").unwrap(), "4.5.6");
        assert!(required_version(go_mod, "a.b").is_err());
    }

    #[test]
    fn a_go_program_is_named_as_go_names_it() {
        assert_eq!(built_name(&Tool::Etcd.spec()), "server");
        assert_eq!(built_name(&Tool::Kubelet.spec()), "kubelet");
        assert_eq!(built_name(&Tool::Provisioner.spec()), "provisioner");
    }
}
