//! Path patterns: which paths are searched for, and nodes and edges in a row.

use super::{Expected, Parsed, Parser};
use crate::ast::{
    Direction, EdgePattern, Expr, ExprKind, LogicalOp, NodePattern, PathGroup, PathMode, PathPattern,
    PathSearch,
};
use crate::token::{Sym, TokenKind};
use geode_types::QueryError;

/// What follows the first node of a path.
type Steps = Vec<(EdgePattern, NodePattern)>;

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

    /// Nodes and the edges between them, or in their place paths in parentheses.
    pub(super) fn path_elements(&mut self) -> Parsed<PathPattern> {
        let start = self.span();
        let mut steps = Steps::new();
        let mut first = self.optional_node()?;
        loop {
            let edge = if self.at_group() {
                self.group()?
            } else if first.is_none() && steps.is_empty() {
                return Err(self.no_node());
            } else if self.at_edge() {
                self.edge_pattern()?
            } else {
                break;
            };
            let group = edge.group.is_some();
            let node = self.optional_node()?;
            if !group && node.is_none() && !self.at_group() {
                return Err(self.no_node());
            }
            match edge {
                EdgePattern {
                    group: Some(group),
                    quantifier: None,
                    ..
                } => self.splice(*group, &mut first, node, &mut steps)?,
                edge => steps.push((edge, node.unwrap_or_else(|| self.any_node()))),
            }
            first.get_or_insert_with(|| self.any_node());
        }
        Ok(PathPattern {
            variable: None,
            search: PathSearch::Every,
            mode: None,
            start: first.unwrap_or_else(|| self.any_node()),
            steps,
            span: self.since(start),
        })
    }

    /// A node, unless something else comes.
    fn optional_node(&mut self) -> Parsed<Option<NodePattern>> {
        if !self.at_symbol(Sym::LParen) || self.at_group() {
            return Ok(None);
        }
        self.node_pattern().map(Some)
    }

    /// The node that is meant where none is written, beside a path in parentheses.
    fn any_node(&self) -> NodePattern {
        NodePattern {
            variable: None,
            labels: None,
            properties: None,
            condition: None,
            span: self.previous_span(),
        }
    }

    fn no_node(&mut self) -> QueryError {
        self.expect_note(Expected::Thing("a node pattern such as (n)"));
        self.unexpected()
    }

    /// Whether a path in parentheses comes.
    fn at_group(&self) -> bool {
        self.at_symbol(Sym::LParen) && self.symbol_at(1, Sym::LParen)
    }

    /// `((a)-[e]->(b) WHERE condition)` and its quantifier.
    fn group(&mut self) -> Parsed<EdgePattern> {
        let start = self.advance().span;
        let pattern = self.in_subquery(Self::path_elements)?;
        let condition = if self.eat_keyword("WHERE") {
            Some(self.expression()?)
        } else {
            None
        };
        self.expect_symbol(Sym::RParen)?;
        Ok(EdgePattern {
            group: Some(Box::new(PathGroup { pattern, condition })),
            variable: None,
            direction: Direction::Right,
            labels: None,
            properties: None,
            condition: None,
            quantifier: self.postfix_quantifier()?,
            span: self.since(start),
        })
    }

    /// Parentheses without a quantifier only group: the path becomes part of the one around it.
    fn splice(
        &mut self,
        group: PathGroup,
        first: &mut Option<NodePattern>,
        next: Option<NodePattern>,
        steps: &mut Steps,
    ) -> Parsed<()> {
        let PathGroup { pattern, condition } = group;
        if first.is_some() || next.is_some() {
            let instead = "leave the node beside the parentheses away, or the parentheses";
            return Err(self.not_supported(pattern.span, "a node beside a path in parentheses", instead));
        }
        let mut start = pattern.start;
        start.condition = match (start.condition.take(), condition) {
            (Some(left), Some(right)) => Some(Expr {
                span: left.span.to(right.span),
                kind: ExprKind::Logical(LogicalOp::And, vec![left, right]),
            }),
            (left, right) => left.or(right),
        };
        *first = Some(start);
        steps.extend(pattern.steps);
        Ok(())
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
        let (function, instead) = match search {
            PathSearch::Shortest(_) => ("the function shortestPath()", "ANY SHORTEST (a)-[…]->*(b)"),
            _ => ("the function allShortestPaths()", "ALL SHORTEST (a)-[…]->*(b)"),
        };
        self.extension(self.span(), function, instead);
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
}
