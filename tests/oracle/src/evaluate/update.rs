//! INSERT, MERGE, SET, REMOVE, DELETE, FOREACH.
//!
//! A SET computes all values before it changes anything (ISO/IEC 39075, 13.3); a MERGE goes row by row and sees what it made (openCypher 9, "MERGE").

use super::{Evaluator, Fault, Outcome, Row, error, unknown, with};
use crate::graph::{Edge, Node};
use crate::value::Val;
use geode_gql::ast::{
    Clause, ClauseKind, Direction, Expr, ExprKind, LabelExpr, Name, PathPattern, RemoveItem, SetItem,
};
use std::collections::BTreeMap;

type Properties = BTreeMap<String, Val>;

/// One decided change.
enum Change {
    Property(Val, String, Val),
    Replace(Val, Properties),
    Labels(Val, Vec<String>, bool),
}

/// What is changed, its property, and the value that it gets.
type Decided = (Val, String, Val);

fn texts(names: &[Name]) -> Vec<String> {
    names.iter().map(|name| name.text.clone()).collect()
}

fn variable(name: &Name, row: &Row) -> Outcome<Val> {
    row.get(&name.text)
        .map_or_else(|| unknown(&name.text), |value| Ok(value.clone()))
}

impl Evaluator {
    pub(super) fn update(&mut self, clause: &Clause, mut rows: Vec<Row>) -> Outcome<Vec<Row>> {
        match &clause.kind {
            ClauseKind::Insert(patterns) => {
                // A clause does not see what it writes itself: all values first.
                let mut properties = Vec::new();
                for row in &rows {
                    for pattern in patterns {
                        properties.push(self.new_properties(pattern, row, false)?);
                    }
                }
                let mut properties = properties.into_iter();
                for row in &mut rows {
                    for pattern in patterns {
                        self.create(pattern, row, properties.next().unwrap_or_default())?;
                    }
                }
                Ok(rows)
            }
            ClauseKind::Merge {
                pattern,
                on_create,
                on_match,
            } => {
                let (mut out, mut decided) = (Vec::new(), Vec::new());
                for mut row in rows {
                    self.refuse_nulls(pattern, &row)?;
                    let mut found = self.matches(std::slice::from_ref(pattern), None, &row, false)?;
                    self.shuffle(&mut found);
                    if found.is_empty() {
                        let properties = self.new_properties(pattern, &row, true)?;
                        self.create(pattern, &mut row, properties)?;
                        self.set(on_create, std::slice::from_ref(&row), &mut decided)?;
                        out.push(row);
                    }
                    for row in found {
                        self.set(on_match, std::slice::from_ref(&row), &mut decided)?;
                        out.push(row);
                    }
                }
                Ok(out)
            }
            ClauseKind::Set(items) => self.set(items, &rows, &mut Vec::new()).map(|()| rows),
            ClauseKind::Remove(items) => {
                let mut changes = Vec::new();
                for row in &rows {
                    for item in items {
                        changes.push(match item {
                            RemoveItem::Property { target, key } => {
                                Change::Property(self.value(target, row)?, key.text.clone(), Val::Null)
                            }
                            RemoveItem::Labels { target, labels } => {
                                Change::Labels(variable(target, row)?, texts(labels), false)
                            }
                        });
                    }
                }
                self.apply(changes, &mut Vec::new()).map(|()| rows)
            }
            ClauseKind::Delete { detach, targets } => self.delete(*detach, targets, &rows).map(|()| rows),
            ClauseKind::Foreach {
                variable,
                list,
                clauses,
            } => {
                for row in &rows {
                    let Val::List(items) = self.value(list, row)? else {
                        continue;
                    };
                    for item in items {
                        let mut inner = vec![with(row, &variable.text, item)];
                        for clause in clauses {
                            inner = self.update(clause, inner)?;
                        }
                    }
                }
                Ok(rows)
            }
            other => unknown(&format!("{other:?}")),
        }
    }

