//! Bound expressions: variables are slots of the row, names are numbers, functions are found, aggregates are taken out.

use crate::datum::Datum;
use crate::function::Function;
use crate::names::NameIndex;
use geode_gql::Span;
use geode_gql::ast::{
    BinaryOp, CompareOp, LogicalOp, NormalForm, Quantification, StringOp, SubqueryKind, ValueType,
};
use std::collections::BTreeSet;
use std::sync::Arc;

/// What the executor evaluates for a row.
#[derive(Clone, Debug)]
pub(crate) enum Expr {
    Const(Datum),
    Param(Arc<str>),
    /// A cell of the row.
    Slot(usize),
    /// A variable of an enclosing list expression, counted from the outermost.
    Local(usize),
    Access(Box<Expr>, Vec<Step>),
    List(Vec<Expr>),
    Map(Vec<(Arc<str>, Expr)>),
    Not(Box<Expr>),
    Negate(Box<Expr>, Span),
    Chain(Box<Expr>, Vec<(BinaryOp, Expr, Span)>),
    Logical(LogicalOp, Vec<Expr>),
    Compare(Box<Expr>, Vec<(CompareOp, Expr)>),
    IsNull(Box<Expr>, bool),
    IsTruth(Box<Expr>, Option<bool>, bool),
    HasLabels(Box<Expr>, LabelTest, bool),
    In(Box<Expr>, Box<Expr>),
    StringMatch(StringOp, Box<Expr>, Box<Expr>),
    Case {
        operand: Option<Box<Expr>>,
        branches: Vec<(Expr, Expr)>,
        otherwise: Option<Box<Expr>>,
    },
    Call(&'static Function, Vec<Expr>, Span),
    Cast(Box<Expr>, ValueType, Span),
    Is(Box<Expr>, Box<Test>, bool),
    Quantified {
        kind: Quantification,
        list: Box<Expr>,
        condition: Box<Expr>,
    },
    /// Two more local variables: the value that is kept, then the element.
    Reduce {
        initial: Box<Expr>,
        list: Box<Expr>,
        next: Box<Expr>,
    },
    Comprehension {
        list: Box<Expr>,
        condition: Option<Box<Expr>>,
        result: Option<Box<Expr>>,
    },
    /// A path of the pattern's elements, all of them slots.
    Path {
        nodes: Vec<usize>,
        edges: Vec<usize>,
    },
    Subquery(Box<Subquery>),
}

/// A plan that is run for the row.
#[derive(Clone, Debug)]
pub(crate) struct Subquery {
    /// What is made of its rows.
    pub kind: SubqueryKind,
    /// Its number among the subqueries of the plan.
    pub plan: usize,
    /// Its first cells.
    pub imports: Vec<Expr>,
    pub span: Span,
}

impl Expr {
    /// Whether it only names values that are there.
    pub(crate) fn is_plain(&self) -> bool {
        match self {
            Self::Const(_) | Self::Param(_) | Self::Slot(_) => true,
            Self::List(items) => items.iter().all(Self::is_plain),
            Self::Map(entries) => entries.iter().all(|(_, value)| value.is_plain()),
            _ => false,
        }
    }
}

/// What IS asks of a value.
#[derive(Clone, Debug)]
pub(crate) enum Test {
    Typed(ValueType),
    Normalized(NormalForm),
    Directed,
    /// Whether a node is where an edge starts, or where it ends.
    End {
        edge: Expr,
        start: bool,
    },
}

/// One step into a value.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Key(NameIndex, Span),
    Index(Expr, Span),
    Slice(Option<Expr>, Option<Expr>, Span),
}

/// A label expression over numbered names.
#[derive(Clone, Debug)]
pub(crate) enum LabelTest {
    /// A label by this name; for an edge, this type. The two kinds of names have separate numbers.
    Name {
        label: NameIndex,
        edge_type: NameIndex,
    },
    Any,
    Not(Box<LabelTest>),
    All(Vec<LabelTest>),
    Either(Vec<LabelTest>),
}

impl LabelTest {
    /// Labels that every match carries: the planner can scan any of them.
    pub(crate) fn required(&self) -> Vec<NameIndex> {
        match self {
            Self::Name { label, .. } => vec![*label],
            Self::All(parts) => parts.iter().flat_map(Self::required).collect(),
            Self::Any | Self::Not(_) | Self::Either(_) => Vec::new(),
        }
    }

