//! What a member does by itself, again and again: it watches its volumes and its archive, renews its metrics, and while it leads it gives
//! the administrator its password, builds indexes, empties dropped graphs and ends segments in time.

use crate::archive_tables;
use crate::auth::{hash_password, in_turn, verify_password};
use crate::cutter::{CutLimits, Cutter, OpenSegment};
use crate::gate::{Cause, Space, space};
use crate::member::Member;
use crate::metrics::ClusterMetrics;
use crate::pipeline::{Pipeline, now_micros};
use crate::raft::Raft;
use crate::session::SessionMetrics;
use crate::surroundings::Surroundings;
use crate::tls::TlsWatch;
use geode_graph::{ADMIN_ROLE, Command, UserRecord};
use geode_store::{LmdbStore, Store};
use geode_types::Term;
use geode_wire::internal::MemberStatus;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often it looks.
const TICK: Duration = Duration::from_millis(500);

/// The work of one member.
pub(crate) struct Keeper {
    pub(crate) member: Arc<Member>,
    pub(crate) pipeline: Arc<Pipeline<Raft<LmdbStore>>>,
    pub(crate) metrics: ClusterMetrics,
    pub(crate) surroundings: Surroundings,
    pub(crate) sessions: SessionMetrics,
    pub(crate) tls: TlsWatch,
    /// File with the first password of `auth.admin_user`.
    pub(crate) password_file: PathBuf,
}

