//! Random statements: valid by construction, with types that fit, so that what fails does so for a reason.
//!
//! The vocabulary is small, for values to meet: labels A, B, C; edge types R, S; properties `i` (integers), `s` (strings), `b` (truth values), `l`
//! (lists of integers), `t` (dates), `v` (anything), `k` (a number of the element's own). Every property may be missing.
//!
//! What they ask for is mostly there: [`held`].

mod expression;
mod held;
mod large;
mod pattern;
mod query;
mod transaction;
mod update;
mod values;

pub(crate) use transaction::{History, history};

use crate::choices::Choices;
use geode_gql::Dialect;
use held::{Element, Held, Place, Tie};
use std::collections::BTreeMap;

/// What a variable holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Int,
    Text,
    Truth,
    Ints,
    Day,
    Any,
    Node,
    Edge,
    Path,
    /// A list of elements.
    Elements,
}

/// Kinds of values that have an order which both sides agree on.
const PLAIN: [Kind; 6] = [
    Kind::Int,
    Kind::Text,
    Kind::Truth,
    Kind::Ints,
    Kind::Any,
    Kind::Day,
];

/// On labels and properties that statements write, none of them those of an index.
const CONSTRAINTS: [&str; 7] = [
    "CREATE CONSTRAINT FOR (n:A) REQUIRE n.k IS NOT NULL",
    "CREATE CONSTRAINT FOR (n:C) REQUIRE n.v IS UNIQUE",
    "CREATE CONSTRAINT FOR (n:A) REQUIRE n.t IS UNIQUE",
    "CREATE CONSTRAINT FOR (n:B) REQUIRE n.i IS UNIQUE",
    "CREATE CONSTRAINT FOR (n:B) REQUIRE n.k IS NODE KEY",
    "CREATE CONSTRAINT FOR (n:C) REQUIRE (n.i, n.s) IS UNIQUE",
    "CREATE CONSTRAINT FOR (n:C) REQUIRE n.i IS NOT NULL",
];

/// Statements on one graph, the first of which makes it.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) dialect: Dialect,
    pub(crate) statements: Vec<String>,
    /// The graph has some hundreds of nodes.
    pub(crate) is_large: bool,
}

/// Makes the case of these decisions.
pub(crate) fn case(choices: &mut Choices) -> Case {
    let dialect = if choices.chance(50) {
        Dialect::Cypher
    } else {
        Dialect::Gql
    };
    // Rarely: such a case takes as long as twenty others.
    if choices.chance(3) {
        return large::case(choices, dialect);
    }
    let nothing = Held::default();
    let (setup, held) = Generator::new(choices, &nothing).setup();
    let mut statements = vec![setup];
    let constrained = choices.chance(20);
    while statements.len() < 2 || (statements.len() < 9 && choices.chance(85)) {
        let mut generator = Generator::new(choices, &held);
        statements.push(if constrained && generator.chance(25) {
            generator.one(&CONSTRAINTS).to_owned()
        } else if generator.chance(if constrained { 50 } else { 25 }) {
            generator.updating()
        } else {
            generator.reading()
        });
    }
    Case {
        dialect,
        statements,
        is_large: false,
    }
}

/// Writes one statement.
struct Generator<'c> {
    choices: &'c mut Choices,
    /// The variables that there are.
    scope: Vec<(String, Kind)>,
    names: usize,
    /// What the graph holds before the statements.
    held: &'c Held,
    /// The elements of it that variables were written for.
    places: BTreeMap<String, Place>,
    /// The edges of it that the pattern takes already.
    walked: Vec<usize>,
    /// The statement may be made of several with NEXT between them.
    continues: bool,
}

impl<'c> Generator<'c> {
    fn new(choices: &'c mut Choices, held: &'c Held) -> Self {
        Self {
            choices,
            scope: Vec::new(),
            names: 0,
            held,
            places: BTreeMap::new(),
            walked: Vec::new(),
            continues: true,
        }
    }

    fn below(&mut self, limit: usize) -> usize {
        self.choices.below(limit)
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.choices.chance(percent)
    }

    fn one<'t>(&mut self, of: &[&'t str]) -> &'t str {
        let at = self.below(of.len());
        of.get(at).copied().unwrap_or_default()
    }

    fn fresh(&mut self, letter: &str) -> String {
        self.names += 1;
        format!("{letter}{}", self.names)
    }

    /// A variable of this kind.
    fn variable(&mut self, kind: Kind) -> Option<String> {
        let known: Vec<String> = self
            .scope
            .iter()
            .filter(|(_, other)| *other == kind)
            .map(|(name, _)| name.clone())
            .collect();
        let at = self.below(known.len());
        known.into_iter().nth(at)
    }

    /// What is written with other variables in scope, which are forgotten behind it.
    fn aside<T>(&mut self, write: impl FnOnce(&mut Self) -> T) -> T {
        let scope = self.scope.clone();
        let written = write(self);
        self.scope = scope;
        written
    }

    /// `CREATE`: a few nodes and edges between them.
    fn setup(&mut self) -> (String, Held) {
        let (mut parts, mut held) = (Vec::new(), Held::default());
        while held.nodes.is_empty() || (held.nodes.len() < 7 && self.chance(92)) {
            let at = held.nodes.len();
            let labels = self.one(&[":A", ":B", ":A:B", ":C", ":A:C", ""]);
            let node = Element::new(labels, self.properties(at));
            parts.push(format!("(n{at}{labels} {})", node.written()));
            held.nodes.push(node);
        }
        let nodes = held.nodes.len();
        while held.edges.len() < 10 && self.chance(94) {
            let (from, to, kind) = (self.below(nodes), self.below(nodes), self.one(&["R", "S"]));
            let element = Element::new(kind, self.properties(100 + held.edges.len()));
            parts.push(format!("(n{from})-[:{kind} {}]->(n{to})", element.written()));
            held.edges.push(Tie { from, to, element });
        }
        (format!("CREATE {}", parts.join(", ")), held)
    }

    fn properties(&mut self, number: usize) -> Vec<(&'static str, String)> {
        let mut entries = vec![("k", number.to_string())];
        if self.chance(85) {
            entries.push(("i", self.below(4).to_string()));
        }
        if self.chance(70) {
            entries.push(("s", self.one(&["'a'", "'b'", "'ab'", "''", "'ba'"]).to_owned()));
        }
        if self.chance(55) {
            entries.push(("b", self.one(&["true", "false"]).to_owned()));
        }
        if self.chance(45) {
            entries.push(("l", self.one(&["[]", "[1]", "[1, 2]", "[2, 1, 2]"]).to_owned()));
        }
        if self.chance(65) {
            entries.push(("v", self.mixed().to_owned()));
        }
        if self.chance(45) {
            entries.push(("t", self.date().to_owned()));
        }
        entries
    }
}
