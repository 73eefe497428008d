//! Where things lie: the checkout, and the cache outside it that survives a fresh clone.
//!
//! Everything that xtask makes is below [`cache`], except what Cargo makes. Knows nothing of what the folders hold.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::{env, fs};

use anyhow::{Context, Result};

/// The version of the workspace, and so of the images.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The root folder of the checkout that `cargo xtask` was called in. Builds may be shared between checkouts, so Cargo says it when it runs
/// the program; what it said when it built the program may be another one's.
pub(crate) fn repository() -> &'static Path {
    static REPOSITORY: OnceLock<PathBuf> = OnceLock::new();
    REPOSITORY.get_or_init(|| {
        let package = env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
        let root = Path::new(&package).parent();
        root.expect("invariant: xtask is a folder of the repository")
            .to_owned()
    })
}

/// The cache: `GEODE_CACHE`, else `~/.cache/geode`; made when missing.
pub(crate) fn cache() -> Result<PathBuf> {
    let path = match (env::var_os("GEODE_CACHE"), env::var_os("HOME")) {
        (Some(path), _) => PathBuf::from(path),
        (None, Some(home)) => Path::new(&home).join(".cache/geode"),
        (None, None) => anyhow::bail!(
            "neither GEODE_CACHE nor HOME is set: set GEODE_CACHE to a folder for tools and test clusters"
        ),
    };
    fs::create_dir_all(&path).with_context(|| format!("make the cache folder {}", path.display()))?;
    path.canonicalize()
        .with_context(|| format!("resolve the cache folder {}", path.display()))
}

/// Cargo's target folder for builds that xtask starts: `CARGO_TARGET_DIR`, else one in the cache.
pub(crate) fn target() -> Result<PathBuf> {
    match env::var_os("CARGO_TARGET_DIR") {
        Some(path) => Ok(PathBuf::from(path)),
        None => Ok(cache()?.join("target")),
    }
}
