//! Who leads after a leader has gone: not the one that went.

use super::raft_tests::{Net, all_have, leader, start, three, write};
use geode_types::MemberId;

/// The election is a matter of chance: so often it must come out right.
const ROUNDS: usize = 4;

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_ends_does_not_come_back_to_lead() {
    for _ in 0..ROUNDS {
        let directory = tempfile::tempdir().unwrap();
        let net = Net::default();
        let members = three(&net, directory.path()).await;
        write(&members[0], 1..20).await;
        members[0].retire().await.unwrap();
        // The one that ends has nothing else to do yet, and votes. It has what the last one has, so it could be elected.
        let successor = 1 + leader(&[&members[1], &members[2]]).await;
        let last = &members[3 - successor];
        write(&members[successor], 20..30).await;
        all_have(&members[successor], &[last, &members[0]]).await;
        net.cut(members[successor].member());
        leader(&[last]).await;
        assert!(members[0].leader_term().is_none());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_was_killed_and_is_back_at_once_lets_another_one_lead() {
    for _ in 0..ROUNDS {
        let directory = tempfile::tempdir().unwrap();
        let net = Net::default();
        let [one, two, three] = three(&net, directory.path()).await;
        write(&one, 1..20).await;
        // A member that has less than the one that comes back could not be elected by it.
        all_have(&one, &[&two]).await;
        net.cut(three.member());
        one.shutdown().await;
        drop(one);
        net.forget(MemberId(1)).await;
        let one = start(&net, directory.path(), 1, true).await;
        leader(&[&two]).await;
        assert!(one.leader_term().is_none());
    }
}
