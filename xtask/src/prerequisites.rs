//! Programs of the distribution that a test cluster and static builds need; installed by apt-get where that is possible.
//!
//! Decides by looking for binaries, not packages, so that any distribution that has them will do.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};

use crate::cargo::TARGET;
use crate::command;
use crate::progress::step;

/// Folders of system programs that a user's PATH may lack.
const SYSTEM_FOLDERS: [&str; 3] = ["/usr/sbin", "/sbin", "/usr/local/sbin"];
/// Where distributions put the CNI plugins.
const CNI_FOLDERS: [&str; 3] = ["/usr/lib/cni", "/opt/cni/bin", "/usr/libexec/cni"];

/// A program and the Debian package that has it.
struct Need {
    program: &'static str,
    package: &'static str,
}

const fn need(program: &'static str, package: &'static str) -> Need {
    Need { program, package }
}

const CLUSTER: [Need; 16] = [
    need("containerd", "containerd"),
    need("ctr", "containerd"),
    need("containerd-shim-runc-v2", "containerd"),
    need("runc", "runc"),
    need("conntrack", "conntrack"),
    need("iptables", "iptables"),
    need("nft", "nftables"),
    need("ip", "iproute2"),
    need("mkfs.ext4", "e2fsprogs"),
    need("resize2fs", "e2fsprogs"),
    need("mkfs.xfs", "xfsprogs"),
    need("xfs_growfs", "xfsprogs"),
    need("losetup", "mount"),
    need("nsenter", "util-linux"),
    need("setsid", "util-linux"),
    need("musl-gcc", "musl-tools"),
];
const STATIC_BUILDS: [Need; 2] = [need("musl-gcc", "musl-tools"), need("ld.mold", "mold")];
const BACKUP_BENCH: [Need; 2] = [
    need("pg_ctlcluster", "postgresql-15"),
    need("pgbackrest", "pgbackrest"),
];
const CNI_PACKAGE: &str = "containernetworking-plugins";
const CNI_PLUGINS: [&str; 3] = ["ptp", "host-local", "loopback"];

/// Makes sure that a cluster can run on this machine.
pub(crate) fn for_clusters() -> Result<()> {
    if !is_root()? {
        bail!(
            "a test cluster needs root (network namespaces, mounts, containers): run this as root, or set KUBECONFIG to a cluster that exists"
        );
    }
    let mut missing = missing_of(&CLUSTER);
    if cni_folder().is_none() {
        missing.push((CNI_PLUGINS.join(", "), CNI_PACKAGE));
    }
    install(&missing)
}

/// Makes sure that static binaries can be built.
pub(crate) fn for_builds() -> Result<()> {
    install(&missing_of(&STATIC_BUILDS))?;
    let installed = command::output(Command::new("rustup").args(["target", "list", "--installed"]));
    match installed {
        // Without rustup the toolchain is the distribution's; whether it has the target, cargo will tell.
        Err(_) => Ok(()),
        Ok(targets) if targets.lines().any(|line| line == TARGET) => Ok(()),
        Ok(_) => step(&format!("adding the Rust target {TARGET}"), || {
            command::output(Command::new("rustup").args(["target", "add", TARGET])).map(drop)
        }),
    }
}

/// Makes sure that there is a PostgreSQL with pgBackRest to measure backups beside.
pub(crate) fn for_backup_bench() -> Result<()> {
    install(&missing_of(&BACKUP_BENCH))
}

/// The folder with the CNI plugins, if there is one.
pub(crate) fn cni_folder() -> Option<PathBuf> {
    let has_all = |folder: &&str| {
        CNI_PLUGINS
            .iter()
            .all(|plugin| Path::new(folder).join(plugin).exists())
    };
    CNI_FOLDERS.into_iter().find(has_all).map(PathBuf::from)
}

/// A PATH that also has the folders of system programs.
pub(crate) fn search_path() -> String {
    let mut path = env::var("PATH").unwrap_or_default();
    for folder in SYSTEM_FOLDERS {
        if !path.split(':').any(|part| part == folder) {
            path = path + ":" + folder;
        }
    }
    path
}

fn missing_of(needs: &[Need]) -> Vec<(String, &'static str)> {
    let path = search_path();
    let exists = |program: &str| {
        path.split(':')
            .any(|folder| Path::new(folder).join(program).exists())
    };
    needs
        .iter()
        .filter(|need| !exists(need.program))
        .map(|need| (need.program.to_owned(), need.package))
        .collect()
}

fn install(missing: &[(String, &'static str)]) -> Result<()> {
    if missing.is_empty() {
        return Ok(());
    }
    let programs: Vec<&str> = missing.iter().map(|(program, _)| program.as_str()).collect();
    let mut packages: Vec<&str> = missing.iter().map(|(_, package)| *package).collect();
    packages.sort_unstable();
    packages.dedup();
    let by_hand = format!(
        "apt-get update && apt-get install --no-install-recommends {}",
        packages.join(" ")
    );
    if !is_root()? || !missing_of(&[need("apt-get", "apt")]).is_empty() {
        bail!(
            "missing on this machine: {}.\nInstall them; on Debian and Ubuntu, as root: {by_hand}",
            programs.join(", ")
        );
    }
    step(
        &format!("installing {} (for {})", packages.join(", "), programs.join(", ")),
        || {
            let apt = |arguments: &[&str]| {
                let mut apt = Command::new("apt-get");
                command::output(apt.env("DEBIAN_FRONTEND", "noninteractive").args(arguments))
            };
            apt(&["update"])?;
            apt(&[&["install", "-y", "--no-install-recommends"], packages.as_slice()].concat()).map(drop)
        },
    )
}

fn is_root() -> Result<bool> {
    Ok(command::output(Command::new("id").arg("-u"))?.trim() == "0")
}
