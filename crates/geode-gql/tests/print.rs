//! A printed tree is read back as the same tree: every statement of the repository's scenarios, and what they do not have.

use geode_gql::{Dialect, parse, to_sexpr};
use std::path::Path;

/// Reads, prints, reads again; what is no statement proves nothing.
fn comes_back(text: &str) -> Result<bool, String> {
    let Ok(tree) = parse(text, Dialect::Gql) else {
        return Ok(false);
    };
    let printed = tree.to_string();
    match parse(&printed, Dialect::Gql) {
        Ok(again) if again == tree => Ok(true),
        Ok(again) => Err(format!(
            "{text}\n  printed {printed}\n  was {}\n  is {}",
            to_sexpr(&tree),
            to_sexpr(&again)
        )),
        Err(error) => Err(format!("{text}\n  printed {printed}\n  {error}")),
    }
}

/// The statements of a scenario file: queries, and the lines of the other sections that have statements.
fn statements(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for part in text.split("\n--- ").skip(1) {
        let part = part.split("\n===").next().unwrap_or_default();
        let (section, body) = part.split_once('\n').unwrap_or((part, ""));
        match section {
            "query" | "after" => found.push(body.to_owned()),
            "setup" => found.extend(body.split_terminator(";\n").map(str::to_owned)),
            "accepted" | "refused" => found.extend(body.lines().map(str::to_owned)),
            _ => {}
        }
    }
    found
}

fn scenarios(folder: &Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).expect("a folder of scenarios") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            scenarios(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "gql") {
            found.extend(statements(
                &std::fs::read_to_string(&path).expect("a scenario file"),
            ));
        }
    }
}

#[test]
fn every_statement_of_the_scenarios_is_printed_and_read_back_as_the_same_tree() {
    let mut texts = Vec::new();
    // Relative to the package, where Cargo runs tests.
    for folder in ["../geode-query/tests/scenarios", "conformance"] {
        scenarios(Path::new(folder), &mut texts);
    }
    let results: Vec<_> = texts.iter().map(|text| comes_back(text)).collect();
    let read = results.iter().filter(|result| **result == Ok(true)).count();
    let failures: Vec<_> = results.into_iter().filter_map(Result::err).collect();
    assert!(
        failures.is_empty(),
        "{} differ\n\n{}",
        failures.len(),
        failures.join("\n\n")
    );
    assert!(read > 1500, "only {read} statements were read");
}

