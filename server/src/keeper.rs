//! What a member does by itself, again and again: it watches its volumes and its archive, renews its metrics, and while it leads it makes
//! the first user and ends segments in time.

use crate::auth::{ADMIN_ROLE, hash_password};
use crate::gate::Cause;
use crate::member::Member;
use crate::metrics::ClusterMetrics;
use crate::pipeline::{Pipeline, now_micros};
use crate::raft::Raft;
use geode_graph::{Command, UserRecord, position};
use geode_store::{LmdbStore, Store};
use geode_types::{LogIndex, Term};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often it looks.
const TICK: Duration = Duration::from_millis(500);

/// The work of one member.
pub(crate) struct Keeper {
    pub(crate) member: Arc<Member>,
    pub(crate) pipeline: Arc<Pipeline<Raft<LmdbStore>>>,
    pub(crate) metrics: ClusterMetrics,
    /// File with the first password of `auth.admin_user`.
    pub(crate) password_file: PathBuf,
}

/// What is known about the open segment.
#[derive(Default)]
struct Cutter {
    term: Term,
    /// The open segment's first entry, the commits before it, and since when it holds commits.
    segment: LogIndex,
    commits_before: u64,
    waiting_since: Option<Instant>,
    bytes_before: u64,
}

impl Keeper {
    /// Until the process ends.
    pub(crate) async fn run(mut self) {
        let mut cutter = Cutter::default();
        let mut has_users = false;
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let now = Instant::now();
            self.metrics.update(&self.member.status(), now);
            self.watch_volumes();
            self.watch_backlog();
            let Some(term) = self.member.raft.leader_term() else {
                continue;
            };
            if !has_users {
                has_users = self.make_first_user().await;
            }
            if self.member.config.archive.s3.is_some() {
                self.cut(&mut cutter, term, now).await;
            }
        }
    }

    fn watch_volumes(&self) {
        let storage = &self.member.config.storage;
        let wal = self.member.config.wal_dir();
        for (cause, path) in [(Cause::DataVolume, &storage.data_dir), (Cause::WalVolume, &wal)] {
            if let Err(error) = self
                .member
                .gate
                .check_volume(cause, path, storage.free_space_min.0)
            {
                tracing::warn!(%error, path = %path.display(), "the free space cannot be read");
            }
        }
    }

    /// An archive that cannot keep up closes the gate before the log fills its volume; nothing is ever dropped.
    fn watch_backlog(&self) {
        let archive = &self.member.config.archive;
        if archive.s3.is_none() {
            return;
        }
        let archived = self
            .member
            .board
            .archive()
            .map_or(LogIndex(0), |report| report.archived_up_to);
        let backlog: u64 = self
            .member
            .raft
            .segments(archived)
            .iter()
            .map(|segment| segment.bytes)
            .sum();
        let limit = archive.backlog_max.0;
        let sentence = (backlog > limit).then(|| {
            format!(
                "{} MiB of the log wait for the archive, more than archive.backlog_max ({} MiB): see condition Archiving; writes go on by themselves",
                backlog >> 20,
                limit >> 20
            )
        });
        self.member.gate.set(Cause::ArchiveBacklog, sentence);
    }

    /// True when there are users, by now.
    async fn make_first_user(&self) -> bool {
        match self
            .pipeline
            .replication()
            .store()
            .read()
            .map(|read| geode_graph::users(&read))
        {
            Ok(Ok(users)) if !users.is_empty() => return true,
            Ok(Ok(_)) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the user table cannot be read"),
            Err(error) => tracing::warn!(%error, "the store cannot be read"),
        }
        let name = self.member.config.auth.admin_user.clone();
        let file = self.password_file.clone();
        let hashed = tokio::task::spawn_blocking(move || {
            let password = std::fs::read_to_string(&file)
                .map_err(|error| format!("cannot read {}: {error}", file.display()))?;
            hash_password(password.trim_end_matches(['\r', '\n'])).map_err(|error| error.to_string())
        });
        let hash = match hashed.await {
            Ok(Ok(hash)) => hash,
            Ok(Err(error)) => {
                tracing::error!(error, "the first user cannot be made, so nobody can log in");
                return false;
            }
            Err(_) => return false,
        };
        let record = UserRecord {
            name: name.clone(),
            hash,
            role: ADMIN_ROLE.to_owned(),
        };
        let written = self.pipeline.write(|transaction| {
            // Another leader may have been faster.
            if transaction.user(&name)?.is_none() {
                transaction.put_user(record.clone())?;
            }
            Ok(())
        });
        match written.await {
            Ok(_) => tracing::info!(user = name, "the first user is made"),
            Err(refusal) => tracing::warn!(?refusal, "the first user is made later"),
        }
        false
    }

    /// Ends the open segment when commits in it wait too long for the archive, or when it is large.
    async fn cut(&self, cutter: &mut Cutter, term: Term, now: Instant) {
        let raft = &self.member.raft;
        let Some((first, _)) = raft.unsealed() else { return };
        let Ok(Ok(at)) = raft.store().read().map(|read| position(&read)) else {
            return;
        };
        let bytes = raft.status().log_bytes;
        if cutter.term != term || cutter.segment != first {
            // A new leader does not know what the open segment holds, so it assumes a commit, once.
            let inherited = cutter.term != term;
            *cutter = Cutter {
                term,
                segment: first,
                commits_before: if inherited {
                    at.sequence.saturating_sub(1)
                } else {
                    at.sequence
                },
                waiting_since: None,
                bytes_before: bytes,
            };
        }
        if at.sequence > cutter.commits_before && cutter.waiting_since.is_none() {
            cutter.waiting_since = Some(now);
        }
        let config = &self.member.config;
        let max_lag = std::time::Duration::from(config.archive.max_lag);
        // The upload takes its time too, so the segment is ended at half of what is allowed.
        let is_late = cutter
            .waiting_since
            .is_some_and(|since| now.saturating_duration_since(since) >= max_lag / 2);
        let is_large = bytes.saturating_sub(cutter.bytes_before) > config.storage.wal.segment_bytes.0;
        if is_late || is_large {
            if let Err(error) = raft
                .submit(&Command::Cut {
                    at_micros: now_micros(),
                })
                .await
            {
                tracing::debug!(%error, "the segment is ended later");
            }
        }
    }
}
