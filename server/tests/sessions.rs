//! Sessions on a real single-member server in this process, over QUIC on loopback: statements, transactions, retries, and what becomes
//! of peers that misbehave.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

mod support;

use geode_client::{ClientError, Statement, tls};
use geode_config::Config;
use geode_server::{ServeOptions, Server};
use geode_types::{ErrorClass, Outcome, RequestId, Value};
use geode_wire::client::{ClientReply, ClientRequest, Execute, Hello, PROTOCOL_VERSION};
use geode_wire::{CLIENT_ALPN, FRAME_BYTES_MAX, close_code, decode, encode, read_frame, write_frame};
use quinn::{Connection, ConnectionError, Endpoint, VarInt};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};
use support::{Running, free_port, query_error, start};
use uuid::Uuid;

impl Running {
    async fn raw(&self) -> Connection {
        let trust = tls::Trust::Authorities(self.file("tls/ca.crt"));
        let mut endpoint = Endpoint::client((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        endpoint.set_default_client_config(tls::client_config(&trust, None, CLIENT_ALPN).unwrap());
        endpoint
            .connect(self.address, "localhost")
            .unwrap()
            .await
            .unwrap()
    }

    fn hello(&self) -> ClientRequest {
        ClientRequest::Hello(Hello {
            protocol: PROTOCOL_VERSION,
            client: "test".into(),
            user: "admin".into(),
            password: self.password(),
        })
    }

    async fn greeted(&self) -> Connection {
        let connection = self.raw().await;
        match ask(&connection, &self.hello()).await.as_slice() {
            [ClientReply::Welcome(_)] => connection,
            other => panic!("{other:?}"),
        }
    }
}

/// Sends a request on a stream of its own and reads its answer to the end.
async fn ask(connection: &Connection, request: &ClientRequest) -> Vec<ClientReply> {
    let (mut send, mut recv) = connection.open_bi().await.unwrap();
    write_frame(&mut send, &encode(request)).await.unwrap();
    send.finish().unwrap();
    let mut replies = Vec::new();
    while let Ok(Some(frame)) = read_frame(&mut recv, FRAME_BYTES_MAX).await {
        replies.push(decode(&frame).unwrap());
    }
    replies
}

fn closed_with(error: &ConnectionError) -> Option<VarInt> {
    match error {
        ConnectionError::ApplicationClosed(close) => Some(close.error_code),
        _ => None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_written_graph_is_read_back_with_its_lsn() {
    let running = start(|_| {}).await;
    let client = running.client();
    let wrote = client
        .execute(
            Statement::new("INSERT (:Person {name: $name})-[:KNOWS]->(:Person {name: 'Charles'})")
                .param("name", "Ada"),
        )
        .await
        .unwrap();
    assert_eq!((wrote.summary.nodes_created, wrote.summary.edges_created), (2, 1));
    let read = Statement::new("MATCH (a:Person)-[:KNOWS]->(b) RETURN a.name AS a, b.name AS b")
        .read(geode_client::ReadMode::AtLeast(wrote.lsn.unwrap()));
    let read = client.execute(read).await.unwrap();
    assert_eq!(read.rows, [[Value::from("Ada"), Value::from("Charles")]]);
    let nodes = client
        .query("SELECT role, state FROM system.cluster_nodes")
        .await
        .unwrap();
    assert_eq!(nodes.rows, [[Value::from("leader"), Value::from("online")]]);
    running.server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_is_listed_with_the_lsn_of_its_commit_until_it_is_dropped() {
    let running = start(|_| {}).await;
    let client = running.client();
    let created = client.query("CREATE CHECKPOINT 'before'").await.unwrap();
    let list = "SELECT name, wal_position FROM system.checkpoints ORDER BY timestamp DESC";
    let listed = client.query(list).await.unwrap();
    let lsn = created.lsn.unwrap().to_string();
    assert_eq!(listed.rows, [[Value::from("before"), lsn.into()]]);
    let again = query_error(client.query("CREATE CHECKPOINT 'before'").await);
    assert_eq!(
        (again.detail.as_str(), again.outcome),
        ("CheckpointExists", Some(Outcome::Failed))
    );
    client.query("DROP CHECKPOINT 'before'").await.unwrap();
    assert!(client.query(list).await.unwrap().rows.is_empty());
    let gone = query_error(client.query("DROP CHECKPOINT 'before'").await);
    assert_eq!(gone.detail, "CheckpointNotFound");
    running.server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_lsn_that_does_not_come_is_an_error_and_not_an_old_answer() {
    let running = start(|_| {}).await;
    let read = Statement::new("MATCH (n) RETURN n")
        .read(geode_client::ReadMode::AtLeast("0/999999".parse().unwrap()))
        .timeout(Duration::from_millis(300));
    assert_eq!(
        query_error(running.client().execute(read).await).detail,
        "LsnNotReached"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_request_again_is_answered_and_not_applied_again() {
    let running = start(|_| {}).await;
    let connection = running.greeted().await;
    let execute = Execute {
        text: "INSERT (:Once) RETURN 1 AS one".into(),
        request_id: Some(RequestId {
            session: Uuid::from_u128(1),
            sequence: 1,
        }),
        ..Execute::default()
    };
    let mut lsns = Vec::new();
    for repeated in [false, true, true] {
        let replies = ask(&connection, &ClientRequest::Execute(execute.clone())).await;
        let Some(ClientReply::Done(done)) = replies.last() else {
            panic!("{replies:?}")
        };
        assert_eq!((done.repeated, done.summary.nodes_created), (repeated, 1));
        lsns.push(done.lsn);
    }
    lsns.dedup();
    assert_eq!(lsns.len(), 1);
    let count = running
        .client()
        .query("MATCH (o:Once) RETURN count(*) AS n")
        .await
        .unwrap();
    assert_eq!(count.rows, [[Value::Int(1)]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_request_at_the_same_time_is_applied_once_and_both_are_told() {
    let running = start(|_| {}).await;
    let connection = running.greeted().await;
    for sequence in 1..20 {
        let request = ClientRequest::Execute(Execute {
            text: "INSERT (:Twin)".into(),
            request_id: Some(RequestId {
                session: Uuid::from_u128(2),
                sequence,
            }),
            ..Execute::default()
        });
        let (one, two) = tokio::join!(ask(&connection, &request), ask(&connection, &request));
        let done = |replies: &[ClientReply]| match replies.last() {
            Some(ClientReply::Done(done)) => (done.lsn, done.repeated),
            other => panic!("{other:?}"),
        };
        let (one, two) = (done(&one), done(&two));
        assert!(one.0 == two.0 && one.1 != two.1, "{one:?} {two:?}");
    }
    let count = running
        .client()
        .query("MATCH (o:Twin) RETURN count(*) AS n")
        .await
        .unwrap();
    assert_eq!(count.rows, [[Value::Int(19)]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_increments_are_all_counted() {
    let running = start(|_| {}).await;
    let client = running.client();
    client.query("INSERT (:Counter {n: 0})").await.unwrap();
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move {
                for _ in 0..10 {
                    client.query("MATCH (c:Counter) SET c.n = c.n + 1").await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let counted = client.query("MATCH (c:Counter) RETURN c.n AS n").await.unwrap();
    assert_eq!(counted.rows, [[Value::Int(80)]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_transactions_that_write_what_the_other_read_one_is_refused() {
    let running = start(|_| {}).await;
    let client = running.client();
    client
        .query("INSERT (:Account {id: 1, on: true}), (:Account {id: 2, on: true})")
        .await
        .unwrap();
    let (mut one, mut two) = (client.session(), client.session());
    for (session, id) in [(&mut one, 1_i64), (&mut two, 2)] {
        session.begin().await.unwrap();
        let on = session
            .query("MATCH (a:Account) WHERE a.on RETURN count(*) AS n")
            .await
            .unwrap();
        assert_eq!(on.rows, [[Value::Int(2)]]);
        let off = Statement::new("MATCH (a:Account) WHERE a.id = $id SET a.on = false").param("id", id);
        session.execute(off).await.unwrap();
    }
    one.commit().await.unwrap();
    let error = query_error(two.commit().await);
    assert_eq!(
        (error.class, error.outcome),
        (ErrorClass::ConflictError, Some(Outcome::Failed))
    );
    assert!(error.gqlstatus.starts_with("40") && error.hint.is_some());
    let on = client
        .query("MATCH (a:Account) WHERE a.on RETURN count(*) AS n")
        .await
        .unwrap();
    assert_eq!(on.rows, [[Value::Int(1)]], "write skew");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_stays_open_too_long_is_taken_back_and_told() {
    let running = start(|config| {
        config.performance.transaction_timeout = geode_config::Duration(Duration::from_millis(300));
    })
    .await;
    let client = running.client();
    let mut session = client.session();
    session.begin().await.unwrap();
    session.query("INSERT (:Slow)").await.unwrap();
    tokio::time::sleep(Duration::from_millis(600)).await;
    let error = query_error(session.commit().await);
    assert_eq!(
        (error.detail.as_str(), error.outcome),
        ("TransactionTimedOut", Some(Outcome::Failed))
    );
    let count = client.query("MATCH (s:Slow) RETURN count(*) AS n").await.unwrap();
    assert_eq!(count.rows, [[Value::Int(0)]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_session_sets_holds_for_it_and_for_no_other_one() {
    let running = start(|_| {}).await;
    let client = running.client();
    client.query("CREATE GRAPH /g ANY").await.unwrap();
    let mut session = client.session();
    session.query("SESSION SET GRAPH /g").await.unwrap();
    session.query("INSERT (:Mine)").await.unwrap();
    session.begin().await.unwrap();
    session.query("INSERT (:Mine)").await.unwrap();
    session.commit().await.unwrap();
    let count = "MATCH (m:Mine) RETURN count(*) AS n";
    for _ in 0..3 {
        let others = client.query(count).await.unwrap();
        assert_eq!(others.rows, [[Value::Int(0)]], "another one's graph");
    }
    assert_eq!(session.query(count).await.unwrap().rows, [[Value::Int(2)]]);
    session.query("SESSION RESET").await.unwrap();
    assert_eq!(session.query(count).await.unwrap().rows, [[Value::Int(0)]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_ends_with_its_stream() {
    let running = start(|_| {}).await;
    let client = running.client();
    let mut session = client.session();
    session.begin().await.unwrap();
    session.query("INSERT (:Gone)").await.unwrap();
    drop(session);
    let count = client.query("MATCH (g:Gone) RETURN count(*) AS n").await.unwrap();
    assert_eq!(count.rows, [[Value::Int(0)]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_volume_refuses_writes_and_goes_on_reading() {
    let running = start(|_| {}).await;
    let data = running.data;
    running.server.shutdown().await;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
    let mut config = Config::default();
    config.storage.data_dir = data.path().join("data");
    config.server.listen = address.to_string();
    config.cluster.node.address = format!("localhost:{}", address.port());
    config.server.metrics_listen.clear();
    config.storage.free_space_min = geode_config::Bytes(u64::MAX / 8);
    // The last snapshots of the first server may live a moment longer than its shutdown.
    let server = loop {
        let options = ServeOptions {
            config: config.clone(),
            ..ServeOptions::default()
        };
        match Server::start(options).await {
            Ok(server) => break server,
            Err(error) if error.to_string().contains("already open") => {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            Err(error) => panic!("{error}"),
        }
    };
    let running = Running {
        server,
        address,
        data,
    };
    running.wait_for_first_user().await;
    let deadline = Instant::now() + Duration::from_secs(10);
    let error = loop {
        match running.client().query("INSERT (:Full)").await {
            Err(ClientError::Query(error)) => break *error,
            other => assert!(Instant::now() < deadline, "{other:?}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert_eq!(
        (error.detail.as_str(), error.outcome),
        ("ReadOnly", Some(Outcome::Failed))
    );
    running
        .client()
        .query("MATCH (n) RETURN count(*) AS n")
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_statement_stops_at_its_timeout_and_when_its_client_leaves() {
    let running = start(|config| config.performance.worker_threads = 1).await;
    let client = running.client();
    let endless = "FOR a IN range(1, 100000) FOR b IN range(1, 100000) RETURN count(*) AS n";
    let start = Instant::now();
    let error = query_error(
        client
            .execute(Statement::new(endless).timeout(Duration::from_millis(300)))
            .await,
    );
    assert_eq!(error.class, ErrorClass::LimitError, "{error}");
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    let abandoned = tokio::time::timeout(Duration::from_millis(200), client.query(endless)).await;
    assert!(abandoned.is_err());
    // The only thread is free again.
    tokio::time::timeout(Duration::from_secs(20), client.query("RETURN 1 AS one"))
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_statements_are_refused_and_the_server_lives() {
    let running = start(|_| {}).await;
    let client = running.client();
    let deep = format!("RETURN {}1{} AS x", "(".repeat(50_000), ")".repeat(50_000));
    let long = format!("RETURN '{}' AS x", "x".repeat(2 << 20));
    for text in [deep.as_str(), long.as_str(), "", "\0", "MATCH (n:Person RETURN n"] {
        let error = query_error(client.query(text).await);
        assert!(
            matches!(error.class, ErrorClass::SyntaxError | ErrorClass::LimitError),
            "{error}"
        );
    }
    client.query("RETURN 1 AS one").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_and_oversized_frames_close_the_connection_with_a_code() {
    let running = start(|_| {}).await;
    let oversized = (u32::try_from(FRAME_BYTES_MAX).unwrap() + 1)
        .to_le_bytes()
        .to_vec();
    let cases = [
        (vec![4, 0, 0, 0, 0xc1, 0xc1, 0xc1, 0xc1], close_code::MALFORMED),
        (oversized, close_code::TOO_LARGE),
    ];
    for (bytes, code) in cases {
        for greeted in [false, true] {
            let connection = if greeted {
                running.greeted().await
            } else {
                running.raw().await
            };
            let (mut send, _recv) = connection.open_bi().await.unwrap();
            send.write_all(&bytes).await.unwrap();
            let error = tokio::time::timeout(Duration::from_secs(20), connection.closed())
                .await
                .unwrap();
            assert_eq!(
                closed_with(&error),
                Some(VarInt::from_u32(code)),
                "{greeted} {error}"
            );
        }
    }
    running.client().query("RETURN 1 AS one").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_gets_no_session_and_no_hint_what_was_wrong() {
    let running = start(|_| {}).await;
    let mut reasons = Vec::new();
    for (user, password) in [("admin", "wrong"), ("nobody", "wrong")] {
        let connection = running.raw().await;
        let hello = Hello {
            protocol: PROTOCOL_VERSION,
            client: "test".into(),
            user: user.into(),
            password: password.into(),
        };
        let start = Instant::now();
        assert!(ask(&connection, &ClientRequest::Hello(hello)).await.is_empty());
        assert!(start.elapsed() >= Duration::from_secs(1), "no delay");
        let ConnectionError::ApplicationClosed(close) = connection.closed().await else {
            panic!("not closed")
        };
        assert_eq!(close.error_code, VarInt::from_u32(close_code::UNAUTHENTICATED));
        reasons.push(close.reason);
    }
    assert_eq!(reasons[0], reasons[1]);
    let connection = running.raw().await;
    assert!(
        ask(
            &connection,
            &ClientRequest::Execute(Execute {
                text: "RETURN 1 AS one".into(),
                ..Execute::default()
            })
        )
        .await
        .is_empty()
    );
    assert_eq!(
        closed_with(&connection.closed().await),
        Some(VarInt::from_u32(close_code::MALFORMED))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_beyond_the_limit_are_told_that_the_server_is_busy() {
    let running = start(|config| config.server.max_connections = 2).await;
    // The clients that waited for the first user may still be leaving.
    tokio::time::sleep(Duration::from_millis(200)).await;
    let _held = [running.greeted().await, running.greeted().await];
    let late = running.raw().await;
    let error = tokio::time::timeout(Duration::from_secs(20), late.closed())
        .await
        .unwrap();
    assert_eq!(
        closed_with(&error),
        Some(VarInt::from_u32(close_code::BUSY)),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_lets_the_running_statement_end() {
    let running = start(|_| {}).await;
    let (client, other) = (running.client(), running.client());
    let slow = tokio::spawn(async move {
        client
            .query("FOR a IN range(1, 4000) FOR b IN range(1, 1000) RETURN count(*) AS n")
            .await
    });
    let under_way = "SELECT id FROM system.queries WHERE query STARTS WITH 'FOR a'";
    let deadline = Instant::now() + Duration::from_secs(20);
    while other.query(under_way).await.unwrap().rows.is_empty() {
        assert!(Instant::now() < deadline, "the statement does not begin");
    }
    assert!(!slow.is_finished(), "the statement is too short for this test");
    running.server.shutdown().await;
    assert_eq!(slow.await.unwrap().unwrap().rows, [[Value::Int(4_000_000)]]);
}
