//! What a user does with one member or three, without any misfortune but a lost majority.

use crate::GEODE;
use geode_tests::members::{self, Members, Shell, wait_for};
use serde_json::json;
use std::time::Duration;

#[test]
fn a_single_member_without_any_configuration_keeps_its_graph_over_kill_nine() {
    let mut members = Members::embedded(GEODE);
    let written = members.query(
        0,
        "INSERT (:Person {name: 'Ada'})-[:KNOWS {since: 1833}]->(:Person {name: 'Charles'})",
    );
    assert!(
        written["lsn"].as_str().is_some_and(|lsn| lsn.starts_with("0/")),
        "{written}"
    );
    members.kill(0);
    members.start(0);
    members.wait_ready(0);
    let answer = members.query(
        0,
        "MATCH (a:Person)-[k:KNOWS]->(b) RETURN a.name, k.since, b.name",
    );
    assert_eq!(answer["rows"], json!([["Ada", 1833, "Charles"]]));
}

#[test]
fn members_that_join_form_a_cluster_and_every_one_answers_at_an_lsn() {
    let members = Members::cluster(GEODE, 3);
    let lsn = members.query(0, "INSERT (:City {name: 'Wrocław'})")["lsn"]
        .as_str()
        .expect("a write has an LSN")
        .to_owned();
    for member in 0..3 {
        let answer = members.query_with(member, "MATCH (c:City) RETURN c.name", &["--read-lsn", &lsn]);
        assert_eq!(answer["rows"], json!([["Wrocław"]]), "member {member}");
    }
    let table = members.query(1, "SELECT name, role FROM system.cluster_nodes ORDER BY name");
    let rows = table["rows"].as_array().cloned().unwrap_or_default();
    assert_eq!(rows.len(), 3, "{table}");
    assert_eq!(rows.iter().filter(|row| row[1] == "leader").count(), 1, "{table}");
}

#[test]
fn without_a_majority_writes_and_reads_are_refused_and_go_on_when_it_is_back() {
    let mut members = Members::cluster(GEODE, 3);
    members.kill(1);
    members.kill(2);
    let refused = members.try_query(0, "INSERT (:Lonely)", &["--timeout", "4s"]);
    assert!(refused.is_err(), "a lone member took a write: {refused:?}");
    let read = members.try_query(0, "MATCH (n) RETURN count(*)", &["--timeout", "4s"]);
    assert!(
        read.is_err(),
        "a lone member answered a linearizable read: {read:?}"
    );
    assert!(members.is_running(0), "the lone member ended");
    members.start(1);
    wait_for("writes go on", Duration::from_secs(60), || {
        members.try_query(0, "INSERT (:Together)", &[]).is_ok()
    });
}

#[test]
fn transactions_in_a_shell_commit_together_or_not_at_all() {
    let members = Members::embedded(GEODE);
    let mut shell = Shell::open(&members, &[0]);
    let mut run = |text: &str| shell.ask(&json!({"op": "query", "text": text}));
    for text in [
        "START TRANSACTION",
        "INSERT (:T {n: 1})",
        "INSERT (:T {n: 2})",
        "ROLLBACK",
    ] {
        assert!(run(text)["error"].is_null(), "{text}");
    }
    for text in ["START TRANSACTION", "INSERT (:T {n: 3})"] {
        assert!(run(text)["error"].is_null(), "{text}");
    }
    assert!(run("COMMIT")["lsn"].is_string());
    assert_eq!(run("MATCH (t:T) RETURN t.n")["rows"], json!([[3]]));
    assert!(
        run("COMMIT")["error"]["message"].is_string(),
        "a COMMIT without a transaction is an error"
    );
}

#[test]
fn wrong_flags_keys_passwords_and_statements_are_answered_with_what_is_right() {
    let members = Members::embedded(GEODE);
    let wrong = members
        .try_query(0, "MATCH (n:Person RETURN n", &[])
        .expect_err("a wrong statement");
    assert!(wrong.contains("\"line\":1"), "{wrong}");
    let stranger = members.try_query(0, "MATCH (n) RETURN n", &["--user", "nobody", "--timeout", "5s"]);
    assert!(
        stranger
            .expect_err("an unknown user")
            .to_lowercase()
            .contains("password")
    );
    let said = members::geode_fails(GEODE, &["serve", "--cluster-initt"]);
    assert!(said.contains("--cluster-init"), "{said}");
    let config = members.write("bad.yaml", "sever:\n  listen: 127.0.0.1:0\n");
    let said = members::geode_fails(GEODE, &["serve", "--config", &config]);
    assert!(said.contains("did you mean server"), "{said}");
}
