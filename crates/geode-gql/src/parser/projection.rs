//! RETURN, WITH and SELECT: items, grouping, order and page.

use super::{Parsed, Parser};
use crate::Span;
use crate::ast::{Clause, ClauseKind, Expr, Projection, ProjectionItem, SortItem};
use crate::token::Sym;

impl Parser<'_> {
    pub(super) fn return_projection(&mut self) -> Parsed<Projection> {
        let mut projection = self.items()?;
        if self.eat_keywords("GROUP", "BY") {
            projection.group_by = Some(self.grouping()?);
        }
        self.order_and_page(&mut projection)?;
        Ok(projection)
    }

    pub(super) fn with_projection(&mut self) -> Parsed<Projection> {
        let mut projection = self.return_projection()?;
        if self.eat_keyword("WHERE") {
            projection.condition = Some(self.expression()?);
        }
        Ok(projection)
    }

    /// `NEXT YIELD a, b AS c`: columns of the result before.
    pub(super) fn yield_projection(&mut self) -> Parsed<Projection> {
        self.items()
    }

    /// SELECT becomes clauses: what FROM names, FILTER, RETURN (ISO/IEC 39075, 14.12). FROM is a system table, the patterns of the graph,
    /// or a query in braces.
    pub(super) fn select(&mut self, span: Span, clauses: &mut Vec<Clause>) -> Parsed<()> {
        let mut projection = self.items()?;
        let from = self.span();
        if self.eat_keyword("FROM") {
            self.select_from(from, clauses)?;
        }
        let condition_span = self.span();
        if self.eat_keyword("WHERE") {
            let condition = self.expression()?;
            clauses.push(Clause {
                kind: ClauseKind::Filter(condition),
                span: condition_span,
            });
        }
        if self.eat_keywords("GROUP", "BY") {
            projection.group_by = Some(self.grouping()?);
        }
        if self.eat_keyword("HAVING") {
            projection.having = Some(self.expression()?);
        }
        self.order_and_page(&mut projection)?;
        clauses.push(Clause {
            kind: ClauseKind::Return(projection),
            span,
        });
        Ok(())
    }

    fn select_from(&mut self, from: Span, clauses: &mut Vec<Clause>) -> Parsed<()> {
        if self.eat_symbol(Sym::LBrace) {
            let query = self.in_subquery(Self::query)?;
            self.expect_symbol(Sym::RBrace)?;
            let kind = ClauseKind::Composite(Box::new(query));
            let span = self.since(from);
            clauses.push(Clause { kind, span });
            return Ok(());
        }
        if self.at_keyword("MATCH") || self.at_keyword("OPTIONAL") {
            return self.select_match(clauses);
        }
        let is_table = self.at_keyword("SYSTEM") && self.symbol_at(1, Sym::Dot);
        if is_table {
            self.extension(from, "SELECT … FROM a system table", "");
            let mut table = Vec::new();
            loop {
                table.push(self.any_name("the name of a table, such as system.cluster_nodes")?);
                if !self.eat_symbol(Sym::Dot) {
                    break;
                }
            }
            clauses.push(Clause {
                kind: ClauseKind::Table(table),
                span: self.since(from),
            });
            return Ok(());
        }
        loop {
            let span = self.span();
            let graph = self.graph_reference()?;
            clauses.push(Clause {
                kind: ClauseKind::Use(graph),
                span: self.since(span),
            });
            self.select_match(clauses)?;
            if !self.eat_symbol(Sym::Comma) {
                return Ok(());
            }
        }
    }

    /// The MATCH clauses behind FROM.
    fn select_match(&mut self, clauses: &mut Vec<Clause>) -> Parsed<()> {
        loop {
            let span = self.span();
            let optional = self.eat_keyword("OPTIONAL");
            self.expect_keyword("MATCH")?;
            let kind = self.match_clause(optional)?;
            clauses.push(Clause { kind, span });
            if !self.at_keyword("MATCH") && !self.at_keyword("OPTIONAL") {
                return Ok(());
            }
        }
    }

    fn items(&mut self) -> Parsed<Projection> {
        let distinct = self.eat_keyword("DISTINCT");
        // `RETURN ALL x`, but not `RETURN all(x IN list WHERE …)`.
        if !distinct && !self.symbol_at(1, Sym::LParen) {
            self.eat_keyword("ALL");
        }
        let mut projection = Projection {
            distinct,
            ..Projection::default()
        };
        let star = self.span();
        if self.eat_symbol(Sym::Star) {
            projection.star = Some(star);
            if !self.eat_symbol(Sym::Comma) {
                return Ok(projection);
            }
        }
        projection.items = self.comma_list(|parser| {
            let expr = parser.expression()?;
            let alias = if parser.eat_keyword("AS") {
                Some(parser.variable_name("a column's name")?)
            } else {
                None
            };
            Ok(ProjectionItem { expr, alias })
        })?;
        Ok(projection)
    }

    fn grouping(&mut self) -> Parsed<Vec<Expr>> {
        if self.at_symbol(Sym::LParen) && self.symbol_at(1, Sym::RParen) {
            self.advance();
            self.advance();
            return Ok(Vec::new());
        }
        self.comma_list(Self::expression)
    }

    fn order_and_page(&mut self, projection: &mut Projection) -> Parsed<()> {
        if self.eat_keywords("ORDER", "BY") {
            projection.order_by = self.comma_list(Self::sort_item)?;
        }
        // GQL writes OFFSET before LIMIT, SQL habit writes it after; both are unambiguous.
        loop {
            if projection.offset.is_none() && (self.eat_keyword("OFFSET") || self.eat_keyword("SKIP")) {
                projection.offset = Some(self.expression()?);
            } else if projection.limit.is_none() && self.eat_keyword("LIMIT") {
                projection.limit = Some(self.expression()?);
            } else {
                return Ok(());
            }
        }
    }

    fn sort_item(&mut self) -> Parsed<SortItem> {
        let expr = self.expression()?;
        let descending = self.eat_keyword("DESC") || self.eat_keyword("DESCENDING");
        if !descending && !self.eat_keyword("ASC") {
            self.eat_keyword("ASCENDING");
        }
        let nulls_first = if self.eat_keyword("NULLS") {
            let first = self.eat_keyword("FIRST");
            if !first {
                self.expect_keyword("LAST")?;
            }
            Some(first)
        } else {
            None
        };
        Ok(SortItem {
            expr,
            descending,
            nulls_first,
        })
    }
}
