//! INSERT, MERGE, SET, REMOVE, DELETE.

use super::{Binder, Bound};
use crate::expr::Expr;
use crate::names::NameIndex;
use crate::plan::logical::{CreateElement, Merge, Properties, SetAction, Step};
use crate::types::{Type, TypeSet};
use geode_gql::ast::{
    self, Direction, EdgePattern, ExprKind, LabelExpr, Name, NodePattern, PathPattern, PathSearch,
    RemoveItem, SetItem,
};
use geode_graph::TokenKind;
use std::collections::HashSet;

impl Binder<'_> {
    pub(super) fn insert(&mut self, patterns: &[PathPattern]) -> Bound<()> {
        let mut elements = Vec::new();
        for pattern in patterns {
            self.refuse_search(pattern)?;
            self.created_path(pattern, None, &mut elements)?;
        }
        self.look_before(&mut elements);
        // Neighbouring INSERTs read nothing of each other but their variables, so they are one step.
        if let Some(Step::Insert(before)) = self.plan.steps.last_mut() {
            before.extend(elements);
        } else {
            self.step(Step::Insert(elements));
        }
        Ok(())
    }

    /// A clause does not see what it writes itself (openCypher 9, "Updating the graph"): values that look into the graph are computed for all
    /// rows before the first element is made. Those that name an element of the same clause have to wait for it.
    fn look_before(&mut self, elements: &mut [CreateElement]) {
        let made: Vec<usize> = elements.iter().map(CreateElement::slot).collect();
        let mut cells = Vec::new();
        for value in elements.iter_mut().flat_map(CreateElement::values_mut) {
            let mut looks = false;
            value.visit(&mut |part| looks |= matches!(part, Expr::Subquery(_)));
            if looks && !value.slots().iter().any(|slot| made.contains(slot)) {
                let slot = self.new_slot();
                cells.push((slot, std::mem::replace(value, Expr::Slot(slot))));
            }
        }
        self.extend(cells);
    }

    /// What a path creates. In a MERGE (`merged` holds the variables bound before it) the slots exist already.
    fn created_path(
        &mut self,
        pattern: &PathPattern,
        merged: Option<&Merging>,
        out: &mut Vec<CreateElement>,
    ) -> Bound<()> {
        if let (Some(name), None) = (&pattern.variable, merged)
            && self.scope.get(&name.text).is_some()
        {
            return Err(self.already_bound(name));
        }
        let lone = pattern.steps.is_empty();
        let mut made = HashSet::new();
        let mut nodes = Vec::new();
        for (at, node) in pattern.nodes().enumerate() {
            let slot = merged.map(|merging| merging.nodes[at]);
            nodes.push(self.created_node(node, lone, slot, merged, &mut made, out)?);
        }
        let mut edges = Vec::new();
        for (at, (edge, _)) in pattern.steps.iter().enumerate() {
            let slot = merged.map(|merging| merging.edges[at]);
            edges.push(self.created_edge(edge, (nodes[at], nodes[at + 1]), slot, merged, out)?);
        }
        if let Some(name) = &pattern.variable {
            let slot = match merged.and_then(|_| self.scope.get(&name.text)) {
                Some(variable) => variable.slot,
                None => {
                    let slot = self.new_slot();
                    self.scope.define(&name.text, slot, Type::Path);
                    slot
                }
            };
            out.push(CreateElement::Path {
                slot,
                path: Expr::Path { nodes, edges },
            });
        }
        Ok(())
    }

    fn created_node(
        &mut self,
        node: &NodePattern,
        lone: bool,
        merged: Option<usize>,
        merging: Option<&Merging>,
        made: &mut HashSet<usize>,
        out: &mut Vec<CreateElement>,
    ) -> Bound<usize> {
        self.refuse_condition(node.condition.as_ref())?;
        let bound_before = |name: &Name| {
            merging.map_or(self.scope.get(&name.text).is_some(), |merging| {
                merging.before.contains(&name.text)
            })
        };
        if let Some(name) = node.variable.as_ref().filter(|name| bound_before(name)) {
            return self.reused_node(name, node, lone);
        }
        let slot = match (merged, &node.variable) {
            (Some(slot), _) => slot,
            (None, Some(name)) => {
                let slot = self.new_slot();
                // Defined behind its own properties: a node cannot describe itself.
                let element = self.node_element(node, slot)?;
                self.scope.define(&name.text, slot, Type::Node);
                out.push(element);
                return Ok(slot);
            }
            (None, None) => self.new_slot(),
        };
        if made.insert(slot) {
            let element = self.node_element(node, slot)?;
            out.push(element);
        } else if let Some(name) = &node.variable
            && (node.labels.is_some() || node.properties.is_some())
        {
            return Err(self.already_bound(name));
        }
        Ok(slot)
    }

    /// A node that exists already can only be the end of an edge.
    fn reused_node(&self, name: &Name, node: &NodePattern, lone: bool) -> Bound<usize> {
        let Some(variable) = self.scope.get(&name.text) else {
            return Err(self.undefined_variable(&name.text, name.span, &self.scope));
        };
        if lone || node.labels.is_some() || node.properties.is_some() {
            let error = self.already_bound(name);
            return Err(error.hint("a bound node can only be the end of a new edge; use SET to change it"));
        }
        if !variable.ty.can_be(TypeSet::NODE) {
            return Err(self.type_conflict(name, variable.ty.name(), "a node"));
        }
        Ok(variable.slot)
    }

    fn node_element(&mut self, node: &NodePattern, slot: usize) -> Bound<CreateElement> {
        let labels = match &node.labels {
            None => Vec::new(),
            Some(labels) => self.plain_labels(labels, node)?,
        };
        Ok(CreateElement::Node {
            slot,
            labels,
            properties: self.created_properties(node.properties.as_ref())?,
        })
    }

    fn plain_labels(&mut self, labels: &LabelExpr, node: &NodePattern) -> Bound<Vec<NameIndex>> {
        let Some(names) = labels.conjunction() else {
            let message = "a new node gets labels by name; | ! and % have no meaning here";
            return Err(self
                .error(node.span, "UnexpectedSyntax", message)
                .hint("write :A&B for both labels"));
        };
        Ok(names
            .into_iter()
            .map(|name| self.names.intern(TokenKind::Label, &name.text))
            .collect())
    }

    fn created_edge(
        &mut self,
        edge: &EdgePattern,
        ends: (usize, usize),
        merged: Option<usize>,
        merging: Option<&Merging>,
        out: &mut Vec<CreateElement>,
    ) -> Bound<usize> {
        self.refuse_condition(edge.condition.as_ref())?;
        if let Some(quantifier) = &edge.quantifier {
            return Err(self.error(
                quantifier.span,
                "CreatingVarLength",
                "an edge to create cannot have a quantifier",
            ));
        }
        let taken = |name: &&Name| {
            merging.map_or(self.scope.get(&name.text).is_some(), |merging| {
                merging.before.contains(&name.text)
            })
        };
        if let Some(name) = edge.variable.as_ref().filter(taken) {
            return Err(self.already_bound(name));
        }
        let Some(LabelExpr::Name(edge_type)) = &edge.labels else {
            let message = "an edge to create needs exactly one type";
            return Err(self
                .error(edge.span, "NoSingleRelationshipType", message)
                .hint("write -[:TYPE]->"));
        };
        // MERGE without a direction matches either one and creates from left to right.
        let (start, end) = match edge.direction {
            Direction::Right => ends,
            Direction::Left => (ends.1, ends.0),
            Direction::Any if merging.is_some() => ends,
            Direction::Any | Direction::LeftOrRight | Direction::Undirected => {
                let message = "an edge to create needs a direction";
                return Err(self
                    .error(edge.span, "RequiresDirectedRelationship", message)
                    .hint("write -[:TYPE]-> or <-[:TYPE]-"));
            }
        };
        let edge_type = self.names.intern(TokenKind::EdgeType, &edge_type.text);
        let properties = self.created_properties(edge.properties.as_ref())?;
        let slot = merged.unwrap_or_else(|| self.new_slot());
        if let (Some(name), None) = (&edge.variable, merging) {
            self.scope.define(&name.text, slot, Type::Edge);
        }
        out.push(CreateElement::Edge {
            slot,
            edge_type,
            start,
            end,
            properties,
        });
        Ok(slot)
    }

    fn created_properties(&mut self, properties: Option<&ast::Expr>) -> Bound<Properties> {
        match properties {
            None => Ok(Properties::Entries(Vec::new())),
            Some(ast::Expr {
                kind: ExprKind::Map(entries),
                ..
            }) => {
                let entries = entries.iter().map(|(key, value)| {
                    let value = self.plain(value, "a property")?.0;
                    Ok((self.names.intern(TokenKind::PropertyKey, &key.text), value))
                });
                Ok(Properties::Entries(entries.collect::<Bound<_>>()?))
            }
            Some(map) => Ok(Properties::Dynamic(self.plain(map, "a property map")?.0)),
        }
    }

    /// Nothing is searched for where something is created.
    fn refuse_search(&self, pattern: &PathPattern) -> Bound<()> {
        if pattern.search == PathSearch::Every && pattern.mode.is_none() {
            return Ok(());
        }
        let message = "what is created has no path search and no path mode";
        Err(self.error(pattern.span, "UnexpectedSyntax", message))
    }

    fn refuse_condition(&self, condition: Option<&ast::Expr>) -> Bound<()> {
        match condition {
            Some(condition) => Err(self.error(
                condition.span,
                "UnexpectedSyntax",
                "what is created cannot have a WHERE",
            )),
            None => Ok(()),
        }
    }

    pub(super) fn merge(
        &mut self,
        pattern: &PathPattern,
        on_create: &[SetItem],
        on_match: &[SetItem],
    ) -> Bound<()> {
        self.refuse_search(pattern)?;
        let before: HashSet<String> = self.scope.names().map(str::to_owned).collect();
        if let Some((edge, quantifier)) = pattern
            .steps
            .iter()
            .find_map(|(edge, _)| edge.quantifier.as_ref().map(|q| (edge, q)))
        {
            let message = format!(
                "an edge to create cannot have a quantifier: {}",
                self.source.slice(edge.span)
            );
            return Err(self.error(quantifier.span, "CreatingVarLength", message));
        }
        for name in pattern
            .steps
            .iter()
            .filter_map(|(edge, _)| edge.variable.as_ref())
        {
            if before.contains(&name.text) {
                return Err(self.already_bound(name));
            }
        }
        let matched = self.merge_pattern(pattern)?;
        let slot_of = |name: &Option<Name>, binder: &Self| {
            name.as_ref()
                .and_then(|name| binder.scope.get(&name.text))
                .map(|variable| variable.slot)
        };
        let (mut nodes, mut edges) = (Vec::new(), Vec::new());
        // Terms come in the order of the pattern; a variable that stands twice has one term.
        let mut terms = matched.nodes.iter();
        let mut seen = HashSet::new();
        for node in pattern.nodes() {
            let repeated = node
                .variable
                .as_ref()
                .is_some_and(|name| !seen.insert(name.text.clone()));
            let slot = if repeated {
                slot_of(&node.variable, self)
            } else {
                terms.next().map(|term| term.slot)
            };
            nodes.push(slot.unwrap_or_default());
        }
        edges.extend(matched.edges.iter().map(|edge| edge.slot));
        let mut create = Vec::new();
        self.created_path(pattern, Some(&Merging { before, nodes, edges }), &mut create)?;
        let (on_create, on_match) = (self.set_items(on_create)?, self.set_items(on_match)?);
        self.step(Step::Merge(Box::new(Merge {
            pattern: matched,
            create,
            on_create,
            on_match,
        })));
        Ok(())
    }

    pub(super) fn set_items(&mut self, items: &[SetItem]) -> Bound<Vec<SetAction>> {
        let mut actions = Vec::with_capacity(items.len());
        for item in items {
            actions.push(match item {
                SetItem::Property { target, key, value } => {
                    let target = self.changed(target)?;
                    let key = self.names.intern(TokenKind::PropertyKey, &key.text);
                    SetAction::Property {
                        target,
                        key,
                        value: self.plain(value, "SET")?.0,
                    }
                }
                SetItem::Properties { target, value, merge } => {
                    let slot = self.changed_variable(target, TypeSet::NODE.or(TypeSet::EDGE))?;
                    let (bound, ty) = self.plain(value, "SET")?;
                    self.require(
                        &ty,
                        TypeSet::MAP.or(TypeSet::NODE).or(TypeSet::EDGE),
                        value.span,
                        "SET",
                    )?;
                    SetAction::Properties {
                        slot,
                        value: bound,
                        merge: *merge,
                    }
                }
                SetItem::Labels { target, labels } => self.labels(target, labels, true)?,
            });
        }
        Ok(actions)
    }

    pub(super) fn remove_items(&mut self, items: &[RemoveItem]) -> Bound<Vec<SetAction>> {
        let mut actions = Vec::with_capacity(items.len());
        for item in items {
            actions.push(match item {
                RemoveItem::Property { target, key } => {
                    let target = self.changed(target)?;
                    let key = self.names.intern(TokenKind::PropertyKey, &key.text);
                    SetAction::Property {
                        target,
                        key,
                        value: Expr::Const(crate::datum::Datum::Null),
                    }
                }
                RemoveItem::Labels { target, labels } => self.labels(target, labels, false)?,
            });
        }
        Ok(actions)
    }

    fn labels(&mut self, target: &Name, labels: &[Name], add: bool) -> Bound<SetAction> {
        let slot = self.changed_variable(target, TypeSet::NODE)?;
        let labels = labels
            .iter()
            .map(|label| self.names.intern(TokenKind::Label, &label.text))
            .collect();
        Ok(SetAction::Labels { slot, labels, add })
    }

    fn changed(&mut self, target: &ast::Expr) -> Bound<Expr> {
        let (bound, ty) = self.plain(target, "SET")?;
        self.require(
            &ty,
            TypeSet::NODE.or(TypeSet::EDGE),
            target.span,
            "a change of properties",
        )?;
        Ok(bound)
    }

    fn changed_variable(&self, name: &Name, wanted: TypeSet) -> Bound<usize> {
        let Some(variable) = self.scope.get(&name.text) else {
            return Err(self.undefined_variable(&name.text, name.span, &self.scope));
        };
        self.require(&variable.ty, wanted, name.span, "the change")?;
        Ok(variable.slot)
    }

    pub(super) fn delete(&mut self, detach: bool, targets: &[ast::Expr]) -> Bound<()> {
        let mut bound = Vec::with_capacity(targets.len());
        for target in targets {
            if let ExprKind::IsLabeled(..) = target.kind {
                let message = "DELETE removes nodes and edges, not labels or types";
                return Err(self
                    .error(target.span, "InvalidDelete", message)
                    .hint("write REMOVE n:Label to take a label away"));
            }
            let (expr, ty) = self.plain(target, "DELETE")?;
            self.require(
                &ty,
                TypeSet::NODE.or(TypeSet::EDGE).or(TypeSet::PATH),
                target.span,
                "DELETE",
            )?;
            bound.push(expr);
        }
        self.step(Step::Delete {
            detach,
            targets: bound,
        });
        Ok(())
    }
}

/// What a MERGE knows when it plans what to create.
struct Merging {
    /// Variables that were bound before it.
    before: HashSet<String>,
    /// The slots of the pattern's nodes and edges, in order.
    nodes: Vec<usize>,
    edges: Vec<usize>,
}
