//! Commands of a session: START TRANSACTION, COMMIT, ROLLBACK, savepoints, SESSION SET, RESET and CLOSE, KILL QUERY.
//! How it reads is said in `reads`.

use super::{Parsed, Parser};
use crate::ast::{
    Expr, ExprKind, Literal, Name, SessionCommand, SessionLimit, SessionReset, SessionSetting, Statement,
    TransactionCommand,
};
use crate::token::{Sym, TokenKind};
use geode_types::nearest;

impl Parser<'_> {
    /// The command that begins here, or none when what follows is none.
    pub(super) fn session_statement(&mut self) -> Parsed<Option<Statement>> {
        if let Some(command) = self.transaction_command()? {
            return Ok(Some(Statement::Transaction(command)));
        }
        if self.at_keyword("SESSION") || self.at_keyword("RESET") || self.at_keyword("CLOSE") {
            return Ok(Some(Statement::Session(self.session_command()?)));
        }
        if self.at_keyword("KILL") {
            return self.kill().map(Some);
        }
        Ok(self.read_setting()?.map(Statement::Reads))
    }

    fn transaction_command(&mut self) -> Parsed<Option<TransactionCommand>> {
        let start = self.span();
        if self.eat_keyword("BEGIN") {
            self.transaction_word();
            self.extension(start, "BEGIN", "START TRANSACTION");
            return self.begin().map(Some);
        }
        if self.eat_keyword("START") {
            self.expect_keyword("TRANSACTION")?;
            return self.begin().map(Some);
        }
        if self.eat_keyword("COMMIT") {
            self.transaction_word();
            return Ok(Some(TransactionCommand::Commit));
        }
        if self.eat_keyword("ROLLBACK") {
            self.transaction_word();
            if !self.eat_keyword("TO") {
                return Ok(Some(TransactionCommand::Rollback));
            }
            let name = self.savepoint_name()?;
            self.extension(start, "ROLLBACK TO", "");
            return Ok(Some(TransactionCommand::RollbackTo(name)));
        }
        if self.at_keyword("SAVEPOINT") {
            self.advance();
            let name = self.any_name("the name of a savepoint")?.text;
            self.extension(start, "SAVEPOINT", "");
            return Ok(Some(TransactionCommand::Savepoint(name)));
        }
        if self.at_keyword("RELEASE") {
            self.advance();
            let name = self.savepoint_name()?;
            self.extension(start, "RELEASE SAVEPOINT", "");
            return Ok(Some(TransactionCommand::Release(name)));
        }
        Ok(None)
    }

    /// `[SAVEPOINT] name`; a savepoint may itself be called `savepoint`.
    fn savepoint_name(&mut self) -> Parsed<String> {
        if self.at_keyword("SAVEPOINT")
            && matches!(self.peek(1).kind, TokenKind::Word | TokenKind::QuotedName)
        {
            self.advance();
        }
        Ok(self.any_name("the name of a savepoint")?.text)
    }

    fn transaction_word(&mut self) {
        let span = self.span();
        if self.eat_keyword("TRANSACTION") || self.eat_keyword("WORK") {
            self.extension(
                span,
                "TRANSACTION or WORK behind the command",
                "COMMIT or ROLLBACK alone",
            );
        }
    }

    /// Transaction modes, separated by commas; one access mode at most (8.2, syntax rule 1).
    fn begin(&mut self) -> Parsed<TransactionCommand> {
        let mut access = None;
        while self.at_keyword("READ") {
            let start = self.span();
            self.advance();
            let read_only = self.eat_keyword("ONLY");
            if !read_only {
                self.expect_keyword("WRITE")?;
            }
            if access.replace(read_only).is_some() {
                let message = "a transaction has one access mode";
                return Err(self.error(self.since(start), "UnexpectedSyntax", message));
            }
            if !self.eat_symbol(Sym::Comma) {
                break;
            }
            if !self.at_keyword("READ") {
                self.expect_keyword("READ")?;
            }
        }
        Ok(TransactionCommand::Begin {
            read_only: access.unwrap_or(false),
        })
    }

    fn session_command(&mut self) -> Parsed<SessionCommand> {
        let named = self.eat_keyword("SESSION");
        if self.eat_keyword("CLOSE") {
            return Ok(SessionCommand::Close);
        }
        if self.eat_keyword("RESET") {
            return self.session_reset().map(SessionCommand::Reset);
        }
        if named && self.eat_keyword("SET") {
            return self.session_setting().map(SessionCommand::Set);
        }
        Err(self.unexpected())
    }

    fn session_setting(&mut self) -> Parsed<SessionSetting> {
        let start = self.span();
        if self.eat_keyword("SCHEMA") {
            return self.schema_reference().map(SessionSetting::Schema);
        }
        if self.eat_keywords("TIME", "ZONE") {
            let span = self.span();
            let Expr {
                kind: ExprKind::Literal(Literal::String(zone)),
                span,
            } = self.expression()?
            else {
                return Err(self
                    .error(span, "UnexpectedSyntax", "a time zone is a text")
                    .hint("for example SESSION SET TIME ZONE 'Europe/Warsaw', or '+02:00'"));
            };
            return Ok(SessionSetting::TimeZone { zone, span });
        }
        if self.eat_keyword("VALUE") {
            return self.session_value();
        }
        if self.at_keyword("BINDING") || self.at_keyword("TABLE") {
            let instead = "pass a list of records: SESSION SET VALUE $rows = [{…}, …]";
            return Err(self.not_supported(start, "SESSION SET TABLE", instead));
        }
        if self.graph_keyword() {
            if self.token().kind == TokenKind::Param || self.at_keyword("IF") {
                let instead = "choose the graph itself: SESSION SET GRAPH name";
                return Err(self.not_supported(start, "a graph as a session parameter", instead));
            }
            return self.graph_reference().map(SessionSetting::Graph);
        }
        let limit = self.session_limit()?;
        self.expect_symbol(Sym::Equal)?;
        let value = self.expression()?;
        self.extension(start, "SESSION SET of a limit", "");
        Ok(SessionSetting::Limit { limit, value })
    }

    fn session_value(&mut self) -> Parsed<SessionSetting> {
        let if_not_exists = self.if_not_exists()?;
        let name = self.parameter()?;
        if !self.eat_symbol(Sym::Equal) {
            if self.at_symbol(Sym::Colon) || self.at_keyword("TYPED") {
                let instead = "leave the type away: SESSION SET VALUE $p = CAST(… AS …)";
                return Err(self.not_supported(self.span(), "a typed session parameter", instead));
            }
            return Err(self.unexpected());
        }
        Ok(SessionSetting::Value {
            name,
            if_not_exists,
            value: self.expression()?,
        })
    }

    fn session_reset(&mut self) -> Parsed<SessionReset> {
        let start = self.span();
        if matches!(self.token().kind, TokenKind::End | TokenKind::Sym(Sym::Semicolon)) {
            return Ok(SessionReset::Everything);
        }
        if self.eat_keyword("ALL") {
            if self.eat_keyword("PARAMETERS") {
                return Ok(SessionReset::Parameters);
            }
            self.expect_keyword("CHARACTERISTICS")?;
            return Ok(SessionReset::Everything);
        }
        if self.eat_keyword("PARAMETERS") {
            return Ok(SessionReset::Parameters);
        }
        if self.eat_keyword("CHARACTERISTICS") {
            return Ok(SessionReset::Everything);
        }
        if self.eat_keyword("SCHEMA") {
            return Ok(SessionReset::Schema);
        }
        if self.eat_keywords("TIME", "ZONE") {
            return Ok(SessionReset::TimeZone);
        }
        if self.eat_keyword("PARAMETER") || self.token().kind == TokenKind::Param {
            return Ok(SessionReset::Parameter(self.parameter()?.text));
        }
        if self.graph_keyword() {
            return Ok(SessionReset::Graph);
        }
        let limit = self.session_limit()?;
        self.extension(start, "SESSION RESET of a limit", "");
        Ok(SessionReset::Limit(limit))
    }

    fn session_limit(&mut self) -> Parsed<SessionLimit> {
        let found = self.word_at(0).and_then(|word| {
            SessionLimit::ALL
                .into_iter()
                .find(|limit| limit.name().eq_ignore_ascii_case(word))
        });
        if let Some(limit) = found {
            self.advance();
            return Ok(limit);
        }
        let names = SessionLimit::ALL.map(SessionLimit::name);
        let near = self
            .word_at(0)
            .filter(|word| word.len() <= super::MAX_CORRECTED_WORD)
            .and_then(|word| nearest(word, names));
        let result = self.missing("query_timeout, transaction_timeout or max_query_memory");
        match near {
            Some(near) => result.map_err(|error| error.hint(format!("did you mean {near}?"))),
            None => result,
        }
    }

    pub(super) fn parameter(&mut self) -> Parsed<Name> {
        let span = self.span();
        if self.token().kind != TokenKind::Param {
            return self.missing("a parameter, such as $name");
        }
        let text = self.parameter_name(span)?;
        self.advance();
        Ok(Name { text, span })
    }

    /// `KILL QUERY 'id'`: an extension.
    fn kill(&mut self) -> Parsed<Statement> {
        let start = self.span();
        self.advance();
        self.expect_keyword("QUERY")?;
        let id = self.span();
        match self.expression()?.kind {
            ExprKind::Literal(Literal::String(id)) => {
                self.extension(start, "KILL QUERY", "");
                Ok(Statement::KillQuery(id))
            }
            _ => Err(self
                .error(id, "UnexpectedSyntax", "the id of a query is a text")
                .hint("SELECT id, query FROM system.queries lists those that run; then KILL QUERY 'id'")),
        }
    }
}
