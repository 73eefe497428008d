//! Statements that write.

use super::{Generator, Kind};

impl Generator<'_> {
    /// Clauses that read, then one or two that write, then what there is to see of it.
    pub(super) fn updating(&mut self) -> String {
        let mut clauses = Vec::new();
        if self.chance(85) {
            clauses.push(self.first_clause());
        }
        if !clauses.is_empty() && self.chance(25) {
            clauses.push(self.reading_clause());
        }
        let deletes = self.chance(25);
        // Else the graph is soon empty, or all nodes are the same.
        if self.chance(if deletes { 80 } else { 30 }) {
            clauses.extend(self.narrowed());
        }
        if deletes {
            clauses.push(self.deletion());
            return format!("{} RETURN count(*) AS c", clauses.join(" "));
        }
        clauses.push(self.writing_clause());
        if self.chance(30) {
            clauses.push(self.writing_clause());
        }
        if self.chance(75) {
            clauses.push("WITH *".to_owned());
            clauses.push(self.projection("RETURN"));
        }
        clauses.join(" ")
    }

    /// What leaves one of the nodes that a variable can be.
    fn narrowed(&mut self) -> Option<String> {
        let name = self.variable_with(Kind::Node, "k")?;
        let number = self.held_by(&name)?.value("k")?;
        Some(format!("FILTER {name}.k = {number}"))
    }

    fn deletion(&mut self) -> String {
        let kind = if self.chance(50) { Kind::Edge } else { Kind::Node };
        match self.variable(kind) {
            Some(name) => format!("{} {name}", self.one(&["DELETE", "DETACH DELETE"])),
            None => "CREATE (:C)".to_owned(),
        }
    }

    fn writing_clause(&mut self) -> String {
        match self.below(7) {
            0 | 1 => self.set(),
            2 => self.remove(),
            3 | 4 => self.create(),
            5 => self.merge(),
            _ => {
                let (list, name) = (self.ints(1), self.fresh("x"));
                self.aside(|inner| {
                    inner.scope.push((name.clone(), Kind::Int));
                    format!("FOREACH ({name} IN {list} | CREATE (:C {{i: {}}}))", inner.int(0))
                })
            }
        }
    }

    /// `key: value` or `key = value`, with a value of the key's type.
    fn assignment(&mut self, joint: &str, depth: usize) -> String {
        let (key, kind) = [
            ("i", Kind::Int),
            ("s", Kind::Text),
            ("b", Kind::Truth),
            ("v", Kind::Any),
            ("t", Kind::Day),
        ][self.below(5)];
        let value = match kind {
            // Not everything is storable.
            Kind::Any if self.chance(10) => "null".to_owned(),
            Kind::Any => self.mixed().to_owned(),
            _ => self.expression(kind, depth),
        };
        format!("{key}{joint}{value}")
    }

    fn element(&mut self) -> Option<String> {
        let kind = if self.chance(25) { Kind::Edge } else { Kind::Node };
        self.variable(kind)
    }

    fn set(&mut self) -> String {
        let Some(name) = self.element() else {
            return self.create();
        };
        match self.below(7) {
            0..=2 => format!("SET {name}.{}", self.assignment(" = ", 2)),
            3 => {
                let (first, second) = (self.assignment(" = ", 1), self.assignment(" = ", 1));
                format!("SET {name}.{first}, {name}.{second}")
            }
            4 => format!("SET {name} += {{{}}}", self.assignment(": ", 1)),
            5 => format!("SET {name} = {{k: {name}.k, {}}}", self.assignment(": ", 1)),
            _ => match self.variable(Kind::Node) {
                Some(node) => format!("SET {node}:{}", self.one(&["A", "B", "C", "A:B"])),
                None => self.create(),
            },
        }
    }

    fn remove(&mut self) -> String {
        let Some(name) = self.element() else {
            return self.create();
        };
        match self.variable(Kind::Node) {
            Some(node) if self.chance(50) => format!("REMOVE {node}:{}", self.one(&["A", "B", "C"])),
            _ => format!("REMOVE {name}.{}", self.one(&["i", "s", "v", "l", "t", "k"])),
        }
    }

    fn create(&mut self) -> String {
        let new = self.fresh("m");
        let (labels, properties) = (self.one(&[":A", ":B", ":C", ""]), self.assignment(": ", 1));
        let mut text = format!("CREATE ({new}{labels} {{{properties}}})");
        if let (true, Some(known)) = (self.chance(60), self.variable(Kind::Node)) {
            let (kind, properties) = (self.one(&["R", "S"]), self.assignment(": ", 0));
            let (left, right) = [("-", "->"), ("<-", "-")][self.below(2)];
            text.push_str(&format!("{left}[:{kind} {{{properties}}}]{right}({known})"));
        }
        self.scope.push((new, Kind::Node));
        text
    }

    /// A node by its properties, or an edge from a known node to another one or to a node of its own.
    fn merge(&mut self) -> String {
        let value = if self.chance(70) {
            self.below(4).to_string()
        } else {
            self.int(1)
        };
        let new = self.fresh("m");
        match self.variable(Kind::Node) {
            Some(known) if self.chance(60) => {
                let (left, right) = [("-", "->"), ("<-", "-"), ("-", "-")][self.below(3)];
                let edge = format!("{left}[:{}]{right}", self.one(&["R", "S"]));
                match self.variable(Kind::Node) {
                    Some(other) if self.chance(50) => format!("MERGE ({known}){edge}({other})"),
                    _ => {
                        self.scope.push((new.clone(), Kind::Node));
                        format!("MERGE ({known}){edge}({new}:A {{i: {value}}})")
                    }
                }
            }
            _ => {
                let mut text = format!("MERGE ({new}:{} {{i: {value}}})", self.one(&["A", "B", "C"]));
                self.scope.push((new.clone(), Kind::Node));
                for event in ["CREATE", "MATCH"] {
                    if self.chance(50) {
                        text.push_str(&format!(" ON {event} SET {new}.{}", self.assignment(" = ", 1)));
                    }
                }
                text
            }
        }
    }
}
