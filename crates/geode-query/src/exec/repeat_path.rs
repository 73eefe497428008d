//! Repeated paths: what follows from a node by one repetition is asked of a plan, and repetitions are strung together depth first.

use super::Cx;
use super::chain::{Input, Operator, Output};
use super::composite::Composite;
use super::eval::eval;
use super::expand::{is_taken, node_of};
use super::rows::{Rows, row_bytes};
use crate::datum::{Datum, EdgeDatum};
use crate::plan::physical::RepeatPath as Spec;
use geode_types::{EdgeId, NodeId, QueryError};
use std::collections::HashSet;

/// One repetition.
struct Repetition {
    end: NodeId,
    edges: Vec<EdgeDatum>,
    /// Of the group's variables.
    values: Vec<Datum>,
    bytes: usize,
}

/// The repetitions that are possible at a node.
struct Level {
    repetitions: Vec<Repetition>,
    next: usize,
    /// Whether the one before `next` is part of the string under way.
    took: bool,
}

impl Level {
    fn taken(&self) -> Option<&Repetition> {
        let before = self.next.checked_sub(1).filter(|_| self.took)?;
        self.repetitions.get(before)
    }
}

/// The repetitions of one row.
struct Search {
    start: NodeId,
    imports: Vec<Datum>,
    levels: Vec<Level>,
    taken: HashSet<EdgeId>,
}

/// Every string of repetitions from the nodes of the incoming rows.
pub(super) struct RepeatPath<'p> {
    spec: &'p Spec<'p>,
    input: Option<Rows>,
    at: usize,
    search: Option<Search>,
}

impl<'p> RepeatPath<'p> {
    pub(super) fn new(spec: &'p Spec<'p>) -> Self {
        Self {
            spec,
            input: None,
            at: 0,
            search: None,
        }
    }

    fn begin(&self, row: &[Datum], out: &mut Rows, cx: &mut Cx<'_>) -> Result<Option<Search>, QueryError> {
        let Some(start) = node_of(&row[self.spec.expand.from]) else {
            return Ok(None);
        };
        let mut imports = Vec::with_capacity(self.spec.group.imports.len());
        for import in &self.spec.group.imports {
            imports.push(eval(import, row, cx)?);
        }
        let mut search = Search {
            start,
            imports,
            levels: Vec::new(),
            taken: HashSet::new(),
        };
        if self.spec.min == 0 && self.may_end(start, row) {
            self.emit(&search, row, out);
        }
        if self.spec.max > 0 {
            let level = self.repetitions(start, &search, row, cx)?;
            search.descend(level, cx)?;
        }
        Ok(Some(search))
    }

    /// Goes on until the batch is full; whether that was the end.
    fn advance(
        &self,
        search: &mut Search,
        row: &[Datum],
        out: &mut Rows,
        cx: &mut Cx<'_>,
    ) -> Result<bool, QueryError> {
        while let Some(level) = search.levels.last_mut() {
            if out.is_full(cx.batch_rows) {
                return Ok(false);
            }
            cx.check()?;
            for edge in level
                .taken()
                .map(|before| before.edges.as_slice())
                .unwrap_or_default()
            {
                search.taken.remove(&edge.id);
            }
            level.took = false;
            let Some(chosen) = level.repetitions.get(level.next) else {
                search.ascend(cx);
                continue;
            };
            level.next += 1;
            let repeats = |edge: &EdgeDatum| !self.spec.walk && search.taken.contains(&edge.id);
            if chosen.edges.iter().any(repeats) {
                continue;
            }
            level.took = true;
            search.taken.extend(chosen.edges.iter().map(|edge| edge.id));
            let (end, depth) = (chosen.end, search.levels.len());
            if depth >= self.spec.min && self.may_end(end, row) {
                self.emit(search, row, out);
            }
            if depth < self.spec.max {
                let level = self.repetitions(end, search, row, cx)?;
                search.descend(level, cx)?;
            }
        }
        Ok(true)
    }

