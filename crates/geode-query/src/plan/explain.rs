//! A plan as text, one operator a line: what golden tests compare.

use super::logical::{EdgeDirection, Step};
use super::physical::{Expand, LoweredQuery, Op};
use crate::names::{NameIndex, Names};
use std::fmt::Write;

/// The operators in the order in which rows pass them.
pub(crate) fn explain(ops: &[Op<'_>], names: &Names, indent: usize, out: &mut String) {
    for op in ops {
        let _ = writeln!(out, "{:indent$}{}", "", line(op, names));
        match op {
            Op::Optional { inner, .. } | Op::Merge { inner, .. } => explain(inner, names, indent + 2, out),
            Op::RepeatPath(repeat) => explain_query(&repeat.query, names, indent + 2, out),
            Op::Apply { query, .. } | Op::Feed { query, .. } => explain_query(query, names, indent + 2, out),
            _ => {}
        }
    }
}

/// The parts of a query, with what joins them between.
pub(crate) fn explain_query(query: &LoweredQuery<'_>, names: &Names, indent: usize, out: &mut String) {
    for (at, (ops, _)) in query.parts.iter().enumerate() {
        if let Some(operation) = query.operation.filter(|_| at > 0) {
            let _ = writeln!(out, "{:indent$}{}", "", operation.text());
        }
        explain(ops, names, indent, out);
    }
}

fn name(names: &Names, index: NameIndex) -> &str {
    names.get(index).1
}

fn line(op: &Op<'_>, names: &Names) -> String {
    match op {
        Op::Step(step) => step_name(step).to_owned(),
        Op::Argument => "Argument".to_owned(),
        Op::Top { .. } => "Top".to_owned(),
        Op::DrainingPage { .. } => "DrainingPage".to_owned(),
        Op::CheckNode { slot } => format!("CheckNode {slot}"),
        Op::Seek { slot, .. } => format!("NodeById {slot}"),
        Op::Scan { slot, label: None } => format!("AllNodesScan {slot}"),
        Op::Scan {
            slot,
            label: Some(label),
        } => format!("LabelScan {slot}:{}", name(names, *label)),
        Op::Expand(expand) => format!(
            "{} {}",
            if expand.to_bound { "ExpandInto" } else { "Expand" },
            edge(expand, names)
        ),
        Op::Repeat(repeat) => format!(
            "{} {}",
            if repeat.expand.to_bound {
                "RepeatInto"
            } else {
                "Repeat"
            },
            edge(&repeat.expand, names)
        ),
        Op::RepeatPath(repeat) => format!("RepeatPath {}", edge(&repeat.expand, names)),
        Op::EachEdge { slot, .. } => format!("EachEdge {slot}"),
        Op::Endpoints(expand) => format!("Endpoints {}", edge(expand, names)),
        Op::Labels { slot, .. } => format!("Labels {slot}"),
        Op::Filter(_) => "Filter".to_owned(),
        Op::Paths(_) => "Paths".to_owned(),
        Op::Optional { .. } => "Optional".to_owned(),
        Op::Merge { .. } => "Merge".to_owned(),
        Op::Apply { .. } => "Apply".to_owned(),
        Op::Feed { .. } => "Feed".to_owned(),
    }
}

fn edge(expand: &Expand<'_>, names: &Names) -> String {
    let types: Vec<&str> = expand.types.iter().map(|index| name(names, *index)).collect();
    let (left, right) = match expand.direction {
        EdgeDirection::Out => ("-", "->"),
        EdgeDirection::In => ("<-", "-"),
        EdgeDirection::Both => ("-", "-"),
    };
    let types = if types.is_empty() {
        String::new()
    } else {
        format!(":{}", types.join("|"))
    };
    format!(
        "{}{left}[{}{types}]{right}{}",
        expand.from, expand.edge, expand.to
    )
}

fn step_name(step: &Step) -> &'static str {
    match step {
        Step::Unit { .. } => "Unit",
        Step::Argument => "Argument",
        Step::Table { .. } => "Table",
        Step::Match(_) => "Match",
        Step::Filter(_) => "Filter",
        Step::Extend(_) => "Extend",
        Step::Unwind { .. } => "Unwind",
        Step::Aggregate { .. } => "Aggregate",
        Step::Distinct(_) => "Distinct",
        Step::Sort(_) => "Sort",
        Step::Page { .. } => "Page",
        Step::Apply(_) => "Apply",
        Step::Feed { .. } => "Feed",
        Step::Procedure(_) => "Procedure",
        Step::Compact { .. } => "Compact",
        Step::Insert(_) => "Insert",
        Step::Merge(_) => "Merge",
        Step::Set(_) => "Set",
        Step::Delete { .. } => "Delete",
        Step::Discard => "Discard",
    }
}
