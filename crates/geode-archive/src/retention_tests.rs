use super::*;
use crate::content::{Content, Sha256};
use crate::inventory::{MANIFEST_FORMAT, Manifest, inventory};
use crate::layout::{SNAPSHOT, SegmentRange};
use crate::plan::restore_plan;
use crate::store::MemoryStore;
use geode_types::{ClusterId, Incarnation, RestoreTarget, Term};
use proptest::prelude::*;

const DAY: i64 = 86_400;
/// Day 100 is now.
const TODAY: i64 = 100;

fn lineage() -> Lineage {
    Lineage {
        cluster_id: ClusterId(uuid::Uuid::nil()),
        incarnation: Incarnation(1),
    }
}

fn day(day: i64) -> Timestamp {
    Timestamp::from_second(day * DAY).unwrap()
}

/// A base backup with the entries up to `index`, finished on this day.
fn base(index: u64, finished: i64) -> BaseBackup {
    BaseBackup {
        folder: lineage().base(LogIndex(index), 7),
        manifest: Manifest {
            format: MANIFEST_FORMAT,
            cluster_id: lineage().cluster_id,
            incarnation: lineage().incarnation,
            group: GroupId(0),
            index: LogIndex(index),
            term: Term(1),
            state_hash: None,
            started_at: day(finished),
            finished_at: day(finished),
            stored_bytes: 5,
            stored_sha256: Sha256([0; 32]),
            snapshot_bytes: 1,
            snapshot_sha256: Sha256([0; 32]),
            compression: None,
            key: None,
            server_version: String::new(),
        },
    }
}

/// Ten entries a segment, and ten a day: the base backup of day d ends with the entry 10 d.
fn found(days: &[i64], segments: std::ops::Range<u64>) -> Inventory {
    Inventory {
        lineage: lineage(),
        bases: days.iter().map(|day| base(10 * *day as u64, *day)).collect(),
        increments: Vec::new(),
        segments: segments
            .map(|number| ArchivedSegment {
                range: SegmentRange {
                    first: LogIndex(10 * number),
                    last: LogIndex(10 * number + 9),
                },
                bytes: 1,
            })
            .collect(),
        unreadable: Vec::new(),
    }
}

fn keep(days: u32, min_count: u32, wal_days: Option<u32>) -> Retention {
    Retention {
        days,
        min_count,
        wal_days,
        incremental_days: None,
        incremental_min_count: 0,
    }
}

/// An increment of the full backup of one day, taken on another.
fn increment(base_day: i64, taken: i64) -> Increment {
    let index = LogIndex(10 * taken as u64);
    Increment {
        format: crate::increment::INCREMENT_FORMAT,
        kind: geode_types::BackupKind::Incremental,
        name: lineage().backup_name(index, 1),
        cluster_id: lineage().cluster_id,
        incarnation: lineage().incarnation,
        base: base(10 * base_day as u64, base_day).name().to_owned(),
        parent: String::new(),
        after: LogIndex(0),
        index,
        bytes: 1,
        state_hash: String::new(),
        started_at: day(taken),
        finished_at: day(taken),
        server_version: String::new(),
    }
}

/// The days of the base backups that stay, and the first segment that does.
fn left(found: &Inventory, retention: Retention) -> (Vec<u64>, u64) {
    let plan = cleanup_plan(found, &retention, day(TODAY));
    let days = plan.kept.iter().map(|base| base.manifest.index.0 / 10).collect();
    (days, found.segments[plan.segments.len()].range.first.0 / 10)
}

#[test]
fn every_moment_of_the_days_can_be_restored_and_so_many_backups_stay() {
    let weekly = found(&[60, 67, 74, 81, 88, 95], 0..100);
    for (retention, kept, log) in [
        // Day 70 is restored from the backup of day 67.
        (keep(30, 1, None), vec![67, 74, 81, 88, 95], 67),
        (keep(33, 1, None), vec![67, 74, 81, 88, 95], 67),
        (keep(34, 1, None), vec![60, 67, 74, 81, 88, 95], 60),
        (keep(1, 1, None), vec![95], 95),
        (keep(1, 3, None), vec![81, 88, 95], 95),
        (keep(1, 0, None), vec![95], 95),
        (keep(1, 100, None), vec![60, 67, 74, 81, 88, 95], 95),
        // The log goes sooner: before day 81 only the backups can be restored.
        (keep(30, 1, Some(14)), vec![67, 74, 81, 88, 95], 81),
        // The log without the backups before it would be of no use.
        (keep(7, 1, Some(365)), vec![88, 95], 88),
    ] {
        assert_eq!(left(&weekly, retention), (kept, log), "{retention:?}");
    }
}

