//! Random statements: valid by construction, with types that fit, so that what fails does so for a reason.
//!
//! The vocabulary is small, for values to meet: labels A, B, C; edge types R, S; properties `i` (integers), `s` (strings), `b` (truth values), `l`
//! (lists of integers), `v` (anything), `k` (a number of the element's own). Every property may be missing.

mod expression;
mod pattern;
mod query;
mod transaction;
mod update;

pub(crate) use transaction::{History, history};

use crate::choices::Choices;
use geode_gql::Dialect;

/// What a variable holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Int,
    Text,
    Truth,
    Ints,
    Any,
    Node,
    Edge,
    Path,
    /// A list of elements.
    Elements,
}

/// Kinds of values that have an order which both sides agree on.
const PLAIN: [Kind; 5] = [Kind::Int, Kind::Text, Kind::Truth, Kind::Ints, Kind::Any];

/// Statements on one graph, the first of which makes it.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) dialect: Dialect,
    pub(crate) statements: Vec<String>,
}

/// Makes the case of these decisions.
pub(crate) fn case(choices: &mut Choices) -> Case {
    let dialect = if choices.chance(50) {
        Dialect::Cypher
    } else {
        Dialect::Gql
    };
    let mut statements = vec![Generator::new(choices).setup()];
    while statements.len() < 2 || (statements.len() < 9 && choices.chance(85)) {
        let mut generator = Generator::new(choices);
        statements.push(if generator.chance(25) {
            generator.updating()
        } else {
            generator.reading()
        });
    }
    Case { dialect, statements }
}

/// Writes one statement.
struct Generator<'c> {
    choices: &'c mut Choices,
    /// The variables that there are.
    scope: Vec<(String, Kind)>,
    names: usize,
}

impl<'c> Generator<'c> {
    fn new(choices: &'c mut Choices) -> Self {
        Self {
            choices,
            scope: Vec::new(),
            names: 0,
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
    fn setup(&mut self) -> String {
        let mut parts = Vec::new();
        let mut nodes = 0;
        while nodes == 0 || (nodes < 7 && self.chance(92)) {
            let labels = self.one(&[":A", ":B", ":A:B", ":C", ":A:C", ""]);
            let properties = self.properties(nodes);
            parts.push(format!("(n{nodes}{labels} {properties})"));
            nodes += 1;
        }
        let mut edges = 0;
        while edges < 10 && self.chance(94) {
            let (from, to, kind) = (self.below(nodes), self.below(nodes), self.one(&["R", "S"]));
            let properties = self.properties(100 + edges);
            parts.push(format!("(n{from})-[:{kind} {properties}]->(n{to})"));
            edges += 1;
        }
        format!("CREATE {}", parts.join(", "))
    }

    fn properties(&mut self, number: usize) -> String {
        let mut entries = vec![format!("k: {number}")];
        if self.chance(75) {
            entries.push(format!("i: {}", self.below(4)));
        }
        if self.chance(55) {
            entries.push(format!("s: {}", self.one(&["'a'", "'b'", "'ab'", "''", "'ba'"])));
        }
        if self.chance(40) {
            entries.push(format!("b: {}", self.one(&["true", "false"])));
        }
        if self.chance(30) {
            entries.push(format!("l: {}", self.one(&["[]", "[1]", "[1, 2]", "[2, 1, 2]"])));
        }
        if self.chance(50) {
            entries.push(format!("v: {}", self.one(&MIXED)));
        }
        format!("{{{}}}", entries.join(", "))
    }
}

/// Values of several types, some of them equal.
const MIXED: [&str; 12] = [
    "1", "1.0", "'a'", "true", "2", "0.5", "'b'", "[1]", "[1.0, 2]", "false", "-1", "['a']",
];
