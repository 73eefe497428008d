//! Sessions and the catalog: what is read as what, what is refused, and what the flagger says.

use geode_gql::{Dialect, parse, parse_and_flag, to_sexpr};

fn check(cases: &[(&str, &str)]) {
    for (text, wanted) in cases {
        let parsed = parse(text, Dialect::Gql).map(|statement| to_sexpr(&statement));
        assert_eq!(parsed.as_deref(), Ok(*wanted), "{text}");
    }
}

fn refused(cases: &[(&str, &str)]) {
    for (text, wanted) in cases {
        let said =
            parse(text, Dialect::Gql).map_or_else(|error| error.to_string(), |_| "accepted".to_owned());
        assert!(said.contains(wanted), "{text}: {said}");
    }
}

#[test]
fn transactions_have_modes_and_savepoints() {
    check(&[
        ("START TRANSACTION READ ONLY", "(begin read-only)"),
        ("SAVEPOINT before_import", "(savepoint before_import)"),
        ("ROLLBACK TO SAVEPOINT a", "(rollback-to a)"),
        ("ROLLBACK WORK TO a;", "(rollback-to a)"),
        ("ROLLBACK TO savepoint", "(rollback-to savepoint)"),
        ("RELEASE SAVEPOINT `a b`", "(release a b)"),
        ("release a", "(release a)"),
    ]);
    refused(&[
        ("START TRANSACTION READ ONLY, READ WRITE", "one access mode"),
        ("START TRANSACTION READ", "expected ONLY or WRITE"),
        ("START TRANSACTION READ ONLY,", "expected READ"),
        ("SAVEPOINT", "the name of a savepoint"),
    ]);
}

#[test]
fn sessions_are_set_reset_and_closed() {
    check(&[
        ("SESSION SET SCHEMA /a/b", "(set schema /a/b)"),
        ("SESSION SET SCHEMA ../c", "(set schema ../c)"),
        ("SESSION SET GRAPH CURRENT_GRAPH", "(set graph CURRENT_GRAPH)"),
        ("SESSION SET PROPERTY GRAPH /a/g", "(set graph /a/g)"),
        ("SESSION SET TIME ZONE '+02:00'", "(set time-zone \"+02:00\")"),
        ("SESSION SET VALUE $x = 12", "(set value $x 12)"),
        (
            "SESSION SET VALUE IF NOT EXISTS $x = [1]",
            "(set value if-not-exists $x [1])",
        ),
        ("SESSION SET query_timeout = '10s'", "(set query_timeout \"10s\")"),
        ("SESSION RESET", "(reset everything)"),
        ("RESET ALL CHARACTERISTICS;", "(reset everything)"),
        ("SESSION RESET ALL PARAMETERS", "(reset parameters)"),
        ("SESSION RESET PARAMETER $x", "(reset $x)"),
        ("SESSION RESET PROPERTY GRAPH", "(reset graph)"),
        ("SESSION RESET TIME ZONE", "(reset time-zone)"),
        ("SESSION CLOSE", "(close)"),
        ("KILL QUERY '7-3'", "(kill-query \"7-3\")"),
    ]);
    refused(&[
        ("SESSION SET", "SCHEMA, TIME, VALUE, PROPERTY or GRAPH"),
        ("SESSION SET TIME ZONE 2", "a time zone is a text"),
        ("SESSION SET VALUE x = 1", "a parameter, such as $name"),
        ("SESSION SET qery_timeout = 1", "did you mean query_timeout?"),
        ("SESSION RESET ALL", "expected PARAMETERS or CHARACTERISTICS"),
        ("SESSION OPEN", "expected CLOSE, RESET or SET"),
        ("KILL QUERY 7", "the id of a query is a text"),
    ]);
}