#[test]
fn increments_have_days_and_a_count_of_their_own_and_keep_their_full_backup_and_log() {
    let mut weekly = found(&[60, 67, 74, 81, 88, 95], 0..100);
    for (base, taken) in [(60, 62), (81, 83), (88, 90), (88, 92), (95, 97)] {
        weekly.increments.push(increment(base, taken));
    }
    let mut retention = keep(7, 1, Some(3));
    for (days, count, increments, bases, log) in [
        // Day 93 is restored from the backup of day 88, but the log before day 95 need not stay.
        (Some(2), 0, vec![], vec![88, 95], 95),
        (Some(4), 0, vec![97], vec![88, 95], 95),
        (Some(9), 0, vec![92, 97], vec![88, 95], 88),
        (Some(4), 4, vec![83, 90, 92, 97], vec![81, 88, 95], 81),
        (None, 0, vec![97], vec![88, 95], 95),
        (
            Some(100),
            0,
            vec![62, 83, 90, 92, 97],
            vec![60, 67, 74, 81, 88, 95],
            60,
        ),
    ] {
        (retention.incremental_days, retention.incremental_min_count) = (days, count);
        let plan = cleanup_plan(&weekly, &retention, day(TODAY));
        let gone = plan.increments.len();
        let left_over: Vec<u64> = weekly.increments[gone..]
            .iter()
            .map(|kept| kept.index.0 / 10)
            .collect();
        assert_eq!(left_over, increments, "{days:?} {count}");
        assert_eq!(left(&weekly, retention), (bases, log), "{days:?} {count}");
        let mut after = weekly.clone();
        after.bases = plan.kept.clone();
        after.increments.drain(..gone);
        after.segments.drain(..plan.segments.len());
        assert!(
            crate::increment::broken_increments(&after).is_empty(),
            "{days:?} {count}"
        );
        let oldest = increments.first().map_or(971, |taken| 10 * taken);
        assert_eq!(
            (plan.summary().increments, plan.summary().oldest_increment.0),
            (gone as u64, oldest)
        );
    }
}

#[test]
fn without_a_base_backup_nothing_goes_and_the_last_segment_always_stays() {
    let bare = found(&[], 0..5);
    assert_eq!(left(&bare, keep(0, 1, None)), (vec![], 0));
    let young = found(&[99], 0..100);
    assert_eq!(left(&young, keep(7, 1, None)), (vec![99], 99));
    let idle = found(&[50], 0..5);
    assert_eq!(left(&idle, keep(1, 1, None)), (vec![50], 4));
}

#[tokio::test]
async fn a_clean_up_deletes_what_the_plan_says_and_goes_on_where_it_broke_off() {
    let store = MemoryStore::new();
    let archive = found(&[60, 90], 0..100);
    let put = async |key: &str, bytes: Vec<u8>| {
        store
            .put_if_absent(key, &Content::from_bytes(bytes))
            .await
            .unwrap();
    };
    for base in &archive.bases {
        put(&base.snapshot(), b"12345".to_vec()).await;
        let manifest = serde_json::to_vec(&base.manifest).unwrap();
        put(&format!("{}{MANIFEST}", base.folder), manifest).await;
    }
    // Never complete; a clean-up that broke off leaves such a thing too.
    put(&format!("{}{SNAPSHOT}", lineage().base(LogIndex(30), 1)), vec![1]).await;
    for segment in &archive.segments {
        put(&lineage().segment(GroupId(0), segment.range), vec![1]).await;
    }
    for index in [5, 6] {
        put(&lineage().checkpoints_at(LogIndex(index)), vec![index as u8]).await;
    }
    let plan = cleanup_plan(&archive, &keep(7, 1, None), day(TODAY));
    assert_eq!((plan.bases.len(), plan.segments.len(), plan.bytes()), (1, 90, 95));
    for _twice in 0..2 {
        clean_up(&store, &plan).await.unwrap();
        let left = inventory(&store, lineage()).await.unwrap();
        assert_eq!((left.bases, left.segments.len()), (vec![base(900, 90)], 10));
        let keys = list_all(&store, &lineage().root(), "").await.unwrap();
        assert_eq!(keys.len(), 10 + 2 + 1, "{keys:?}");
    }
}

