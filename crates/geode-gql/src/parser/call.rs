//! CALL: of a query in braces, and of a procedure.

use super::{Parsed, Parser};
use crate::ast::{ClauseKind, Name, ProcedureCall, Yield};
use crate::token::Sym;

impl Parser<'_> {
    /// Behind `CALL`.
    pub(super) fn call_clause(&mut self, optional: bool) -> Parsed<ClauseKind> {
        let variables = if self.at_symbol(Sym::LParen) {
            Some(self.variable_scope()?)
        } else {
            None
        };
        if variables.is_some() || self.at_symbol(Sym::LBrace) {
            self.expect_symbol(Sym::LBrace)?;
            let query = self.in_subquery(Self::query)?;
            self.expect_symbol(Sym::RBrace)?;
            return Ok(ClauseKind::CallQuery {
                optional,
                variables,
                query: Box::new(query),
            });
        }
        if optional {
            let instead = "CALL without OPTIONAL, or OPTIONAL CALL { CALL … RETURN … }";
            return Err(self.not_supported(self.span(), "OPTIONAL CALL of a procedure", instead));
        }
        self.procedure_call().map(ClauseKind::CallProcedure)
    }

    /// `(a, b)`, `()`: the variables that the query sees.
    fn variable_scope(&mut self) -> Parsed<Vec<Name>> {
        self.advance();
        let mut names = Vec::new();
        if !self.eat_symbol(Sym::RParen) {
            names = self.comma_list(|parser| parser.variable_name("a variable"))?;
            self.expect_symbol(Sym::RParen)?;
        }
        Ok(names)
    }

    fn procedure_call(&mut self) -> Parsed<ProcedureCall> {
        let start = self.span();
        let mut name = vec![self.any_name("the name of a procedure")?];
        while self.eat_symbol(Sym::Dot) {
            name.push(self.any_name("the name of a procedure")?);
        }
        let mut arguments = None;
        if self.eat_symbol(Sym::LParen) {
            let mut given = Vec::new();
            if !self.eat_symbol(Sym::RParen) {
                given = self.comma_list(Self::expression)?;
                self.expect_symbol(Sym::RParen)?;
            }
            arguments = Some(given);
        }
        let yields = if self.eat_keyword("YIELD") {
            Some(self.yielded()?)
        } else {
            None
        };
        Ok(ProcedureCall {
            name,
            arguments,
            yields,
            span: self.since(start),
        })
    }

    fn yielded(&mut self) -> Parsed<Yield> {
        let star = self.span();
        if self.eat_symbol(Sym::Star) {
            return Ok(Yield::All(star));
        }
        // `YIELD -` of openCypher: nothing is taken.
        if self.eat_symbol(Sym::Minus) {
            return Ok(Yield::Items(Vec::new(), None));
        }
        let items = self.comma_list(|parser| {
            let column = parser.any_name("a column of the procedure")?;
            let alias = if parser.eat_keyword("AS") {
                Some(parser.variable_name("a variable")?)
            } else {
                None
            };
            Ok((column, alias))
        })?;
        let condition = if self.eat_keyword("WHERE") {
            Some(self.expression()?)
        } else {
            None
        };
        Ok(Yield::Items(items, condition))
    }
}
