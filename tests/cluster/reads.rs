//! How sessions read on a member that does not lead: with which levels it sees what, and what it still answers when it is alone.

use crate::GEODE;
use geode_tests::members::{Members, Shell, wait_for};
use serde_json::{Value, json};
use std::time::Duration;

const COUNT: &str = "MATCH (n:Seen) RETURN count(*)";

fn ask(shell: &mut Shell, text: &str) -> Value {
    let answer = shell.ask(&json!({"op": "query", "text": text}));
    assert!(answer["error"].is_null(), "{text}: {answer}");
    answer
}

fn count(shell: &mut Shell) -> i64 {
    ask(shell, COUNT)["rows"][0][0].as_i64().expect("a number")
}

#[test]
fn a_session_on_a_follower_sees_its_own_writes_at_sequential_and_at_causal() {
    let members = Members::cluster(GEODE, 3);
    let follower = (members.leader() + 1) % 3;
    let mut written = 0;
    for level in ["SEQUENTIAL", "CAUSAL"] {
        let mut shell = Shell::open(&members, &[follower]);
        ask(&mut shell, &format!("SET CONSISTENCY LEVEL {level}"));
        for _ in 0..20 {
            ask(&mut shell, "INSERT (:Seen)");
            written += 1;
            assert_eq!(count(&mut shell), written, "{level}");
        }
    }
}

#[test]
fn a_strong_read_of_a_session_that_prefers_the_nearest_member_sees_what_others_have_just_written() {
    let members = Members::cluster(GEODE, 3);
    let leader = members.leader();
    let mut writer = Shell::open(&members, &[leader]);
    let mut reader = Shell::open(&members, &[(leader + 1) % 3]);
    ask(&mut reader, "SET READ PREFERENCE NEAREST");
    for written in 1..=20 {
        ask(&mut writer, "INSERT (:Seen)");
        assert_eq!(count(&mut reader), written);
    }
}

#[test]
fn a_follower_that_is_alone_answers_eventual_reads_and_refuses_strong_ones() {
    let members = Members::cluster(GEODE, 3);
    let leader = members.leader();
    let (follower, other) = ((leader + 1) % 3, (leader + 2) % 3);
    let mut shell = Shell::open(&members, &[follower]);
    ask(&mut shell, "INSERT (:Seen)");
    ask(&mut shell, "SET CONSISTENCY LEVEL EVENTUAL");
    wait_for("the follower has the write", Duration::from_secs(60), || {
        count(&mut shell) == 1
    });
    let mut bounded = Shell::open(&members, &[follower]);
    ask(&mut bounded, "SET READ STALENESS 1 hour");
    assert_eq!(count(&mut bounded), 1, "the leader is asked");
    members.pause(leader);
    members.pause(other);
    assert_eq!(count(&mut shell), 1);
    assert_eq!(
        count(&mut bounded),
        1,
        "the leader was asked less than an hour ago"
    );
    let strong = members.try_query(follower, COUNT, &["--timeout", "3s"]);
    assert!(strong.is_err(), "{strong:?}");
    ask(&mut shell, "SET CONSISTENCY LEVEL SEQUENTIAL");
    assert_eq!(count(&mut shell), 1, "it has seen that here");
    members.go_on(leader);
    members.go_on(other);
    ask(&mut shell, "SESSION RESET");
    assert_eq!(count(&mut shell), 1);
}
