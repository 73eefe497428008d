//! Instructions of one write and one read, counted by callgrind: a figure that does not wander with the machine's load.
//!
//! A server alone runs under valgrind; counting is on only while a single client asks. What a majority costs on top is not in it, nor what a
//! client's entry costs: its password is hashed, which takes as much as thousands of operations, so a short load is taken from a long one.

use crate::program;
use crate::write::{READ, VALUE_BYTES, WRITE, geode_load};
use anyhow::{Context, Result, ensure};
use geode_tests::members::{Members, Plan};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// Operations before anything counts: caches and tables are as they will be.
const WARM_UP: Duration = Duration::from_secs(10);
const COUNTED: Duration = Duration::from_secs(20);
/// A load that is mostly the client's entry.
const ENTRY: Duration = Duration::from_millis(500);
/// Where the profiles are left, for `callgrind_annotate`.
const PROFILES: &str = "callgrind.out.geode";

pub(crate) fn run() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let members = Members::planned(
        &under_valgrind(folder.path())?,
        &Plan {
            members: 1,
            // What valgrind does to a server's pace is not for elections to judge.
            timing: "wan",
            // valgrind has less address space to give away. The line goes on with `storage`.
            more: "  map_size: 1Gi\n".to_owned(),
            ..Plan::default()
        },
    );
    let pid = members.pids()[0];
    println!(
        "| operation of one client, {VALUE_BYTES} bytes | operations | instructions each |\n|---|---|---|"
    );
    let mut profiles = 0;
    let mut counted = |operation, duration| -> Result<(f64, f64)> {
        control(&["-i", "on"], pid)?;
        let count = load(&members, operation, duration)?;
        control(&["-i", "off"], pid)?;
        // Writes a file with the next number and begins a new one.
        control(&["-d", operation], pid)?;
        profiles += 1;
        let profile = folder.path().join(format!("{PROFILES}.{profiles}"));
        Ok((total(&profile)?, count))
    };
    for operation in [WRITE, READ] {
        load(&members, operation, WARM_UP)?;
        let (entry, few) = counted(operation, ENTRY)?;
        let (instructions, many) = counted(operation, COUNTED)?;
        let count = many - few;
        println!(
            "| {operation} | {count} | {:.0} |",
            (instructions - entry) / count
        );
    }
    println!("\nThe profiles are in {}", folder.keep().display());
    Ok(())
}

/// A program in place of `geode` whose servers run under valgrind.
fn under_valgrind(folder: &Path) -> Result<String> {
    let path = folder.join("geode");
    let script = format!(
        "#!/bin/sh\ncase $1 in\nserve) exec valgrind --tool=callgrind --instr-atstart=no --separate-threads=no \
         --callgrind-out-file={}/{PROFILES} {geode} \"$@\" ;;\n*) exec {geode} \"$@\" ;;\nesac\n",
        folder.display(),
        geode = program("GEODE")?
    );
    fs::write(&path, script)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    Ok(path.display().to_string())
}

fn load(members: &Members, operation: &str, duration: Duration) -> Result<f64> {
    let output = geode_load(members, 1, duration, operation).output()?;
    ensure!(
        output.status.success(),
        "the load failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let report: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    report[operation]["count"].as_f64().context("the load's count")
}

fn control(arguments: &[&str], pid: u32) -> Result<()> {
    let mut command = Command::new("callgrind_control");
    let output = command.args(arguments).arg(pid.to_string()).output();
    let output = output.context("valgrind is needed to count instructions: install it")?;
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success() && !said.contains("Error"),
        "{command:?}: {said}"
    );
    Ok(())
}

/// All instructions of a profile.
fn total(profile: &Path) -> Result<f64> {
    let text = fs::read_to_string(profile).with_context(|| profile.display().to_string())?;
    let line = text.lines().find_map(|line| line.strip_prefix("totals: "));
    Ok(line.context("a profile without totals")?.trim().parse()?)
}
