//! Where things lie: the checkout, and the cache outside it that survives a fresh clone.
//!
//! Everything that xtask makes is below [`cache`], except what Cargo makes. Knows nothing of what the folders hold.

use std::path::{Path, PathBuf};
use std::{env, fs};

use anyhow::{Context, Result};

/// The version of the workspace, and so of the images.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The root folder of the checkout that this xtask was built from.
pub(crate) fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("invariant: xtask is a folder of the repository")
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
