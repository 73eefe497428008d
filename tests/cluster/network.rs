//! A bad network between the members: the seeded relays of `geode_tests::network` before their internal ports.

use crate::GEODE;
use crate::ledger::{Writer, wait_equal};
use geode_tests::members::{Members, Plan, wait_for};
use geode_tests::network::Weather;
use serde_json::json;
use std::time::Duration;

/// Time enough for several elections, had there been a reason for one.
const CALM: Duration = Duration::from_secs(4);

/// A third of all datagrams is lost, others come twice or late.
const STORM: Weather = Weather {
    loss_percent: 30,
    double_percent: 20,
    delay_max: Duration::from_millis(10),
    ..Weather::FINE
};
/// Time enough for every connection to end for want of a sign of life (3 s).
const SILENCE: Duration = Duration::from_secs(5);

fn cluster(seed: u64, timing: &'static str) -> Members {
    Members::planned(
        GEODE,
        &Plan {
            timing,
            network: Some(seed),
            ..Plan::default()
        },
    )
}

fn others(member: usize) -> [usize; 2] {
    [(member + 1) % 3, (member + 2) % 3]
}

#[test]
fn with_a_third_of_all_datagrams_lost_and_others_doubled_and_late_writes_go_on() {
    let members = cluster(1, "default");
    let writer = Writer::start(&members, &[0, 1, 2]);
    writer.wait(10);
    members.network().everywhere(STORM);
    writer.wait(30);
    members.network().everywhere(Weather::FINE);
    let account = writer.finish();
    account.check(&members, 0);
    wait_equal(&members, &[0, 1, 2]);
}

#[test]
fn members_that_have_lost_all_connections_find_each_other_while_a_third_of_all_datagrams_is_lost() {
    let members = cluster(7, "default");
    let writer = Writer::start(&members, &[0, 1, 2]);
    writer.wait(10);
    members.network().everywhere(Weather::CUT);
    std::thread::sleep(SILENCE);
    members.network().everywhere(STORM);
    writer.wait(20);
    members.network().everywhere(Weather::FINE);
    writer.finish().check(&members, 0);
    wait_equal(&members, &[0, 1, 2]);
}

#[test]
fn a_leader_that_is_cut_off_gives_way_and_nothing_it_acknowledged_is_lost() {
    let members = cluster(2, "fast");
    let leader = members.leader();
    let [one, other] = others(leader);
    let through_the_leader = Writer::start(&members, &[leader]);
    through_the_leader.wait(20);
    members.network().around(leader, Weather::CUT);
    let lsn = members.query(one, "INSERT (:Elsewhere)")["lsn"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let early = members.try_query(
        leader,
        "MATCH (e:Elsewhere) RETURN count(*)",
        &["--read-lsn", &lsn, "--timeout", "2s"],
    );
    assert!(
        early.is_err(),
        "who is cut off knows what the others wrote: {early:?}"
    );
    wait_for(
        "who is cut off is no longer ready",
        Duration::from_secs(60),
        || !members.is_ready(leader),
    );
    // Asked apart: `geode ready` also says no when a busy machine lets it run out of time.
    wait_for(
        "who is cut off shows itself as the leader no longer",
        Duration::from_secs(60),
        || members.leader_seen_by(leader).is_none(),
    );
    let majority = Writer::start(&members, &[one, other]);
    majority.wait(50);
    members.network().around(leader, Weather::FINE);
    let answer = members.query_with(
        leader,
        "MATCH (e:Elsewhere) RETURN count(*)",
        &["--read-lsn", &lsn],
    );
    assert_eq!(answer["rows"], json!([[1]]));
    for account in [through_the_leader.finish(), majority.finish()] {
        account.check(&members, one);
    }
    wait_equal(&members, &[0, 1, 2]);
}

#[test]
fn a_follower_that_was_cut_off_or_hears_only_one_member_deposes_nobody() {
    let members = cluster(3, "default");
    let (term, leader) = members.term(0);
    let [one, other] = others(leader);
    let writer = Writer::start(&members, &[leader]);
    let network = members.network();
    let calm = |what: &str| {
        std::thread::sleep(CALM);
        writer.wait(5);
        assert_eq!(members.term(leader), (term, leader), "{what}");
    };
    network.around(one, Weather::CUT);
    calm("it is cut off");
    network.around(one, Weather::FINE);
    calm("it is back");
    network.one_way(leader, one, Weather::CUT);
    calm("it does not hear the leader");
    network.one_way(one, leader, Weather::CUT);
    calm("it and the leader do not reach each other");
    network.everywhere(Weather::FINE);
    network.one_way(one, other, Weather::CUT);
    network.one_way(other, one, Weather::CUT);
    calm("the followers do not reach each other");
    network.everywhere(Weather::FINE);
    writer.finish().check(&members, other);
    wait_equal(&members, &[0, 1, 2]);
}

#[test]
fn a_member_that_catches_up_over_a_thin_line_keeps_hearing_its_leader() {
    let members = cluster(4, "default");
    let (term, leader) = members.term(0);
    let [follower, _] = others(leader);
    let network = members.network();
    network.around(follower, Weather::CUT);
    for _ in 0..60 {
        members.query(
            leader,
            &format!("INSERT (:Large {{text: '{}'}})", "x".repeat(10_000)),
        );
    }
    let thin = Weather {
        bytes_per_second: Some(125_000),
        ..Weather::FINE
    };
    network.around(follower, thin);
    wait_equal(&members, &[0, 1, 2]);
    assert_eq!(members.term(leader), (term, leader));
}

#[test]
fn a_path_that_drops_large_datagrams_carries_large_writes() {
    let members = cluster(5, "default");
    // The smallest that QUIC may rely on.
    members.network().everywhere(Weather {
        bytes_max: 1200,
        ..Weather::FINE
    });
    for _ in 0..5 {
        members.query(0, &format!("INSERT (:Large {{text: '{}'}})", "x".repeat(100_000)));
    }
    wait_equal(&members, &[0, 1, 2]);
}

#[test]
fn members_far_apart_elect_another_leader_while_connections_take_longer_than_a_vote_may() {
    let mut members = cluster(6, "default");
    // A vote may take 251 ms. It takes one way there and back, a new connection another one before it.
    members.network().everywhere(Weather {
        delay_min: Duration::from_millis(70),
        ..Weather::FINE
    });
    let leader = members.leader();
    let [one, _] = others(leader);
    members.kill(leader);
    wait_for("another leader", Duration::from_secs(60), || {
        members.leader_seen_by(one).is_some_and(|new| new != leader)
    });
    members.query(one, "INSERT (:After)");
}
