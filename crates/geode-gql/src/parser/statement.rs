//! Statements: queries and the commands of a session.

use super::{Parsed, Parser};
use crate::ast::{
    CheckpointCommand, Clause, ClauseKind, ExplainCommand, ExprKind, LinearQuery, Literal, Query,
    SetOperation, SetOperator, Statement,
};
use crate::token::{Sym, TokenKind};

impl Parser<'_> {
    pub(super) fn statement(&mut self) -> Parsed<Statement> {
        let statement = if self.at_user_command() {
            Statement::Users(self.user_command()?)
        } else {
            self.refuse_known_statement()?;
            self.other_statement()?
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

    fn other_statement(&mut self) -> Parsed<Statement> {
        Ok(if let Some(statement) = self.session_statement()? {
            statement
        } else if let Some(statement) = self.catalog_statement()? {
            statement
        } else if let Some(command) = self.checkpoint_command()? {
            Statement::Checkpoint(command)
        } else if let Some(command) = self.schema_command()? {
            Statement::Schema(command)
        } else if let Some(command) = self.explain_command() {
            Statement::Explain(command, self.query()?)
        } else if let Some(query) = self.show()? {
            Statement::Query(query)
        } else {
            Statement::Query(self.query()?)
        })
    }

    fn explain_command(&mut self) -> Option<ExplainCommand> {
        let profile = self.at_keyword("PROFILE");
        if !profile && !self.at_keyword("EXPLAIN") {
            return None;
        }
        self.advance();
        let json = self.eat_keyword("JSON");
        Some(ExplainCommand { profile, json })
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
        self.extension(self.span(), "CHECKPOINT", "");
        self.expect_keyword("CHECKPOINT")?;
        let start = self.span();
        match self.expression()?.kind {
            ExprKind::Literal(Literal::String(name)) => Ok(Some(command(name))),
            _ => Err(self
                .error(start, "UnexpectedSyntax", "the name of a checkpoint is a text")
                .hint("write it in quotes: CREATE CHECKPOINT 'before-the-migration'")),
        }
    }

    /// Statements with NEXT between them, each with the rows of the one before (ISO/IEC 39075, 9.2). A linear one continues the clauses
    /// before it; a composite one becomes a clause.
    pub(super) fn query(&mut self) -> Parsed<Query> {
        let start = self.span();
        let mut clauses = Vec::new();
        loop {
            let span = self.span();
            let composite = self.composite()?;
            let last = !self.eat_keyword("NEXT");
            if last && clauses.is_empty() {
                return Ok(composite);
            }
            if composite.rest.is_empty() {
                clauses.extend(composite.first.clauses);
                if !last {
                    self.pass_on(&mut clauses)?;
                }
            } else {
                let kind = ClauseKind::Composite(Box::new(composite));
                clauses.push(Clause { kind, span });
            }
            if last {
                return Ok(Query {
                    first: LinearQuery {
                        clauses,
                        span: self.since(start),
                    },
                    rest: Vec::new(),
                });
            }
            let span = self.span();
            if self.eat_keyword("YIELD") {
                let kind = ClauseKind::With(self.yield_projection()?);
                clauses.push(Clause { kind, span });
            }
        }
    }

    /// What a statement before NEXT returns goes on instead; one that returns nothing passes on no variables and no more than one row.
    fn pass_on(&mut self, clauses: &mut [Clause]) -> Parsed<()> {
        match clauses.last_mut() {
            Some(Clause { kind, .. }) if matches!(kind, ClauseKind::Return(_)) => {
                if let ClauseKind::Return(projection) = std::mem::replace(kind, ClauseKind::Finish) {
                    *kind = ClauseKind::With(projection);
                }
                Ok(())
            }
            _ => Err(self
                .error(
                    self.previous_span(),
                    "InvalidClauseComposition",
                    "NEXT takes the result of RETURN",
                )
                .hint("end the statement before NEXT with RETURN")),
        }
    }

    /// Linear queries with set operators between them.
    fn composite(&mut self) -> Parsed<Query> {
        let first = self.linear_query()?;
        let mut rest = Vec::new();
        while let Some(operator) = self.set_operator() {
            rest.push((operator, self.linear_query()?));
        }
        Ok(Query { first, rest })
    }

    fn set_operator(&mut self) -> Option<SetOperator> {
        let span = self.span();
        let operation = if self.eat_keyword("UNION") {
            SetOperation::Union {
                all: self.set_quantifier(),
            }
        } else if self.eat_keyword("EXCEPT") {
            SetOperation::Except {
                all: self.set_quantifier(),
            }
        } else if self.eat_keyword("INTERSECT") {
            SetOperation::Intersect {
                all: self.set_quantifier(),
            }
        } else if self.eat_keyword("OTHERWISE") {
            SetOperation::Otherwise
        } else {
            return None;
        };
        Some(SetOperator {
            operation,
            span: self.since(span),
        })
    }

    /// Whether duplicates count: `ALL`, or `DISTINCT` and nothing.
    fn set_quantifier(&mut self) -> bool {
        let all = self.eat_keyword("ALL");
        if !all {
            self.eat_keyword("DISTINCT");
        }
        all
    }

    fn linear_query(&mut self) -> Parsed<LinearQuery> {
        let start = self.span();
        let mut clauses = Vec::new();
        loop {
            let span = self.span();
            if self.eat_keyword("SELECT") {
                self.select(span, &mut clauses)?;
            } else if clauses.is_empty() && self.at_symbol(Sym::LBrace) {
                clauses.push(self.braced_query()?);
            } else {
                match self.clause()? {
                    Some(kind) => clauses.push(Clause { kind, span }),
                    None if clauses.is_empty() => return Err(self.unexpected()),
                    None => break,
                }
            }
            let ended = clauses.last().is_some_and(|clause| {
                matches!(
                    clause.kind,
                    ClauseKind::Return(_) | ClauseKind::Finish | ClauseKind::Composite(_)
                )
            });
            if ended {
                break;
            }
        }
        Ok(LinearQuery {
            clauses,
            span: self.since(start),
        })
    }

    /// `{ query }` in the place of a linear query.
    fn braced_query(&mut self) -> Parsed<Clause> {
        let span = self.span();
        self.advance();
        let query = self.in_subquery(Self::query)?;
        self.expect_symbol(Sym::RBrace)?;
        Ok(Clause {
            kind: ClauseKind::Composite(Box::new(query)),
            span: self.since(span),
        })
    }
}
