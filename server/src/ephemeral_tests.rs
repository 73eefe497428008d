use super::*;
use geode_types::{ErrorClass, Outcome};
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

#[tokio::test]
async fn a_statement_is_fast_enough_for_thousands_of_them() {
    let mut graph = Ephemeral::new();
    let start = Instant::now();
    for _ in 0..200 {
        graph.reset();
        run(&mut graph, "INSERT (:A)").await.unwrap();
        assert_eq!(count(&mut graph, "A").await, Value::Int(1));
    }
    let each = start.elapsed() / 200;
    assert!(
        each < Duration::from_millis(20),
        "{each:?} for a reset and two statements"
    );
}

/// Replication whose first command is refused late, when nobody waits for it any more; in the meantime there is no quorum.
struct Late {
    alone: Alone,
    first: Mutex<Option<tokio::sync::oneshot::Receiver<()>>>,
    in_doubt: std::sync::atomic::AtomicBool,
}

impl Replication for Late {
    type Store = MemStore;

    fn store(&self) -> &Arc<MemStore> {
        self.alone.store()
    }

    fn leader_term(&self) -> Option<Term> {
        self.alone.leader_term()
    }

    fn leader(&self) -> Option<MemberAddress> {
        None
    }

    fn last_log(&self) -> LogIndex {
        self.alone.last_log()
    }

    async fn read_index(&self) -> Result<LogIndex, NotNow> {
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
        alone: Alone::new(),
        first: Mutex::new(Some(refused)),
        in_doubt: false.into(),
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
    // The promise is 100 ms; a machine that runs all tests at once is slower.
    assert!(asked.elapsed() < Duration::from_secs(1), "{:?}", asked.elapsed());
    let left = run(
        &mut other,
        "SELECT id FROM system.queries WHERE query STARTS WITH 'FOR a'",
    )
    .await
    .unwrap();
    assert!(left.rows.is_empty());
}
