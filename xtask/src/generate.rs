//! `cargo xtask generate`: files that are made from others. `crds/` and the chart's copies come from the types of `geode-api` (printed by
//! the operator's binary), `manifests/install.yaml` from the chart, `manifests/alerts.yaml` and the chart's copy from `alerts/rules.yaml`,
//! `docs/reference/gql-conformance.md` from `crates/geode-gql/conformance`.

use crate::alerts;
use crate::command::output;
use crate::paths;
use crate::progress::note;
use crate::tools::{self, Tool};
use anyhow::{Context, Result, bail};
use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

pub(crate) const HEADER: &str = "# Made by `cargo xtask generate`; do not edit.\n";
/// Release name and namespace of `manifests/install.yaml` and of the demo.
pub(crate) const OPERATOR_NAMESPACE: &str = "geode-system";

/// Writes all of them.
pub(crate) fn run() -> Result<()> {
    for (path, content) in crds()?
        .into_iter()
        .chain(alerts::copies()?)
        .chain([conformance()?])
    {
        write(&path, &content)?;
    }
    write(INSTALL, &install()?)
}

/// Compares all of them with what stands in the repository.
pub(crate) fn check() -> Result<()> {
    let mut files = crds()?;
    files.extend(alerts::copies()?);
    files.extend([conformance()?]);
    files.insert(INSTALL.to_owned(), install()?);
    compare(files)
}

/// What the chart asks for at least; `install.yaml` is for any that is not older.
const OLDEST_KUBERNETES: &str = "1.31.0";
const INSTALL: &str = "manifests/install.yaml";

fn crds() -> Result<BTreeMap<String, String>> {
    crate::cargo::build()?;
    let operator = crate::cargo::binary("geode-operator")?;
    let printed = output(Command::new(operator).arg("crds"))?;
    let mut files = BTreeMap::new();
    for document in printed
        .split("\n---\n")
        .map(|text| text.trim_start_matches("---\n").trim_end())
    {
        let name = document
            .lines()
            .find_map(|line| line.strip_prefix("  name: "))
            .context("a CRD without metadata.name")?;
        let plural = name.split('.').next().unwrap_or(name);
        files.insert(format!("crds/{plural}.yaml"), format!("{HEADER}{document}\n"));
        // Helm never upgrades what lies in a chart's crds/; as templates with `keep` they are upgraded and outlive the release.
        let kept = document.replacen(
            "metadata:\n",
            "metadata:\n  annotations:\n    helm.sh/resource-policy: keep\n",
            1,
        );
        files.insert(
            format!("charts/geode-operator/templates/crds/{plural}.yaml"),
            format!("{HEADER}{kept}\n"),
        );
    }
    Ok(files)
}

/// What Geode has of GQL, printed by the parser's crate, which has the registry.
fn conformance() -> Result<(String, String)> {
    let mut command = crate::cargo::cargo("run")?;
    let printed = output(command.args([
        "--quiet",
        "--locked",
        "-p",
        "geode-gql",
        "--example",
        "conformance",
    ]))?;
    Ok(("docs/reference/gql-conformance.md".to_owned(), printed))
}

fn install() -> Result<String> {
    let helm = tools::ensure(Tool::Helm)?;
    let chart = paths::repository().join("charts/geode-operator");
    let mut command = Command::new(helm);
    command
        .args(["template", "geode-operator"])
        .arg(chart)
        .args(["--namespace", OPERATOR_NAMESPACE])
        .args(["--kube-version", OLDEST_KUBERNETES]);
    let rendered = output(&mut command)?;
    let namespace =
        format!("---\napiVersion: v1\nkind: Namespace\nmetadata:\n  name: {OPERATOR_NAMESPACE}\n");
    Ok(format!("{HEADER}{namespace}{rendered}"))
}

fn write(path: &str, content: &str) -> Result<()> {
    let file = paths::repository().join(path);
    if fs::read_to_string(&file).is_ok_and(|old| old == content) {
        return Ok(());
    }
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(&file, content).with_context(|| format!("write {path}"))?;
    note(&format!("wrote {path}"));
    Ok(())
}

fn compare(files: BTreeMap<String, String>) -> Result<()> {
    let stale: Vec<_> = files
        .into_iter()
        .filter(|(path, content)| {
            fs::read_to_string(paths::repository().join(path)).ok().as_ref() != Some(content)
        })
        .map(|(path, _)| path)
        .collect();
    if !stale.is_empty() {
        bail!(
            "not what `cargo xtask generate` makes: {}; run it and commit the result",
            stale.join(", ")
        );
    }
    Ok(())
}
