//! Value types (ISO/IEC 39075, 18.9), and literals that begin with the name of a type: `DATE '2015-07-21'`, `INTERVAL '7' DAY`.

use super::{Parsed, Parser};
use crate::Span;
use crate::ast::{Expr, ExprKind, Literal, Name, ValueType};
use crate::literal;
use crate::token::{Sym, TokenKind};
use geode_types::temporal::{Duration, TemporalError};
use geode_types::{QueryError, Temporal, TemporalKind};

const KNOWN: &str = "there are BOOL, STRING, BYTES, INT, FLOAT, DECIMAL, DATE, LOCAL TIME, ZONED TIME, LOCAL DATETIME, ZONED DATETIME, DURATION, LIST<…>, RECORD, NODE, EDGE, PATH and ANY";

/// Types of one word.
const WORDS: &[(&str, ValueType)] = &[
    ("NULL", ValueType::Null),
    ("NOTHING", ValueType::Nothing),
    ("BOOL", ValueType::Bool),
    ("BOOLEAN", ValueType::Bool),
    ("FLOAT", ValueType::Float),
    ("FLOAT64", ValueType::Float),
    ("REAL", ValueType::Float),
    ("DATE", ValueType::Temporal(TemporalKind::Date)),
    ("LOCALTIME", ValueType::Temporal(TemporalKind::LocalTime)),
    ("LOCALDATETIME", ValueType::Temporal(TemporalKind::LocalDateTime)),
    ("DATETIME", ValueType::Temporal(TemporalKind::DateTime)),
    ("RECORD", ValueType::Record),
    ("MAP", ValueType::Record),
    ("NODE", ValueType::Node),
    ("VERTEX", ValueType::Node),
    ("EDGE", ValueType::Edge),
    ("RELATIONSHIP", ValueType::Edge),
    ("PATH", ValueType::Path),
    ("INT", ValueType::INT),
    ("INTEGER", ValueType::INT),
    ("SIGNED", ValueType::INT),
    ("BIGINT", ValueType::INT),
    ("BIG", ValueType::INT),
    ("INT64", ValueType::INT),
    ("INTEGER64", ValueType::INT),
    ("INT8", signed(8)),
    ("INTEGER8", signed(8)),
    ("INT16", signed(16)),
    ("INTEGER16", signed(16)),
    ("SMALLINT", signed(16)),
    ("SMALL", signed(16)),
    ("INT32", signed(32)),
    ("INTEGER32", signed(32)),
    ("UINT8", unsigned(8)),
    ("UINT16", unsigned(16)),
    ("USMALLINT", unsigned(16)),
    ("UINT32", unsigned(32)),
    ("UINT64", unsigned(64)),
    ("UINT", unsigned(64)),
    ("UBIGINT", unsigned(64)),
    ("UNSIGNED", unsigned(64)),
];

const fn signed(bits: u32) -> ValueType {
    ValueType::Int {
        least: i64::MIN >> (64 - bits),
        most: i64::MAX >> (64 - bits),
    }
}

/// Integers have 63 bits above zero, so the widest unsigned type ends there.
const fn unsigned(bits: u32) -> ValueType {
    ValueType::Int {
        least: 0,
        most: if bits < 64 { (1 << bits) - 1 } else { i64::MAX },
    }
}

