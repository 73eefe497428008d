//! Runs a chain of operators without recursion, however long the statement: control moves to the operator before when one needs
//! input, and to the one behind when one has rows.

use super::Cx;
use super::profile;
use super::rows::Rows;
use geode_graph::GraphId;
use geode_types::QueryError;

/// Why an operator is called.
pub(crate) enum Input {
    /// For its next rows, without new input.
    Pull,
    /// With the rows that it needed.
    Rows(Rows),
    /// Its input has ended.
    End,
}

/// What an operator answers.
pub(crate) enum Output {
    Rows(Rows),
    /// It can go on only with more input. Never after [`Input::End`].
    NeedInput,
    /// There will be no more rows.
    End,
}

/// One operator. It keeps its state between calls.
pub(crate) trait Operator {
    fn run(&mut self, input: Input, cx: &mut Cx<'_>) -> Result<Output, QueryError>;
}

/// An operator of a chain.
pub(crate) struct Stage<'p> {
    /// The graph that it works on, when that is not the one of whoever runs the chain.
    pub graph: Option<GraphId>,
    /// What it is called.
    pub name: &'static str,
    pub operator: Box<dyn Operator + 'p>,
    /// The place of its part of the plan, which is its name in a profile.
    pub place: usize,
}

/// Operators in the order in which rows pass them; the first needs no input.
pub(crate) struct Chain<'p> {
    stages: Vec<Stage<'p>>,
    /// Whether any stage works on a graph of its own.
    switches: bool,
    ended: bool,
}

impl<'p> Chain<'p> {
    pub(crate) fn new(stages: Vec<Stage<'p>>) -> Self {
        Self {
            ended: stages.is_empty(),
            switches: stages.iter().any(|stage| stage.graph.is_some()),
            stages,
        }
    }

    /// The next rows that leave the chain, or none at its end. The graph that is worked on is the same afterwards as before.
    pub(crate) fn next(&mut self, cx: &mut Cx<'_>) -> Result<Option<Rows>, QueryError> {
        let graph = cx.graph.graph();
        let rows = self.run(graph, cx);
        if self.switches {
            cx.graph.use_graph(graph);
        }
        rows
    }

    fn run(&mut self, graph: GraphId, cx: &mut Cx<'_>) -> Result<Option<Rows>, QueryError> {
        let last = self.stages.len().saturating_sub(1);
        let (mut at, mut input) = (last, Input::Pull);
        while !self.ended {
            cx.check()?;
            let stage = &mut self.stages[at];
            if self.switches {
                cx.graph.use_graph(stage.graph.unwrap_or(graph));
            }
            cx.operator = stage.name;
            match profile::run(stage.operator.as_mut(), stage.place, input, cx)? {
                Output::Rows(rows) if rows.is_empty() => input = Input::Pull,
                Output::Rows(rows) if at == last => return Ok(Some(rows)),
                Output::Rows(rows) => {
                    at += 1;
                    input = Input::Rows(rows);
                }
                Output::NeedInput if at > 0 => {
                    at -= 1;
                    input = Input::Pull;
                }
                Output::NeedInput => input = Input::End,
                Output::End if at == last => {
                    self.ended = true;
                    return Ok(None);
                }
                Output::End => {
                    at += 1;
                    input = Input::End;
                }
            }
        }
        Ok(None)
    }
}
