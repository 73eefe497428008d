//! What stands between operators: literals, variables, calls, CASE, lists, maps, and access to their parts.

use super::{Expected, Parsed, Parser};
use crate::ast::{AccessStep, Expr, ExprKind, Literal, Name, Quantification, TargetType};
use crate::token::{Sym, TokenKind};
use crate::{Span, literal};
use geode_types::QueryError;

/// Types that CAST knows, by every name.
const TARGET_TYPES: &[(&str, TargetType)] = &[
    ("BOOL", TargetType::Bool),
    ("BOOLEAN", TargetType::Bool),
    ("INT", TargetType::Int),
    ("INTEGER", TargetType::Int),
    ("INT64", TargetType::Int),
    ("BIGINT", TargetType::Int),
    ("SIGNED", TargetType::Int),
    ("FLOAT", TargetType::Float),
    ("FLOAT64", TargetType::Float),
    ("DOUBLE", TargetType::Float),
    ("REAL", TargetType::Float),
    ("STRING", TargetType::String),
    ("VARCHAR", TargetType::String),
];

const QUANTIFICATIONS: &[(&str, Quantification)] = &[
    ("ALL", Quantification::All),
    ("ANY", Quantification::Any),
    ("NONE", Quantification::None),
    ("SINGLE", Quantification::Single),
];

const NO_PATTERN_EXPRESSIONS: &str =
    "bind the pattern with MATCH or OPTIONAL MATCH first, then test its variables";

