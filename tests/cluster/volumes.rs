//! Volumes that are full: small ones in memory, in namespaces of one member's own.

use crate::GEODE;
use crate::ledger::{Writer, wait_equal};
use geode_tests::members::{Members, Plan, wait_for};
use std::fs;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

/// Enough for a member that was just begun, and more than `storage.free_space_min` (32 MiB).
const MEBIBYTES: u32 = 96;

/// Writes a file until nothing more fits, or until only so many MiB are left.
fn fill(path: &Path, left: usize) {
    let mut file = fs::File::create(path).expect("room for a file");
    let piece = vec![1; 1 << 20];
    let mut written = 0;
    while written + left < MEBIBYTES as usize && file.write_all(&piece).is_ok() {
        written += 1;
    }
}

#[test]
fn a_leader_whose_volume_is_full_goes_on_reading_and_writes_go_on_when_there_is_room() {
    let members = Members::planned(
        GEODE,
        &Plan {
            small_volumes: Some(MEBIBYTES),
            ..Plan::default()
        },
    );
    assert_eq!(members.leader(), 0);
    let writer = Writer::start(&members, &[0]);
    writer.wait(20);
    for volume in [members.wal(0), members.data(0).to_owned()] {
        let filler = members.seen_by(0, &volume).join("filler");
        fill(&filler, 0);
        wait_for(
            "writes are refused with a reason",
            Duration::from_secs(60),
            || {
                let refused = members.try_query(0, "INSERT (:Late)", &["--timeout", "3s"]);
                refused.is_err_and(|said| {
                    said.contains(&volume.display().to_string()) || said.contains("volume")
                })
            },
        );
        let count = members.query(0, "MATCH (l:Ledger) RETURN count(*)");
        assert!(count["rows"][0][0].as_i64() >= Some(20), "{count}");
        fs::remove_file(&filler).expect("the filler");
        writer.wait(20);
    }
    writer.finish().check(&members, 0);
    wait_equal(&members, &[0, 1, 2]);
}
