//! What a read waits for before it looks at the graph: decided by [`how_to_read`] from what its session has set, and waited for here.
//!
//! A member that does not lead can answer with everything acknowledged when it asks the leader how far that goes. It remembers the answer
//! and when it asked: that is what a bound on staleness is measured by. When it last heard the leader would be no measure, as a leader that
//! has lost its majority is still heard by those who are cut off with it.

use super::{NotNow, Pipeline, Refusal, Replication, lock, refusal, too_slow};
use geode_types::{ConsistencyLevel, LogIndex, Lsn, ReadPreference};
use geode_wire::client::{ReadMode, SessionReads};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// How long a quorum may take to confirm the leader before a read or write is refused.
const READ_INDEX_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a read waits for the position it asked for.
const LSN_TIMEOUT: Duration = Duration::from_secs(10);

/// What a read has seen for certain, and whom that takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    /// Everything acknowledged before it began: a majority confirms the leader, which alone answers.
    Leader,
    /// Everything acknowledged before some moment, by the leader's word; this member answers.
    Confirmed {
        /// How long before the read that moment may be.
        within: Duration,
        /// And this position.
        and: Option<Lsn>,
    },
    /// This position.
    AtLeast(Lsn),
    /// What this member has applied.
    Local,
}

/// How a read is carried out on this member. What the statement itself asks for counts before what its session has set.
pub(crate) fn how_to_read(asked: ReadMode, reads: &SessionReads, leads: bool) -> Reading {
    let settings = &reads.settings;
    match asked {
        ReadMode::AtLeast(lsn) => return Reading::AtLeast(lsn),
        ReadMode::Local => return Reading::Local,
        ReadMode::Linearizable => {}
    }
    let follows = settings.follows_session();
    let elsewhere = settings.preference == Some(ReadPreference::Primary) && !leads;
    match (settings.level, settings.staleness()) {
        _ if elsewhere => Reading::Leader,
        // The leader asks nobody but its majority, and that is as good as any bound.
        (_, Some(_)) if leads => Reading::Leader,
        (_, Some(within)) => Reading::Confirmed {
            within,
            and: reads.seen.filter(|_| follows),
        },
        (ConsistencyLevel::Strong | ConsistencyLevel::Quorum, None) if leads || settings.needs_leader() => {
            Reading::Leader
        }
        (ConsistencyLevel::Strong | ConsistencyLevel::Quorum, None) => Reading::Confirmed {
            within: Duration::ZERO,
            and: None,
        },
        (ConsistencyLevel::Sequential | ConsistencyLevel::Causal, None) => {
            reads.seen.map_or(Reading::Local, Reading::AtLeast)
        }
        (ConsistencyLevel::Eventual, None) => Reading::Local,
    }
}

/// How far everything acknowledged went when the leader was last asked.
#[derive(Debug, Default)]
pub(super) struct Confirmed(Mutex<Option<(Instant, LogIndex)>>);

impl Confirmed {
    /// The newest answer, if it was asked for at most so long before `now`.
    fn newest(&self, now: Instant, within: Duration) -> Option<LogIndex> {
        let known = *lock(&self.0);
        // Nothing that was asked before now covers what was acknowledged until now.
        let (asked, index) = known.filter(|_| !within.is_zero())?;
        (now.saturating_duration_since(asked) <= within).then_some(index)
    }

    /// The leader was asked at this moment, and this is the answer.
    fn note(&self, asked: Instant, index: LogIndex) {
        let mut known = lock(&self.0);
        if known.is_none_or(|(before, _)| before < asked) {
            *known = Some((asked, index));
        }
    }
}

impl<R: Replication> Pipeline<R> {
    /// Waits until this member's graph has what a read must see.
    pub(super) async fn wait_for(&self, read: Reading, deadline: Instant) -> Result<(), Refusal> {
        match read {
            Reading::Leader => {
                self.read_index(deadline).await?;
                Ok(())
            }
            Reading::Confirmed { within, and } => {
                let index = self.confirmed_within(within, deadline).await?;
                self.applied(index, deadline).await?;
                match and {
                    Some(lsn) => self.reach_lsn(lsn, deadline).await,
                    None => Ok(()),
                }
            }
            Reading::AtLeast(lsn) => self.reach_lsn(lsn, deadline).await,
            Reading::Local => Ok(()),
        }
    }

    /// Waits until a majority has confirmed that this member leads, and the graph has everything acknowledged before: up to this index.
    pub(super) async fn read_index(&self, deadline: Instant) -> Result<LogIndex, Refusal> {
        let index = self.given(self.replication.read_index(), deadline).await?;
        self.applied(index, deadline).await?;
        Ok(index)
    }

    /// An index that covers everything acknowledged until `within` ago.
    async fn confirmed_within(&self, within: Duration, deadline: Instant) -> Result<LogIndex, Refusal> {
        let asked = Instant::now();
        if let Some(index) = self.confirmed.newest(asked, within) {
            return Ok(index);
        }
        let index = self.given(self.replication.leader_index(), deadline).await?;
        self.confirmed.note(asked, index);
        Ok(index)
    }

    /// An index, once a majority has confirmed it.
    async fn given(
        &self,
        asking: impl Future<Output = Result<LogIndex, NotNow>>,
        deadline: Instant,
    ) -> Result<LogIndex, Refusal> {
        let until = deadline.min(Instant::now() + READ_INDEX_TIMEOUT);
        match tokio::time::timeout_at(until.into(), asking).await {
            Ok(Ok(index)) => Ok(index),
            Ok(Err(NotNow::NotLeader)) => Err(self.not_leader()),
            Ok(Err(NotNow::NoQuorum(reason))) => Err(refusal::no_leader(reason).into()),
            Err(_) => Err(refusal::no_leader("the quorum did not confirm the leader in time").into()),
        }
    }

