//! The client against scripted servers: leader changes, broken connections, unknown outcomes.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod support;

use geode_client::{ClientError, ReadMode, RetryPolicy, Statement};
use geode_types::{ConsistencyLevel, ErrorClass, Outcome, QueryError, ReadSetting, ReadSettings, Value};
use geode_wire::client::SessionReads;
use std::time::{Duration, Instant};
use support::{FakeCluster, Step};

const INSERT: &str = "INSERT (:Row)";

fn unavailable(detail: &str) -> QueryError {
    QueryError::runtime(ErrorClass::UnavailableError, detail, "08000", "not now")
}

#[tokio::test]
async fn a_write_follows_the_hint_to_the_leader_and_stays_there() {
    let cluster = FakeCluster::start(2);
    let client = cluster.builder(&[0]).build().unwrap();
    cluster.servers[0].then([Step::NotLeader(Some(1))]);
    client.query(INSERT).await.unwrap();
    client.query(INSERT).await.unwrap();
    assert_eq!(
        (cluster.servers[0].seen().len(), cluster.servers[1].seen().len()),
        (1, 2)
    );
}

#[tokio::test]
async fn a_write_whose_answer_was_lost_is_sent_again_with_the_same_id_and_applied_once() {
    let cluster = FakeCluster::start(1);
    let client = cluster.builder(&[0]).build().unwrap();
    cluster.servers[0].then([Step::CommitThenDrop]);
    let result = client.query(INSERT).await.unwrap();
    let seen = cluster.servers[0].seen();
    assert_eq!(seen.len(), 2);
    assert!(seen[0].request_id.is_some() && seen[0].request_id == seen[1].request_id);
    assert!(result.repeated);
    assert_eq!(cluster.committed(), 1);
    client.query(INSERT).await.unwrap();
    assert_ne!(cluster.servers[0].seen()[2].request_id, seen[0].request_id);
}

#[tokio::test]
async fn the_outcome_is_unknown_only_when_a_request_was_sent_and_not_answered() {
    let cluster = FakeCluster::start(1);
    let client = cluster
        .builder(&[0])
        .retry_policy(RetryPolicy::none())
        .build()
        .unwrap();
    cluster.servers[0].then([Step::Drop]);
    let error = client.query(INSERT).await.unwrap_err();
    assert_eq!(error.outcome(), Outcome::Unknown, "{error}");
    assert_eq!(error.to_query_error().outcome, Some(Outcome::Unknown));

    cluster.servers[0].then([Step::NotLeader(None)]);
    let error = client.query(INSERT).await.unwrap_err();
    assert_eq!(error.outcome(), Outcome::Failed, "{error}");

    cluster.servers[0].then([Step::Fail(unavailable("CommitUnknown").outcome(Outcome::Unknown))]);
    let error = client.query(INSERT).await.unwrap_err();
    assert_eq!(error.outcome(), Outcome::Unknown, "{error}");
}

#[tokio::test]
async fn an_unknown_outcome_stays_unknown_when_the_deadline_passes_without_a_leader() {
    let cluster = FakeCluster::start(1);
    let client = cluster
        .builder(&[0])
        .deadline(Duration::from_secs(3))
        .build()
        .unwrap();
    cluster.servers[0].then([Step::Drop]);
    cluster.servers[0].then(std::iter::repeat_n(Step::NotLeader(None), 200));
    let error = client.query(INSERT).await.unwrap_err();
    assert_eq!(error.outcome(), Outcome::Unknown, "{error}");
}

#[tokio::test]
async fn nobody_there_is_an_error_that_says_what_was_tried() {
    let client = geode_client::Client::builder()
        .endpoints(["127.0.0.1:9"])
        .danger_accept_any_certificate()
        .connect_timeout(Duration::from_millis(100))
        .deadline(Duration::from_millis(300))
        .build()
        .unwrap();
    let error = client.query(INSERT).await.unwrap_err();
    assert_eq!(error.outcome(), Outcome::Failed);
    assert!(error.to_string().contains("127.0.0.1:9"), "{error}");
}

#[tokio::test]
async fn a_wrong_password_is_refused_at_once() {
    let cluster = FakeCluster::start(1);
    let client = cluster.builder(&[0]).password("wrong").build().unwrap();
    let error = client.query(INSERT).await.unwrap_err();
    assert!(matches!(error, ClientError::Unauthenticated { .. }), "{error}");
}

