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

/// A graph in which every node is joined to every other one: the trails through it are beyond counting.
fn everyone_knows_everyone() -> Db {
    let db = Db::new(Dialect::Gql);
    for text in [
        "FOR x IN range(1, 30) INSERT (:P {n: x})",
        "MATCH (a:P), (b:P) FILTER a.n <> b.n INSERT (a)-[:KNOWS]->(b)",
    ] {
        db.run(text, &Params::new()).expect(text);
    }
    db
}

#[test]
fn paths_beyond_counting_stop_at_the_deadline_and_at_the_memory_limit() {
    let db = everyone_knows_everyone();
    for text in [
        "MATCH (a:P {n: 1})-[e]->*(b:P {n: 2}) RETURN count(*) AS c",
        "MATCH (c:P {n: 3})-[f]-{9,}(d) WHERE f[0].x = d.n RETURN count(*) AS c",
        "MATCH (a:P {n: 1}) ((x)-[e]->(y)){3,} (b) WHERE b.x = 1 RETURN count(*) AS c",
        "MATCH (a:P) WHERE EXISTS { (a)-[e]->{8,}(:None) } RETURN count(*) AS c",
    ] {
        let limits = Limits {
            deadline: Some(Instant::now() + Duration::from_millis(50)),
            ..Limits::default()
        };
        let started = Instant::now();
        let error = db.run_in(text, &Params::new(), &limited(limits)).expect_err(text);
        assert_eq!(error.detail, "DeadlineExceeded", "{text}: {error}");
        assert!(started.elapsed() < Duration::from_secs(10), "{text}");
    }
    let limits = Limits {
        max_memory_bytes: 1_000_000,
        ..Limits::default()
    };
    for text in [
        "MATCH p = SHORTEST 9 GROUPS (a:P {n: 1})-[e]->{5,}(b:P) RETURN count(*) AS c",
        "MATCH (a:P {n: 1}) RETURN COLLECT { MATCH p = (a)-[e]->{1,4}(b) RETURN p } AS all",
    ] {
        let error = db.run_in(text, &Params::new(), &limited(limits)).expect_err(text);
        assert_eq!(error.detail, "OutOfMemory", "{text}: {error}");
    }
}

#[test]
fn what_ends_before_all_its_rows_are_asked_for_gives_its_memory_back() {
    let db = everyone_knows_everyone();
    let limits = Limits {
        max_memory_bytes: 200_000,
        max_rows_buffered: 1000,
        batch_rows: 4,
        ..Limits::default()
    };
    for (text, rows) in [
        (
            "MATCH (a:P {n: 1}) FOR x IN range(1, 2000) FILTER EXISTS { MATCH (a)-[:KNOWS]->(b) } RETURN count(*) AS c",
            2000,
        ),
        (
            "FOR x IN range(1, 2000) FILTER EXISTS { MATCH (a:P) RETURN a.n AS n ORDER BY n } RETURN count(*) AS c",
            2000,
        ),
        (
            "FOR x IN range(1, 2000) CALL { MATCH (a:P)-[:KNOWS]->(b) RETURN b.n AS n LIMIT 1 } RETURN count(*) AS c",
            2000,
        ),
    ] {
        let answer = db.run_in(text, &Params::new(), &limited(limits)).expect(text);
        assert_eq!(answer.rows, [[Value::Int(rows)]], "{text}");
    }
}

#[test]
fn a_shortest_path_is_found_where_walks_are_beyond_counting() {
    let db = everyone_knows_everyone();
    let text = "MATCH p = ANY SHORTEST (a:P)-[:KNOWS]->*(b:P) RETURN length(p) AS l, count(*) AS c";
    let answer = db.run(text, &Params::new()).expect("short paths");
    assert_eq!(answer.rows.len(), 2);
    let text =
        "MATCH p = ALL SHORTEST (a:P {n: 1})-[:KNOWS]-{1,}(b:P) FILTER a.n <> b.n RETURN count(*) AS c";
    assert_eq!(
        db.run(text, &Params::new()).expect("all of them").rows,
        [[Value::Int(2 * 29)]]
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
fn the_deepest_subquery_that_is_read_is_also_run() {
    let depth = geode_gql::MAX_SUBQUERY_NESTING;
    for (open, inner, close) in [
        ("EXISTS { MATCH (n) WHERE ", "true", " }"),
        ("COUNT { MATCH (n) FILTER 1 = ", "1", " RETURN n }"),
        ("VALUE { RETURN ", "1", " AS x }"),
        ("[(n)--(m WHERE m.x = 1) | ", "1", "]"),
        ("CASE WHEN (n)--(:A WHERE n.x = ", "1", ") THEN 1 END"),
    ] {
        let text = format!(
            "MATCH (n) RETURN {}{inner}{} AS x",
            open.repeat(depth),
            close.repeat(depth)
        );
        assert_eq!(on_a_small_stack(text), Ok(0), "{open}");
    }
    let called = format!(
        "{}RETURN 1 AS x{}",
        "CALL { ".repeat(depth),
        " } RETURN x".repeat(depth)
    );
    assert_eq!(on_a_small_stack(called), Ok(1));
    let (open, close) = ("(() ".repeat(depth - 1), ")+".repeat(depth));
    let repeated = format!("MATCH (n) {open}(()-->(){close} (m) RETURN m");
    assert_eq!(on_a_small_stack(repeated), Ok(0));
    let each = format!(
        "{}CREATE (){}",
        "FOREACH (i IN [1] | ".repeat(depth),
        ")".repeat(depth)
    );
    assert_eq!(on_a_small_stack(each), Ok(0));
    let deeper = format!(
        "RETURN {}1{} AS x",
        "VALUE { RETURN ".repeat(depth + 1),
        " AS x }".repeat(depth + 1)
    );
    assert_eq!(
        on_a_small_stack(deeper).expect_err("too deep").detail,
        "NestingTooDeep"
    );
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
        "MATCH p = (n)-[r*0..2]->(m)",
        "MATCH (n) ((a1)-[e1]->(b1) WHERE a1.x < n.x)+ (m)",
        "MATCH q = ANY SHORTEST (n)-[s]-+(m)",
        "OPTIONAL MATCH w = ALL SHORTEST ACYCLIC PATHS (n)-->*(k)",
        "MATCH REPEATABLE ELEMENTS (n)-[v]-{1,3}(m)",
        "WHERE (n)-->(:B) OR NOT EXISTS { (n)--(z) WHERE z.x = 1 }",
        "FILTER n.x IN [(n)-[g*1..2]-(h) | h.x]",
        "LET d = COUNT { MATCH (n)--(o) RETURN o }",
        "RETURN COLLECT { MATCH (n)-->(o) RETURN o.x ORDER BY o.x } AS cs, VALUE { RETURN 1 AS i } AS i",
        "CALL { MATCH (o:B) RETURN o, count(*) AS oc }",
        "CALL (n) { SET n.y = 1 }",
        "OPTIONAL CALL (n) { MATCH (n)-->(b2) RETURN b2 UNION MATCH (n)<--(b2) RETURN b2 }",
        "EXCEPT ALL",
        "INTERSECT",
        "OTHERWISE",
        "RETURN shortestPath((n)-[*]-(m)) AS sp",
        "SELECT count(*) AS c, x HAVING c > 1",
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
