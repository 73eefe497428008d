//! The work of `geode restore`: a backup is replayed while it is fetched, so that a restore takes as long as the slower of the two, and no more
//! room than the database and the segments that wait.

use crate::Failure;
use crate::archive::{config_of, lines, remove};
use crate::args::RestoreArgs;
use geode_archive::{Access, Arrived, Fetch, FetchError, PLANS, open_history, resolve};
use geode_server::restore::{ReplayOptions, RestoreError, Restored, replay_arriving};
use geode_types::{ClusterId, GraphSelection, RestoreGoal};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, channel};
use uuid::Uuid;

/// Fetches and replays into a new data directory.
pub(crate) async fn restore_into(args: &RestoreArgs, goal: &RestoreGoal) -> Result<Restored, Failure> {
    let failed = |error: FetchError| Failure::Message(error.to_string());
    let access: Access = args.archive.access();
    let (source, _) = args.archive.place()?;
    let (store, lineage) = open_history(&source, &access).await.map_err(failed)?;
    let codec = access.codec();
    let target = resolve(&*store, &codec, lineage, goal).await.map_err(failed)?;
    let from = beside(&args.target)?;
    let fetch = Fetch {
        store: &*store,
        codec: &codec,
        lineage,
        target,
        into: &from,
        parallel: usize::from(args.parallel),
        progress: &lines(),
    };
    for _ in 1..PLANS {
        match once(args, &fetch).await? {
            Err(error) if error.is_overtaken() => {
                eprintln!("{error}; the archive was cleaned up meanwhile, so this begins again");
            }
            ended => return ended.map_err(failed),
        }
    }
    once(args, &fetch).await?.map_err(failed)
}

/// One fetch with its replay; within, how the fetch failed.
async fn once(args: &RestoreArgs, fetch: &Fetch<'_>) -> Result<Result<Restored, FetchError>, Failure> {
    remove(fetch.into)?;
    let (taker, taken) = channel();
    let (from, data_dir, graphs) = (fetch.into.to_owned(), args.target.clone(), args.graphs());
    let replaying = tokio::task::spawn_blocking(move || replay(&from, &data_dir, &graphs, &taken));
    let fetched = fetch.arriving(&taker).await;
    drop(taker);
    let replayed = replaying.await;
    let replayed = replayed.map_err(|error| Failure::Message(format!("the replay broke: {error}")))?;
    match (replayed, fetched) {
        (Ok(restored), _) => {
            remove(fetch.into)?;
            Ok(Ok(restored))
        }
        // A replay that failed is why nobody took the rest.
        (Err(replay), Ok(_) | Err(FetchError::NotTaken)) => Err(Failure::Message(replay.to_string())),
        (Err(_), Err(fetch)) => Ok(Err(fetch)),
    }
}

fn replay(
    from: &Path,
    data_dir: &Path,
    graphs: &GraphSelection,
    taken: &Receiver<Arrived>,
) -> Result<Restored, RestoreError> {
    let Ok(Arrived::Plan(plan)) = taken.recv() else {
        return Err(RestoreError::Unfinished("its first part".to_owned()));
    };
    let config = config_of(data_dir);
    let options = ReplayOptions {
        from,
        data_dir,
        wal_dir: &config.wal_dir(),
        map_size: config.storage.map_size.0,
        cluster_id: ClusterId(Uuid::new_v4()),
        graphs,
        name: &config.cluster.node.id,
        client_address: &config.cluster.node.address,
        internal_address: &config.internal_address(),
        progress: &|line| eprintln!("{line}"),
    };
    let mut replayed: Option<PathBuf> = None;
    replay_arriving(&options, &plan, &mut |segment| {
        // Often before the disk has seen it.
        if let Some(path) = replayed.replace(from.join(&segment.file)) {
            std::fs::remove_file(&path).map_err(|source| RestoreError::Io {
                act: "remove",
                path,
                source,
            })?;
        }
        let arrived = taken.recv();
        let there = arrived.is_ok_and(|arrived| arrived == Arrived::Segment);
        there
            .then_some(())
            .ok_or_else(|| RestoreError::Unfinished(segment.file.clone()))
    })
}

/// Where the fetched files lie until they are replayed: beside the target, so on its volume.
fn beside(target: &Path) -> Result<PathBuf, Failure> {
    let name = target.file_name().ok_or_else(|| {
        Failure::Message(format!(
            "--target {} is not the name of a directory",
            target.display()
        ))
    })?;
    Ok(target.with_file_name(format!("{}.fetched", name.to_string_lossy())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fetched_files_lie_beside_the_target() {
        assert_eq!(
            beside(Path::new("/data/new/")).unwrap(),
            Path::new("/data/new.fetched")
        );
        assert!(beside(Path::new("/")).is_err());
    }
}
