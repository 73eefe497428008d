//! Limits, cancellation, read-only transactions, and text that means harm.

use crate::support::{Db, Tables};
use geode_query::{Cancel, Context, Dialect, Kind, Limits, Params, TransactionCommand, execute, prepare};
use geode_types::{ErrorClass, QueryError, Value};
use proptest::prelude::*;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

fn limited(limits: Limits) -> Context<'static> {
    Context {
        system: &Tables,
        limits,
        ..Context::default()
    }
}

fn refused(text: &str, context: &Context<'_>) -> QueryError {
    let db = Db::new(Dialect::Gql);
    db.run_in(text, &Params::new(), context).expect_err(text)
}

#[test]
fn what_is_held_back_is_limited_by_rows_and_by_memory() {
    let rows = limited(Limits {
        max_rows_buffered: 1000,
        ..Limits::default()
    });
    for text in [
        "FOR x IN range(1, 2000) RETURN x ORDER BY x",
        "FOR x IN range(1, 2000) RETURN DISTINCT x",
        "FOR x IN range(1, 2000) RETURN x, count(*) AS c",
        "FOR x IN range(1, 2000) INSERT (:A)",
        "FOR x IN range(1, 1500) RETURN x UNION FOR x IN range(1, 1500) RETURN x",
    ] {
        let error = refused(text, &rows);
        assert_eq!(
            (error.class, error.detail.as_str()),
            (ErrorClass::LimitError, "TooManyRows"),
            "{text}: {error}"
        );
    }
    let memory = limited(Limits {
        max_memory_bytes: 100_000,
        ..Limits::default()
    });
    for text in [
        "FOR x IN range(1, 20000) RETURN collect(x) AS l",
        "FOR x IN range(1, 5000) RETURN x ORDER BY x DESC",
    ] {
        let error = refused(text, &memory);
        assert_eq!(error.detail, "OutOfMemory", "{text}: {error}");
    }
}

#[test]
fn a_page_behind_an_order_holds_back_little() {
    let db = Db::new(Dialect::Gql);
    let context = limited(Limits {
        max_rows_buffered: 4000,
        ..Limits::default()
    });
    let text = "FOR x IN range(1, 100000) RETURN x ORDER BY x DESC LIMIT 3";
    let answer = db.run_in(text, &Params::new(), &context).expect("the top");
    assert_eq!(
        answer.rows,
        [[Value::Int(100_000)], [Value::Int(99_999)], [Value::Int(99_998)]]
    );
}

#[test]
fn a_statement_stops_at_its_deadline_and_when_it_is_cancelled() {
    let endless =
        "FOR a IN range(1, 5000) FOR b IN range(1, 5000) FOR c IN range(1, 5000) RETURN count(*) AS n";
    let deadline = Some(Instant::now() + Duration::from_millis(50));
    let started = Instant::now();
    let error = refused(
        endless,
        &limited(Limits {
            deadline,
            ..Limits::default()
        }),
    );
    assert_eq!(error.detail, "DeadlineExceeded");
    assert!(started.elapsed() < Duration::from_secs(10));

    let cancel = Cancel::default();
    let context = Context {
        cancel: cancel.clone(),
        ..Context::default()
    };
    let canceller = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(50));
        cancel.cancel();
    });
    assert_eq!(refused(endless, &context).detail, "Cancelled");
    canceller.join().expect("the canceller");
}

#[test]
fn a_statement_is_taken_back_when_its_receiver_goes_away() {
    let db = Db::new(Dialect::Gql);
    let prepared = prepare(
        "FOR x IN range(1, 10) INSERT (n:A) RETURN n",
        Dialect::Gql,
        &Tables,
    )
    .expect("valid");
    let mut transaction = db.begin();
    let gone = &mut |_rows| ControlFlow::Break(());
    let error = execute(
        &prepared,
        &mut transaction,
        &Params::new(),
        &Context::default(),
        gone,
    )
    .expect_err("gone");
    assert_eq!(error.detail, "Cancelled");
    assert!(!transaction.has_writes());
}

#[test]
fn a_failure_takes_back_its_own_statement_only() {
    let db = Db::new(Dialect::Gql);
    let mut transaction = db.begin();
    let mut run = |text: &str| {
        let prepared = prepare(text, Dialect::Gql, &Tables).expect("valid");
        execute(
            &prepared,
            &mut transaction,
            &Params::new(),
            &Context::default(),
            &mut |_| ControlFlow::Continue(()),
        )
    };
    assert_eq!(run("INSERT (:A)").expect("one node").nodes_created, 1);
    assert!(run("FOR x IN [1, 0] INSERT (:A) LET y = 1 / x RETURN y").is_err());
    assert_eq!(run("INSERT (:A)").expect("another node").nodes_created, 1);
    db.commit(transaction);
    let answer = db
        .run("MATCH (n:A) RETURN count(*) AS c", &Params::new())
        .expect("a count");
    assert_eq!(answer.rows, [[Value::Int(2)]]);
}

#[test]
fn a_read_only_transaction_refuses_to_write() {
    let db = Db::new(Dialect::Gql);
    let prepared = prepare("INSERT (:A)", Dialect::Gql, &Tables).expect("valid");
    let sink = &mut |_rows| ControlFlow::Continue(());
    let error = execute(
        &prepared,
        &mut db.begin_read_only(),
        &Params::new(),
        &Context::default(),
        sink,
    )
    .expect_err("read-only");
    assert_eq!(
        (error.detail.as_str(), error.gqlstatus.as_str()),
        ("ReadOnlyTransaction", "25G03")
    );
}

