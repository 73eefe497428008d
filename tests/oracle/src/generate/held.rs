//! What the graph holds before the statements. Most patterns are written along a walk through it and most constants are taken from it, so that most
//! answers have rows. What statements change is not followed.

use super::{Generator, Kind};

/// A node or an edge.
#[derive(Clone, Debug)]
pub(super) struct Element {
    /// The labels of a node, or the type of an edge.
    labels: Vec<&'static str>,
    /// The values are as they are written.
    pub(super) properties: Vec<(&'static str, String)>,
}

impl Element {
    /// Of labels, or a type, with colons between them.
    pub(super) fn new(labels: &'static str, properties: Vec<(&'static str, String)>) -> Self {
        Self {
            labels: labels.split(':').filter(|label| !label.is_empty()).collect(),
            properties,
        }
    }

    /// `{key: value, …}`.
    pub(super) fn written(&self) -> String {
        let entries = self.properties.iter();
        let entries = entries.map(|(key, value)| format!("{key}: {value}"));
        format!("{{{}}}", entries.collect::<Vec<_>>().join(", "))
    }

    pub(super) fn value(&self, key: &str) -> Option<&str> {
        let mut properties = self.properties.iter();
        let found = properties.find(|(known, _)| *known == key);
        found.map(|(_, value)| value.as_str())
    }

    /// Whether these labels, or types, of a pattern match it.
    pub(super) fn fits(&self, labels: &str) -> bool {
        let has = |label: &'static str| self.labels.contains(&label);
        match labels {
            ":A" => has("A"),
            ":B" => has("B"),
            ":C" => has("C"),
            ":A:B" => has("A") && has("B"),
            ":A|B" => has("A") || has("B"),
            ":A&C" => has("A") && has("C"),
            ":!A" => !has("A"),
            ":%" => !self.labels.is_empty(),
            ":(A|B)&!C" => (has("A") || has("B")) && !has("C"),
            ":R" => has("R"),
            ":S" | ":!R" => has("S"),
            _ => true,
        }
    }
}

/// An edge between the nodes at these places.
#[derive(Clone, Debug)]
pub(super) struct Tie {
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) element: Element,
}

/// Where an element is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Node(usize),
    Edge(usize),
}

/// An edge on which a node is left, and where it leads.
#[derive(Clone, Copy, Debug)]
pub(super) struct Way {
    pub(super) edge: usize,
    pub(super) to: usize,
    /// In the direction of the edge.
    pub(super) forward: bool,
}

/// What the graph holds.
#[derive(Clone, Debug, Default)]
pub(super) struct Held {
    pub(super) nodes: Vec<Element>,
    pub(super) edges: Vec<Tie>,
}

impl Held {
    pub(super) fn node(&self, at: Option<usize>) -> Option<&Element> {
        self.nodes.get(at?)
    }

    /// The edge of a way.
    pub(super) fn edge(&self, way: Option<Way>) -> Option<&Element> {
        self.edges.get(way?.edge).map(|tie| &tie.element)
    }

    /// Whether an edge of a pattern, `-[:R]->` or `<--`, matches a way.
    pub(super) fn leads(&self, edge: &str, way: Way) -> bool {
        let direction = if way.forward {
            !edge.starts_with('<')
        } else {
            !edge.ends_with('>')
        };
        let of_type = |element: &Element| element.labels.iter().any(|label| edge.contains(*label));
        direction && (!edge.contains(':') || self.edge(Some(way)).is_some_and(of_type))
    }

    fn ways(&self, from: usize) -> Vec<Way> {
        let mut ways = Vec::new();
        for (edge, tie) in self.edges.iter().enumerate() {
            if tie.from == from {
                let (to, forward) = (tie.to, true);
                ways.push(Way { edge, to, forward });
            } else if tie.to == from {
                let (to, forward) = (tie.from, false);
                ways.push(Way { edge, to, forward });
            }
        }
        ways
    }
}

impl<'c> Generator<'c> {
    /// The element that a variable was written for.
    pub(super) fn held_by(&self, name: &str) -> Option<&'c Element> {
        let held = self.held;
        match *self.places.get(name)? {
            Place::Node(at) => held.nodes.get(at),
            Place::Edge(at) => held.edges.get(at).map(|tie| &tie.element),
        }
    }

    /// The place of the node that a variable was written for.
    pub(super) fn place(&self, name: &str) -> Option<usize> {
        match self.places.get(name) {
            Some(Place::Node(at)) => Some(*at),
            _ => None,
        }
    }

    /// A way from a node on, of those that the statement's pattern does not take already unless it may again.
    pub(super) fn way(&mut self, from: usize, again: bool) -> Option<Way> {
        let mut ways = self.held.ways(from);
        ways.retain(|way| again || !self.walked.contains(&way.edge));
        let at = self.below(ways.len());
        ways.get(at).copied()
    }

    /// A variable of this kind that was written for an element with this property.
    pub(super) fn variable_with(&mut self, kind: Kind, key: &str) -> Option<String> {
        self.variable_where(kind, |held| held.value(key).is_some())
    }

    fn variable_where(&mut self, kind: Kind, fits: impl Fn(&Element) -> bool) -> Option<String> {
        let known: Vec<String> = self
            .scope
            .iter()
            .filter(|(name, other)| *other == kind && self.held_by(name).is_some_and(&fits))
            .map(|(name, _)| name.clone())
            .collect();
        let at = self.below(known.len());
        known.into_iter().nth(at)
    }

    /// A variable that was written for an element, and a property of that with its value.
    pub(super) fn held_property(&mut self, kind: Kind) -> Option<(String, &'c str, &'c str)> {
        let name = self.variable_where(kind, |_| true)?;
        let element = self.held_by(&name)?;
        let at = self.below(element.properties.len());
        let (key, value) = element.properties.get(at)?;
        Some((name, *key, value.as_str()))
    }

    /// A value that this property has somewhere.
    pub(super) fn held_value(&mut self, key: &str) -> Option<&'c str> {
        let held = self.held;
        let edges = held.edges.iter().map(|tie| &tie.element);
        let elements = held.nodes.iter().chain(edges);
        let values: Vec<&'c str> = elements.filter_map(|element| element.value(key)).collect();
        let at = self.below(values.len());
        values.get(at).copied()
    }
}
