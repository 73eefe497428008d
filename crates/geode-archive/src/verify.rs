//! Is everything in the archive what was stored? Each object is read once, by the way that a restore takes, into a directory that holds one of
//! them at a time.

use crate::catalogue::Unreadable;
use crate::download::Download;
use crate::fetch::{FetchError, OnProgress, prepare};
use crate::increment::broken_increments;
use crate::inventory::{Inventory, inventory};
use crate::layout::{Lineage, SNAPSHOT_ZSTD, SegmentRange};
use crate::object::Codec;
use crate::plan::{RestorePlan, restore_plan};
use crate::store::{ErrorKind, ObjectStore};
use geode_log::SegmentName;
use geode_types::{LogIndex, RestoreTarget};
use std::path::Path;
use tokio::fs;

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchiveReport {
    /// Base backups that were looked at.
    pub bases: usize,
    /// Incremental and differential backups that there are.
    pub increments: usize,
    /// Segments that were looked at.
    pub segments: usize,
    /// What is damaged or missing, in words.
    pub problems: Vec<String>,
}

/// What is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checks {
    /// Every object is read.
    pub checksums: bool,
    /// Holes, and backups that cannot be restored, are looked for in what is listed.
    pub consistency: bool,
}

impl Checks {
    /// Everything.
    pub const ALL: Self = Self {
        checksums: true,
        consistency: true,
    };
}

/// Checks everything of one history. An error means that the store could not be read to the end.
pub async fn verify_archive(
    store: &dyn ObjectStore,
    codec: &Codec,
    lineage: Lineage,
    checks: Checks,
    scratch: &Path,
    progress: OnProgress<'_>,
) -> Result<ArchiveReport, FetchError> {
    let found = inventory(store, lineage).await?;
    let mut problems = Vec::new();
    if checks.consistency {
        problems = holes(&found, &store.url(&lineage.root()));
    }
    verify_found(store, codec, &found, checks, scratch, progress, problems).await
}

/// [`verify_archive`] for one backup, by its name, with what a restore of it takes: nothing else is judged.
pub async fn verify_backup(
    store: &dyn ObjectStore,
    codec: &Codec,
    (lineage, name): (Lineage, &str),
    checks: Checks,
    scratch: &Path,
    progress: OnProgress<'_>,
) -> Result<ArchiveReport, FetchError> {
    let found = inventory(store, lineage).await?;
    let only = found.only(name, &store.url(&lineage.root()))?;
    verify_found(store, codec, &only, checks, scratch, progress, Vec::new()).await
}

/// Adds to the problems what is wrong with all that was found.
async fn verify_found(
    store: &dyn ObjectStore,
    codec: &Codec,
    found: &Inventory,
    checks: Checks,
    scratch: &Path,
    progress: OnProgress<'_>,
    mut problems: Vec<String>,
) -> Result<ArchiveReport, FetchError> {
    prepare(scratch).await?;
    let everything = RestorePlan {
        base: None,
        segments: found.segments.iter().map(|segment| segment.range).collect(),
        target: RestoreTarget::Latest,
        hole: None,
    };
    // Part of either check: whoever looks at a backup reads this first.
    problems.extend(found.unreadable.iter().map(Unreadable::to_string));
    if checks.consistency {
        problems.extend(broken_increments(found));
    }
    let (bases, segments, increments) = (found.bases.len(), found.segments.len(), found.increments.len());
    let report = |problems| ArchiveReport {
        bases,
        increments,
        segments,
        problems,
    };
    if !checks.checksums {
        return Ok(report(problems));
    }
    let total = everything.bytes(found);
    let download = Download::new(store, codec, scratch, total, progress);
    for base in &found.bases {
        note(&mut problems, download.base(base).await.map(drop))?;
        discard(&scratch.join(SNAPSHOT_ZSTD)).await;
    }
    for range in &everything.segments {
        let read = download.segment(found.lineage, *range).await;
        let step = format!("read the entries {} to {}", range.first, range.last);
        download.report(read.as_ref().copied().unwrap_or(0), &step);
        note(&mut problems, read.map(drop))?;
        discard(&scratch.join(SegmentName::Sealed(range.first, range.last).to_string())).await;
    }
    Ok(report(problems))
}

/// What is damaged is a finding; a store that does not answer is not.
fn note(problems: &mut Vec<String>, read: Result<(), FetchError>) -> Result<(), FetchError> {
    match read {
        Err(FetchError::Store(error)) if matches!(error.kind, ErrorKind::Corrupt | ErrorKind::NotFound) => {
            problems.push(error.to_string());
            Ok(())
        }
        other => other,
    }
}

/// Entries that are missing between segments, and whether the newest state can be restored.
fn holes(found: &Inventory, place: &str) -> Vec<String> {
    let pairs = found
        .segments
        .windows(2)
        .map(|pair| (pair[0].range, pair[1].range));
    let is_hole = |(before, after): &(SegmentRange, SegmentRange)| after.first.0 > before.last.0 + 1;
    let mut problems: Vec<String> = pairs
        .filter(is_hole)
        .map(|(before, after)| {
            let (first, last) = (before.last.0 + 1, LogIndex(after.first.0 - 1));
            format!("the entries {first} to {last} are missing: only base backups after them lead on")
        })
        .collect();
    if let Err(gap) = restore_plan(found, RestoreTarget::Latest, place) {
        problems.push(format!("the newest state cannot be restored: {gap}"));
    }
    problems
}

/// Best effort: the directory is the caller's, and goes with what is left in it.
async fn discard(path: &Path) {
    for name in [path.to_owned(), crate::fetch::part_of(path)] {
        let _ = fs::remove_file(name).await;
    }
}
