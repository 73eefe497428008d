//! Asks the server how it is, again and again: what the probes, the archive and the tasks go by.

use crate::link::Server;
use geode_wire::internal::{MemberState, MemberStatus};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// How often the server is asked.
const INTERVAL: Duration = Duration::from_millis(500);
/// A server that has not answered for this long, by a sidecar that could ask, is not alive. Long enough for a start, a slow disk and
/// several lost answers; never a matter of quorum or leader.
const DEAD_AFTER: Duration = Duration::from_secs(20);
/// An answer older than this says nothing about now.
const STALE_AFTER: Duration = Duration::from_secs(3);

/// The last answer and what has been asked since.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// The last answer, and when it came.
    pub(crate) answer: Option<(Arc<MemberStatus>, Instant)>,
    /// Why the last question had no answer.
    pub(crate) error: Option<String>,
    /// When the sidecar started.
    started: Instant,
}

/// What a probe says: `Err` with the reason.
pub(crate) type Verdict = Result<String, String>;

impl Seen {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            answer: None,
            error: None,
            started: now,
        }
    }

    /// The status, unless it is stale.
    pub(crate) fn fresh(&self, now: Instant) -> Option<&Arc<MemberStatus>> {
        let (status, at) = self.answer.as_ref()?;
        (now.saturating_duration_since(*at) < STALE_AFTER).then_some(status)
    }

    /// The process has started: it answers at all, in whatever state.
    pub(crate) fn started(&self, now: Instant) -> Verdict {
        match self.fresh(now) {
            Some(status) => Ok(format!("started: {}", state(status.state))),
            None => Err(self.silence()),
        }
    }

    /// The process lives: it has answered lately.
    pub(crate) fn alive(&self, now: Instant) -> Verdict {
        let since = self.answer.as_ref().map_or(self.started, |(_, at)| *at);
        if now.saturating_duration_since(since) < DEAD_AFTER {
            return Ok("alive".to_owned());
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
    }
}

/// Asks until the process ends.
pub(crate) async fn watch(server: Arc<dyn Server>, seen: watch::Sender<Seen>) {
    loop {
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
