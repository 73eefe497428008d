//! Chains: edges with a quantifier, paths in parentheses with one, searches for shortest paths, path modes.

use super::env::Env;
use super::pattern::{Building, predicate};
use super::scope::Scope;
use super::{Binder, Bound, Start};
use crate::expr::Expr;
use crate::function::{self, Function};
use crate::plan::logical::{EdgeDirection, EdgeTerm, Group, QueryPlan, Repeat, Step};
use crate::types::Type;
use geode_gql::ast::{EdgePattern, Mentions, Name, PathGroup, PathMode, PathPattern, PathSearch};

/// The plan of one repetition, and the types of its variables.
type Repetition = (QueryPlan, Vec<Type>);

impl Binder<'_> {
    /// Shortest paths are looked for along one edge or chain of edges, and of several only trails.
    pub(super) fn check_search(&self, pattern: &PathPattern) -> Bound<()> {
        let several = match pattern.search {
            PathSearch::Every => return Ok(()),
            PathSearch::Shortest(count) | PathSearch::ShortestGroups(count) => count > 1,
        };
        let longer = pattern
            .steps
            .iter()
            .filter_map(|(edge, _)| edge.quantifier.as_ref())
            .any(|quantifier| quantifier.min > 1);
        let by_nodes = matches!(pattern.mode, Some(PathMode::Simple | PathMode::Acyclic));
        let (what, instead) = if pattern.steps.len() != 1 {
            (
                "a search for shortest paths along several edge patterns",
                "write one edge with a quantifier between two nodes: (a)-[:T]->*(b), in Cypher (a)-[:T*]->(b)",
            )
        } else if by_nodes && (several || longer) {
            (
                "a search for several or longer SIMPLE or ACYCLIC paths",
                "search for one path of at least one edge, or for TRAIL paths",
            )
        } else {
            return Ok(());
        };
        Err(geode_gql::not_supported(self.source, pattern.span, what, instead))
    }

    /// How often the edge is followed; none is once.
    pub(super) fn repeat(
        &mut self,
        edge: &EdgePattern,
        search: PathSearch,
        walk: bool,
    ) -> Bound<Option<Box<Repeat>>> {
        if edge.quantifier.is_none() && search == PathSearch::Every {
            return Ok(None);
        }
        let bound = |bound: u64| usize::try_from(bound).unwrap_or(usize::MAX);
        let (min, max) = edge.quantifier.as_ref().map_or((1, 1), |quantifier| {
            (bound(quantifier.min), quantifier.max.map_or(usize::MAX, bound))
        });
        let ends = matches!(search, PathSearch::Shortest(1) | PathSearch::ShortestGroups(1)) && min <= 1;
        if walk && max == usize::MAX && !ends {
            let message = "a walk without an upper bound may never end";
            return Err(self
                .error(edge.span, "UnboundedWalk", message)
                .hint("write TRAIL, SIMPLE, ACYCLIC or ANY SHORTEST before the path, or an upper bound"));
        }
        Ok(Some(Box::new(Repeat {
            min,
            max,
            group: edge
                .quantifier
                .as_ref()
                .is_some_and(|quantifier| !quantifier.question),
            walk,
            search,
            element: self.new_slot(),
            conditions: Vec::new(),
            group_of: None,
        })))
    }

    /// Properties and conditions of a chain, asked of each of its edges: within them the variable is one edge.
    pub(super) fn chain_conditions(&mut self, edge: &EdgePattern, term: &mut EdgeTerm) -> Bound<()> {
        let Some(repeat) = &mut term.repeat else {
            return Ok(());
        };
        if let Some(properties) = &edge.properties {
            repeat
                .conditions
                .extend(self.property_predicates(repeat.element, properties)?);
        }
        let Some(condition) = &edge.condition else {
            return Ok(());
        };
        let list = edge.variable.as_ref().and_then(|name| {
            let list = self.scope.get(&name.text).cloned();
            self.scope.define(&name.text, repeat.element, Type::Edge);
            list.map(|list| (name, list))
        });
        let bound = self.condition(condition, "WHERE");
        if let Some((name, list)) = list {
            self.scope.define(&name.text, list.slot, list.ty);
        }
        repeat
            .conditions
            .extend(bound?.into_conjuncts().into_iter().map(predicate));
        Ok(())
    }

    /// A path in parentheses: a plan of its own that finds one repetition from the node at which it begins. Its variables are lists
    /// outside, with an element for each repetition (ISO/IEC 39075, 16.7).
    pub(super) fn group_term(
        &mut self,
        group: &PathGroup,
        edge: &EdgePattern,
        (pattern, path): (&PathPattern, usize),
        (from, to): (usize, usize),
        building: &mut Building<'_>,
    ) -> Bound<usize> {
        self.check_group(group, pattern)?;
        let walk = building.terms.repeatable && matches!(pattern.mode, None | Some(PathMode::Walk));
        let Some(mut repeat) = self.repeat(edge, PathSearch::Every, walk)? else {
            let message = "a path in parentheses needs a quantifier here";
            return Err(self.error(edge.span, "UnexpectedSyntax", message));
        };
        let variables = variables(&group.pattern);
        for name in &variables {
            let known = self.scope.get(&name.text).is_some() || building.edges.contains_key(&name.text);
            if known || building.nodes.contains_key(&name.text) {
                return Err(self.already_bound(name));
            }
        }
        let (imports, (query, types)) = self.repetition(group, &variables, building.terms.repeatable)?;
        let mut slots = Vec::with_capacity(variables.len());
        for (name, ty) in variables.iter().zip(types) {
            let slot = self.new_slot();
            let ty = if repeat.group {
                Type::List(Box::new(ty))
            } else {
                ty
            };
            self.scope.define(&name.text, slot, ty);
            building.edges.insert(name.text.clone(), name.span);
            slots.push(slot);
        }
        repeat.group_of = Some(Group {
            query,
            imports,
            variables: slots,
            as_lists: repeat.group,
        });
        repeat.group = true;
        let slot = self.new_slot();
        building.terms.edges.push(EdgeTerm {
            slot,
            bound: false,
            from,
            to,
            direction: EdgeDirection::Out,
            types: Vec::new(),
            test: None,
            path,
            trail: !walk,
            repeat: Some(repeat),
        });
        Ok(slot)
    }

    fn check_group(&self, group: &PathGroup, pattern: &PathPattern) -> Bound<()> {
        let refuse = |what, instead| {
            let span = group.pattern.span;
            Err(geode_gql::not_supported(self.source, span, what, instead))
        };
        if pattern.search != PathSearch::Every {
            let instead = "search along one edge with a quantifier, or without SHORTEST and ANY";
            return refuse("a search for shortest paths through parentheses", instead);
        }
        let moves = group.pattern.steps.iter().any(|(edge, _)| {
            let quantifier = edge.quantifier.as_ref();
            quantifier.is_none_or(|quantifier| quantifier.min > 0)
        });
        if !moves {
            let instead = "give it an edge without a quantifier";
            return refuse("a repeated path that may have no edge", instead);
        }
        Ok(())
    }

    /// The plan of one repetition. Its rows begin with the node at which it begins and what is used of the row around it; they end as the
    /// node at its end, its path, and its variables, whose types are returned.
    fn repetition(
        &mut self,
        group: &PathGroup,
        variables: &[&Name],
        repeatable: bool,
    ) -> Bound<(Vec<Expr>, Repetition)> {
        let mut mentions = Mentions::default();
        mentions.pattern(&group.pattern);
        if let Some(condition) = &group.condition {
            mentions.expr(condition);
        }
        let around = std::mem::take(&mut self.scope);
        let (mut imports, mut scope) = (Vec::new(), Scope::default());
        let mut pattern = group.pattern.clone();
        // No names that can be written have parentheses in them.
        let start = named(&mut pattern.start.variable, "start()", group);
        scope.define(&start, 0, Type::Node);
        let end = match pattern.steps.last_mut() {
            Some((_, node)) => named(&mut node.variable, "end()", group),
            None => start,
        };
        pattern.variable.get_or_insert_with(|| Name {
            text: "path()".to_owned(),
            span: group.pattern.span,
        });
        for name in Env::plain(&around, "WHERE").names(&mentions) {
            if let Some(variable) = around.get(&name) {
                scope.define(&name, imports.len() + 1, variable.ty.clone());
                imports.push(Expr::Slot(variable.slot));
            }
        }
        let start = Start {
            scope,
            may_end_open: true,
        };
        let outer = (
            std::mem::take(&mut self.plan),
            self.segment,
            self.start.replace(start),
        );
        let mut building = Building::with_condition(group.condition.as_ref());
        building.terms.repeatable = repeatable;
        let bound = self.one_repetition(&pattern, building, &end, variables);
        self.scope = around;
        (self.plan, self.segment, self.start) = outer;
        Ok((imports, bound?))
    }

    fn one_repetition<'e>(
        &mut self,
        pattern: &'e PathPattern,
        building: Building<'e>,
        end: &str,
        variables: &[&Name],
    ) -> Bound<Repetition> {
        self.begin();
        let matched = self.pattern(std::slice::from_ref(pattern), building, pattern.span)?;
        self.step(Step::Match(Box::new(matched)));
        let path = pattern.variable.as_ref().map(|name| name.text.as_str());
        let names = [Some(end), path].into_iter().flatten();
        let names = names.chain(variables.iter().map(|name| name.text.as_str()));
        let (mut slots, mut types) = (Vec::new(), Vec::new());
        for variable in names.filter_map(|name| self.scope.get(name)) {
            slots.push(variable.slot);
            types.push(variable.ty.clone());
        }
        let segment = self.new_segment(slots.len());
        self.step(Step::Compact { slots, segment });
        let plan = QueryPlan {
            parts: vec![std::mem::take(&mut self.plan)],
            operation: None,
        };
        Ok((plan, types.split_off(2.min(types.len()))))
    }
}

