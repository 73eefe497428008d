//! Operators: precedence climbing over [`Level`]s, loosest first.
//!
//! Operands of one level become one list, so a chain of a hundred thousand ANDs is flat. From loose to tight: OR, XOR, AND, NOT,
//! comparison, string/list/null predicates, `+ - ||`, `* / %`, `^`, signs, access. That is openCypher's order, and where ISO 39075 has
//! the operator, ISO's too.

use super::{Expected, Parsed, Parser};
use crate::ast::{
    BinaryOp, CompareOp, Expr, ExprKind, Literal, LogicalOp, NormalForm, Predicate, StringOp, UnaryOp,
};
use crate::token::{Sym, TokenKind};
use crate::{Span, literal};
use geode_types::QueryError;

/// What the flagger calls it.
pub(super) const PREDICATE_IN: &str = "the predicate IN";

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    Or,
    Xor,
    And,
    Not,
    Compare,
    Predicate,
    Sum,
    Product,
    Power,
    Sign,
}

#[derive(Clone, Copy, PartialEq)]
enum Infix {
    Logical(LogicalOp),
    Compare(CompareOp),
    Predicate,
    Binary(BinaryOp),
}

impl Parser<'_> {
    /// An expression, one nesting level deeper.
    ///
    /// The rules from here down to [`Parser::primary`] call each other once per level of nesting, so they keep their frames small:
    /// whatever needs room has a function of its own beside this path.
    pub(super) fn expression(&mut self) -> Parsed<Expr> {
        self.enter()?;
        let expr = self.operand(Level::Or);
        self.leave();
        expr
    }

    /// An expression whose operators all bind at least as tightly as `loosest`.
    fn operand(&mut self, loosest: Level) -> Parsed<Expr> {
        let mut left = self.prefixed(loosest);
        while left.is_ok()
            && let Some((infix, level)) = self.infix()
            && level >= loosest
        {
            left = left.and_then(|left| self.extended(left, infix, level));
        }
        left
    }

    fn extended(&mut self, left: Expr, infix: Infix, level: Level) -> Parsed<Expr> {
        match infix {
            Infix::Logical(op) => self.logical_chain(left, op, level),
            Infix::Compare(_) => self.comparison_chain(left),
            Infix::Predicate => self.predicate(left),
            Infix::Binary(_) => self.binary_chain(left, level),
        }
    }

    fn prefixed(&mut self, loosest: Level) -> Parsed<Expr> {
        if self.at_keyword("NOT") {
            return self.negation(loosest);
        }
        if self.at_symbol(Sym::Minus) || self.at_symbol(Sym::Plus) {
            return self.signed();
        }
        self.postfix_expression()
    }

    fn negation(&mut self, loosest: Level) -> Parsed<Expr> {
        let start = self.span();
        if loosest > Level::Not {
            return Err(self.misplaced_not());
        }
        self.advance();
        self.enter()?;
        let operand = self.operand(Level::Not);
        self.leave();
        operand.map(|operand| self.unary(UnaryOp::Not, operand, start))
    }

    fn misplaced_not(&mut self) -> QueryError {
        self.expect_note(Expected::Thing("an expression"));
        self.unexpected()
            .hint("NOT binds looser than the operator before it; put (NOT …) in parentheses")
    }

    fn signed(&mut self) -> Parsed<Expr> {
        let start = self.span();
        let op = if self.at_symbol(Sym::Minus) {
            UnaryOp::Minus
        } else {
            UnaryOp::Plus
        };
        self.advance();
        if op == UnaryOp::Minus && self.at_negative_integer() {
            return self.negative_integer(start);
        }
        self.enter()?;
        let operand = self.prefixed(Level::Sign);
        self.leave();
        operand.map(|operand| self.unary(op, operand, start))
    }

    fn unary(&self, op: UnaryOp, operand: Expr, start: Span) -> Expr {
        Expr {
            kind: ExprKind::Unary(op, Box::new(operand)),
            span: self.since(start),
        }
    }

    /// `-9223372036854775808` is a number although its magnitude alone is none, so a sign directly before digits belongs to them.
    fn at_negative_integer(&self) -> bool {
        let followed_by_access = matches!(self.peek(1).kind, TokenKind::Sym(Sym::Dot | Sym::LBracket));
        self.token().kind == TokenKind::Int && !followed_by_access
    }

    fn negative_integer(&mut self, start: Span) -> Parsed<Expr> {
        let digits = self.span();
        let magnitude = literal::integer(self.source.slice(digits));
        let Some(number) = magnitude.and_then(|magnitude| 0i64.checked_sub_unsigned(magnitude)) else {
            return Err(self.integer_overflow(digits));
        };
        self.advance();
        Ok(Expr {
            kind: ExprKind::Literal(Literal::Int(number)),
            span: self.since(start),
        })
    }

    /// The operator that comes next, without taking it.
    fn infix(&self) -> Option<(Infix, Level)> {
        let binary = |op, level| Some((Infix::Binary(op), level));
        let compare = |op| Some((Infix::Compare(op), Level::Compare));
        match self.token().kind {
            TokenKind::Sym(Sym::Plus) => binary(BinaryOp::Add, Level::Sum),
            TokenKind::Sym(Sym::Minus) => binary(BinaryOp::Subtract, Level::Sum),
            TokenKind::Sym(Sym::BarBar) => binary(BinaryOp::Concat, Level::Sum),
            TokenKind::Sym(Sym::Star) => binary(BinaryOp::Multiply, Level::Product),
            TokenKind::Sym(Sym::Slash) => binary(BinaryOp::Divide, Level::Product),
            TokenKind::Sym(Sym::Percent) => binary(BinaryOp::Modulo, Level::Product),
            TokenKind::Sym(Sym::Caret) => binary(BinaryOp::Power, Level::Power),
            TokenKind::Sym(Sym::Equal) => compare(CompareOp::Equal),
            TokenKind::Sym(Sym::LessGreater | Sym::BangEqual) => compare(CompareOp::NotEqual),
            TokenKind::Sym(Sym::Less) => compare(CompareOp::Less),
            TokenKind::Sym(Sym::LessEqual) => compare(CompareOp::LessEqual),
            TokenKind::Sym(Sym::Greater) => compare(CompareOp::Greater),
            TokenKind::Sym(Sym::GreaterEqual) => compare(CompareOp::GreaterEqual),
            TokenKind::Word => self.infix_word(),
            _ => None,
        }
    }

    fn infix_word(&self) -> Option<(Infix, Level)> {
        if self.at_keyword("AND") {
            return Some((Infix::Logical(LogicalOp::And), Level::And));
        }
        if self.at_keyword("OR") {
            return Some((Infix::Logical(LogicalOp::Or), Level::Or));
        }
        if self.at_keyword("XOR") {
            return Some((Infix::Logical(LogicalOp::Xor), Level::Xor));
        }
        let predicate = self.at_keyword("IS")
            || self.at_keyword("IN")
            || self.at_keyword("CONTAINS")
            || (self.keyword_at(1, "WITH") && (self.at_keyword("STARTS") || self.at_keyword("ENDS")));
        predicate.then_some((Infix::Predicate, Level::Predicate))
    }

    fn logical_chain(&mut self, left: Expr, op: LogicalOp, level: Level) -> Parsed<Expr> {
        let tighter = match level {
            Level::Or => Level::Xor,
            Level::Xor => Level::And,
            _ => Level::Not,
        };
        let start = left.span;
        let mut operands = vec![left];
        while self.infix().is_some_and(|(infix, _)| infix == Infix::Logical(op)) {
            self.advance();
            operands.push(self.operand(tighter)?);
        }
        Ok(Expr {
            kind: ExprKind::Logical(op, operands),
            span: self.since(start),
        })
    }

    fn comparison_chain(&mut self, left: Expr) -> Parsed<Expr> {
        let start = left.span;
        let mut rest = Vec::new();
        while let Some((Infix::Compare(op), _)) = self.infix() {
            if self.at_symbol(Sym::BangEqual) {
                self.extension(self.span(), "the operator !=", "<>");
            }
            self.advance();
            rest.push((op, self.operand(Level::Predicate)?));
        }
        Ok(Expr {
            kind: ExprKind::Compare(Box::new(left), rest),
            span: self.since(start),
        })
    }

    fn binary_chain(&mut self, left: Expr, level: Level) -> Parsed<Expr> {
        let tighter = match level {
            Level::Sum => Level::Product,
            Level::Product => Level::Power,
            _ => Level::Sign,
        };
        let start = left.span;
        let mut rest = Vec::new();
        while let Some((Infix::Binary(op), found)) = self.infix() {
            if found != level {
                break;
            }
            self.advance();
            rest.push((op, self.operand(tighter)?));
        }
        Ok(Expr {
            kind: ExprKind::Chain(Box::new(left), rest),
            span: self.since(start),
        })
    }

    /// `IS …`, `IN …`, `STARTS WITH …`, `ENDS WITH …`, `CONTAINS …` after their left operand. These nest to the left, so each
    /// one counts as a level.
    fn predicate(&mut self, first: Expr) -> Parsed<Expr> {
        let start = first.span;
        let mut left = first;
        let mut links = 0;
        while let Some((Infix::Predicate, _)) = self.infix() {
            links += 1;
            if links > super::MAX_PREDICATE_CHAIN {
                return Err(self.error(
                    self.span(),
                    "NestingTooDeep",
                    "too many predicates follow one another; use parentheses and AND",
                ));
            }
            let kind = if self.at_keyword("IS") {
                self.is_predicate(left)?
            } else if self.at_keyword("IN") {
                self.extension(self.span(), PREDICATE_IN, "");
                self.advance();
                ExprKind::In(Box::new(left), Box::new(self.operand(Level::Sum)?))
            } else {
                self.extension(self.span(), "STARTS WITH, ENDS WITH and CONTAINS", "");
                let op = self.string_operator();
                ExprKind::StringMatch(op, Box::new(left), Box::new(self.operand(Level::Sum)?))
            };
            left = Expr {
                kind,
                span: self.since(start),
            };
        }
        Ok(left)
    }

    fn string_operator(&mut self) -> StringOp {
        if self.at_keyword("CONTAINS") {
            self.advance();
            return StringOp::Contains;
        }
        let op = if self.at_keyword("STARTS") {
            StringOp::StartsWith
        } else {
            StringOp::EndsWith
        };
        self.advance();
        self.advance();
        op
    }

    fn is_predicate(&mut self, left: Expr) -> Parsed<ExprKind> {
        self.advance();
        let negated = self.eat_keyword("NOT");
        let left = Box::new(left);
        if self.eat_keyword("NULL") {
            return Ok(ExprKind::IsNull(left, negated));
        }
        for (word, truth) in [("TRUE", Some(true)), ("FALSE", Some(false)), ("UNKNOWN", None)] {
            if self.eat_keyword(word) {
                return Ok(ExprKind::IsTruth(left, truth, negated));
            }
        }
        if self.at_keyword("LABELED") {
            let labels = self.label_part()?;
            return Ok(ExprKind::IsLabeled(left, labels, negated));
        }
        match self.special_predicate()? {
            Some(predicate) => Ok(ExprKind::Is(left, Box::new(predicate), negated)),
            None => {
                self.expect_note(Expected::Keyword("LABELED"));
                Err(self.unexpected())
            }
        }
    }

    fn special_predicate(&mut self) -> Parsed<Option<Predicate>> {
        if self.eat_keyword("TYPED") || self.eat_double_colon() {
            return self.value_type().map(|ty| Some(Predicate::Typed(ty)));
        }
        if let Some(form) = self.normal_form() {
            self.expect_keyword("NORMALIZED")?;
            return Ok(Some(Predicate::Normalized(form)));
        }
        let (directed, source) = (self.at_keyword("DIRECTED"), self.at_keyword("SOURCE"));
        if !directed && !source && !self.at_keyword("DESTINATION") {
            return Ok(None);
        }
        self.advance();
        if directed {
            return Ok(Some(Predicate::Directed));
        }
        self.expect_keyword("OF")?;
        let edge = self.operand(Level::Sum)?;
        Ok(Some(if source {
            Predicate::Source(edge)
        } else {
            Predicate::Destination(edge)
        }))
    }

    /// `::`, which is two tokens.
    fn eat_double_colon(&mut self) -> bool {
        let found = self.at_symbol(Sym::Colon) && self.symbol_at(1, Sym::Colon);
        if found {
            self.advance();
            self.advance();
        }
        found
    }

    /// The form that stands before NORMALIZED, which is NFC when none does.
    fn normal_form(&mut self) -> Option<NormalForm> {
        if self.at_keyword("NORMALIZED") {
            return Some(NormalForm::Nfc);
        }
        let form = self.word_at(0).and_then(NormalForm::named)?;
        self.advance();
        Some(form)
    }
}
