use super::*;
use geode_graph::{Commit, CommitSummary, Effect, NodeRecord, TokenKind};
use geode_types::{ErrorClass, NodeId, Outcome};
use std::sync::atomic::Ordering::Relaxed;

async fn run(graph: &mut Ephemeral, text: &str) -> Result<QueryResult, QueryError> {
    graph.execute(text.to_owned(), Vec::new(), Dialect::Gql).await
}

async fn count(graph: &mut Ephemeral, label: &str) -> Value {
    run(graph, &format!("MATCH (n:{label}) RETURN count(*) AS n"))
        .await
        .unwrap()
        .rows[0][0]
        .clone()
}

#[tokio::test]
async fn what_is_written_is_read_and_a_reset_empties_the_graph() {
    let mut graph = Ephemeral::new();
    let wrote = run(&mut graph, "INSERT (:A {n: 1})-[:R]->(:A {n: 2})")
        .await
        .unwrap();
    assert_eq!((wrote.summary.nodes_created, wrote.summary.edges_created), (2, 1));
    assert!(wrote.lsn.is_some());
    let read = run(&mut graph, "MATCH (a:A)-[:R]->(b) RETURN a.n AS a, b.n AS b")
        .await
        .unwrap();
    assert_eq!(
        (read.columns, read.rows),
        (vec!["a".into(), "b".into()], vec![vec![1.into(), 2.into()]])
    );
    graph.reset();
    assert_eq!(count(&mut graph, "A").await, Value::Int(0));
}

#[tokio::test]
async fn a_transaction_is_seen_by_itself_and_commits_or_leaves_no_trace() {
    for (end, remaining) in [("COMMIT", 2), ("ROLLBACK", 0)] {
        let mut graph = Ephemeral::new();
        run(&mut graph, "START TRANSACTION").await.unwrap();
        run(&mut graph, "INSERT (:T)").await.unwrap();
        run(&mut graph, "INSERT (:T)").await.unwrap();
        assert_eq!(count(&mut graph, "T").await, Value::Int(2));
        let ended = run(&mut graph, end).await.unwrap();
        assert_eq!(ended.summary.nodes_created, remaining);
        assert!(!graph.in_transaction());
        assert_eq!(
            count(&mut graph, "T").await,
            Value::Int(i64::try_from(remaining).unwrap()),
            "{end}"
        );
    }
}

#[tokio::test]
async fn a_statement_that_fails_inside_a_transaction_leaves_the_others_alone() {
    let mut graph = Ephemeral::new();
    run(&mut graph, "START TRANSACTION").await.unwrap();
    run(&mut graph, "INSERT (:T)").await.unwrap();
    run(&mut graph, "FOR x IN [1, 0] INSERT (:T {v: 1 / x})")
        .await
        .unwrap_err();
    assert!(graph.in_transaction());
    run(&mut graph, "COMMIT").await.unwrap();
    assert_eq!(count(&mut graph, "T").await, Value::Int(1));
}

#[tokio::test]
async fn transaction_commands_in_the_wrong_state_are_refused_and_change_nothing() {
    let mut graph = Ephemeral::new();
    for text in ["COMMIT", "ROLLBACK"] {
        assert_eq!(
            run(&mut graph, text).await.unwrap_err().gqlstatus,
            "2D000",
            "{text}"
        );
    }
    run(&mut graph, "START TRANSACTION READ ONLY").await.unwrap();
    assert_eq!(
        run(&mut graph, "START TRANSACTION").await.unwrap_err().gqlstatus,
        "25G01"
    );
    let refused = run(&mut graph, "INSERT (:T)").await.unwrap_err();
    assert_eq!(
        (refused.gqlstatus.as_str(), graph.in_transaction()),
        ("25G03", true)
    );
    run(&mut graph, "COMMIT").await.unwrap();
}

#[tokio::test]
async fn an_error_of_a_write_says_that_nothing_was_written() {
    let mut graph = Ephemeral::new();
    let error = run(&mut graph, "INSERT (:T {v: 1 / 0})").await.unwrap_err();
    assert_eq!(
        (error.class, error.outcome),
        (ErrorClass::ArithmeticError, Some(Outcome::Failed))
    );
    let error = run(&mut graph, "RETURN 1 / 0 AS x").await.unwrap_err();
    assert_eq!(error.outcome, None);
}

