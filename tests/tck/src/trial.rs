//! Runs one scenario and judges it.

use crate::compare::{Strictness, rows_match};
use crate::expected::{self, Expected};
use crate::gherkin::Scenario;
use crate::graph::{Answer, Contents, Graph};
use crate::steps::{Action, action};
use geode_query::{Dialect, Params};
use geode_types::{Phase, QueryError, Value, to_json};
use std::path::Path;

/// How a scenario ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// As the kit has it.
    Passed,
    /// Otherwise.
    Failed(Failure, String),
}

/// In which way a scenario failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Failure {
    /// An answer without an error, and not the right one.
    WrongRows,
    /// The graph was changed otherwise than it should, without an error.
    WrongEffects,
    /// What should have been refused was answered.
    MissingError,
    /// It was refused, with another class, phase or detail.
    WrongError,
    /// It was refused and should not have been.
    Refused,
    /// The printed statement is not read back as the same one.
    Printed,
    /// The engine panicked.
    Panic,
    /// The scenario itself is not understood.
    NotUnderstood,
}

impl Failure {
    /// Whether a user would have been told nothing.
    pub fn is_silent(self) -> bool {
        matches!(self, Self::WrongRows | Self::WrongEffects | Self::MissingError)
    }
}

/// Runs a scenario on a graph of its own; `graphs` is the folder of the kit's named graphs.
pub fn run(scenario: &Scenario, graphs: &Path) -> Verdict {
    let mut actions = Vec::with_capacity(scenario.steps.len());
    for step in &scenario.steps {
        match action(step) {
            Some(action) => actions.push(action),
            None => return Verdict::Failed(Failure::NotUnderstood, format!("step: {}", step.text)),
        }
    }
    match Trial::new(graphs)
        .and_then(|mut trial| actions.iter().try_for_each(|action| trial.carry_out(action)))
    {
        Ok(()) => Verdict::Passed,
        Err((failure, message)) => Verdict::Failed(failure, message),
    }
}

type Judged<T = ()> = Result<T, (Failure, String)>;

struct Trial<'a> {
    graphs: &'a Path,
    graph: Graph,
    params: Params,
    before: Contents,
    /// What the last statement answered, until it is looked at.
    outcome: Option<Result<Answer, QueryError>>,
}

impl<'a> Trial<'a> {
    fn new(graphs: &'a Path) -> Judged<Self> {
        Ok(Self {
            graphs,
            graph: Graph::new().map_err(refused)?,
            params: Params::new(),
            before: Contents::default(),
            outcome: None,
        })
    }

    fn carry_out(&mut self, action: &Action) -> Judged {
        match action {
            Action::EmptyGraph => Ok(()),
            Action::Procedure { signature, rows } => {
                self.graph.procedures.add(signature, rows).map_err(not_understood)
            }
            Action::NamedGraph(name) => {
                let file = self.graphs.join(name).join(format!("{name}.cypher"));
                let script = std::fs::read_to_string(&file)
                    .map_err(|error| not_understood(format!("{}: {error}", file.display())))?;
                self.setup(script.trim().trim_end_matches(';'))
            }
            Action::Setup(text) => self.setup(text),
            Action::Parameters(parameters) => {
                for (name, cell) in parameters {
                    let value = cell_value(cell)?.to_value();
                    let value = value.ok_or_else(|| not_understood(format!("parameter {cell}")))?;
                    self.params.insert(name.clone(), value);
                }
                Ok(())
            }
            Action::Query(text) => {
                comes_back(text)?;
                self.before = self.graph.contents().map_err(refused)?;
                self.outcome = Some(self.graph.run(text, &self.params));
                Ok(())
            }
            Action::Control(text) => {
                self.outcome = Some(self.graph.run(text, &self.params));
                Ok(())
            }
            Action::Rows {
                columns,
                rows,
                strictness,
            } => self.judge_rows(columns, rows, *strictness),
            Action::NoRows => {
                let answer = self.answer()?;
                match answer.rows.len() {
                    0 => Ok(()),
                    count => Err((Failure::WrongRows, format!("{count} rows instead of none"))),
                }
            }
            Action::Effects(effects) => self.judge_effects(effects),
            Action::Error { class, phase, detail } => self.judge_error(class, phase, detail),
        }
    }

    fn setup(&self, text: &str) -> Judged {
        comes_back(text)?;
        match self.graph.run(text, &self.params) {
            Ok(_) => Ok(()),
            Err(error) => Err((Failure::Refused, format!("in the setup: {error}"))),
        }
    }

