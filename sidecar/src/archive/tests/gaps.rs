//! Objects that somebody deleted, and what the sidecar knows of backups.

use super::*;

fn gap(member: &Member) -> Option<(u64, u64, u64)> {
    let gap = member.shared.report().gap?;
    Some((gap.first.0, gap.last.0, gap.entries))
}

async fn delete(store: &dyn ObjectStore, first: u64, last: u64) {
    let range = SegmentRange {
        first: LogIndex(first),
        last: LogIndex(last),
    };
    let key = lineage().segment(geode_types::GroupId(0), range);
    store.delete(&key).await.unwrap();
}

/// Everything is archived and gone from the log.
async fn archived_leader(store: &Arc<MemoryStore>) -> Member {
    let mut leader = Member::new(store.clone(), &[(0, 9), (10, 19), (20, 29), (30, 39)]);
    leader.attempt(0).await;
    leader.attempt(1).await;
    assert_eq!((leader.up_to(), gap(&leader)), (39, None));
    leader
}

#[tokio::test]
async fn a_segment_that_somebody_deleted_from_the_archive_is_said_until_a_base_backup_covers_it() {
    let store = Arc::new(MemoryStore::new());
    let mut leader = archived_leader(&store).await;
    leader.server.state().segments.clear();
    delete(&*store, 10, 19).await;
    leader.attempt(30).await;
    assert_eq!(gap(&leader), None, "it is not listed all the time");
    leader.attempt(90).await;
    assert_eq!((gap(&leader), leader.failing()), (Some((10, 19, 10)), None));
    assert_eq!(leader.archiver.metrics.gap_entries.get(), 10);
    leader.seal(40, 49);
    leader.attempt(91).await;
    assert_eq!(leader.up_to(), 49, "archiving goes on");
    back_up(&*store, 18).await;
    leader.attempt(180).await;
    assert!(gap(&leader).is_some(), "this one lacks an entry of the gap");
    back_up(&*store, 41).await;
    leader.attempt(270).await;
    assert_eq!(
        (gap(&leader), leader.archiver.metrics.gap_entries.get()),
        (None, 0)
    );
}

#[tokio::test]
async fn a_deleted_segment_that_the_member_still_has_is_archived_again() {
    let store = Arc::new(MemoryStore::new());
    let mut leader = archived_leader(&store).await;
    for (first, last) in [(10, 19), (30, 39)] {
        delete(&*store, first, last).await;
    }
    leader.attempt(90).await;
    leader.attempt(91).await;
    assert_eq!(archived(&*store).await, [(0, 9), (10, 19), (20, 29), (30, 39)]);
    assert_eq!(gap(&leader), None);
}

#[tokio::test]
async fn the_report_knows_the_backups_also_those_that_others_took() {
    let store = Arc::new(MemoryStore::new());
    back_up(&*store, 3).await;
    let mut leader = Member::new(store.clone(), &[(0, 9), (10, 19)]);
    leader.attempt(0).await;
    let report = leader.shared.report();
    assert_eq!(
        report.last_archived,
        "00000000000000000010-00000000000000000019.seg"
    );
    let [full] = report.backups.as_slice() else {
        panic!("{:?}", report.backups)
    };
    assert_eq!((full.kind.as_str(), full.count_24h), ("full", 1));
    assert!(full.last_at_micros.is_some() && full.last_at_micros == full.oldest_at_micros);
    back_up(&*store, 19).await;
    leader.attempt(90).await;
    assert_eq!(leader.shared.report().backups[0].count_24h, 2);
}

#[tokio::test]
async fn an_archive_that_cannot_be_listed_is_a_failure_and_no_gap() {
    let memory = Arc::new(MemoryStore::new());
    let mut leader = archived_leader(&memory).await;
    let store = Arc::new(FailingStore::new(memory));
    leader.archiver.store = store.clone();
    store.fail(Operation::List, Fault::Unavailable, 1);
    leader.attempt(90).await;
    assert_eq!(
        (gap(&leader), leader.failing().as_deref()),
        (None, Some("ArchiveUnreachable"))
    );
    leader.attempt(91).await;
    assert_eq!((gap(&leader), leader.failing()), (None, None));
    assert_eq!(leader.shared.report().failures_24h, 1);
}
