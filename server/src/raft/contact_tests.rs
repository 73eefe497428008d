//! What an observer does for clients, and that it knows when it hears the leader no more.

use super::ProposeError;
use super::raft_tests::{Net, SOON, address, command, start, three, until, write};
use geode_types::{MemberId, Role};

#[tokio::test(flavor = "multi_thread")]
async fn an_observer_has_what_was_acknowledged_and_sends_writes_to_the_leader() {
    let directory = tempfile::tempdir().unwrap();
    let net = Net::default();
    let [one, _two, _three] = three(&net, directory.path()).await;
    let observer = start(&net, directory.path(), 4, false).await;
    one.add_learner(address(4)).await.unwrap();
    write(&one, 1..20).await;
    assert!(observer.wait_applied(one.applied(), SOON).await);
    let refused = observer.submit(&command(one.leader_term().unwrap(), 20)).await;
    assert_eq!(refused.unwrap_err(), ProposeError::NotLeader(Some(address(1))));
    assert_eq!(one.status().membership.voters, [1, 2, 3].map(MemberId));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_observer_that_is_cut_off_knows_that_it_hears_no_leader() {
    let directory = tempfile::tempdir().unwrap();
    let net = Net::default();
    let [one, _two, _three] = three(&net, directory.path()).await;
    write(&one, 1..20).await;
    let observer = start(&net, directory.path(), 4, false).await;
    assert!(observer.status().has_lost_leader(), "it never had one");
    one.add_learner(address(4)).await.unwrap();
    assert!(observer.wait_applied(one.applied(), SOON).await);
    let status = observer.status();
    assert_eq!((status.role, status.has_lost_leader()), (Role::Observer, false));
    net.cut(MemberId(4));
    until("an observer that hears nobody", || {
        observer.status().has_lost_leader()
    })
    .await;
    // It never stands for election, so the last leader stays the one that it knows.
    assert_eq!(observer.status().leader, Some(MemberId(1)));
    assert!(!one.status().has_lost_leader());
}
