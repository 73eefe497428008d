//! The archive loop: brings sealed, committed segments of this member's log to the object store.
//!
//! The leader's sidecar uploads; the others watch, compare what was uploaded with their own segments, and step in for what stays missing. How
//! far the archive is comes from listings, never from local state. Nothing is ever overwritten; what cannot be done is said in the
//! report to the server and in metrics, and tried again.

mod audit;
#[cfg(test)]
mod tests;

use crate::link::{LinkError, Server};
use crate::metrics::Metrics;
use crate::report::Shared;
use crate::watch::Seen;
use futures::{StreamExt, TryStreamExt, stream};
use geode_archive::{
    Backoff, BaseBackup, Codec, Lineage, ObjectError, ObjectStore, SegmentRange, SoundSegment, Unreadable,
    UploadError, advance, archive_plan, archived_until, bases, checkpoints, segments, upload_segment,
    verify_segment, write_checkpoints,
};
use geode_log::SegmentName;
use geode_types::{Checkpoint, LogIndex, Role};
use geode_wire::internal::{ArchiveFailure, MemberState, MemberStatus, SegmentInfo};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// Pause after a round that had work, and after one that had none.
const BUSY: Duration = Duration::from_millis(250);
const IDLE: Duration = Duration::from_secs(1);
/// A member that does not lead uploads a segment that stays missing for this long.
pub(crate) const STEP_IN: Duration = Duration::from_secs(30);
/// Entries that stay missing for this long, although others could have stepped in, are lost to the archive.
pub(crate) const HOLE_PATIENCE: Duration = Duration::from_secs(120);
/// Segments that are checked, or have been, before they are sent.
const CHECKED_AHEAD: usize = 2;
/// Pauses after failures of the store.
const PAUSE_FIRST: Duration = Duration::from_millis(500);
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// Pause while only a person can help: the archive conflicts.
const PAUSE_STOPPED: Duration = Duration::from_secs(30);
/// The archive of a new history is looked through for a base backup this often while there is none.
const BASE_CHECK: Duration = Duration::from_secs(15);

/// Why a round did not get through.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The server beside us does not answer: not a failure of the archive.
    #[error(transparent)]
    Server(#[from] LinkError),
    /// The object store.
    #[error(transparent)]
    Store(#[from] ObjectError),
    /// A segment.
    #[error(transparent)]
    Segment(#[from] UploadError),
    /// Entries that nobody can archive any more.
    #[error(
        "the entries {} to {} are neither archived nor in this member's log; a base backup is taken so that restores can begin after them",
        .0.first, .0.last
    )]
    Hole(SegmentRange),
}

impl Failure {
    /// The reason in the condition catalogue; none when it is not about the archive.
    fn reason(&self) -> Option<&'static str> {
        Some(match self {
            Self::Server(_) => return None,
            Self::Store(error) | Self::Segment(UploadError::Store(error)) => error.reason(),
            Self::Segment(UploadError::Conflict { .. }) => "ArchiveConflict",
            Self::Segment(UploadError::Damaged { .. }) => "ArchiveLagging",
            Self::Hole(_) => "ArchiveGap",
        })
    }

    /// Trying again soon is no use.
    fn needs_a_person(&self) -> bool {
        matches!(
            self,
            Self::Segment(UploadError::Conflict { .. } | UploadError::Damaged { .. }) | Self::Hole(_)
        )
    }
}

/// One history's archive, as far as it is known.
struct Chain {
    lineage: Lineage,
    /// The first entry that is not archived; none while the archive is empty.
    next: Option<LogIndex>,
    /// The first entry of the archive, once there is one.
    begins: Option<LogIndex>,
    has_base: bool,
    base_checked: Instant,
    /// The listing may have more than `next` says: the role changed, or something failed.
    unsure: bool,
    led: bool,
    /// The checkpoints that the archive knows; none when they have to be looked up.
    checkpoints: Option<Vec<Checkpoint>>,
    /// What is waited for, and since when.
    waiting: Option<(LogIndex, Instant)>,
    /// The name of the newest segment that is archived.
    newest: String,
}

/// Archives this member's log.
pub(crate) struct Archiver {
    pub(crate) store: Arc<dyn ObjectStore>,
    pub(crate) codec: Codec,
    pub(crate) server: Arc<dyn Server>,
    /// The directory of the segments.
    pub(crate) wal_dir: PathBuf,
    pub(crate) shared: Arc<Shared>,
    pub(crate) metrics: Metrics,
    chain: Option<Chain>,
    pace: audit::Pace,
    /// Backups that could not be read at the last look.
    unreadable: Vec<Unreadable>,
}

