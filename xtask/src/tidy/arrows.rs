//! The arrows of ARCHITECTURE.md: which crate of the workspace may import which.

use crate::command::output;
use crate::paths;
use anyhow::{Context, Result};
use serde_json::Value;
use std::process::Command;

/// What each crate may import of the workspace. `None`: anything (tests).
const ARROWS: &[(&str, Option<&[&str]>)] = &[
    ("geode-types", Some(&[])),
    ("geode-mutation", Some(&[])),
    ("geode-gql", Some(&["geode-types"])),
    ("geode-store", Some(&[])),
    (
        "geode-graph",
        Some(&["geode-mutation", "geode-store", "geode-types"]),
    ),
    (
        "geode-query",
        Some(&["geode-gql", "geode-graph", "geode-store", "geode-types"]),
    ),
    ("geode-log", Some(&["geode-mutation", "geode-types"])),
    ("geode-archive", Some(&["geode-log", "geode-types"])),
    ("geode-wire", Some(&["geode-types"])),
    ("geode-config", Some(&["geode-types"])),
    ("geode-api", Some(&["geode-types"])),
    ("geode-telemetry", Some(&[])),
    ("geode-client", Some(&["geode-types", "geode-wire"])),
    (
        "geode-server",
        Some(&[
            "geode-client",
            "geode-config",
            "geode-gql",
            "geode-graph",
            "geode-log",
            "geode-mutation",
            "geode-query",
            "geode-store",
            "geode-telemetry",
            "geode-types",
            "geode-wire",
        ]),
    ),
    (
        "geode-sidecar",
        Some(&[
            "geode-archive",
            "geode-client",
            "geode-config",
            "geode-log",
            "geode-telemetry",
            "geode-types",
            "geode-wire",
        ]),
    ),
    (
        "geode-planner",
        Some(&["geode-api", "geode-config", "geode-types", "geode-wire"]),
    ),
    (
        "geode-operator",
        Some(&[
            "geode-api",
            "geode-client",
            "geode-planner",
            "geode-telemetry",
            "geode-types",
            "geode-wire",
        ]),
    ),
    (
        "geode-cli",
        Some(&[
            "geode-archive",
            "geode-client",
            "geode-config",
            "geode-gql",
            "geode-graph",
            "geode-log",
            "geode-query",
            "geode-server",
            "geode-store",
            "geode-telemetry",
            "geode-types",
            "geode-wire",
        ]),
    ),
    ("kubectl-geode", Some(&["geode-api", "geode-types"])),
    ("geode-e2e", Some(&[])),
    ("geode-tests", None),
    (
        "geode-tck",
        Some(&[
            "geode-gql",
            "geode-graph",
            "geode-query",
            "geode-store",
            "geode-types",
        ]),
    ),
    (
        "geode-fuzz",
        Some(&[
            "geode-gql",
            "geode-graph",
            "geode-query",
            "geode-types",
            "geode-wire",
        ]),
    ),
    (
        "geode-oracle",
        Some(&[
            "geode-gql",
            "geode-graph",
            "geode-query",
            "geode-store",
            "geode-types",
        ]),
    ),
    (
        "geode-benches",
        Some(&["geode-client", "geode-tests", "geode-types", "geode-wire"]),
    ),
    ("xtask", Some(&[])),
];

pub(super) fn check() -> Result<Vec<String>> {
    let mut command = Command::new("cargo");
    command
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(paths::repository());
    let metadata: Value = serde_json::from_str(&output(&mut command)?).context("read cargo metadata")?;
    let packages = metadata["packages"].as_array().context("packages")?;
    let mut broken = Vec::new();
    for package in packages {
        let name = package["name"].as_str().unwrap_or_default();
        let Some((_, allowed)) = ARROWS.iter().find(|(crate_name, _)| *crate_name == name) else {
            broken.push(format!(
                "{name}: a crate without a row in ARCHITECTURE.md and xtask/src/tidy/arrows.rs"
            ));
            continue;
        };
        let Some(allowed) = allowed else { continue };
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let import = dependency["name"].as_str().unwrap_or_default();
            let in_tests_only = dependency["kind"] == "dev";
            if ARROWS.iter().any(|(ours, _)| *ours == import) && !allowed.contains(&import) && !in_tests_only
            {
                broken.push(format!(
                    "{name} imports {import}, which ARCHITECTURE.md does not allow"
                ));
            }
        }
    }
    Ok(broken)
}
