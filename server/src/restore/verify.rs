//! Proves that a data directory is sound, without changing it: identity, log, graph, and that they belong together.

use super::RestoreError;
use super::replay::applied;
use crate::identity::{DataDir, Identity, IdentityError};
use crate::node::GRAPH_FOLDER;
use geode_graph::{Report, fsck, state_hash};
use geode_log::segment::{SegmentReader, group_directory};
use geode_log::{Position, SegmentName};
use geode_store::{LmdbOptions, LmdbStore, Store};
use geode_types::{ClusterId, GroupId, LogIndex};
use std::fs::{self, File};
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};

const BUFFER_BYTES: usize = 256 * 1024;

/// The directory could not be checked at all. What is wrong with its content is in the report.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// It is not a data directory.
    #[error("{0} is not a data directory of Geode: it has no {1}")]
    NotOne(PathBuf, &'static str),
    /// Its identity, or a process that uses it.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// A file cannot be read.
    #[error(transparent)]
    Read(#[from] RestoreError),
}

/// What was found.
#[derive(Clone, Debug)]
pub struct VerifyReport {
    /// Whose directory it is.
    pub identity: Identity,
    /// The last entry that is applied to the graph.
    pub applied: LogIndex,
    /// Hash of the graph, hexadecimal.
    pub state_hash: String,
    /// Sealed segments whose every byte was checked.
    pub segments: u64,
    /// Records in the log, the open segment's included.
    pub records: u64,
    /// The last record of the log; none in an empty log.
    pub last_log: Option<LogIndex>,
    /// The check of the graph: edges, nodes, indexes, counters.
    pub graph: Report,
    /// What is wrong with log and identity, in words.
    pub problems: Vec<String>,
}

impl VerifyReport {
    /// Whether nothing is wrong.
    pub fn is_clean(&self) -> bool {
        self.problems.is_empty() && self.graph.is_clean()
    }

    /// Everything that is wrong, in words.
    pub fn all_problems(&self) -> impl Iterator<Item = &str> {
        self.problems
            .iter()
            .chain(&self.graph.problems)
            .map(String::as_str)
    }
}

/// Checks a data directory that no server uses.
pub fn verify(data_dir: &Path, wal_dir: &Path, map_size: u64) -> Result<VerifyReport, VerifyError> {
    let graph = data_dir.join(GRAPH_FOLDER);
    for (path, name) in [
        (data_dir.join("identity.json"), "identity.json"),
        (graph.clone(), GRAPH_FOLDER),
    ] {
        if !path.exists() {
            return Err(VerifyError::NotOne(data_dir.to_owned(), name));
        }
    }
    // The lock keeps a server from starting meanwhile; the id is only for new directories, which this is not.
    let data = DataDir::open(data_dir, || 0)?;
    let store = LmdbStore::open(
        &graph,
        LmdbOptions {
            map_size,
            ..LmdbOptions::default()
        },
    )
    .map_err(RestoreError::from)?;
    let at = applied(&store)?;
    let read = store.read().map_err(RestoreError::from)?;
    let hash = state_hash(&read).map_err(RestoreError::from)?;
    let mut report = VerifyReport {
        identity: data.identity().clone(),
        applied: at.index,
        state_hash: geode_types::hex(&hash),
        segments: 0,
        records: 0,
        last_log: None,
        graph: fsck(&read).map_err(RestoreError::from)?,
        problems: Vec::new(),
    };
    let log = wal_dir.join(group_directory(GroupId(0)));
    check_log(&mut report, &log, at)?;
    Ok(report)
}

/// Reads every record of every segment.
fn check_log(report: &mut VerifyReport, directory: &Path, applied: Position) -> Result<(), VerifyError> {
    let mut last: Option<Position> = None;
    for name in segments(directory)? {
        let path = directory.join(name.to_string());
        if let Err(problem) = check_segment(report, &path, name, &mut last) {
            report.problems.push(format!("{}: {problem}", path.display()));
        }
    }
    report.last_log = last.map(|last| last.index);
    if last.is_some_and(|last| last.index < applied.index) {
        report.problems.push(format!(
            "the log ends with entry {}, but {} is applied to the graph",
            last.map_or(0, |last| last.index.0),
            applied.index
        ));
    }
    Ok(())
}

fn segments(directory: &Path) -> Result<Vec<SegmentName>, VerifyError> {
    let unreadable = |source| RestoreError::Io {
        act: "read",
        path: directory.to_owned(),
        source,
    };
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(unreadable(error).into()),
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry.map_err(unreadable)?.file_name();
        names.extend(name.to_str().and_then(SegmentName::parse));
    }
    names.sort_by_key(SegmentName::first);
    Ok(names)
}

fn check_segment(
    report: &mut VerifyReport,
    path: &Path,
    name: SegmentName,
    last: &mut Option<Position>,
) -> Result<(), String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    let is_open = matches!(name, SegmentName::Open(_));
    let mut reader = SegmentReader::new(BufReader::with_capacity(BUFFER_BYTES, file))
        .map_err(|error| error.to_string())?;
    let header = *reader.header();
    check_place(header.cluster, report.identity.cluster)?;
    if let Some(before) = *last
        && (before.index.0 + 1 != header.first.0 || before.term != header.previous_term)
    {
        return Err(format!(
            "it does not follow entry {} of term {}",
            before.index, before.term
        ));
    }
    for record in reader.by_ref() {
        match record {
            Ok(record) => {
                report.records += 1;
                *last = Some(record.position);
            }
            // An open segment has no footer, and its end may be torn: what was never acknowledged.
            Err(_) if is_open => return Ok(()),
            Err(error) => return Err(error.to_string()),
        }
    }
    let Some(footer) = reader.footer() else {
        return Ok(());
    };
    if name != SegmentName::Sealed(header.first, footer.last.index) && !is_open {
        return Err(format!(
            "it holds the entries {} to {}, not those of its name",
            header.first, footer.last.index
        ));
    }
    report.segments += 1;
    Ok(())
}

fn check_place(found: ClusterId, own: Option<ClusterId>) -> Result<(), String> {
    match own {
        Some(own) if own == found => Ok(()),
        Some(own) => Err(format!("it belongs to cluster {found}, the directory to {own}")),
        None => Err("the directory has a log but belongs to no cluster".to_owned()),
    }
}
