//! Replays a fetched backup into a data directory: base backup, then the segments' entries through the same `apply` as on a member.
//!
//! The member's place in its cluster is written last. Until then the directory is an empty member's, and a replay that broke off is
//! begun again from the start.

use super::RestoreError;
use super::segments::Chain;
use crate::identity::DataDir;
use crate::node::GRAPH_FOLDER;
use crate::raft::found_with_one_voter;
use geode_graph::{Command, LogPosition, SnapshotInfo, import, keep_graphs, position};
use geode_log::segment::group_directory;
use geode_log::{Log, LogOptions, Position, RealDisk, Record, RecordKind, Vote};
use geode_store::{LmdbOptions, LmdbStore, Store, WriteTxn};
use geode_types::{
    ClusterId, FetchedBackup, FetchedBase, FetchedSegment, GraphSelection, GroupId, Incarnation, LogIndex,
    MemberId, RESTORE_FILE, RESTORE_FORMAT, RestoreTarget, Term,
};
use geode_wire::client::MemberAddress;
use std::fs::{self, File};
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Entries that are applied in one transaction of the store.
const BATCH_ENTRIES: usize = 1024;
/// Or that many bytes of them, so that a transaction stays small.
const BATCH_BYTES: usize = 8 * 1024 * 1024;

/// How much of a base backup is loaded between two lines about it.
const PROGRESS_BYTES: u64 = 64 * 1024 * 1024;

/// What is replayed, and into what.
pub struct ReplayOptions<'a> {
    /// The directory with the fetched backup.
    pub from: &'a Path,
    /// The data directory to fill: absent, empty, or an empty member's.
    pub data_dir: &'a Path,
    /// The directory of its log.
    pub wal_dir: &'a Path,
    /// Address space of the graph (`storage.map_size`).
    pub map_size: u64,
    /// The cluster that begins with it.
    pub cluster_id: ClusterId,
    /// The graphs that it keeps.
    pub graphs: &'a GraphSelection,
    /// Name of the member (`cluster.node.id`).
    pub name: &'a str,
    /// `host:port` of its client port.
    pub client_address: &'a str,
    /// `host:port` of its internal port.
    pub internal_address: &'a str,
    /// Told how far it is: a line now and then.
    pub progress: &'a dyn Fn(String),
}

/// A backup that was replayed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// The new cluster.
    pub cluster_id: ClusterId,
    /// Its lineage: the one after what was restored.
    pub incarnation: Incarnation,
    /// Its only member.
    pub member: MemberId,
    /// The last entry that was applied.
    pub index: LogIndex,
    /// Its term.
    pub term: Term,
    /// Hash of the graph, hexadecimal.
    pub state_hash: String,
    /// The newest commit's time in microseconds since the epoch; `None` when no commit was replayed after the base backup.
    pub last_commit_micros: Option<i64>,
}

/// Replays what `restore.json` describes. On success `geode serve` starts on the directory; on failure nothing but another replay does.
pub fn replay(options: &ReplayOptions<'_>) -> Result<Restored, RestoreError> {
    replay_arriving(options, &describe(options.from)?, &mut |_| Ok(()))
}

