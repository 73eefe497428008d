//! Interleaved transactions on one store, judged by whether they could have run one after the other.
//!
//! The checker looks for such an order by trying all of them: the evaluator runs the committed transactions in it, and every statement must give
//! what it gave, and the graph must become what it became. An order may not put a transaction before one that had ended when it began
//! (strict serializability: Herlihy and Wing, 1990; Adya, 1999).

use crate::choices::{Choices, shrink};
use crate::engine::{Database, Open, Rows};
use crate::generate::{History, history};
use crate::graph::Graph;
use crate::judge::{Answer, Judged, judge};
use geode_gql::Dialect;
use geode_query::DEFAULT_BATCH_ROWS;
use geode_store::MemStore;
use geode_types::QueryError;
use std::fmt;

/// What was looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Mixes that were judged.
    pub mixes: usize,
    /// Transactions that committed.
    pub committed: usize,
    /// Transactions that the certifier refused.
    pub refused: usize,
    /// Transactions that were taken back.
    pub rolled_back: usize,
    /// Mixes in which the rules leave the answer of a statement open.
    pub open: usize,
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} mixes of transactions judged: {} committed, {} refused, {} rolled back; not judged: {} with an open answer",
            self.mixes, self.committed, self.refused, self.rolled_back, self.open
        )
    }
}

/// Judges so many random mixes, or ends with the first one that is not serializable, made as small as can be.
pub fn run(mixes: usize, seed: u64) -> Result<Counts, String> {
    let mut counts = Counts::default();
    for seed in seed.. {
        if counts.mixes >= mixes {
            break;
        }
        let mut choices = Choices::from_seed(seed);
        let generated = history(&mut choices);
        if check(&generated, true, &mut counts).is_ok() {
            continue;
        }
        let again = |choices: &[u32]| history(&mut Choices::again(choices.to_vec()));
        let fails = |choices: &[u32]| check(&again(choices), true, &mut Counts::default()).is_err();
        let smallest = again(&shrink(choices.taken(), fails));
        let reason = check(&smallest, true, &mut Counts::default())
            .err()
            .unwrap_or_default();
        return Err(format!(
            "seed {seed}\n{smallest:#?}\n{reason}\nagain: cargo xtask oracle --queries 0 --mixes 1 --seed {seed}"
        ));
    }
    Ok(counts)
}

/// How many of so many mixes break when nobody asks what a transaction has read: the measure of what the checker can see.
pub fn broken_without_certification(mixes: usize, seed: u64) -> usize {
    let of = |seed| history(&mut Choices::from_seed(seed));
    let broken = |seed: &u64| check(&of(*seed), false, &mut Counts::default()).is_err();
    (seed..seed + mixes as u64).filter(broken).count()
}

/// A transaction that has committed.
#[derive(Debug)]
struct Committed {
    began: usize,
    ended: usize,
    statements: Vec<(String, Result<Rows, String>)>,
}

/// A transaction under way.
struct Running {
    open: Open<MemStore>,
    began: usize,
    statements: Vec<(String, Result<Rows, String>)>,
}

fn check(history: &History, certified: bool, counts: &mut Counts) -> Result<(), String> {
    let text = |error: QueryError| error.to_string();
    let mut database = Database::new(MemStore::new(), history.dialect, DEFAULT_BATCH_ROWS).map_err(text)?;
    for statement in [
        "CREATE INDEX FOR (n:A) ON (n.k)",
        "CREATE INDEX FOR (n:A) ON (n.i)",
        history.setup.as_str(),
    ] {
        database.run(statement).map_err(text)?;
    }
    let committed = interleave(history, &mut database, certified, counts).map_err(text)?;
    if let Some(report) = database.damage().map_err(text)? {
        return Err(format!("the store breaks its own rules: {report}"));
    }
    let Judged::Known(_, Some(start)) = judge(&Graph::default(), &history.setup, history.dialect) else {
        return Err("the setup is not understood".to_owned());
    };
    let search = Search {
        committed: &committed,
        dialect: history.dialect,
        end: database.dump().map_err(text)?,
    };
    match search.order(&start, &mut Vec::new()) {
        Found::Yes => {
            counts.mixes += 1;
            Ok(())
        }
        Found::Open => {
            counts.open += 1;
            Ok(())
        }
        Found::No => Err(format!(
            "no order of these gives the same answers:\n{committed:#?}\nand {:#?}",
            search.end
        )),
        Found::NotUnderstood(what) => Err(what),
    }
}