#[tokio::test]
async fn an_error_of_the_statement_is_not_repeated() {
    let cluster = FakeCluster::start(1);
    let client = cluster.builder(&[0]).build().unwrap();
    let refusal = QueryError::compile(ErrorClass::SyntaxError, "UnexpectedSyntax", "42001", "no");
    cluster.servers[0].then([Step::Fail(refusal.clone())]);
    match client.query("nonsense").await.unwrap_err() {
        ClientError::Query(error) => assert_eq!(*error, refusal),
        other => panic!("{other}"),
    }
    assert_eq!(cluster.servers[0].seen().len(), 1);
}

#[tokio::test]
async fn a_silent_leader_is_left_as_soon_as_another_one_is_elected() {
    let cluster = FakeCluster::start(3);
    cluster.elect(0);
    let client = cluster.builder(&[0]).build().unwrap();
    client.query(INSERT).await.unwrap();
    cluster.servers[0].then([Step::Hang]);
    let start = Instant::now();
    let writing = tokio::spawn(async move { client.query(INSERT).await });
    tokio::time::sleep(Duration::from_millis(100)).await;
    cluster.elect(2);
    writing.await.unwrap().unwrap();
    assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
    assert_eq!(
        cluster.servers[2].seen()[0].request_id,
        cluster.servers[0].seen()[1].request_id
    );
}

#[tokio::test]
async fn a_silent_leader_is_left_also_when_a_login_at_the_others_takes_its_time() {
    let cluster = FakeCluster::start(3);
    cluster.elect(0);
    let client = cluster.builder(&[0]).build().unwrap();
    client.query(INSERT).await.unwrap();
    cluster.servers[0].then([Step::Hang]);
    cluster.slow_logins(Duration::from_millis(900));
    cluster.elect(2);
    tokio::time::timeout(Duration::from_secs(20), client.query(INSERT))
        .await
        .expect("another member leads")
        .unwrap();
    assert_eq!(cluster.servers[2].seen().len(), 1);
}

#[tokio::test]
async fn a_slow_leader_that_still_leads_is_waited_for() {
    let cluster = FakeCluster::start(2);
    cluster.elect(0);
    let client = cluster.builder(&[0, 1]).build().unwrap();
    cluster.servers[0].then([Step::Hang]);
    let slow = tokio::time::timeout(Duration::from_secs(2), client.query(INSERT)).await;
    assert!(slow.is_err(), "{slow:?}");
    assert_eq!(cluster.servers[1].seen().len(), 0);
}

#[tokio::test]
async fn a_read_that_any_member_may_answer_never_leaves_its_endpoint() {
    let cluster = FakeCluster::start(2);
    cluster.elect(1);
    let client = cluster.builder(&[0]).build().unwrap();
    cluster.servers[0].then([Step::Row(7)]);
    let read = Statement::new("MATCH (n) RETURN n").read(ReadMode::Local);
    let result = client
        .execute_on(&cluster.servers[0].address, read)
        .await
        .unwrap();
    assert_eq!(result.rows, [[Value::Int(7)]]);
    assert_eq!(result.columns, ["n"]);
    assert!(cluster.servers[1].seen().is_empty());
}

#[tokio::test]
async fn a_session_that_is_set_to_eventual_reads_from_its_endpoint_and_no_other_session_does() {
    let cluster = FakeCluster::start(2);
    cluster.elect(0);
    let client = cluster.builder(&[1]).build().unwrap();
    let mut eventual = ReadSettings::default();
    eventual.set(ReadSetting::Level(ConsistencyLevel::Eventual));
    let mut session = client.connect().await.unwrap();
    cluster.servers[0].then([Step::Set(eventual)]);
    session.query("SET CONSISTENCY LEVEL EVENTUAL").await.unwrap();
    cluster.servers[1].then([Step::Row(7)]);
    let read = session.query("MATCH (n) RETURN n").await.unwrap();
    assert_eq!(read.rows, [[Value::Int(7)]]);
    let seen = cluster.servers[1].seen();
    assert_eq!(seen[0].reads.map(|reads| reads.settings), Some(eventual));
    client.session().query("MATCH (n) RETURN n").await.unwrap();
    let other = cluster.servers[0].seen();
    assert_eq!(other[1].reads, Some(SessionReads::default()));
}

#[tokio::test]
async fn members_learned_from_the_cluster_are_used_when_the_endpoint_dies() {
    let cluster = FakeCluster::start(2);
    cluster.elect(0);
    let client = cluster.builder(&[0]).build().unwrap();
    client.query(INSERT).await.unwrap();
    cluster.servers[0].stop();
    cluster.elect(1);
    client.query(INSERT).await.unwrap();
    assert_eq!(cluster.servers[1].seen().len(), 1);
}

