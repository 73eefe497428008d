//! Sidecars whose members do not lead: they watch, step in, and go on.

use super::*;

#[tokio::test]
async fn followers_watch_and_step_in_for_what_stays_missing() {
    let store = Arc::new(MemoryStore::new());
    let mut leader = Member::new(store.clone(), &[(0, 9), (10, 19)]);
    let mut follower = Member::new(store.clone(), &[(0, 9), (10, 19), (20, 29), (30, 39)]).follows();
    follower.attempt(0).await;
    assert!(archived(&*store).await.is_empty());
    leader.attempt(0).await;
    follower.attempt(1).await;
    assert_eq!(follower.up_to(), 19, "it sees what the leader archived");
    for second in [2, 31] {
        follower.attempt(second).await;
        assert_eq!(follower.up_to(), 19);
    }
    follower.attempt(33).await;
    assert_eq!(
        (follower.up_to(), archived(&*store).await.len()),
        (29, 3),
        "it stepped in for one segment"
    );
    follower.attempt(34).await;
    assert_eq!(follower.up_to(), 29, "and waits again for the next");
}

#[tokio::test]
async fn a_follower_notices_that_the_leader_archived_something_else() {
    let store = Arc::new(MemoryStore::new());
    let mut follower = Member::new(store.clone(), &[(0, 9)]).follows();
    follower.attempt(0).await;
    let key = lineage().segment(
        geode_types::GroupId(0),
        SegmentRange {
            first: LogIndex(0),
            last: LogIndex(9),
        },
    );
    store.tamper(&key, "diverged");
    follower.attempt(1).await;
    assert_eq!(
        (follower.up_to(), follower.failing().as_deref()),
        (0, Some("ArchiveConflict"))
    );
}

#[tokio::test]
async fn a_new_leader_goes_on_where_the_archive_is() {
    let store = Arc::new(FailingStore::new(Arc::new(MemoryStore::new())));
    let mut old = Member::new(store.clone(), &[(0, 9)]);
    let mut new = Member::new(store.clone(), &[(0, 9), (10, 19)]).follows();
    new.attempt(0).await;
    old.attempt(0).await;
    new.status.role = Role::Leader;
    let puts = store.calls(Operation::Put);
    new.attempt(1).await;
    assert_eq!(
        (new.up_to(), store.calls(Operation::Put) - puts),
        (19, 1),
        "what is archived is not sent again"
    );
}
