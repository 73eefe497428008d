//! `cargo xtask images`: static release binaries, and an image archive of each in `<cache>/images`.
//!
//! Data: Cargo's target folder → [`archive::Image`] → docker-archive files, which `cluster::load` or a registry takes.

pub(crate) mod archive;

use std::path::PathBuf;

use anyhow::{Context, Result};

use archive::Image;

use crate::cargo;
use crate::paths::{self, VERSION};
use crate::prerequisites;
use crate::progress::step;

/// The programs that have an image, with their Cargo packages; the image is `geodedb/<program>:<version>`.
const PROGRAMS: [(&str, &str); 3] = [
    ("geode", "geode-cli"),
    ("geode-sidecar", "geode-sidecar"),
    ("geode-operator", "geode-operator"),
];
/// Where an image name starts; users of a registry put the registry before it.
const ORGANISATION: &str = "geodedb";

/// An image that was written to a file.
#[derive(Clone, Debug)]
pub(crate) struct Archive {
    /// The full name with its tag.
    pub(crate) name: String,
    /// The file.
    pub(crate) path: PathBuf,
    /// The digest of the file.
    pub(crate) digest: String,
}

/// Builds the three binaries and writes their archives.
pub(crate) fn run() -> Result<()> {
    prerequisites::for_builds()?;
    eprintln!("  ...   building the release binaries for {}", cargo::TARGET);
    let binaries = cargo::build(&PROGRAMS.map(|(program, package)| (package, program)))?;
    step("writing the image archives", || {
        for ((program, _), binary) in PROGRAMS.iter().zip(binaries) {
            write(&Image {
                name: image_name(program),
                binary,
                program: (*program).to_owned(),
            })?;
        }
        Ok(())
    })
}

/// The digest of a program's image archive: it changes exactly when the image does.
pub(crate) fn digest(program: &str) -> Result<String> {
    let path = archive_path(program)?;
    archive::file_digest(&path)
        .with_context(|| format!("there is no image of {program} yet: run `cargo xtask images`"))
}

/// Writes one image to `<cache>/images`; the file is named after the image, without organisation and tag.
pub(crate) fn write(image: &Image) -> Result<Archive> {
    let last = image.name.rsplit('/').next().unwrap_or(&image.name);
    let path = archive_path(last.split(':').next().unwrap_or(last))?;
    let digest = image.write(&path)?;
    Ok(Archive {
        name: image.name.clone(),
        path,
        digest,
    })
}

/// The archives of the three programs as the last build left them.
pub(crate) fn built() -> Result<Vec<Archive>> {
    let archive = |program: &str| {
        Ok(Archive {
            name: image_name(program),
            path: archive_path(program)?,
            digest: digest(program)?,
        })
    };
    PROGRAMS.iter().map(|(program, _)| archive(program)).collect()
}

fn archive_path(file: &str) -> Result<PathBuf> {
    Ok(paths::cache()?.join("images").join(format!("{file}.tar")))
}

fn image_name(program: &str) -> String {
    format!("{ORGANISATION}/{program}:{VERSION}")
}
