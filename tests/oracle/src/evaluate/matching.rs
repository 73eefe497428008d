//! Patterns: every way to lay them on the graph, found by trying all of them (openCypher 9, "Pattern matching"; ISO/IEC 39075, 16.4 to 16.7).

use super::{Evaluator, Outcome, Row, unknown, with};
use crate::value::{Val, equals, every};
use geode_gql::ast::{
    Direction, EdgePattern, Expr, ExprKind, LabelExpr, Name, NodePattern, PathGroup, PathMode, PathPattern,
    PathSearch,
};
use std::collections::BTreeSet;

/// A pattern that is matched so far.
#[derive(Clone, Debug, Default)]
struct Partial {
    row: Row,
    /// Edges that no other part of the pattern may take.
    used: BTreeSet<usize>,
    /// The path under way.
    nodes: Vec<usize>,
    edges: Vec<usize>,
}

/// The variables of a pattern, null in the row unless they are bound: OPTIONAL MATCH without a match.
pub(super) fn with_nulls(patterns: &[PathPattern], mut row: Row) -> Row {
    for name in patterns.iter().flat_map(variables) {
        row.entry(name).or_insert(Val::Null);
    }
    row
}

/// The variables of a path pattern.
fn variables(pattern: &PathPattern) -> Vec<String> {
    let mut names: Vec<String> = pattern.variable.iter().map(|name| name.text.clone()).collect();
    names.extend(
        pattern
            .nodes()
            .filter_map(|node| node.variable.as_ref())
            .map(|name| name.text.clone()),
    );
    for (edge, _) in &pattern.steps {
        names.extend(edge.variable.iter().map(|name| name.text.clone()));
        names.extend(edge.group.iter().flat_map(|group| variables(&group.pattern)));
    }
    names
}

/// The pattern with a name for every element. Nothing that can be written begins like those that are made up.
fn named(pattern: &PathPattern, counter: &mut usize) -> PathPattern {
    let mut pattern = pattern.clone();
    let mut name = |variable: &mut Option<Name>| {
        *counter += 1;
        variable.get_or_insert_with(|| Name {
            text: format!("#{counter}"),
            span: pattern.span,
        });
    };
    name(&mut pattern.start.variable);
    for (edge, node) in &mut pattern.steps {
        name(&mut edge.variable);
        name(&mut node.variable);
    }
    for (edge, _) in &mut pattern.steps {
        if let Some(group) = &mut edge.group {
            group.pattern = named(&group.pattern, counter);
        }
    }
    pattern
}

fn text(name: Option<&Name>) -> &str {
    name.map_or("", |name| name.text.as_str())
}

impl Evaluator {
    /// The rows that extend this one by a match of all patterns. Edges of one MATCH are different unless elements are repeatable.
    pub(super) fn matches(
        &mut self,
        patterns: &[PathPattern],
        condition: Option<&Expr>,
        row: &Row,
        repeatable: bool,
    ) -> Outcome<Vec<Row>> {
        let mut counter = 0;
        let patterns: Vec<PathPattern> = patterns
            .iter()
            .map(|pattern| named(pattern, &mut counter))
            .collect();
        // Within a condition of another pattern, whose made-up names are none of ours.
        let mut row = row.clone();
        row.retain(|name, _| !name.starts_with('#'));
        let mut found = vec![Partial {
            row,
            ..Partial::default()
        }];
        for pattern in &patterns {
            let mut longer = Vec::new();
            for partial in found {
                let ways = self.path(pattern, partial, None, repeatable)?;
                // A search that finds nothing costs, too.
                self.spend(1 + ways.len())?;
                longer.extend(ways);
            }
            found = longer;
        }
        let mut rows = Vec::new();
        for Partial { mut row, .. } in found {
            let mut truths = Vec::new();
            for pattern in &patterns {
                truths.push(self.holds(pattern, &row)?);
            }
            if every(truths) != Some(true) {
                continue;
            }
            if let Some(condition) = condition
                && self.truth(condition, &row)? != Some(true)
            {
                continue;
            }
            row.retain(|name, _| !name.starts_with('#'));
            rows.push(row);
        }
        Ok(rows)
    }

