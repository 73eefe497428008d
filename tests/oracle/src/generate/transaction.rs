//! Transactions that are open at the same time, of statements that meet at a few nodes.

use super::{Element, Generator, Held, Tie};
use crate::choices::Choices;
use geode_gql::Dialect;

/// Transactions and the order of their steps.
#[derive(Clone, Debug)]
pub(crate) struct History {
    pub(crate) dialect: Dialect,
    pub(crate) setup: String,
    pub(crate) transactions: Vec<Program>,
    /// Whose turn it is.
    pub(crate) turns: Vec<usize>,
}

/// What a transaction does.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    pub(crate) statements: Vec<String>,
    /// It is taken back instead of committed.
    pub(crate) rolled_back: bool,
}

/// Makes the history of these decisions.
pub(crate) fn history(choices: &mut Choices) -> History {
    let dialect = if choices.chance(50) {
        Dialect::Cypher
    } else {
        Dialect::Gql
    };
    let (setup, held) = setup(choices);
    let mut transactions = Vec::new();
    while transactions.len() < 2 || (transactions.len() < 5 && choices.chance(60)) {
        let mut statements = Vec::new();
        while statements.is_empty() || (statements.len() < 4 && choices.chance(55)) {
            statements.push(Generator::new(choices, &held).step());
        }
        transactions.push(Program {
            statements,
            rolled_back: choices.chance(8),
        });
    }
    let steps: usize = transactions
        .iter()
        .map(|program| program.statements.len() + 2)
        .sum();
    let turns = (0..steps).map(|_| choices.below(transactions.len())).collect();
    History {
        dialect,
        setup,
        transactions,
        turns,
    }
}

/// `CREATE`: a few nodes of :A, and edges between them.
fn setup(choices: &mut Choices) -> (String, Held) {
    let (mut parts, mut held) = (Vec::new(), Held::default());
    while held.nodes.is_empty() || (held.nodes.len() < 4 && choices.chance(80)) {
        let number = held.nodes.len();
        let (labels, value) = if number == 0 {
            (":A", 0)
        } else {
            ([":A", ":A:B"][choices.below(2)], choices.below(3))
        };
        let node = Element::new(labels, vec![("k", number.to_string()), ("i", value.to_string())]);
        parts.push(format!("(n{number}{labels} {})", node.written()));
        held.nodes.push(node);
    }
    let count = held.nodes.len();
    while held.edges.len() < 3 && choices.chance(50) {
        let (from, to) = (choices.below(count), choices.below(count));
        let number = 100 + count + held.edges.len();
        let element = Element::new("R", vec![("k", number.to_string())]);
        parts.push(format!("(n{from})-[:R {}]->(n{to})", element.written()));
        held.edges.push(Tie { from, to, element });
    }
    (format!("CREATE {}", parts.join(", ")), held)
}

impl Generator<'_> {
    /// A statement that reads or changes little, and what it changes depends on what it reads.
    fn step(&mut self) -> String {
        let (here, there, number) = (self.below(4), self.below(4), self.below(3));
        let at = |name: &str, key: usize| format!("MATCH ({name}:A {{k: {key}}})");
        let both = format!("MATCH (n:A {{k: {here}}}), (m:A {{k: {there}}})");
        match self.below(24) {
            0 | 1 => format!("{} RETURN n.i AS c", at("n", here)),
            2..=4 => format!("{} SET n.i = n.i + 1", at("n", here)),
            5 | 6 => format!("{both} SET n.i = m.i + 1"),
            7 => format!("MATCH (n:A) WHERE n.i > {number} RETURN count(*) AS c"),
            8 => format!("MATCH (n:A) WITH count(*) AS c WHERE c < 5 CREATE (:A {{k: {here}, i: c}})"),
            9 => format!("{both} CREATE (n)-[:R {{i: {number}}}]->(m)"),
            10 => format!("{}-[e:R]-(m) RETURN count(*) AS c", at("n", here)),
            11 => format!("{} DETACH DELETE n", at("n", here)),
            12 | 13 => format!("MERGE (n:A {{k: {here}}}) ON CREATE SET n.i = 0 ON MATCH SET n.i = n.i + 1"),
            14 => format!("{} {} n:B", at("n", here), self.one(&["SET", "REMOVE"])),
            15 => "MATCH (n:B) RETURN count(*) AS c".to_owned(),
            16 => format!("MATCH (n:A) WHERE n.i = {number} SET n.i = {}", number + 1),
            17 => format!("{both} MERGE (n)-[:R]->(m)"),
            18 => format!("{}-[e:R]->() DELETE e", at("n", here)),
            19 => "MATCH ()-[e:R]->() RETURN count(*) AS c".to_owned(),
            20 => "MATCH (n:A) RETURN sum(n.i) AS c, count(*) AS d".to_owned(),
            21 => format!(
                "{} WHERE NOT EXISTS {{ (n)-[:R]->() }} SET n.i = n.i + 2",
                at("n", here)
            ),
            22 => self.reading(),
            _ => self.updating(),
        }
    }
}
