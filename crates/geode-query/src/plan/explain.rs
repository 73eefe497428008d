//! A plan as a tree of operators, in the order in which rows pass them: as text, what golden tests compare, or as rows and JSON for users.

use super::logical::{EdgeDirection, Step};
use super::physical::{Arm, Expand, LoweredQuery, Op};
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
    let node = |op| PlanNode {
        title: line(op, names),
        account: profile.map(|profile| profile.of(op)),
        children: match op {
            Op::Optional { inner, .. } | Op::Merge { inner, .. } => nodes_of(inner, names, profile),
            Op::RepeatPath(repeat) => query_nodes(&repeat.query, names, profile),
            Op::Apply { query, .. } | Op::Feed { query, .. } => query_nodes(query, names, profile),
            _ => Vec::new(),
        },
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

fn line(op: &Op<'_>, names: &Names) -> String {
    match op {
        Op::Step(step) => step_name(step).to_owned(),
        Op::Argument => "Argument".to_owned(),
        Op::Top { .. } => "Top".to_owned(),
        Op::DrainingPage { .. } => "DrainingPage".to_owned(),
        Op::CheckNode { slot } => format!("CheckNode {slot}"),
        Op::Seek { slot, .. } => format!("NodeById {slot}"),
        Op::IndexSeek { slot, seek } => format!("IndexSeek {slot} {}", seek.rule.name),
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
        Op::Intersect(both) => format!(
            "Intersect {} {}",
            arm(&both.left, both.to, names),
            arm(&both.right, both.to, names)
        ),
        Op::Degree(expand) => format!("Degree {}", edge(expand, names)),
        Op::CountEdges { .. } => "CountEdges".to_owned(),
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