/// The variables of a path and of those within it, each once.
fn variables(pattern: &PathPattern) -> Vec<&Name> {
    let mut names: Vec<&Name> = Vec::new();
    let mut open = vec![pattern];
    while let Some(pattern) = open.pop() {
        let nodes = pattern.nodes().filter_map(|node| node.variable.as_ref());
        let edges = pattern
            .steps
            .iter()
            .filter_map(|(edge, _)| edge.variable.as_ref());
        for name in nodes.chain(edges) {
            if !names.iter().any(|known| known.text == name.text) {
                names.push(name);
            }
        }
        let groups = pattern.steps.iter().filter_map(|(edge, _)| edge.group.as_ref());
        open.extend(groups.map(|group| &group.pattern));
    }
    names
}

/// The variable's name, given if it has none.
fn named(variable: &mut Option<Name>, text: &str, group: &PathGroup) -> String {
    let name = variable.get_or_insert_with(|| Name {
        text: text.to_owned(),
        span: group.pattern.span,
    });
    name.text.clone()
}

/// What a path of this mode must satisfy beyond taking no edge twice.
pub(super) fn mode_test(mode: PathMode) -> Option<&'static Function> {
    match mode {
        PathMode::Walk | PathMode::Trail => None,
        PathMode::Simple => Some(&function::IS_SIMPLE),
        PathMode::Acyclic => Some(&function::IS_ACYCLIC),
    }
}
