//! The values in the tables of the kit (its grammar of results): literals, `(:A {x: 1})`, `[:T {x: 1}]`, `<(a)-[:T]->(b)>`.

use geode_types::Value;

/// A value as a table writes it. Nodes and edges have no identity there.
#[derive(Clone, Debug, PartialEq)]
pub enum Expected {
    /// Anything that is no graph element and holds none by necessity.
    Null,
    /// A truth value.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A float.
    Float(f64),
    /// Text; also the text of a temporal value.
    String(String),
    /// A list.
    List(Vec<Expected>),
    /// A map.
    Map(Vec<(String, Expected)>),
    /// A node.
    Node {
        /// Its labels.
        labels: Vec<String>,
        /// Its properties.
        properties: Vec<(String, Expected)>,
    },
    /// An edge.
    Edge(ExpectedEdge),
    /// A path.
    Path {
        /// Its nodes.
        nodes: Vec<Expected>,
        /// Its edges, and whether each is walked from its start to its end.
        edges: Vec<(ExpectedEdge, bool)>,
    },
}

/// An edge as a table writes it.
#[derive(Clone, Debug, PartialEq)]
pub struct ExpectedEdge {
    /// Its type.
    pub edge_type: String,
    /// Its properties.
    pub properties: Vec<(String, Expected)>,
}

impl Expected {
    /// The value as a parameter; graph elements cannot be one.
    pub fn to_value(&self) -> Option<Value> {
        Some(match self {
            Self::Null => Value::Null,
            Self::Bool(truth) => Value::Bool(*truth),
            Self::Int(number) => Value::Int(*number),
            Self::Float(number) => Value::Float(*number),
            Self::String(text) => Value::String(text.clone()),
            Self::List(items) => Value::List(items.iter().map(Self::to_value).collect::<Option<_>>()?),
            Self::Map(entries) => {
                let entries = entries
                    .iter()
                    .map(|(key, value)| Some((key.clone(), value.to_value()?)));
                let mut entries: Vec<_> = entries.collect::<Option<_>>()?;
                entries.sort_by(|left, right| left.0.cmp(&right.0));
                Value::Map(entries)
            }
            Self::Node { .. } | Self::Edge(_) | Self::Path { .. } => return None,
        })
    }
}

