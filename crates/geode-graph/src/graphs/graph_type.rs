//! Closed graph types: which nodes and edges may be in a graph (ISO/IEC 39075, 4.14). Names, not numbers: a type says what it allows
//! before anything bears those names.

use crate::codec::{Decoded, put_bytes, put_u64, take_count, take_str, take_u8};
use geode_types::Value;

/// The base type that every value has.
const ANY: &str = "ANY";

/// The type of a property's values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValueType {
    /// The name of a type that is no list, as [`Value::type_name`] has it, or `ANY`: what it is, or what the innermost lists hold.
    pub base: String,
    /// How many lists are around it.
    pub lists: u8,
}

impl std::fmt::Display for ValueType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let lists = usize::from(self.lists);
        write!(f, "{}{}{}", "LIST<".repeat(lists), self.base, ">".repeat(lists))
    }
}

impl ValueType {
    /// Whether a value has this type. Null has every type; whether it may be there is another question.
    pub fn fits(&self, value: &Value) -> bool {
        self.fits_within(self.lists, value)
    }

    fn fits_within(&self, lists: u8, value: &Value) -> bool {
        match (lists.checked_sub(1), value) {
            (_, Value::Null) => true,
            (Some(lists), Value::List(items)) => items.iter().all(|item| self.fits_within(lists, item)),
            (Some(_), _) => false,
            (None, value) => self.base == ANY || self.base == value.type_name(),
        }
    }
}

/// A property of an element type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PropertyRecord {
    /// Its name.
    pub name: String,
    /// The type of its values.
    pub value_type: ValueType,
    /// It must be there.
    pub required: bool,
}

/// Which nodes there may be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeTypeRecord {
    /// Exactly these labels, ascending.
    pub labels: Vec<String>,
    /// These properties and no others.
    pub properties: Vec<PropertyRecord>,
}

/// Which edges there may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EdgeTypeRecord {
    /// The edge's label.
    pub label: String,
    /// These properties and no others.
    pub properties: Vec<PropertyRecord>,
    /// The labels of the node where it starts, ascending.
    pub source: Vec<String>,
    /// The labels of the node where it ends, ascending.
    pub target: Vec<String>,
}

/// A closed graph type.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GraphType {
    /// The nodes that there may be.
    pub nodes: Vec<NodeTypeRecord>,
    /// The edges that there may be.
    pub edges: Vec<EdgeTypeRecord>,
}

/// Names and values.
pub(crate) type Named<'a> = [(&'a str, &'a Value)];

impl GraphType {
    /// Whether such a node may be in the graph; else why not. `labels` are ascending.
    pub(crate) fn admit_node(&self, labels: &[&str], properties: &Named<'_>) -> Result<(), String> {
        let mut why = format!("no node type has {}", set(labels));
        for node in self.nodes.iter().filter(|node| node.labels == labels) {
            match admit(&node.properties, properties) {
                Ok(()) => return Ok(()),
                Err(problem) => why = problem,
            }
        }
        Err(why)
    }

    /// Whether such an edge may be in the graph; else why not. The labels of its ends are ascending.
    pub(crate) fn admit_edge(
        &self,
        label: &str,
        (source, target): (&[&str], &[&str]),
        properties: &Named<'_>,
    ) -> Result<(), String> {
        let mut why = format!(
            "no edge type has the label {label} from {} to {}",
            set(source),
            set(target)
        );
        let fits =
            |edge: &&EdgeTypeRecord| edge.label == label && edge.source == source && edge.target == target;
        for edge in self.edges.iter().filter(fits) {
            match admit(&edge.properties, properties) {
                Ok(()) => return Ok(()),
                Err(problem) => why = problem,
            }
        }
        Err(why)
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        put_u64(self.nodes.len() as u64, out);
        for node in &self.nodes {
            put_names(&node.labels, out);
            put_properties(&node.properties, out);
        }
        put_u64(self.edges.len() as u64, out);
        for edge in &self.edges {
            put_bytes(edge.label.as_bytes(), out);
            put_properties(&edge.properties, out);
            put_names(&edge.source, out);
            put_names(&edge.target, out);
        }
    }

    pub(crate) fn take(input: &mut &[u8]) -> Decoded<Self> {
        let mut graph_type = Self::default();
        for _ in 0..take_count(input)? {
            graph_type.nodes.push(NodeTypeRecord {
                labels: take_names(input)?,
                properties: take_properties(input)?,
            });
        }
        for _ in 0..take_count(input)? {
            graph_type.edges.push(EdgeTypeRecord {
                label: take_str(input)?.to_owned(),
                properties: take_properties(input)?,
                source: take_names(input)?,
                target: take_names(input)?,
            });
        }
        Ok(graph_type)
    }
}

fn set(labels: &[&str]) -> String {
    match labels {
        [] => "no label".to_owned(),
        [label] => format!("the label {label}"),
        several => format!("the labels {}", several.join(" and ")),
    }
}