#[tokio::test]
async fn a_long_result_arrives_whole() {
    let mut graph = Ephemeral::new();
    let result = run(
        &mut graph,
        "FOR x IN range(1, 100000) RETURN x, 'some text to fill frames' AS t",
    )
    .await
    .unwrap();
    assert_eq!(result.rows.len(), 100_000);
    assert_eq!(result.rows[99_999][0], Value::Int(100_000));
}

/// Replication whose first command is refused late, when nobody waits for it any more; in the meantime there is no quorum.
struct Late {
    alone: Alone,
    leads: bool,
    /// What followers have shown already and this member has not applied yet.
    committed: Mutex<Option<Command>>,
    first: Mutex<Option<tokio::sync::oneshot::Receiver<()>>>,
    in_doubt: std::sync::atomic::AtomicBool,
}

impl Late {
    /// Nothing is late yet.
    fn new() -> Self {
        Self {
            alone: Alone::new(),
            leads: true,
            committed: Mutex::default(),
            first: Mutex::default(),
            in_doubt: false.into(),
        }
    }
}

impl Replication for Late {
    type Store = MemStore;

    fn store(&self) -> &Arc<MemStore> {
        self.alone.store()
    }

    fn leader_term(&self) -> Option<Term> {
        self.alone.leader_term().filter(|_| self.leads)
    }

    fn leader(&self) -> Option<MemberAddress> {
        None
    }

    fn last_log(&self) -> LogIndex {
        self.alone.last_log()
    }

    async fn read_index(&self) -> Result<LogIndex, NotNow> {
        if let Some(command) = self.committed.lock().unwrap().take() {
            self.alone.apply(&command).unwrap();
        }
        self.alone.read_index().await
    }

    async fn wait_applied(&self, index: LogIndex, deadline: Instant) -> bool {
        self.alone.wait_applied(index, deadline).await
    }

    fn submit(
        &self,
        command: &Command,
    ) -> impl Future<Output = Result<Decided, SubmitError>> + Send + 'static + use<> {
        let refused = self.first.lock().unwrap().take();
        self.in_doubt.store(refused.is_some(), Relaxed);
        let decided = refused.is_none().then(|| self.alone.submit(command));
        async move {
            if let Some(refused) = refused {
                let _ = refused.await;
            }
            match decided {
                Some(decided) => decided.await,
                None => Err(SubmitError::Refused("no quorum".to_owned())),
            }
        }
    }

    fn announced(&self) -> Vec<Announced> {
        self.alone.announced()
    }

    fn doubt(&self) -> impl Future<Output = ()> + Send + 'static + use<> {
        let in_doubt = self.in_doubt.load(Relaxed);
        async move {
            if !in_doubt {
                std::future::pending::<()>().await;
            }
        }
    }
}