    /// Creates what of a pattern is not bound, and binds it.
    fn create(&mut self, pattern: &PathPattern, row: &mut Row, properties: Vec<Properties>) -> Outcome<()> {
        let (mut nodes, mut edges) = (Vec::new(), Vec::new());
        let mut all = properties.into_iter();
        for node in pattern.nodes() {
            let properties = all.next().unwrap_or_default();
            let bound = node.variable.as_ref().and_then(|name| row.get(&name.text));
            let place = match bound {
                Some(Val::Node(place)) => *place,
                Some(_) => return error("an edge needs nodes at both ends"),
                None => {
                    let labels = node
                        .labels
                        .as_ref()
                        .and_then(LabelExpr::conjunction)
                        .unwrap_or_default();
                    let labels = labels.into_iter().map(|label| label.text.clone()).collect();
                    self.graph.nodes.push(Some(Node { labels, properties }));
                    self.graph.nodes.len() - 1
                }
            };
            if let Some(name) = &node.variable {
                row.insert(name.text.clone(), Val::Node(place));
            }
            nodes.push(place);
        }
        for (at, (edge, _)) in pattern.steps.iter().enumerate() {
            let (mut from, mut to) = (nodes[at], nodes[at + 1]);
            if edge.direction == Direction::Left {
                std::mem::swap(&mut from, &mut to);
            }
            if self.graph.nodes[from].is_none() || self.graph.nodes[to].is_none() {
                return error("an edge of a deleted node");
            }
            let Some(LabelExpr::Name(kind)) = &edge.labels else {
                return unknown("an edge without a type");
            };
            let properties = all.next().unwrap_or_default();
            self.graph.edges.push(Some(Edge {
                kind: kind.text.clone(),
                from,
                to,
                properties,
            }));
            let place = self.graph.edges.len() - 1;
            edges.push(place);
            if let Some(name) = &edge.variable {
                row.insert(name.text.clone(), Val::Edge(place));
            }
        }
        if let Some(name) = &pattern.variable {
            row.insert(name.text.clone(), Val::Path(nodes, edges));
        }
        Ok(())
    }

    /// The properties of a pattern's nodes, then of its edges.
    fn new_properties(
        &mut self,
        pattern: &PathPattern,
        row: &Row,
        refuse_null: bool,
    ) -> Outcome<Vec<Properties>> {
        let edges = pattern.steps.iter().map(|(edge, _)| edge.properties.as_ref());
        let mut all = Vec::new();
        for map in pattern.nodes().map(|node| node.properties.as_ref()).chain(edges) {
            let value = map.map_or(Ok(Val::Map(Properties::new())), |map| self.value(map, row))?;
            let Val::Map(mut properties) = value else {
                return unknown("properties that are no map");
            };
            if refuse_null && properties.values().any(|value| *value == Val::Null) {
                return error("MERGE of null");
            }
            properties.retain(|_, value| *value != Val::Null);
            properties.values().try_for_each(storable)?;
            all.push(properties);
        }
        Ok(all)
    }

    /// A null in the pattern of a MERGE would never match and so create again and again.
    fn refuse_nulls(&mut self, pattern: &PathPattern, row: &Row) -> Outcome<()> {
        for node in pattern.nodes() {
            if node.variable.as_ref().and_then(|name| row.get(&name.text)) == Some(&Val::Null) {
                return error("an edge needs nodes at both ends");
            }
        }
        let edges = pattern.steps.iter().map(|(edge, _)| edge.properties.as_ref());
        for map in pattern
            .nodes()
            .map(|node| node.properties.as_ref())
            .chain(edges)
            .flatten()
        {
            let ExprKind::Map(entries) = &map.kind else {
                continue;
            };
            for (_, value) in entries {
                if self.value(value, row)? == Val::Null {
                    return error("MERGE of null");
                }
            }
        }
        Ok(())
    }

    fn set(&mut self, items: &[SetItem], rows: &[Row], decided: &mut Vec<Decided>) -> Outcome<()> {
        let mut changes = Vec::new();
        for row in rows {
            for item in items {
                match item {
                    SetItem::Property { target, key, value } => {
                        let target = self.value(target, row)?;
                        let value = self.value(value, row)?;
                        if target != Val::Null {
                            storable(&value)?;
                            changes.push(Change::Property(target, key.text.clone(), value));
                        }
                    }
                    SetItem::Properties { target, value, merge } => {
                        let target = variable(target, row)?;
                        if target == Val::Null {
                            continue;
                        }
                        let value = self.value(value, row)?;
                        let properties = self.properties(&value)?;
                        properties.values().try_for_each(storable)?;
                        if *merge {
                            let set = |(key, value)| Change::Property(target.clone(), key, value);
                            changes.extend(properties.into_iter().map(set));
                        } else {
                            changes.push(Change::Replace(target, properties));
                        }
                    }
                    SetItem::Labels { target, labels } => {
                        changes.push(Change::Labels(variable(target, row)?, texts(labels), true));
                    }
                }
            }
        }
        self.apply(changes, decided)
    }