#[test]
fn a_session_learns_what_a_statement_needs() {
    let cases = [
        ("MATCH (n) RETURN n", Kind::Read),
        ("MATCH (n) SET n.x = 1", Kind::Write),
        ("SELECT role FROM system.cluster_nodes", Kind::System),
        (
            "START TRANSACTION READ ONLY",
            Kind::TransactionControl(TransactionCommand::Begin { read_only: true }),
        ),
        ("COMMIT", Kind::TransactionControl(TransactionCommand::Commit)),
        ("ROLLBACK", Kind::TransactionControl(TransactionCommand::Rollback)),
    ];
    for (text, kind) in cases {
        assert_eq!(
            prepare(text, Dialect::Gql, &Tables).expect(text).kind(),
            kind,
            "{text}"
        );
    }
    let prepared = prepare("RETURN $b + $a AS sum, $b AS b", Dialect::Gql, &Tables).expect("valid");
    assert_eq!(prepared.columns(), ["sum", "b"]);
    assert_eq!(prepared.parameters().collect::<Vec<_>>(), ["b", "a"]);
}

fn on_a_small_stack(text: String) -> Result<usize, QueryError> {
    const STACK_BYTES: usize = 2 * 1024 * 1024;
    let work = move || {
        Db::new(Dialect::Gql)
            .run(&text, &Params::new())
            .map(|answer| answer.rows.len())
    };
    let thread = std::thread::Builder::new()
        .stack_size(STACK_BYTES)
        .spawn(work)
        .expect("a thread");
    thread.join().expect("no overflow and no panic")
}

#[test]
fn the_deepest_statement_that_is_read_is_also_run() {
    for (open, inner, close) in [
        ("(", "1", ")"),
        ("NOT ", "true", ""),
        ("[", "1", "]"),
        ("{a: ", "1", "}"),
        ("abs(", "1", ")"),
        ("1 + (", "1", ")"),
        ("[x IN [1] | ", "x", "]"),
        ("CASE WHEN true THEN ", "1", " END"),
    ] {
        // The statement's own expression is a level, and so is a list within the innermost one.
        let depth = geode_gql::MAX_NESTING - 2;
        let text = format!("RETURN {}{inner}{} AS x", open.repeat(depth), close.repeat(depth));
        assert_eq!(on_a_small_stack(text), Ok(1), "{open}");
    }
}

#[test]
fn long_statements_do_not_exhaust_the_stack() {
    const LENGTH: usize = 20_000;
    let cases = [
        format!("RETURN true{} AS x", " AND true".repeat(LENGTH)),
        format!("RETURN 1{} AS x", " + 1".repeat(LENGTH)),
        format!("{}RETURN 1 AS x", "WITH 1 AS a ".repeat(LENGTH)),
        format!("RETURN 1 AS x{}", " UNION ALL RETURN 1 AS x".repeat(LENGTH)),
        format!("INSERT (){}", ", ()".repeat(LENGTH)),
        format!("INSERT (){}", " INSERT ()".repeat(LENGTH)),
        format!("RETURN [1{}] AS x", ", 1".repeat(LENGTH)),
    ];
    for text in cases {
        let head: String = text.chars().take(40).collect();
        assert!(on_a_small_stack(text).is_ok(), "{head}");
    }
    let error =
        on_a_small_stack(format!("MATCH (){} RETURN 1 AS x", ", ()".repeat(LENGTH))).expect_err("too large");
    assert_eq!(error.detail, "PatternTooLarge");
}

fn clause() -> impl Strategy<Value = String> {
    let parts = vec![
        "MATCH (n)",
        "MATCH (n:A)-[e:T]->(m)",
        "OPTIONAL MATCH (n)-[e]-(m)",
        "MATCH p = (n)--(m)--(n)",
        "WHERE n.x > 1",
        "WITH n",
        "WITH n, count(*) AS c",
        "WITH *",
        "FOR x IN [1, null, 'a']",
        "UNWIND n.l AS x",
        "LET y = n.x",
        "FILTER y",
        "INSERT (n:A {x: 1})",
        "INSERT (n)-[:T]->(:B)",
        "CREATE (q {x: n.x})",
        "MERGE (k:A {x: 1})",
        "MERGE (n)-[f:T]->(k)",
        "SET n.x = 2",
        "SET n += {y: m.x}",
        "SET n:B",
        "REMOVE n.x, n:A",
        "DELETE n",
        "DETACH DELETE n, m",
        "RETURN n",
        "RETURN *",
        "RETURN n.x AS x, collect(m) AS l",
        "RETURN DISTINCT x ORDER BY n.x",
        "ORDER BY n.x DESC",
        "LIMIT 2",
        "OFFSET 1",
        "RETURN max(x) + y AS z",
        "UNION",
        "NEXT",
        "FINISH",
        "RETURN [q IN nodes(p) | q.x] AS l",
        "RETURN x / y AS d",
    ];
    prop::sample::select(parts).prop_map(str::to_owned)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    /// Any sequence of clauses either runs or is refused; what is refused before running has a place.
    #[test]
    fn random_clauses_never_panic(clauses in prop::collection::vec(clause(), 1..9)) {
        let db = Db::new(Dialect::Cypher);
        let setup = "INSERT (a:A {x: 1, l: [1, 2]})-[:T {y: 2}]->(b:B {x: 'b'}), (b)-[:U]->(a), (a)-[:T]->(a)";
        db.run(setup, &Params::new()).expect("the setup");
        let text = clauses.join(" ");
        if let Err(error) = db.run(&text, &Params::new()) {
            prop_assert!(error.class != ErrorClass::InternalError, "{text}: {error}");
            prop_assert!(error.phase == geode_types::Phase::Runtime || error.position.is_some(), "{text}: {error}");
        }
    }
}
