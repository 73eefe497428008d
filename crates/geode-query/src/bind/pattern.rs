//! MATCH: path patterns become a graph of node and edge terms with predicates.

use super::chain::mode_test;
use super::env::Env;
use super::{Binder, Bound};
use crate::expr::{Expr, LabelTest, Step as AccessStep};
use crate::plan::logical::{EdgeDirection, EdgeTerm, Match, NodeTerm, Predicate, Step};
use crate::types::{Type, TypeSet};
use geode_gql::Span;
use geode_gql::ast::{
    self, CompareOp, Direction, EdgePattern, ExprKind, Name, NodePattern, PathMode, PathPattern,
};
use geode_graph::TokenKind;
use geode_types::{ErrorClass, QueryError};
use std::collections::HashMap;

/// How many nodes and edges one MATCH or MERGE may name.
pub(super) const MAX_PATTERN_ELEMENTS: usize = 1000;

/// A pattern while it is built.
#[derive(Default)]
pub(super) struct Building<'e> {
    pub terms: Match,
    /// Node terms of the variables of this pattern.
    pub nodes: HashMap<String, usize>,
    /// Edge variables of this pattern.
    pub edges: HashMap<String, Span>,
    /// Property maps and conditions, bound when all variables are known.
    properties: Vec<(usize, &'e ast::Expr)>,
    conditions: Vec<&'e ast::Expr>,
    /// Edge terms that are chains, whose properties and conditions concern each of their edges.
    chains: Vec<(usize, &'e EdgePattern)>,
    /// Path variables; defined last, so that no element takes their name.
    paths: Vec<(&'e Name, Expr)>,
}

impl<'e> Building<'e> {
    pub(super) fn with_condition(condition: Option<&'e ast::Expr>) -> Self {
        Self {
            conditions: condition.into_iter().collect(),
            ..Self::default()
        }
    }
}

impl Binder<'_> {
    pub(super) fn match_clause(
        &mut self,
        (optional, repeatable): (bool, bool),
        patterns: &[PathPattern],
        condition: Option<&ast::Expr>,
        span: Span,
    ) -> Bound<()> {
        let mut building = Building::with_condition(condition);
        building.terms.repeatable = repeatable;
        let mut pattern = self.pattern(patterns, building, span)?;
        pattern.optional = optional.then(|| self.new_slot());
        self.step(Step::Match(Box::new(pattern)));
        Ok(())
    }

    /// The pattern of a MERGE, whose variables are new or bound as in MATCH.
    pub(super) fn merge_pattern(&mut self, pattern: &PathPattern) -> Bound<Match> {
        self.pattern(std::slice::from_ref(pattern), Building::default(), pattern.span)
    }

    pub(super) fn pattern<'e>(
        &mut self,
        patterns: &'e [PathPattern],
        mut building: Building<'e>,
        span: Span,
    ) -> Bound<Match> {
        let elements: usize = patterns.iter().map(|pattern| 1 + 2 * pattern.steps.len()).sum();
        if elements > MAX_PATTERN_ELEMENTS {
            let message = format!(
                "the pattern has {elements} nodes and edges; at most {MAX_PATTERN_ELEMENTS} are planned at once"
            );
            return Err(
                QueryError::compile(ErrorClass::LimitError, "PatternTooLarge", "54000", message)
                    .at(self.source.position(span))
                    .hint("use several MATCH clauses"),
            );
        }
        for (number, pattern) in patterns.iter().enumerate() {
            self.path(pattern, number, &mut building)?;
        }
        for (name, path) in std::mem::take(&mut building.paths) {
            if self.scope.get(&name.text).is_some() {
                return Err(self.already_bound(name));
            }
            let slot = self.new_slot();
            self.scope.define(&name.text, slot, Type::Path);
            building.terms.paths.push((slot, path));
        }
        for (slot, properties) in std::mem::take(&mut building.properties) {
            let predicates = self.property_predicates(slot, properties)?;
            building.terms.predicates.extend(predicates);
        }
        for (at, edge) in std::mem::take(&mut building.chains) {
            self.chain_conditions(edge, &mut building.terms.edges[at])?;
        }
        for condition in std::mem::take(&mut building.conditions) {
            let bound = self.condition(condition, "WHERE")?;
            building
                .terms
                .predicates
                .extend(bound.into_conjuncts().into_iter().map(predicate));
        }
        Ok(building.terms)
    }

    fn path<'e>(
        &mut self,
        pattern: &'e PathPattern,
        number: usize,
        building: &mut Building<'e>,
    ) -> Bound<()> {
        if let Some(name) = &pattern.variable {
            let taken = self.scope.get(&name.text).is_some()
                || building.paths.iter().any(|(other, _)| other.text == name.text);
            if taken {
                return Err(self.already_bound(name));
            }
        }
        self.check_search(pattern)?;
        let mut at = self.node_term(&pattern.start, building)?;
        let (mut nodes, mut edges) = (vec![building.terms.nodes[at].slot], Vec::new());
        for (edge, node) in &pattern.steps {
            let next = self.node_term(node, building)?;
            edges.push(self.edge_term(edge, (pattern, number), (at, next), building)?);
            nodes.push(building.terms.nodes[next].slot);
            at = next;
        }
        if let Some(test) = pattern.mode.and_then(mode_test) {
            let path = Expr::Path {
                nodes: nodes.clone(),
                edges: edges.clone(),
            };
            let test = Expr::Call(test, vec![path], pattern.span);
            building.terms.predicates.push(predicate(test));
        }
        if let Some(name) = &pattern.variable {
            building.paths.push((name, Expr::Path { nodes, edges }));
        }
        Ok(())
    }

    fn node_term<'e>(&mut self, node: &'e NodePattern, building: &mut Building<'e>) -> Bound<usize> {
        let labels = node.labels.as_ref().map(|labels| self.label_test(labels));
        let known = node
            .variable
            .as_ref()
            .and_then(|name| building.nodes.get(&name.text))
            .copied();
        let at = match known {
            Some(at) => {
                let term = &mut building.terms.nodes[at];
                term.labels = match (term.labels.take(), labels) {
                    (Some(left), Some(right)) => Some(LabelTest::All(vec![left, right])),
                    (left, right) => left.or(right),
                };
                at
            }
            None => {
                let (slot, bound) = self.node_slot(node.variable.as_ref(), building)?;
                building.terms.nodes.push(NodeTerm { slot, bound, labels });
                let at = building.terms.nodes.len() - 1;
                if let Some(name) = &node.variable {
                    building.nodes.insert(name.text.clone(), at);
                }
                at
            }
        };
        let slot = building.terms.nodes[at].slot;
        building
            .properties
            .extend(node.properties.as_ref().map(|properties| (slot, properties)));
        building.conditions.extend(&node.condition);
        Ok(at)
    }

    fn node_slot(&mut self, name: Option<&Name>, building: &Building<'_>) -> Bound<(usize, bool)> {
        let Some(name) = name else {
            return Ok((self.new_slot(), false));
        };
        if building.edges.contains_key(&name.text) {
            return Err(self.type_conflict(name, "an edge", "a node"));
        }
        if building.paths.iter().any(|(path, _)| path.text == name.text) {
            return Err(self.type_conflict(name, "a path", "a node"));
        }
        if let Some(variable) = self.scope.get(&name.text) {
            if !variable.ty.can_be(TypeSet::NODE) {
                return Err(self.type_conflict(name, variable.ty.name(), "a node"));
            }
            return Ok((variable.slot, true));
        }
        let slot = self.new_slot();
        self.scope.define(&name.text, slot, Type::Node);
        Ok((slot, false))
    }

    /// The slot of the edge.
    fn edge_term<'e>(
        &mut self,
        edge: &'e EdgePattern,
        (pattern, path): (&PathPattern, usize),
        (from, to): (usize, usize),
        building: &mut Building<'e>,
    ) -> Bound<usize> {
        if let Some(group) = &edge.group {
            return self.group_term(group, edge, (pattern, path), (from, to), building);
        }
        let direction = match edge.direction {
            Direction::Right => EdgeDirection::Out,
            Direction::Left => EdgeDirection::In,
            Direction::Any | Direction::LeftOrRight => EdgeDirection::Both,
            Direction::Undirected => {
                let instead = "edges of Geode have a direction; write -[…]- to match either one";
                return Err(geode_gql::not_supported(
                    self.source,
                    edge.span,
                    "an undirected edge",
                    instead,
                ));
            }
        };
        let walk = building.terms.repeatable && matches!(pattern.mode, None | Some(PathMode::Walk));
        let repeat = self.repeat(edge, pattern.search, walk)?;
        let group = repeat.as_ref().is_some_and(|repeat| repeat.group);
        let (slot, bound) = self.edge_slot(edge.variable.as_ref(), group, building)?;
        let test = edge.labels.as_ref().map(|labels| self.label_test(labels));
        let types = test.as_ref().and_then(LabelTest::alternatives);
        let (types, test) = types.map_or((Vec::new(), test), |types| (types, None));
        if repeat.is_some() {
            building.chains.push((building.terms.edges.len(), edge));
        } else {
            let properties = edge.properties.as_ref();
            building
                .properties
                .extend(properties.map(|properties| (slot, properties)));
            building.conditions.extend(&edge.condition);
        }
        building.terms.edges.push(EdgeTerm {
            slot,
            bound,
            from,
            to,
            direction,
            types,
            test,
            path,
            trail: !walk,
            repeat,
        });
        Ok(slot)
    }

    fn edge_slot(
        &mut self,
        name: Option<&Name>,
        group: bool,
        building: &mut Building<'_>,
    ) -> Bound<(usize, bool)> {
        let Some(name) = name else {
            return Ok((self.new_slot(), false));
        };
        if building.nodes.contains_key(&name.text) {
            return Err(self.type_conflict(name, "a node", "an edge"));
        }
        if building.paths.iter().any(|(path, _)| path.text == name.text) {
            return Err(self.type_conflict(name, "a path", "an edge"));
        }
        if building.edges.insert(name.text.clone(), name.span).is_some() {
            let message = format!(
                "the edge {} stands twice in one MATCH, where all edges are different",
                name.text
            );
            return Err(self
                .error(name.span, "RelationshipUniquenessViolation", message)
                .hint("give the second edge a name of its own"));
        }
        let (wanted, called, ty) = if group {
            (TypeSet::LIST, "a list of edges", Type::List(Box::new(Type::Edge)))
        } else {
            (TypeSet::EDGE, "an edge", Type::Edge)
        };
        if let Some(variable) = self.scope.get(&name.text) {
            let edges = variable.ty.element().can_be(TypeSet::EDGE);
            if !variable.ty.can_be(wanted) || (group && !edges) {
                return Err(self.type_conflict(name, variable.ty.name(), called));
            }
            return Ok((variable.slot, true));
        }
        let slot = self.new_slot();
        self.scope.define(&name.text, slot, ty);
        Ok((slot, false))
    }

    pub(super) fn property_predicates(
        &mut self,
        slot: usize,
        properties: &ast::Expr,
    ) -> Bound<Vec<Predicate>> {
        let ExprKind::Map(entries) = &properties.kind else {
            let message = "a pattern to match names its properties: {key: value}";
            return Err(self
                .error(properties.span, "InvalidParameterUse", message)
                .hint("write {id: $id} instead of $properties"));
        };
        let mut predicates = Vec::with_capacity(entries.len());
        for (key, value) in entries {
            let scope = std::mem::take(&mut self.scope);
            let bound = self.expr(value, &mut Env::plain(&scope, "a pattern"));
            self.scope = scope;
            let key_index = self.names.intern(TokenKind::PropertyKey, &key.text);
            let property = Expr::Access(
                Box::new(Expr::Slot(slot)),
                vec![AccessStep::Key(key_index, key.span)],
            );
            predicates.push(predicate(Expr::Compare(
                Box::new(property),
                vec![(CompareOp::Equal, bound?.0)],
            )));
        }
        Ok(predicates)
    }
}

