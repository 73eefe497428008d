//! The element types of a closed graph type (ISO/IEC 39075 clauses 18.1 to 18.9).

use super::{Parsed, Parser};
use crate::Span;
use crate::ast::{EdgeType, EndpointType, GraphTypeBody, Name, NodeType, PropertyDefinition};
use crate::token::{Sym, TokenKind};

/// What stands between the brackets of an element type.
#[derive(Default)]
struct Filler {
    name: Option<Name>,
    labels: Vec<Name>,
    properties: Vec<PropertyDefinition>,
}

impl Parser<'_> {
    /// `{ element type, … }`.
    pub(super) fn graph_type_body(&mut self) -> Parsed<GraphTypeBody> {
        self.expect_symbol(Sym::LBrace)?;
        let mut body = GraphTypeBody::default();
        if self.eat_symbol(Sym::RBrace) {
            return Ok(body);
        }
        loop {
            self.element_type(&mut body)?;
            if !self.eat_symbol(Sym::Comma) {
                break;
            }
        }
        self.expect_symbol(Sym::RBrace)?;
        Ok(body)
    }

    /// `(User LABEL (id STRING), …)`: node types as the guides write them, each with the label that it is called.
    pub(super) fn node_types_in_parentheses(&mut self) -> Parsed<GraphTypeBody> {
        let start = self.expect_symbol(Sym::LParen)?;
        self.extension(
            start,
            "a graph type in parentheses",
            "CREATE GRAPH TYPE t {(:User {id STRING})}",
        );
        let nodes = self.comma_list(|parser| {
            let start = parser.span();
            let label = parser.any_name("a label")?;
            parser.expect_keyword("LABEL")?;
            Ok(NodeType {
                name: None,
                alias: None,
                labels: vec![label],
                properties: parser.property_list(Sym::LParen, Sym::RParen)?,
                span: parser.since(start),
            })
        })?;
        self.expect_symbol(Sym::RParen)?;
        Ok(GraphTypeBody {
            nodes,
            edges: Vec::new(),
        })
    }

    fn element_type(&mut self, body: &mut GraphTypeBody) -> Parsed<()> {
        let start = self.span();
        if self.at_keyword("UNDIRECTED") {
            let instead = "edges are directed: DIRECTED EDGE, or (a)-[:T]->(b)";
            return Err(self.not_supported(start, "an undirected edge type", instead));
        }
        if self.eat_keyword("DIRECTED") {
            if !self.eat_keyword("EDGE") {
                self.expect_keyword("RELATIONSHIP")?;
            }
            return self.edge_phrase(start, body);
        }
        if self.eat_keyword("EDGE") || self.eat_keyword("RELATIONSHIP") {
            return self.edge_phrase(start, body);
        }
        if self.eat_keyword("NODE") || self.eat_keyword("VERTEX") {
            return self.node_phrase(start, body);
        }
        let first = self.element_pattern()?;
        if self.at_symbol(Sym::Minus) || self.at_symbol(Sym::Less) {
            return self.edge_type_pattern(None, first, start, body);
        }
        if self.at_symbol(Sym::Tilde) {
            let instead = "edges are directed: (a)-[:T]->(b)";
            return Err(self.not_supported(self.span(), "an undirected edge type", instead));
        }
        body.nodes.push(NodeType {
            name: None,
            alias: first.name,
            labels: first.labels,
            properties: first.properties,
            span: self.since(start),
        });
        Ok(())
    }

    /// Behind `NODE`: `[TYPE] [name] (…)` or `[TYPE] name :A&B {…} [AS alias]`.
    fn node_phrase(&mut self, start: Span, body: &mut GraphTypeBody) -> Parsed<()> {
        self.type_word();
        let name = self.element_name()?;
        let mut node = if self.at_symbol(Sym::LParen) {
            let filler = self.element_pattern()?;
            NodeType {
                name,
                alias: filler.name,
                labels: filler.labels,
                properties: filler.properties,
                span: start,
            }
        } else {
            let labels = self.label_set()?;
            let properties = self.property_definitions()?;
            let alias = if self.eat_keyword("AS") {
                Some(self.any_name("a name")?)
            } else {
                None
            };
            NodeType {
                name,
                alias,
                labels,
                properties,
                span: start,
            }
        };
        // Feature GG22: a type without labels has the label that it is called.
        if node.labels.is_empty() {
            node.labels.extend(node.name.clone());
        }
        node.span = self.since(start);
        body.nodes.push(node);
        Ok(())
    }

    /// Behind `EDGE`: `[TYPE] [name] (a)-[…]->(b)` or `[TYPE] name :T {…} CONNECTING (a TO b)`.
    fn edge_phrase(&mut self, start: Span, body: &mut GraphTypeBody) -> Parsed<()> {
        self.type_word();
        let name = self.element_name()?;
        if self.at_symbol(Sym::LParen) {
            let first = self.element_pattern()?;
            return self.edge_type_pattern(name, first, start, body);
        }
        let filler = Filler {
            name: None,
            labels: self.label_set()?,
            properties: self.property_definitions()?,
        };
        self.expect_keyword("CONNECTING")?;
        self.expect_symbol(Sym::LParen)?;
        let first = EndpointType::Named(self.any_name("a node type")?);
        let backwards = self.at_symbol(Sym::Less);
        if backwards {
            self.advance();
            self.expect_symbol(Sym::Minus)?;
        } else if self.eat_symbol(Sym::Minus) {
            self.expect_symbol(Sym::Greater)?;
        } else {
            self.expect_keyword("TO")?;
        }
        let second = EndpointType::Named(self.any_name("a node type")?);
        self.expect_symbol(Sym::RParen)?;
        let ends = if backwards {
            (second, first)
        } else {
            (first, second)
        };
        self.push_edge(name, filler, ends, start, body)
    }

    fn edge_type_pattern(
        &mut self,
        name: Option<Name>,
        first: Filler,
        start: Span,
        body: &mut GraphTypeBody,
    ) -> Parsed<()> {
        let backwards = self.eat_symbol(Sym::Less);
        self.expect_symbol(Sym::Minus)?;
        self.expect_symbol(Sym::LBracket)?;
        let filler = self.type_filler(Sym::RBracket)?;
        self.expect_symbol(Sym::Minus)?;
        if !backwards {
            self.expect_symbol(Sym::Greater)?;
        }
        let first = self.endpoint_type(first, start)?;
        let place = self.span();
        let second = self.element_pattern()?;
        let second = self.endpoint_type(second, place)?;
        let ends = if backwards {
            (second, first)
        } else {
            (first, second)
        };
        self.push_edge(name, filler, ends, start, body)
    }

    fn push_edge(
        &mut self,
        name: Option<Name>,
        filler: Filler,
        (source, target): (EndpointType, EndpointType),
        start: Span,
        body: &mut GraphTypeBody,
    ) -> Parsed<()> {
        let span = self.since(start);
        let name = name.or(filler.name);
        let mut labels = filler.labels;
        if labels.is_empty() {
            labels.extend(name.clone());
        }
        match (labels.pop(), labels.is_empty()) {
            (Some(label), true) => {
                body.edges.push(EdgeType {
                    name,
                    label,
                    properties: filler.properties,
                    source,
                    target,
                    span,
                });
                Ok(())
            }
            _ => Err(self.error(span, "UnexpectedSyntax", "an edge type has exactly one label")),
        }
    }

    fn endpoint_type(&mut self, filler: Filler, start: Span) -> Parsed<EndpointType> {
        let span = self.since(start);
        if !filler.properties.is_empty() {
            let message = "an end of an edge type names a node type, without properties";
            return Err(self
                .error(span, "UnexpectedSyntax", message)
                .hint("define the node type on its own: (p:Person {…}), (p)-[:KNOWS]->(p)"));
        }
        match filler.name {
            Some(name) if filler.labels.is_empty() => Ok(EndpointType::Named(name)),
            _ => Ok(EndpointType::Labels(filler.labels, span)),
        }
    }

    fn type_word(&mut self) {
        // A type may be called `type`.
        if self.at_keyword("TYPE") && !self.symbol_at(1, Sym::LBrace) && !self.symbol_at(1, Sym::Colon) {
            self.advance();
        }
    }

    fn element_name(&mut self) -> Parsed<Option<Name>> {
        match self.token().kind {
            TokenKind::QuotedName => self.any_name("a name").map(Some),
            TokenKind::Word if !["LABEL", "LABELS", "IS"].iter().any(|word| self.at_keyword(word)) => {
                self.any_name("a name").map(Some)
            }
            _ => Ok(None),
        }
    }

    fn element_pattern(&mut self) -> Parsed<Filler> {
        self.expect_symbol(Sym::LParen)?;
        self.type_filler(Sym::RParen)
    }

    fn type_filler(&mut self, close: Sym) -> Parsed<Filler> {
        let filler = Filler {
            name: self.element_name()?,
            labels: self.label_set()?,
            properties: self.property_definitions()?,
        };
        if self.at_symbol(Sym::FatArrow) {
            let instead = "name all labels at once: (:A&B {…})";
            return Err(self.not_supported(self.span(), "a key label set", instead));
        }
        self.expect_symbol(close)?;
        Ok(filler)
    }

    /// `:A&B`, `IS A&B`, `LABEL A`, `LABELS A & B`; none when there are none.
    fn label_set(&mut self) -> Parsed<Vec<Name>> {
        if self.eat_keyword("LABEL") {
            return Ok(vec![self.any_name("a label")?]);
        }
        if !self.eat_symbol(Sym::Colon) && !self.eat_keyword("IS") && !self.eat_keyword("LABELS") {
            return Ok(Vec::new());
        }
        let mut labels = vec![self.any_name("a label")?];
        while self.eat_symbol(Sym::Ampersand) {
            labels.push(self.any_name("a label")?);
        }
        Ok(labels)
    }

    /// `{name [::] type [NOT NULL], …}`; none when there is no brace.
    fn property_definitions(&mut self) -> Parsed<Vec<PropertyDefinition>> {
        self.property_list(Sym::LBrace, Sym::RBrace)
    }

    /// The same between other signs.
    fn property_list(&mut self, open: Sym, close: Sym) -> Parsed<Vec<PropertyDefinition>> {
        let mut properties: Vec<PropertyDefinition> = Vec::new();
        if !self.eat_symbol(open) || self.eat_symbol(close) {
            return Ok(properties);
        }
        loop {
            let name = self.any_name("the name of a property")?;
            if properties.iter().any(|known| known.name.text == name.text) {
                let message = format!("the property {} is defined twice", name.text);
                return Err(self.error(name.span, "DuplicateProperty", message));
            }
            self.typed();
            let start = self.span();
            let value_type = self.value_type()?;
            properties.push(PropertyDefinition {
                name,
                value_type,
                span: self.since(start),
            });
            if !self.eat_symbol(Sym::Comma) {
                break;
            }
        }
        self.expect_symbol(close)?;
        Ok(properties)
    }
}
