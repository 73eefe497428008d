//! Members that stand still and go on (SIGSTOP, SIGCONT), as a machine that swaps or a disk that stalls makes them.

use crate::GEODE;
use crate::ledger::{Writer, wait_equal};
use geode_tests::members::{Members, Shell};
use serde_json::{Value, json};
use std::time::Duration;

fn others(member: usize) -> [usize; 2] {
    [(member + 1) % 3, (member + 2) % 3]
}

fn read(shell: &mut Shell) -> Value {
    shell.ask(&json!({"op": "query", "text": "MATCH (l:Ledger) RETURN count(*)"}))
}

#[test]
fn a_leader_that_stood_still_answers_nothing_that_is_out_of_date() {
    let members = Members::cluster(GEODE, 3);
    let leader = members.leader();
    let before = Writer::start(&members, &[leader]);
    before.wait(20);
    // Their connections are made: what they ask lies in the leader's socket when it wakes up.
    let mut readers: Vec<Shell> = (0..4).map(|_| Shell::open(&members, &[leader])).collect();
    for reader in &mut readers {
        assert!(read(reader)["error"].is_null());
    }
    members.pause(leader);
    let meanwhile = Writer::start(&members, &others(leader));
    meanwhile.wait(30);
    let meanwhile = meanwhile.finish();
    let answers: Vec<Value> = std::thread::scope(|scope| {
        let asking: Vec<_> = readers
            .iter_mut()
            .map(|reader| scope.spawn(|| read(reader)))
            .collect();
        // The questions are on their way before the leader goes on.
        std::thread::sleep(Duration::from_millis(200));
        members.go_on(leader);
        asking
            .into_iter()
            .map(|answer| answer.join().expect("the reader does not panic"))
            .collect()
    });
    let written = (20 + meanwhile.acknowledged.len()) as i64;
    for answer in &answers {
        let count = answer["rows"][0][0].as_i64();
        assert!(
            count.map_or(!answer["error"].is_null(), |count| count >= written),
            "{written} writes were acknowledged before this was asked: {answer}"
        );
    }
    assert_ne!(members.leader(), leader, "who stood still leads no longer");
    before.wait(5);
    for account in [before.finish(), meanwhile] {
        account.check(&members, leader);
    }
    wait_equal(&members, &[0, 1, 2]);
}

#[test]
fn a_follower_that_stands_still_again_and_again_delays_nobody_and_deposes_nobody() {
    let members = Members::cluster(GEODE, 3);
    let (term, leader) = members.term(0);
    let [follower, _] = others(leader);
    let writer = Writer::start(&members, &[leader]);
    for _ in 0..4 {
        members.pause(follower);
        std::thread::sleep(Duration::from_millis(1500));
        members.go_on(follower);
        writer.wait(10);
    }
    members.pause(follower);
    std::thread::sleep(Duration::from_secs(5));
    members.go_on(follower);
    let account = writer.finish();
    // Fast elections on a busy machine may happen once; every return of the follower would have been one more.
    assert!(
        members.term(leader).0 <= term + 1,
        "the term went up with every return"
    );
    assert!(
        account.longest_gap < Duration::from_millis(4500),
        "{:?} without an acknowledged write",
        account.longest_gap
    );
    account.check(&members, follower);
    wait_equal(&members, &[0, 1, 2]);
}