/// Whether these properties, none of them null, are as declared.
fn admit(declared: &[PropertyRecord], properties: &Named<'_>) -> Result<(), String> {
    for (name, value) in properties {
        let Some(property) = declared.iter().find(|property| property.name == *name) else {
            return Err(format!("its type has no property {name}"));
        };
        if !property.value_type.fits(value) {
            let wanted = &property.value_type;
            return Err(format!(
                "the property {name} is {wanted}, not {}",
                value.type_name()
            ));
        }
    }
    let missing = declared
        .iter()
        .filter(|property| property.required)
        .find(|property| properties.iter().all(|(name, _)| *name != property.name));
    match missing {
        Some(property) => Err(format!("the property {} is missing", property.name)),
        None => Ok(()),
    }
}

fn put_names(names: &[String], out: &mut Vec<u8>) {
    put_u64(names.len() as u64, out);
    for name in names {
        put_bytes(name.as_bytes(), out);
    }
}

fn take_names(input: &mut &[u8]) -> Decoded<Vec<String>> {
    let mut names = Vec::new();
    for _ in 0..take_count(input)? {
        names.push(take_str(input)?.to_owned());
    }
    Ok(names)
}

fn put_properties(properties: &[PropertyRecord], out: &mut Vec<u8>) {
    put_u64(properties.len() as u64, out);
    for property in properties {
        put_bytes(property.name.as_bytes(), out);
        put_bytes(property.value_type.base.as_bytes(), out);
        out.extend([property.value_type.lists, u8::from(property.required)]);
    }
}

fn take_properties(input: &mut &[u8]) -> Decoded<Vec<PropertyRecord>> {
    let mut properties = Vec::new();
    for _ in 0..take_count(input)? {
        let name = take_str(input)?.to_owned();
        properties.push(PropertyRecord {
            name,
            value_type: ValueType {
                base: take_str(input)?.to_owned(),
                lists: take_u8(input)?,
            },
            required: take_u8(input)? != 0,
        });
    }
    Ok(properties)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn people() -> GraphType {
        let property = |name: &str, base: &str, lists, required| PropertyRecord {
            name: name.to_owned(),
            value_type: ValueType {
                base: base.to_owned(),
                lists,
            },
            required,
        };
        GraphType {
            nodes: vec![NodeTypeRecord {
                labels: vec!["Person".to_owned()],
                properties: vec![
                    property("name", "STRING", 0, true),
                    property("scores", "FLOAT", 1, false),
                ],
            }],
            edges: vec![EdgeTypeRecord {
                label: "KNOWS".to_owned(),
                properties: vec![property("since", "INT", 0, false)],
                source: vec!["Person".to_owned()],
                target: vec!["Person".to_owned()],
            }],
        }
    }

    #[test]
    fn a_closed_type_admits_what_it_declares_and_nothing_else() {
        let people = people();
        let name = Value::from("Ada");
        let scores = Value::List(vec![Value::Float(0.5), Value::Null]);
        let wrong = Value::List(vec![Value::Int(1)]);
        assert_eq!(
            people.admit_node(&["Person"], &[("name", &name), ("scores", &scores)]),
            Ok(())
        );
        let refused: [(&[&str], &Named<'_>, &str); 5] = [
            (&["City"], &[("name", &name)], "no node type has the label City"),
            (
                &["Person", "Robot"],
                &[("name", &name)],
                "no node type has the labels Person and Robot",
            ),
            (&["Person"], &[], "the property name is missing"),
            (
                &["Person"],
                &[("name", &name), ("age", &name)],
                "its type has no property age",
            ),
            (
                &["Person"],
                &[("name", &name), ("scores", &wrong)],
                "the property scores is LIST<FLOAT>, not LIST",
            ),
        ];
        for (labels, properties, why) in refused {
            assert_eq!(people.admit_node(labels, properties), Err(why.to_owned()));
        }
        let person: &[&str] = &["Person"];
        assert_eq!(
            people.admit_edge("KNOWS", (person, person), &[("since", &Value::Int(1))]),
            Ok(())
        );
        assert!(people.admit_edge("KNOWS", (person, &[]), &[]).is_err());
        assert!(people.admit_edge("LIKES", (person, person), &[]).is_err());
        assert!(
            people
                .admit_edge("KNOWS", (person, person), &[("since", &name)])
                .is_err()
        );
    }

    #[test]
    fn a_type_is_read_as_it_was_written() {
        let mut bytes = Vec::new();
        people().encode(&mut bytes);
        let mut input = bytes.as_slice();
        assert_eq!(GraphType::take(&mut input), Ok(people()));
        assert!(input.is_empty());
        for end in 0..bytes.len() {
            assert!(GraphType::take(&mut &bytes[..end]).is_err(), "{end}");
        }
    }
}
