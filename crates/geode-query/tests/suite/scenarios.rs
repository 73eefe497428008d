//! The scenario suite: every file of `tests/scenarios`, and of the conformance cases of `geode-gql`, holds statements with the answers they must give.
//!
//! ```text
//! === what the scenario promises
//! [cypher]                          the dialect, when it is not GQL
//! --- setup                         statements, each ended by a semicolon at the end of a line
//! --- params                        JSON object
//! --- user                          who runs what follows; without a name somebody who may do everything
//! --- query                         the statement under test
//! --- rows | --- rows in order      one line of column names, then one line of JSON values per row, separated by " | "
//! --- count                         how many rows
//! --- error                         class detail gqlstatus line:column, then text that the message or hint must contain
//! --- stats                         JSON object
//! --- kind                          what the query needs from its session, where it does not carry it out here
//! --- after                         a further query, with rows of its own behind it; `--- query` may come again, too
//! --- accepted | --- refused        statements, one a line: each must run, or fail because of what it says
//! ```

use crate::support::{Answer, Db, Tables};
use geode_query::{Dialect, Params, prepare};
use geode_types::{QueryError, from_json, to_json};

/// A scenario's name, dialect and sections.
struct Scenario {
    name: String,
    dialect: Dialect,
    sections: Vec<(String, String)>,
}

#[test]
fn every_scenario_gives_the_promised_answer() {
    let mut failures = Vec::new();
    let mut count = 0;
    // Relative to the package, where Cargo runs tests: a path of compile time would be another checkout's when builds are shared.
    let folders = [
        "tests/scenarios",
        "tests/scenarios/guides",
        "../geode-gql/conformance",
    ];
    let entries = folders.map(|folder| std::fs::read_dir(folder).expect("a folder of scenarios"));
    for entry in entries.into_iter().flatten() {
        let path = entry.expect("a folder entry").path();
        if path.extension().is_none_or(|extension| extension != "gql") {
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("a readable scenario file");
        for scenario in parse(&text) {
            count += 1;
            if let Err(problem) = check(&scenario) {
                failures.push(format!("{}: {}\n{problem}", path.display(), scenario.name));
            }
        }
    }
    assert!(count > 150, "only {count} scenarios were found");
    assert!(
        failures.is_empty(),
        "{} of {count} failed\n\n{}",
        failures.len(),
        failures.join("\n\n")
    );
}

fn parse(text: &str) -> Vec<Scenario> {
    let mut scenarios: Vec<Scenario> = Vec::new();
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("=== ") {
            scenarios.push(Scenario {
                name: name.to_owned(),
                dialect: Dialect::Gql,
                sections: Vec::new(),
            });
            continue;
        }
        let Some(scenario) = scenarios.last_mut() else {
            continue;
        };
        if let Some(section) = line.strip_prefix("--- ") {
            scenario.sections.push((section.to_owned(), String::new()));
        } else if let Some((_, body)) = scenario.sections.last_mut() {
            body.push_str(line);
            body.push('\n');
        } else if line == "[cypher]" {
            scenario.dialect = Dialect::Cypher;
        }
    }
    scenarios
}

fn check(scenario: &Scenario) -> Result<(), String> {
    let mut run = Run {
        db: Db::new(scenario.dialect),
        params: Params::new(),
        text: "",
        outcome: Ok(Answer::default()),
        judged: true,
    };
    for (section, body) in &scenario.sections {
        run.section(section, body.trim_end())?;
    }
    run.unless_judged()
}

/// A scenario under way.
struct Run<'s> {
    db: Db,
    params: Params,
    /// The last statement, what came of it, and whether a section has said what should.
    text: &'s str,
    outcome: Result<Answer, QueryError>,
    judged: bool,
}