    /// Which of two values for one property stays depends on the order of rows; `decided` are those that the clause has set before.
    fn apply(&mut self, changes: Vec<Change>, decided: &mut Vec<Decided>) -> Outcome<()> {
        for change in changes {
            let value = match &change {
                Change::Property(target, key, value) => (target.clone(), key.clone(), value.clone()),
                Change::Replace(target, map) => (target.clone(), "*".to_owned(), Val::Map(map.clone())),
                Change::Labels(..) => (Val::Null, String::new(), Val::Null),
            };
            if decided
                .iter()
                .any(|other| other.0 == value.0 && other.1 == value.1 && other.2 != value.2)
            {
                return Err(Fault::Open);
            }
            decided.push(value);
            match change {
                Change::Property(Val::Null, ..) | Change::Labels(Val::Null, ..) => {}
                Change::Property(target, key, value) => {
                    let properties = self.stored(&target)?;
                    properties.remove(&key);
                    if value != Val::Null {
                        properties.insert(key, value);
                    }
                }
                Change::Replace(target, mut properties) => {
                    properties.retain(|_, value| *value != Val::Null);
                    *self.stored(&target)? = properties;
                }
                Change::Labels(target, labels, add) => {
                    let node = match target {
                        Val::Node(place) => self.graph.nodes[place].as_mut(),
                        _ => None,
                    };
                    let Some(node) = node else {
                        return error("only nodes bear labels that change");
                    };
                    for label in labels {
                        if add {
                            node.labels.insert(label);
                        } else {
                            node.labels.remove(&label);
                        }
                    }
                }
            }
        }
        Ok(())
    }

    fn stored(&mut self, element: &Val) -> Outcome<&mut Properties> {
        let properties = match element {
            Val::Node(place) => self.graph.nodes[*place].as_mut().map(|node| &mut node.properties),
            Val::Edge(place) => self.graph.edges[*place].as_mut().map(|edge| &mut edge.properties),
            _ => None,
        };
        properties.map_or_else(|| error("nothing that has properties"), Ok)
    }

    /// Edges first, so that the order of targets does not matter.
    fn delete(&mut self, detach: bool, targets: &[Expr], rows: &[Row]) -> Outcome<()> {
        let (mut nodes, mut edges) = (Vec::new(), Vec::new());
        for row in rows {
            for target in targets {
                match self.value(target, row)? {
                    Val::Null => {}
                    Val::Node(place) => nodes.push(place),
                    Val::Edge(place) => edges.push(place),
                    Val::Path(more_nodes, more_edges) => {
                        nodes.extend(more_nodes);
                        edges.extend(more_edges);
                    }
                    _ => return error("only elements are deleted"),
                }
            }
        }
        for place in edges {
            self.graph.edges[place] = None;
        }
        for place in self.graph.edge_places() {
            let joins = |edge: &Edge| nodes.contains(&edge.from) || nodes.contains(&edge.to);
            if self.graph.edges[place].as_ref().is_some_and(joins) {
                if !detach {
                    return error("a node with edges is not deleted");
                }
                self.graph.edges[place] = None;
            }
        }
        for place in nodes {
            self.graph.nodes[place] = None;
        }
        Ok(())
    }
}

/// What a property can be: no map, no element, and no list of lists, maps or nulls.
fn storable(value: &Val) -> Outcome<()> {
    let simple = |value: &Val| {
        !matches!(
            value,
            Val::Null | Val::List(_) | Val::Map(_) | Val::Node(_) | Val::Edge(_) | Val::Path(..)
        )
    };
    match value {
        Val::Null => Ok(()),
        Val::List(items) if items.iter().all(simple) => Ok(()),
        value if simple(value) => Ok(()),
        _ => error("nothing that a property can be"),
    }
}