pub(super) fn predicate(expr: Expr) -> Predicate {
    Predicate {
        slots: expr.slots(),
        equality_on: equality_on(&expr),
        id_of: id_of(&expr),
        expr,
    }
}

/// The slot whose number is compared for equality, and with what.
fn id_of(expr: &Expr) -> Option<(usize, Expr)> {
    let Expr::Compare(left, rest) = expr else {
        return None;
    };
    let [(CompareOp::Equal, right)] = rest.as_slice() else {
        return None;
    };
    [(left.as_ref(), right), (right, left.as_ref())]
        .into_iter()
        .find_map(|(call, id)| match call {
            Expr::Call(function, arguments, _) if function.name == "id" => match arguments.as_slice() {
                [Expr::Slot(slot)] if !id.slots().contains(slot) => Some((*slot, id.clone())),
                _ => None,
            },
            _ => None,
        })
}

/// The slot of which one property is compared for equality with something.
fn equality_on(expr: &Expr) -> Option<usize> {
    let Expr::Compare(left, rest) = expr else {
        return None;
    };
    let [(CompareOp::Equal, right)] = rest.as_slice() else {
        return None;
    };
    [left.as_ref(), right].into_iter().find_map(|side| match side {
        Expr::Access(base, steps) if matches!(steps.as_slice(), [AccessStep::Key(..)]) => match base.as_ref()
        {
            Expr::Slot(slot) => Some(*slot),
            _ => None,
        },
        _ => None,
    })
}
