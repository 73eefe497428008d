//! Asks the server how it is, again and again: what the probes, the archive and the tasks go by.

use crate::link::Server;
use geode_types::RESTORE_PROGRESS_FILE;
use geode_wire::internal::{MemberState, MemberStatus};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::watch;

/// How often the server is asked.
const INTERVAL: Duration = Duration::from_millis(500);
/// A server that has not answered for this long, by a sidecar that could ask, is not alive. Long enough for a start, a slow disk and
/// several lost answers; never a matter of quorum or leader.
const DEAD_AFTER: Duration = Duration::from_secs(20);
/// An answer older than this says nothing about now.
const STALE_AFTER: Duration = Duration::from_secs(3);
/// A server that replays a backup answers nobody; it is alive as long as it tells of progress that often. A base backup is told of every
/// 64 MiB, and between two lines the hash of a whole graph may be computed.
const REPLAY_DEAD_AFTER: Duration = Duration::from_secs(600);

/// The last answer and what has been asked since.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// The last answer, and when it came.
    pub(crate) answer: Option<(Arc<MemberStatus>, Instant)>,
    /// Why the last question had no answer.
    pub(crate) error: Option<String>,
    /// When the sidecar started.
    started: Instant,
    /// When the server last told of a replay before its start, and the time of the file by which it did.
    replay: Option<(SystemTime, Option<Instant>)>,
}

/// What a probe says: `Err` with the reason.
pub(crate) type Verdict = Result<String, String>;

impl Seen {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            answer: None,
            error: None,
            started: now,
            replay: None,
        }
    }

    /// The status, unless it is stale.
    pub(crate) fn fresh(&self, now: Instant) -> Option<&Arc<MemberStatus>> {
        let (status, at) = self.answer.as_ref()?;
        (now.saturating_duration_since(*at) < STALE_AFTER).then_some(status)
    }

    /// Whether the last question was answered, lately.
    pub(crate) fn answers(&self, now: Instant) -> bool {
        self.error.is_none() && self.fresh(now).is_some()
    }

    /// Takes up when the file was written in which the server tells of a replay. One that has always been there tells nothing.
    fn note_replay(&mut self, written: Option<SystemTime>, now: Instant) {
        self.replay = match (self.replay, written) {
            (_, None) => None,
            (Some((before, at)), Some(written)) if before == written => Some((before, at)),
            (Some(_), Some(written)) => Some((written, Some(now))),
            (None, Some(written)) => Some((written, None)),
        };
    }

    /// Whether a replay goes on.
    fn replays(&self, now: Instant) -> bool {
        let told = self.replay.and_then(|(_, at)| at);
        told.is_some_and(|at| now.saturating_duration_since(at) < REPLAY_DEAD_AFTER)
    }

    /// The process has started: it answers at all, in whatever state.
    pub(crate) fn started(&self, now: Instant) -> Verdict {
        match self.fresh(now) {
            Some(status) => Ok(format!("started: {}", state(status.state))),
            None if self.replays(now) => Ok("started: replaying a backup".to_owned()),
            None => Err(self.silence()),
        }
    }

    /// The process lives: it has answered lately, or replays a backup and gets on.
    pub(crate) fn alive(&self, now: Instant) -> Verdict {
        let since = self.answer.as_ref().map_or(self.started, |(_, at)| *at);
        if now.saturating_duration_since(since) < DEAD_AFTER {
            return Ok("alive".to_owned());
        }
        if self.replays(now) {
            return Ok("alive: replaying a backup".to_owned());
        }
        Err(self.silence())
    }

    /// The member answers queries.
    pub(crate) fn ready(&self, now: Instant) -> Verdict {
        let status = self.fresh(now).ok_or_else(|| self.silence())?;
        match &status.not_ready {
            Some(reason) => Err(reason.clone()),
            None => Ok(format!("ready: {}", status.role)),
        }
    }

    fn silence(&self) -> String {
        let error = self.error.as_deref().unwrap_or("it has not been asked yet");
        format!("the server does not answer: {error}")
    }
}

