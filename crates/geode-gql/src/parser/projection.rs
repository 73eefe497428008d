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

    /// `SELECT items FROM table [WHERE …] …` becomes the clauses `table, FILTER, RETURN`.
    pub(super) fn select(&mut self, span: Span, clauses: &mut Vec<Clause>) -> Parsed<()> {
        let mut projection = self.items()?;
        let from = self.expect_keyword("FROM")?;
        let mut table = vec![self.any_name("the name of a table, such as system.cluster_nodes")?];
        while self.eat_symbol(Sym::Dot) {
            table.push(self.any_name("the name of a table")?);
        }
        if self.at_keyword("MATCH") {
            let instead = "write MATCH … RETURN … instead";
            return Err(self.not_supported(self.span(), "SELECT … FROM a graph with MATCH", instead));
        }
        clauses.push(Clause {
            kind: ClauseKind::Table(table),
            span: self.since(from),
        });
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
        if self.at_keyword("HAVING") {
            return Err(self.not_supported(
                self.span(),
                "HAVING",
                "filter afterwards: RETURN … NEXT FILTER …",
            ));
        }
        self.order_and_page(&mut projection)?;
        clauses.push(Clause {
            kind: ClauseKind::Return(projection),
            span,
        });
        Ok(())
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
