//! `cargo xtask images`: static release binaries, and an image archive of each in `<cache>/images`.
//!
//! Data: Cargo's target folder → [`archive::Image`] → docker-archive files, which `cluster::load` or a registry takes.

pub(crate) mod archive;
pub(crate) mod before;

use std::path::PathBuf;

use anyhow::{Context, Result};

use archive::Image;

use crate::cargo;
use crate::paths::{self, VERSION};
use crate::prerequisites;
use crate::progress::step;

/// What members run.
const OF_MEMBERS: [&str; 2] = ["geode", "geode-sidecar"];
/// The tag of the images that tests upgrade to.
pub(crate) const NEXT: &str = concat!(env!("CARGO_PKG_VERSION"), "-next");
/// The programs that have an image; it is `geodedb/<program>:<version>`.
const PROGRAMS: [&str; 3] = ["geode", "geode-sidecar", "geode-operator"];
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
    step("building the binaries", cargo::build)?;
    step("writing the image archives", || {
        for program in PROGRAMS {
            write_program(program, VERSION, program)?;
        }
        Ok(())
    })
}

/// The members' images once more under the tag [`NEXT`]: other images of the same programs.
pub(crate) fn next() -> Result<Vec<Archive>> {
    let archive = |program: &str| write_program(program, NEXT, &format!("{program}-next"));
    OF_MEMBERS.into_iter().map(archive).collect()
}

fn write_program(program: &str, tag: &str, file: &str) -> Result<Archive> {
    let image = Image {
        name: format!("{}:{tag}", repository(program)),
        binary: cargo::binary(program)?,
        program: program.to_owned(),
    };
    write_to(&image, file)
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
    write_to(image, last.split(':').next().unwrap_or(last))
}

fn write_to(image: &Image, file: &str) -> Result<Archive> {
    let path = archive_path(file)?;
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
            name: format!("{}:{VERSION}", repository(program)),
            path: archive_path(program)?,
            digest: digest(program)?,
        })
    };
    PROGRAMS.into_iter().map(archive).collect()
}

fn archive_path(file: &str) -> Result<PathBuf> {
    Ok(paths::cache()?.join("images").join(format!("{file}.tar")))
}

/// The name of a program's image, without registry and tag.
pub(crate) fn repository(program: &str) -> String {
    format!("{ORGANISATION}/{program}")
}