impl Archiver {
    pub(crate) fn new(
        store: Arc<dyn ObjectStore>,
        codec: Codec,
        server: Arc<dyn Server>,
        wal_dir: PathBuf,
        shared: Arc<Shared>,
        metrics: Metrics,
    ) -> Self {
        Self {
            store,
            codec,
            server,
            wal_dir,
            shared,
            metrics,
            chain: None,
            pace: audit::Pace::default(),
            unreadable: Vec::new(),
        }
    }

    /// Archives until the process ends.
    pub(crate) async fn run(mut self, seen: watch::Receiver<Seen>) {
        let mut backoff = Backoff::new(PAUSE_FIRST, PAUSE_MAX);
        loop {
            let now = Instant::now();
            let status = seen.borrow().fresh(now).cloned();
            let pause = match status {
                Some(status) => self.attempt(&status, now, &mut backoff).await,
                None => IDLE,
            };
            tokio::time::sleep(pause).await;
        }
    }

    /// One round and what follows from its failure; how long to pause.
    async fn attempt(&mut self, status: &MemberStatus, now: Instant, backoff: &mut Backoff) -> Duration {
        let failure = match self.round(status, now).await {
            Ok(pause) => {
                backoff.worked();
                self.metrics.failing.set(0);
                self.metrics.conflict.set(0);
                self.shared.works();
                return pause;
            }
            Err(failure) => failure,
        };
        if let Some(chain) = &mut self.chain {
            chain.unsure = true;
        }
        let Some(reason) = failure.reason() else {
            tracing::debug!(%failure, "the server does not answer");
            return IDLE;
        };
        let pause = if failure.needs_a_person() {
            PAUSE_STOPPED
        } else {
            backoff.failed()
        };
        tracing::warn!(%failure, reason, ?pause, "archiving does not get on");
        self.metrics.failures.inc();
        self.metrics.failing.set(1);
        self.metrics.conflict.set(i64::from(reason == "ArchiveConflict"));
        self.shared.fails(ArchiveFailure {
            reason: reason.to_owned(),
            message: failure.to_string(),
        });
        pause
    }

    /// Looks at what is there and does what is due.
    pub(crate) async fn round(&mut self, status: &MemberStatus, now: Instant) -> Result<Duration, Failure> {
        let (MemberState::Running, Some(cluster_id)) = (status.state, status.cluster_id) else {
            self.chain = None;
            return Ok(IDLE);
        };
        let lineage = Lineage {
            cluster_id,
            incarnation: status.incarnation,
        };
        let mut chain = match self.chain.take().filter(|chain| chain.lineage == lineage) {
            Some(chain) => chain,
            None => match self.begin(lineage, now).await {
                Ok(chain) => chain,
                Err(failure) => {
                    // The store cannot say what is archived, so everything that may wait counts.
                    let local = self.server.segments(self.shared.report().archived_up_to).await?;
                    self.measure(&local).await;
                    return Err(failure);
                }
            },
        };
        let leads = status.role == Role::Leader;
        chain.unsure |= chain.led != leads;
        chain.led = leads;
        let mut outcome = self.advance(&mut chain, status, now).await;
        if outcome.is_ok()
            && self.pace.is_due(now)
            && let Err(failure) = self.audit(&chain, now).await
        {
            outcome = Err(failure);
        }
        self.publish(&chain);
        self.chain = Some(chain);
        outcome
    }

    /// Finds out from listings how far the archive is.
    async fn begin(&self, lineage: Lineage, now: Instant) -> Result<Chain, Failure> {
        let bases = bases(&*self.store, lineage).await?;
        self.note_newest(&bases);
        let archived = segments(&*self.store, lineage, LogIndex(0)).await?;
        let ranges: Vec<_> = archived.iter().map(|segment| segment.range).collect();
        let covered: Vec<_> = bases.iter().map(|base| base.manifest.index).collect();
        let next = archived_until(&ranges, &covered);
        self.compare(lineage, &ranges).await?;
        tracing::info!(cluster = %lineage.cluster_id, incarnation = %lineage.incarnation, next = ?next.map(|next| next.0),
            base_backups = bases.len(), "archive found");
        Ok(Chain {
            lineage,
            next,
            begins: ranges.first().map(|range| range.first),
            has_base: !bases.is_empty(),
            base_checked: now,
            unsure: false,
            led: false,
            checkpoints: None,
            waiting: None,
            newest: ranges.last().map_or_else(String::new, |range| name_of(*range)),
        })
    }

