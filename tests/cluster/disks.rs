//! One member's machine is slow: its log lies on a disk of its own that answers no write for a while, or its processor has little time.

use crate::GEODE;
use crate::ledger::{Writer, wait_equal};
use geode_tests::members::{Members, OwnDisk, Plan, wait_for};
use std::time::{Duration, Instant};

const SECOND: Duration = Duration::from_secs(1);

/// Three members, of which one has a disk of its own; the first leads.
fn with_a_disk(disk: OwnDisk, more: &str) -> Members {
    let members = Members::planned(
        GEODE,
        &Plan {
            disk: Some(disk),
            more: more.to_owned(),
            ..Plan::default()
        },
    );
    assert_eq!(members.leader(), 0);
    members
}

/// How often another member than before was seen to lead, as others than `slow` see it.
fn leader_changes(members: &Members, slow: usize, time: Duration) -> usize {
    let start = Instant::now();
    let (mut known, mut changes) = (None, 0);
    while start.elapsed() < time {
        let leader = members.leader_seen_by((slow + 1) % 3);
        if leader.is_some() && leader != known {
            changes += usize::from(known.is_some());
            known = leader;
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    changes
}

#[test]
fn a_leader_whose_log_is_slow_goes_on_with_at_most_one_election() {
    let members = with_a_disk(OwnDisk::Log(0), "");
    let (term, _) = members.term(1);
    let writer = Writer::start(&members, &[0, 1, 2]);
    writer.wait(20);
    for _ in 0..5 {
        let frozen = members.freeze(0);
        std::thread::sleep(SECOND);
        drop(frozen);
        writer.wait(5);
    }
    let account = writer.finish();
    assert!(members.term(1).0 <= term + 1, "an election for every delay");
    account.check(&members, 1);
    wait_equal(&members, &[0, 1, 2]);
}

#[test]
fn a_leader_whose_disk_stalls_gives_way_and_ends_when_it_lasts() {
    let mut members = with_a_disk(OwnDisk::Log(0), "  wal:\n    stall_max: 8s\n");
    let writer = Writer::start(&members, &[0, 1, 2]);
    writer.wait(20);
    let frozen = members.freeze(0);
    wait_for("another member leads", Duration::from_secs(60), || {
        members.leader_seen_by(1).is_some_and(|leader| leader != 0)
    });
    assert!(
        !members.log(0).contains("this member must stop"),
        "leadership moved because the process ended, not before it"
    );
    writer.wait(20);
    // A process cannot end as long as one of its threads waits for a disk; it says so, and does nothing more.
    wait_for("the stalled member gives up", Duration::from_secs(60), || {
        members.log(0).contains("the server has stopped")
    });
    drop(frozen);
    let said = members.wait_refused(0, 1);
    assert!(
        said.contains("has not finished a write for 8") && said.contains("storage.wal.stall_max"),
        "{said}"
    );
    members.start(0);
    members.wait_ready(0);
    writer.wait(5);
    writer.finish().check(&members, 0);
    wait_equal(&members, &[0, 1, 2]);
}

#[test]
fn a_leader_whose_disk_stalls_for_seconds_comes_back_clean() {
    let mut members = with_a_disk(OwnDisk::Log(0), "");
    let writer = Writer::start(&members, &[0, 1, 2]);
    writer.wait(20);
    let frozen = members.freeze(0);
    std::thread::sleep(5 * SECOND);
    drop(frozen);
    writer.wait(20);
    let account = writer.finish();
    assert!(members.is_running(0), "five seconds end no process");
    assert!(
        account.longest_gap < 5 * SECOND,
        "a write waited for the disk: {:?}",
        account.longest_gap
    );
    account.check(&members, 0);
    wait_equal(&members, &[0, 1, 2]);
}

#[test]
fn a_follower_whose_disk_is_slow_delays_nobody() {
    let members = with_a_disk(OwnDisk::Log(1), "");
    let (term, leader) = members.term(0);
    let writer = Writer::start(&members, &[leader]);
    writer.wait(20);
    for stall in [1, 1, 4] {
        let frozen = members.freeze(1);
        std::thread::sleep(stall * SECOND);
        drop(frozen);
        writer.wait(10);
    }
    let account = writer.finish();
    assert!(
        account.longest_gap < 4 * SECOND,
        "a write waited for a follower's disk: {:?}",
        account.longest_gap
    );
    assert!(
        members.term(leader).0 <= term + 1,
        "a follower's disk deposes nobody"
    );
    account.check(&members, 1);
    wait_equal(&members, &[0, 1, 2]);
}

#[test]
fn a_leader_with_a_tenth_of_a_core_is_followed_or_replaced_once() {
    let members = Members::cluster(GEODE, 3);
    let leader = members.leader();
    let writer = Writer::start(&members, &[0, 1, 2]);
    writer.wait(20);
    let throttled = members.throttle(leader);
    let changes = leader_changes(&members, leader, 10 * SECOND);
    writer.wait(5);
    assert!(throttled.waited() > 0, "it was not slowed down");
    drop(throttled);
    assert!(changes <= 1, "the leader changed {changes} times");
    writer.finish().check(&members, leader);
    wait_equal(&members, &[0, 1, 2]);
}

#[test]
fn a_leader_whose_data_disk_hangs_says_so_and_another_leads_until_it_has_caught_up() {
    let members = with_a_disk(OwnDisk::Data(0), "");
    let writer = Writer::start(&members, &[0, 1, 2]);
    writer.wait(20);
    let frozen = members.freeze(0);
    wait_for("another member leads", Duration::from_secs(60), || {
        members.leader_seen_by(1).is_some_and(|leader| leader != 0)
    });
    writer.wait(20);
    wait_for("its metrics tell of the disk", Duration::from_secs(60), || {
        members
            .metric(0, "geode_data_stall_seconds")
            .is_ok_and(|stall| stall > 5.0)
    });
    drop(frozen);
    wait_for("the disk gets on", Duration::from_secs(60), || {
        members
            .metric(0, "geode_data_stall_seconds")
            .is_ok_and(|stall| stall == 0.0)
    });
    writer.wait(5);
    writer.finish().check(&members, 0);
    wait_equal(&members, &[0, 1, 2]);
}