/// [`replay`] of a backup that is being fetched. Its base backup is there; a segment is read when `arrived` has said that it is there, and not
/// again once `arrived` is asked for the next one.
pub fn replay_arriving(
    options: &ReplayOptions<'_>,
    fetched: &FetchedBackup,
    arrived: &mut dyn FnMut(&FetchedSegment) -> Result<(), RestoreError>,
) -> Result<Restored, RestoreError> {
    let mut data = DataDir::open(options.data_dir, rand::random)?;
    if let Some(cluster) = data.identity().cluster {
        return Err(RestoreError::Taken {
            path: options.data_dir.to_owned(),
            cluster,
        });
    }
    let graph = options.data_dir.join(GRAPH_FOLDER);
    let log = options.wal_dir.join(group_directory(GroupId(0)));
    // Of an empty member, or of a replay that broke off.
    for leftover in [&graph, &log] {
        remove(leftover)?;
    }
    let store = LmdbStore::open(
        &graph,
        LmdbOptions {
            map_size: options.map_size,
            ..LmdbOptions::default()
        },
    )?;
    let last = match &fetched.base {
        Some(base) => Some(load_base(options, fetched, base, &store)?),
        None => None,
    };
    let mut replayer = Replayer::new(&store, fetched.target);
    let end = replayer.segments(options, fetched, last, arrived)?;
    let last_commit_micros = replayer.last_commit_micros;
    check_end(fetched, &replayer, end)?;
    let end = end.ok_or_else(|| RestoreError::Target("the backup has no entry".to_owned()))?;

    let member = data.identity().member;
    let address = MemberAddress {
        id: member,
        name: options.name.to_owned(),
        client: options.client_address.to_owned(),
        internal: options.internal_address.to_owned(),
    };
    let mut tx = store.write()?;
    let founded = found_with_one_voter(&mut tx, end, &address);
    founded.map_err(|source| RestoreError::Io {
        act: "write the membership to",
        path: graph.clone(),
        source,
    })?;
    tx.commit()?;
    // The disk writes while the graph is read.
    let (synced, hashed) = std::thread::scope(|scope| {
        let syncing = scope.spawn(|| store.sync());
        let hashed = hash(&store);
        (syncing.join(), hashed)
    });
    synced.unwrap_or_else(|panicked| std::panic::resume_unwind(panicked))?;
    let mut state_hash = hashed?;
    begin_log(log, options.cluster_id, member, end)?;
    let incarnation = Incarnation(fetched.incarnation.0 + 1);
    if let Some(expected) = fetched
        .state_hash
        .as_ref()
        .filter(|expected| **expected != state_hash)
    {
        return Err(RestoreError::WrongEnd {
            index: end.index,
            found: state_hash,
            expected: expected.clone(),
        });
    }
    if *options.graphs != GraphSelection::All {
        (options.progress)("keeping the selected graphs".to_owned());
        keep_graphs(&store, options.graphs)?;
        store.sync()?;
        state_hash = hash(&store)?;
    }
    data.join(options.cluster_id, incarnation)?;
    Ok(Restored {
        cluster_id: options.cluster_id,
        incarnation,
        member,
        index: end.index,
        term: end.term,
        state_hash,
        last_commit_micros,
    })
}

/// Reads `restore.json`.
fn describe(from: &Path) -> Result<FetchedBackup, RestoreError> {
    let path = from.join(RESTORE_FILE);
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(RestoreError::Incomplete(from.to_owned()));
        }
        Err(source) => {
            return Err(RestoreError::Io {
                act: "read",
                path,
                source,
            });
        }
    };
    let wrong = |reason: String| RestoreError::Description {
        path: path.clone(),
        reason,
    };
    let fetched: FetchedBackup = serde_json::from_slice(&bytes).map_err(|error| wrong(error.to_string()))?;
    if fetched.format != RESTORE_FORMAT {
        return Err(wrong(format!(
            "its format {} is not {RESTORE_FORMAT}",
            fetched.format
        )));
    }
    let names = fetched
        .segments
        .iter()
        .map(|segment| &segment.file)
        .chain(fetched.base.iter().map(|base| &base.file));
    for name in names {
        if Path::new(name).components().count() != 1 || name == ".." {
            return Err(wrong(format!("{name:?} is not the name of a file in it")));
        }
    }
    Ok(fetched)
}

fn remove(directory: &Path) -> Result<(), RestoreError> {
    match fs::remove_dir_all(directory) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => Err(RestoreError::Io {
            act: "remove",
            path: directory.to_owned(),
            source,
        }),
        _ => Ok(()),
    }
}

