//! What a member does before it ends. One without which no majority is left waits for another to come back: it may be taken down, but not in silence.
//! A leader brings the archive up to date, so that what it acknowledged is also in the object store if nobody comes after it. Both have a limit, and
//! the server goes on serving meanwhile.

use crate::member::Member;
use crate::pipeline::now_micros;
use crate::raft::RaftStatus;
use geode_graph::Command;
use geode_types::{LogIndex, MemberId, Role};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How long the last member of a majority waits for another one.
const LAST_MAX: Duration = Duration::from_secs(10);
/// How long the archive may take to catch up.
const ARCHIVE_MAX: Duration = Duration::from_secs(5);
/// How often it is looked.
const LOOK: Duration = Duration::from_millis(100);
/// A member that was not heard for longer is away, milliseconds.
const SILENCE_MS: u64 = 3_000;

/// Returns when the member may end.
pub(crate) async fn prepare(member: &Member) {
    wait_for_others(member).await;
    bring_archive_up_to_date(member).await;
}

async fn wait_for_others(member: &Member) {
    let (me, deadline) = (member.raft.member(), Instant::now() + LAST_MAX);
    let Some(loss) = loss(me, &member.raft.status()) else {
        return;
    };
    tracing::error!(
        wait_seconds = LAST_MAX.as_secs(),
        "{loss}; waiting for another member before this one ends"
    );
    while let Some(loss) = self::loss(me, &member.raft.status()) {
        if Instant::now() >= deadline {
            tracing::error!(
                "{loss}; this member ends all the same, and no write is taken until another one is back"
            );
            return;
        }
        sleep(LOOK).await;
    }
    tracing::info!("enough other members are back; this one ends");
}

/// What is lost with this member, as the leader sees it: a majority that is there now and is not without it.
fn loss(me: MemberId, status: &RaftStatus) -> Option<String> {
    let voters = &status.membership.voters;
    if status.role != Role::Leader || voters.len() < 2 || !voters.contains(&me) {
        return None;
    }
    let heard = |id: &&MemberId| {
        let mut replication = status.replication.iter();
        replication
            .any(|other| other.member == **id && other.heard_ms.is_some_and(|heard| heard <= SILENCE_MS))
    };
    let others = voters.iter().filter(|id| **id != me).filter(heard).count();
    let needed = voters.len() / 2 + 1;
    (others < needed && others + 1 >= needed).then(|| {
        format!(
            "without this member {others} of {} voters are there, and {needed} are needed",
            voters.len()
        )
    })
}

async fn bring_archive_up_to_date(member: &Member) {
    if !member.config.archive.is_configured() || member.raft.leader_term().is_none() {
        return;
    }
    let archived = || member.board.archive().filter(|report| report.failing.is_none());
    let (goal, deadline) = (member.raft.status().committed, Instant::now() + ARCHIVE_MAX);
    if !is_behind(archived().map(|report| report.archived_up_to), goal) {
        return;
    }
    let command = Command::Cut {
        at_micros: now_micros(),
    };
    // Nobody may be left to commit it.
    let cut = tokio::time::timeout_at(deadline, member.raft.submit(&command)).await;
    if !matches!(cut, Ok(Ok(_))) {
        tracing::info!("the open segment of the log is not archived before the end; it stays on the volume");
        return;
    }
    while is_behind(archived().map(|report| report.archived_up_to), goal) {
        if Instant::now() >= deadline {
            tracing::warn!(%goal, "the archive was not brought up to date before the end; the log stays on the volume");
            return;
        }
        sleep(LOOK).await;
    }
    tracing::info!(%goal, "the archive is up to date");
}

/// Whether waiting is of use. An archive that nobody tells of does not get on.
fn is_behind(archived: Option<LogIndex>, goal: LogIndex) -> bool {
    archived.is_some_and(|archived| archived < goal)
}

#[cfg(test)]
mod tests {
    use super::*;
    use geode_wire::internal::{Membership, ReplicationStatus};

    fn status(role: Role, voters: &[u64], heard: &[(u64, Option<u64>)]) -> RaftStatus {
        RaftStatus {
            role,
            term: 1,
            leader: Some(MemberId(1)),
            last_log: LogIndex(9),
            committed: LogIndex(9),
            applied: LogIndex(9),
            snapshot: LogIndex(0),
            purged: LogIndex(0),
            log_bytes: 0,
            membership: Membership {
                voters: voters.iter().copied().map(MemberId).collect(),
                ..Membership::default()
            },
            lasting_voters: voters.iter().copied().map(MemberId).collect(),
            replication: heard
                .iter()
                .map(|(id, heard_ms)| ReplicationStatus {
                    member: MemberId(*id),
                    matched: LogIndex(9),
                    heard_ms: *heard_ms,
                })
                .collect(),
            quorum_age_ms: Some(0),
            leader_age_ms: None,
            full: None,
            initialized: true,
        }
    }

    #[test]
    fn only_the_last_member_of_a_majority_waits_before_it_ends() {
        let (near, far) = (Some(10), Some(60_000));
        for (role, voters, heard, waits) in [
            (Role::Leader, &[1, 2, 3][..], &[(2, near), (3, near)][..], false),
            (Role::Leader, &[1, 2, 3], &[(2, near), (3, far)], true),
            (Role::Leader, &[1, 2, 3], &[(2, near), (3, None)], true),
            // There is no majority to take down any more.
            (Role::Leader, &[1, 2, 3], &[(2, far), (3, far)], false),
            (
                Role::Leader,
                &[1, 2, 3, 4, 5],
                &[(2, near), (3, near), (4, near), (5, far)],
                false,
            ),
            (
                Role::Leader,
                &[1, 2, 3, 4, 5],
                &[(2, near), (3, near), (4, far), (5, far)],
                true,
            ),
            // Nobody could take its place.
            (Role::Leader, &[1], &[], false),
            // A learner that is near decides nothing.
            (Role::Leader, &[1, 2, 3], &[(2, near), (3, far), (7, near)], true),
            (Role::Follower, &[1, 2, 3], &[], false),
        ] {
            let loss = loss(MemberId(1), &status(role, voters, heard));
            assert_eq!(loss.is_some(), waits, "{role} {voters:?} {heard:?}: {loss:?}");
        }
    }

    #[test]
    fn an_archive_is_waited_for_only_while_it_gets_on() {
        assert!(is_behind(Some(LogIndex(3)), LogIndex(4)));
        assert!(!is_behind(Some(LogIndex(4)), LogIndex(4)));
        assert!(!is_behind(None, LogIndex(4)));
    }
}
