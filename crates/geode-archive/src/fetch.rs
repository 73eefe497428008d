//! Fetches a backup into a directory: plans, downloads and verifies. Either somebody takes it up as it comes, or it is described in
//! `restore.json`, last: then the directory is what `geode_server::restore` replays.

use crate::backoff::{Backoff, persist};
use crate::catalogue::{Unreadable, way_out};
use crate::checkpoints::checkpoints;
use crate::download::{ATTEMPTS, Download};
use crate::inventory::{Inventory, inventory};
use crate::layout::{Lineage, SNAPSHOT_ZSTD, SegmentRange, parse_segment};
use crate::location::{Access, LineageError, Location, LocationError};
use crate::object::Codec;
use crate::plan::{RestoreGap, RestorePlan, restore_plan};
use crate::store::{ErrorKind, ObjectError, ObjectStore, PairedStore};
use geode_log::SegmentName;
use geode_types::{FetchedBackup, FetchedSegment, RESTORE_FILE, RESTORE_FORMAT, RestoreGoal, RestoreTarget};
use jiff::Timestamp;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Duration;
use tokio::fs;
use tokio::io::AsyncWriteExt;

/// Segments downloaded at the same time, unless somebody asks for another number.
pub const PARALLEL: usize = 4;
/// A restore is planned this often at most when what it needs goes away meanwhile.
pub const PLANS: usize = 3;
/// So many checkpoints are named when the one that was asked for is not there.
const NAMES_MAX: usize = 10;

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

/// What has come of a fetch, for who takes it up while more is on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Arrived {
    /// What it consists of. The base backup is there; the segments come in this order.
    Plan(Box<FetchedBackup>),
    /// The next segment is there.
    Segment,
}

