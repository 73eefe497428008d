//! Statements that read.

use super::{Generator, Kind, PLAIN};

/// The parts of a projection before its order.
struct Columns {
    items: String,
    /// ` GROUP BY …`, or nothing.
    grouping: String,
    /// What SELECT can ask of groups.
    having: Option<String>,
}

/// How deep expressions nest.
const DEPTH: usize = 2;

impl Generator<'_> {
    /// A query, or several joined by set operators, and perhaps one behind it that takes the result of all of them.
    pub(super) fn reading(&mut self) -> String {
        if self.chance(8) {
            return self.select();
        }
        if !self.chance(12) {
            return format!("{} {}", self.clauses(), self.projection("RETURN"));
        }
        // Set operators bind tighter than NEXT, so none stands in their operands.
        self.continues = false;
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
        // Two queries without anything in common have hardly a row in common.
        let (left, right) = if operator.starts_with("EXCEPT") || operator.starts_with("INTERSECT") {
            self.related(&kinds)
        } else {
            (self.operand(&kinds), self.operand(&kinds))
        };
        let joined = format!("{left} {operator} {right}");
        if !self.chance(30) {
            return joined;
        }
        let columns = kinds.into_iter().enumerate();
        self.scope = columns.map(|(at, kind)| (format!("c{at}"), kind)).collect();
        // For none of the columns to come to be called like these.
        self.names = self.names.max(kinds.len());
        let clause = if self.chance(50) {
            format!("{} ", self.reading_clause())
        } else {
            String::new()
        };
        format!("{joined} NEXT {clause}{}", self.projection("RETURN"))
    }

    /// `SELECT … FROM MATCH …`.
    fn select(&mut self) -> String {
        let body = self.match_body(DEPTH);
        let columns = self.columns();
        let having = columns.having.map(|having| format!(" HAVING {having}"));
        let distinct = if self.chance(20) { "DISTINCT " } else { "" };
        format!(
            "SELECT {distinct}{} FROM MATCH {body}{}{}{}",
            columns.items,
            columns.grouping,
            having.unwrap_or_default(),
            self.order()
        )
    }

    /// A query with columns of these kinds.
    fn operand(&mut self, kinds: &[Kind]) -> String {
        self.aside(|inner| format!("{} RETURN {}", inner.clauses(), inner.items(kinds)))
    }

    /// Two queries, the second of which is mostly the first with one clause more.
    fn related(&mut self, kinds: &[Kind]) -> (String, String) {
        if self.chance(35) {
            return (self.operand(kinds), self.operand(kinds));
        }
        self.aside(|inner| {
            let (clauses, items) = (inner.clauses(), inner.items(kinds));
            let more = match inner.below(3) {
                0 => format!("FILTER {}", inner.held_test(DEPTH)),
                1 => format!("MATCH {}", inner.match_body(1)),
                _ => format!("OPTIONAL MATCH {}", inner.match_body(1)),
            };
            let with_more = format!("{clauses} {more} RETURN {items}");
            (format!("{clauses} RETURN {items}"), with_more)
        })
    }

    fn items(&mut self, kinds: &[Kind]) -> String {
        let items = kinds.iter().enumerate();
        let items: Vec<String> = items
            .map(|(at, kind)| format!("{} AS c{at}", self.expression(*kind, DEPTH)))
            .collect();
        items.join(", ")
    }

    fn clauses(&mut self) -> String {
        let mut clauses = vec![self.first_clause()];
        while clauses.len() < 4 && self.chance(35) {
            clauses.push(self.reading_clause());
        }
        clauses.join(" ")
    }

    pub(super) fn first_clause(&mut self) -> String {
        if self.chance(12) {
            self.unwind()
        } else {
            format!("MATCH {}", self.match_body(DEPTH))
        }
    }

    pub(super) fn reading_clause(&mut self) -> String {
        match self.below(22) {
            0..=4 => format!("MATCH {}", self.match_body(DEPTH)),
            5..=11 => format!("OPTIONAL MATCH {}", self.match_body(DEPTH)),
            12 | 13 => self.unwind(),
            14 if self.chance(60) => format!("FILTER {}", self.held_test(DEPTH)),
            14 => format!("FILTER {}", self.truth(DEPTH)),
            15 => {
                let (kind, name) = (PLAIN[self.below(PLAIN.len())], self.fresh("w"));
                let value = self.expression(kind, DEPTH);
                self.scope.push((name.clone(), kind));
                format!("LET {name} = {value}")
            }
            16 => self.call(),
            17 if self.continues => self.passed_on(),
            _ => self.projection("WITH"),
        }
    }

    /// `RETURN … NEXT [YIELD …]`: what is returned goes on.
    fn passed_on(&mut self) -> String {
        let result = self.projection("RETURN");
        if !self.chance(30) {
            return format!("{result} NEXT");
        }
        let at = self.below(self.scope.len());
        let (column, kind) = self.scope.swap_remove(at);
        let name = self.fresh("y");
        self.scope = vec![(name.clone(), kind)];
        format!("{result} NEXT YIELD {column} AS {name}")
    }

    fn unwind(&mut self) -> String {
        let list = if self.chance(50) {
            self.ints(DEPTH)
        } else {
            let some = ["[1, 2]", "[1]", "[3, 1, 2]", "range(0, 2)", "[0, null]"];
            self.one(&some).to_owned()
        };
        let name = self.fresh("u");
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
        let Columns { items, grouping, .. } = self.columns();
        let distinct = if self.chance(20) { "DISTINCT " } else { "" };
        let order = self.order();
        let condition = if keyword == "WITH" && self.chance(25) {
            format!(" WHERE {}", self.condition(DEPTH))
        } else {
            String::new()
        };
        format!("{keyword} {distinct}{items}{grouping}{order}{condition}")
    }

    /// Columns, which are in scope behind it, and how rows become groups.
    fn columns(&mut self) -> Columns {
        let mut columns: Vec<(String, Kind)> = Vec::new();
        let (mut items, mut keys) = (Vec::new(), Vec::new());
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
                    keys.push(name.clone());
                    columns.push((name, element));
                }
                continue;
            }
            let name = self.fresh("c");
            let (value, kind) = if is_aggregate {
                self.aggregate()
            } else {
                let kind = PLAIN[self.below(PLAIN.len())];
                keys.push(name.clone());
                (self.expression(kind, DEPTH), kind)
            };
            items.push(format!("{value} AS {name}"));
            columns.push((name, kind));
        }
        let grouping = self.grouping(keys, aggregates);
        let having = self.chance(40).then(|| self.having());
        self.scope = columns;
        Columns {
            items: items.join(", "),
            grouping,
            having,
        }
    }

    /// `GROUP BY` the columns without an aggregate, and perhaps a property that is no column.
    fn grouping(&mut self, mut keys: Vec<String>, aggregates: bool) -> String {
        if !self.chance(if aggregates { 40 } else { 4 }) {
            return String::new();
        }
        if let (true, Some(node)) = (self.chance(25), self.variable(Kind::Node)) {
            keys.push(format!("{node}.i"));
        }
        if keys.is_empty() {
            keys.push("()".to_owned());
        }
        format!(" GROUP BY {}", keys.join(", "))
    }

    /// A condition on groups.
    fn having(&mut self) -> String {
        let (value, kind) = self.aggregate();
        match kind {
            Kind::Int => format!("{value} {} {}", self.comparison(), self.below(3)),
            _ => format!("{value} IS NOT NULL"),
        }
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
        if self.chance(25) {
            order.push_str(&format!(" {} {}", self.one(&["SKIP", "OFFSET"]), self.below(3)));
        }
        if self.chance(50) {
            order.push_str(&format!(" LIMIT {}", self.one(&["1", "2", "3", "4", "5", "0"])));
        }
        order
    }
}
