//! `n {.name, .*, age: 36, other}`: maps of properties and other values (Cypher).

use super::{Parsed, Parser};
use crate::ast::{AccessStep, Expr, ExprKind, MapProjection, Name};
use crate::token::Sym;

/// One element between the braces.
enum Element {
    All,
    Entry(Name, Expr),
}

impl Parser<'_> {
    /// Behind the variable, at the brace.
    pub(super) fn map_projection(&mut self, base: Expr) -> Parsed<Expr> {
        let start = base.span;
        self.extension(start, "a map projection", "a record: {name: n.name}");
        self.advance();
        let (mut all, mut entries) = (false, Vec::new());
        if !self.eat_symbol(Sym::RBrace) {
            for element in self.comma_list(|parser| parser.projected_element(&base))? {
                match element {
                    Element::All => all = true,
                    Element::Entry(key, value) => entries.push((key, value)),
                }
            }
            self.expect_symbol(Sym::RBrace)?;
        }
        Ok(Expr {
            kind: ExprKind::MapProjection(Box::new(MapProjection { base, all, entries })),
            span: self.since(start),
        })
    }

    fn projected_element(&mut self, base: &Expr) -> Parsed<Element> {
        if self.eat_symbol(Sym::Dot) {
            if self.eat_symbol(Sym::Star) {
                return Ok(Element::All);
            }
            let key = self.any_name("a property name")?;
            let kind = ExprKind::Access(Box::new(base.clone()), vec![AccessStep::Key(key.clone())]);
            let span = key.span;
            return Ok(Element::Entry(key, Expr { kind, span }));
        }
        let key = self.any_name("a key")?;
        let value = if self.eat_symbol(Sym::Colon) {
            self.expression()?
        } else {
            Expr {
                kind: ExprKind::Variable(key.text.clone()),
                span: key.span,
            }
        };
        Ok(Element::Entry(key, value))
    }
}
