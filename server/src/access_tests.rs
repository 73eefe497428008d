//! Users at the pipeline: what they may do is asked for every statement, in sessions and transactions that are open, too.

use super::*;
use crate::auth::TURN;

async fn run(graph: &mut Ephemeral, text: &str) -> Result<QueryResult, QueryError> {
    graph.execute(text.to_owned(), Vec::new(), Dialect::Gql).await
}

/// A graph, and who may do everything with it, after these statements.
async fn owner(statements: &[&str]) -> Ephemeral {
    let mut graph = Ephemeral::new();
    for text in statements {
        run(&mut graph, text)
            .await
            .unwrap_or_else(|error| panic!("{text}: {error}"));
    }
    graph
}

/// A session on the same graph.
fn session_of(graph: &Ephemeral, name: &str) -> Ephemeral {
    let user = Arc::new(UserRecord {
        name: name.to_owned(),
        hash: String::new(),
        role: String::new(),
    });
    Ephemeral {
        session: Session::new(graph.pipeline.clone(), user.clone()),
        pipeline: graph.pipeline.clone(),
        user,
    }
}

async fn refusal(graph: &mut Ephemeral, text: &str) -> (String, String) {
    let error = run(graph, text).await.unwrap_err();
    (error.detail, error.gqlstatus)
}

fn forbidden() -> (String, String) {
    ("Forbidden".to_owned(), "42NFF".to_owned())
}

fn dropped() -> (String, String) {
    ("UserDropped".to_owned(), "28000".to_owned())
}

#[tokio::test]
async fn a_statement_that_one_user_may_run_is_refused_to_another() {
    let graph = owner(&[
        "CREATE USER wes WITH PASSWORD 'x' ROLE writer",
        "CREATE USER rob WITH PASSWORD 'x' ROLE reader",
    ])
    .await;
    let (mut writer, mut reader) = (session_of(&graph, "wes"), session_of(&graph, "rob"));
    // The same text, so the same plan.
    for _ in 0..5 {
        run(&mut writer, "INSERT (:T)").await.unwrap();
        assert_eq!(refusal(&mut reader, "INSERT (:T)").await, forbidden());
    }
    let read = run(&mut reader, "MATCH (n:T) RETURN count(*) AS n")
        .await
        .unwrap();
    assert_eq!(read.rows, [[Value::Int(5)]]);
    for text in [
        "CREATE INDEX FOR (n:T) ON (n.x)",
        "DROP USER rob",
        "CREATE GRAPH g ANY",
    ] {
        assert_eq!(refusal(&mut writer, text).await, forbidden(), "{text}");
    }
}

#[tokio::test]
async fn a_revoked_right_is_refused_also_in_an_open_transaction_which_a_dropped_user_cannot_commit() {
    let mut graph = owner(&[
        "CREATE USER app WITH PASSWORD 'x'",
        "GRANT SELECT, INSERT ON GRAPH HOME_GRAPH TO app",
    ])
    .await;
    let mut app = session_of(&graph, "app");
    run(&mut app, "START TRANSACTION").await.unwrap();
    run(&mut app, "INSERT (:T)").await.unwrap();
    run(&mut graph, "REVOKE INSERT ON GRAPH HOME_GRAPH FROM app")
        .await
        .unwrap();
    // The transaction's own snapshot still has the right.
    assert_eq!(refusal(&mut app, "INSERT (:T)").await, forbidden());
    run(&mut app, "MATCH (n:T) RETURN n").await.unwrap();
    run(&mut graph, "DROP USER app").await.unwrap();
    assert_eq!(refusal(&mut app, "MATCH (n:T) RETURN n").await, dropped());
    assert_eq!(refusal(&mut app, "COMMIT").await, dropped());
    assert!(!app.in_transaction());
    for text in [
        "RETURN 1 AS one",
        "START TRANSACTION",
        "SESSION RESET",
        "SET READ PREFERENCE ANY",
        "KILL QUERY '0-1'",
    ] {
        assert_eq!(refusal(&mut app, text).await, dropped(), "{text}");
    }
    let left = run(&mut graph, "MATCH (n:T) RETURN count(*) AS n").await.unwrap();
    assert_eq!(left.rows, [[Value::Int(0)]]);
}

#[tokio::test]
async fn a_password_is_not_among_the_statements_that_run() {
    let mut graph = Ephemeral::new();
    let mut other = Ephemeral {
        session: Session::new(graph.pipeline.clone(), graph.user.clone()),
        pipeline: graph.pipeline.clone(),
        user: graph.user.clone(),
    };
    // While nobody's password is hashed, the statement waits.
    let turn = TURN.acquire().await.unwrap();
    let creating = tokio::spawn(async move {
        let text = "CREATE USER eve WITH PASSWORD 'secret-engine' ROLE reader";
        run(&mut graph, text).await
    });
    let list = "SELECT query FROM system.queries WHERE query STARTS WITH 'CREATE'";
    let seen = loop {
        let listed = run(&mut other, list).await.unwrap();
        match listed.rows.first().and_then(|row| row.first()) {
            Some(Value::String(text)) => break text.clone(),
            _ => tokio::time::sleep(Duration::from_millis(2)).await,
        }
    };
    drop(turn);
    creating.await.unwrap().unwrap();
    assert_eq!(seen, "CREATE USER eve WITH PASSWORD '***' ROLE reader");
}
