//! What a power cut or a bad disk leaves in a member's files: what was never promised is cut off, everything else is said and never skipped.

use crate::GEODE;
use crate::ledger::{Account, Writer, wait_different, wait_equal};
use geode_tests::members::{Members, wait_for};
use geode_types::EXIT_DAMAGED;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Three members with some writes, and a follower that was killed meanwhile.
fn with_a_dead_follower() -> (Members, usize, Account) {
    let mut members = Members::cluster(GEODE, 3);
    let follower = (members.leader() + 1) % 3;
    let writer = Writer::start(&members, &[0, 1, 2]);
    writer.wait(200);
    members.kill(follower);
    writer.wait(20);
    let account = writer.finish();
    (members, follower, account)
}

/// The file of a member's log whose name ends with this.
fn segment(members: &Members, member: usize, suffix: &str) -> PathBuf {
    let mut files: Vec<PathBuf> = fs::read_dir(members.wal(member).join("group-0"))
        .expect("a log")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.to_string_lossy().ends_with(suffix))
        .collect();
    files.sort();
    files.pop().unwrap_or_else(|| panic!("no file *{suffix}"))
}

/// Turns one bit over, in the middle.
fn flip(path: &Path) -> Vec<u8> {
    let sound = fs::read(path).expect("a file");
    let mut bytes = sound.clone();
    bytes[sound.len() / 2] ^= 4;
    fs::write(path, bytes).expect("a file that can be written");
    sound
}

/// The member does not start, names the file, says what to do, and ends as no other failure does.
fn refuses(members: &mut Members, member: usize, file: &Path) {
    members.start(member);
    let said = members.wait_refused(member, EXIT_DAMAGED);
    assert!(said.contains(&file.display().to_string()), "{said}");
    assert!(
        said.contains("remove this member's data and WAL directories"),
        "{said}"
    );
}

/// Does what the message says: the member joins again with empty volumes and gets everything.
fn joins_again_empty(members: &mut Members, member: usize, account: &Account) {
    fs::remove_dir_all(members.data(member)).expect("data");
    fs::remove_dir_all(members.wal(member)).expect("a log");
    members.rejoin(member, (member + 1) % 3);
    members.wait_ready(member);
    account.check(members, member);
    wait_equal(members, &[0, 1, 2]);
}

#[test]
fn a_torn_end_of_the_log_is_cut_off_and_the_member_goes_on() {
    let (mut members, follower, account) = with_a_dead_follower();
    let open = segment(&members, follower, ".open");
    let bytes = fs::read(&open).expect("a segment");
    let mut file = fs::OpenOptions::new()
        .append(true)
        .open(&open)
        .expect("a segment");
    // What the end of a write looks like that the power cut in the middle.
    file.write_all(&bytes[bytes.len() / 3..bytes.len() / 2])
        .expect("append");
    members.start(follower);
    members.wait_ready(follower);
    account.check(&members, follower);
    wait_equal(&members, &[0, 1, 2]);
}

#[test]
fn a_member_with_damage_in_log_or_vote_refuses_to_start_and_joins_again_empty() {
    let (mut members, follower, account) = with_a_dead_follower();
    let (open, vote) = (
        segment(&members, follower, ".open"),
        segment(&members, follower, "vote"),
    );
    for file in [&open, &vote] {
        let sound = flip(file);
        refuses(&mut members, follower, file);
        fs::write(file, sound).expect("a file that can be written");
    }
    let kept = fs::read(&vote).expect("a vote");
    fs::remove_file(&vote).expect("a vote");
    refuses(&mut members, follower, &vote);
    fs::write(&vote, kept).expect("a vote");
    let kept = fs::read(&open).expect("a segment");
    fs::write(&open, &kept[..kept.len() / 2]).expect("a segment");
    refuses(&mut members, follower, &open);

    joins_again_empty(&mut members, follower, &account);
}

#[test]
fn a_member_with_a_shortened_or_missing_store_refuses_to_start_and_joins_again_in_its_own_place() {
    let (mut members, follower, account) = with_a_dead_follower();
    let store = members.data(follower).join("graph/data.mdb");
    let sound = fs::read(&store).expect("a store");
    // Not less: behind the pages that were synced, a kill leaves some that nobody misses.
    for length in [0, sound.len() / 2] {
        fs::write(&store, &sound[..length]).expect("a store that can be written");
        refuses(&mut members, follower, &store);
    }
    fs::remove_file(&store).expect("a store");
    refuses(&mut members, follower, Path::new("data.mdb"));

    // A snapshot that was on its way when the process ended counts for nothing.
    fs::write(&store, &sound).expect("a store that can be written");
    let snapshots = members.data(follower).join("snapshots");
    fs::write(snapshots.join("install-0.tmp"), b"the first bytes of a snapshot").expect("a file");
    members.start(follower);
    members.wait_ready(follower);
    wait_equal(&members, &[0, 1, 2]);
    assert_eq!(fs::read_dir(&snapshots).expect("a folder").count(), 0);
    members.kill(follower);

    joins_again_empty(&mut members, follower, &account);
    // The identity that was on the lost volumes is nobody's any more, and would count as a voter that is away.
    wait_for("three voters", Duration::from_secs(60), || {
        let table = members.query(follower, "SELECT name, role FROM system.cluster_nodes");
        let rows = table["rows"].as_array().expect("rows");
        rows.len() == 3 && rows.iter().all(|row| row[1] != "observer")
    });
}

#[test]
fn a_changed_byte_in_the_store_shows_in_the_state_hash() {
    let (mut members, follower, _) = with_a_dead_follower();
    let secret = "a value that nobody else has";
    members.start(follower);
    members.wait_ready(follower);
    members.query(follower, &format!("INSERT (:Kept {{text: '{secret}'}})"));
    wait_equal(&members, &[0, 1, 2]);
    members.kill(follower);
    let file = members.data(follower).join("graph/data.mdb");
    let mut bytes = fs::read(&file).expect("a store");
    let places: Vec<usize> = (0..bytes.len() - secret.len())
        .filter(|at| bytes[*at..].starts_with(secret.as_bytes()))
        .collect();
    assert!(!places.is_empty(), "the value is not in the store");
    // Pages are copied when they are written: all copies, as it is not known which one lives.
    for at in &places {
        bytes[*at] ^= 4;
    }
    fs::write(&file, bytes).expect("a store that can be written");
    members.start(follower);
    members.wait_ready(follower);
    wait_different(&members, follower, (follower + 1) % 3);
}
