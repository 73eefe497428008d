//! Graphs of some hundreds of nodes, with labels of very different frequency, and statements that stay cheap for nested loops: scans with
//! conditions on properties, and one or two hops behind them.
//!
//! On these the engine scans labels in pages, looks nodes up behind edges until it makes a table of them, and crosses the ends of batches.

use super::{Case, Generator, Held, values};
use crate::choices::{Choices, random};
use geode_gql::Dialect;

/// Makes the case of these decisions.
pub(super) fn case(choices: &mut Choices, dialect: Dialect) -> Case {
    let (mut statements, nothing) = (vec![setup(choices)], Held::default());
    while statements.len() < 2 || (statements.len() < 9 && choices.chance(85)) {
        let mut generator = Generator::new(choices, &nothing);
        statements.push(if generator.chance(20) {
            generator.large_update()
        } else {
            generator.large_reading()
        });
    }
    Case {
        dialect,
        statements,
        is_large: true,
    }
}

/// `CREATE`: how many nodes is one decision and what they are another one, so that the case can be made smaller.
fn setup(choices: &mut Choices) -> String {
    let nodes = 40 + 20 * choices.below(16);
    let mut state = choices.below(1 << 16) as u64;
    let mut roll = move |limit: usize| (random(&mut state) % limit as u64) as usize;
    let mut parts = Vec::new();
    // Nodes of :A lie close together in one place, and hardly anywhere else.
    let close = nodes / 3..nodes / 3 + 24;
    for at in 0..nodes {
        let mut node = format!("(n{at}");
        if close.contains(&at) || roll(40) == 0 {
            node.push_str(":A");
        }
        if roll(3) == 0 {
            node.push_str(":B");
        }
        if roll(6) > 0 {
            node.push_str(":C");
        }
        node.push_str(&format!(" {{k: {at}"));
        if roll(8) > 0 {
            node.push_str(&format!(", i: {}", roll(7)));
        }
        if roll(4) > 0 {
            node.push_str(&format!(", s: {}", ["'a'", "'b'", "'ab'", "''"][roll(4)]));
        }
        if roll(3) > 0 {
            let value = values::any_of(roll(values::COUNT));
            node.push_str(&format!(", v: {value}"));
        }
        node.push_str("})");
        parts.push(node);
    }
    for at in 0..nodes + nodes / 2 {
        let kind = if roll(3) > 0 { "R" } else { "S" };
        let (from, to) = (roll(nodes), roll(nodes));
        parts.push(format!(
            "(n{from})-[:{kind} {{k: {}, i: {}}}]->(n{to})",
            1000 + at,
            roll(4)
        ));
    }
    format!("CREATE {}", parts.join(", "))
}

impl Generator<'_> {
    fn label(&mut self) -> &'static str {
        self.one(&["C", "B", "A"])
    }

    /// `(-)-[e]-(-)` with a type or without, in any direction.
    fn hop(&mut self) -> &'static str {
        self.one(&["-[:R]->", "<-[:R]-", "-[:S]->", "-[:R|S]->", "-->", "-[:S]-"])
    }

    /// A comparison of a property with a constant, as it is asked of nodes where they are stored.
    fn test(&mut self, name: &str) -> String {
        let (key, value) = match self.below(8) {
            0 | 1 => ("i", self.below(7).to_string()),
            2 => ("i", self.number().to_owned()),
            3 => ("s", self.one(&["'a'", "'ab'", "''", "1", "null"]).to_owned()),
            4 => ("k", (10 * self.below(40)).to_string()),
            _ => ("v", self.mixed().to_owned()),
        };
        let operator = self.comparison();
        if self.chance(20) {
            format!("{value} {operator} {name}.{key}")
        } else {
            format!("{name}.{key} {operator} {value}")
        }
    }

    /// ` WHERE …`, or nothing.
    fn tests(&mut self, name: &str) -> String {
        match self.below(4) {
            0 => String::new(),
            1 => format!(" WHERE {} AND {}", self.test(name), self.test(name)),
            _ => format!(" WHERE {}", self.test(name)),
        }
    }

    fn large_reading(&mut self) -> String {
        let (near, far, hop) = (self.label(), self.label(), self.hop());
        let (of_near, of_far) = (self.tests("n"), self.tests("m"));
        match self.below(12) {
            0 => format!("MATCH (n:{near}){of_near} RETURN count(*) AS a, min(n.v) AS b, count(n.i) AS c"),
            1 => {
                let limit = ["", " LIMIT 5", " SKIP 3 LIMIT 20"][self.below(3)];
                format!("MATCH (n:{near}){of_near} RETURN n.k AS a, n.v AS b ORDER BY a{limit}")
            }
            2 => {
                format!("MATCH (n:{near}){of_near} RETURN n.i AS a, count(*) AS b, max(n.k) AS c GROUP BY a")
            }
            3 | 4 => format!("MATCH (n:{near}){hop}(m:{far}){of_far} RETURN n.k AS a, m.k AS b, m.v AS c"),
            5 => {
                let number = self.below(7);
                format!(
                    "MATCH (n:{near}){hop}(m:{far} {{i: {number}}}){of_near} RETURN count(*) AS a, min(m.k) AS b"
                )
            }
            6 => {
                let second = self.hop();
                format!(
                    "MATCH (n:A){hop}(x){second}(m:{far}){of_far} RETURN count(*) AS a, count(DISTINCT m) AS b"
                )
            }
            7 => format!(
                "MATCH (n:{near}){of_near} OPTIONAL MATCH (n){hop}(m:{far}){of_far} RETURN n.k AS a, m.k AS b"
            ),
            8 => format!(
                "MATCH (n:{near}) WHERE EXISTS {{ (n){hop}(m:{far}){of_far} }} RETURN count(*) AS a, min(n.k) AS b"
            ),
            9 => {
                let (second, third) = (self.hop(), self.label());
                format!(
                    "MATCH (n:{near}){hop}(x) WITH x, count(*) AS c MATCH (x){second}(m:{third}){of_far} RETURN x.k AS a, c, m.k AS b"
                )
            }
            10 => format!(
                "MATCH (n:{near}){of_near} RETURN n NEXT MATCH (n){hop}(m:{far}){of_far} RETURN n.k AS a, m.k AS b"
            ),
            _ => format!(
                "SELECT n.i AS a, count(*) AS b FROM MATCH (n:{near}){hop}(m:{far}){of_far} GROUP BY a HAVING count(*) > 2 ORDER BY a"
            ),
        }
    }

    fn large_update(&mut self) -> String {
        let (near, far, hop) = (self.label(), self.label(), self.hop());
        let (of_near, of_far) = (self.tests("n"), self.tests("m"));
        let change = match self.below(4) {
            0 => format!("SET n.v = {}", self.mixed()),
            1 => format!("SET n:{}", self.label()),
            2 => format!("REMOVE n:{}", self.label()),
            _ => "REMOVE n.i".to_owned(),
        };
        match self.below(4) {
            0 | 1 => format!("MATCH (n:{near}){of_near} {change}"),
            2 => format!("MATCH (n:{near})-[e:S]->(m:{far}){of_far} DELETE e RETURN count(*) AS a"),
            _ => format!("MATCH (n:A){hop}(m:{far}){of_far} DETACH DELETE n"),
        }
    }
}