/// Runs the transactions, each a step at its turn: begin, its statements, commit.
fn interleave(
    history: &History,
    database: &mut Database<MemStore>,
    certified: bool,
    counts: &mut Counts,
) -> Result<Vec<Committed>, QueryError> {
    let count = history.transactions.len();
    let mut running: Vec<Option<Running>> = (0..count).map(|_| None).collect();
    let mut over = vec![false; count];
    let mut committed = Vec::new();
    // Behind the given turns everybody comes to an end.
    let rest = (0..count).flat_map(|who| std::iter::repeat_n(who, 8));
    for (now, who) in history.turns.iter().copied().chain(rest).enumerate() {
        if over[who] {
            continue;
        }
        let program = &history.transactions[who];
        let Some(mut run) = running[who].take() else {
            running[who] = Some(Running {
                open: database.begin()?,
                began: now,
                statements: Vec::new(),
            });
            continue;
        };
        if let Some(statement) = program.statements.get(run.statements.len()) {
            let answer = database
                .run_in(&mut run.open, statement)
                .map_err(|error| error.to_string());
            run.statements.push((statement.clone(), answer));
            running[who] = Some(run);
            continue;
        }
        over[who] = true;
        if program.rolled_back {
            counts.rolled_back += 1;
        } else if database.commit(run.open, certified)? {
            counts.committed += 1;
            committed.push(Committed {
                began: run.began,
                ended: now,
                statements: run.statements,
            });
        } else {
            counts.refused += 1;
        }
    }
    Ok(committed)
}

/// Whether there is an order.
enum Found {
    Yes,
    No,
    Open,
    NotUnderstood(String),
}

struct Search<'h> {
    committed: &'h [Committed],
    dialect: Dialect,
    /// What the graph became.
    end: Rows,
}

impl Search<'_> {
    /// Looks for an order of those that are not done yet, from this graph on. As deep as there are transactions.
    fn order(&self, graph: &Graph, done: &mut Vec<usize>) -> Found {
        if done.len() == self.committed.len() {
            return if graph.dump() == self.end {
                Found::Yes
            } else {
                Found::No
            };
        }
        let waiting: Vec<usize> = (0..self.committed.len())
            .filter(|at| !done.contains(at))
            .collect();
        for next in &waiting {
            let began = self.committed[*next].began;
            if waiting.iter().any(|other| self.committed[*other].ended < began) {
                continue;
            }
            let after = match self.replay(graph, &self.committed[*next]) {
                Ok(Some(after)) => after,
                Ok(None) => continue,
                Err(other) => return other,
            };
            done.push(*next);
            let found = self.order(&after, done);
            done.pop();
            if !matches!(found, Found::No) {
                return found;
            }
        }
        Found::No
    }

    /// The graph after a transaction, when it sees on this graph what it saw.
    fn replay(&self, graph: &Graph, transaction: &Committed) -> Result<Option<Graph>, Found> {
        let mut graph = graph.clone();
        for (text, seen) in &transaction.statements {
            let (answer, after) = match judge(&graph, text, self.dialect) {
                Judged::Known(answer, Some(after)) => (answer, after),
                Judged::Known(_, None) | Judged::TooMuch => return Err(Found::Open),
                Judged::NotUnderstood(what) => return Err(Found::NotUnderstood(format!("{text}\n{what}"))),
            };
            let is_same = match (answer, seen) {
                (Answer::Open, _) => return Err(Found::Open),
                (Answer::Fails(_), seen) => seen.is_err(),
                (Answer::List(rows), Ok(seen)) => rows == *seen,
                (Answer::Bag(rows), Ok(seen)) => {
                    let mut seen = seen.clone();
                    seen.sort();
                    rows == seen
                }
                (Answer::List(_) | Answer::Bag(_), Err(_)) => false,
            };
            if !is_same {
                return Ok(None);
            }
            graph = after;
        }
        Ok(Some(graph))
    }
}
