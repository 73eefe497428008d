//! Fetches a backup into a directory: plans, downloads, verifies, and describes it in `restore.json`, last. The directory is what
//! `geode_server::restore` replays.

use crate::backoff::{Backoff, persist};
use crate::checkpoints::checkpoints;
use crate::content::{HashingReader, Sha256};
use crate::inventory::{BaseBackup, Inventory, inventory};
use crate::layout::{Lineage, SNAPSHOT, SegmentRange};
use crate::location::{Access, LineageError, Location, LocationError};
use crate::plan::{RestoreGap, RestorePlan, restore_plan};
use crate::segment::check_segment;
use crate::store::{ErrorKind, ObjectError, ObjectStore};
use futures::future::BoxFuture;
use futures::{StreamExt, TryStreamExt};
use geode_log::SegmentName;
use geode_types::{
    FetchedBackup, FetchedBase, FetchedSegment, GroupId, RESTORE_FILE, RESTORE_FORMAT, RestoreGoal,
    RestoreTarget,
};
use jiff::Timestamp;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::fs;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Segments downloaded at the same time.
const PARALLEL: usize = 4;
/// An object is tried this often; each try goes on where the last one broke.
const ATTEMPTS: u32 = 10;
/// A download that yields nothing for this long has broken.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// So many checkpoints are named when the one that was asked for is not there.
const NAMES_MAX: usize = 10;
const CHUNK: usize = 128 * 1024;

/// How far a fetch is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What is being done, for people.
    pub step: String,
    /// Bytes that are there and verified.
    pub done_bytes: u64,
    /// Bytes in all.
    pub total_bytes: u64,
}

/// Who is told how far it is.
pub type OnProgress<'a> = &'a (dyn Fn(Progress) + Sync);