#[test]
fn constructs_that_are_hard_to_print_come_back() {
    for text in [
        "RETURN -5, - 5, -(5), - -5, -x ^ 2, (-5)[0], -(2 ^ 3), 5 - -x, -9223372036854775808",
        "RETURN (a - b) - c, a - (b - c), a * (b + c), (a * b) + c, (a ^ b) ^ c",
        "RETURN ((x IS NULL)) - [1], (x:A) = y, NOT (x AND y) OR NOT x AND y, (NOT x) = y",
        "RETURN ((x IS NULL) IS NULL) < - [1], x < (y < z), (x < y) < z",
        "RETURN [(x IN l)], [x IN l], [x IN l, y], any((x IN l)), [x IN (a OR b) WHERE (x:A) | x]",
        "RETURN (a.b).c, a.b.c, a[1][2..], a[..2], (a.b)[0].c, {a: 1}.a, [1][0], '\\'\\\\'.x",
        "RETURN ((a)-->(b)) AND true, NOT (a)-->(b), size([(a)-->(b) | a]), [((a)-->(b))]",
        "RETURN shortestPath((a)-[*]-(b)), allShortestPaths((a)-[*]-(b))[0], shortestPath((a)--(b)).x",
        "RETURN `all` AS `order`, `a b`.`c``d`, `record` {.x, .*, y, z: 1}, $`p q`, $1, {``: 1} AS m",
        "RETURN trim(BOTH 'x' FROM y), trim(y), normalize(x, NFD), PROPERTY_EXISTS(n, name), CAST(x AS LIST<INT | STRING>)",
        "RETURN x IS TYPED ANY<INT | STRING> NOT NULL, x IS NOT NFKD NORMALIZED, x IS SOURCE OF y, x IS NOT TRUE",
        "RETURN DATE '2015-07-21', TIME '10:00+01:00', DATETIME '2015-07-21T10:00:00+02:00[Europe/Warsaw]', 90s, 1.50M, X'00 ff', 1e300",
        "RETURN CASE x WHEN 1 THEN 2 ELSE 3 END, reduce(t = 0, x IN l | t + x), EXISTS { (a)-->(b) WHERE a.x }, COUNT { RETURN 1 AS x UNION RETURN 2 AS x }",
        "MATCH p = SHORTEST 2 TRAIL PATHS GROUPS (a)-[e:A|(B&!C) {x: 1} WHERE e.y]->{2,}(b)~[f]~(c)<-[g]->(d) RETURN *",
        "MATCH ((a)-[e]->(b) WHERE a.x)+ ((c)--(d)){2} RETURN *, 1 AS x ORDER BY x DESC NULLS FIRST OFFSET 1 LIMIT 2",
        "MATCH (:A&B:C), (:!(A|B)), (:(A|B)&%), (n $p) FINISH",
        "FOR x IN [1] WITH ORDINALITY `order` FOR y IN [1] WITH offset RETURN y",
        "RETURN 1 AS x NEXT RETURN 1 AS x UNION RETURN 2 AS x NEXT YIELD x RETURN x",
        "RETURN 1 AS x NEXT RETURN 1 AS x UNION RETURN 2 AS x",
        "{ RETURN 1 AS x } UNION ALL { RETURN 2 AS x }",
        "SELECT x, count(*) AS c FROM { MATCH (x) RETURN x } WHERE x.y GROUP BY x HAVING c > 1 ORDER BY c LIMIT 1",
        "SELECT DISTINCT x.y FROM g MATCH (x) GROUP BY () HAVING true",
        "WITH 1 AS x WHERE x = 1 SELECT y FROM { RETURN 1 AS y }",
        "SELECT role FROM system.cluster_nodes WHERE role = 'x' NEXT RETURN role AS r NEXT RETURN r EXCEPT RETURN 1 AS r",
        "SHOW INDEXES YIELD name WHERE name = 'x' RETURN name",
        "SHOW CONSTRAINTS WHERE name = 'x' RETURN name",
        "SHOW ALL INDEXES",
        "SHOW USERS YIELD name RETURN name",
        "CREATE USER IF NOT EXISTS `to` WITH PASSWORD 'it''s \\\\ secret' ROLE `role`",
        "ALTER USER `if` SET PASSWORD $`p q`",
        "ALTER USER a SET ROLE reader",
        "ALTER USER a REMOVE ROLE",
        "DROP USER IF EXISTS a",
        "CREATE ROLE IF NOT EXISTS r",
        "DROP ROLE r",
        "GRANT ALL ON GRAPH * TO r",
        "REVOKE SELECT, DELETE ON GRAPH /a/`to` FROM `from`",
        "MERGE (a {x: 1}) ON MATCH SET a.b.c = 1, a += {x: 2}, a:B:C ON CREATE SET a = $p REMOVE a.x, a:B DETACH DELETE a",
        "CREATE GRAPH TYPE t {NODE TYPE P (p :A&B {x :: INT NOT NULL, y LIST<STRING>}), (:C), EDGE E (p)-[:T {z FLOAT}]->(:C), (:C)<-[:U]-(p)}",
        "CREATE OR REPLACE GRAPH /a/`let`/g TYPED ../t AS COPY OF CURRENT_GRAPH DROP GRAPH IF EXISTS HOME_SCHEMA/g",
        "CREATE GRAPH g ANY CREATE SCHEMA IF NOT EXISTS /x DROP SCHEMA /y",
        "CREATE CONSTRAINT `for` IF NOT EXISTS FOR (n:A) REQUIRE (n.x, n.`y z`) IS NODE KEY",
        "CREATE CONSTRAINT ON (n:A) ASSERT n.x IS :: INT | STRING",
        "CALL a.b.c YIELD - CALL d(1, 2) YIELD x AS y, z WHERE y > 1 RETURN y",
        "FOREACH (x IN [1] | CREATE (:A) FOREACH (y IN [2] | SET n.x = y))",
        "SESSION SET VALUE IF NOT EXISTS $x = 1 + 2",
        "SESSION RESET PARAMETER $x",
        "SESSION SET GRAPH /a/b",
        "SET CONSISTENCY LEVEL SEQUENTIAL",
        "SET READ PREFERENCE REPLICA",
        "SET READ STALENESS 2 HOURS",
        "ROLLBACK TO `savepoint`",
        "EXPLAIN JSON MATCH (n) RETURN n",
        "USE g AT / MATCH (n) RETURN n",
    ] {
        assert_eq!(comes_back(text), Ok(true), "{text}");
    }
}