    /// The ways along one path pattern, from one node if that is given.
    fn path(
        &mut self,
        pattern: &PathPattern,
        mut from: Partial,
        start: Option<usize>,
        repeatable: bool,
    ) -> Outcome<Vec<Partial>> {
        let walk = repeatable && matches!(pattern.mode, None | Some(PathMode::Walk));
        if repeatable {
            from.used.clear();
        }
        (from.nodes, from.edges) = (Vec::new(), Vec::new());
        // A node that is known is the only one that can stand there.
        let known = match from.row.get(text(pattern.start.variable.as_ref())) {
            Some(Val::Node(place)) => Some(*place),
            _ => None,
        };
        let places = start
            .or(known)
            .map_or_else(|| self.graph.node_places(), |place| vec![place]);
        let mut found = Vec::new();
        for place in places {
            if let Some(mut partial) = self.at_node(&pattern.start, place, from.clone()) {
                partial.nodes.push(place);
                found.push(partial);
            }
        }
        for (edge, node) in &pattern.steps {
            let mut longer = Vec::new();
            for partial in found {
                let next = self.step(edge, node, partial, walk)?;
                self.spend(next.len())?;
                longer.extend(next);
            }
            found = longer;
        }
        found.retain(|partial| allowed(pattern.mode, &partial.nodes));
        if pattern.search != PathSearch::Every {
            found = self.shortest(pattern, found)?;
        }
        if let Some(name) = &pattern.variable {
            for partial in &mut found {
                let path = Val::Path(partial.nodes.clone(), partial.edges.clone());
                partial.row.insert(name.text.clone(), path);
            }
        }
        Ok(found)
    }

    /// The partial match with the node at this place, if it may be there.
    fn at_node(&self, pattern: &NodePattern, place: usize, mut partial: Partial) -> Option<Partial> {
        let node = self.graph.nodes.get(place)?.as_ref()?;
        let bears = |label: &str| node.labels.contains(label);
        if pattern
            .labels
            .as_ref()
            .is_some_and(|labels| !satisfies(labels, &bears, !node.labels.is_empty()))
        {
            return None;
        }
        bind(
            &mut partial.row,
            text(pattern.variable.as_ref()),
            Val::Node(place),
        )
        .then_some(partial)
    }

    fn step(
        &mut self,
        edge: &EdgePattern,
        node: &NodePattern,
        partial: Partial,
        walk: bool,
    ) -> Outcome<Vec<Partial>> {
        let mut out = Vec::new();
        let Some(quantifier) = edge.quantifier else {
            for next in self.hops(edge, &partial, walk) {
                let taken = next.edges.last().copied().unwrap_or_default();
                self.arrive(next, edge, Val::Edge(taken), node, &mut out);
            }
            return Ok(out);
        };
        let before = partial.edges.len();
        // Each repetition's path, and its variables.
        let mut frontier = vec![(partial, Vec::<Row>::new())];
        for count in 0.. {
            if frontier.is_empty() || quantifier.max.is_some_and(|max| count > max) {
                break;
            }
            if count >= quantifier.min {
                for (partial, repetitions) in &frontier {
                    let edges = partial.edges[before..].iter().map(|place| Val::Edge(*place));
                    let value = gathered(edges.collect(), quantifier.question);
                    let mut partial = partial.clone();
                    for name in edge.group.iter().flat_map(|group| variables(&group.pattern)) {
                        let of = |row: &Row| row.get(&name).cloned().unwrap_or(Val::Null);
                        let values = gathered(repetitions.iter().map(of).collect(), quantifier.question);
                        partial.row.insert(name, values);
                    }
                    self.arrive(partial, edge, value, node, &mut out);
                }
            }
            if walk && quantifier.max.is_none() {
                return unknown("a walk without an end");
            }
            let mut longer = Vec::new();
            for (partial, repetitions) in frontier {
                let before = longer.len();
                match &edge.group {
                    None => longer.extend(
                        self.hops(edge, &partial, walk)
                            .into_iter()
                            .map(|next| (next, Vec::new())),
                    ),
                    Some(group) => {
                        for (next, row) in self.repetition(group, &partial, walk)? {
                            longer.push((next, [repetitions.clone(), vec![row]].concat()));
                        }
                    }
                }
                // Each carries what all of its repetitions have bound.
                self.spend((longer.len() - before) * (1 + count as usize))?;
            }
            frontier = longer;
        }
        Ok(out)
    }