impl Parser<'_> {
    /// A primary with its `.key`, `[index]` and `:Label` suffixes.
    pub(super) fn postfix_expression(&mut self) -> Parsed<Expr> {
        let accessed = self.write_target()?;
        if !self.at_symbol(Sym::Colon) {
            return Ok(accessed);
        }
        let start = accessed.span;
        let labels = self.label_part()?;
        Ok(Expr {
            kind: ExprKind::IsLabeled(Box::new(accessed), labels, false),
            span: self.since(start),
        })
    }

    /// A primary with its `.key` and `[index]` suffixes: what SET and REMOVE may name.
    pub(super) fn write_target(&mut self) -> Parsed<Expr> {
        let base = self.primary()?;
        let start = base.span;
        let mut steps = Vec::new();
        loop {
            if self.at_symbol(Sym::Dot) {
                self.advance();
                steps.push(AccessStep::Key(self.any_name("a property name")?));
            } else if self.at_symbol(Sym::LBracket) {
                self.advance();
                steps.push(self.subscript()?);
            } else if steps.is_empty() {
                return Ok(base);
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
        let token = self.token();
        let kind = match token.kind {
            TokenKind::Int => {
                let magnitude = literal::integer(self.source.slice(token.span));
                let number = magnitude.and_then(|magnitude| i64::try_from(magnitude).ok());
                let number = number.ok_or_else(|| self.integer_overflow(token.span))?;
                self.advance();
                ExprKind::Literal(Literal::Int(number))
            }
            TokenKind::Float => {
                let number = literal::float(self.source.slice(token.span));
                let number = number.ok_or_else(|| {
                    self.error(
                        token.span,
                        "FloatingPointOverflow",
                        "this number is too large for a 64-bit float",
                    )
                })?;
                self.advance();
                ExprKind::Literal(Literal::Float(number))
            }
            TokenKind::Text => {
                self.advance();
                ExprKind::Literal(Literal::String(literal::text(self.source, token.span)?))
            }
            TokenKind::Bytes => {
                self.advance();
                ExprKind::Literal(Literal::Bytes(literal::bytes(self.source, token.span)?))
            }
            TokenKind::Param => {
                self.advance();
                ExprKind::Parameter(self.parameter_name(token.span)?)
            }
            TokenKind::Sym(Sym::LParen) => return self.parenthesised(),
            TokenKind::Sym(Sym::LBracket) => self.nested(Self::list_or_comprehension)?,
            TokenKind::Sym(Sym::LBrace) => return self.nested(Self::map_literal),
            TokenKind::Word | TokenKind::QuotedName => return self.word_expression(),
            _ => return self.missing("an expression"),
        };
        Ok(Expr {
            kind,
            span: self.since(token.span),
        })
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
        let start = self.advance().span;
        if self.at_symbol(Sym::RParen) || self.at_symbol(Sym::Colon) {
            return Err(self.not_supported(start, "a pattern inside an expression", NO_PATTERN_EXPRESSIONS));
        }
        let mut inner = self.expression()?;
        self.expect_symbol(Sym::RParen)?;
        let dash = usize::from(self.at_symbol(Sym::Less));
        let edge = self.symbol_at(dash, Sym::Minus) && {
            let next = self.peek(dash + 1).kind;
            matches!(next, TokenKind::Sym(Sym::LBracket | Sym::Minus))
                || (dash == 0 && next == TokenKind::Sym(Sym::Greater))
        };
        if edge && matches!(inner.kind, ExprKind::Variable(_) | ExprKind::IsLabeled(..)) {
            return Err(self.not_supported(start, "a pattern inside an expression", NO_PATTERN_EXPRESSIONS));
        }
        inner.span = self.since(start);
        Ok(inner)
    }

    fn list_or_comprehension(&mut self) -> Parsed<ExprKind> {
        self.advance();
        if self.at_variable() && self.keyword_at(1, "IN") {
            let before = self.at;
            if let Some(comprehension) = self.comprehension()? {
                return Ok(comprehension);
            }
            self.at = before;
        }
        let mut items = Vec::new();
        if !self.eat_symbol(Sym::RBracket) {
            items = self.comma_list(Self::expression)?;
            self.expect_symbol(Sym::RBracket)?;
        }
        Ok(ExprKind::List(items))
    }

    /// `x IN list WHERE … | …]`, or none when it was the one-element list `[x IN list]` … which reads as a comprehension, too: in
    /// openCypher `[x IN list]` is a comprehension, so only a comma makes it a list.
    fn comprehension(&mut self) -> Parsed<Option<ExprKind>> {
        let variable = self.variable_name("a variable")?;
        self.expect_keyword("IN")?;
        let list = Box::new(self.expression()?);
        if self.at_symbol(Sym::Comma) {
            return Ok(None);
        }
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
        Ok(Some(ExprKind::Comprehension {
            variable,
            list,
            condition,
            result,
        }))
    }

    pub(super) fn map_literal(&mut self) -> Parsed<Expr> {
        let start = self.expect_symbol(Sym::LBrace)?;
        let mut entries = Vec::new();
        if !self.eat_symbol(Sym::RBrace) {
            entries = self.comma_list(|parser| {
                let key = parser.map_key()?;
                parser.expect_symbol(Sym::Colon)?;
                Ok((key, parser.expression()?))
            })?;
            self.expect_symbol(Sym::RBrace)?;
        }
        Ok(Expr {
            kind: ExprKind::Map(entries),
            span: self.since(start),
        })
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
        let start = self.span();
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
                    span: start,
                });
            }
        }
        if self.at_keyword("CASE") {
            let kind = self.nested(Self::case)?;
            return Ok(Expr {
                kind,
                span: self.since(start),
            });
        }
        self.refuse_subquery()?;
        if self.symbol_at(1, Sym::LParen) && self.token().kind == TokenKind::Word {
            let kind = self.nested(Self::call)?;
            return Ok(Expr {
                kind,
                span: self.since(start),
            });
        }
        if self.at_keyword("RECORD") && self.symbol_at(1, Sym::LBrace) {
            self.advance();
            return self.nested(Self::map_literal);
        }
        if self.symbol_at(1, Sym::Dot) && self.namespaced_call() {
            let name = self.take_name()?;
            let message = format!("there is no function namespace {}", name.text);
            return Err(self
                .error(name.span, "UnknownFunction", message)
                .hint("functions have plain names here, such as toUpper(text)"));
        }
        self.expect_note(Expected::Thing("an expression"));
        let name = self.variable_name("an expression")?;
        Ok(Expr {
            kind: ExprKind::Variable(name.text),
            span: name.span,
        })
    }

    /// `namespace.function(`: a word, a dot, a word, a parenthesis.
    fn namespaced_call(&self) -> bool {
        self.word_at(2).is_some() && self.symbol_at(3, Sym::LParen)
    }

    fn refuse_subquery(&mut self) -> Parsed<()> {
        let refused = ["EXISTS", "COUNT", "COLLECT", "VALUE"]
            .iter()
            .find(|word| self.at_keyword(word) && self.symbol_at(1, Sym::LBrace));
        match refused {
            Some(word) => Err(self.not_supported(
                self.span(),
                &format!("{word} {{ subquery }}"),
                NO_PATTERN_EXPRESSIONS,
            )),
            None => Ok(()),
        }
    }

    fn case(&mut self) -> Parsed<ExprKind> {
        self.advance();
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
        Ok(ExprKind::Case {
            operand,
            branches,
            otherwise,
        })
    }

    fn call(&mut self) -> Parsed<ExprKind> {
        let name = self.take_name()?;
        self.advance();
        if name.text.eq_ignore_ascii_case("CAST") {
            return self.cast();
        }
        if let Some(kind) = quantification(&name.text)
            && self.at_variable()
            && self.keyword_at(1, "IN")
        {
            return self.quantified(kind);
        }
        if name.text.eq_ignore_ascii_case("count") && self.at_symbol(Sym::Star) {
            self.advance();
            self.expect_symbol(Sym::RParen)?;
            return Ok(ExprKind::CountStar);
        }
        let distinct = self.eat_keyword("DISTINCT");
        let mut arguments = Vec::new();
        if distinct || !self.eat_symbol(Sym::RParen) {
            arguments = self.comma_list(Self::expression)?;
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
        let name: Name = self.any_name("a type")?;
        match TARGET_TYPES
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(&name.text))
        {
            Some((_, target)) => {
                self.expect_symbol(Sym::RParen)?;
                Ok(ExprKind::Cast(Box::new(operand), *target))
            }
            None => {
                let message = format!("CAST does not know the type {}", name.text);
                Err(self
                    .error(name.span, "UnknownType", message)
                    .hint("it converts to BOOL, INT, FLOAT and STRING"))
            }
        }
    }

    fn quantified(&mut self, kind: Quantification) -> Parsed<ExprKind> {
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