/// Who is told of what has come, within a fetch.
pub(crate) type Tell<'a> = &'a (dyn Fn(Arrived) -> Result<(), FetchError> + Sync);

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
    #[error("{place} cannot be restored: {gap}{}", way_out(.unreadable))]
    Gap {
        /// The archive.
        place: String,
        /// Why.
        gap: RestoreGap,
        /// Backups that are there, would perhaps help, and cannot be read.
        unreadable: Vec<Unreadable>,
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
    /// No backup of that name.
    #[error("{place} has no backup {name}{why}")]
    NoBackup {
        /// The archive.
        place: String,
        /// What was asked for.
        name: String,
        /// Those that there are, or why this one is none.
        why: String,
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
    /// Who took it up as it came does so no longer.
    #[error("nobody takes up what is fetched any more")]
    NotTaken,
    /// Not how segments are called.
    #[error("{0:?} is not the name of a segment, which is FIRST-LAST.seg, each 20 digits")]
    NoSegment(String),
    /// The directory has something else in it.
    #[error("{0} is not empty; choose a new directory")]
    NotEmpty(PathBuf),
}

impl FetchError {
    /// Whether the store did not do what it was asked, for whatever reason.
    pub fn is_about_the_store(&self) -> bool {
        matches!(self, Self::Store(_) | Self::Lineage(LineageError::Store(_)))
    }

    /// Whether the archive was cleaned up meanwhile: what was planned has gone, and another plan may do.
    pub fn is_overtaken(&self) -> bool {
        matches!(self, Self::Store(error) if error.kind == ErrorKind::NotFound)
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
    let codec = access.codec();
    let target = resolve(&*store, &codec, lineage, goal).await?;
    let fetch = Fetch {
        store: &*store,
        codec: &codec,
        lineage,
        target,
        into,
        parallel: access.parallel.unwrap_or(PARALLEL),
        progress,
    };
    fetch.whole().await
}

/// Fetches one segment, by the name that it has in the archive, into a file; opened and checked. Returns its size as stored.
pub async fn fetch_segment(
    source: &str,
    access: &Access,
    name: &str,
    file: &Path,
) -> Result<u64, FetchError> {
    let range = parse_segment(name).ok_or_else(|| FetchError::NoSegment(name.to_owned()))?;
    let (store, lineage) = open_history(source, access).await?;
    let beside = file.parent().filter(|parent| !parent.as_os_str().is_empty());
    let folder = tempfile::tempdir_in(beside.unwrap_or(Path::new("."))).map_err(local(file))?;
    let codec = access.codec();
    let download = Download::new(&*store, &codec, folder.path(), 0, &|_| {});
    let bytes = download.segment(lineage, range).await?;
    let fetched = folder.path().join(fetched_segment(&range).file);
    sync(&fetched).await?;
    fs::rename(fetched, file).await.map_err(local(file))?;
    Ok(bytes)
}

/// A fetch from an open store.
pub struct Fetch<'a> {
    /// The archive.
    pub store: &'a dyn ObjectStore,
    /// How its objects are opened.
    pub codec: &'a Codec,
    /// Which history.
    pub lineage: Lineage,
    /// How far.
    pub target: RestoreTarget,
    /// An empty or new directory.
    pub into: &'a Path,
    /// Segments downloaded at the same time.
    pub parallel: usize,
    /// Told how far it is.
    pub progress: OnProgress<'a>,
}

impl Fetch<'_> {
    /// All of it, on the disk, with `restore.json`. A clean-up of the archive may run meanwhile: what it takes away under this fetch is planned
    /// around, or the plan says that the target cannot be reached any more.
    pub async fn whole(&self) -> Result<FetchedBackup, FetchError> {
        for _ in 1..PLANS {
            match self.described().await {
                Err(error) if error.is_overtaken() => {
                    tracing::warn!(%error, "the archive was cleaned up meanwhile; planning the restore again");
                }
                ended => return ended,
            }
        }
        self.described().await
    }

    /// Once, told to `taker` as it comes, by what the archive lists now. Nothing is forced to the disk: the files are for who takes them now.
    pub async fn arriving(&self, taker: &Sender<Arrived>) -> Result<FetchedBackup, FetchError> {
        self.once(&|arrived| taker.send(arrived).map_err(|_| FetchError::NotTaken))
            .await
    }

    async fn described(&self) -> Result<FetchedBackup, FetchError> {
        let fetched = self.once(&|_| Ok(())).await?;
        let segments = fetched.segments.iter().map(|segment| &segment.file);
        for name in fetched.base.iter().map(|base| &base.file).chain(segments) {
            sync(&self.into.join(name)).await?;
        }
        let text = serde_json::to_vec_pretty(&fetched).expect("restore.json has string keys only");
        write_whole(&self.into.join(RESTORE_FILE), &text)
            .await
            .map_err(local(self.into))?;
        Ok(fetched)
    }

    async fn once(&self, tell: Tell<'_>) -> Result<FetchedBackup, FetchError> {
        refuse_future(self.target)?;
        let Self {
            store,
            lineage,
            target,
            into,
            ..
        } = *self;
        prepare(into).await?;
        let place = store.url(&lineage.root());
        let mut found = persist(ATTEMPTS, backoff(), || inventory(store, lineage)).await?;
        for unreadable in &found.unreadable {
            tracing::error!(%unreadable, "the restore goes on without this backup");
        }
        let (plan, base) = loop {
            let plan = plan(&found, target, &place)?;
            let Some(base) = &plan.base else {
                break (plan, None);
            };
            match self.download(&plan, &found).base(base).await {
                Ok(fetched) => break (plan, Some(fetched)),
                // An older base backup and more segments give the same graph.
                Err(FetchError::Store(error))
                    if error.kind == ErrorKind::Corrupt && found.bases.len() > 1 =>
                {
                    tracing::error!(%error, "this base backup is damaged; trying an older one");
                    found.bases.retain(|other| other.folder != base.folder);
                }
                Err(error) => return Err(error),
            }
        };
        let download = self.download(&plan, &found);
        download.report(
            plan.base.as_ref().map_or(0, |base| base.manifest.stored_bytes),
            "downloading segments",
        );
        let fetched = FetchedBackup {
            format: RESTORE_FORMAT,
            source: place,
            cluster_id: lineage.cluster_id,
            incarnation: lineage.incarnation,
            base,
            segments: plan.segments.iter().map(fetched_segment).collect(),
            target,
            state_hash: end_hash(&found, target),
            hole: plan.hole.map(|hole| (hole.first, hole.last)),
        };
        tell(Arrived::Plan(Box::new(fetched.clone())))?;
        download.segments(lineage, &plan, self.parallel, tell).await?;
        Ok(fetched)
    }

    fn download(&self, plan: &RestorePlan, found: &Inventory) -> Download<'_> {
        let total = plan.bytes(found);
        Download::new(self.store, self.codec, self.into, total, self.progress)
    }
}