    /// Compares every segment that this member still has with the archived one: a conflict must not be forgotten by a restart.
    async fn compare(&self, lineage: Lineage, archived: &[SegmentRange]) -> Result<(), Failure> {
        let mut after = LogIndex(0);
        loop {
            let page = self.server.segments(after).await?;
            for info in page
                .iter()
                .filter(|info| archived.binary_search(&range_of(info)).is_ok())
            {
                self.verify(lineage, info).await?;
            }
            match page.last() {
                Some(last) if last.last > after => after = last.last,
                _ => return Ok(()),
            }
        }
    }

    /// Compares one that is archived.
    async fn verify(&self, lineage: Lineage, info: &SegmentInfo) -> Result<(), Failure> {
        let segment = SoundSegment::check(lineage, range_of(info), self.wal_dir.join(&info.file)).await?;
        verify_segment(&*self.store, &self.codec, &segment).await?;
        Ok(())
    }

    fn note_newest(&self, bases: &[BaseBackup]) {
        if let Some(newest) = bases.last() {
            self.metrics.base_backup(&newest.manifest);
        }
    }

    async fn advance(
        &mut self,
        chain: &mut Chain,
        status: &MemberStatus,
        now: Instant,
    ) -> Result<Duration, Failure> {
        let local = self.waiting(chain).await?;
        self.measure(&local).await;
        if chain.led {
            self.want_base(chain, status, now).await?;
        }
        if local.is_empty() {
            chain.waiting = None;
            return Ok(IDLE);
        }
        if !chain.led || chain.unsure {
            self.catch_up(chain, &local).await?;
            // Another member may have written a newer list.
            chain.checkpoints = None;
            chain.unsure = false;
        }
        let ranges: Vec<_> = local.iter().map(range_of).collect();
        let plan = archive_plan(&ranges, chain.next.unwrap_or(ranges[0].first));
        if let Some(hole) = plan.hole {
            return self.hole(chain, hole, now).await;
        }
        let Some(first) = plan.uploads.first() else {
            return Ok(BUSY);
        };
        if !chain.led && chain.waited(first.first, now) < STEP_IN {
            return Ok(IDLE);
        }
        let applied = self.keep_checkpoints(chain).await?;
        // Who steps in looks again after each segment: the leader may be back.
        let count = if chain.led { plan.uploads.len() } else { 1 };
        let due = plan.uploads.into_iter().take(count);
        let files = due.take_while(|range| range.last <= applied).map_while(|range| {
            let info = local.iter().find(|info| range_of(info) == range)?;
            Some((range, self.wal_dir.join(&info.file)))
        });
        // A check begins when it is asked for, so the next ones go on while one is sent.
        let lineage = chain.lineage;
        let checks = files.map(|(range, path)| SoundSegment::check(lineage, range, path));
        let mut checked = stream::iter(checks).buffered(CHECKED_AHEAD);
        while let Some(segment) = checked.try_next().await? {
            let range = segment.range();
            let bytes = upload_segment(&*self.store, &self.codec, &segment).await?;
            tracing::info!(first = %range.first, last = %range.last, bytes, stepped_in = !chain.led, "segment archived");
            self.metrics.segments.inc();
            self.metrics.segment_bytes.inc_by(bytes);
            chain.archived(range);
            self.publish(chain);
        }
        Ok(BUSY)
    }

    /// Stores the checkpoints if they have changed, before the segments with the changes: whoever has a segment can tell where its
    /// checkpoints are. Segments beyond the index that is returned may have newer ones.
    async fn keep_checkpoints(&self, chain: &mut Chain) -> Result<LogIndex, Failure> {
        let (applied, now) = self.server.checkpoints().await?;
        let known = match chain.checkpoints.take() {
            Some(known) => known,
            None => checkpoints(&*self.store, &self.codec, chain.lineage).await?,
        };
        if known != now {
            write_checkpoints(&*self.store, &self.codec, chain.lineage, applied, now.clone()).await?;
        }
        chain.checkpoints = Some(now);
        Ok(applied)
    }

    /// This member's segments that are not known to be archived.
    async fn waiting(&self, chain: &Chain) -> Result<Vec<SegmentInfo>, Failure> {
        let after = chain.next.map_or(0, |next| next.0.saturating_sub(1));
        let mut local = self.server.segments(LogIndex(after)).await?;
        local.retain(|info| chain.next.is_none_or(|next| info.last >= next));
        Ok(local)
    }