#[test]
fn how_a_session_reads_is_set() {
    check(&[
        ("SET CONSISTENCY LEVEL STRONG;", "(consistency STRONG)"),
        ("set consistency level causal", "(consistency CAUSAL)"),
        ("SET READ PREFERENCE NEAREST", "(read-preference NEAREST)"),
        ("SET READ STALENESS 5 seconds;", "(read-staleness 5s)"),
        ("SET READ STALENESS 1 MINUTE", "(read-staleness 60s)"),
    ]);
    refused(&[
        (
            "SET CONSISTENCY LEVEL FIRM",
            "expected STRONG, QUORUM, SEQUENTIAL, CAUSAL or EVENTUAL",
        ),
        ("SET READ PREFERENCE", "expected PRIMARY, REPLICA, NEAREST or ANY"),
        ("SET READ STALENESS low", "such as 5 SECONDS"),
        ("SET READ STALENESS 5", "expected SECONDS"),
        ("SET READ STALENESS 18446744073709551615 HOURS", "does not fit"),
    ]);
}

#[test]
fn schemas_graphs_and_their_types_are_created_and_dropped() {
    check(&[
        ("CREATE SCHEMA /a", "(create-schema /a)"),
        (
            "CREATE SCHEMA IF NOT EXISTS /a/b CREATE GRAPH /a/b/g ANY",
            "(create-schema if-not-exists /a/b) (create-graph /a/b/g any)",
        ),
        ("DROP SCHEMA IF EXISTS /a", "(drop-schema if-exists /a)"),
        ("CREATE GRAPH g TYPED ANY PROPERTY GRAPH", "(create-graph g any)"),
        (
            "CREATE OR REPLACE PROPERTY GRAPH g :: t",
            "(create-graph or-replace g (typed t))",
        ),
        (
            "CREATE GRAPH IF NOT EXISTS g LIKE CURRENT_GRAPH",
            "(create-graph if-not-exists g (like CURRENT_GRAPH))",
        ),
        (
            "CREATE GRAPH g ANY AS COPY OF /h",
            "(create-graph g any (copy-of /h))",
        ),
        ("DROP GRAPH IF EXISTS ../g", "(drop-graph if-exists ../g)"),
        (
            "CREATE GRAPH g {(p :Person {name STRING NOT NULL, tags LIST<STRING>}), (p)-[:KNOWS {since :: INT}]->(p)}",
            "(create-graph g ((node p :Person (name STRING NOT NULL) (tags LIST<STRING>)) (edge p :KNOWS p (since INT))))",
        ),
        (
            "CREATE GRAPH TYPE t AS {NODE TYPE City, NODE Person :Person&Human {age INT} AS p, \
             DIRECTED EDGE LIVES {since INT} CONNECTING (p TO City), (:City)<-[:IN]-(:Shop)}",
            "(create-graph-type t ((node type=City :City) (node type=Person p :Person&Human (age INT)) \
             (edge type=LIVES p :LIVES City (since INT)) (edge :Shop :IN :City)))",
        ),
        (
            "CREATE GRAPH TYPE IF NOT EXISTS t COPY OF /s/u",
            "(create-graph-type if-not-exists t (typed /s/u))",
        ),
        ("DROP GRAPH TYPE t", "(drop-graph-type t)"),
        ("DROP GRAPH type", "(drop-graph type)"),
        ("CREATE graph = (a)-[:T]->(b)", "(insert graph = (a)-[:T]->(b))"),
    ]);
    refused(&[
        ("CREATE SCHEMA", "the path of a schema"),
        ("CREATE OR REPLACE SCHEMA /a", "a schema cannot be replaced"),
        (
            "CREATE OR REPLACE GRAPH IF NOT EXISTS g ANY",
            "contradict each other",
        ),
        ("CREATE GRAPH", "the name of a graph"),
        ("CREATE GRAPH g TYPED", "a graph type"),
        ("CREATE GRAPH g {(:A {x INT, x INT})}", "defined twice"),
        ("CREATE GRAPH g {(:A)-[]->(:B)}", "exactly one label"),
        ("CREATE GRAPH g {(:A)~[:T]~(:B)}", "not supported"),
        ("CREATE GRAPH g {(:A {x NOSUCHTYPE})}", "NOSUCHTYPE"),
        ("CREATE GRAPH TYPE t ANY", "'{' and element types"),
        (
            "CREATE GRAPH social SHARD BY HASH(User.id) SHARDS 16",
            "SHARD BY is not supported",
        ),
    ]);
}