    async fn applied(&self, index: LogIndex, deadline: Instant) -> Result<(), Refusal> {
        if self.replication.wait_applied(index, deadline).await {
            Ok(())
        } else {
            Err(too_slow("the graph is behind the log; the statement's time is over").into())
        }
    }

    async fn reach_lsn(&self, lsn: Lsn, deadline: Instant) -> Result<(), Refusal> {
        let until = deadline.min(Instant::now() + LSN_TIMEOUT);
        if self.replication.wait_applied(lsn.index, until).await {
            Ok(())
        } else {
            Err(refusal::lsn_not_reached(lsn.index).into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::lsn_of;
    use geode_types::ReadSetting;

    const BOUND: Duration = Duration::from_secs(5);

    fn reads(settings: &[ReadSetting]) -> SessionReads {
        let mut reads = SessionReads {
            seen: Some(lsn_of(LogIndex(7))),
            ..SessionReads::default()
        };
        for setting in settings {
            reads.settings.set(*setting);
        }
        reads
    }

    fn follower(settings: &[ReadSetting]) -> Reading {
        how_to_read(ReadMode::Linearizable, &reads(settings), false)
    }

    fn leader(settings: &[ReadSetting]) -> Reading {
        how_to_read(ReadMode::Linearizable, &reads(settings), true)
    }

    const fn level(level: ConsistencyLevel) -> ReadSetting {
        ReadSetting::Level(level)
    }

    const fn prefer(preference: ReadPreference) -> ReadSetting {
        ReadSetting::Preference(preference)
    }

    #[test]
    fn a_strong_read_is_confirmed_by_a_majority_whoever_answers() {
        let nearest = prefer(ReadPreference::Nearest);
        for strong in [ConsistencyLevel::Strong, ConsistencyLevel::Quorum] {
            assert_eq!(follower(&[level(strong)]), Reading::Leader);
            assert_eq!(leader(&[level(strong), nearest]), Reading::Leader);
            let now = Reading::Confirmed {
                within: Duration::ZERO,
                and: None,
            };
            assert_eq!(follower(&[level(strong), nearest]), now);
        }
        assert_eq!(follower(&[]), Reading::Leader, "what a session begins with");
    }

    #[test]
    fn a_session_that_follows_itself_waits_for_what_it_has_seen_and_for_nobody() {
        let seen = Reading::AtLeast(lsn_of(LogIndex(7)));
        for of_session in [ConsistencyLevel::Sequential, ConsistencyLevel::Causal] {
            assert_eq!(follower(&[level(of_session)]), seen);
            assert_eq!(leader(&[level(of_session)]), seen);
            let new = SessionReads {
                seen: None,
                ..reads(&[level(of_session)])
            };
            assert_eq!(how_to_read(ReadMode::Linearizable, &new, false), Reading::Local);
        }
        assert_eq!(follower(&[level(ConsistencyLevel::Eventual)]), Reading::Local);
    }

    #[test]
    fn only_the_leader_answers_who_prefers_the_primary() {
        let primary = prefer(ReadPreference::Primary);
        let eventual = level(ConsistencyLevel::Eventual);
        assert_eq!(follower(&[eventual, primary]), Reading::Leader);
        assert_eq!(leader(&[eventual, primary]), Reading::Local);
    }

    #[test]
    fn a_bound_is_kept_at_every_level() {
        let bound = ReadSetting::Staleness(BOUND);
        let within = |and| Reading::Confirmed { within: BOUND, and };
        assert_eq!(follower(&[bound]), within(None));
        assert_eq!(leader(&[bound]), Reading::Leader);
        assert_eq!(
            follower(&[level(ConsistencyLevel::Eventual), bound]),
            within(None)
        );
        let causal = [level(ConsistencyLevel::Causal), bound];
        assert_eq!(follower(&causal), within(Some(lsn_of(LogIndex(7)))));
    }

    #[test]
    fn what_a_statement_asks_for_counts_before_what_its_session_has_set() {
        let causal = reads(&[level(ConsistencyLevel::Causal), prefer(ReadPreference::Primary)]);
        let lsn = lsn_of(LogIndex(3));
        assert_eq!(how_to_read(ReadMode::Local, &causal, false), Reading::Local);
        let asked = ReadMode::AtLeast(lsn);
        assert_eq!(how_to_read(asked, &causal, false), Reading::AtLeast(lsn));
    }

    #[test]
    fn the_leaders_word_is_as_old_as_the_question() {
        let confirmed = Confirmed::default();
        let asked = Instant::now();
        assert_eq!(confirmed.newest(asked, BOUND), None);
        confirmed.note(asked, LogIndex(9));
        assert_eq!(confirmed.newest(asked + BOUND, BOUND), Some(LogIndex(9)));
        let later = asked + BOUND + Duration::from_millis(1);
        assert_eq!(confirmed.newest(later, BOUND), None);
        assert_eq!(confirmed.newest(asked, Duration::ZERO), None);
        confirmed.note(later, LogIndex(12));
        confirmed.note(asked, LogIndex(9));
        assert_eq!(confirmed.newest(later, BOUND), Some(LogIndex(12)));
    }
}