impl Parser<'_> {
    /// A type, or several with bars between them.
    pub(super) fn value_type(&mut self) -> Parsed<ValueType> {
        self.enter()?;
        let mut types = vec![self.single_type()?];
        while self.eat_symbol(Sym::Bar) {
            types.push(self.single_type()?);
        }
        self.leave();
        Ok(if types.len() == 1 {
            types.swap_remove(0)
        } else {
            ValueType::Union(types)
        })
    }

    fn single_type(&mut self) -> Parsed<ValueType> {
        let mut found = self.plain_type()?;
        loop {
            if self.eat_keywords("NOT", "NULL") {
                found = ValueType::NotNull(Box::new(found));
            } else if self.eat_keyword("LIST") || self.eat_keyword("ARRAY") {
                found = ValueType::List(Box::new(found));
            } else {
                return Ok(found);
            }
        }
    }

    fn plain_type(&mut self) -> Parsed<ValueType> {
        let name = self.any_name("a type")?;
        let is = |known: &[&str]| known.iter().any(|known| known.eq_ignore_ascii_case(&name.text));
        if is(&["ANY"]) {
            return self.any_type();
        }
        if is(&["LIST", "ARRAY"]) {
            return self.list_type();
        }
        if is(&["STRING", "VARCHAR", "CHAR", "TEXT"]) {
            return Ok(ValueType::String(self.length()?));
        }
        if is(&["BYTES", "VARBINARY", "BINARY"]) {
            return Ok(ValueType::Bytes(self.length()?));
        }
        if is(&["DECIMAL", "DEC", "NUMERIC"]) {
            return self.decimal_type();
        }
        if is(&["DOUBLE"]) {
            self.eat_keyword("PRECISION");
            return Ok(ValueType::Float);
        }
        if is(&["DURATION"]) {
            return self.duration_type();
        }
        if let Some(kind) = self.time_type(&name)? {
            return Ok(ValueType::Temporal(kind));
        }
        let found = WORDS
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(&name.text));
        let Some((word, found)) = found else {
            let message = format!("there is no type {}", name.text);
            return Err(self.error(name.span, "UnknownType", message).hint(KNOWN));
        };
        if ["SIGNED", "UNSIGNED", "BIG", "SMALL"].contains(word) {
            self.eat_keyword("INTEGER");
            self.eat_keyword("INT");
        }
        Ok(found.clone())
    }

    /// Behind `ANY`: nothing, `VALUE`, what it may be, or a kind of graph element.
    fn any_type(&mut self) -> Parsed<ValueType> {
        self.eat_keyword("VALUE");
        if self.eat_symbol(Sym::Less) {
            let inner = self.value_type()?;
            self.expect_symbol(Sym::Greater)?;
            return Ok(inner);
        }
        let narrower = ["NODE", "VERTEX", "EDGE", "RELATIONSHIP", "RECORD", "MAP", "PATH"];
        if narrower.iter().any(|word| self.at_keyword(word)) {
            return self.plain_type();
        }
        Ok(ValueType::Any)
    }

    fn list_type(&mut self) -> Parsed<ValueType> {
        let element = if self.eat_symbol(Sym::Less) {
            let element = self.value_type()?;
            self.expect_symbol(Sym::Greater)?;
            element
        } else {
            ValueType::Any
        };
        Ok(ValueType::List(Box::new(element)))
    }

    fn decimal_type(&mut self) -> Parsed<ValueType> {
        if !self.eat_symbol(Sym::LParen) {
            return Ok(ValueType::Decimal(None));
        }
        let precision = self.small_number()?;
        let scale = if self.eat_symbol(Sym::Comma) {
            self.small_number()?
        } else {
            0
        };
        let closed = self.expect_symbol(Sym::RParen)?;
        if precision == 0 || precision > 28 || scale > precision {
            let message = "a decimal has 1 to 28 digits, of which not more than all stand behind the point";
            return Err(self.error(closed, "UnknownType", message));
        }
        Ok(ValueType::Decimal(Some((precision, scale))))
    }

    /// The qualifier says which parts are used; a duration has room for all of them.
    fn duration_type(&mut self) -> Parsed<ValueType> {
        if self.eat_symbol(Sym::LParen) {
            let found = self.eat_keywords("YEAR", "TO") && self.eat_keyword("MONTH")
                || self.eat_keywords("DAY", "TO") && self.eat_keyword("SECOND");
            if !found {
                return self.missing("YEAR TO MONTH or DAY TO SECOND");
            }
            self.expect_symbol(Sym::RParen)?;
        }
        Ok(ValueType::Temporal(TemporalKind::Duration))
    }

    fn time_type(&mut self, name: &Name) -> Parsed<Option<TemporalKind>> {
        let is = |known: &str| known.eq_ignore_ascii_case(&name.text);
        if is("LOCAL") || is("ZONED") {
            let local = is("LOCAL");
            let time = self.eat_keyword("TIME");
            if !time && !self.eat_keyword("DATETIME") && !self.eat_keyword("TIMESTAMP") {
                return Err(self.unexpected());
            }
            return Ok(Some(match (local, time) {
                (true, true) => TemporalKind::LocalTime,
                (true, false) => TemporalKind::LocalDateTime,
                (false, true) => TemporalKind::Time,
                (false, false) => TemporalKind::DateTime,
            }));
        }
        if is("TIME") {
            let without = self.zone_words()? == Some(false);
            return Ok(Some(if without {
                TemporalKind::LocalTime
            } else {
                TemporalKind::Time
            }));
        }
        if is("TIMESTAMP") {
            let with = self.zone_words()? == Some(true);
            return Ok(Some(if with {
                TemporalKind::DateTime
            } else {
                TemporalKind::LocalDateTime
            }));
        }
        Ok(None)
    }

    /// `WITH TIME ZONE`, `WITHOUT TIME ZONE` or nothing.
    fn zone_words(&mut self) -> Parsed<Option<bool>> {
        let with = self.at_keyword("WITH") && self.keyword_at(1, "TIME");
        let without = self.at_keyword("WITHOUT") && self.keyword_at(1, "TIME");
        if !with && !without {
            return Ok(None);
        }
        self.advance();
        self.expect_keyword("TIME")?;
        self.expect_keyword("ZONE")?;
        Ok(Some(with))
    }

    /// `(30)`.
    fn length(&mut self) -> Parsed<Option<u32>> {
        if !self.eat_symbol(Sym::LParen) {
            return Ok(None);
        }
        let length = self.small_number()?;
        self.expect_symbol(Sym::RParen)?;
        Ok(Some(length))
    }

    fn small_number(&mut self) -> Parsed<u32> {
        let token = self.token();
        if token.kind != TokenKind::Int {
            return self.missing("a number");
        }
        let number =
            literal::integer(self.source.slice(token.span)).and_then(|number| u32::try_from(number).ok());
        self.advance();
        number.ok_or_else(|| self.integer_overflow(token.span))
    }

    /// `DATE '…'` and its kin, when a string stands behind the word. A time without offset or zone is a local one.
    pub(super) fn typed_literal(&mut self) -> Parsed<Option<Expr>> {
        if self.peek(1).kind != TokenKind::Text {
            return Ok(None);
        }
        let choices: &[TemporalKind] = match self.word_at(0).map(str::to_ascii_uppercase).as_deref() {
            Some("DATE") => &[TemporalKind::Date],
            Some("TIME") => &[TemporalKind::LocalTime, TemporalKind::Time],
            Some("DATETIME" | "TIMESTAMP") => &[TemporalKind::LocalDateTime, TemporalKind::DateTime],
            Some("DURATION") => &[TemporalKind::Duration],
            Some("INTERVAL") => return self.interval().map(Some),
            _ => return Ok(None),
        };
        let start = self.advance().span;
        let span = self.advance().span;
        let text = literal::text(self.source, span)?;
        let mut read = Err(TemporalError::Components(String::new()));
        for kind in choices {
            read = Temporal::parse(*kind, &text);
            if read.is_ok() {
                break;
            }
        }
        self.temporal_literal(read, start, span).map(Some)
    }

    /// `INTERVAL '7 days'`, `INTERVAL '7' DAY`, `INTERVAL '1-6' YEAR TO MONTH`, `INTERVAL '1 02:03:04' DAY TO SECOND`.
    fn interval(&mut self) -> Parsed<Expr> {
        let start = self.advance().span;
        let span = self.advance().span;
        let text = literal::text(self.source, span)?;
        let mut unit = None;
        let units = [
            "YEAR", "QUARTER", "MONTH", "WEEK", "DAY", "HOUR", "MINUTE", "SECOND",
        ];
        if let Some(word) = units.into_iter().find(|word| self.at_keyword(word)) {
            self.advance();
            unit = Some(word);
            let range = match word {
                "YEAR" => Some(("MONTH", "YEAR TO MONTH")),
                "DAY" => Some(("SECOND", "DAY TO SECOND")),
                _ => None,
            };
            if let Some((last, range)) = range
                && self.eat_keyword("TO")
            {
                self.expect_keyword(last)?;
                unit = Some(range);
            }
        }
        self.temporal_literal(
            Duration::parse_interval(&text, unit).map(Temporal::from),
            start,
            span,
        )
    }

    fn temporal_literal(
        &self,
        read: Result<Temporal, TemporalError>,
        start: Span,
        text: Span,
    ) -> Parsed<Expr> {
        let value = read.map_err(|failure| {
            let mut error: QueryError = self.error(text, "InvalidLiteral", failure.to_string());
            failure.gqlstatus().clone_into(&mut error.gqlstatus);
            error
        })?;
        Ok(Expr {
            kind: ExprKind::Literal(Literal::Temporal(value)),
            span: self.since(start),
        })
    }
}
