//! The kit's sentences and what they ask for.

use crate::compare::Strictness;
use crate::gherkin::Step;

/// One step of a scenario.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// A graph without anything in it; "any graph" will do with this one too.
    EmptyGraph,
    /// A graph of the kit, by name.
    NamedGraph(String),
    /// A statement that prepares the graph.
    Setup(String),
    /// Values of parameters: name and cell.
    Parameters(Vec<(String, String)>),
    /// A procedure that only this scenario has: its signature, and for each combination of arguments the rows that it gives.
    Procedure {
        /// `name(in :: TYPE) :: (out :: TYPE)`.
        signature: String,
        /// Cells of arguments and results, without the header.
        rows: Vec<Vec<String>>,
    },
    /// The statement under test.
    Query(String),
    /// A statement that looks at what the one before left.
    Control(String),
    /// The answer: columns and cells.
    Rows {
        /// The names of the columns.
        columns: Vec<String>,
        /// The cells.
        rows: Vec<Vec<String>>,
        /// What order counts for.
        strictness: Strictness,
    },
    /// No rows at all.
    NoRows,
    /// What changed in the graph: name and count; none is "no side effects".
    Effects(Vec<(String, String)>),
    /// The statement fails.
    Error {
        /// The class.
        class: String,
        /// `compile time`, `runtime` or `any time`.
        phase: String,
        /// The detail; `*` is any.
        detail: String,
    },
}

/// The meaning of a step, or none when its sentence is unknown.
pub fn action(step: &Step) -> Option<Action> {
    let text = step.text.trim_end_matches(':').trim_end();
    let doc = || step.doc.clone();
    Some(match text {
        "an empty graph" | "any graph" => Action::EmptyGraph,
        "having executed" => Action::Setup(doc()?),
        "executing query" => Action::Query(doc()?),
        "executing control query" => Action::Control(doc()?),
        "parameters are" => Action::Parameters(pairs(&step.table)?),
        "no side effects" => Action::Effects(Vec::new()),
        "the side effects should be" => Action::Effects(pairs(&step.table)?),
        "the result should be empty" => Action::NoRows,
        _ => return other(text, step),
    })
}

fn other(text: &str, step: &Step) -> Option<Action> {
    if let Some(signature) = text.strip_prefix("there exists a procedure ") {
        return Some(Action::Procedure {
            signature: signature.to_owned(),
            rows: step.table.iter().skip(1).cloned().collect(),
        });
    }
    if let Some(name) = text
        .strip_prefix("the ")
        .and_then(|rest| rest.strip_suffix(" graph"))
    {
        return Some(Action::NamedGraph(name.to_owned()));
    }
    if let Some(how) = text.strip_prefix("the result should be") {
        let (columns, rows) = step.table.split_first()?;
        return Some(Action::Rows {
            columns: columns.clone(),
            rows: rows.to_vec(),
            strictness: Strictness {
                rows_in_order: how.starts_with(", in order"),
                lists_in_order: !how.contains("ignoring element order"),
            },
        });
    }
    let (class, rest) = text
        .strip_prefix("a ")
        .or(text.strip_prefix("an "))?
        .split_once(" should be raised at ")?;
    let (phase, detail) = rest.split_once(": ")?;
    Some(Action::Error {
        class: class.to_owned(),
        phase: phase.to_owned(),
        detail: detail.to_owned(),
    })
}

fn pairs(table: &[Vec<String>]) -> Option<Vec<(String, String)>> {
    table
        .iter()
        .map(|row| match row.as_slice() {
            [name, value] => Some((name.clone(), value.clone())),
            _ => None,
        })
        .collect()
}
