//! A backup that the sidecar has fetched and that the next process replays, before anything of the data directory is open. The order
//! that describes it is durable before the process ends, so a crash at any point repeats the replay or finds it done.

use crate::restore::{ReplayOptions, RestoreError, replay};
use geode_config::Config;
use geode_types::{ClusterId, GraphSelection, RESTORE_PROGRESS_FILE};
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// An order cannot be carried out.
#[derive(Debug, thiserror::Error)]
pub enum PendingError {
    /// The order's file.
    #[error("cannot read or remove the order to restore: {0}")]
    Io(#[from] io::Error),
    /// The backup.
    #[error(transparent)]
    Restore(#[from] RestoreError),
}

const FILE: &str = "restore-order.json";

/// What is to be replayed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Order {
    /// The directory with the fetched files.
    pub(crate) from: PathBuf,
    /// The cluster that begins with it.
    pub(crate) cluster: ClusterId,
    /// The graphs that it keeps.
    #[serde(default)]
    pub(crate) graphs: GraphSelection,
}

/// Leaves an order, durably.
pub(crate) fn leave(data_dir: &Path, order: &Order) -> io::Result<()> {
    let aside = data_dir.join("restore-order.json.new");
    let mut file = File::create(&aside)?;
    file.write_all(&serde_json::to_vec_pretty(order)?)?;
    file.sync_all()?;
    fs::rename(&aside, data_dir.join(FILE))?;
    File::open(data_dir)?.sync_all()
}

/// Carries out the order that waits in the data directory of this configuration, if there is one.
pub(crate) fn take_up(config: &Config) -> Result<(), PendingError> {
    let data_dir = &config.storage.data_dir;
    let Some(order) = waiting(data_dir)? else {
        return Ok(());
    };
    let restored = replay(&ReplayOptions {
        from: &order.from,
        data_dir,
        wal_dir: &config.wal_dir(),
        map_size: config.storage.map_size.0,
        cluster_id: order.cluster,
        graphs: &order.graphs,
        name: &config.cluster.node.id,
        client_address: &config.cluster.node.address,
        internal_address: &config.internal_address(),
        progress: &|line| note(data_dir, &line),
    });
    match restored {
        Ok(restored) => {
            tracing::info!(index = %restored.index, hash = restored.state_hash, "a backup is restored");
        }
        // The replay was complete, only the order was still there.
        Err(RestoreError::Taken { cluster, .. }) if cluster == order.cluster => {}
        Err(error) => return Err(error.into()),
    }
    done(data_dir, &order)?;
    Ok(())
}

/// Tells people by the log, and probes by a file, as no port is open yet.
fn note(data_dir: &Path, line: &str) {
    tracing::info!(line, "replaying a backup");
    if let Err(error) = fs::write(data_dir.join(RESTORE_PROGRESS_FILE), line) {
        tracing::warn!(%error, "probes cannot be told that the replay goes on");
    }
}

/// The order that waits here.
fn waiting(data_dir: &Path) -> io::Result<Option<Order>> {
    match fs::read(data_dir.join(FILE)) {
        Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The order is carried out: it and the fetched files go.
fn done(data_dir: &Path, order: &Order) -> io::Result<()> {
    fs::remove_file(data_dir.join(FILE))?;
    File::open(data_dir)?.sync_all()?;
    let unless_absent = |removed: io::Result<()>| match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    };
    unless_absent(fs::remove_file(data_dir.join(RESTORE_PROGRESS_FILE)))?;
    unless_absent(fs::remove_dir_all(&order.from))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_waits_until_it_is_done() {
        let dir = tempfile::tempdir().unwrap();
        let order = Order {
            from: dir.path().join("restore"),
            cluster: ClusterId(uuid::Uuid::from_u128(7)),
            graphs: GraphSelection::Only(vec!["social".to_owned()]),
        };
        assert_eq!(waiting(dir.path()).unwrap(), None);
        leave(dir.path(), &order).unwrap();
        assert_eq!(waiting(dir.path()).unwrap().as_ref(), Some(&order));
        note(dir.path(), "half of it");
        let progress = dir.path().join(RESTORE_PROGRESS_FILE);
        assert_eq!(fs::read_to_string(&progress).unwrap(), "half of it");
        done(dir.path(), &order).unwrap();
        assert!(!progress.exists());
        assert_eq!(waiting(dir.path()).unwrap(), None);
    }
}
