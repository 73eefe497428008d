//! Who this data directory is: `identity.json`. The member id is made once, on the first start of an empty directory, and never
//! changes; a volume that is lost takes its id with it. The cluster id comes when the member is given a place in a cluster.

use geode_types::{ClusterId, Incarnation, MemberId};
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

const FILE: &str = "identity.json";
const LOCK: &str = "LOCK";
/// Version of the file's layout.
const FORMAT: u32 = 1;

/// What a data directory is in which cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    format: u32,
    /// This member.
    pub member: MemberId,
    /// Its cluster, once it has one.
    pub cluster: Option<ClusterId>,
    /// The lineage of its history.
    pub incarnation: Incarnation,
}

/// The identity cannot be read, made or kept.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// A file operation failed.
    #[error("cannot {act} {path}: {source}")]
    Io {
        /// Verb.
        act: &'static str,
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is not what any version writes.
    #[error(
        "{path} is not a valid identity ({reason}); the data directory is damaged, restore it or start with an empty one"
    )]
    Damaged {
        /// Where.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Another version wrote the file.
    #[error(
        "{path} is an identity of format {found}, and this version reads format {expected}; run the version that wrote it",
        expected = FORMAT
    )]
    Format {
        /// Where.
        path: PathBuf,
        /// Its format.
        found: serde_json::Value,
    },
    /// Another process uses the directory.
    #[error("{0} is used by another geode process; stop it first")]
    InUse(PathBuf),
}

impl IdentityError {
    /// Whether the file is certainly damaged.
    pub fn is_damage(&self) -> bool {
        matches!(self, Self::Damaged { .. })
    }
}

/// A data directory that this process alone uses, and its identity.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    identity: Identity,
    _lock: File,
}

/// Whether another process uses the directory now.
pub fn is_in_use(path: &Path) -> bool {
    File::open(path.join(LOCK)).is_ok_and(|lock| matches!(lock.try_lock(), Err(fs::TryLockError::WouldBlock)))
}

impl DataDir {
    /// Opens the directory, making it and its identity when absent. `fresh` gives a random number for a new member id.
    pub fn open(path: &Path, fresh: impl FnOnce() -> u64) -> Result<Self, IdentityError> {
        let failed = |act, path: &Path| {
            let path = path.to_owned();
            move |source| IdentityError::Io { act, path, source }
        };
        fs::create_dir_all(path).map_err(failed("create", path))?;
        let lock_path = path.join(LOCK);
        let lock = File::create(&lock_path).map_err(failed("create", &lock_path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => return Err(IdentityError::InUse(path.to_owned())),
            Err(fs::TryLockError::Error(source)) => return Err(failed("lock", &lock_path)(source)),
        }
        let file = path.join(FILE);
        let identity = match fs::read(&file) {
            Ok(bytes) => parse(&file, &bytes)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // 2^53 bounds it, so that programs whose numbers are floats keep it exact.
                let member = MemberId((fresh() % ((1 << 53) - 1)) + 1);
                let identity = Identity {
                    format: FORMAT,
                    member,
                    cluster: None,
                    incarnation: Incarnation(1),
                };
                write(path, &identity)?;
                identity
            }
            Err(source) => return Err(failed("read", &file)(source)),
        };
        Ok(Self {
            path: path.to_owned(),
            identity,
            _lock: lock,
        })
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Who it is.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Gives the member its place in a cluster; durable on return.
    pub fn join(&mut self, cluster: ClusterId, incarnation: Incarnation) -> Result<(), IdentityError> {
        let identity = Identity {
            cluster: Some(cluster),
            incarnation,
            ..self.identity.clone()
        };
        write(&self.path, &identity)?;
        self.identity = identity;
        Ok(())
    }
}

fn parse(path: &Path, bytes: &[u8]) -> Result<Identity, IdentityError> {
    let damaged = |error: serde_json::Error| IdentityError::Damaged {
        path: path.to_owned(),
        reason: error.to_string(),
    };
    let content: serde_json::Value = serde_json::from_slice(bytes).map_err(damaged)?;
    let found = content["format"].clone();
    if found != FORMAT {
        let path = path.to_owned();
        return Err(IdentityError::Format { path, found });
    }
    serde_json::from_value(content).map_err(damaged)
}

/// Writes aside, syncs, renames, syncs the directory: a crash leaves the old file or the new one.
fn write(dir: &Path, identity: &Identity) -> Result<(), IdentityError> {
    let (path, aside) = (dir.join(FILE), dir.join("identity.json.new"));
    let text = serde_json::to_vec_pretty(identity).expect("an identity is plain data");
    let written = File::create(&aside).and_then(|mut file| {
        file.write_all(&text)?;
        file.sync_all()?;
        fs::rename(&aside, &path)?;
        File::open(dir)?.sync_all()
    });
    written.map_err(|source| IdentityError::Io {
        act: "write",
        path,
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_is_made_once_and_survives() {
        let dir = tempfile::tempdir().unwrap();
        let cluster = ClusterId(uuid::Uuid::from_u128(7));
        let first = {
            let mut opened = DataDir::open(dir.path(), || 41).unwrap();
            opened.join(cluster, Incarnation(2)).unwrap();
            opened.identity().clone()
        };
        let again = DataDir::open(dir.path(), || 99).unwrap();
        assert_eq!(
            (again.identity(), first.member, first.cluster),
            (&first, MemberId(42), Some(cluster))
        );
    }

    #[test]
    fn a_second_process_and_a_damaged_file_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        assert!(!is_in_use(dir.path()));
        let held = DataDir::open(dir.path(), || 1).unwrap();
        assert!(is_in_use(dir.path()));
        assert!(matches!(
            DataDir::open(dir.path(), || 1),
            Err(IdentityError::InUse(_))
        ));
        drop(held);
        for damaged in ["{", "", r#"{"format":1}"#] {
            fs::write(dir.path().join(FILE), damaged).unwrap();
            assert!(matches!(
                DataDir::open(dir.path(), || 1),
                Err(IdentityError::Damaged { .. })
            ));
        }
        // A newer version may say anything else.
        fs::write(dir.path().join(FILE), r#"{"format":2}"#).unwrap();
        assert!(matches!(
            DataDir::open(dir.path(), || 1),
            Err(IdentityError::Format { .. })
        ));
    }
}
