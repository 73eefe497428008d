//! How everything but xtask itself is built: one profile and one target, so that what is tested is what is shipped
//! (docs/adr/0006) and dependencies compile once.

use crate::command::passthrough;
use crate::paths;
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Static binaries: images hold nothing else.
pub(crate) const TARGET: &str = "x86_64-unknown-linux-musl";

/// `cargo SUBCOMMAND` with the project's profile, target and folder.
pub(crate) fn cargo(subcommand: &str) -> Result<Command> {
    Ok(cargo_of(paths::repository(), &paths::target()?, subcommand))
}

/// The same for any checkout of the project, with the folder for what is built.
pub(crate) fn cargo_of(checkout: &Path, target: &Path, subcommand: &str) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command
        .current_dir(checkout)
        .env("CARGO_TARGET_DIR", target)
        // There are many test binaries, and the system's linker takes seconds for each.
        .env(
            "CARGO_TARGET_X86_64_UNKNOWN_LINUX_MUSL_RUSTFLAGS",
            "-Clink-arg=-fuse-ld=mold",
        );
    command.args([subcommand, "--release", "--target", TARGET]);
    command
}

/// Where a binary lies after it was built.
pub(crate) fn binary(name: &str) -> Result<PathBuf> {
    Ok(binary_in(&paths::target()?, name))
}

/// The same for a build in another target folder.
pub(crate) fn binary_in(target: &Path, name: &str) -> PathBuf {
    target.join(TARGET).join("release").join(name)
}

/// Everything but xtask: always this selection, as another one has other features and would compile the dependencies again.
pub(crate) const EVERYTHING: [&str; 4] = ["--locked", "--workspace", "--exclude", "xtask"];

/// Builds every binary of the project.
pub(crate) fn build() -> Result<()> {
    let mut command = cargo("build")?;
    passthrough(command.args(EVERYTHING).args(["--bins"])).context("build the binaries")
}