impl<'s> Run<'s> {
    fn section(&mut self, section: &str, body: &'s str) -> Result<(), String> {
        match section {
            "setup" => self.setup(body)?,
            "params" => self.set_params(body)?,
            "user" => {
                self.unless_judged()?;
                self.db.act_as(body);
            }
            "query" | "after" => {
                self.unless_judged()?;
                (self.text, self.outcome, self.judged) = (body, self.db.run(body, &self.params), false);
                return Ok(());
            }
            "rows" | "rows in order" => compare(self.answer()?, body, section == "rows in order")?,
            "count" => {
                let rows = self.answer()?.rows.len().to_string();
                if rows != body {
                    return Err(format!("wanted {body} rows, got {rows}"));
                }
            }
            "stats" => {
                let stats = serde_json::to_value(self.answer()?.summary)
                    .map_err(|error| error.to_string())?
                    .to_string();
                if stats != body {
                    return Err(format!("wanted stats {body}\n   got stats {stats}"));
                }
            }
            "kind" => {
                let prepared = prepare(self.text, self.db.dialect, &Tables);
                let kind = prepared.map(|prepared| format!("{:?}", prepared.kind()));
                if kind.as_deref() != Ok(body) {
                    return Err(format!("wanted the kind {body}, got {kind:?}"));
                }
            }
            "error" => self.failed_with(body)?,
            "accepted" => {
                for statement in body.lines().filter(|line| !line.is_empty()) {
                    self.db
                        .run(statement, &self.params)
                        .map_err(|error| format!("not accepted: {statement}\n{error}"))?;
                }
            }
            "refused" => {
                for statement in body.lines().filter(|line| !line.is_empty()) {
                    refused(statement, self.db.run(statement, &self.params))?;
                }
            }
            // What the query is made of where a guide prints a template; `cargo xtask guides` compares it.
            "source" => return Ok(()),
            other => return Err(format!("unknown section {other}")),
        }
        self.judged = true;
        Ok(())
    }

    fn setup(&self, body: &str) -> Result<(), String> {
        for statement in statements(body) {
            self.db
                .run(statement, &self.params)
                .map_err(|error| format!("setup: {error}\n{statement}"))?;
        }
        Ok(())
    }

    fn set_params(&mut self, body: &str) -> Result<(), String> {
        let json: serde_json::Value = serde_json::from_str(body).map_err(|error| error.to_string())?;
        for (name, value) in json.as_object().into_iter().flatten() {
            let value = from_json(value).map_err(|error| error.to_string())?;
            self.params.insert(name.clone(), value);
        }
        Ok(())
    }

    /// A statement of which nothing is said has to run.
    fn unless_judged(&self) -> Result<(), String> {
        match &self.outcome {
            Err(error) if !self.judged => Err(format!("failed: {error}\n{}", self.text)),
            _ => Ok(()),
        }
    }

    fn answer(&self) -> Result<&Answer, String> {
        self.outcome.as_ref().map_err(|error| format!("failed: {error}"))
    }

    fn failed_with(&self, body: &str) -> Result<(), String> {
        let error = match &self.outcome {
            Ok(answer) => {
                let got = table(answer, true).join("\n");
                return Err(format!("wanted the error {body}\n   got {got}"));
            }
            Err(error) => error,
        };
        let place = error
            .position
            .map_or_else(|| "-".to_owned(), |at| format!("{}:{}", at.line, at.column));
        let head = format!("{:?} {} {} {place}", error.class, error.detail, error.gqlstatus);
        let (wanted, text) = body.split_once('\n').unwrap_or((body, ""));
        let said = format!("{}\n{}", error.message, error.hint.as_deref().unwrap_or_default());
        if head != wanted || !text.lines().all(|line| said.contains(line)) {
            return Err(format!("wanted {body}\n   got {head}\n{said}"));
        }
        Ok(())
    }
}

/// The statements of a setup.
fn statements(body: &str) -> impl Iterator<Item = &str> {
    body.split_terminator(";\n")
        .map(|text| text.trim_end_matches(';'))
}

/// A refusal says what is wrong with the statement; that a limit was reached, or that Geode is broken, is none.
fn refused(statement: &str, outcome: Result<Answer, QueryError>) -> Result<(), String> {
    const CLASSES: [&str; 8] = ["42", "22", "25", "2D", "0B", "3B", "G1", "G2"];
    match outcome {
        Ok(answer) => Err(format!(
            "not refused: {statement}\n{}",
            table(&answer, true).join("\n")
        )),
        Err(error) if CLASSES.iter().any(|class| error.gqlstatus.starts_with(class)) => Ok(()),
        Err(error) => Err(format!("refused for another reason: {statement}\n{error}")),
    }
}

fn compare(answer: &Answer, body: &str, in_order: bool) -> Result<(), String> {
    let got = table(answer, in_order);
    let mut wanted: Vec<String> = body.lines().map(str::to_owned).collect();
    if !in_order && let Some(rows) = wanted.get_mut(1..) {
        rows.sort();
    }
    if got == wanted {
        Ok(())
    } else {
        Err(format!("wanted\n{}\ngot\n{}", wanted.join("\n"), got.join("\n")))
    }
}

fn table(answer: &Answer, in_order: bool) -> Vec<String> {
    let mut rows: Vec<String> = answer
        .rows
        .iter()
        .map(|row| {
            row.iter()
                .map(|value| to_json(value).to_string())
                .collect::<Vec<_>>()
                .join(" | ")
        })
        .collect();
    if !in_order {
        rows.sort();
    }
    if !answer.columns.is_empty() {
        rows.insert(0, answer.columns.join(" | "));
    }
    rows
}
