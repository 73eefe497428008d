//! A plan as a tree of operators, in the order in which rows pass them: as text, what golden tests compare, or as rows and JSON for users.

use super::logical::{EdgeDirection, Step};
use super::physical::{Arm, Expand, LoweredQuery, Op};
use super::reads::Reads;
use crate::exec::profile::{Account, Profile};
use crate::names::{NameIndex, Names};
use geode_types::Value;
use std::fmt::Write;

/// An operator, or what stands between the operands of a union.
pub(crate) struct PlanNode {
    title: String,
    /// What it did, when it was run.
    account: Option<Account>,
    children: Vec<PlanNode>,
}

/// The operators of a query.
pub(crate) fn query_nodes(
    query: &LoweredQuery<'_>,
    names: &Names,
    profile: Option<&Profile>,
) -> Vec<PlanNode> {
    let mut nodes = Vec::new();
    for (at, (ops, _)) in query.parts.iter().enumerate() {
        if let Some(operation) = query.operation.filter(|_| at > 0) {
            nodes.push(PlanNode::title(operation.text().to_owned(), Vec::new()));
        }
        nodes.extend(nodes_of(ops, names, profile));
    }
    nodes
}

fn nodes_of(ops: &[Op<'_>], names: &Names, profile: Option<&Profile>) -> Vec<PlanNode> {
    let node = |op| {
        let mut title = line(op, names);
        let account = profile.map(|profile| profile.of(op));
        if let Some(account) = account.filter(|account| account.threads > 1) {
            let _ = write!(title, " on {} threads", account.threads);
        }
        PlanNode {
            title,
            account,
            children: match op {
                Op::Optional { inner, .. } | Op::Merge { inner, .. } => nodes_of(inner, names, profile),
                Op::RepeatPath(repeat) => query_nodes(&repeat.query, names, profile),
                Op::Apply { query, .. } | Op::Feed { query, .. } => query_nodes(query, names, profile),
                _ => Vec::new(),
            },
        }
    };
    ops.iter().map(node).collect()
}

impl PlanNode {
    /// Something that is no operator.
    pub(crate) fn title(title: String, children: Vec<Self>) -> Self {
        Self {
            title,
            account: None,
            children,
        }
    }

    fn map(&self) -> Value {
        let mut entries = Vec::new();
        if !self.children.is_empty() {
            entries.push((
                "children".to_owned(),
                Value::List(self.children.iter().map(Self::map).collect()),
            ));
        }
        if let Some(account) = self.account {
            let [rows, hits, time, memory] = figures(&account);
            entries.push(("hits".to_owned(), hits));
            entries.push(("memory_bytes".to_owned(), memory));
            entries.push(("operator".to_owned(), self.title.as_str().into()));
            entries.push(("rows".to_owned(), rows));
            entries.push(("time_us".to_owned(), time));
        } else {
            entries.push(("operator".to_owned(), self.title.as_str().into()));
        }
        Value::Map(entries)
    }
}

/// Rows, accesses, microseconds, bytes.
fn figures(account: &Account) -> [Value; 4] {
    let number = |figure: u128| Value::Int(i64::try_from(figure).unwrap_or(i64::MAX));
    [
        number(u128::from(account.rows)),
        number(u128::from(account.hits)),
        number(account.time.as_micros()),
        number(account.memory as u128),
    ]
}

/// One operator a line, those within another one deeper.
pub(crate) fn text(nodes: &[PlanNode], indent: usize, out: &mut String) {
    for node in nodes {
        let _ = writeln!(out, "{:indent$}{}", "", node.title);
        text(&node.children, indent + 2, out);
    }
}

/// One operator a row, with its figures if it was run.
pub(crate) fn rows(nodes: &[PlanNode], indent: usize, profiled: bool, out: &mut Vec<Vec<Value>>) {
    for node in nodes {
        let mut row = vec![Value::String(format!("{:indent$}{}", "", node.title))];
        if profiled {
            match &node.account {
                Some(account) => row.extend(figures(account)),
                None => row.resize(5, Value::Null),
            }
        }
        out.push(row);
        rows(&node.children, indent + 2, profiled, out);
    }
}

/// The whole tree as a JSON text.
pub(crate) fn json(nodes: &[PlanNode]) -> String {
    geode_types::to_json(&Value::List(nodes.iter().map(PlanNode::map).collect())).to_string()
}

fn name(names: &Names, index: NameIndex) -> &str {
    names.get(index).1
}

/// What an operator is called.
pub(crate) fn op_name(op: &Op<'_>) -> &'static str {
    match op {
        Op::Step(step) => step_name(step),
        Op::Argument => "Argument",
        Op::Use(_) => "Use",
        Op::Top { .. } => "Top",
        Op::DrainingPage { .. } => "DrainingPage",
        Op::CheckNode { .. } => "CheckNode",
        Op::Seek { .. } => "NodeById",
        Op::Scan { label: None, .. } => "AllNodesScan",
        Op::Scan { .. } => "LabelScan",
        Op::Expand(expand) if expand.to_bound => "ExpandInto",
        Op::Expand(_) => "Expand",
        Op::Repeat(repeat) if repeat.expand.to_bound => "RepeatInto",
        Op::Repeat(_) => "Repeat",
        Op::RepeatPath(_) => "RepeatPath",
        Op::EachEdge { .. } => "EachEdge",
        Op::Apply { .. } => "Apply",
        Op::Feed { .. } => "Feed",
        Op::Endpoints(_) => "Endpoints",
        Op::IndexSeek { .. } => "IndexSeek",
        Op::Intersect(_) => "Intersect",
        Op::Degree(_) => "Degree",
        Op::CountEdges { .. } => "CountEdges",
        Op::Labels { .. } => "Labels",
        Op::Filter(_) => "Filter",
        Op::Paths(_) => "Paths",
        Op::Optional { .. } => "Optional",
        Op::Merge { .. } => "Merge",
    }
}

fn line(op: &Op<'_>, names: &Names) -> String {
    let name_of = op_name(op);
    match op {
        Op::Use(graph) => format!("{name_of} {}", graph.0),
        Op::CheckNode { slot } | Op::Seek { slot, .. } => format!("{name_of} {slot}"),
        Op::Labels { slot, reads, .. } => format!("{name_of} {slot}{}", tested(reads, names)),
        Op::Scan {
            slot,
            label,
            reads,
            reach,
        } => {
            let label = label.map_or_else(String::new, |label| format!(":{}", name(names, label)));
            let how = if *reach > 0 { " in parallel" } else { "" };
            format!("{name_of} {slot}{label}{}{how}", tested(reads, names))
        }
        Op::Expand(expand) | Op::Endpoints(expand) => format!("{name_of} {}", edge(expand, names)),
        Op::Repeat(repeat) => format!("{name_of} {}", edge(&repeat.expand, names)),
        Op::RepeatPath(repeat) => format!("{name_of} {}", edge(&repeat.expand, names)),
        Op::EachEdge { slot, .. } => format!("{name_of} {slot}"),
        Op::IndexSeek { slot, seek } => format!("{name_of} {slot} {}", seek.rule.name),
        Op::Intersect(both) => format!(
            "{name_of} {} {}",
            arm(&both.left, both.to, names),
            arm(&both.right, both.to, names)
        ),
        Op::Degree(expand) => format!("{name_of} {}", edge(expand, names)),
        _ => name_of.to_owned(),
    }
}

/// The properties that are tested while nodes are read.
fn tested(reads: &Reads<'_>, names: &Names) -> String {
    let keys: Vec<&str> = reads.tests.iter().map(|test| name(names, test.key)).collect();
    if keys.is_empty() {
        String::new()
    } else {
        format!(" by {}", keys.join(", "))
    }
}

fn edge(expand: &Expand<'_>, names: &Names) -> String {
    arrow(
        expand.from,
        expand.edge,
        expand.to,
        expand.direction,
        expand.types,
        names,
    )
}

fn arm(arm: &Arm<'_>, to: usize, names: &Names) -> String {
    arrow(arm.from, arm.edge, to, arm.direction, arm.types, names)
}

fn arrow(
    from: usize,
    edge: usize,
    to: usize,
    direction: EdgeDirection,
    types: &[NameIndex],
    names: &Names,
) -> String {
    let types: Vec<&str> = types.iter().map(|index| name(names, *index)).collect();
    let (left, right) = match direction {
        EdgeDirection::Out => ("-", "->"),
        EdgeDirection::In => ("<-", "-"),
        EdgeDirection::Both => ("-", "-"),
    };
    let types = if types.is_empty() {
        String::new()
    } else {
        format!(":{}", types.join("|"))
    };
    format!("{from}{left}[{edge}{types}]{right}{to}")
}

fn step_name(step: &Step) -> &'static str {
    match step {
        Step::Unit { .. } => "Unit",
        Step::Argument => "Argument",
        Step::Table { .. } => "Table",
        Step::Use(_) => "Use",
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
