//! Path patterns: nodes, edges, label expressions, quantifiers.

use super::{Expected, Parsed, Parser};
use crate::ast::{
    Direction, EdgePattern, Expr, ExprKind, LabelExpr, Name, NodePattern, PathMode, PathPattern, PathSearch,
    Quantifier,
};
use crate::token::{Sym, TokenKind};
use crate::{Span, literal};

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
    pub(super) fn path_pattern(&mut self) -> Parsed<PathPattern> {
        let start = self.span();
        let mut variable = None;
        if self.at_variable() && self.symbol_at(1, Sym::Equal) {
            variable = Some(self.variable_name("a path's name")?);
            self.advance();
        }
        let mut pattern = match self.shortest_path_function() {
            Some(search) => self.shortest_path(search)?,
            None => {
                let (search, mode) = self.path_prefix()?;
                self.refuse_parentheses()?;
                PathPattern {
                    search,
                    mode,
                    ..self.path_elements()?
                }
            }
        };
        pattern.variable = variable;
        pattern.span = self.since(start);
        Ok(pattern)
    }

    /// Nodes and the edges between them.
    pub(super) fn path_elements(&mut self) -> Parsed<PathPattern> {
        let start = self.span();
        let first = self.node_pattern()?;
        let mut steps = Vec::new();
        while self.at_edge() {
            let edge = self.edge_pattern()?;
            steps.push((edge, self.node_pattern()?));
        }
        Ok(PathPattern {
            variable: None,
            search: PathSearch::Every,
            mode: None,
            start: first,
            steps,
            span: self.since(start),
        })
    }

    /// `shortestPath(` and `allShortestPaths(`.
    pub(super) fn shortest_path_function(&self) -> Option<PathSearch> {
        let word = self.word_at(0).filter(|_| self.symbol_at(1, Sym::LParen))?;
        if word.eq_ignore_ascii_case("shortestPath") {
            Some(PathSearch::Shortest(1))
        } else if word.eq_ignore_ascii_case("allShortestPaths") {
            Some(PathSearch::ShortestGroups(1))
        } else {
            None
        }
    }

    pub(super) fn shortest_path(&mut self, search: PathSearch) -> Parsed<PathPattern> {
        self.advance();
        self.advance();
        let elements = self.path_elements()?;
        self.expect_symbol(Sym::RParen)?;
        Ok(PathPattern { search, ..elements })
    }

    /// `ALL`, `ANY`, `ANY 3`, `ANY SHORTEST`, `ALL SHORTEST`, `SHORTEST 2`, `SHORTEST 2 GROUPS`, each with a mode and `PATH` or `PATHS`
    /// behind it, or a mode alone (ISO/IEC 39075, 16.6).
    fn path_prefix(&mut self) -> Parsed<(PathSearch, Option<PathMode>)> {
        if self.symbol_at(1, Sym::Equal) || self.at_symbol(Sym::LParen) {
            return Ok((PathSearch::Every, None));
        }
        if self.eat_keyword("SHORTEST") {
            let count = self.bound()?.unwrap_or(1);
            let mode = self.path_mode();
            let groups = self.eat_keyword("GROUPS") || self.eat_keyword("GROUP");
            let search = if groups {
                PathSearch::ShortestGroups(count)
            } else {
                PathSearch::Shortest(count)
            };
            return Ok((search, mode));
        }
        let search = if self.eat_keyword("ALL") {
            if self.eat_keyword("SHORTEST") {
                PathSearch::ShortestGroups(1)
            } else {
                PathSearch::Every
            }
        } else if self.eat_keyword("ANY") {
            let shortest = self.eat_keyword("SHORTEST");
            let count = if shortest { None } else { self.bound()? };
            PathSearch::Shortest(count.unwrap_or(1))
        } else {
            PathSearch::Every
        };
        Ok((search, self.path_mode()))
    }

    /// `TRAIL PATHS` and its kin.
    fn path_mode(&mut self) -> Option<PathMode> {
        const MODES: [(&str, PathMode); 4] = [
            ("WALK", PathMode::Walk),
            ("TRAIL", PathMode::Trail),
            ("SIMPLE", PathMode::Simple),
            ("ACYCLIC", PathMode::Acyclic),
        ];
        let found = MODES.iter().find(|(word, _)| self.eat_keyword(word));
        if !self.eat_keyword("PATHS") {
            self.eat_keyword("PATH");
        }
        found.map(|(_, mode)| *mode)
    }

    fn refuse_parentheses(&mut self) -> Parsed<()> {
        if self.at_symbol(Sym::LParen) && self.symbol_at(1, Sym::LParen) {
            let instead = "write the pattern edge by edge: (a)-[:T]->()-[:T]->(b)";
            return Err(self.not_supported(self.span(), "a parenthesised path pattern", instead));
        }
        Ok(())
    }

    /// Whether a pattern with at least one edge begins at the parenthesis that is `ahead` steps from here, and not an expression:
    /// `(a)-[`, `(a)--(`, `(a)-->`, `(a)<-[`, `(:A {x: 1})-->`.
    pub(super) fn pattern_begins_at(&self, ahead: usize) -> bool {
        if !self.symbol_at(ahead, Sym::LParen) {
            return false;
        }
        let mut at = ahead + 1;
        if matches!(self.peek(at).kind, TokenKind::Word | TokenKind::QuotedName) {
            at += 1;
        }
        let filled = matches!(
            self.peek(at).kind,
            TokenKind::Sym(Sym::RParen | Sym::Colon | Sym::LBrace) | TokenKind::Param
        ) || ["IS", "WHERE"].iter().any(|word| self.keyword_at(at, word));
        let Some(close) = filled.then(|| self.closing_parenthesis(at)).flatten() else {
            return false;
        };
        let symbol = |offset: usize, symbol| self.symbol_at(close + offset, symbol);
        match self.peek(close + 1).kind {
            TokenKind::Sym(Sym::Minus) => {
                let dashes = symbol(2, Sym::Minus) && (symbol(3, Sym::LParen) || symbol(3, Sym::Greater));
                symbol(2, Sym::LBracket) || dashes || (symbol(2, Sym::Greater) && symbol(3, Sym::LParen))
            }
            TokenKind::Sym(Sym::Less) if symbol(2, Sym::Minus) => {
                symbol(3, Sym::LBracket) || symbol(3, Sym::Minus)
            }
            TokenKind::Sym(Sym::Tilde) => symbol(2, Sym::LBracket),
            _ => false,
        }
    }

    /// How far ahead the parenthesis is closed that is open at `from` steps ahead.
    fn closing_parenthesis(&self, from: usize) -> Option<usize> {
        let mut depth = 0usize;
        for at in from.. {
            match self.peek(at).kind {
                TokenKind::Sym(Sym::LParen | Sym::LBracket | Sym::LBrace) => depth += 1,
                TokenKind::Sym(Sym::RParen) if depth == 0 => return Some(at),
                TokenKind::Sym(Sym::RParen | Sym::RBracket | Sym::RBrace) => depth = depth.checked_sub(1)?,
                TokenKind::End => return None,
                _ => {}
            }
        }
        None
    }

    fn node_pattern(&mut self) -> Parsed<NodePattern> {
        let start = self.span();
        if !self.at_symbol(Sym::LParen) {
            self.expect_note(Expected::Thing("a node pattern such as (n)"));
            return Err(self.unexpected());
        }
        self.advance();
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
    fn at_edge(&mut self) -> bool {
        let left =
            self.at_symbol(Sym::Less) && (self.symbol_at(1, Sym::Minus) || self.symbol_at(1, Sym::Tilde));
        let found = left || self.at_symbol(Sym::Minus) || self.at_symbol(Sym::Tilde);
        if !found {
            self.expect_note(Expected::Symbol("-"));
            self.expect_note(Expected::Symbol("<-"));
        }
        found
    }

    fn edge_pattern(&mut self) -> Parsed<EdgePattern> {
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
            // `--`, `~~` is not GQL; the abbreviated GQL forms `-`, `->`, `<-` have no second dash.
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
    fn postfix_quantifier(&mut self) -> Parsed<Option<Quantifier>> {
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

    fn bound(&mut self) -> Parsed<Option<u64>> {
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
fn relationship_detail(mut error: geode_types::QueryError, typed: bool) -> geode_types::QueryError {
    if typed {
        "InvalidRelationshipPattern".clone_into(&mut error.detail);
    }
    error
}
