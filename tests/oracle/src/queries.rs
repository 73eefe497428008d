//! Random statements on the engine and the evaluator: on the in-memory store and LMDB, each with and without indexes, in batches of few rows and of
//! the usual size, in transactions that note what they read and in such that only read.

use crate::choices::{Choices, shrink};
use crate::engine::{Database, Rows};
use crate::generate::{Case, case};
use crate::graph::Graph;
use crate::judge::{Answer, Judged, judge};
use geode_query::{DEFAULT_BATCH_ROWS, Dialect};
use geode_store::{LmdbOptions, LmdbStore, MemStore, Store};
use geode_types::{ErrorClass, QueryError};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What was looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Statements that were compared.
    pub compared: usize,
    /// Of them, those whose order of rows was compared, too.
    pub in_order: usize,
    /// Of them, those that fail by the rules.
    pub failing: usize,
    /// Of them, those that changed the graph.
    pub changing: usize,
    /// Of them, those without a row.
    pub without_rows: usize,
    /// Of those without a row, the ones that change nothing either.
    pub idle: usize,
    /// Statements whose answer the rules leave open.
    pub open: usize,
    /// Statements with too many rows for the evaluator.
    pub too_much: usize,
}

impl Counts {
    fn count(&mut self, answer: &Answer, changing: bool) {
        match answer {
            Answer::Open => {
                self.open += 1;
                return;
            }
            Answer::List(_) => self.in_order += 1,
            Answer::Fails(_) => self.failing += 1,
            Answer::Bag(_) => {}
        }
        self.compared += 1;
        self.changing += usize::from(changing);
        let is_empty = matches!(answer, Answer::List(rows) | Answer::Bag(rows) if rows.is_empty());
        self.without_rows += usize::from(is_empty);
        self.idle += usize::from(is_empty && !changing);
    }

    fn add(&mut self, other: Self) {
        self.compared += other.compared;
        self.in_order += other.in_order;
        self.failing += other.failing;
        self.changing += other.changing;
        self.without_rows += other.without_rows;
        self.idle += other.idle;
        self.open += other.open;
        self.too_much += other.too_much;
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} statements compared: {} in order, {} without rows ({} of them change nothing either), {} that change the graph, {} that fail; not compared: {} with an open answer, {} too large",
            self.compared,
            self.in_order,
            self.without_rows,
            self.idle,
            self.changing,
            self.failing,
            self.open,
            self.too_much
        )
    }
}

/// Compares at least so many random statements, or ends with the first difference, made as small as can be.
pub fn run(statements: usize, seed: u64) -> Result<Counts, String> {
    let mut counts = Counts::default();
    for seed in seed.. {
        if counts.compared >= statements {
            break;
        }
        let mut choices = Choices::from_seed(seed);
        let generated = case(&mut choices);
        if let Ok(more) = check(&generated) {
            counts.add(more);
            continue;
        }
        let fails = |choices: &[u32]| check(&case(&mut Choices::again(choices.to_vec()))).is_err();
        let smallest = case(&mut Choices::again(shrink(choices.taken(), fails)));
        return Err(format!(
            "seed {seed}, {:?}\n{}\n{}\nagain: cargo xtask oracle --queries 1 --mixes 0 --seed {seed}",
            smallest.dialect,
            smallest.statements.join(";\n"),
            check(&smallest).err().unwrap_or_default()
        ));
    }
    Ok(counts)
}

/// On properties that the generator asks for. None is on those of one of its constraints, beside which it could not be.
const INDEXES: [&str; 5] = [
    "CREATE INDEX FOR (n:A) ON (n.i)",
    "CREATE INDEX FOR (n:A) ON (n.v)",
    "CREATE INDEX FOR (n:B) ON (n.i, n.s)",
    "CREATE INDEX FOR (n:C) ON (n.s)",
    "CREATE INDEX FOR (n:B) ON (n.v)",
];