#[tokio::test]
async fn a_commit_whose_answer_was_lost_is_looked_up_by_its_id() {
    let cluster = FakeCluster::start(1);
    let client = cluster.builder(&[0]).build().unwrap();
    let mut session = client.connect().await.unwrap();
    session.begin().await.unwrap();
    session.query(INSERT).await.unwrap();
    assert!(session.in_transaction());
    cluster.servers[0].then([Step::CommitThenDrop]);
    let result = session.commit().await.unwrap();
    assert!(result.repeated && !session.in_transaction());
    let ids: Vec<_> = cluster.servers[0]
        .seen()
        .iter()
        .map(|seen| seen.request_id)
        .collect();
    assert!(ids[2].is_some() && ids[2] == ids[3], "{ids:?}");
    assert_eq!((ids[0], ids[1]), (None, None));
}

#[tokio::test]
async fn a_transaction_whose_connection_breaks_is_lost_and_nothing_of_it_was_written() {
    let cluster = FakeCluster::start(1);
    let client = cluster.builder(&[0]).build().unwrap();
    let mut session = client.session();
    session.begin().await.unwrap();
    cluster.servers[0].then([Step::Drop]);
    let error = session.query(INSERT).await.unwrap_err();
    assert_eq!(error.outcome(), Outcome::Failed);
    assert!(!session.in_transaction());

    session.begin().await.unwrap();
    let gone = QueryError::runtime(
        ErrorClass::SemanticError,
        "NoTransaction",
        "25G01",
        "no transaction",
    );
    cluster.servers[0].then([Step::Drop, Step::Fail(gone)]);
    let error = session.commit().await.unwrap_err();
    assert_eq!(error.outcome(), Outcome::Failed, "{error}");
}

#[tokio::test]
async fn statements_share_a_session_and_one_with_a_transaction_is_never_shared() {
    let cluster = FakeCluster::start(1);
    let client = cluster.builder(&[0]).build().unwrap();
    for _ in 0..3 {
        client.query(INSERT).await.unwrap();
    }
    // The greeting's, and one.
    assert_eq!(cluster.servers[0].sessions(), 2);
    client.query("/* nobody holds it */ begin").await.unwrap();
    client.query(INSERT).await.unwrap();
    assert_eq!(cluster.servers[0].sessions(), 3);
    let mut session = client.session();
    session.begin().await.unwrap();
    client.query(INSERT).await.unwrap();
    assert_eq!(cluster.servers[0].sessions(), 4);
    session.commit().await.unwrap();
    client.query(INSERT).await.unwrap();
    assert_eq!(cluster.servers[0].sessions(), 4);
}

#[tokio::test]
async fn more_statements_than_a_server_has_sessions_wait_for_each_other() {
    let cluster = FakeCluster::start(1);
    let client = cluster.builder(&[0]).build().unwrap();
    let statements: Vec<_> = (0..500)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { client.query(INSERT).await })
        })
        .collect();
    for statement in statements {
        statement.await.unwrap().unwrap();
    }
    // QUIC allows 100 at a time here.
    assert!(cluster.servers[0].sessions() <= 101);
}

#[tokio::test]
async fn what_a_session_has_set_is_said_again_to_another_leader_and_to_nobody_elses_session() {
    let cluster = FakeCluster::start(2);
    cluster.elect(0);
    let client = cluster.builder(&[0, 1]).build().unwrap();
    let mut session = client.session();
    session.query("SESSION SET VALUE $x = 1").await.unwrap();
    session.query(INSERT).await.unwrap();
    let streams = cluster.servers[0].sessions();
    client.query(INSERT).await.unwrap();
    assert_eq!(
        cluster.servers[0].sessions(),
        streams + 1,
        "a stream on which something was set is not shared"
    );
    cluster.elect(1);
    cluster.servers[0].then([Step::NotLeader(Some(1)), Step::NotLeader(Some(1))]);
    session.query(INSERT).await.unwrap();
    let texts = |server: usize| -> Vec<String> {
        let seen = cluster.servers[server].seen();
        seen.iter().map(|execute| execute.text.clone()).collect()
    };
    assert_eq!(texts(1), ["SESSION SET VALUE $x = 1", INSERT]);
    session.query("SESSION CLOSE").await.unwrap();
    session.query(INSERT).await.unwrap();
    assert_eq!(texts(1).len(), 4, "what was closed is not said again");
}
