//! Members of several versions: what one of them would not understand is not written.

use crate::GEODE;
use crate::ledger::wait_equal;
use geode_tests::members::{Members, Plan, feature_level_line, wait_for};
use std::fs;
use std::time::Duration;

const CREATE: &str = "CREATE INDEX people FOR (n:Person) ON (n.name)";
const PATIENCE: Duration = Duration::from_secs(60);

/// Sets whether a member speaks like one of the version before, from its next start on.
fn set_old(members: &Members, member: usize, is_old: bool) {
    let (file, line) = (members.config_file(member), feature_level_line(1));
    let text = fs::read_to_string(&file)
        .expect("a configuration")
        .replace(&line, "");
    let changed = if is_old {
        text.replacen("cluster:\n", &format!("cluster:\n{line}"), 1)
    } else {
        text
    };
    fs::write(file, changed).expect("a configuration that can be written");
}

fn create(members: &Members) -> Result<(), String> {
    let leader = members.leader();
    members.try_query(leader, CREATE, &["--timeout", "5s"]).map(drop)
}

#[test]
fn what_an_older_member_does_not_understand_is_refused_until_it_is_upgraded_and_it_never_comes_back() {
    let plan = Plan {
        feature_level_max: Some(1),
        ..Plan::default()
    };
    let mut members = Members::planned(GEODE, &plan);
    for member in [0, 1, 2] {
        // The last one that is behind is named; everything that all of them understand is written as ever.
        let behind = if member == 2 {
            "node-2 understands level 1"
        } else {
            "understands level 1"
        };
        wait_for(behind, PATIENCE, || {
            create(&members).is_err_and(|said| said.contains("5GU05") && said.contains(behind))
        });
        members.query(members.leader(), "INSERT (:Person {name: 'Ada'})");
        members.kill(member);
        set_old(&members, member, false);
        members.start(member);
        members.wait_ready(member);
    }
    wait_for("the last member to be believed", PATIENCE, || {
        create(&members).is_ok()
    });
    wait_equal(&members, &[0, 1, 2]);

    // The level is never lowered: neither by a member that comes back old, nor by a new one.
    let old = (members.leader() + 1) % 3;
    members.kill(old);
    set_old(&members, old, true);
    members.start(old);
    let said = members.wait_refused(old, 1);
    assert!(
        said.contains("understands feature level 1, and its cluster is at level 3"),
        "{said}"
    );
    fs::remove_dir_all(members.data(old)).expect("data");
    fs::remove_dir_all(members.wal(old)).expect("a log");
    members.rejoin(old, (old + 1) % 3);
    wait_for("the cluster to say why it gives no place", PATIENCE, || {
        members
            .log(old)
            .contains("this cluster is at level 3, which is never lowered")
    });
    assert!(!members.is_ready(old));
}