/// Why a backup could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The source is not a URL of an archive.
    #[error(transparent)]
    Location(#[from] LocationError),
    /// Which history is meant could not be found out.
    #[error(transparent)]
    Lineage(#[from] LineageError),
    /// The target cannot be reached.
    #[error("{place} cannot be restored: {gap}")]
    Gap {
        /// The archive.
        place: String,
        /// Why.
        gap: RestoreGap,
    },
    /// The target lies in the future.
    #[error("the target time {0} is in the future; leave it out to restore everything that is archived")]
    Future(Timestamp),
    /// No checkpoint of that name.
    #[error("{place} has no checkpoint {name:?}; {known}")]
    NoCheckpoint {
        /// The archive.
        place: String,
        /// What was asked for.
        name: String,
        /// Those that there are.
        known: String,
    },
    /// The store failed, or an object is not what was stored.
    #[error(transparent)]
    Store(#[from] ObjectError),
    /// The directory cannot be written.
    #[error("cannot write the fetched backup to {path}: {source}")]
    Local {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The directory has something else in it.
    #[error("{0} is not empty; choose a new directory")]
    NotEmpty(PathBuf),
}

impl FetchError {
    /// Whether the store did not do what it was asked, for whatever reason.
    pub fn is_about_the_store(&self) -> bool {
        matches!(self, Self::Store(_) | Self::Lineage(LineageError::Store(_)))
    }

    /// Whether it may work later without anybody doing something: the store is down, slow or overloaded.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Store(store) | Self::Lineage(LineageError::Store(store)) if store.kind == ErrorKind::Unavailable)
    }
}

/// Fetches what `goal` needs from `source` into the directory `into`, which must be empty or new. `restore.json` in it comes last.
pub async fn fetch(
    source: &str,
    access: &Access,
    goal: &RestoreGoal,
    into: &Path,
    progress: OnProgress<'_>,
) -> Result<FetchedBackup, FetchError> {
    let (store, lineage) = open_history(source, access).await?;
    let target = resolve(&*store, lineage, goal).await?;
    fetch_lineage(&*store, lineage, target, into, progress).await
}

/// [`fetch`] from an open store.
pub async fn fetch_lineage(
    store: &dyn ObjectStore,
    lineage: Lineage,
    target: RestoreTarget,
    into: &Path,
    progress: OnProgress<'_>,
) -> Result<FetchedBackup, FetchError> {
    refuse_future(target)?;
    prepare(into).await?;
    let place = store.url(&lineage.root());
    let mut found = persist(ATTEMPTS, backoff(), || inventory(store, lineage)).await?;
    let (plan, base) = loop {
        let plan = restore_plan(&found, target, &place).map_err(|gap| FetchError::Gap {
            place: place.clone(),
            gap,
        })?;
        let download = Download::new(store, into, &found, &plan, progress);
        let Some(base) = &plan.base else {
            break (plan, None);
        };
        match download.base(base).await {
            Ok(fetched) => break (plan, Some(fetched)),
            // An older base backup and more segments give the same graph.
            Err(FetchError::Store(error)) if error.kind == ErrorKind::Corrupt && found.bases.len() > 1 => {
                tracing::error!(%error, "this base backup is damaged; trying an older one");
                found.bases.retain(|other| other.folder != base.folder);
            }
            Err(error) => return Err(error),
        }
    };
    let download = Download::new(store, into, &found, &plan, progress);
    download.report(
        plan.base.as_ref().map_or(0, |base| base.manifest.stored_bytes),
        "downloading segments",
    );
    let segments = download.segments(lineage, &plan).await?;
    let fetched = FetchedBackup {
        format: RESTORE_FORMAT,
        source: place,
        cluster_id: lineage.cluster_id,
        incarnation: lineage.incarnation,
        base,
        segments,
        target,
        hole: plan.hole.map(|hole| (hole.first, hole.last)),
    };
    let text = serde_json::to_vec_pretty(&fetched).expect("restore.json has string keys only");
    write_whole(&into.join(RESTORE_FILE), &text)
        .await
        .map_err(local(into))?;
    Ok(fetched)
}

/// The store of an archive, and which history in it is meant.
pub async fn open_history(
    source: &str,
    access: &Access,
) -> Result<(Arc<dyn ObjectStore>, Lineage), FetchError> {
    let location = Location::parse(source)?;
    let store = location.open(access).await;
    let lineage = location.lineage(&*store).await?;
    Ok((store, lineage))
}

/// The place in the history that is meant.
pub async fn resolve(
    store: &dyn ObjectStore,
    lineage: Lineage,
    goal: &RestoreGoal,
) -> Result<RestoreTarget, FetchError> {
    let name = match goal {
        RestoreGoal::Target(target) => return Ok(*target),
        RestoreGoal::Checkpoint(name) => name,
    };
    let known = persist(ATTEMPTS, backoff(), || checkpoints(store, lineage)).await?;
    if let Some(found) = known.iter().find(|checkpoint| checkpoint.name == *name) {
        return Ok(RestoreTarget::Index(found.index));
    }
    let newest: Vec<&str> = known
        .iter()
        .rev()
        .take(NAMES_MAX)
        .map(|known| known.name.as_str())
        .collect();
    Err(FetchError::NoCheckpoint {
        place: store.url(&lineage.root()),
        name: name.clone(),
        known: match newest[..] {
            [] => "it has none".to_owned(),
            _ => format!("the newest it has: {}", newest.join(", ")),
        },
    })
}

pub(crate) fn refuse_future(target: RestoreTarget) -> Result<(), FetchError> {
    if let RestoreTarget::TimeMicros(micros) = target
        && let Ok(time) = Timestamp::from_microsecond(micros)
        && time > Timestamp::now()
    {
        return Err(FetchError::Future(time));
    }
    Ok(())
}

/// Makes the directory; what an earlier, broken fetch left is removed.
pub(crate) async fn prepare(into: &Path) -> Result<(), FetchError> {
    fs::create_dir_all(into).await.map_err(local(into))?;
    let mut entries = fs::read_dir(into).await.map_err(local(into))?;
    let mut leftovers = Vec::new();
    while let Some(entry) = entries.next_entry().await.map_err(local(into))? {
        let name = entry.file_name().to_string_lossy().into_owned();
        let plain = name.strip_suffix(".part").unwrap_or(&name);
        if plain != SNAPSHOT && plain != RESTORE_FILE && SegmentName::parse(plain).is_none() {
            return Err(FetchError::NotEmpty(into.to_owned()));
        }
        leftovers.push(entry.path());
    }
    if leftovers.contains(&into.join(RESTORE_FILE)) {
        return Err(FetchError::NotEmpty(into.to_owned()));
    }
    for path in leftovers {
        fs::remove_file(&path).await.map_err(local(&path))?;
    }
    Ok(())
}

fn backoff() -> Backoff {
    Backoff::new(Duration::from_millis(300), Duration::from_secs(15))
}

fn local(path: &Path) -> impl FnOnce(io::Error) -> FetchError + '_ {
    move |source| FetchError::Local {
        path: path.to_owned(),
        source,
    }
}

async fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let part = part_of(path);
    let mut file = fs::File::create(&part).await?;
    file.write_all(bytes).await?;
    file.sync_all().await?;
    fs::rename(&part, path).await?;
    if let Some(parent) = path.parent() {
        fs::File::open(parent).await?.sync_all().await?;
    }
    Ok(())
}

pub(crate) fn part_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".part");
    name.into()
}

pub(crate) struct Download<'a> {
    store: &'a dyn ObjectStore,
    into: &'a Path,
    total_bytes: u64,
    done_bytes: Mutex<u64>,
    progress: OnProgress<'a>,
}

impl<'a> Download<'a> {
    pub(crate) fn new(
        store: &'a dyn ObjectStore,
        into: &'a Path,
        found: &Inventory,
        plan: &RestorePlan,
        progress: OnProgress<'a>,
    ) -> Self {
        Self {
            store,
            into,
            total_bytes: plan.bytes(found),
            done_bytes: Mutex::new(0),
            progress,
        }
    }

    pub(crate) fn report(&self, bytes: u64, step: &str) {
        let done_bytes = {
            let mut done = self
                .done_bytes
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            *done += bytes;
            *done
        };
        (self.progress)(Progress {
            step: step.to_owned(),
            done_bytes,
            total_bytes: self.total_bytes,
        });
    }

