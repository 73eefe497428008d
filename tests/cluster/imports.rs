//! `geode import`: files into the graph, whatever ends it.

use crate::GEODE;
use geode_tests::members::{Members, wait_for};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;

const PEOPLE: u32 = 20_000;
const PATIENCE: Duration = Duration::from_secs(60);

/// `geode import` of files that were written beside the members.
fn import(members: &Members, arguments: &[&str]) -> Command {
    let mut command = members.command_for(&[0, 1, 2], "import");
    command.args(["--format", "json"]).args(arguments);
    command
}

/// What it printed, or all that it said.
fn run(command: &mut Command) -> Result<Value, String> {
    let output = command.output().expect("geode starts");
    let (said, complaint) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    if output.status.success() {
        return serde_json::from_str(&said).map_err(|error| format!("{error}: {said}"));
    }
    Err(format!("{said}{complaint}"))
}

#[test]
fn an_import_that_is_killed_together_with_the_leader_goes_on_and_every_row_is_there_once() {
    let mut members = Members::cluster(GEODE, 3);
    let mut people = "id:int,name,born:date\n".to_owned();
    let mut knows = String::new();
    for id in 0..PEOPLE {
        let _ = writeln!(people, "{id},\"P, {id}\",1990-03-{:02}", id % 28 + 1);
        let to = (id + 1) % PEOPLE;
        let _ = writeln!(
            knows,
            "{{\"from\": {id}, \"to\": {to}, \"since\": {{\"$date\": \"2020-01-01\"}}}}"
        );
    }
    let nodes = format!("Person:Member={}", members.write("people.csv", &people));
    let edges = format!("Person:KNOWS:Person={}", members.write("knows.jsonl", &knows));
    let arguments = ["--nodes", &nodes, "--edges", &edges, "--batch-rows", "200"];

    let mut first = import(&members, &arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("geode starts");
    let count = |members: &Members, via: usize, pattern: &str| {
        let answer = members.try_query(via, &format!("MATCH {pattern} RETURN count(*)"), &[]);
        answer.ok().and_then(|answer| answer["rows"][0][0].as_u64())
    };
    wait_for("half of the nodes", PATIENCE, || {
        count(&members, 0, "(n:Member)").is_some_and(|nodes| nodes >= u64::from(PEOPLE) / 4)
    });
    let leader = members.leader();
    members.kill(leader);
    let _ = first.kill();
    let _ = first.wait();
    let (nodes, edges) = (
        count(&members, (leader + 1) % 3, "(n:Member)"),
        count(&members, (leader + 1) % 3, "()-[:KNOWS]->()"),
    );
    assert!(
        nodes.is_some_and(|nodes| nodes % 200 == 0),
        "a batch is there wholly or not at all: {nodes:?}"
    );

    // One of three is still away.
    let report = run(&mut import(&members, &arguments)).expect("the rest is imported");
    let before = report["rows_of_an_earlier_run"].as_u64();
    assert_eq!(
        before,
        nodes.zip(edges).map(|(nodes, edges)| nodes + edges),
        "{report}"
    );
    members.start(leader);
    members.wait_ready(leader);
    let via = (leader + 1) % 3;
    assert_eq!(count(&members, via, "(n:Member)"), Some(PEOPLE.into()));
    assert_eq!(count(&members, via, "()-[:KNOWS]->()"), Some(PEOPLE.into()));
    assert_eq!(count(&members, via, "(m:GeodeImport)"), Some(0));
    let answer = members.query(
        via,
        "MATCH (a:Person {id: 7})-[k:KNOWS]->(b) RETURN a.name, a.born = DATE '1990-03-08', k.since = DATE '2020-01-01', b.id",
    );
    assert_eq!(answer["rows"], json!([["P, 7", true, true, 8]]));
}

#[test]
fn rows_that_cannot_be_imported_are_told_with_file_and_line() {
    let members = Members::cluster(GEODE, 3);
    let good = format!(
        "Person={}",
        members.write("good.csv", "id:int,name\n1,Ada\n2,Grace\n")
    );
    let none = members.write("none.csv", "from:int,to:int\n1,2\n1,3\n4,2\n");
    let edges = format!("Person:KNOWS:Person={none}");
    let said =
        run(&mut import(&members, &["--nodes", &good, "--edges", &edges])).expect_err("ends are missing");
    assert!(said.contains("2 edge(s) were not imported"), "{said}");
    assert!(
        said.contains(&format!("{none}, line 3: the node `to` is not in the graph")),
        "{said}"
    );
    assert!(
        said.contains(&format!("{none}, line 4: the node `from` is not in the graph")),
        "{said}"
    );
    let edges = members.query(0, "MATCH (a)-[:KNOWS]->(b) RETURN a.id, b.id");
    assert_eq!(edges["rows"], json!([[1, 2]]));
    for (name, text, says) in [
        (
            "wrong.csv",
            "id:int\n10\nten\n",
            "line 3: column id: \"ten\" is not an integer",
        ),
        (
            "keyless.csv",
            "id:int,name\n,Nobody\n",
            "line 2: the row has no id",
        ),
        ("again.csv", "id:int\n11\n1\n", "Constraint"),
        ("lines.txt", "", "has to end with .csv"),
    ] {
        let nodes = format!("Person={}", members.write(name, text));
        let said = run(&mut import(&members, &["--nodes", &nodes, "--name", name])).expect_err(name);
        assert!(said.contains(says), "{name}: {said}");
    }
    let people = members.query(0, "MATCH (n:Person) RETURN count(*)");
    assert_eq!(people["rows"], json!([[2]]), "a refused batch leaves nothing");
}