    fn answer(&self) -> Judged<&Answer> {
        match &self.outcome {
            None => Err(not_understood("no query was run".to_owned())),
            Some(Ok(answer)) => Ok(answer),
            Some(Err(error)) => Err(refused(error.clone())),
        }
    }

    fn judge_rows(&self, columns: &[String], cells: &[Vec<String>], strictness: Strictness) -> Judged {
        let answer = self.answer()?;
        let wrong = |message: String| Err((Failure::WrongRows, message));
        let places: Option<Vec<usize>> = columns
            .iter()
            .map(|column| answer.columns.iter().position(|known| known == column))
            .collect();
        let Some(places) = places.filter(|places| places.len() == answer.columns.len()) else {
            return wrong(format!("columns {:?} instead of {columns:?}", answer.columns));
        };
        let mut wanted: Vec<Vec<Expected>> = Vec::with_capacity(cells.len());
        for row in cells {
            wanted.push(row.iter().map(|cell| cell_value(cell)).collect::<Judged<_>>()?);
        }
        let got: Vec<Vec<Value>> = answer
            .rows
            .iter()
            .map(|row| places.iter().filter_map(|at| row.get(*at).cloned()).collect())
            .collect();
        if rows_match(&wanted, &got, strictness) {
            return Ok(());
        }
        let shown = |row: &Vec<Value>| {
            let cells: Vec<String> = row.iter().map(|value| to_json(value).to_string()).collect();
            cells.join(" | ")
        };
        let got: Vec<String> = got.iter().take(20).map(shown).collect();
        let wanted: Vec<String> = cells.iter().take(20).map(|row| row.join(" | ")).collect();
        wrong(format!(
            "wanted\n  {}\ngot\n  {}",
            wanted.join("\n  "),
            got.join("\n  ")
        ))
    }

    fn judge_effects(&self, effects: &[(String, String)]) -> Judged {
        // A statement that should have failed, and its effects, are judged where the error is.
        let after = self.graph.contents().map_err(refused)?;
        let mut got: Vec<(String, String)> = after
            .effects_since(&self.before)
            .into_iter()
            .map(|(name, count)| (name, count.to_string()))
            .collect();
        let mut wanted = effects.to_vec();
        got.sort();
        wanted.sort();
        if got == wanted {
            return Ok(());
        }
        if let Some(Err(error)) = &self.outcome
            && !wanted.is_empty()
        {
            return Err(refused(error.clone()));
        }
        Err((Failure::WrongEffects, format!("wanted {wanted:?}, got {got:?}")))
    }

    fn judge_error(&self, class: &str, phase: &str, detail: &str) -> Judged {
        let error = match &self.outcome {
            None => return Err(not_understood("no query was run".to_owned())),
            Some(Ok(answer)) => {
                let message = format!(
                    "{} rows instead of {class} at {phase}: {detail}",
                    answer.rows.len()
                );
                return Err((Failure::MissingError, message));
            }
            Some(Err(error)) => error,
        };
        let found = match error.phase {
            Phase::CompileTime => "compile time",
            Phase::Runtime => "runtime",
        };
        let same_phase = phase == "any time" || phase == found;
        let same_detail = detail == "*" || detail == error.detail;
        if same_phase && same_detail && class == format!("{:?}", error.class) {
            return Ok(());
        }
        let message = format!(
            "wanted {class} at {phase}: {detail}, got at {found} {}: {error}",
            error.detail
        );
        Err((Failure::WrongError, message))
    }
}

/// `parse(print(parse(q))) = parse(q)` for whatever can be read.
fn comes_back(text: &str) -> Judged {
    let Ok(tree) = geode_gql::parse(text, Dialect::Cypher) else {
        return Ok(());
    };
    let printed = tree.to_string();
    match geode_gql::parse(&printed, Dialect::Cypher) {
        Ok(again) if again == tree => Ok(()),
        Ok(_) => Err((Failure::Printed, format!("printed {printed}"))),
        Err(error) => Err((Failure::Printed, format!("printed {printed}: {error}"))),
    }
}

fn cell_value(cell: &str) -> Judged<Expected> {
    expected::parse(cell).map_err(not_understood)
}

fn refused(error: QueryError) -> (Failure, String) {
    (Failure::Refused, format!("{} {error}", error.detail))
}

fn not_understood(message: String) -> (Failure, String) {
    (Failure::NotUnderstood, message)
}
