//! `max_query_memory` holds what the process really uses, not only what is counted: each statement runs in a process of its own, whose peak
//! (`VmHWM`) is looked at.

use crate::support::Db;
use geode_query::{Context, Dialect, Limits, Params};
use std::process::Command;

const LIMIT_BYTES: usize = 64 << 20;
/// How much more the process may use (issue 6): allocators round up, tables are half empty.
const TOLERATED: f64 = 1.5;
/// Says to a process of this test that it is the one that runs a case.
const CASE: &str = "GEODE_MEMORY_CASE";
const NAME: &str = "memory::the_heaviest_statements_stay_near_the_memory_that_they_may_use";

/// Setup, statement, and whether the limit is what ends it.
const CASES: &[(&str, &str, bool)] = &[
    (
        "",
        "FOR a IN range(1, 4000) FOR b IN range(1, 4000) RETURN collect(a * b) AS l",
        true,
    ),
    (
        "",
        "FOR a IN range(1, 4000) FOR b IN range(1, 4000) RETURN collect('text ' || CAST(a * b AS STRING)) AS l",
        true,
    ),
    (
        "",
        "FOR a IN range(1, 4000) FOR b IN range(1, 4000) RETURN a * b AS x ORDER BY x",
        true,
    ),
    (
        "",
        "FOR a IN range(1, 4000) FOR b IN range(1, 4000) RETURN DISTINCT a * 4000 + b AS x",
        true,
    ),
    (
        "",
        "FOR a IN range(1, 4000) FOR b IN range(1, 4000) RETURN count(DISTINCT a * 4000 + b) AS c",
        true,
    ),
    (
        "",
        "FOR a IN range(1, 4000) FOR b IN range(1, 4000) RETURN a * 4000 + b AS x, count(*) AS c",
        true,
    ),
    (
        "",
        "FOR a IN range(1, 9000) FOR b IN range(1, 9000) RETURN a * 9000 + b AS x UNION RETURN 1 AS x",
        true,
    ),
    ("", "RETURN size(range(1, 9000000)) AS s", true),
    (
        "",
        "RETURN size(reduce(l = [1], i IN range(1, 60) | l + l)) AS s",
        true,
    ),
    (
        "",
        "FOR i IN range(1, 100) LET l = range(i, 200000) RETURN max(size(l)) AS s",
        false,
    ),
    (
        KNOWS,
        "MATCH p = (a:P {n: 1})-[e]->{1,6}(b) RETURN collect(p) AS l",
        true,
    ),
    (
        KNOWS,
        "MATCH p = SHORTEST 9 GROUPS (a:P {n: 1})-[e]->{5,}(b:P) RETURN count(*) AS c",
        true,
    ),
    (
        KNOWS,
        "MATCH (a:P), (b:P), (c:P), (d:P), (e:P) RETURN collect([a, b, c, d, e]) AS l",
        true,
    ),
    (CHAIN, "MATCH (a:C {n: 1})-[e]->*(b) RETURN count(*) AS c", false),
    (CHAIN, "MATCH p = (a:C {n: 1})-[e]->{3990,}(b) RETURN p", false),
    (TEXTS, "MATCH (n:T) RETURN collect(n) AS l", true),
    (TEXTS, "MATCH (n:T) RETURN n", false),
];

const KNOWS: &str = "FOR x IN range(1, 30) INSERT (:P {n: x}) NEXT MATCH (a:P), (b:P) FILTER a.n <> b.n INSERT (a)-[:KNOWS]->(b)";
const CHAIN: &str = "CREATE INDEX FOR (c:C) ON (c.n) NEXT FOR x IN range(1, 4000) INSERT (:C {n: x}) NEXT MATCH (a:C) MATCH (b:C {n: a.n + 1}) INSERT (a)-[:NEXT]->(b)";
const TEXTS: &str =
    "FOR x IN range(1, 8000) INSERT (:T {n: x, text: reduce(t = 'x', i IN range(1, 13) | t || t)})";

/// Of a line in `/proc/self/status`, in bytes.
fn status(line: &str) -> usize {
    let text = std::fs::read_to_string("/proc/self/status").expect("the state of this process");
    let found = text
        .lines()
        .find_map(|found| found.strip_prefix(line))
        .expect("a line of it");
    let kilobytes = found
        .trim_start_matches(':')
        .trim()
        .trim_end_matches(" kB")
        .trim();
    kilobytes.parse::<usize>().expect("a number") * 1024
}

/// Runs a case in this process, and prints how much memory it took and how it ended.
fn run(case: usize) {
    let (setup, statement, _) = CASES[case];
    let db = Db::new(Dialect::Gql);
    for text in setup.split(" NEXT ").filter(|text| !text.is_empty()) {
        db.run(text, &Params::new()).expect(text);
    }
    let limits = Limits {
        max_memory_bytes: LIMIT_BYTES,
        ..Limits::default()
    };
    let context = Context {
        limits,
        ..Context::default()
    };
    // Forgets the peak of the setup (proc(5)).
    std::fs::write("/proc/self/clear_refs", "5").expect("the peak is set back");
    let before = status("VmRSS");
    let ended = db
        .run_unseen(statement, &context)
        .map_or_else(|error| error.detail, |()| "Done".to_owned());
    let growth = status("VmHWM").saturating_sub(before);
    println!("\n{CASE} {ended} {growth}");
}

#[test]
fn the_heaviest_statements_stay_near_the_memory_that_they_may_use() {
    if let Ok(case) = std::env::var(CASE) {
        return run(case.parse().expect("the number of a case"));
    }
    let mut failures = Vec::new();
    for (case, (_, statement, is_too_much)) in CASES.iter().enumerate() {
        let mut child = Command::new(std::env::current_exe().expect("this program"));
        child
            .args([NAME, "--exact", "--nocapture"])
            .env(CASE, case.to_string());
        let output = child.output().expect("the process of the case");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let said = text.lines().find_map(|line| line.strip_prefix(CASE));
        let (ended, growth) = said.and_then(|said| said.trim().split_once(' ')).expect(&text);
        let growth: usize = growth.parse().expect("bytes");
        println!("{ended} {} KiB  {statement}", growth / 1024);
        let wanted = if *is_too_much { "OutOfMemory" } else { "Done" };
        if ended != wanted || growth as f64 > LIMIT_BYTES as f64 * TOLERATED {
            failures.push(format!("{ended} with {} KiB: {statement}", growth / 1024));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
