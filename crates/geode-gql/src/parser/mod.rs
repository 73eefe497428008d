//! Tokens → syntax tree, by recursive descent with precedence climbing for expressions.
//!
//! This file is the machinery that the rules share: looking ahead, remembering what would have been accepted, saying so when nothing
//! fits, and the nesting limit. The rules live in `statement`, `clause` and `call`, `write`, `projection`, `path`, `pattern`, `expr` and `primary`.

mod call;
mod catalog;
mod clause;
mod expr;
mod graph_type;
mod map_projection;
mod path;
mod pattern;
mod primary;
mod projection;
mod reads;
mod refused;
mod schema;
mod session;
mod special;
mod statement;
mod subquery;
mod types;
mod users;
mod words;
mod write;

use crate::ast::{Name, Statement};
use crate::extension::Extension;
use crate::lexer::tokenize;
use crate::token::{Sym, Token, TokenKind};
use crate::{Dialect, MAX_TEXT_BYTES, Source, Span, literal, syntax_error};
use geode_types::{ErrorClass, QueryError, nearest};

/// How deep parentheses, lists, maps, calls, CASE, NOT and signs may nest.
pub const MAX_NESTING: usize = 128;

/// How deep subqueries may nest, and what is planned and run like them: patterns in expressions, repeated paths, FOREACH.
pub const MAX_SUBQUERY_NESTING: usize = 16;

/// How many predicates (`a IN b IS NULL …`) may follow one another; they nest to the left.
const MAX_PREDICATE_CHAIN: usize = 8;

/// The longest word for which a correction is looked for.
const MAX_CORRECTED_WORD: usize = 64;

/// How many alternatives an error message lists.
const MAX_ALTERNATIVES: usize = 8;

type Parsed<T> = Result<T, QueryError>;

/// Reads one statement.
pub fn parse(text: &str, dialect: Dialect) -> Result<Statement, QueryError> {
    parse_and_flag(text, dialect).map(|(statement, _)| statement)
}

/// Reads one statement, and names what in it is not of the standard, in the order of the text.
pub fn parse_and_flag(text: &str, _dialect: Dialect) -> Result<(Statement, Vec<Extension>), QueryError> {
    if text.len() > MAX_TEXT_BYTES {
        let message = format!(
            "the statement has {} bytes; at most {MAX_TEXT_BYTES} are read",
            text.len()
        );
        return Err(
            QueryError::compile(ErrorClass::LimitError, "StatementTooLong", "54000", message)
                .at(Source::new(text).position(Span::default()))
                .hint("pass data as parameters instead of writing it into the statement"),
        );
    }
    let tokens = tokenize(text)?;
    let mut parser = Parser {
        source: Source::new(text),
        tokens,
        at: 0,
        expected: Vec::new(),
        depth: 0,
        subqueries: 0,
        extensions: Vec::new(),
    };
    let statement = parser.statement()?;
    let mut extensions = parser.extensions;
    extensions.sort_by_key(|extension| extension.span.start);
    extensions.dedup_by(|later, earlier| {
        (later.span.start, &later.construct) == (earlier.span.start, &earlier.construct)
    });
    Ok((statement, extensions))
}

