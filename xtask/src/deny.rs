//! What Geode may depend on: licences, banned crates and sources of `deny.toml`, checked by cargo-deny.

use crate::command::{output, passthrough};
use crate::paths;
use crate::progress::step;
use anyhow::{Context, Result};
use std::path::PathBuf;
use std::process::Command;

const VERSION: &str = "0.20.2";
/// Advisories are left out: their database is a git repository, and this check has to work without a network.
const CHECKS: [&str; 3] = ["licenses", "bans", "sources"];

/// Checks the lock file.
pub(crate) fn run() -> Result<()> {
    let program = program()?;
    // It reads the manifest of every crate of the lock file, also of those that this machine never compiles, and asks no network.
    let mut fetch = Command::new("cargo");
    fetch.args(["fetch", "--locked", "--quiet"]);
    passthrough(fetch.current_dir(paths::repository())).context("download the crates of Cargo.lock")?;
    let mut deny = Command::new(program);
    deny.args(["--offline", "--locked", "--log-level", "error", "check"])
        .args(CHECKS);
    passthrough(deny.current_dir(paths::repository())).context("cargo-deny, by deny.toml")
}

/// The program in the cache; builds it first when this version is not there.
fn program() -> Result<PathBuf> {
    let folder = paths::cache()?.join(format!("tools/cargo-deny-{VERSION}"));
    let program = folder.join("bin/cargo-deny");
    if !program.is_file() {
        step(
            "building cargo-deny (minutes the first time, then cached)",
            || {
                // It runs for a second: the time goes into building it.
                let mut install = Command::new("cargo");
                install.args([
                    "install",
                    "cargo-deny",
                    "--version",
                    VERSION,
                    "--locked",
                    "--debug",
                ]);
                install.arg("--root").arg(&folder);
                output(install.env("CARGO_PROFILE_DEV_DEBUG", "false")).map(drop)
            },
        )?;
    }
    Ok(program)
}
