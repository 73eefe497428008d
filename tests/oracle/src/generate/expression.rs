//! Expressions of a wanted type. Null is among the values of each.

use super::{Generator, Kind};

impl Generator<'_> {
    /// An expression of this kind; the deeper, the simpler.
    pub(super) fn expression(&mut self, kind: Kind, depth: usize) -> String {
        if let (true, Some(name)) = (self.chance(35), self.variable(kind)) {
            return name;
        }
        match kind {
            Kind::Int => self.int(depth),
            Kind::Text => self.text(depth),
            Kind::Truth => self.truth(depth),
            Kind::Ints => self.ints(depth),
            Kind::Day => self.day(depth),
            Kind::Any => self.any(depth),
            Kind::Node | Kind::Edge | Kind::Path | Kind::Elements => {
                self.variable(kind).unwrap_or_else(|| "null".to_owned())
            }
        }
    }

    /// A property of an element in scope.
    fn property(&mut self, key: &str) -> Option<String> {
        let kind = if self.chance(25) { Kind::Edge } else { Kind::Node };
        let with = if self.chance(60) {
            self.variable_with(kind, key)
        } else {
            None
        };
        let name = with.or_else(|| self.variable(kind))?;
        Some(format!("{name}.{key}"))
    }

    /// A number that properties have, rarely null.
    fn small_number(&mut self) -> &'static str {
        if self.chance(7) {
            return "null";
        }
        self.one(&["1", "0", "2", "3", "-1"])
    }

    /// A string that properties have, rarely null.
    fn short_text(&mut self) -> &'static str {
        if self.chance(7) {
            return "null";
        }
        self.one(&["'a'", "'b'", "'ab'", "''", "'ba'"])
    }

    /// A condition or a value that depends on the row, when there is anything in scope.
    fn case(&mut self, kind: Kind, depth: usize) -> String {
        let (when, then) = (self.truth(depth - 1), self.expression(kind, depth - 1));
        let otherwise = self.expression(kind, depth - 1);
        if self.chance(30) {
            let operand = self.int(depth - 1);
            let value = self.int(depth - 1);
            return format!("CASE {operand} WHEN {value} THEN {then} ELSE {otherwise} END");
        }
        if self.chance(70) {
            format!("CASE WHEN {when} THEN {then} ELSE {otherwise} END")
        } else {
            format!("CASE WHEN {when} THEN {then} END")
        }
    }

    pub(super) fn int(&mut self, depth: usize) -> String {
        if let (true, Some(property)) = (self.chance(50), self.property("i")) {
            return property;
        }
        if depth == 0 {
            return self.small_number().to_owned();
        }
        match self.below(15) {
            0..=2 => self.small_number().to_owned(),
            3 | 4 => {
                let operator = self.one(&["+", "-", "*"]);
                format!("({} {operator} {})", self.int(depth - 1), self.int(depth - 1))
            }
            5 => {
                let (operator, divisor) = (self.one(&["%", "/"]), self.one(&["2", "3", "-2"]));
                format!("({} {operator} {divisor})", self.int(depth - 1))
            }
            6 => format!("size({})", self.ints(depth - 1)),
            7 => format!("size({})", self.text(depth - 1)),
            8 => self.case(Kind::Int, depth),
            9 => format!("coalesce({}, {})", self.int(depth - 1), self.int(depth - 1)),
            10 => match self.variable(Kind::Path) {
                Some(path) => format!("length({path})"),
                None => format!("abs({})", self.int(depth - 1)),
            },
            11 => {
                let (list, total, item) = (self.ints(depth - 1), self.fresh("t"), self.fresh("x"));
                format!("reduce({total} = 0, {item} IN {list} | {total} + {item})")
            }
            12 => {
                let query = self.subquery_pattern(depth - 1);
                format!("COUNT {{ {query} }}")
            }
            13 => format!(
                "({}).{}",
                self.day(depth - 1),
                self.one(&["day", "month", "year"])
            ),
            _ => match self.variable(Kind::Elements) {
                Some(list) => format!("size({list})"),
                None => format!("{}[{}]", self.ints(depth - 1), self.one(&["0", "1", "-1"])),
            },
        }
    }

    pub(super) fn text(&mut self, depth: usize) -> String {
        if let (true, Some(property)) = (self.chance(50), self.property("s")) {
            return property;
        }
        if depth == 0 {
            return self.short_text().to_owned();
        }
        match self.below(10) {
            0 | 1 => self.short_text().to_owned(),
            2 => format!("({} + {})", self.text(depth - 1), self.text(depth - 1)),
            3 => format!(
                "{}({})",
                self.one(&["toUpper", "toLower", "reverse"]),
                self.text(depth - 1)
            ),
            4 => format!(
                "substring({}, {})",
                self.text(depth - 1),
                self.one(&["0", "1", "0, 1"])
            ),
            5 => format!("{}({}, 1)", self.one(&["left", "right"]), self.text(depth - 1)),
            6 => format!("toString({})", self.int(depth - 1)),
            7 => format!(
                "replace({}, 'a', {})",
                self.text(depth - 1),
                self.one(&["'c'", "''", "'ab'"])
            ),
            8 => match self.variable(Kind::Edge) {
                Some(edge) => format!("type({edge})"),
                None => format!("nullIf({}, 'a')", self.text(depth - 1)),
            },
            _ => self.case(Kind::Text, depth),
        }
    }

    pub(super) fn ints(&mut self, depth: usize) -> String {
        if let (true, Some(property)) = (self.chance(35), self.property("l")) {
            return property;
        }
        if depth == 0 {
            return self
                .one(&["[1, 2]", "[]", "[1]", "[3, 1, 2]", "[1, null]"])
                .to_owned();
        }
        match self.below(8) {
            0 => self
                .one(&["[1, 2]", "[]", "[1]", "[3, 1, 2]", "[1, null]"])
                .to_owned(),
            1 => format!("[{}, {}]", self.int(depth - 1), self.int(depth - 1)),
            2 => format!("range({}, {})", self.one(&["0", "1"]), self.one(&["2", "1", "0"])),
            3 => format!("{}({})", self.one(&["tail", "reverse"]), self.ints(depth - 1)),
            4 => format!("({} + {})", self.ints(depth - 1), self.ints(depth - 1)),
            5 => format!(
                "{}[{}]",
                self.ints(depth - 1),
                self.one(&["0..1", "1..", "..-1", "..2"])
            ),
            _ => {
                let (list, item) = (self.ints(depth - 1), self.fresh("x"));
                self.aside(|inner| {
                    inner.scope.push((item.clone(), Kind::Int));
                    let condition = if inner.chance(60) {
                        format!(" WHERE {}", inner.truth(depth - 1))
                    } else {
                        String::new()
                    };
                    let result = if inner.chance(60) {
                        format!(" | {}", inner.int(depth - 1))
                    } else {
                        String::new()
                    };
                    format!("[{item} IN {list}{condition}{result}]")
                })
            }
        }
    }

    /// A date, never written as null: what has no type has no year.
    pub(super) fn day(&mut self, depth: usize) -> String {
        if let (true, Some(property)) = (self.chance(50), self.property("t")) {
            return property;
        }
        if depth == 0 {
            return self.date().to_owned();
        }
        match self.below(5) {
            0 => self.date().to_owned(),
            1 => format!("coalesce({}, {})", self.day(depth - 1), self.day(depth - 1)),
            _ => {
                let operator = self.one(&["+", "-"]);
                format!("({} {operator} {})", self.day(depth - 1), self.step_of_time())
            }
        }
    }

    fn any(&mut self, depth: usize) -> String {
        if let (true, Some(property)) = (self.chance(60), self.property("v")) {
            return property;
        }
        match self.below(6) {
            0 | 1 => self.mixed().to_owned(),
            2 if depth > 0 => format!("[{}, {}]", self.any(depth - 1), self.any(depth - 1)),
            3 if depth > 0 => format!("{{a: {}, b: {}}}", self.any(depth - 1), self.int(depth - 1)),
            4 => self.int(depth),
            _ => self.text(depth),
        }
    }

    pub(super) fn truth(&mut self, depth: usize) -> String {
        if let (true, Some(property)) = (self.chance(10), self.property("b")) {
            return property;
        }
        if depth == 0 {
            return match self.below(4) {
                0 => self.one(&["true", "false", "null"]).to_owned(),
                _ => format!("{} {} {}", self.int(0), self.comparison(), self.int(0)),
            };
        }
        match self.below(24) {
            0 => self.one(&["true", "false", "null"]).to_owned(),
            1..=3 => format!(
                "{} {} {}",
                self.int(depth - 1),
                self.comparison(),
                self.int(depth - 1)
            ),
            4 | 5 => format!(
                "{} {} {}",
                self.text(depth - 1),
                self.comparison(),
                self.text(depth - 1)
            ),
            6 | 7 => format!(
                "{} {} {}",
                self.any(depth - 1),
                self.comparison(),
                self.any(depth - 1)
            ),
            8 => {
                let kind = [Kind::Int, Kind::Text, Kind::Any, Kind::Node][self.below(4)];
                format!(
                    "{} IS {}NULL",
                    self.expression(kind, depth - 1),
                    self.one(&["", "NOT "])
                )
            }
            9 | 10 => {
                let operator = self.one(&["AND", "OR", "XOR"]);
                format!("({} {operator} {})", self.truth(depth - 1), self.truth(depth - 1))
            }
            11 => format!("NOT ({})", self.truth(depth - 1)),
            12 => format!(
                "({}) IS {}",
                self.truth(depth - 1),
                self.one(&["TRUE", "NOT TRUE", "FALSE", "UNKNOWN"])
            ),
            13 => format!("{} IN {}", self.int(depth - 1), self.ints(depth - 1)),
            14 => format!(
                "{} IN [{}, {}]",
                self.any(depth - 1),
                self.any(depth - 1),
                self.any(depth - 1)
            ),
            15 => {
                let operator = self.one(&["STARTS WITH", "ENDS WITH", "CONTAINS"]);
                format!("{} {operator} {}", self.text(depth - 1), self.text(depth - 1))
            }
            16 => match self.variable(Kind::Node) {
                Some(node) => format!("({node}:{})", self.one(&["A", "B", "A&B", "A|C", "!A", "%"])),
                None => "true".to_owned(),
            },
            17 => self.same_elements(depth),
            18 => self.quantified(depth),
            19 | 20 => self.property_test(),
            21 => format!(
                "{} {} {}",
                self.day(depth - 1),
                self.comparison(),
                self.day(depth - 1)
            ),
            _ => {
                let pattern = self.subquery_pattern(depth - 1);
                format!("EXISTS {{ {pattern} }}")
            }
        }
    }

    /// What can stand behind WHERE, where a pattern is a condition.
    pub(super) fn condition(&mut self, depth: usize) -> String {
        match self.below(18) {
            0..=5 => self.held_test(depth),
            6 => format!("({} AND {})", self.held_test(depth), self.truth(depth)),
            7 => format!("({} OR {})", self.truth(depth), self.held_test(depth)),
            8 => self.pattern_predicate(),
            9 => format!("NOT {}", self.pattern_predicate()),
            10 => format!("({} AND {})", self.pattern_predicate(), self.truth(depth)),
            11 => format!("({} OR {})", self.truth(depth), self.pattern_predicate()),
            _ => self.truth(depth),
        }
    }

    /// A condition that mostly holds for an element which a variable was written for; any, if there is none.
    pub(super) fn held_test(&mut self, depth: usize) -> String {
        let (kind, other) = if self.chance(25) {
            (Kind::Edge, Kind::Node)
        } else {
            (Kind::Node, Kind::Edge)
        };
        let found = self.held_property(kind).or_else(|| self.held_property(other));
        let Some((name, key, value)) = found else {
            return self.truth(depth);
        };
        match self.below(8) {
            0 | 1 => format!("{name}.{key} = {value}"),
            2 => format!("{value} {} {name}.{key}", self.one(&["=", "<=", ">="])),
            3 => format!("{name}.{key} IN [{}, {value}]", self.mixed()),
            4 => format!("{name}.{key} IS NOT NULL"),
            5 => format!("{name}.{key} {} {}", self.comparison(), self.mixed()),
            _ => format!("{name}.{key} {} {value}", self.one(&["<=", ">=", "<>"])),
        }
    }

    /// A property beside a constant: what is asked of nodes where they are stored, and of indexes.
    fn property_test(&mut self) -> String {
        let key = self.one(&["v", "i", "s", "b", "l", "t"]);
        let Some(property) = self.property(key) else {
            return "true".to_owned();
        };
        let comparison = self.comparison();
        let held = if self.chance(65) {
            self.held_value(key)
        } else {
            None
        };
        format!("{property} {comparison} {}", held.unwrap_or_else(|| self.mixed()))
    }

    pub(super) fn comparison(&mut self) -> &'static str {
        self.one(&["=", "<", ">", "<>", "<=", ">="])
    }

    fn same_elements(&mut self, depth: usize) -> String {
        let kind = if self.chance(30) { Kind::Edge } else { Kind::Node };
        match (self.variable(kind), self.variable(kind)) {
            (Some(left), Some(right)) => format!("{left} {} {right}", self.one(&["=", "<>"])),
            _ => self.truth(depth - 1),
        }
    }

    fn quantified(&mut self, depth: usize) -> String {
        let (which, list) = (self.one(&["all", "any", "none", "single"]), self.ints(depth - 1));
        let item = self.fresh("x");
        self.aside(|inner| {
            inner.scope.push((item.clone(), Kind::Int));
            format!("{which}({item} IN {list} WHERE {})", inner.truth(depth - 1))
        })
    }

    fn pattern_predicate(&mut self) -> String {
        let Some(node) = self.variable(Kind::Node) else {
            return "true".to_owned();
        };
        let way = if self.chance(65) {
            self.place(&node).and_then(|at| self.way(at, true))
        } else {
            None
        };
        let mut edges = vec![
            "-->",
            "<--",
            "--",
            "-[:R]->",
            "<-[:S]-",
            "-[:R|S]-",
            "-[:R*1..2]->",
        ];
        edges.retain(|edge| way.is_none_or(|way| self.held.leads(edge, way)));
        let edge = self.one(&edges);
        let reached = self.held.node(way.map(|way| way.to));
        let end = match self.variable(Kind::Node) {
            Some(end) if self.chance(if reached.is_some() { 10 } else { 40 }) => end,
            _ if reached.is_some() => self.fitting(&["", ":A", ":B"], reached).to_owned(),
            _ => self.one(&["", ":A", ":B", "{i: 1}"]).to_owned(),
        };
        format!("({node}){edge}({end})")
    }
}
