//! Members are killed, as a machine kills them: nothing that was acknowledged is lost, nothing is applied twice.

use crate::GEODE;
use crate::ledger::{Account, Writer, wait_equal};
use geode_tests::members::Members;
use rand::rngs::StdRng;
use rand::seq::index::sample;
use rand::{Rng, SeedableRng};
use std::time::Duration;

/// How often members are killed at random.
const ROUNDS: usize = 8;

#[test]
fn killing_the_leader_loses_no_acknowledged_write_and_repeats_none() {
    let mut members = Members::cluster(GEODE, 3);
    let leader = members.leader();
    let writer = Writer::start(&members, &[0, 1, 2]);
    writer.wait(150);
    members.kill(leader);
    writer.wait(250);
    let account = writer.finish();
    assert!(account.refused.len() + account.unknown.len() < 10, "{account:?}");
    members.start(leader);
    members.wait_ready(leader);
    account.check(&members, leader);
}

#[test]
fn killing_every_member_at_once_loses_no_acknowledged_write() {
    let mut members = Members::cluster(GEODE, 3);
    let writer = Writer::start(&members, &[0, 1, 2]);
    writer.wait(200);
    (0..3).for_each(|member| members.kill(member));
    (0..3).for_each(|member| members.start(member));
    (0..3).for_each(|member| members.wait_ready(member));
    writer.wait(20);
    writer.finish().check(&members, 0);
}

#[test]
fn members_killed_at_any_moment_under_load_come_back_and_agree() {
    let mut dice = StdRng::seed_from_u64(20);
    let mut members = Members::cluster(GEODE, 3);
    let mut accounts: Vec<Account> = Vec::new();
    let writers: Vec<Writer> = (0..3).map(|_| Writer::start(&members, &[0, 1, 2])).collect();
    for round in 0..ROUNDS {
        std::thread::sleep(Duration::from_millis(dice.random_range(20..400)));
        let victims = sample(&mut dice, 3, 1 + round % 3).into_vec();
        for member in &victims {
            members.kill(*member);
        }
        for member in &victims {
            members.start(*member);
        }
        for member in &victims {
            members.wait_ready(*member);
        }
        // All have written since: the cluster is whole before the next stroke.
        for writer in &writers {
            writer.wait(3);
        }
    }
    accounts.extend(writers.into_iter().map(Writer::finish));
    for account in &accounts {
        account.check(&members, 0);
    }
    wait_equal(&members, &[0, 1, 2]);
}