    /// The labels that it names.
    pub(crate) fn labels(&self) -> Vec<NameIndex> {
        match self {
            Self::Name { label, .. } => vec![*label],
            Self::Any => Vec::new(),
            Self::Not(inner) => inner.labels(),
            Self::All(parts) | Self::Either(parts) => parts.iter().flat_map(Self::labels).collect(),
        }
    }

    /// The types when the test is a plain choice of them (`:A|B`).
    pub(crate) fn alternatives(&self) -> Option<Vec<NameIndex>> {
        match self {
            Self::Name { edge_type, .. } => Some(vec![*edge_type]),
            Self::Either(parts) => {
                let lists: Option<Vec<_>> = parts.iter().map(Self::alternatives).collect();
                Some(lists?.concat())
            }
            Self::Any | Self::Not(_) | Self::All(_) => None,
        }
    }

    /// Whether a set of names satisfies the test; `has` answers for one name.
    pub(crate) fn holds(&self, any: bool, has: &mut impl FnMut(NameIndex, NameIndex) -> bool) -> bool {
        match self {
            Self::Name { label, edge_type } => has(*label, *edge_type),
            Self::Any => any,
            Self::Not(inner) => !inner.holds(any, has),
            Self::All(parts) => parts.iter().all(|part| part.holds(any, has)),
            Self::Either(parts) => parts.iter().any(|part| part.holds(any, has)),
        }
    }
}

impl Expr {
    /// The slots that the expression reads, ascending.
    pub(crate) fn slots(&self) -> Vec<usize> {
        let mut slots = BTreeSet::new();
        let mut open = vec![self];
        while let Some(expr) = open.pop() {
            match expr {
                Self::Slot(slot) => {
                    slots.insert(*slot);
                }
                Self::Path { nodes, edges } => slots.extend(nodes.iter().chain(edges)),
                _ => expr.push_operands(&mut open),
            }
        }
        slots.into_iter().collect()
    }

    /// Shows the expression and all within it.
    pub(crate) fn visit<'e>(&'e self, each: &mut dyn FnMut(&'e Self)) {
        let mut open = vec![self];
        while let Some(expr) = open.pop() {
            each(expr);
            expr.push_operands(&mut open);
        }
    }

    fn push_operands<'e>(&'e self, out: &mut Vec<&'e Self>) {
        match self {
            Self::Const(_) | Self::Param(_) | Self::Local(_) | Self::Slot(_) | Self::Path { .. } => {}
            Self::Access(base, steps) => {
                out.push(base);
                for step in steps {
                    match step {
                        Step::Key(..) => {}
                        Step::Index(index, _) => out.push(index),
                        Step::Slice(from, to, _) => out.extend(from.iter().chain(to)),
                    }
                }
            }
            Self::List(items) | Self::Logical(_, items) | Self::Call(_, items, _) => out.extend(items),
            Self::Map(entries) => out.extend(entries.iter().map(|(_, value)| value)),
            Self::Not(operand)
            | Self::Negate(operand, _)
            | Self::IsNull(operand, _)
            | Self::IsTruth(operand, ..)
            | Self::HasLabels(operand, ..)
            | Self::Cast(operand, ..) => out.push(operand),
            Self::Is(operand, test, _) => {
                out.push(operand);
                if let Test::End { edge, .. } = test.as_ref() {
                    out.push(edge);
                }
            }
            Self::Chain(first, rest) => {
                out.push(first);
                out.extend(rest.iter().map(|(_, operand, _)| operand));
            }
            Self::Compare(first, rest) => {
                out.push(first);
                out.extend(rest.iter().map(|(_, operand)| operand));
            }
            Self::In(left, right) | Self::StringMatch(_, left, right) => out.extend([left.as_ref(), right]),
            Self::Case {
                operand,
                branches,
                otherwise,
            } => {
                out.extend(operand.iter().chain(otherwise).map(Box::as_ref));
                out.extend(branches.iter().flat_map(|(when, then)| [when, then]));
            }
            Self::Quantified { list, condition, .. } => out.extend([list.as_ref(), condition]),
            Self::Reduce { initial, list, next } => out.extend([initial.as_ref(), list, next]),
            Self::Subquery(subquery) => out.extend(&subquery.imports),
            Self::Comprehension {
                list,
                condition,
                result,
            } => {
                out.push(list);
                out.extend(condition.iter().chain(result).map(Box::as_ref));
            }
        }
    }

    /// The operands of a conjunction, or the expression itself.
    pub(crate) fn into_conjuncts(self) -> Vec<Self> {
        match self {
            Self::Logical(LogicalOp::And, operands) => {
                operands.into_iter().flat_map(Self::into_conjuncts).collect()
            }
            other => vec![other],
        }
    }
}
