//! Patterns to match.

use super::held::{Element, Way};
use super::{Generator, Kind, Place};

/// What is asked of the labels of a node.
const LABELS: [&str; 9] = [":A", ":B", ":C", ":A:B", ":A|B", ":A&C", ":!A", ":%", ":(A|B)&!C"];

impl Generator<'_> {
    /// What stands behind MATCH: one to three path patterns and perhaps a condition. Their variables are in scope behind it.
    pub(super) fn match_body(&mut self, depth: usize) -> String {
        self.walked.clear();
        if self.chance(9) {
            return self.shortest(depth);
        }
        let before = self.scope.clone();
        let mut patterns = vec![self.path(&before)];
        if self.chance(20) {
            patterns.push(self.path(&before));
        }
        let condition = self.perhaps_where(depth, 35);
        format!("{}{condition}", patterns.join(", "))
    }

    fn perhaps_where(&mut self, depth: usize, percent: usize) -> String {
        if self.chance(percent) {
            format!(" WHERE {}", self.condition(depth))
        } else {
            String::new()
        }
    }

    /// The same within a subquery.
    pub(super) fn subquery_pattern(&mut self, depth: usize) -> String {
        let walked = std::mem::take(&mut self.walked);
        let pattern = self.aside(|inner| {
            let keyword = if inner.chance(50) { "MATCH " } else { "" };
            let before = inner.scope.clone();
            let pattern = inner.path(&before);
            let condition = inner.perhaps_where(depth, 40);
            format!("{keyword}{pattern}{condition}")
        });
        self.walked = walked;
        pattern
    }

    /// `(a)-[e]->(b)…`; `before` holds the variables whose values are known while the pattern is matched.
    fn path(&mut self, before: &[(String, Kind)]) -> String {
        let path = self.chance(15).then(|| self.fresh("p"));
        let mode = if self.chance(6) {
            self.one(&["TRAIL ", "ACYCLIC ", "SIMPLE "])
        } else {
            ""
        };
        let (mut text, mut place) = self.start(before);
        let mut steps = 0;
        while steps < 3 && self.chance(if steps == 0 { 65 } else { 25 }) {
            let way = place.and_then(|at| self.way(at, false));
            if place.is_some() && way.is_none() {
                break;
            }
            let (edge, end) = self.edge(before, way);
            text = format!("{text}{edge}{}", self.node(before, end));
            place = end;
            steps += 1;
        }
        match path {
            Some(path) => {
                let text = format!("{path} = {mode}{text}");
                self.scope.push((path, Kind::Path));
                text
            }
            None => format!("{mode}{text}"),
        }
    }

    /// The first node of a path, and where the walk begins that the path follows, if it follows one.
    fn start(&mut self, before: &[(String, Kind)]) -> (String, Option<usize>) {
        let known = if self.chance(22) {
            self.variable(Kind::Node)
        } else {
            None
        };
        let nodes = self.held.nodes.len();
        let place = match &known {
            Some(name) => self.place(name),
            None if nodes > 0 && self.chance(85) => Some(self.below(nodes)),
            None => None,
        };
        (self.node_called(before, known, place), place)
    }

    /// A node, such as the one at this place.
    fn node(&mut self, before: &[(String, Kind)], place: Option<usize>) -> String {
        let known = if self.chance(22) {
            self.variable_at(place)
        } else {
            None
        };
        self.node_called(before, known, place)
    }

    /// A variable of a node; if the node is at a place, one that was written for it.
    fn variable_at(&mut self, place: Option<usize>) -> Option<String> {
        if place.is_none() {
            return self.variable(Kind::Node);
        }
        let known: Vec<String> = self
            .scope
            .iter()
            .filter(|(name, kind)| *kind == Kind::Node && self.place(name) == place)
            .map(|(name, _)| name.clone())
            .collect();
        let at = self.below(known.len());
        known.into_iter().nth(at)
    }

    fn node_called(
        &mut self,
        before: &[(String, Kind)],
        known: Option<String>,
        place: Option<usize>,
    ) -> String {
        let element = self.held.node(place);
        let (name, is_new) = match known {
            Some(name) => (name, false),
            None if self.chance(75) => (self.fresh("n"), true),
            None => (String::new(), false),
        };
        let labels = if self.chance(22) {
            self.fitting(&LABELS, element)
        } else {
            ""
        };
        let properties = self.asked_properties(before, 10, element);
        if is_new {
            self.scope.push((name.clone(), Kind::Node));
            if let Some(at) = place {
                self.places.insert(name.clone(), Place::Node(at));
            }
        }
        let condition = self.own_condition(&name, Kind::Node, 6);
        format!("({name}{labels}{properties}{condition})")
    }

    /// One of these labels or types; of those that match the element, if there is one.
    pub(super) fn fitting(&mut self, labels: &[&'static str], element: Option<&Element>) -> &'static str {
        let mut fitting = labels.to_vec();
        fitting.retain(|labels| element.is_none_or(|element| element.fits(labels)));
        self.one(&fitting)
    }

    /// `{key: value}`: what the element has, or values that are known before the pattern is matched.
    fn asked_properties(
        &mut self,
        before: &[(String, Kind)],
        percent: usize,
        element: Option<&Element>,
    ) -> String {
        if !self.chance(percent) {
            return String::new();
        }
        if let (true, Some(element)) = (self.chance(75), element) {
            let at = self.below(element.properties.len());
            if let Some((key, value)) = element.properties.get(at) {
                return format!(" {{{key}: {value}}}");
            }
        }
        let keys = [
            ("i", Kind::Int),
            ("s", Kind::Text),
            ("v", Kind::Any),
            ("t", Kind::Day),
        ];
        let (key, kind) = keys[self.below(4)];
        let now = std::mem::replace(&mut self.scope, before.to_vec());
        let value = self.expression(kind, 0);
        self.scope = now;
        format!(" {{{key}: {value}}}")
    }

    /// A condition within the parentheses or brackets, about the element alone.
    fn own_condition(&mut self, name: &str, kind: Kind, percent: usize) -> String {
        if name.is_empty() || !self.chance(percent) {
            return String::new();
        }
        let now = std::mem::replace(&mut self.scope, vec![(name.to_owned(), kind)]);
        let condition = if self.chance(50) {
            self.held_test(1)
        } else {
            self.truth(1)
        };
        self.scope = now;
        format!(" WHERE {condition}")
    }

    /// An edge, such as that of the way, and where the walk goes on behind it.
    fn edge(&mut self, before: &[(String, Kind)], way: Option<Way>) -> (String, Option<usize>) {
        if self.chance(5) {
            return (self.group(), None);
        }
        let element = self.held.edge(way);
        let types = if self.chance(35) {
            self.fitting(&[":R", ":S", ":R|S", ":!R"], element)
        } else {
            ""
        };
        let repeat = self.below(100);
        let name = if self.chance(45) {
            self.fresh("e")
        } else {
            String::new()
        };
        let (star, postfix) = match repeat {
            0..=81 => ("", ""),
            82..=90 => (self.one(&["*1..2", "*2", "*0..1", "*..2", "*"]), ""),
            _ => ("", self.one(&["{1,2}", "{0,2}", "?", "+"])),
        };
        let properties = self.asked_properties(before, 4, element);
        if let Some(way) = way {
            self.walked.push(way.edge);
            if repeat <= 81 {
                self.places.insert(name.clone(), Place::Edge(way.edge));
            }
        }
        let condition = self.own_condition(&name, Kind::Edge, 6);
        if !name.is_empty() && postfix != "?" {
            let kind = if repeat <= 81 { Kind::Edge } else { Kind::Elements };
            self.scope.push((name.clone(), kind));
        }
        let (left, right) = self.arrow(way);
        let end = way.map(|way| way.to).filter(|_| star != "*2");
        (
            format!("{left}[{name}{types}{star}{properties}{condition}]{right}{postfix}"),
            end,
        )
    }

    /// What is left and right of an edge.
    fn arrow(&mut self, way: Option<Way>) -> (&'static str, &'static str) {
        let directed = match way {
            None => [("-", "->"), ("<-", "-")][self.below(2)],
            Some(Way { forward: true, .. }) => ("-", "->"),
            Some(_) => ("<-", "-"),
        };
        if self.chance(33) { ("-", "-") } else { directed }
    }

    /// A path in parentheses that is repeated.
    fn group(&mut self) -> String {
        let (start, edge, end) = (self.fresh("g"), self.fresh("h"), self.fresh("g"));
        let inner = vec![
            (start.clone(), Kind::Node),
            (edge.clone(), Kind::Edge),
            (end.clone(), Kind::Node),
        ];
        let now = std::mem::replace(&mut self.scope, inner);
        let condition = self.perhaps_where(1, 35);
        self.scope = now;
        let (labels, types) = (self.one(&["", ":A", ":B"]), self.one(&["", ":R", ":S"]));
        let (left, right) = [("-", "->"), ("<-", "-"), ("-", "-")][self.below(3)];
        let quantifier = self.one(&["{1,2}", "{0,1}", "{2}", "+"]);
        for name in [&start, &edge, &end] {
            self.scope.push((name.clone(), Kind::Elements));
        }
        format!("(({start}{labels}){left}[{edge}{types}]{right}({end}){condition}){quantifier}")
    }

    /// A search for shortest paths, alone in its MATCH. Of paths that are equally short any may be the answer.
    fn shortest(&mut self, depth: usize) -> String {
        let before = self.scope.clone();
        let path = self.fresh("p");
        let (start, place) = self.start(&before);
        let way = place.and_then(|at| self.way(at, true));
        let end = self.node(&before, way.map(|way| way.to));
        let element = self.held.edge(way);
        let types = self.fitting(&["", ":R", ":S"], element);
        let (left, right) = self.arrow(way);
        let text = if self.chance(40) {
            let function = self.one(&["shortestPath", "allShortestPaths"]);
            let star = self.one(&["*", "*1..3", "*..2"]);
            format!("{path} = {function}({start}{left}[{types}{star}]{right}{end})")
        } else {
            let search = self.one(&["ANY SHORTEST", "ALL SHORTEST", "SHORTEST 2", "SHORTEST 2 GROUPS"]);
            let quantifier = self.one(&["+", "*", "{1,3}"]);
            format!("{path} = {search} {start}{left}[{types}]{right}{quantifier}{end}")
        };
        self.scope.push((path, Kind::Path));
        let condition = self.perhaps_where(depth, 30);
        format!("{text}{condition}")
    }
}