fn state(state: MemberState) -> &'static str {
    match state {
        MemberState::Empty => "empty, waits to be given a place in a cluster",
        MemberState::Restoring => "restoring",
        MemberState::Running => "running",
        MemberState::Fenced => "fenced, takes no part",
    }
}

/// Asks until the process ends.
pub(crate) async fn watch(server: Arc<dyn Server>, seen: watch::Sender<Seen>, data_dir: PathBuf) {
    let progress = data_dir.join(RESTORE_PROGRESS_FILE);
    loop {
        let told = tokio::fs::metadata(&progress).await;
        let written = told.and_then(|file| file.modified()).ok();
        seen.send_if_modified(|seen| {
            let before = seen.replay;
            seen.note_replay(written, Instant::now());
            before != seen.replay
        });
        match server.status().await {
            Ok(status) => seen.send_modify(|seen| {
                seen.answer = Some((Arc::new(status), Instant::now()));
                seen.error = None;
            }),
            Err(error) => seen.send_modify(|seen| {
                let error = error.to_string();
                if seen.error.as_ref() != Some(&error) {
                    tracing::warn!(error, "the server does not answer");
                }
                seen.error = Some(error);
            }),
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::status;

    fn seen(start: Instant, not_ready: Option<&str>, state: MemberState) -> Seen {
        let mut status = status();
        status.not_ready = not_ready.map(str::to_owned);
        status.state = state;
        Seen {
            answer: Some((Arc::new(status), start)),
            ..Seen::new(start)
        }
    }

    #[test]
    fn readiness_needs_a_leader_and_liveness_does_not() {
        let now = Instant::now();
        let lost = seen(now, Some("no leader"), MemberState::Running);
        assert_eq!(lost.ready(now), Err("no leader".to_owned()));
        assert!(lost.alive(now).is_ok() && lost.started(now).is_ok());
        assert!(seen(now, None, MemberState::Running).ready(now).is_ok());
    }

    #[test]
    fn a_member_that_restores_has_started() {
        let now = Instant::now();
        let restoring = seen(now, Some("restoring"), MemberState::Restoring);
        assert!(
            restoring.started(now).is_ok() && restoring.alive(now).is_ok() && restoring.ready(now).is_err()
        );
    }

    #[test]
    fn a_replay_before_the_start_is_alive_as_long_as_it_gets_on() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let written = |seconds| Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
        let mut seen = Seen::new(start);
        // The file of a process that is gone says nothing.
        seen.note_replay(written(1), at(1));
        seen.note_replay(written(1), at(30));
        assert!(seen.started(at(30)).is_err() && seen.alive(at(30)).is_err());
        seen.note_replay(written(2), at(31));
        for second in [31, 60, 630] {
            assert!(
                seen.started(at(second)).is_ok() && seen.alive(at(second)).is_ok(),
                "{second}"
            );
            assert!(seen.ready(at(second)).is_err());
        }
        assert!(seen.alive(at(631)).is_err(), "no progress for ten minutes");
        seen.note_replay(written(3), at(700));
        assert!(
            seen.alive(at(1200)).is_ok(),
            "a replay may take as long as it takes"
        );
        seen.note_replay(None, at(1201));
        assert!(seen.started(at(1201)).is_err());
    }

    #[test]
    fn some_missed_answers_do_not_kill_and_lasting_silence_does() {
        let start = Instant::now();
        let seen = seen(start, None, MemberState::Running);
        for (second, ready, alive) in [
            (0, true, true),
            (2, true, true),
            (5, false, true),
            (19, false, true),
            (20, false, false),
        ] {
            let now = start + Duration::from_secs(second);
            assert_eq!(
                (seen.ready(now).is_ok(), seen.alive(now).is_ok()),
                (ready, alive),
                "{second}"
            );
            assert_eq!(seen.started(now).is_ok(), ready, "{second}");
        }
        assert!(Seen::new(start).alive(start).is_ok() && Seen::new(start).started(start).is_err());
    }
}
