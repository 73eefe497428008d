//! Calls with a grammar of their own: `TRIM(BOTH 'x' FROM text)`, `NORMALIZE(text, NFC)` (ISO/IEC 39075, 20.24),
//! `reduce(total = 0, x IN list | total + x)` (openCypher).

use super::{Parsed, Parser};
use crate::ast::{Expr, ExprKind, Literal, Name, NormalForm, Reduction};
use crate::token::Sym;

impl Parser<'_> {
    /// The call if the words behind the parenthesis are those of a special form; else nothing was taken.
    pub(super) fn special_call(&mut self, name: &Name) -> Parsed<Option<ExprKind>> {
        if name.text.eq_ignore_ascii_case("TRIM") {
            return self.trim(name);
        }
        if name.text.eq_ignore_ascii_case("NORMALIZE") {
            return self.normalize(name).map(Some);
        }
        let names_property = !self.symbol_at(1, Sym::Dot) && self.symbol_at(1, Sym::Comma);
        if name.text.eq_ignore_ascii_case("PROPERTY_EXISTS") && names_property {
            return self.property_exists(name).map(Some);
        }
        if name.text.eq_ignore_ascii_case("REDUCE") {
            return self.reduce().map(Some);
        }
        Ok(None)
    }

    /// `PROPERTY_EXISTS(n, name)`: the name of the property becomes the text that the function takes (ISO/IEC 39075, 19.13).
    fn property_exists(&mut self, name: &Name) -> Parsed<ExprKind> {
        let element = self.expression()?;
        self.expect_symbol(Sym::Comma)?;
        let property = self.any_name("a property name")?;
        self.expect_symbol(Sym::RParen)?;
        Ok(ExprKind::Call {
            name: name.clone(),
            distinct: false,
            arguments: vec![
                element,
                Expr {
                    kind: ExprKind::Literal(Literal::String(property.text)),
                    span: property.span,
                },
            ],
        })
    }

    fn reduce(&mut self) -> Parsed<ExprKind> {
        self.extension(self.span(), "the function reduce()", "");
        let total = self.variable_name("a variable")?;
        self.expect_symbol(Sym::Equal)?;
        let initial = self.expression()?;
        self.expect_symbol(Sym::Comma)?;
        let variable = self.variable_name("a variable")?;
        self.expect_keyword("IN")?;
        let list = self.expression()?;
        self.expect_symbol(Sym::Bar)?;
        let next = self.expression()?;
        self.expect_symbol(Sym::RParen)?;
        Ok(ExprKind::Reduce(Box::new(Reduction {
            total,
            initial,
            variable,
            list,
            next,
        })))
    }

    /// `TRIM([LEADING | TRAILING | BOTH] [characters] FROM text)`.
    fn trim(&mut self, name: &Name) -> Parsed<Option<ExprKind>> {
        let sides = [("LEADING", "lTrim"), ("TRAILING", "rTrim"), ("BOTH", "trim")];
        let side = sides.into_iter().find(|(word, _)| {
            self.at_keyword(word) && !self.symbol_at(1, Sym::Comma) && !self.symbol_at(1, Sym::RParen)
        });
        if side.is_some() {
            self.advance();
        }
        if self.eat_keyword("FROM") {
            let text = self.expression()?;
            return self.trim_call(name, side, vec![text]).map(Some);
        }
        let first = self.expression()?;
        if self.eat_keyword("FROM") {
            let text = self.expression()?;
            return self.trim_call(name, side, vec![text, first]).map(Some);
        }
        if side.is_some() {
            return Err(self.unexpected());
        }
        let mut arguments = vec![first];
        while self.eat_symbol(Sym::Comma) {
            arguments.push(self.expression()?);
        }
        self.trim_call(name, None, arguments).map(Some)
    }

    fn trim_call(
        &mut self,
        name: &Name,
        side: Option<(&str, &str)>,
        arguments: Vec<Expr>,
    ) -> Parsed<ExprKind> {
        self.expect_symbol(Sym::RParen)?;
        Ok(ExprKind::Call {
            name: Name {
                text: side
                    .map_or(name.text.as_str(), |(_, function)| function)
                    .to_owned(),
                span: name.span,
            },
            distinct: false,
            arguments,
        })
    }

    /// The form is a word, and becomes the text that the function takes.
    fn normalize(&mut self, name: &Name) -> Parsed<ExprKind> {
        let mut arguments = vec![self.expression()?];
        if self.eat_symbol(Sym::Comma) {
            let form = self.word_at(0).filter(|word| NormalForm::named(word).is_some());
            arguments.push(match form {
                Some(form) => {
                    let span = self.advance().span;
                    Expr {
                        kind: ExprKind::Literal(Literal::String(form.to_owned())),
                        span,
                    }
                }
                None => self.expression()?,
            });
        }
        self.expect_symbol(Sym::RParen)?;
        Ok(ExprKind::Call {
            name: name.clone(),
            distinct: false,
            arguments,
        })
    }
}
