//! Patterns and queries within expressions.

use super::{Parsed, Parser};
use crate::Span;
use crate::ast::{
    AccessStep, Clause, Expr, ExprKind, LinearQuery, Literal, Name, PathSearch, PatternComprehension, Query,
    SubqueryKind,
};
use crate::token::Sym;

const SUBQUERIES: &[SubqueryKind] = &[
    SubqueryKind::Exists,
    SubqueryKind::Count,
    SubqueryKind::Collect,
    SubqueryKind::Value,
];

impl Parser<'_> {
    pub(super) fn pattern_expression(&mut self) -> Parsed<Expr> {
        self.extension(self.span(), "a pattern as a condition", "EXISTS {(a)-[:T]->(b)}");
        let pattern = self.in_subquery(Self::path_elements)?;
        Ok(Expr {
            span: pattern.span,
            kind: ExprKind::Pattern(Box::new(pattern)),
        })
    }

    /// `[p = (a)-->(b) WHERE … | …]` behind its bracket.
    pub(super) fn pattern_comprehension(&mut self, start: Span) -> Parsed<Expr> {
        self.extension(
            start,
            "a pattern comprehension",
            "VALUE {MATCH … RETURN collect_list(…)}",
        );
        let pattern = self.path_pattern()?;
        let condition = if self.eat_keyword("WHERE") {
            Some(self.expression()?)
        } else {
            None
        };
        self.expect_symbol(Sym::Bar)?;
        let result = self.expression()?;
        self.expect_symbol(Sym::RBracket)?;
        Ok(Expr {
            kind: ExprKind::PatternComprehension(Box::new(PatternComprehension {
                pattern,
                condition,
                result,
            })),
            span: self.since(start),
        })
    }

    /// `shortestPath((a)-[*]-(b))` as a value: the path or null; `allShortestPaths(…)`: the list of them. What the comprehension of the
    /// same pattern gives.
    pub(super) fn shortest_path_expression(&mut self, search: PathSearch) -> Parsed<Expr> {
        // No name that can be written has a parenthesis in it.
        const PATH: &str = "shortestPath()";
        let start = self.span();
        let mut pattern = self.shortest_path(search)?;
        let span = self.since(start);
        let (text, kind) = (PATH.to_owned(), ExprKind::Variable(PATH.to_owned()));
        pattern.variable = Some(Name { text, span });
        let comprehension = PatternComprehension {
            pattern,
            condition: None,
            result: Expr { kind, span },
        };
        let kind = ExprKind::PatternComprehension(Box::new(comprehension));
        let paths = Expr { kind, span };
        if search != PathSearch::Shortest(1) {
            return Ok(paths);
        }
        let first = Expr {
            kind: ExprKind::Literal(Literal::Int(0)),
            span,
        };
        Ok(Expr {
            kind: ExprKind::Access(Box::new(paths), vec![AccessStep::Index(first)]),
            span,
        })
    }

    /// `EXISTS { … }` and its kin: a query, or as an abbreviation the patterns of one MATCH.
    pub(super) fn subquery(&mut self, kind: SubqueryKind) -> Parsed<Expr> {
        let start = self.advance().span;
        if matches!(kind, SubqueryKind::Count | SubqueryKind::Collect) {
            self.extension(
                start,
                format!("{} {{ … }}", kind.text()),
                "VALUE {MATCH … RETURN count(*)}",
            );
        }
        let close = if self.eat_symbol(Sym::LParen) {
            Sym::RParen
        } else {
            self.expect_symbol(Sym::LBrace)?;
            Sym::RBrace
        };
        let query = self.in_subquery(|parser| {
            if parser.at_graph_pattern() {
                parser.only_match()
            } else {
                parser.query()
            }
        })?;
        self.expect_symbol(close)?;
        Ok(Expr {
            kind: ExprKind::Subquery(kind, Box::new(query)),
            span: self.since(start),
        })
    }

    /// Whether a graph pattern begins here and not a clause (ISO/IEC 39075, 19.4): with a node, with the variable of a path, or with a word
    /// that says which paths or matches are meant, none of which begins a clause.
    fn at_graph_pattern(&mut self) -> bool {
        const WORDS: [&str; 9] = [
            "WALK",
            "TRAIL",
            "SIMPLE",
            "ACYCLIC",
            "ANY",
            "ALL",
            "SHORTEST",
            "REPEATABLE",
            "DIFFERENT",
        ];
        self.at_symbol(Sym::LParen)
            || (self.at_variable() && self.symbol_at(1, Sym::Equal))
            || WORDS.iter().any(|word| self.at_keyword(word))
    }

    /// The patterns and the condition of a MATCH whose keyword is left away.
    fn only_match(&mut self) -> Parsed<Query> {
        let start = self.span();
        let kind = self.match_clause(false)?;
        let span = self.since(start);
        Ok(Query {
            first: LinearQuery {
                clauses: vec![Clause { kind, span }],
                span,
            },
            rest: Vec::new(),
        })
    }

    /// Which subquery begins here: a keyword and a brace, or `EXISTS (MATCH`.
    pub(super) fn at_subquery(&self) -> Option<SubqueryKind> {
        let kind = SUBQUERIES.iter().find(|kind| self.at_keyword(kind.text()))?;
        let braced = self.symbol_at(1, Sym::LBrace);
        let exists = *kind == SubqueryKind::Exists && self.symbol_at(1, Sym::LParen);
        let queried = ["MATCH", "OPTIONAL", "FOR", "CALL", "LET"]
            .iter()
            .any(|word| self.keyword_at(2, word));
        (braced || (exists && queried && !self.symbol_at(3, Sym::RParen))).then_some(*kind)
    }
}