    fn may_end(&self, node: NodeId, row: &[Datum]) -> bool {
        !self.spec.expand.to_bound || node_of(&row[self.spec.expand.to]) == Some(node)
    }

    /// What one repetition from a node can be.
    fn repetitions(
        &self,
        node: NodeId,
        search: &Search,
        row: &[Datum],
        cx: &mut Cx<'_>,
    ) -> Result<Vec<Repetition>, QueryError> {
        let mut first = vec![Datum::Node(node)];
        first.extend(search.imports.iter().cloned());
        let mut argument = Rows::new(first.len());
        argument.push(&first);
        let mut composite = Composite::new(&self.spec.query, Some(argument));
        let mut found = Vec::new();
        while let Some(rows) = composite.next(cx)? {
            for inner in rows.iter() {
                let [end, Datum::Path(path), values @ ..] = inner else {
                    continue;
                };
                let distinct_from = &self.spec.expand.distinct_from;
                let taken = path
                    .edges
                    .iter()
                    .any(|edge| is_taken(row, distinct_from, edge.id.0));
                if let (Some(end), false) = (node_of(end), taken) {
                    found.push(Repetition {
                        end,
                        edges: path.edges.clone(),
                        values: values.to_vec(),
                        bytes: row_bytes(inner) + size_of::<Repetition>(),
                    });
                }
            }
        }
        Ok(found)
    }

    fn emit(&self, search: &Search, row: &[Datum], out: &mut Rows) {
        let chosen: Vec<&Repetition> = search.levels.iter().filter_map(Level::taken).collect();
        let lists = 1 + self.spec.group.variables.len();
        out.add_weight(chosen.len() * lists * size_of::<Datum>());
        let target = out.push(row);
        let edges = chosen.iter().flat_map(|repetition| &repetition.edges);
        target[self.spec.expand.edge] = Datum::list(edges.copied().map(Datum::Edge).collect());
        let end = chosen.last().map_or(search.start, |repetition| repetition.end);
        target[self.spec.expand.to] = Datum::Node(end);
        for (at, slot) in self.spec.group.variables.iter().enumerate() {
            let mut values = chosen
                .iter()
                .filter_map(|repetition| repetition.values.get(at).cloned());
            target[*slot] = if self.spec.group.as_lists {
                Datum::list(values.collect())
            } else {
                values.next().unwrap_or_default()
            };
        }
    }
}

impl Search {
    fn descend(&mut self, repetitions: Vec<Repetition>, cx: &mut Cx<'_>) -> Result<(), QueryError> {
        let bytes = repetitions.iter().map(|repetition| repetition.bytes).sum();
        self.levels.push(Level {
            repetitions,
            next: 0,
            took: false,
        });
        cx.hold(0, bytes)
    }

    fn ascend(&mut self, cx: &mut Cx<'_>) {
        if let Some(level) = self.levels.pop() {
            let bytes = level.repetitions.iter().map(|repetition| repetition.bytes).sum();
            cx.release(0, bytes);
        }
    }
}

impl Operator for RepeatPath<'_> {
    fn run(&mut self, input: Input, cx: &mut Cx<'_>) -> Result<Output, QueryError> {
        match input {
            Input::Rows(rows) => (self.input, self.at) = (Some(rows), 0),
            Input::Pull => {}
            Input::End => return Ok(Output::End),
        }
        let Some(rows) = self.input.take() else {
            return Ok(Output::NeedInput);
        };
        let mut out = Rows::new(rows.width());
        while self.at < rows.len() && !out.is_full(cx.batch_rows) {
            let row = rows.row(self.at);
            let search = match self.search.take() {
                Some(search) => Some(search),
                None => self.begin(row, &mut out, cx)?,
            };
            let Some(mut search) = search else {
                self.at += 1;
                continue;
            };
            if self.advance(&mut search, row, &mut out, cx)? {
                self.at += 1;
            } else {
                self.search = Some(search);
            }
        }
        if self.at < rows.len() {
            self.input = Some(rows);
        }
        Ok(if out.is_empty() && self.input.is_none() {
            Output::NeedInput
        } else {
            Output::Rows(out)
        })
    }
}