impl Keeper {
    /// Until the process ends.
    pub(crate) async fn run(mut self) {
        self.note_certificate();
        let mut cutter = Cutter::default();
        let mut has_admin = false;
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let now = Instant::now();
            let status = self.member.status();
            self.metrics.update(&status, now);
            self.keep_chronicle(&status, now);
            let wal = self.watch_volumes();
            self.watch_backlog(wal);
            if self.tls.has_changed().is_ok_and(|changed| changed) {
                self.note_certificate();
            }
            let Some(term) = self.member.raft.leader_term() else {
                continue;
            };
            if !has_admin {
                has_admin = self.give_admin_its_password().await;
            }
            if let Err(refusal) = self.pipeline.build_indexes(now + TICK).await {
                tracing::warn!(?refusal, "indexes are built later");
            }
            if let Err(refusal) = self.pipeline.purge_graphs(now + TICK).await {
                tracing::warn!(?refusal, "what is left of dropped graphs goes later");
            }
            if self.member.config.archive.is_configured() {
                self.cut(&mut cutter, term, now).await;
            }
        }
    }

    fn note_certificate(&mut self) {
        let material = self.tls.borrow_and_update().clone();
        self.surroundings.note_certificate(&material.identity.cert_pem);
    }

    fn keep_chronicle(&self, status: &MemberStatus, now: Instant) {
        let (chronicle, at) = (&self.member.chronicle, now_micros());
        chronicle.look(status.leader, &status.membership, at, now);
        if chronicle.wants_sample(now)
            && let Ok(data) = space(&self.member.config.storage.data_dir)
        {
            chronicle.sample(data, self.sessions.durations(), at, now);
        }
    }

    /// The WAL volume's space, when it can be read.
    fn watch_volumes(&self) -> Option<Space> {
        let config = &self.member.config;
        self.watch_volume("data", Cause::DataVolume, &config.storage.data_dir);
        self.watch_volume("wal", Cause::WalVolume, &config.wal_dir())
    }

    fn watch_volume(&self, volume: &str, cause: Cause, path: &Path) -> Option<Space> {
        let free_min = self.member.config.storage.free_space_min.0;
        match self.member.gate.check_volume(cause, path, free_min) {
            Ok(space) => {
                self.surroundings.note_volume(volume, space);
                Some(space)
            }
            Err(error) => {
                tracing::warn!(%error, path = %path.display(), "the free space cannot be read");
                None
            }
        }
    }

    /// An archive that cannot keep up slows writers and then closes the gate before the log fills its volume; nothing is ever dropped.
    fn watch_backlog(&self, wal: Option<Space>) {
        let archive = &self.member.config.archive;
        if !archive.is_configured() {
            return;
        }
        let backlog = archive_tables::backlog(&self.member);
        let gate = &self.member.gate;
        gate.check_backlog(
            backlog,
            archive.backlog_max.0,
            wal.map(|space| space.total),
            archive.slow_down_max.into(),
        );
        self.surroundings.note_write_delay(gate.delay());
    }

    /// The administrator has the password of the file: a new cluster has no users yet, and a restored one has those of its source. True when
    /// nothing is left to do.
    async fn give_admin_its_password(&self) -> bool {
        let name = &self.member.config.auth.admin_user;
        let known = match self.pipeline.replication().store().read() {
            Ok(read) => geode_graph::user(&read, name).map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        let known = match known {
            Ok(known) => known,
            Err(error) => {
                tracing::warn!(error, "the user table cannot be read");
                return false;
            }
        };
        let known_hash = known.as_ref().map(|user| user.hash.clone());
        // Read before the turn: a mount that hangs holds nobody's login up.
        let fresh = match read_password(&self.password_file).await {
            Ok(password) => in_turn(move || fresh_hash(&password, known_hash.as_deref())).await,
            Err(error) => Some(Err(error)),
        };
        let hash = match fresh {
            Some(Ok(Some(hash))) => hash,
            Some(Ok(None)) => return true,
            Some(Err(error)) => {
                tracing::error!(error, user = name, "the administrator cannot be given a password");
                return known.is_some();
            }
            None => return false,
        };
        let record = UserRecord {
            name: name.clone(),
            hash,
            role: ADMIN_ROLE.to_owned(),
        };
        let written = self.pipeline.write(|transaction| {
            transaction.put_user(record.clone())?;
            Ok(())
        });
        match written.await {
            Ok(_) => tracing::info!(user = name, "the administrator has the password of the file"),
            Err(refusal) => tracing::warn!(?refusal, "the administrator gets the password later"),
        }
        false
    }

    /// Ends the open segment when entries in it wait too long for the archive, or when it is large.
    async fn cut(&self, cutter: &mut Cutter, term: Term, now: Instant) {
        let raft = &self.member.raft;
        let Some((first, _)) = raft.unsealed() else { return };
        let open = OpenSegment {
            term,
            first,
            log_bytes: raft.status().log_bytes,
        };
        let config = &self.member.config;
        let limits = CutLimits {
            max_lag: config.archive.max_lag.into(),
            bytes: config.storage.wal.segment_bytes.0,
        };
        if !cutter.is_due(&open, &limits, now) {
            return;
        }
        let command = Command::Cut {
            at_micros: now_micros(),
        };
        if let Err(error) = raft.submit(&command).await {
            tracing::debug!(%error, "the segment is ended later");
        }
    }
}

async fn read_password(file: &Path) -> Result<String, String> {
    let text = tokio::fs::read_to_string(file).await;
    let text = text.map_err(|error| format!("cannot read {}: {error}", file.display()))?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

/// A hash of the password, unless the known one fits it.
fn fresh_hash(password: &str, known: Option<&str>) -> Result<Option<String>, String> {
    if known.is_some_and(|known| verify_password(known, password)) {
        return Ok(None);
    }
    hash_password(password)
        .map(Some)
        .map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_administrator_gets_a_new_hash_only_when_the_file_has_another_password() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("password");
        std::fs::write(&file, "opensesame\n").unwrap();
        let password = read_password(&file).await.unwrap();
        let hash = fresh_hash(&password, None).unwrap().unwrap();
        assert_eq!(fresh_hash(&password, Some(&hash)), Ok(None));
        let changed = fresh_hash("another", Some(&hash)).unwrap().unwrap();
        assert!(verify_password(&changed, "another"));
        let absent = read_password(&folder.path().join("absent")).await;
        assert!(absent.unwrap_err().contains("absent"));
    }
}