/// Loads the base backup into the store and compares it with its description; the entry it ends with.
fn load_base(
    options: &ReplayOptions<'_>,
    fetched: &FetchedBackup,
    base: &FetchedBase,
    store: &LmdbStore,
) -> Result<Position, RestoreError> {
    (options.progress)(format!("loading the base backup of index {}", base.index));
    let path = options.from.join(&base.file);
    let unreadable = |source| RestoreError::Io {
        act: "read",
        path: path.clone(),
        source,
    };
    let file = File::open(&path).map_err(unreadable)?;
    let decoder = zstd::Decoder::new(file).map_err(unreadable)?;
    let mut content = Counted {
        content: BufReader::new(decoder),
        bytes: 0,
        progress: &|bytes| (options.progress)(format!("{} MiB of the base backup are loaded", bytes >> 20)),
    };
    let info: SnapshotInfo =
        import(store, &mut content, Some(fetched.cluster_id), &[]).map_err(|source| RestoreError::Base {
            path: path.clone(),
            source,
        })?;
    let wrong = |reason: String| RestoreError::WrongBase {
        path: path.clone(),
        reason,
    };
    let found = info.header.position;
    if (found.index, found.term) != (base.index, base.term) {
        return Err(wrong(format!(
            "it ends with index {} of term {}, not {} of {}",
            found.index, found.term, base.index, base.term
        )));
    }
    if let Some(expected) = &base.state_hash {
        let hash = hash(store)?;
        if hash != *expected {
            return Err(wrong(format!("the graph's hash is {hash}, not {expected}")));
        }
    }
    Ok(Position {
        term: base.term,
        index: base.index,
    })
}

/// A stream that tells now and then how much of it was read.
struct Counted<'a, R> {
    content: R,
    bytes: u64,
    progress: &'a dyn Fn(u64),
}

impl<R: io::Read> io::Read for Counted<'_, R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let read = self.content.read(bytes)?;
        let before = self.bytes;
        self.bytes += read as u64;
        if before / PROGRESS_BYTES != self.bytes / PROGRESS_BYTES {
            (self.progress)(self.bytes);
        }
        Ok(read)
    }
}

fn hash(store: &LmdbStore) -> Result<String, RestoreError> {
    Ok(geode_types::hex(&geode_graph::state_hash(&store.read()?)?))
}

/// The new cluster's log: empty, after `end`. The vote says that the term of `end` is over, so that the next one is higher.
fn begin_log(
    directory: PathBuf,
    cluster: ClusterId,
    member: MemberId,
    end: Position,
) -> Result<(), RestoreError> {
    let options = LogOptions {
        cluster: Some(cluster),
        ..LogOptions::default()
    };
    let mut log = Log::open(Arc::new(RealDisk), directory, options)?;
    log.save_vote(Vote {
        term: end.term,
        member,
        committed: false,
    })?;
    log.purge(end)?;
    Ok(())
}

/// A target that was not met because the archive has a hole before it is an error; one behind the newest commit is not.
fn check_end(
    fetched: &FetchedBackup,
    replayer: &Replayer<'_>,
    end: Option<Position>,
) -> Result<(), RestoreError> {
    let last = end.map_or(LogIndex(0), |end| end.index);
    match (fetched.target, fetched.hole) {
        (RestoreTarget::Index(target), _) if last < target => Err(RestoreError::Target(format!(
            "entry {target} is not in the backup, which ends with {last}"
        ))),
        (RestoreTarget::TimeMicros(_), Some((first, until))) if !replayer.reached => {
            Err(RestoreError::Target(format!(
                "the target time lies after entry {last}, but the archive lacks the entries {first} to {until}; choose an earlier time"
            )))
        }
        _ => Ok(()),
    }
}

/// Applies entries in batches, up to the target.
struct Replayer<'a> {
    store: &'a LmdbStore,
    target: RestoreTarget,
    batch: Vec<Record>,
    batch_bytes: usize,
    end: Option<Position>,
    last_commit_micros: Option<i64>,
    /// An entry behind the target was seen.
    reached: bool,
}