#[tokio::test]
async fn a_write_that_is_refused_after_its_client_gave_up_stands_in_nobodys_way() {
    let (refuse, refused) = tokio::sync::oneshot::channel();
    let late = Late {
        first: Mutex::new(Some(refused)),
        ..Late::new()
    };
    let pipeline = Pipeline::new(
        late,
        Arc::new(WriteGate::default()),
        Arc::new(NoSystemTables),
        LIMITS,
    );
    let put = || {
        pipeline.write(|transaction| {
            transaction.put_user(geode_graph::UserRecord {
                name: "ada".to_owned(),
                hash: String::new(),
                role: "admin".to_owned(),
            })?;
            Ok(())
        })
    };
    let told = |refusal| match refusal {
        Refusal::Failed(error) => *error,
        Refusal::NotLeader(_) => panic!("it leads"),
    };
    let unknown = told(put().await.unwrap_err());
    assert_eq!(unknown.outcome, Some(Outcome::Unknown), "{unknown:?}");
    let conflict = told(put().await.unwrap_err());
    assert_eq!(
        conflict.class,
        ErrorClass::ConflictError,
        "it may be committed yet: {conflict:?}"
    );
    refuse.send(()).unwrap();
    while put().await.is_err() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_write_of_a_session_that_reads_anywhere_goes_to_the_leader_whatever_this_members_gate_says() {
    let gate = Arc::new(WriteGate::default());
    gate.set(crate::gate::Cause::DataVolume, Some("full".to_owned()));
    let follower = Late {
        leads: false,
        ..Late::new()
    };
    let pipeline = Arc::new(Pipeline::new(follower, gate, Arc::new(NoSystemTables), LIMITS));
    let mut session = Session::new(pipeline, Ephemeral::new().user);
    let (out, _pieces) = mpsc::channel(FRAMES_WAITING);
    let eventual = geode_types::ReadSetting::Level(geode_types::ConsistencyLevel::Eventual);
    let mut reads = geode_wire::client::SessionReads::default();
    reads.settings.set(eventual);
    let text = |text: &str| Execute {
        text: text.to_owned(),
        reads: Some(reads),
        ..Execute::default()
    };
    session
        .execute(text("MATCH (n) RETURN count(*) AS n"), &out)
        .await
        .unwrap();
    let refused = session.execute(text("INSERT (:T)"), &out).await;
    assert!(matches!(refused, Err(Refusal::NotLeader(None))), "{refused:?}");
}

#[tokio::test]
async fn a_write_that_writes_nothing_saw_what_a_follower_had_shown_before() {
    let node = Commit {
        request_id: None,
        certified_term: TERM,
        sequence: 1,
        at_micros: 0,
        effects: vec![
            Effect::DefineToken {
                kind: TokenKind::Label,
                id: 1,
                name: "T".to_owned(),
            },
            Effect::CreateNode {
                id: NodeId(1),
                record: NodeRecord {
                    labels: [1].into_iter().collect(),
                    properties: Vec::new(),
                },
            },
        ],
        summary: CommitSummary::default(),
    };
    let leader = Late {
        committed: Mutex::new(Some(Command::Commit(Box::new(node)))),
        ..Late::new()
    };
    let pipeline = Pipeline::new(
        leader,
        Arc::new(WriteGate::default()),
        Arc::new(NoSystemTables),
        LIMITS,
    );
    let mut session = Session::new(Arc::new(pipeline), Ephemeral::new().user);
    let (out, mut pieces) = mpsc::channel(FRAMES_WAITING);
    let text = "MATCH (n:T) OPTIONAL MATCH (m:U) DELETE m RETURN count(*) AS n";
    let execute = Execute {
        text: text.to_owned(),
        ..Execute::default()
    };
    session.execute(execute, &out).await.unwrap();
    let mut counts = Vec::new();
    while let Ok(piece) = pieces.try_recv() {
        if let Output::Rows(rows) = piece {
            counts.push(decode_value(&mut rows.data.as_ref()).unwrap());
        }
    }
    assert_eq!(counts, [Value::Int(1)]);
}

#[tokio::test]
async fn a_transaction_returns_to_its_savepoints() {
    let mut graph = Ephemeral::new();
    for text in [
        "START TRANSACTION",
        "INSERT (:T)",
        "SAVEPOINT one",
        "INSERT (:T), (:T)",
        "ROLLBACK TO SAVEPOINT one",
        "COMMIT",
    ] {
        run(&mut graph, text)
            .await
            .unwrap_or_else(|error| panic!("{text}: {error}"));
    }
    assert_eq!(count(&mut graph, "T").await, Value::Int(1));
    let error = run(&mut graph, "SAVEPOINT one").await.unwrap_err();
    assert_eq!(
        (error.detail.as_str(), error.gqlstatus.as_str()),
        ("NoTransaction", "2D000")
    );
}

#[tokio::test]
async fn how_a_session_reads_is_told_and_a_reset_brings_its_beginning_back() {
    let mut graph = Ephemeral::new();
    run(&mut graph, "START TRANSACTION").await.unwrap();
    run(&mut graph, "INSERT (:T)").await.unwrap();
    for level in geode_types::ConsistencyLevel::ALL {
        let text = format!("SET CONSISTENCY LEVEL {}", level.name());
        let told = run(&mut graph, &text).await.unwrap().reads;
        assert_eq!(told.map(|reads| reads.level), Some(level));
    }
    run(&mut graph, "COMMIT").await.unwrap();
    let told = run(&mut graph, "SET READ STALENESS 5 seconds")
        .await
        .unwrap()
        .reads;
    let told = told.unwrap();
    assert_eq!(told.level, geode_types::ConsistencyLevel::Eventual);
    assert_eq!(told.staleness(), Some(Duration::from_secs(5)));
    assert_eq!(count(&mut graph, "T").await, Value::Int(1));
    let told = run(&mut graph, "SESSION RESET").await.unwrap().reads;
    assert_eq!(told, Some(geode_types::ReadSettings::default()));
}

#[tokio::test]
async fn a_session_has_a_graph_parameters_and_limits_until_it_is_closed() {
    let mut graph = Ephemeral::new();
    for text in [
        "CREATE SCHEMA /s CREATE GRAPH /s/g ANY",
        "SESSION SET SCHEMA /s",
        "SESSION SET GRAPH g",
        "SESSION SET VALUE $x = 41",
        "INSERT (:T {x: $x + 1})",
    ] {
        run(&mut graph, text)
            .await
            .unwrap_or_else(|error| panic!("{text}: {error}"));
    }
    let read = run(&mut graph, "MATCH (n:T) RETURN n.x AS x").await.unwrap();
    assert_eq!(read.rows, [[Value::Int(42)]]);
    run(&mut graph, "SESSION SET query_timeout = '50ms'")
        .await
        .unwrap();
    let endless =
        "FOR a IN range(1, 5000) FOR b IN range(1, 5000) FOR c IN range(1, 5000) RETURN count(*) AS n";
    assert_eq!(
        run(&mut graph, endless).await.unwrap_err().detail,
        "DeadlineExceeded"
    );
    run(&mut graph, "SESSION SET max_query_memory = '64KB'")
        .await
        .unwrap();
    run(&mut graph, "SESSION RESET query_timeout").await.unwrap();
    let large = "FOR a IN range(1, 500) FOR b IN range(1, 500) RETURN a * b AS x ORDER BY x";
    let error = run(&mut graph, large).await.unwrap_err();
    assert!(
        error.message.contains("max_query_memory") && error.message.contains("Sort"),
        "{error}"
    );
    run(&mut graph, "SESSION CLOSE").await.unwrap();
    assert_eq!(
        count(&mut graph, "T").await,
        Value::Int(0),
        "the home graph again"
    );
    assert!(run(&mut graph, "RETURN $x AS x").await.is_err());
}

#[tokio::test]
async fn a_statement_sees_itself_among_those_that_run() {
    let mut graph = Ephemeral::new();
    let listed = run(&mut graph, "SELECT query, state FROM system.queries")
        .await
        .unwrap();
    assert_eq!(
        listed.rows,
        [["SELECT query, state FROM system.queries".into(), "running".into()]]
    );
    let error = run(&mut graph, "KILL QUERY '0-1'").await.unwrap_err();
    assert_eq!(error.detail, "QueryNotFound");
}

#[tokio::test]
async fn a_killed_statement_is_gone_at_once() {
    let mut graph = Ephemeral::new();
    let mut other = Ephemeral {
        session: Session::new(graph.pipeline.clone(), graph.user.clone()),
        pipeline: graph.pipeline.clone(),
        user: graph.user.clone(),
    };
    let running = tokio::spawn(async move {
        let endless =
            "FOR a IN range(1, 5000) FOR b IN range(1, 5000) FOR c IN range(1, 5000) RETURN count(*) AS n";
        run(&mut graph, endless).await
    });
    let id = loop {
        let listed = run(
            &mut other,
            "SELECT id FROM system.queries WHERE query STARTS WITH 'FOR a'",
        )
        .await
        .unwrap();
        match listed.rows.first().and_then(|row| row.first()) {
            Some(Value::String(id)) => break id.clone(),
            _ => tokio::time::sleep(Duration::from_millis(2)).await,
        }
    };
    run(&mut other, &format!("KILL QUERY '{id}'")).await.unwrap();
    let asked = Instant::now();
    assert_eq!(running.await.unwrap().unwrap_err().detail, "Killed");
    // The promise is 100 ms; by itself it would take hours, and a machine that runs all tests at once is slow.
    assert!(asked.elapsed() < Duration::from_secs(20), "{:?}", asked.elapsed());
    let left = run(
        &mut other,
        "SELECT id FROM system.queries WHERE query STARTS WITH 'FOR a'",
    )
    .await
    .unwrap();
    assert!(left.rows.is_empty());
}
