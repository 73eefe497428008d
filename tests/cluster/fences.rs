//! A member that is held by the order in its data directory.

use crate::GEODE;
use crate::ledger::{Writer, wait_equal};
use geode_tests::members::{Members, wait_for};
use std::fs;
use std::time::Duration;

#[test]
fn a_fenced_member_takes_no_part_its_files_can_be_looked_at_and_without_the_fence_it_catches_up() {
    let mut members = Members::cluster(GEODE, 3);
    let fenced = (members.leader() + 1) % 3;
    let others: Vec<usize> = (0..3).filter(|member| *member != fenced).collect();
    let writer = Writer::start(&members, &others);
    writer.wait(20);
    members.kill(fenced);
    let order = members.data(fenced).join("fenced");
    fs::write(&order, "").expect("the order");
    members.start(fenced);
    wait_for(
        "the member to say that it is held",
        Duration::from_secs(60),
        || {
            members
                .log(fenced)
                .contains("this member is fenced and takes no part")
        },
    );
    writer.wait(50);
    assert!(members.is_running(fenced) && !members.is_ready(fenced));
    let (term, leader) = members.term(others[0]);
    assert!(others.contains(&leader), "{term}");
    // Nobody has the files open.
    let store = members.data(fenced).join("graph");
    assert!(fs::read_dir(&store).expect("the graph").count() > 0);
    members.kill(fenced);
    fs::remove_file(&order).expect("the order is still there");
    members.start(fenced);
    members.wait_ready(fenced);
    writer.wait(20);
    writer.finish().check(&members, others[0]);
    wait_equal(&members, &[0, 1, 2]);
}