impl<'a> Replayer<'a> {
    fn new(store: &'a LmdbStore, target: RestoreTarget) -> Self {
        Self {
            store,
            target,
            batch: Vec::new(),
            batch_bytes: 0,
            end: None,
            last_commit_micros: None,
            reached: false,
        }
    }

    /// Applies what comes after `last`; the entry with which it ended.
    fn segments(
        &mut self,
        options: &ReplayOptions<'_>,
        fetched: &FetchedBackup,
        last: Option<Position>,
        arrived: &mut dyn FnMut(&FetchedSegment) -> Result<(), RestoreError>,
    ) -> Result<Option<Position>, RestoreError> {
        self.end = last;
        let mut chain = Chain::after(fetched.cluster_id, last);
        for segment in &fetched.segments {
            arrived(segment)?;
            (options.progress)(format!(
                "replaying the entries {} to {}",
                segment.first, segment.last
            ));
            if !chain.segment(&options.from.join(&segment.file), |record| self.record(record))? {
                break;
            }
        }
        self.flush()?;
        Ok(self.end)
    }

    /// Takes a record up unless it lies behind the target.
    fn record(&mut self, record: Record) -> Result<bool, RestoreError> {
        let behind = match self.target {
            RestoreTarget::Latest => false,
            RestoreTarget::Index(target) => record.position.index > target,
            RestoreTarget::TimeMicros(target) => commit_time(&record)?.is_some_and(|at| at > target),
        };
        if behind {
            self.reached = true;
            return Ok(false);
        }
        self.batch_bytes += record.payload.len();
        self.batch.push(record);
        if self.batch.len() >= BATCH_ENTRIES || self.batch_bytes >= BATCH_BYTES {
            self.flush()?;
        }
        Ok(true)
    }

    fn flush(&mut self) -> Result<(), RestoreError> {
        let Some(last) = self.batch.last().map(|record| record.position) else {
            return Ok(());
        };
        let mut tx = self.store.write()?;
        for record in self.batch.drain(..) {
            let at = LogPosition {
                term: record.position.term,
                index: record.position.index,
            };
            let failed = |reason: String| RestoreError::Apply {
                index: at.index,
                reason,
            };
            match record.kind {
                // The members of the source cluster are not this cluster's.
                RecordKind::Blank | RecordKind::Membership => geode_graph::apply_empty(&mut tx, at),
                RecordKind::Command | RecordKind::Cut => {
                    let command = decode(&record)?;
                    if let Command::Commit(commit) = &command {
                        self.last_commit_micros = self.last_commit_micros.max(Some(commit.at_micros));
                    }
                    geode_graph::apply(&mut tx, at, &command).map(|_| ())
                }
            }
            .map_err(|error| failed(error.to_string()))?;
        }
        tx.commit()?;
        self.batch_bytes = 0;
        self.end = Some(last);
        Ok(())
    }
}

fn commit_time(record: &Record) -> Result<Option<i64>, RestoreError> {
    if record.kind != RecordKind::Command {
        return Ok(None);
    }
    Ok(match decode(record)? {
        Command::Commit(commit) => Some(commit.at_micros),
        Command::Cut { .. } | Command::Step { .. } | Command::Raise { .. } => None,
    })
}

fn decode(record: &Record) -> Result<Command, RestoreError> {
    Command::decode(&record.payload).map_err(|error| RestoreError::Apply {
        index: record.position.index,
        reason: format!("{error}; was it written by a newer version?"),
    })
}

/// The store's position, for [`super::verify`].
pub(super) fn applied(store: &LmdbStore) -> Result<Position, RestoreError> {
    let at = position(&store.read()?)?;
    Ok(Position {
        term: at.term,
        index: at.index,
    })
}

#[cfg(test)]
#[path = "replay_tests.rs"]
mod tests;