#[tokio::test]
async fn nothing_is_deleted_while_a_base_backup_that_stays_is_not_whole() {
    let store = MemoryStore::new();
    let archive = found(&[60, 90], 0..3);
    for segment in &archive.segments {
        let key = lineage().segment(GroupId(0), segment.range);
        store
            .put_if_absent(&key, &Content::from_bytes("x"))
            .await
            .unwrap();
    }
    let plan = cleanup_plan(&archive, &keep(7, 1, None), day(TODAY));
    let snapshot = archive.bases[1].snapshot();
    for (bytes, said) in [(None, "not there"), (Some("1234"), "it has 4 bytes instead of 5")] {
        if let Some(bytes) = bytes {
            store
                .put_if_absent(&snapshot, &Content::from_bytes(bytes))
                .await
                .unwrap();
        }
        let refused = clean_up(&store, &plan).await.unwrap_err().to_string();
        assert!(
            refused.contains(said) && refused.contains("nothing is deleted"),
            "{refused}"
        );
        assert_eq!(inventory(&store, lineage()).await.unwrap().segments.len(), 3);
    }
}

/// As an archive lists the backup of this day whose manifest is damaged.
fn unreadable(index: u64) -> Unreadable {
    Unreadable {
        key: format!("{}{MANIFEST}", lineage().base(LogIndex(index), 7)),
        reason: "rot".to_owned(),
    }
}

#[test]
fn what_cannot_be_read_keeps_what_it_may_need_and_lets_go_of_nothing() {
    let mut weekly = found(&[60, 67, 81, 88, 95], 0..100);
    assert_eq!(left(&weekly, keep(7, 1, None)), (vec![88, 95], 88));
    weekly.unreadable = vec![unreadable(740)];
    // The backup of day 67 leads on from there as well.
    assert_eq!(left(&weekly, keep(7, 1, None)), (vec![67, 81, 88, 95], 67));
    weekly.unreadable = vec![unreadable(300)];
    assert_eq!(left(&weekly, keep(7, 1, None)), (vec![60, 67, 81, 88, 95], 30));
    weekly.bases.clear();
    assert_eq!(left(&weekly, keep(7, 1, None)), (vec![], 0));
}

#[test]
fn an_increment_whose_full_backup_cannot_be_read_stays_its_time() {
    let mut weekly = found(&[60, 95], 0..100);
    weekly.unreadable = vec![unreadable(740)];
    weekly.increments = vec![increment(74, 75), increment(74, 98)];
    let plan = cleanup_plan(&weekly, &keep(7, 1, None), day(TODAY));
    assert_eq!(plan.increments, [increment(74, 75)]);
    weekly.unreadable.clear();
    let plan = cleanup_plan(&weekly, &keep(7, 1, None), day(TODAY));
    assert_eq!(plan.increments.len(), 2);
}

#[tokio::test]
async fn a_clean_up_leaves_the_snapshot_of_a_backup_that_cannot_be_read() {
    let store = MemoryStore::new();
    let mut archive = found(&[60, 90], 0..0);
    let hidden = lineage().base(LogIndex(300), 7);
    for key in [&archive.bases[0].snapshot(), &archive.bases[1].snapshot()] {
        store.tamper(key, "12345");
    }
    store.tamper(&format!("{hidden}{SNAPSHOT}"), "whole");
    store.tamper(&format!("{hidden}{MANIFEST}"), "rot");
    archive.unreadable = inventory(&store, lineage()).await.unwrap().unreadable;
    assert_eq!(archive.unreadable.len(), 1);
    clean_up(&store, &cleanup_plan(&archive, &keep(7, 1, None), day(TODAY)))
        .await
        .unwrap();
    assert_eq!(list_all(&store, &hidden, "").await.unwrap().len(), 2);
}

proptest! {
    #[test]
    fn what_is_left_restores_every_moment_that_is_promised(
        days in proptest::collection::btree_set(1i64..TODAY, 1..12),
        retention in (0u32..60, 0u32..6, proptest::option::of(0u32..60)),
    ) {
        let days: Vec<i64> = days.into_iter().collect();
        let retention = keep(retention.0, retention.1, retention.2);
        let before = found(&days, 0..TODAY as u64);
        let plan = cleanup_plan(&before, &retention, day(TODAY));
        let mut after = before.clone();
        after.bases = plan.kept.clone();
        after.segments.drain(..plan.segments.len());
        prop_assert!(!after.bases.is_empty() && !after.segments.is_empty());
        prop_assert!(after.bases.len() >= days.len().min(retention.min_count.max(1) as usize));
        prop_assert!(restore_plan(&after, RestoreTarget::Latest, "x").is_ok());
        let promised = retention.days.min(retention.wal_days.unwrap_or(u32::MAX));
        for day in (TODAY - i64::from(promised)).max(days[0])..TODAY {
            let entry = RestoreTarget::Index(LogIndex(10 * day as u64 + 5));
            prop_assert!(restore_plan(&after, entry, "x").is_ok(), "day {day} of {days:?} after {retention:?}");
        }
        for base in &after.bases {
            prop_assert!(restore_plan(&after, RestoreTarget::Index(base.manifest.index), "x").is_ok());
        }
    }
}