    /// Binds an edge pattern that was followed and the node behind it.
    fn arrive(
        &self,
        mut partial: Partial,
        edge: &EdgePattern,
        value: Val,
        node: &NodePattern,
        out: &mut Vec<Partial>,
    ) {
        let place = partial.nodes.last().copied().unwrap_or_default();
        if bind(&mut partial.row, text(edge.variable.as_ref()), value) {
            out.extend(self.at_node(node, place, partial));
        }
    }

    /// One edge further. A loop is one way in either direction.
    fn hops(&self, pattern: &EdgePattern, partial: &Partial, walk: bool) -> Vec<Partial> {
        let at = partial.nodes.last().copied().unwrap_or_default();
        let mut out = Vec::new();
        for place in self.graph.edge_places() {
            let Some(edge) = &self.graph.edges[place] else {
                continue;
            };
            let (out_of, into) = (edge.from == at, edge.to == at);
            let next = match pattern.direction {
                Direction::Right if out_of => edge.to,
                Direction::Left if into => edge.from,
                Direction::Any | Direction::LeftOrRight if out_of => edge.to,
                Direction::Any | Direction::LeftOrRight if into => edge.from,
                _ => continue,
            };
            let fits = pattern
                .labels
                .as_ref()
                .is_none_or(|labels| satisfies(labels, &|label| label == edge.kind, true));
            if !fits || (!walk && partial.used.contains(&place)) {
                continue;
            }
            let mut longer = partial.clone();
            longer.used.insert(place);
            longer.nodes.push(next);
            longer.edges.push(place);
            out.push(longer);
        }
        out
    }

    /// One repetition of a path in parentheses: the longer match, and the variables of the repetition.
    fn repetition(
        &mut self,
        group: &PathGroup,
        partial: &Partial,
        walk: bool,
    ) -> Outcome<Vec<(Partial, Row)>> {
        let at = partial.nodes.last().copied().unwrap_or_default();
        let mut pattern = group.pattern.clone();
        pattern.mode = (!walk).then_some(PathMode::Trail);
        let inner = Partial {
            row: partial.row.clone(),
            used: partial.used.clone(),
            ..Partial::default()
        };
        let mut out = Vec::new();
        for found in self.path(&pattern, inner, Some(at), walk)? {
            let mut truths = vec![self.holds(&pattern, &found.row)?];
            if let Some(condition) = &group.condition {
                truths.push(self.truth(condition, &found.row)?);
            }
            if every(truths) == Some(true) {
                let mut longer = partial.clone();
                longer.used = found.used;
                longer.nodes.extend(found.nodes.into_iter().skip(1));
                longer.edges.extend(found.edges);
                out.push((longer, found.row));
            }
        }
        Ok(out)
    }

    /// Of the paths between the same two nodes, the shortest (ISO/IEC 39075, 16.6). What is asked within the pattern is asked before.
    fn shortest(&mut self, pattern: &PathPattern, found: Vec<Partial>) -> Outcome<Vec<Partial>> {
        let mut paths = Vec::new();
        for partial in found {
            if self.holds(pattern, &partial.row)? == Some(true) {
                paths.push(partial);
            }
        }
        self.shuffle(&mut paths);
        paths.sort_by_key(|partial| partial.edges.len());
        let ends = |partial: &Partial| (partial.nodes.first().copied(), partial.nodes.last().copied());
        let mut kept: Vec<Partial> = Vec::new();
        for partial in paths {
            let beside = kept.iter().filter(|other| ends(other) == ends(&partial));
            let is_kept = match pattern.search {
                PathSearch::Every => true,
                PathSearch::Shortest(count) => (beside.count() as u64) < count,
                PathSearch::ShortestGroups(count) => {
                    let mut lengths: BTreeSet<usize> = beside.map(|other| other.edges.len()).collect();
                    lengths.insert(partial.edges.len());
                    lengths.len() as u64 <= count
                }
            };
            if is_kept {
                kept.push(partial);
            }
        }
        Ok(kept)
    }

