//! `cargo xtask verify`: the fast, read-only check.

use crate::cargo::{EVERYTHING, cargo};
use crate::command::passthrough;
use crate::progress::step;
use crate::{deny, generate, paths, prerequisites, tidy};
use anyhow::Result;
use std::process::Command;

/// Format, rules, licences and bans of dependencies, clippy with warnings denied, documentation, generated files, unit tests.
pub(crate) fn run() -> Result<()> {
    prerequisites::for_builds()?;
    step("format", || {
        passthrough(
            Command::new("cargo")
                .args(["fmt", "--all", "--check"])
                .current_dir(paths::repository()),
        )
    })?;
    step("rules of the project (arrows, files)", tidy::run)?;
    step("dependencies (licences, bans, sources)", deny::run)?;
    step("clippy, warnings denied", || {
        let mut clippy = cargo("clippy")?;
        passthrough(clippy.args([
            "--locked",
            "--workspace",
            "--all-targets",
            "--quiet",
            "--",
            "-D",
            "warnings",
        ]))
    })?;
    step("documentation, warnings denied", || {
        let mut doc = cargo("doc")?;
        passthrough(
            doc.args(["--locked", "--workspace", "--no-deps", "--quiet"])
                .env("RUSTDOCFLAGS", "-D warnings"),
        )
    })?;
    step("generated files are up to date", generate::check)?;
    step("unit tests", || {
        let mut test = cargo("test")?;
        passthrough(test.args(EVERYTHING).args(["--lib", "--bins", "--quiet"]))?;
        // xtask is built for this machine, as `cargo xtask` builds it.
        passthrough(
            Command::new("cargo")
                .args(["test", "--locked", "--package", "xtask", "--quiet"])
                .current_dir(paths::repository()),
        )
    })
}