/// Runs a case on the evaluator, then on every kind of store.
fn check(case: &Case) -> Result<Counts, String> {
    let (mut graph, mut counts) = (Graph::default(), Counts::default());
    let mut judged = Vec::new();
    for text in &case.statements {
        match judge(&graph, text, case.dialect) {
            Judged::Known(answer, after) => {
                let changed = after.as_ref().is_some_and(|after| after.dump() != graph.dump());
                let fails = matches!(answer, Answer::Fails(_));
                judged.push(Expectation {
                    text,
                    answer,
                    changing: changed,
                    // What fails must leave everything as it was.
                    after: after.clone().filter(|_| changed || fails),
                });
                match after {
                    Some(after) => graph = after,
                    // What comes behind it would be open, too.
                    None => break,
                }
            }
            Judged::TooMuch => counts.too_much += 1,
            Judged::NotUnderstood(what) => return Err(format!("not understood: {text}\n{what}")),
        }
    }
    // The first one makes the graph.
    judged
        .iter()
        .skip(1)
        .for_each(|expected| counts.count(&expected.answer, expected.changing));
    // With many nodes small batches are enough to have several, and of such as lie far from each other.
    let (small, large) = if case.is_large {
        (5, 16)
    } else {
        (1, DEFAULT_BATCH_ROWS)
    };
    for (indexes, in_memory, on_disk) in [(&[][..], small, DEFAULT_BATCH_ROWS), (&INDEXES[..], large, 2)] {
        let setting = Setting {
            dialect: case.dialect,
            indexes,
            batch_rows: in_memory,
            reads_apart: !indexes.is_empty(),
        };
        on_store(MemStore::new(), setting, &judged)
            .map_err(|difference| format!("in memory, {} indexes: {difference}", indexes.len()))?;
        let setting = Setting {
            batch_rows: on_disk,
            reads_apart: true,
            ..setting
        };
        let directory = tempfile::tempdir().map_err(|error| error.to_string())?;
        let options = LmdbOptions {
            map_size: 16 << 20,
            ..LmdbOptions::default()
        };
        let store = LmdbStore::open(directory.path(), options).map_err(|error| error.to_string())?;
        on_store(store, setting, &judged)
            .map_err(|difference| format!("on LMDB, {} indexes: {difference}", indexes.len()))?;
    }
    Ok(counts)
}

/// A statement and what it must do.
struct Expectation<'c> {
    text: &'c str,
    answer: Answer,
    changing: bool,
    /// The graph afterwards, if it is known and to be compared.
    after: Option<Graph>,
}

/// How the engine runs.
#[derive(Clone, Copy)]
struct Setting<'i> {
    dialect: Dialect,
    indexes: &'i [&'i str],
    batch_rows: usize,
    reads_apart: bool,
}

fn on_store<S: Store>(store: S, setting: Setting<'_>, expected: &[Expectation<'_>]) -> Result<(), String> {
    let database = Database::new(store, setting.dialect, setting.batch_rows);
    let mut database = database.map_err(|error| error.to_string())?;
    for index in setting.indexes {
        database.run(index).map_err(|error| error.to_string())?;
    }
    database.reads_apart = setting.reads_apart;
    for expectation in expected {
        let text = expectation.text;
        let got =
            catch_unwind(AssertUnwindSafe(|| database.run(text))).map_err(|_| format!("{text}\na panic"))?;
        compare(&expectation.answer, got).map_err(|difference| format!("{text}\n{difference}"))?;
        if let Some(graph) = &expectation.after {
            let (wanted, got) = (graph.dump(), database.dump().map_err(|error| error.to_string())?);
            if wanted != got {
                return Err(format!(
                    "{text}\nleaves\n{}\nand not\n{}",
                    got.join("\n"),
                    wanted.join("\n")
                ));
            }
        }
    }
    match database.damage().map_err(|error| error.to_string())? {
        None => Ok(()),
        Some(report) => Err(format!("the store breaks its own rules: {report}")),
    }
}

fn compare(wanted: &Answer, got: Result<Rows, QueryError>) -> Result<(), String> {
    let shown = |rows: &[String]| format!("{} rows\n{}", rows.len(), rows.join("\n"));
    match (wanted, got) {
        (_, Err(error)) if error.class == ErrorClass::InternalError => Err(format!("fails: {error}")),
        (Answer::Open, _) | (Answer::Fails(_), Err(_)) => Ok(()),
        (Answer::Fails(message), Ok(rows)) => {
            Err(format!("should fail ({message}) and gives {}", shown(&rows)))
        }
        (Answer::List(_) | Answer::Bag(_), Err(error)) => Err(format!("fails: {error}")),
        (Answer::List(wanted), Ok(got)) if *wanted == got => Ok(()),
        (Answer::List(wanted), Ok(got)) => Err(format!(
            "gives, in order, {}\nand not {}",
            shown(&got),
            shown(wanted)
        )),
        (Answer::Bag(wanted), Ok(mut got)) => {
            got.sort();
            if *wanted == got {
                return Ok(());
            }
            Err(format!("gives {}\nand not {}", shown(&got), shown(wanted)))
        }
    }
}