/// What could have stood where an error was found.
#[derive(Clone, Copy, PartialEq)]
enum Expected {
    Keyword(&'static str),
    Symbol(&'static str),
    Thing(&'static str),
}

struct Parser<'a> {
    source: Source<'a>,
    tokens: Vec<Token>,
    at: usize,
    /// What was asked for at `at` and not found; emptied by every step forward.
    expected: Vec<Expected>,
    depth: usize,
    /// How many subqueries are open.
    subqueries: usize,
    /// What is not of the standard.
    extensions: Vec<Extension>,
}

impl<'a> Parser<'a> {
    /// Notes that the text from here on is no GQL, and how GQL says the same (empty: not at all).
    fn extension(&mut self, start: Span, construct: impl Into<String>, instead: &'static str) {
        let (construct, span) = (construct.into(), start);
        self.extensions.push(Extension {
            construct,
            instead,
            span,
        });
    }

    fn token(&self) -> Token {
        self.peek(0)
    }

    /// The token `ahead` steps from here; the last one is repeated for ever.
    fn peek(&self, ahead: usize) -> Token {
        let last = self.tokens.len().saturating_sub(1);
        self.tokens
            .get((self.at + ahead).min(last))
            .copied()
            .unwrap_or(Token {
                kind: TokenKind::End,
                span: Span::default(),
            })
    }

    fn span(&self) -> Span {
        self.token().span
    }

    /// The span of the token before this one.
    fn previous_span(&self) -> Span {
        self.at
            .checked_sub(1)
            .and_then(|before| self.tokens.get(before))
            .map_or_else(Span::default, |token| token.span)
    }

    /// From a start to the last token read.
    fn since(&self, start: Span) -> Span {
        start.to(self.previous_span())
    }

    fn advance(&mut self) -> Token {
        let token = self.token();
        self.at = (self.at + 1).min(self.tokens.len().saturating_sub(1));
        self.expected.clear();
        token
    }

    fn word_at(&self, ahead: usize) -> Option<&'a str> {
        let token = self.peek(ahead);
        (token.kind == TokenKind::Word).then(|| self.source.slice(token.span))
    }

    fn at_keyword(&self, keyword: &str) -> bool {
        self.keyword_at(0, keyword)
    }

    fn keyword_at(&self, ahead: usize, keyword: &str) -> bool {
        self.word_at(ahead)
            .is_some_and(|word| word.eq_ignore_ascii_case(keyword))
    }

    fn symbol_at(&self, ahead: usize, symbol: Sym) -> bool {
        self.peek(ahead).kind == TokenKind::Sym(symbol)
    }

    fn at_symbol(&self, symbol: Sym) -> bool {
        self.symbol_at(0, symbol)
    }

    /// Remembers that `what` would have been accepted here.
    fn expect_note(&mut self, what: Expected) {
        if !self.expected.contains(&what) {
            self.expected.push(what);
        }
    }

    fn eat_keyword(&mut self, keyword: &'static str) -> bool {
        let found = self.at_keyword(keyword);
        if found {
            self.advance();
        } else {
            self.expect_note(Expected::Keyword(keyword));
        }
        found
    }

    /// Two keywords in a row, or neither.
    fn eat_keywords(&mut self, first: &'static str, second: &'static str) -> bool {
        let found = self.at_keyword(first) && self.keyword_at(1, second);
        if found {
            self.advance();
            self.advance();
        } else {
            self.expect_note(Expected::Keyword(first));
        }
        found
    }

    fn eat_symbol(&mut self, symbol: Sym) -> bool {
        let found = self.at_symbol(symbol);
        if found {
            self.advance();
        } else {
            self.expect_note(Expected::Symbol(symbol.text()));
        }
        found
    }

    fn expect_keyword(&mut self, keyword: &'static str) -> Parsed<Span> {
        let span = self.span();
        if self.eat_keyword(keyword) {
            Ok(span)
        } else {
            Err(self.unexpected())
        }
    }

    fn expect_symbol(&mut self, symbol: Sym) -> Parsed<Span> {
        let span = self.span();
        if self.eat_symbol(symbol) {
            Ok(span)
        } else {
            Err(self.unexpected())
        }
    }

    /// Fails with `what` among what was expected.
    fn missing<T>(&mut self, what: &'static str) -> Parsed<T> {
        self.expect_note(Expected::Thing(what));
        Err(self.unexpected())
    }

    /// Any name, reserved word or not: labels, types, property keys.
    fn any_name(&mut self, what: &'static str) -> Parsed<Name> {
        match self.token().kind {
            TokenKind::Word | TokenKind::QuotedName => self.take_name(),
            _ => self.missing(what),
        }
    }

    /// The name of a variable: not a reserved word, unless in backticks.
    fn variable_name(&mut self, what: &'static str) -> Parsed<Name> {
        match self.word_at(0) {
            Some(word) if words::is_reserved(word) => {
                self.expect_note(Expected::Thing(what));
                let error = self.unexpected();
                Err(error.hint(format!(
                    "{word} is a reserved word; in backticks it is a name: `{word}`"
                )))
            }
            _ => self.any_name(what),
        }
    }

    /// Whether a variable's name comes next.
    fn at_variable(&self) -> bool {
        self.variable_at(0)
    }

    fn variable_at(&self, ahead: usize) -> bool {
        match self.peek(ahead).kind {
            TokenKind::QuotedName => true,
            TokenKind::Word => !self.word_at(ahead).is_some_and(words::is_reserved),
            _ => false,
        }
    }

    fn take_name(&mut self) -> Parsed<Name> {
        let token = self.advance();
        let text = match token.kind {
            TokenKind::QuotedName => literal::text(self.source, token.span)?,
            _ => self.source.slice(token.span).to_owned(),
        };
        if text.is_empty() {
            return Err(self.error(token.span, "UnexpectedSyntax", "a name must not be empty"));
        }
        Ok(Name {
            text,
            span: token.span,
        })
    }

    /// Items with commas between them, at least one.
    fn comma_list<T>(&mut self, mut item: impl FnMut(&mut Self) -> Parsed<T>) -> Parsed<Vec<T>> {
        let mut items = vec![item(self)?];
        while self.eat_symbol(Sym::Comma) {
            items.push(item(self)?);
        }
        Ok(items)
    }

    /// Goes one level deeper, or refuses. Every call is followed by [`Parser::leave`] unless the statement is given up.
    fn enter(&mut self) -> Parsed<()> {
        if self.depth >= MAX_NESTING {
            let message = format!("the statement nests deeper than {MAX_NESTING} levels");
            return Err(
                QueryError::compile(ErrorClass::LimitError, "NestingTooDeep", "54001", message)
                    .at(self.source.position(self.span()))
                    .hint("split it with WITH or LET, or pass the nested value as a parameter"),
            );
        }
        self.depth += 1;
        Ok(())
    }

    fn leave(&mut self) {
        self.depth -= 1;
    }

    /// Runs a rule one level deeper, or refuses.
    fn nested<T>(&mut self, rule: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        self.enter()?;
        let result = rule(self);
        self.leave();
        result
    }

    /// Runs a rule within one more subquery, or refuses.
    fn in_subquery<T>(&mut self, rule: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.subqueries >= MAX_SUBQUERY_NESTING {
            let message = format!("subqueries and patterns nest deeper than {MAX_SUBQUERY_NESTING} levels");
            return Err(
                QueryError::compile(ErrorClass::LimitError, "NestingTooDeep", "54001", message)
                    .at(self.source.position(self.span())),
            );
        }
        self.subqueries += 1;
        let result = self.nested(rule);
        self.subqueries -= 1;
        result
    }

    fn error(&self, span: Span, detail: &str, message: impl Into<String>) -> QueryError {
        syntax_error(self.source, span, detail, message)
    }

    fn not_supported(&self, span: Span, what: &str, instead: &str) -> QueryError {
        crate::not_supported(self.source, span, what, instead)
    }

    /// What was found here and what would have fitted.
    fn unexpected(&self) -> QueryError {
        let found = match self.token().kind {
            TokenKind::End => "the end of the statement".to_owned(),
            TokenKind::Text => "a string".to_owned(),
            _ => shorten(self.source.slice(self.span())),
        };
        let mut message = format!("found {found}");
        if let Some((last, others)) = self.alternatives().split_last() {
            message.push_str(", expected ");
            message.push_str(&others.join(", "));
            message.push_str(if others.is_empty() { "" } else { " or " });
            message.push_str(last);
        }
        let error = self.error(self.span(), "UnexpectedSyntax", message);
        match self.correction() {
            Some(keyword) => error.hint(format!("did you mean {keyword}?")),
            None => error,
        }
    }

    fn alternatives(&self) -> Vec<String> {
        let mut all: Vec<String> = Vec::new();
        for kind in [0, 1, 2] {
            all.extend(
                self.expected
                    .iter()
                    .filter_map(|expected| match (kind, expected) {
                        (0, Expected::Thing(what)) => Some((*what).to_owned()),
                        (1, Expected::Symbol(symbol)) => Some(format!("'{symbol}'")),
                        (2, Expected::Keyword(keyword)) => Some((*keyword).to_owned()),
                        _ => None,
                    }),
            );
        }
        if all.len() > MAX_ALTERNATIVES {
            all.truncate(MAX_ALTERNATIVES - 1);
            all.push("another clause".to_owned());
        }
        all
    }

    fn correction(&self) -> Option<&'static str> {
        let word = self.word_at(0).filter(|word| word.len() <= MAX_CORRECTED_WORD)?;
        let keywords: Vec<&'static str> = self
            .expected
            .iter()
            .filter_map(|expected| {
                if let Expected::Keyword(keyword) = expected {
                    Some(*keyword)
                } else {
                    None
                }
            })
            .collect();
        nearest(word, keywords.iter().copied()).filter(|keyword| !keyword.eq_ignore_ascii_case(word))
    }
}

fn shorten(text: &str) -> String {
    const LONGEST: usize = 40;
    if text.chars().count() <= LONGEST {
        return text.to_owned();
    }
    let head: String = text.chars().take(LONGEST).collect();
    format!("{head}…")
}