    /// Takes notice of what others have archived, and compares it with our own segments.
    async fn catch_up(&self, chain: &mut Chain, local: &[SegmentInfo]) -> Result<(), Failure> {
        let listed = segments(&*self.store, chain.lineage, chain.next.unwrap_or_default()).await?;
        let ranges: Vec<_> = listed.iter().map(|segment| segment.range).collect();
        let Some(first) = ranges.first() else {
            return Ok(());
        };
        chain.begins.get_or_insert(first.first);
        let from = *chain.next.get_or_insert(first.first);
        let until = advance(from, ranges.iter().copied());
        for info in local
            .iter()
            .filter(|info| info.last < until && ranges.contains(&range_of(info)))
        {
            self.verify(chain.lineage, info).await?;
            chain.next = Some(LogIndex(info.last.0 + 1));
            self.publish(chain);
        }
        chain.next = Some(until);
        let newest = ranges.iter().rev().find(|range| range.last < until);
        if let Some(newest) = newest {
            chain.newest = name_of(*newest);
        }
        Ok(())
    }

    /// Entries are missing before what this member has. Others may have them; if nobody comes up with them, a base backup covers them.
    async fn hole(&self, chain: &mut Chain, hole: SegmentRange, now: Instant) -> Result<Duration, Failure> {
        chain.unsure = true;
        if !chain.led || chain.waited(hole.first, now) < HOLE_PATIENCE {
            return Ok(IDLE);
        }
        let bases = bases(&*self.store, chain.lineage).await?;
        if bases.iter().any(|base| base.manifest.index >= hole.last) {
            tracing::error!(first = %hole.first, last = %hole.last, "these entries are lost to the archive; a base backup covers them");
            chain.next = Some(LogIndex(hole.last.0 + 1));
            chain.waiting = None;
            return Ok(BUSY);
        }
        self.metrics
            .gap_entries
            .set((hole.last.0 - hole.first.0 + 1) as i64);
        self.shared.want_base();
        Err(Failure::Hole(hole))
    }

    /// A history that does not begin with the first entry of all (a restored cluster, or an archive added later) can only be restored
    /// from a base backup: the leader's sidecar takes the first one by itself.
    async fn want_base(&self, chain: &mut Chain, status: &MemberStatus, now: Instant) -> Result<(), Failure> {
        let begins = chain.begins.or(chain.next).unwrap_or(status.purged);
        let checked_lately = now.saturating_duration_since(chain.base_checked) < BASE_CHECK;
        if chain.has_base
            || begins == LogIndex(0)
            || self.shared.wants_base()
            || (checked_lately && !chain.unsure)
        {
            return Ok(());
        }
        chain.base_checked = now;
        let bases = bases(&*self.store, chain.lineage).await?;
        self.note_newest(&bases);
        chain.has_base = !bases.is_empty();
        if !chain.has_base {
            self.shared.want_base();
        }
        Ok(())
    }

    /// What waits: its size, and how long its oldest segment has been sealed. Writes in the open segment wait at most half of
    /// `archive.max_lag` before the leader seals it.
    async fn measure(&self, local: &[SegmentInfo]) {
        let bytes: u64 = local.iter().map(|info| info.bytes).sum();
        self.metrics.lag_bytes.set(bytes as i64);
        let sealed = match local.first() {
            Some(oldest) => tokio::fs::metadata(self.wal_dir.join(&oldest.file))
                .await
                .and_then(|file| file.modified())
                .ok(),
            None => None,
        };
        let age = sealed.and_then(|sealed| sealed.elapsed().ok());
        self.metrics
            .lag_seconds
            .set(age.unwrap_or_default().as_secs_f64());
    }

    fn publish(&self, chain: &Chain) {
        let Some(next) = chain.next else { return };
        let up_to = LogIndex(next.0.saturating_sub(1));
        self.metrics.archived_up_to.set(up_to.0 as i64);
        self.shared.archived_up_to(up_to, &chain.newest);
    }
}

impl Chain {
    fn archived(&mut self, range: SegmentRange) {
        self.begins.get_or_insert(range.first);
        self.next = Some(LogIndex(range.last.0 + 1));
        self.newest = name_of(range);
        self.waiting = None;
    }

    /// How long this entry has been the one that is waited for.
    fn waited(&mut self, entry: LogIndex, now: Instant) -> Duration {
        match self.waiting {
            Some((waiting, since)) if waiting == entry => now.saturating_duration_since(since),
            _ => {
                self.waiting = Some((entry, now));
                Duration::ZERO
            }
        }
    }
}

fn name_of(range: SegmentRange) -> String {
    SegmentName::Sealed(range.first, range.last).to_string()
}

fn range_of(info: &SegmentInfo) -> SegmentRange {
    SegmentRange {
        first: info.first,
        last: info.last,
    }
}