/// Reads a cell.
pub fn parse(text: &str) -> Result<Expected, String> {
    let mut reader = Reader { text, at: 0 };
    let value = reader.value();
    reader.skip_blanks();
    match value {
        Some(value) if reader.at == text.len() => Ok(value),
        _ => Err(format!("not a value of the kit at byte {}: {text}", reader.at)),
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn skip_blanks(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    fn eat(&mut self, token: &str) -> bool {
        self.skip_blanks();
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    fn expect(&mut self, token: &str) -> Option<()> {
        self.eat(token).then_some(())
    }

    fn value(&mut self) -> Option<Expected> {
        self.skip_blanks();
        match self.rest().chars().next()? {
            '\'' => self.string().map(Expected::String),
            '{' => self.map().map(Expected::Map),
            '(' => self.node(),
            '<' => self.path(),
            '[' if self.rest().get(1..)?.trim_start().starts_with(':') => self.edge().map(Expected::Edge),
            '[' => self.list(),
            _ => self.word(),
        }
    }

    fn word(&mut self) -> Option<Expected> {
        let rest = self.rest();
        let end = rest.find(|c: char| !(c.is_alphanumeric() || "+-._".contains(c)));
        let word = rest.get(..end.unwrap_or(rest.len()))?;
        let value = match word {
            "null" => Expected::Null,
            "true" => Expected::Bool(true),
            "false" => Expected::Bool(false),
            "NaN" => Expected::Float(f64::NAN),
            "Inf" | "+Inf" => Expected::Float(f64::INFINITY),
            "-Inf" => Expected::Float(f64::NEG_INFINITY),
            _ => match word.parse() {
                Ok(number) => Expected::Int(number),
                Err(_) => Expected::Float(word.parse().ok()?),
            },
        };
        self.at += word.len();
        Some(value)
    }

    fn string(&mut self) -> Option<String> {
        self.expect("'")?;
        let mut out = String::new();
        let mut chars = self.rest().char_indices();
        while let Some((offset, c)) = chars.next() {
            match c {
                '\'' => {
                    self.at += offset + 1;
                    return Some(out);
                }
                '\\' => match chars.next()?.1 {
                    escaped @ ('\\' | '\'') => out.push(escaped),
                    other => out.extend(['\\', other]),
                },
                c => out.push(c),
            }
        }
        None
    }

    fn name(&mut self) -> Option<String> {
        self.skip_blanks();
        if self.eat("`") {
            let (name, _) = self.rest().split_once('`')?;
            self.at += name.len() + 1;
            return Some(name.to_owned());
        }
        let rest = self.rest();
        let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_'));
        let name = rest.get(..end.unwrap_or(rest.len()))?;
        self.at += name.len();
        (!name.is_empty()).then(|| name.to_owned())
    }

    fn list(&mut self) -> Option<Expected> {
        self.expect("[")?;
        let mut items = Vec::new();
        if self.eat("]") {
            return Some(Expected::List(items));
        }
        loop {
            items.push(self.value()?);
            if self.eat("]") {
                return Some(Expected::List(items));
            }
            self.expect(",")?;
        }
    }

    fn map(&mut self) -> Option<Vec<(String, Expected)>> {
        self.expect("{")?;
        let mut entries = Vec::new();
        if self.eat("}") {
            return Some(entries);
        }
        loop {
            let key = self.name()?;
            self.expect(":")?;
            entries.push((key, self.value()?));
            if self.eat("}") {
                return Some(entries);
            }
            self.expect(",")?;
        }
    }

    /// The map before a closing bracket, or nothing.
    fn properties(&mut self) -> Option<Vec<(String, Expected)>> {
        self.skip_blanks();
        if self.rest().starts_with('{') {
            self.map()
        } else {
            Some(Vec::new())
        }
    }

    fn node(&mut self) -> Option<Expected> {
        self.expect("(")?;
        let mut labels = Vec::new();
        while self.eat(":") {
            labels.push(self.name()?);
        }
        let properties = self.properties()?;
        self.expect(")")?;
        Some(Expected::Node { labels, properties })
    }

    fn edge(&mut self) -> Option<ExpectedEdge> {
        self.expect("[")?;
        self.expect(":")?;
        let edge_type = self.name()?;
        let properties = self.properties()?;
        self.expect("]")?;
        Some(ExpectedEdge {
            edge_type,
            properties,
        })
    }

    fn path(&mut self) -> Option<Expected> {
        self.expect("<")?;
        let mut nodes = vec![self.node()?];
        let mut edges = Vec::new();
        while !self.eat(">") {
            let backwards = self.eat("<");
            self.expect("-")?;
            let edge = self.edge()?;
            self.expect(if backwards { "-" } else { "->" })?;
            edges.push((edge, !backwards));
            nodes.push(self.node()?);
        }
        Some(Expected::Path { nodes, edges })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_the_kit_is_read() {
        for text in [
            "null",
            "-12",
            "1.5e10",
            "'it\\'s'",
            "[]",
            "[1, 'a', [:T], {}]",
            "{a: 1, b: {c: null}}",
            "(:A:B {x: [1]})",
            "()",
            "[:T {x: true}]",
            "<(:A)-[:T]->()<-[:U {x: 1}]-(:B)>",
        ] {
            assert!(parse(text).is_ok(), "{text}");
        }
        for text in ["", "[1", "'a", "(:A", "abc", "1 2"] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert_eq!(parse("-0.0"), Ok(Expected::Float(-0.0)));
        assert_eq!(parse("7"), Ok(Expected::Int(7)));
    }
}
