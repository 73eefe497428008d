//! A container image of one static binary, written as a docker-archive: the same input always gives the same bytes.
//!
//! No base image and no container engine: a layer tar, a config and a manifest. Knows nothing of where images go.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::json;
use sha2::{Digest, Sha256};
use tar::{Builder, EntryType, Header};

/// Who the programs in our images run as.
const USER: u64 = 65532;
/// Where the host has its certificate authorities, and where programs look for them.
const AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";
const EXECUTABLE: u32 = 0o755;
const READABLE: u32 = 0o644;
const SHARED_FOLDER: u32 = 0o1777;

/// An image of one static binary.
#[derive(Clone, Debug)]
pub(crate) struct Image {
    /// The full name with its tag: `geodedb/geode:0.1.0`.
    pub(crate) name: String,
    /// The static binary on this machine.
    pub(crate) binary: PathBuf,
    /// The binary's name in the root folder of the image; it is the entry point.
    pub(crate) program: String,
}

impl Image {
    /// Writes the archive, and returns its digest.
    pub(crate) fn write(&self, archive: &Path) -> Result<String> {
        let layer = self
            .layer()
            .with_context(|| format!("make the layer of image {}", self.name))?;
        let layer_digest = digest(&layer);
        let config = serde_json::to_vec(&self.config(&layer_digest))?;
        let config_name = format!("{}.json", digest(&config));
        let layer_name = format!("{layer_digest}/layer.tar");
        let manifest = serde_json::to_vec(
            &json!([{"Config": config_name, "RepoTags": [self.name], "Layers": [layer_name]}]),
        )?;
        let mut whole = Builder::new(Vec::new());
        append(&mut whole, &config_name, EntryType::Regular, READABLE, &config)?;
        append(&mut whole, &layer_name, EntryType::Regular, READABLE, &layer)?;
        append(
            &mut whole,
            "manifest.json",
            EntryType::Regular,
            READABLE,
            &manifest,
        )?;
        let bytes = whole.into_inner()?;
        write_atomically(archive, &bytes)?;
        Ok(digest(&bytes))
    }

    fn tag(&self) -> &str {
        self.name.rsplit_once(':').map_or("", |(_, tag)| tag)
    }

    fn layer(&self) -> Result<Vec<u8>> {
        let binary =
            fs::read(&self.binary).with_context(|| format!("read the binary {}", self.binary.display()))?;
        let mut layer = Builder::new(Vec::with_capacity(binary.len() + (1 << 20)));
        if let Ok(authorities) = fs::read(AUTHORITIES) {
            for folder in ["etc/", "etc/ssl/", "etc/ssl/certs/"] {
                append(&mut layer, folder, EntryType::Directory, EXECUTABLE, &[])?;
            }
            append(
                &mut layer,
                AUTHORITIES.trim_start_matches('/'),
                EntryType::Regular,
                READABLE,
                &authorities,
            )?;
        }
        append(&mut layer, &self.program, EntryType::Regular, EXECUTABLE, &binary)?;
        append(&mut layer, "tmp/", EntryType::Directory, SHARED_FOLDER, &[])?;
        Ok(layer.into_inner()?)
    }

    fn config(&self, layer_digest: &str) -> serde_json::Value {
        json!({
            "architecture": docker_architecture(),
            "os": "linux",
            "created": "1970-01-01T00:00:00Z",
            "config": {
                "User": format!("{USER}:{USER}"),
                "Env": ["PATH=/"],
                "Entrypoint": [format!("/{}", self.program)],
                "WorkingDir": "/",
                "Labels": {"org.opencontainers.image.version": self.tag()},
            },
            "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{layer_digest}")]},
            "history": [{"created": "1970-01-01T00:00:00Z", "created_by": "cargo xtask images"}],
        })
    }
}

/// The digest of a file's content.
pub(crate) fn file_digest(path: &Path) -> Result<String> {
    let mut hash = Sha256::new();
    let mut file = File::open(path).with_context(|| format!("open {}", path.display()))?;
    let mut buffer = vec![0; 1 << 20];
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok(format!("{:x}", hash.finalize()));
        }
        hash.update(buffer.get(..read).unwrap_or_default());
    }
}

fn docker_architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

fn append(tar: &mut Builder<Vec<u8>>, name: &str, kind: EntryType, mode: u32, content: &[u8]) -> Result<()> {
    let mut header = Header::new_ustar();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(content.len() as u64);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    tar.append_data(&mut header, name, content)
        .with_context(|| format!("add {name} to an archive"))
}

fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = path.parent().context("an archive needs a folder")?;
    fs::create_dir_all(folder)?;
    let partial = path.with_extension("partial");
    File::create(&partial)
        .and_then(|mut file| file.write_all(bytes))
        .with_context(|| format!("write {}", partial.display()))?;
    fs::rename(&partial, path).with_context(|| format!("put {} in place", path.display()))
}

fn digest(bytes: &[u8]) -> String {
    format!("{:x}", Sha256::digest(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image() -> Image {
        Image {
            name: "geodedb/x:1".into(),
            binary: "/proc/self/exe".into(),
            program: "x".into(),
        }
    }

    #[test]
    fn the_same_binary_gives_the_same_archive() {
        let folder = std::env::temp_dir().join(format!("xtask-archive-{}", std::process::id()));
        let (one, two) = (folder.join("one.tar"), folder.join("two.tar"));
        assert_eq!(image().write(&one).unwrap(), image().write(&two).unwrap());
        assert_eq!(fs::read(&one).unwrap(), fs::read(&two).unwrap());
        assert_eq!(file_digest(&one).unwrap(), image().write(&two).unwrap());
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn the_layer_holds_the_program_and_a_folder_for_temporary_files() {
        let layer = image().layer().unwrap();
        let mut tar = tar::Archive::new(layer.as_slice());
        let entries: Vec<(String, u32)> = tar
            .entries()
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                (
                    entry.path().unwrap().display().to_string(),
                    entry.header().mode().unwrap(),
                )
            })
            .collect();
        assert!(entries.contains(&("x".into(), 0o755)), "{entries:?}");
        assert!(entries.contains(&("tmp/".into(), 0o1777)), "{entries:?}");
    }

    #[test]
    fn the_image_runs_as_nobody_and_finds_its_program_on_the_path() {
        let config = image().config("00");
        assert_eq!(config["config"]["User"], "65532:65532");
        assert_eq!(config["config"]["Env"][0], "PATH=/");
        assert_eq!(config["config"]["Entrypoint"][0], "/x");
        assert_eq!(
            config["config"]["Labels"]["org.opencontainers.image.version"],
            "1"
        );
    }
}