    /// Whether the properties and conditions within a pattern hold.
    fn holds(&mut self, pattern: &PathPattern, row: &Row) -> Outcome<Option<bool>> {
        let mut truths = Vec::new();
        for node in pattern.nodes() {
            let element = row
                .get(text(node.variable.as_ref()))
                .cloned()
                .unwrap_or(Val::Null);
            truths.push(self.element_holds(
                &element,
                node.properties.as_ref(),
                node.condition.as_ref(),
                row,
            )?);
        }
        for (edge, _) in &pattern.steps {
            if edge.group.is_some() {
                continue;
            }
            let name = text(edge.variable.as_ref());
            let edges = match row.get(name).cloned() {
                Some(Val::List(edges)) => edges,
                Some(Val::Edge(place)) => vec![Val::Edge(place)],
                _ => Vec::new(),
            };
            for element in edges {
                let row = with(row, name, element.clone());
                truths.push(self.element_holds(
                    &element,
                    edge.properties.as_ref(),
                    edge.condition.as_ref(),
                    &row,
                )?);
            }
        }
        Ok(every(truths))
    }

    fn element_holds(
        &mut self,
        element: &Val,
        properties: Option<&Expr>,
        condition: Option<&Expr>,
        row: &Row,
    ) -> Outcome<Option<bool>> {
        let mut truths = Vec::new();
        match properties.map(|properties| &properties.kind) {
            None => {}
            Some(ExprKind::Map(entries)) => {
                for (key, wanted) in entries {
                    let wanted = self.value(wanted, row)?;
                    truths.push(equals(&self.property(element, &key.text)?, &wanted));
                }
            }
            Some(_) => return unknown("properties that are no map"),
        }
        if let Some(condition) = condition {
            truths.push(self.truth(condition, row)?);
        }
        Ok(every(truths))
    }
}

/// What a variable within a repeated part is outside: a list, or behind `?` the only value or null.
fn gathered(mut values: Vec<Val>, question: bool) -> Val {
    if question {
        values.pop().unwrap_or(Val::Null)
    } else {
        Val::List(values)
    }
}

/// Gives a variable its value; whether it may have it.
fn bind(row: &mut Row, name: &str, value: Val) -> bool {
    match row.get(name) {
        Some(bound) => *bound == value,
        None => {
            row.insert(name.to_owned(), value);
            true
        }
    }
}

/// Whether a path of this mode may visit these nodes. That no edge is taken twice is seen to while it is followed.
fn allowed(mode: Option<PathMode>, nodes: &[usize]) -> bool {
    let different = |nodes: &[usize]| nodes.iter().collect::<BTreeSet<_>>().len() == nodes.len();
    match mode {
        Some(PathMode::Acyclic) => different(nodes),
        Some(PathMode::Simple) => {
            different(nodes) || (nodes.first() == nodes.last() && different(&nodes[1..]))
        }
        None | Some(PathMode::Walk | PathMode::Trail) => true,
    }
}

/// Whether labels satisfy an expression; `some` tells that there is any.
pub(super) fn satisfies(expression: &LabelExpr, bears: &dyn Fn(&str) -> bool, some: bool) -> bool {
    match expression {
        LabelExpr::Name(name) => bears(&name.text),
        LabelExpr::Wildcard(_) => some,
        LabelExpr::Not(inner) => !satisfies(inner, bears, some),
        LabelExpr::And(parts) => parts.iter().all(|part| satisfies(part, bears, some)),
        LabelExpr::Or(parts) => parts.iter().any(|part| satisfies(part, bears, some)),
    }
}
