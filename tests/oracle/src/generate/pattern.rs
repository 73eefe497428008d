//! Patterns to match.

use super::{Generator, Kind};

impl Generator<'_> {
    /// What stands behind MATCH: one to three path patterns and perhaps a condition. Their variables are in scope behind it.
    pub(super) fn match_body(&mut self, depth: usize) -> String {
        if self.chance(9) {
            return self.shortest(depth);
        }
        let before = self.scope.clone();
        let mut patterns = vec![self.path(&before)];
        if self.chance(25) {
            patterns.push(self.path(&before));
        }
        let condition = self.perhaps_where(depth, 40);
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
        self.aside(|inner| {
            let keyword = if inner.chance(50) { "MATCH " } else { "" };
            let before = inner.scope.clone();
            let pattern = inner.path(&before);
            let condition = inner.perhaps_where(depth, 50);
            format!("{keyword}{pattern}{condition}")
        })
    }

    /// `(a)-[e]->(b)…`; `before` holds the variables whose values are known while the pattern is matched.
    fn path(&mut self, before: &[(String, Kind)]) -> String {
        let path = self.chance(15).then(|| self.fresh("p"));
        let mode = if self.chance(6) {
            self.one(&["TRAIL ", "ACYCLIC ", "SIMPLE "])
        } else {
            ""
        };
        let mut text = self.node(before);
        let mut steps = 0;
        while steps < 3 && self.chance(if steps == 0 { 70 } else { 30 }) {
            let edge = self.edge(before);
            text = format!("{text}{edge}{}", self.node(before));
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

    fn node(&mut self, before: &[(String, Kind)]) -> String {
        let known = if self.chance(22) {
            self.variable(Kind::Node)
        } else {
            None
        };
        let (name, is_new) = match known {
            Some(name) => (name, false),
            None if self.chance(75) => (self.fresh("n"), true),
            None => (String::new(), false),
        };
        let labels = if self.chance(22) {
            self.one(&[":A", ":B", ":C", ":A:B", ":A|B", ":A&C", ":!A", ":%", ":(A|B)&!C"])
        } else {
            ""
        };
        let properties = self.asked_properties(before, 10);
        if is_new {
            self.scope.push((name.clone(), Kind::Node));
        }
        let condition = self.own_condition(&name, Kind::Node, 6);
        format!("({name}{labels}{properties}{condition})")
    }

    /// `{key: value}` of values that are known before the pattern is matched.
    fn asked_properties(&mut self, before: &[(String, Kind)], percent: usize) -> String {
        if !self.chance(percent) {
            return String::new();
        }
        let (key, kind) = [("i", Kind::Int), ("s", Kind::Text), ("v", Kind::Any)][self.below(3)];
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
        let condition = self.truth(1);
        self.scope = now;
        format!(" WHERE {condition}")
    }

    fn edge(&mut self, before: &[(String, Kind)]) -> String {
        if self.chance(5) {
            return self.group();
        }
        let types = if self.chance(35) {
            self.one(&[":R", ":S", ":R|S", ":!R"])
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
        let properties = self.asked_properties(before, 4);
        let condition = self.own_condition(&name, Kind::Edge, 6);
        if !name.is_empty() && postfix != "?" {
            let kind = if repeat <= 81 { Kind::Edge } else { Kind::Elements };
            self.scope.push((name.clone(), kind));
        }
        let (left, right) = [("-", "->"), ("<-", "-"), ("-", "-")][self.below(3)];
        format!("{left}[{name}{types}{star}{properties}{condition}]{right}{postfix}")
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
        let condition = self.perhaps_where(1, 50);
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
        let (start, end) = (self.node(&before), self.node(&before));
        let types = self.one(&["", ":R", ":S"]);
        let (left, right) = [("-", "->"), ("<-", "-"), ("-", "-")][self.below(3)];
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