    pub(crate) async fn base(&self, base: &BaseBackup) -> Result<FetchedBase, FetchError> {
        self.report(
            0,
            &format!("downloading the base backup of index {}", base.manifest.index),
        );
        let key = format!("{}{SNAPSHOT}", base.folder);
        let path = self.into.join(SNAPSHOT);
        let (bytes, sha256) = self.object(&key, &path).await?;
        if (bytes, sha256) != (base.manifest.stored_bytes, base.manifest.stored_sha256) {
            let detail = format!(
                "it has {bytes} bytes and SHA-256 {sha256}; its manifest says {} and {}",
                base.manifest.stored_bytes, base.manifest.stored_sha256
            );
            return Err(ObjectError::new(
                ErrorKind::Corrupt,
                format!("use {}", self.store.url(&key)),
                detail,
            )
            .into());
        }
        fs::rename(part_of(&path), &path).await.map_err(local(&path))?;
        Ok(FetchedBase {
            file: SNAPSHOT.to_owned(),
            index: base.manifest.index,
            term: base.manifest.term,
            state_hash: base.manifest.state_hash.clone(),
        })
    }

    async fn segments(
        &self,
        lineage: Lineage,
        plan: &RestorePlan,
    ) -> Result<Vec<FetchedSegment>, FetchError> {
        let count = plan.segments.len();
        let mut downloads: Vec<BoxFuture<'_, Result<FetchedSegment, FetchError>>> = Vec::with_capacity(count);
        for (number, range) in plan.segments.iter().copied().enumerate() {
            downloads.push(Box::pin(async move {
                let bytes = self.segment(lineage, range).await?;
                self.report(bytes, &format!("downloaded segment {} of {count}", number + 1));
                let file = SegmentName::Sealed(range.first, range.last).to_string();
                Ok(FetchedSegment {
                    file,
                    first: range.first,
                    last: range.last,
                })
            }));
        }
        futures::stream::iter(downloads)
            .buffered(PARALLEL)
            .try_collect()
            .await
    }

    pub(crate) async fn segment(&self, lineage: Lineage, range: SegmentRange) -> Result<u64, FetchError> {
        let key = lineage.segment(GroupId(0), range);
        let path = self
            .into
            .join(SegmentName::Sealed(range.first, range.last).to_string());
        let part = self.download(&key, &path).await?;
        let checked = tokio::task::spawn_blocking(move || check_segment(&part, lineage, range)).await;
        let checked = checked.unwrap_or_else(|error| Err(error.to_string()));
        let content = checked.map_err(|detail| {
            ObjectError::new(
                ErrorKind::Corrupt,
                format!("use {}", self.store.url(&key)),
                detail,
            )
        })?;
        fs::rename(part_of(&path), &path).await.map_err(local(&path))?;
        Ok(content.bytes())
    }

    /// Downloads an object to `path.part`; its size and hash.
    async fn object(&self, key: &str, path: &Path) -> Result<(u64, Sha256), FetchError> {
        let part = self.download(key, path).await?;
        // Read back from the file: what counts is what is on the disk now.
        let mut hashing = HashingReader::new(fs::File::open(&part).await.map_err(local(&part))?);
        hashing.drain().await.map_err(local(&part))?;
        Ok(hashing.finish())
    }

    /// Downloads an object to `path.part`, which it returns; goes on where it broke.
    async fn download(&self, key: &str, path: &Path) -> Result<PathBuf, FetchError> {
        let part = part_of(path);
        let mut file = fs::File::create(&part).await.map_err(local(&part))?;
        let mut offset = 0;
        let mut pauses = backoff();
        loop {
            match self.rest(key, &mut offset, &mut file).await {
                Ok(()) => break,
                Err(FetchError::Store(error))
                    if error.kind == ErrorKind::Unavailable && pauses.failures() + 1 < ATTEMPTS =>
                {
                    tracing::warn!(%error, offset, "the download will go on");
                    tokio::time::sleep(pauses.failed()).await;
                }
                Err(error) => return Err(error),
            }
        }
        file.sync_all().await.map_err(local(&part))?;
        Ok(part)
    }

    async fn rest(&self, key: &str, offset: &mut u64, file: &mut fs::File) -> Result<(), FetchError> {
        let unavailable = |detail: String| {
            ObjectError::new(
                ErrorKind::Unavailable,
                format!("read {}", self.store.url(key)),
                detail,
            )
        };
        let mut reader = self.store.get(key, *offset).await?;
        let mut chunk = vec![0; CHUNK];
        loop {
            let read = tokio::time::timeout(IDLE_TIMEOUT, reader.read(&mut chunk)).await;
            let read = read.map_err(|_| unavailable(format!("nothing came for {IDLE_TIMEOUT:?}")))?;
            let count = read.map_err(|error| unavailable(error.to_string()))?;
            if count == 0 {
                file.flush().await.map_err(local(self.into))?;
                return Ok(());
            }
            file.write_all(&chunk[..count]).await.map_err(local(self.into))?;
            *offset += count as u64;
        }
    }
}
