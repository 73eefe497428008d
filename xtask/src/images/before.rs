//! The members' programs of an earlier commit of Geode itself, so that a test upgrades from a program that really differs from today's. They are
//! built from this checkout's history, once on a machine: their archives stay in `<cache>/images`, named after the commit.

use super::archive::{Image, file_digest};
use super::{Archive, OF_MEMBERS, archive_path, repository, write_to};
use crate::cargo::{EVERYTHING, binary_in, cargo_of};
use crate::command::{output, passthrough};
use crate::paths;
use crate::progress::step;
use anyhow::{Context, Result};
use std::fs::{self, File};
use std::path::Path;
use std::process::Command;

/// The oldest landed commit that today's programs promise to work with. It is of feature level 1: no indexes, constraints, schemas or graphs with
/// names, and no temporal values. Log entries, store, snapshots and messages are what they are today or a part of it: golden bytes were added
/// since then, and none was changed. It knows every key of the `geode.yaml` that today's operator renders without an archive, and every request
/// that it sends. Those of a week before know no fence, and what landed between them and these landed in parts; this commit wrote down the fault
/// matrix of a run of its tests.
const COMMIT: &str = "1defc4d7307ec451aa39553972b635a6aef0bff8";
/// The tag of its images. From here an upgrade may go to every version with the same first two numbers, whatever the words behind them.
pub(crate) const BEFORE: &str = concat!(env!("CARGO_PKG_VERSION"), "-before");

/// The archives of its images; built when this machine has none of this commit yet.
pub(crate) fn archives() -> Result<Vec<Archive>> {
    let mut is_built = true;
    for program in OF_MEMBERS {
        is_built &= archive_path(&file(program))?.exists();
    }
    if !is_built {
        build()?;
    }
    OF_MEMBERS.into_iter().map(kept).collect()
}

fn kept(program: &str) -> Result<Archive> {
    let path = archive_path(&file(program))?;
    Ok(Archive {
        name: name(program),
        digest: file_digest(&path)?,
        path,
    })
}

fn name(program: &str) -> String {
    format!("{}:{BEFORE}", repository(program))
}

/// Of another commit it is another file.
fn file(program: &str) -> String {
    format!("{program}-before-{COMMIT}")
}

fn build() -> Result<()> {
    let folder = paths::cache()?.join("before");
    // A target folder of its own: in the common one each build would throw away what the other one has made.
    let (source, target) = (folder.join(COMMIT).join("src"), folder.join("target"));
    step(&format!("unpacking commit {COMMIT}"), || unpack(&source))?;
    step("building its programs (about ten minutes, once)", || {
        let mut cargo = cargo_of(&source, &target, "build");
        cargo.args(EVERYTHING);
        for program in OF_MEMBERS {
            cargo.args(["--bin", program]);
        }
        passthrough(&mut cargo).with_context(|| format!("build the programs of commit {COMMIT}"))
    })?;
    for program in OF_MEMBERS {
        let image = Image {
            name: name(program),
            binary: binary_in(&target, program),
            program: program.to_owned(),
        };
        write_to(&image, &file(program))?;
    }
    // Gigabytes that nobody needs while there are archives.
    fs::remove_dir_all(&folder).with_context(|| format!("remove {}", folder.display()))
}

/// Unpacks the commit as it was. A build that was cut off goes on: all files have the time of the commit, so cargo takes them for unchanged.
fn unpack(source: &Path) -> Result<()> {
    let object = format!("{COMMIT}^{{commit}}");
    output(git().args(["cat-file", "-e", &object])).with_context(|| {
        format!(
            "the images with the tag {BEFORE} are built from commit {COMMIT}, and this checkout does not have it: `git fetch --unshallow` completes the history of a shallow clone; or leave --all out"
        )
    })?;
    fs::create_dir_all(source).with_context(|| format!("make the folder {}", source.display()))?;
    let whole = source.with_extension("tar");
    output(
        git()
            .args(["archive", "--format=tar", "-o"])
            .arg(&whole)
            .arg(COMMIT),
    )?;
    let file = File::open(&whole).with_context(|| format!("open {}", whole.display()))?;
    tar::Archive::new(file)
        .unpack(source)
        .with_context(|| format!("unpack {}", whole.display()))
}

fn git() -> Command {
    let mut git = Command::new("git");
    git.current_dir(paths::repository());
    git
}