#[test]
fn a_query_says_which_graph_it_works_on() {
    check(&[
        ("USE g MATCH (n) RETURN n", "(use g) (match (n)) (return n)"),
        (
            "AT /a USE HOME_GRAPH RETURN 1 AS x",
            "(at /a) (use HOME_GRAPH) (return (as x 1))",
        ),
        (
            "USE a.g INSERT (:X) USE ./h INSERT (:Y)",
            "(use /a/g) (insert (:X)) (use CURRENT_SCHEMA/h) (insert (:Y))",
        ),
    ]);
    refused(&[
        ("USE", "the name of a graph"),
        ("AT g RETURN 1 AS x", "the path of a schema"),
    ]);
}

#[test]
fn the_flagger_names_what_is_not_of_the_standard() {
    let flags = |text| {
        let (_, extensions) = parse_and_flag(text, Dialect::Gql).expect(text);
        extensions
            .into_iter()
            .map(|extension| extension.construct)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        flags("MATCH (n:A)-[e]->(m) WHERE n.x > 1 RETURN upper(n.name) AS s ORDER BY s"),
        [""; 0]
    );
    assert_eq!(flags("INSERT (:A)"), [""; 0]);
    assert_eq!(
        flags("UNWIND [1] AS x WITH x CREATE (:A {x: toInteger('1')})"),
        [
            "UNWIND",
            "WITH",
            "CREATE of nodes and edges",
            "the function toInteger()"
        ]
    );
    assert_eq!(flags("MERGE (n:A)"), ["MERGE"]);
    assert_eq!(flags("BEGIN"), ["BEGIN"]);
    assert_eq!(flags("SAVEPOINT a"), ["SAVEPOINT"]);
    assert_eq!(flags("SET READ STALENESS 5 SECONDS"), ["SET READ STALENESS"]);
    for (text, construct) in [
        (
            "MATCH p = shortestPath((a)-[]->*(b)) RETURN p",
            "the function shortestPath()",
        ),
        (
            "MATCH p = allShortestPaths((a)-[]->*(b)) RETURN p",
            "the function allShortestPaths()",
        ),
        (
            "MATCH (a)-[:T*1..3]->(b) RETURN b",
            "a quantifier within brackets",
        ),
        ("MATCH (a)-->(b) RETURN b", "an edge of two dashes"),
        ("MATCH (a:A:B) RETURN a", "labels with colons between them"),
        ("MATCH ()-[e:A|:B]->() RETURN e", "a colon behind a bar"),
        ("FOREACH (x IN [1] | INSERT (:A))", "FOREACH"),
        ("MATCH (n) RETURN n {.name} AS m", "a map projection"),
        ("RETURN [x IN [1] | x] AS l", "a list comprehension"),
        (
            "MATCH (n) RETURN [(n)-[e]->(m) | m.x] AS l",
            "a pattern comprehension",
        ),
        (
            "MATCH (n) WHERE (n)-[]->(:A) RETURN n",
            "a pattern as a condition",
        ),
        ("MATCH (n) WHERE n:A RETURN n", "labels as a condition"),
        (
            "RETURN all(x IN [1] WHERE x > 0) AS a",
            "all, any, none and single",
        ),
        (
            "RETURN reduce(t = 0, x IN [1] | t + x) AS r",
            "the function reduce()",
        ),
        (
            "MATCH (n) RETURN COUNT { MATCH (n)-[]->() RETURN n } AS c",
            "COUNT { … }",
        ),
        ("RETURN 1 != 2 AS a", "the operator !="),
        ("RETURN 10s AS a", "a duration such as 10s"),
        ("MERGE ON (a) ON MATCH SET a.x = 1", "MERGE"),
    ] {
        assert_eq!(flags(text), [construct], "{text}");
    }
    assert_eq!(
        flags(
            "MATCH (a)-[e:A|B]->{1,3}(b:A&B) WHERE EXISTS {(a)-[]->(b)} AND a IS LABELED C RETURN VALUE {RETURN 1 AS x} AS v"
        ),
        [""; 0]
    );
}