fn fetched_segment(range: &SegmentRange) -> FetchedSegment {
    FetchedSegment {
        file: SegmentName::Sealed(range.first, range.last).to_string(),
        first: range.first,
        last: range.last,
    }
}

/// What a restore takes, by what can be read.
pub(crate) fn plan(found: &Inventory, target: RestoreTarget, place: &str) -> Result<RestorePlan, FetchError> {
    restore_plan(found, target, place).map_err(|gap| FetchError::Gap {
        place: place.to_owned(),
        gap,
        unreadable: found.unreadable.clone(),
    })
}

/// The hash of the graph at the target, when a backup ends there.
fn end_hash(found: &Inventory, target: RestoreTarget) -> Option<String> {
    let RestoreTarget::Index(until) = target else {
        return None;
    };
    let increment = found.increments.iter().find(|increment| increment.index == until);
    increment.map(|increment| increment.state_hash.clone())
}

/// The store of an archive, and which history in it is meant.
pub async fn open_history(
    source: &str,
    access: &Access,
) -> Result<(Arc<dyn ObjectStore>, Lineage), FetchError> {
    let location = Location::parse(source)?;
    let store = open_with_copy(&location, access).await?;
    let lineage = location.lineage(&*store).await?;
    Ok((store, lineage))
}

/// The store of an archive, with its copy when there is one.
pub(crate) async fn open_with_copy(
    location: &Location,
    access: &Access,
) -> Result<Arc<dyn ObjectStore>, FetchError> {
    let store = location.open(access).await;
    let Some((copy, access)) = access.copy.as_deref() else {
        return Ok(store);
    };
    let copy = Location::parse(copy)?.open(access).await;
    Ok(Arc::new(PairedStore::new(store, copy)))
}

/// The place in the history that is meant.
pub async fn resolve(
    store: &dyn ObjectStore,
    codec: &Codec,
    lineage: Lineage,
    goal: &RestoreGoal,
) -> Result<RestoreTarget, FetchError> {
    let name = match goal {
        RestoreGoal::Target(target) => return Ok(*target),
        RestoreGoal::Checkpoint(name) => name,
    };
    let known = persist(ATTEMPTS, backoff(), || checkpoints(store, codec, lineage)).await?;
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
        if plain != SNAPSHOT_ZSTD && plain != RESTORE_FILE && SegmentName::parse(plain).is_none() {
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

pub(crate) fn backoff() -> Backoff {
    Backoff::new(Duration::from_millis(300), Duration::from_secs(15))
}

pub(crate) fn local(path: &Path) -> impl FnOnce(io::Error) -> FetchError + '_ {
    move |source| FetchError::Local {
        path: path.to_owned(),
        source,
    }
}

/// Forces a file to the disk.
async fn sync(path: &Path) -> Result<(), FetchError> {
    let file = fs::File::open(path).await.map_err(local(path))?;
    file.sync_all().await.map_err(local(path))
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
