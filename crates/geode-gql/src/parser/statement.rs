//! Statements: queries and the commands of a session.

use super::{Parsed, Parser};
use crate::ast::{
    CheckpointCommand, Clause, ClauseKind, ExprKind, LinearQuery, Literal, Query, SetOperator, Statement,
    TransactionCommand,
};
use crate::token::{Sym, TokenKind};

impl Parser<'_> {
    pub(super) fn statement(&mut self) -> Parsed<Statement> {
        let statement = if let Some(command) = self.transaction_command()? {
            Statement::Transaction(command)
        } else if let Some(command) = self.checkpoint_command()? {
            Statement::Checkpoint(command)
        } else {
            Statement::Query(self.query()?)
        };
        self.eat_symbol(Sym::Semicolon);
        if self.token().kind == TokenKind::End {
            return Ok(statement);
        }
        if self
            .tokens
            .get(self.at.wrapping_sub(1))
            .is_some_and(|token| token.kind == TokenKind::Sym(Sym::Semicolon))
        {
            let message = "a request holds one statement, and another one begins here";
            return Err(self
                .error(self.span(), "UnexpectedSyntax", message)
                .hint("send the statements one after the other"));
        }
        Err(self.unexpected())
    }

    fn checkpoint_command(&mut self) -> Parsed<Option<CheckpointCommand>> {
        // `CREATE checkpoint = (a)-->(b)` names a path.
        if !self.keyword_at(1, "CHECKPOINT") || self.symbol_at(2, Sym::Equal) {
            return Ok(None);
        }
        let command = if self.eat_keyword("CREATE") {
            CheckpointCommand::Create
        } else if self.eat_keyword("DROP") {
            CheckpointCommand::Drop
        } else {
            return Ok(None);
        };
        self.expect_keyword("CHECKPOINT")?;
        let start = self.span();
        match self.expression()?.kind {
            ExprKind::Literal(Literal::String(name)) => Ok(Some(command(name))),
            _ => Err(self
                .error(start, "UnexpectedSyntax", "the name of a checkpoint is a text")
                .hint("write it in quotes: CREATE CHECKPOINT 'before-the-migration'")),
        }
    }

    fn transaction_command(&mut self) -> Parsed<Option<TransactionCommand>> {
        if self.eat_keyword("BEGIN") {
            self.transaction_word();
            return Ok(Some(TransactionCommand::Begin {
                read_only: self.access_mode()?,
            }));
        }
        if self.eat_keyword("START") {
            self.expect_keyword("TRANSACTION")?;
            return Ok(Some(TransactionCommand::Begin {
                read_only: self.access_mode()?,
            }));
        }
        if self.eat_keyword("COMMIT") {
            self.transaction_word();
            return Ok(Some(TransactionCommand::Commit));
        }
        if self.eat_keyword("ROLLBACK") {
            self.transaction_word();
            return Ok(Some(TransactionCommand::Rollback));
        }
        Ok(None)
    }

    fn transaction_word(&mut self) {
        if !self.eat_keyword("TRANSACTION") {
            self.eat_keyword("WORK");
        }
    }

    fn access_mode(&mut self) -> Parsed<bool> {
        if !self.eat_keyword("READ") {
            return Ok(false);
        }
        if self.eat_keyword("ONLY") {
            return Ok(true);
        }
        self.expect_keyword("WRITE")?;
        Ok(false)
    }

    pub(super) fn query(&mut self) -> Parsed<Query> {
        let first = self.linear_query()?;
        let mut rest = Vec::new();
        loop {
            let span = self.span();
            if self.eat_keyword("UNION") {
                let all = self.eat_keyword("ALL");
                if !all {
                    self.eat_keyword("DISTINCT");
                }
                rest.push((
                    SetOperator {
                        all,
                        span: self.since(span),
                    },
                    self.linear_query()?,
                ));
            } else {
                return Ok(Query { first, rest });
            }
        }
    }

    fn linear_query(&mut self) -> Parsed<LinearQuery> {
        let start = self.span();
        let mut clauses = Vec::new();
        loop {
            let span = self.span();
            if self.eat_keyword("SELECT") {
                self.select(span, &mut clauses)?;
            } else {
                match self.clause()? {
                    Some(kind) => clauses.push(Clause { kind, span }),
                    None if clauses.is_empty() => return Err(self.unexpected()),
                    None => break,
                }
            }
            let last = clauses.last_mut();
            if let Some(Clause {
                kind: kind @ (ClauseKind::Return(_) | ClauseKind::Finish),
                ..
            }) = last
            {
                if !self.eat_keyword("NEXT") {
                    break;
                }
                if let ClauseKind::Return(projection) = std::mem::replace(kind, ClauseKind::Finish) {
                    *kind = ClauseKind::With(projection);
                }
            }
        }
        Ok(LinearQuery {
            clauses,
            span: self.since(start),
        })
    }
}
