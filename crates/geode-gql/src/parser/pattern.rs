//! What path patterns consist of: nodes, edges, label expressions, quantifiers.

use super::{Expected, Parsed, Parser};
use crate::ast::{Direction, EdgePattern, Expr, ExprKind, LabelExpr, Name, NodePattern, Quantifier};
use crate::token::{Sym, TokenKind};
use crate::{Span, literal};
use geode_types::QueryError;

/// What stands between the brackets of an edge.
#[derive(Default)]
struct Filler {
    variable: Option<Name>,
    labels: Option<LabelExpr>,
    properties: Option<Expr>,
    condition: Option<Expr>,
    quantifier: Option<Quantifier>,
}

impl Parser<'_> {
    pub(super) fn node_pattern(&mut self) -> Parsed<NodePattern> {
        let start = self.advance().span;
        let filler = self.filler(false)?;
        self.expect_symbol(Sym::RParen)?;
        let Filler {
            variable,
            labels,
            properties,
            condition,
            ..
        } = filler;
        Ok(NodePattern {
            variable,
            labels,
            properties,
            condition,
            span: self.since(start),
        })
    }

    fn filler(&mut self, edge: bool) -> Parsed<Filler> {
        let mut filler = Filler::default();
        if self.at_variable() {
            filler.variable = Some(self.variable_name("a variable")?);
        }
        if self.at_symbol(Sym::Colon) || self.at_keyword("IS") {
            filler.labels = Some(self.label_part()?);
        } else {
            self.expect_note(Expected::Symbol(":"));
        }
        if edge && self.at_symbol(Sym::Star) {
            filler.quantifier = Some(self.star_quantifier()?);
        }
        if self.at_symbol(Sym::LBrace) || self.token().kind == TokenKind::Param {
            filler.properties = Some(self.property_filter()?);
        } else {
            self.expect_note(Expected::Symbol("{"));
        }
        if self.eat_keyword("WHERE") {
            filler.condition = Some(self.expression()?);
        }
        Ok(filler)
    }

    fn property_filter(&mut self) -> Parsed<Expr> {
        let token = self.token();
        if token.kind == TokenKind::Param {
            self.advance();
            return Ok(Expr {
                kind: ExprKind::Parameter(self.parameter_name(token.span)?),
                span: token.span,
            });
        }
        self.map_literal()
    }

    /// Whether an edge begins here: `-`, `<-`, `~`, `<~`.
    pub(super) fn at_edge(&mut self) -> bool {
        let left =
            self.at_symbol(Sym::Less) && (self.symbol_at(1, Sym::Minus) || self.symbol_at(1, Sym::Tilde));
        let found = left || self.at_symbol(Sym::Minus) || self.at_symbol(Sym::Tilde);
        if !found {
            self.expect_note(Expected::Symbol("-"));
            self.expect_note(Expected::Symbol("<-"));
        }
        found
    }

    pub(super) fn edge_pattern(&mut self) -> Parsed<EdgePattern> {
        let start = self.span();
        let left = self.eat_symbol(Sym::Less);
        let mut undirected = self.at_symbol(Sym::Tilde);
        self.advance();
        let mut filler = Filler::default();
        if self.eat_symbol(Sym::LBracket) {
            filler = self.filler(true)?;
            self.expect_symbol(Sym::RBracket)
                .map_err(|error| relationship_detail(error, filler.labels.is_some()))?;
            undirected |= self.at_symbol(Sym::Tilde);
            if !self.eat_symbol(Sym::Tilde) {
                self.expect_symbol(Sym::Minus)?;
            }
        } else if self.at_symbol(Sym::Minus) || self.at_symbol(Sym::Tilde) {
            // The abbreviated GQL forms `-`, `->`, `<-` have no second dash.
            self.extension(start, "an edge of two dashes", "-, ->, <-");
            self.advance();
        }
        let right = self.eat_symbol(Sym::Greater);
        let direction = match (undirected, left, right) {
            (true, ..) => Direction::Undirected,
            (false, true, true) => Direction::LeftOrRight,
            (false, true, false) => Direction::Left,
            (false, false, true) => Direction::Right,
            (false, false, false) => Direction::Any,
        };
        let quantifier = self.postfix_quantifier()?.or(filler.quantifier);
        let Filler {
            variable,
            labels,
            properties,
            condition,
            ..
        } = filler;
        Ok(EdgePattern {
            group: None,
            variable,
            direction,
            labels,
            properties,
            condition,
            quantifier,
            span: self.since(start),
        })
    }

    /// `:A|B&!C`, `:A:B`, `IS A`.
    pub(super) fn label_part(&mut self) -> Parsed<LabelExpr> {
        self.advance();
        let first = self.label_alternatives()?;
        let mut parts = vec![first];
        while self.at_symbol(Sym::Colon) {
            self.extension(self.span(), "labels with colons between them", ":A&B");
            self.advance();
            parts.push(self.label_alternatives()?);
        }
        Ok(one_or(parts, LabelExpr::And))
    }

    fn label_alternatives(&mut self) -> Parsed<LabelExpr> {
        let mut parts = vec![self.label_conjunction()?];
        while self.at_symbol(Sym::Bar) {
            self.advance();
            // Cypher's older form `:A|:B`.
            if self.at_symbol(Sym::Colon) {
                self.extension(self.span(), "a colon behind a bar", ":A|B");
                self.advance();
            }
            parts.push(self.label_conjunction()?);
        }
        Ok(one_or(parts, LabelExpr::Or))
    }

    fn label_conjunction(&mut self) -> Parsed<LabelExpr> {
        let mut parts = vec![self.label_factor()?];
        while self.at_symbol(Sym::Ampersand) {
            self.advance();
            parts.push(self.label_factor()?);
        }
        Ok(one_or(parts, LabelExpr::And))
    }

    fn label_factor(&mut self) -> Parsed<LabelExpr> {
        let span = self.span();
        match self.token().kind {
            TokenKind::Sym(Sym::Bang) => {
                self.advance();
                Ok(LabelExpr::Not(Box::new(self.nested(Self::label_factor)?)))
            }
            TokenKind::Sym(Sym::Percent) => {
                self.advance();
                Ok(LabelExpr::Wildcard(span))
            }
            TokenKind::Sym(Sym::LParen) => {
                self.advance();
                let inner = self.nested(Self::label_alternatives)?;
                self.expect_symbol(Sym::RParen)?;
                Ok(inner)
            }
            _ => Ok(LabelExpr::Name(self.any_name("a label")?)),
        }
    }

    /// `*`, `*2`, `*1..3`, `*..3`, `*1..` within the brackets.
    fn star_quantifier(&mut self) -> Parsed<Quantifier> {
        let start = self.advance().span;
        self.extension(
            start,
            "a quantifier within brackets",
            "behind the edge: -[:T]->{1,3}",
        );
        let min = self.bound()?;
        if !self.eat_symbol(Sym::DotDot) {
            return Ok(Quantifier {
                min: min.unwrap_or(1),
                max: min,
                question: false,
                span: self.since(start),
            });
        }
        let max = self.bound()?;
        Ok(Quantifier {
            min: min.unwrap_or(1),
            max,
            question: false,
            span: self.since(start),
        })
    }

    /// `{2}`, `{1,3}`, `*`, `+`, `?` after the edge.
    pub(super) fn postfix_quantifier(&mut self) -> Parsed<Option<Quantifier>> {
        let start = self.span();
        let (min, max) = match self.token().kind {
            TokenKind::Sym(Sym::Star) => (0, None),
            TokenKind::Sym(Sym::Plus) => (1, None),
            TokenKind::Sym(Sym::Question) => (0, Some(1)),
            TokenKind::Sym(Sym::LBrace) => {
                self.advance();
                let min = self.bound()?;
                let max = if self.eat_symbol(Sym::Comma) {
                    self.bound()?
                } else {
                    min
                };
                if !self.at_symbol(Sym::RBrace) {
                    self.expect_symbol(Sym::RBrace)?;
                }
                (min.unwrap_or(0), max)
            }
            _ => return Ok(None),
        };
        let question = self.at_symbol(Sym::Question);
        self.advance();
        Ok(Some(Quantifier {
            min,
            max,
            question,
            span: self.since(start),
        }))
    }

    pub(super) fn bound(&mut self) -> Parsed<Option<u64>> {
        let span = self.span();
        if self.token().kind != TokenKind::Int {
            return Ok(None);
        }
        self.advance();
        let bound = literal::integer(self.source.slice(span));
        bound
            .map(Some)
            .ok_or_else(|| self.error(span, "IntegerOverflow", "this bound does not fit 64 bits"))
    }

    pub(super) fn parameter_name(&self, span: Span) -> Parsed<String> {
        let quoted = Span {
            start: span.start + 1,
            end: span.end,
        };
        if self.source.slice(quoted).starts_with('`') {
            return literal::text(self.source, quoted);
        }
        Ok(self.source.slice(quoted).to_owned())
    }
}

fn one_or(mut parts: Vec<LabelExpr>, join: impl FnOnce(Vec<LabelExpr>) -> LabelExpr) -> LabelExpr {
    match parts.pop() {
        Some(only) if parts.is_empty() => only,
        Some(last) => {
            parts.push(last);
            join(parts)
        }
        None => join(parts),
    }
}

/// A malformed range such as `[:LIKES..]` has its own name among the details.
fn relationship_detail(mut error: QueryError, typed: bool) -> QueryError {
    if typed {
        "InvalidRelationshipPattern".clone_into(&mut error.detail);
    }
    error
}
