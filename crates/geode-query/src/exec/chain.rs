//! Runs a chain of operators without recursion, however long the statement: control moves to the operator before when one needs
//! input, and to the one behind when one has rows.

use super::Cx;
use super::profile;
use super::rows::Rows;
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

/// Operators in the order in which rows pass them; the first needs no input.
pub(crate) struct Chain<'p> {
    /// Each with the place of its part of the plan, which is its name in a profile.
    operators: Vec<(Box<dyn Operator + 'p>, usize)>,
    ended: bool,
}

impl<'p> Chain<'p> {
    pub(crate) fn new(operators: Vec<(Box<dyn Operator + 'p>, usize)>) -> Self {
        Self {
            ended: operators.is_empty(),
            operators,
        }
    }

    /// The next rows that leave the chain, or none at its end.
    pub(crate) fn next(&mut self, cx: &mut Cx<'_>) -> Result<Option<Rows>, QueryError> {
        let last = self.operators.len().saturating_sub(1);
        let (mut at, mut input) = (last, Input::Pull);
        while !self.ended {
            cx.check()?;
            let (operator, place) = &mut self.operators[at];
            match profile::run(operator.as_mut(), *place, input, cx)? {
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
