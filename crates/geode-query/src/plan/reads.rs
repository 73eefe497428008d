//! What can be asked of a node at the moment at which it is read, so that nothing else is made of those that are dropped, and no node is
//! read twice: comparisons of its properties with values that are the same for every row, and the properties that the next operator needs.

use super::logical::Step;
use super::physical::Op;
use crate::expr::{Expr, Step as Access};
use crate::names::NameIndex;
use geode_gql::ast::CompareOp;

/// Of so many properties at most.
pub(crate) const MOST_KEYS: usize = 8;

/// What an operator that reads nodes does besides.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reads<'p> {
    /// What must hold of the node.
    pub tests: Vec<PropertyTest<'p>>,
    /// Properties that are handed on with the rows, those of the tests included. Each once.
    pub keys: Vec<NameIndex>,
}

/// A comparison of a property, on the left, with a constant or a parameter. It cannot fail: what it does not hold of it drops.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PropertyTest<'p> {
    /// As it was written.
    pub condition: &'p Expr,
    pub key: NameIndex,
    pub op: CompareOp,
    pub value: &'p Expr,
}

/// `slot.key`.
pub(crate) fn property_of(expr: &Expr) -> Option<(usize, NameIndex)> {
    match expr {
        Expr::Access(base, steps) => match (base.as_ref(), steps.as_slice()) {
            (Expr::Slot(slot), [Access::Key(key, _)]) => Some((*slot, *key)),
            _ => None,
        },
        _ => None,
    }
}

/// The test that a condition is, if it is one of the node in this slot.
fn property_test(condition: &Expr, slot: usize) -> Option<PropertyTest<'_>> {
    let Expr::Compare(left, rest) = condition else {
        return None;
    };
    let [(op, right)] = rest.as_slice() else {
        return None;
    };
    let is_fixed = |expr: &Expr| matches!(expr, Expr::Const(_) | Expr::Param(_));
    let of_slot = |expr: &Expr| property_of(expr).filter(|(of, _)| *of == slot);
    let test = |key, op, value| PropertyTest {
        condition,
        key,
        op,
        value,
    };
    match (of_slot(left), of_slot(right)) {
        (Some((_, key)), None) if is_fixed(right) => Some(test(key, *op, right)),
        (None, Some((_, key))) if is_fixed(left) => Some(test(key, mirrored(*op), left)),
        _ => None,
    }
}

/// The comparison with its sides exchanged.
fn mirrored(op: CompareOp) -> CompareOp {
    match op {
        CompareOp::Equal | CompareOp::NotEqual => op,
        CompareOp::Less => CompareOp::Greater,
        CompareOp::LessEqual => CompareOp::GreaterEqual,
        CompareOp::Greater => CompareOp::Less,
        CompareOp::GreaterEqual => CompareOp::LessEqual,
    }
}

impl<'p> Reads<'p> {
    /// Adds a key, unless there are too many already; whether it is one of them now.
    fn add_key(&mut self, key: NameIndex) -> bool {
        if self.keys.contains(&key) {
            return true;
        }
        let has_room = self.keys.len() < MOST_KEYS;
        if has_room {
            self.keys.push(key);
        }
        has_room
    }

    /// Takes over conditions from the front, as long as they are tests: what stands behind another condition is asked after it, which may
    /// fail.
    fn take_tests(&mut self, slot: usize, conditions: &mut Vec<&'p Expr>) {
        let mut taken = 0;
        for condition in conditions.iter() {
            let Some(test) = property_test(condition, slot).filter(|test| self.add_key(test.key)) else {
                break;
            };
            self.tests.push(test);
            taken += 1;
        }
        conditions.drain(..taken);
    }
}

/// Moves tests of properties to where the nodes are read.
pub(crate) fn read_once(ops: Vec<Op<'_>>) -> Vec<Op<'_>> {
    let mut done: Vec<Op<'_>> = Vec::with_capacity(ops.len());
    for op in ops {
        let op = match (done.last_mut().and_then(reads_of), op) {
            (Some((slot, reads)), Op::Filter(mut conditions)) => {
                reads.take_tests(slot, &mut conditions);
                if conditions.is_empty() {
                    continue;
                }
                Op::Filter(conditions)
            }
            (_, Op::Optional { inner, marker }) => Op::Optional {
                inner: read_once(inner),
                marker,
            },
            (_, op) => op,
        };
        done.push(op);
    }
    for at in 1..done.len() {
        let (before, behind) = done.split_at_mut(at);
        // Rows pass this one as they are.
        let next = behind.iter().find(|op| !matches!(op, Op::Degree(_)));
        if let (Some((slot, reads)), Some(next)) = (before.last_mut().and_then(reads_of), next) {
            for key in asked(next, slot) {
                reads.add_key(key);
            }
        }
    }
    done
}

/// The slot that an operator reads nodes of.
fn reads_of<'o, 'p>(op: &'o mut Op<'p>) -> Option<(usize, &'o mut Reads<'p>)> {
    match op {
        Op::Scan { slot, reads, .. } | Op::Labels { slot, reads, .. } => Some((*slot, reads)),
        _ => None,
    }
}

/// The properties of the element in a slot that an operator asks for.
fn asked(op: &Op<'_>, slot: usize) -> Vec<NameIndex> {
    let exprs: Vec<&Expr> = match op {
        Op::Filter(conditions) => conditions.clone(),
        Op::Top { keys, .. } => keys.iter().map(|key| &key.expr).collect(),
        Op::Step(Step::Sort(keys)) => keys.iter().map(|key| &key.expr).collect(),
        Op::CountEdges { keys, .. } => keys.iter().collect(),
        Op::Step(Step::Filter(condition)) => vec![condition],
        Op::Step(Step::Extend(cells)) => cells.iter().map(|(_, expr)| expr).collect(),
        Op::Step(Step::Aggregate { keys, calls, .. }) => {
            let arguments = calls
                .iter()
                .flat_map(|call| call.argument.iter().chain(&call.parameter));
            keys.iter().chain(arguments).collect()
        }
        _ => Vec::new(),
    };
    let mut found = Vec::new();
    for expr in exprs {
        expr.visit(&mut |expr| {
            if let Expr::Access(base, steps) = expr
                && let (Expr::Slot(of), [Access::Key(key, _), ..]) = (base.as_ref(), steps.as_slice())
                && *of == slot
            {
                found.push(*key);
            }
        });
    }
    found
}
