//! Statements that read.

use super::{Generator, Kind, PLAIN};

/// How deep expressions nest.
const DEPTH: usize = 2;

impl Generator<'_> {
    /// A query, or several joined by set operators.
    pub(super) fn reading(&mut self) -> String {
        if !self.chance(12) {
            return self.linear(None);
        }
        let kinds = [PLAIN[self.below(PLAIN.len())], PLAIN[self.below(PLAIN.len())]];
        let operator = self.one(&[
            "UNION",
            "UNION ALL",
            "EXCEPT",
            "INTERSECT",
            "EXCEPT ALL",
            "INTERSECT ALL",
            "OTHERWISE",
        ]);
        let left = self.aside(|inner| inner.linear(Some(&kinds)));
        let right = self.aside(|inner| inner.linear(Some(&kinds)));
        format!("{left} {operator} {right}")
    }

    fn linear(&mut self, kinds: Option<&[Kind]>) -> String {
        let mut clauses = vec![self.first_clause()];
        while clauses.len() < 4 && self.chance(38) {
            clauses.push(self.reading_clause());
        }
        let result = match kinds {
            Some(kinds) => {
                let items = kinds.iter().enumerate();
                let items: Vec<String> = items
                    .map(|(at, kind)| format!("{} AS c{at}", self.expression(*kind, DEPTH)))
                    .collect();
                format!("RETURN {}", items.join(", "))
            }
            None => self.projection("RETURN"),
        };
        format!("{} {result}", clauses.join(" "))
    }

    pub(super) fn first_clause(&mut self) -> String {
        if self.chance(12) {
            self.unwind()
        } else {
            format!("MATCH {}", self.match_body(DEPTH))
        }
    }

    pub(super) fn reading_clause(&mut self) -> String {
        match self.below(20) {
            0..=5 => format!("MATCH {}", self.match_body(DEPTH)),
            6..=10 => format!("OPTIONAL MATCH {}", self.match_body(DEPTH)),
            11 | 12 => self.unwind(),
            13 => format!("FILTER {}", self.truth(DEPTH)),
            14 => {
                let (kind, name) = (PLAIN[self.below(PLAIN.len())], self.fresh("w"));
                let value = self.expression(kind, DEPTH);
                self.scope.push((name.clone(), kind));
                format!("LET {name} = {value}")
            }
            15 => self.call(),
            _ => self.projection("WITH"),
        }
    }

    fn unwind(&mut self) -> String {
        let (list, name) = (self.ints(DEPTH), self.fresh("u"));
        self.scope.push((name.clone(), Kind::Int));
        if self.chance(50) {
            format!("UNWIND {list} AS {name}")
        } else {
            format!("FOR {name} IN {list}")
        }
    }

    /// `CALL (n) { … }`: a query for each row.
    fn call(&mut self) -> String {
        let seen = self.variable(Kind::Node);
        let now = std::mem::take(&mut self.scope);
        self.scope
            .extend(seen.iter().map(|name| (name.clone(), Kind::Node)));
        let body = self.match_body(1);
        let (kind, name) = (PLAIN[self.below(PLAIN.len())], self.fresh("q"));
        let result = if self.chance(40) {
            format!("{} AS {name}", self.aggregate().0)
        } else {
            format!("{} AS {name}", self.expression(kind, 1))
        };
        self.scope = now;
        self.scope.push((name, Kind::Any));
        format!(
            "CALL ({}) {{ MATCH {body} RETURN {result} }}",
            seen.unwrap_or_default()
        )
    }

    /// An aggregate and the kind of its result.
    fn aggregate(&mut self) -> (String, Kind) {
        let kind = PLAIN[self.below(PLAIN.len())];
        let distinct = self.one(&["", "DISTINCT "]);
        match self.below(8) {
            0 | 1 => ("count(*)".to_owned(), Kind::Int),
            2 => (
                format!("count({distinct}{})", self.expression(kind, 1)),
                Kind::Int,
            ),
            3 => (format!("sum({distinct}{})", self.int(1)), Kind::Int),
            4 => (format!("avg({distinct}{})", self.int(1)), Kind::Any),
            5 => (
                format!("{}({})", self.one(&["min", "max"]), self.expression(kind, 1)),
                kind,
            ),
            6 => (
                format!("size(collect({distinct}{}))", self.expression(kind, 1)),
                Kind::Int,
            ),
            _ => (
                format!("(count(*) + {})", self.one(&["1", "count(null)", "sum(1)"])),
                Kind::Int,
            ),
        }
    }

    /// `WITH …` or `RETURN …`. In scope behind it are its columns.
    pub(super) fn projection(&mut self, keyword: &str) -> String {
        let mut columns: Vec<(String, Kind)> = Vec::new();
        let mut items = Vec::new();
        let aggregates = self.chance(30);
        while items.is_empty() || (items.len() < 4 && self.chance(55)) {
            let is_aggregate = aggregates && self.chance(60);
            let element = [Kind::Node, Kind::Node, Kind::Edge, Kind::Path][self.below(4)];
            let passed = if self.chance(35) && !is_aggregate {
                self.variable(element)
            } else {
                None
            };
            if let Some(name) = passed {
                if !columns.iter().any(|(known, _)| *known == name) {
                    items.push(name.clone());
                    columns.push((name, element));
                }
                continue;
            }
            let name = self.fresh("c");
            let (value, kind) = if is_aggregate {
                self.aggregate()
            } else {
                let kind = PLAIN[self.below(PLAIN.len())];
                (self.expression(kind, DEPTH), kind)
            };
            items.push(format!("{value} AS {name}"));
            columns.push((name, kind));
        }
        let distinct = if self.chance(20) { "DISTINCT " } else { "" };
        self.scope = columns;
        let order = self.order();
        let condition = if keyword == "WITH" && self.chance(30) {
            format!(" WHERE {}", self.condition(DEPTH))
        } else {
            String::new()
        };
        format!("{keyword} {distinct}{}{order}{condition}", items.join(", "))
    }

    /// ORDER BY every column that has an order, and a page of the rows.
    fn order(&mut self) -> String {
        if !self.chance(35) {
            return String::new();
        }
        let plain = self
            .scope
            .iter()
            .filter(|(_, kind)| PLAIN.contains(kind))
            .cloned()
            .collect::<Vec<_>>();
        let elements = self
            .scope
            .iter()
            .filter(|(_, kind)| matches!(kind, Kind::Node | Kind::Edge));
        let own = elements.map(|(name, _)| format!("{name}.k")).collect::<Vec<_>>();
        let mut keys = Vec::new();
        for name in plain.into_iter().map(|(name, _)| name).chain(own) {
            keys.push(format!(
                "{name}{}",
                self.one(&["", " DESC", " ASC NULLS FIRST", " DESC NULLS LAST"])
            ));
        }
        if keys.is_empty() {
            return String::new();
        }
        if self.chance(50) {
            keys.reverse();
        }
        let mut order = format!(" ORDER BY {}", keys.join(", "));
        if self.chance(30) {
            order.push_str(&format!(" {} {}", self.one(&["SKIP", "OFFSET"]), self.below(4)));
        }
        if self.chance(50) {
            order.push_str(&format!(" LIMIT {}", self.below(5)));
        }
        order
    }
}
