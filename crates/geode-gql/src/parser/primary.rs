//! What stands between operators: literals, variables, calls, CASE, lists, maps, and access to their parts.

use super::expr::PREDICATE_IN;
use super::{Expected, Parsed, Parser};
use crate::ast::{AccessStep, Expr, ExprKind, Literal, Name, Quantification};
use crate::extension::Extension;
use crate::token::{Sym, TokenKind};
use crate::{Span, literal};
use geode_types::{QueryError, Temporal};

const QUANTIFICATIONS: &[(&str, Quantification)] = &[
    ("ALL", Quantification::All),
    ("ANY", Quantification::Any),
    ("NONE", Quantification::None),
    ("SINGLE", Quantification::Single),
];

impl Parser<'_> {
    /// A primary with its `.key`, `[index]` and `:Label` suffixes.
    pub(super) fn postfix_expression(&mut self) -> Parsed<Expr> {
        let accessed = self.write_target();
        if self.at_symbol(Sym::Colon) {
            return accessed.and_then(|accessed| self.labelled(accessed));
        }
        accessed
    }

    fn labelled(&mut self, element: Expr) -> Parsed<Expr> {
        let start = element.span;
        self.extension(self.span(), "labels as a condition", "n IS LABELED A");
        let labels = self.label_part()?;
        Ok(Expr {
            kind: ExprKind::IsLabeled(Box::new(element), labels, false),
            span: self.since(start),
        })
    }

    /// A primary with its `.key` and `[index]` suffixes: what SET and REMOVE may name.
    pub(super) fn write_target(&mut self) -> Parsed<Expr> {
        let base = self.primary();
        if self.at_symbol(Sym::Dot) || self.at_symbol(Sym::LBracket) {
            return base.and_then(|base| self.accessed(base));
        }
        base
    }

    fn accessed(&mut self, base: Expr) -> Parsed<Expr> {
        let start = base.span;
        let mut steps = Vec::new();
        loop {
            if self.at_symbol(Sym::Dot) {
                self.advance();
                steps.push(AccessStep::Key(self.any_name("a property name")?));
            } else if self.at_symbol(Sym::LBracket) {
                self.advance();
                steps.push(self.subscript()?);
            } else {
                return Ok(Expr {
                    kind: ExprKind::Access(Box::new(base), steps),
                    span: self.since(start),
                });
            }
        }
    }

    fn subscript(&mut self) -> Parsed<AccessStep> {
        let from = if self.at_symbol(Sym::DotDot) {
            None
        } else {
            Some(self.expression()?)
        };
        if self.eat_symbol(Sym::DotDot) {
            let to = if self.at_symbol(Sym::RBracket) {
                None
            } else {
                Some(self.expression()?)
            };
            self.expect_symbol(Sym::RBracket)?;
            return Ok(AccessStep::Slice(from, to));
        }
        self.expect_symbol(Sym::RBracket)?;
        match from {
            Some(index) => Ok(AccessStep::Index(index)),
            None => self.missing("an index"),
        }
    }

    fn primary(&mut self) -> Parsed<Expr> {
        match self.token().kind {
            TokenKind::Sym(Sym::LParen) => self.parenthesised(),
            TokenKind::Sym(Sym::LBracket) => self.list_or_comprehension(),
            TokenKind::Sym(Sym::LBrace) => self.map_literal(),
            TokenKind::Word | TokenKind::QuotedName => self.word_expression(),
            _ => self.literal(),
        }
    }

    fn literal(&mut self) -> Parsed<Expr> {
        let token = self.token();
        let kind = match token.kind {
            TokenKind::Int => {
                let magnitude = literal::integer(self.source.slice(token.span));
                let number = magnitude.and_then(|magnitude| i64::try_from(magnitude).ok());
                ExprKind::Literal(Literal::Int(
                    number.ok_or_else(|| self.integer_overflow(token.span))?,
                ))
            }
            TokenKind::Float => {
                let number = literal::float(self.source.slice(token.span));
                ExprKind::Literal(Literal::Float(
                    number.ok_or_else(|| self.float_overflow(token.span))?,
                ))
            }
            TokenKind::Decimal => {
                let number = literal::decimal(self.source.slice(token.span));
                ExprKind::Literal(Literal::Decimal(
                    number.ok_or_else(|| self.decimal_overflow(token.span))?,
                ))
            }
            TokenKind::Text => ExprKind::Literal(Literal::String(literal::text(self.source, token.span)?)),
            TokenKind::Bytes => ExprKind::Literal(Literal::Bytes(literal::bytes(self.source, token.span)?)),
            TokenKind::Param => ExprKind::Parameter(self.parameter_name(token.span)?),
            TokenKind::MalformedNumber => {
                ExprKind::Literal(Literal::Temporal(self.amount_of_time(token.span)?))
            }
            _ => return self.missing("an expression"),
        };
        self.advance();
        Ok(Expr {
            kind,
            span: token.span,
        })
    }

    /// `10s`, `500ms`: a number with a unit of time, as the guides write durations. ISO/IEC 39075 writes `DURATION 'PT10S'`.
    fn amount_of_time(&mut self, span: Span) -> Parsed<Temporal> {
        let Some(duration) = literal::amount_of_time(self.source.slice(span)) else {
            return Err(self.malformed_number(span));
        };
        self.extension(span, "a duration such as 10s", "DURATION 'PT10S'");
        Ok(duration.into())
    }

    fn malformed_number(&self, span: Span) -> QueryError {
        let message = format!("{} is not a number", self.source.slice(span));
        self.error(span, "InvalidNumberLiteral", message)
            .hint("numbers look like 42, 1_000, 0x2A, 0o52, 0b101010, 1.5 or 1.5e3; a name must not begin with a digit")
    }

    fn float_overflow(&self, span: Span) -> QueryError {
        let message = "this number is too large for a 64-bit float";
        let mut error = self.error(span, "FloatingPointOverflow", message);
        "22003".clone_into(&mut error.gqlstatus);
        error
    }

    fn decimal_overflow(&self, span: Span) -> QueryError {
        let message = "a decimal number has at most 28 digits";
        let mut error = self.error(span, "DecimalOverflow", message);
        "22003".clone_into(&mut error.gqlstatus);
        error
    }

    pub(super) fn integer_overflow(&self, span: Span) -> QueryError {
        let message = format!("{} does not fit a signed 64-bit integer", self.source.slice(span));
        let mut error = self
            .error(span, "IntegerOverflow", message)
            .hint("write it with a decimal point for a float");
        "22003".clone_into(&mut error.gqlstatus);
        error
    }

    fn parenthesised(&mut self) -> Parsed<Expr> {
        if self.pattern_begins_at(0) {
            return self.pattern_expression();
        }
        let start = self.advance().span;
        let inner = self.expression();
        inner.and_then(|inner| self.closed(inner, start))
    }

    fn closed(&mut self, mut inner: Expr, start: Span) -> Parsed<Expr> {
        self.expect_symbol(Sym::RParen)?;
        inner.span = self.since(start);
        Ok(inner)
    }

    fn list_or_comprehension(&mut self) -> Parsed<Expr> {
        let start = self.advance().span;
        if self.eat_symbol(Sym::RBracket) {
            return Ok(Expr {
                kind: ExprKind::List(Vec::new()),
                span: self.since(start),
            });
        }
        if self.pattern_begins_at(0)
            || (self.at_variable() && self.symbol_at(1, Sym::Equal) && self.pattern_begins_at(2))
        {
            return self.in_subquery(|parser| parser.pattern_comprehension(start));
        }
        let named = self.at_variable() && self.keyword_at(1, "IN");
        let first = self.expression();
        let kind = first.and_then(|first| self.list_rest(first, named));
        kind.map(|kind| Expr {
            kind,
            span: self.since(start),
        })
    }

    /// What follows the first element. `[x IN list …` has been read as a membership test; without a comma behind it, it was the head
    /// of a comprehension.
    fn list_rest(&mut self, first: Expr, named: bool) -> Parsed<ExprKind> {
        if let (true, false, ExprKind::In(needle, _)) = (named, self.at_symbol(Sym::Comma), &first.kind)
            && let ExprKind::Variable(text) = &needle.kind
        {
            let variable = Name {
                text: text.clone(),
                span: needle.span,
            };
            if let ExprKind::In(_, list) = first.kind {
                return self.comprehension(variable, list);
            }
        }
        let mut items = vec![first];
        while self.eat_symbol(Sym::Comma) {
            items.push(self.expression()?);
        }
        self.expect_symbol(Sym::RBracket)?;
        Ok(ExprKind::List(items))
    }

    /// `WHERE … | …]` behind `[x IN list`.
    fn comprehension(&mut self, variable: Name, list: Box<Expr>) -> Parsed<ExprKind> {
        // Its IN has been noted as the predicate, before what stands in the list.
        let is_in =
            |known: &Extension| known.span.start >= variable.span.end && known.construct == PREDICATE_IN;
        if let Some(at) = self.extensions.iter().position(is_in) {
            self.extensions.remove(at);
        }
        self.extension(variable.span, "a list comprehension", "");
        let condition = if self.eat_keyword("WHERE") {
            Some(Box::new(self.expression()?))
        } else {
            None
        };
        let result = if self.eat_symbol(Sym::Bar) {
            Some(Box::new(self.expression()?))
        } else {
            None
        };
        self.expect_symbol(Sym::RBracket)?;
        Ok(ExprKind::Comprehension {
            variable,
            list,
            condition,
            result,
        })
    }

    pub(super) fn map_literal(&mut self) -> Parsed<Expr> {
        let start = self.expect_symbol(Sym::LBrace)?;
        let mut entries = Vec::new();
        if !self.eat_symbol(Sym::RBrace) {
            entries.push(self.map_entry()?);
            while self.eat_symbol(Sym::Comma) {
                entries.push(self.map_entry()?);
            }
            self.expect_symbol(Sym::RBrace)?;
        }
        Ok(Expr {
            kind: ExprKind::Map(entries),
            span: self.since(start),
        })
    }

    fn map_entry(&mut self) -> Parsed<(Name, Expr)> {
        let key = self.map_key()?;
        self.expect_symbol(Sym::Colon)?;
        Ok((key, self.expression()?))
    }

    /// A key of a map: any name, even the empty one in backticks.
    fn map_key(&mut self) -> Parsed<Name> {
        let token = self.token();
        if token.kind == TokenKind::QuotedName {
            self.advance();
            return Ok(Name {
                text: literal::text(self.source, token.span)?,
                span: token.span,
            });
        }
        self.any_name("a key")
    }

    /// Constants, CASE, CAST, calls, variables.
    fn word_expression(&mut self) -> Parsed<Expr> {
        if self.at_keyword("CASE") {
            return self.case();
        }
        if let Some(kind) = self.at_subquery() {
            return self.subquery(kind);
        }
        if let Some(search) = self.shortest_path_function() {
            return self.in_subquery(|parser| parser.shortest_path_expression(search));
        }
        if self.symbol_at(1, Sym::LParen) && self.token().kind == TokenKind::Word {
            return self.call();
        }
        if self.at_keyword("RECORD") && self.symbol_at(1, Sym::LBrace) {
            self.advance();
            return self.map_literal();
        }
        match self.typed_literal()? {
            Some(literal) => Ok(literal),
            None => self.constant_or_variable(),
        }
    }

    fn constant_or_variable(&mut self) -> Parsed<Expr> {
        let span = self.span();
        let constants = [
            ("NULL", Literal::Null),
            ("UNKNOWN", Literal::Null),
            ("TRUE", Literal::Bool(true)),
            ("FALSE", Literal::Bool(false)),
        ];
        for (word, literal) in constants {
            if self.at_keyword(word) {
                self.advance();
                return Ok(Expr {
                    kind: ExprKind::Literal(literal),
                    span,
                });
            }
        }
        if self.symbol_at(1, Sym::Dot) && self.namespaced_call() {
            return self.call();
        }
        self.expect_note(Expected::Thing("an expression"));
        let name = self.variable_name("an expression")?;
        let variable = Expr {
            kind: ExprKind::Variable(name.text),
            span: name.span,
        };
        if self.at_symbol(Sym::LBrace) {
            return self.nested(|parser| parser.map_projection(variable));
        }
        Ok(variable)
    }

    /// `namespace.function(`: a word, a dot, a word, a parenthesis.
    fn namespaced_call(&self) -> bool {
        self.word_at(2).is_some() && self.symbol_at(3, Sym::LParen)
    }

    fn case(&mut self) -> Parsed<Expr> {
        let start = self.advance().span;
        let operand = if self.at_keyword("WHEN") {
            None
        } else {
            Some(Box::new(self.expression()?))
        };
        let mut branches = Vec::new();
        self.expect_keyword("WHEN")?;
        loop {
            let when = self.expression()?;
            self.expect_keyword("THEN")?;
            branches.push((when, self.expression()?));
            if !self.eat_keyword("WHEN") {
                break;
            }
        }
        let otherwise = if self.eat_keyword("ELSE") {
            Some(Box::new(self.expression()?))
        } else {
            None
        };
        self.expect_keyword("END")?;
        Ok(Expr {
            kind: ExprKind::Case {
                operand,
                branches,
                otherwise,
            },
            span: self.since(start),
        })
    }

    fn call(&mut self) -> Parsed<Expr> {
        let mut name = self.take_name()?;
        let start = name.span;
        while self.eat_symbol(Sym::Dot) {
            name.text.push('.');
            name.text.push_str(&self.any_name("a function")?.text);
            name.span = self.since(start);
        }
        self.advance();
        let quantification =
            quantification(&name.text).filter(|_| self.at_variable() && self.keyword_at(1, "IN"));
        let kind = match quantification {
            Some(kind) => self.quantified(kind),
            None if name.text.eq_ignore_ascii_case("CAST") => self.cast(),
            None if name.text.eq_ignore_ascii_case("count") && self.at_symbol(Sym::Star) => self.count_star(),
            None => match self.special_call(&name) {
                Ok(None) => self.arguments(name),
                special => special.and_then(|special| special.map_or_else(|| self.missing("a call"), Ok)),
            },
        };
        kind.map(|kind| Expr {
            kind,
            span: self.since(start),
        })
    }

    fn count_star(&mut self) -> Parsed<ExprKind> {
        self.advance();
        self.expect_symbol(Sym::RParen)?;
        Ok(ExprKind::CountStar)
    }

    fn arguments(&mut self, name: Name) -> Parsed<ExprKind> {
        if !crate::extension::is_standard_function(&name.text) {
            self.extension(name.span, format!("the function {}()", name.text), "");
        }
        let distinct = self.eat_keyword("DISTINCT");
        let mut arguments = Vec::new();
        if distinct || !self.eat_symbol(Sym::RParen) {
            arguments.push(self.expression()?);
            while self.eat_symbol(Sym::Comma) {
                arguments.push(self.expression()?);
            }
            self.expect_symbol(Sym::RParen)?;
        }
        Ok(ExprKind::Call {
            name,
            distinct,
            arguments,
        })
    }

    fn cast(&mut self) -> Parsed<ExprKind> {
        let operand = self.expression()?;
        self.expect_keyword("AS")?;
        let target = self.value_type()?;
        self.expect_symbol(Sym::RParen)?;
        Ok(ExprKind::Cast(Box::new(operand), target))
    }

    fn quantified(&mut self, kind: Quantification) -> Parsed<ExprKind> {
        self.extension(self.span(), "all, any, none and single", "");
        let variable = self.variable_name("a variable")?;
        self.expect_keyword("IN")?;
        let list = Box::new(self.expression()?);
        self.expect_keyword("WHERE")?;
        let condition = Box::new(self.expression()?);
        self.expect_symbol(Sym::RParen)?;
        Ok(ExprKind::Quantified {
            kind,
            variable,
            list,
            condition,
        })
    }
}

fn quantification(name: &str) -> Option<Quantification> {
    QUANTIFICATIONS
        .iter()
        .find(|(word, _)| word.eq_ignore_ascii_case(name))
        .map(|(_, kind)| *kind)
}
