//! Clauses that write: INSERT, CREATE, MERGE, SET, REMOVE, DELETE.

use super::{Parsed, Parser};
use crate::ast::{AccessStep, ClauseKind, Expr, ExprKind, Name, RemoveItem, SetItem};
use crate::token::Sym;

impl Parser<'_> {
    pub(super) fn write_clause(&mut self) -> Parsed<Option<ClauseKind>> {
        let start = self.span();
        let creates = self.eat_keyword("INSERT") || self.eat_keyword("CREATE");
        if creates {
            if self.source.slice(start).eq_ignore_ascii_case("CREATE") {
                self.extension(start, "CREATE of nodes and edges", "INSERT");
            }
            self.refuse_schema_statement()?;
            return Ok(Some(ClauseKind::Insert(self.comma_list(Self::path_pattern)?)));
        }
        if self.eat_keyword("MERGE") {
            self.extension(start, "MERGE", "");
            return self.merge().map(Some);
        }
        if self.eat_keyword("SET") {
            return Ok(Some(ClauseKind::Set(self.comma_list(Self::set_item)?)));
        }
        if self.eat_keyword("REMOVE") {
            return Ok(Some(ClauseKind::Remove(self.comma_list(Self::remove_item)?)));
        }
        if self.eat_keyword("DELETE") {
            return self.delete(false).map(Some);
        }
        if self.eat_keyword("DETACH") {
            self.expect_keyword("DELETE")?;
            return self.delete(true).map(Some);
        }
        if self.eat_keyword("NODETACH") {
            self.expect_keyword("DELETE")?;
            return self.delete(false).map(Some);
        }
        Ok(None)
    }

    fn refuse_schema_statement(&mut self) -> Parsed<()> {
        const OBJECTS: [&str; 7] = [
            "GRAPH", "SCHEMA", "PROPERTY", "OR", "UNIQUE", "VECTOR", "FULLTEXT",
        ];
        match self.word_at(0) {
            Some(word)
                if OBJECTS.iter().any(|object| object.eq_ignore_ascii_case(word))
                    && !self.symbol_at(1, Sym::Equal) =>
            {
                let what = format!("CREATE {}", word.to_ascii_uppercase());
                Err(self.not_supported(
                    self.span(),
                    &what,
                    "CREATE and INSERT make nodes and edges: INSERT (:Person {name: 'Ada'})",
                ))
            }
            _ => Ok(()),
        }
    }

    fn delete(&mut self, detach: bool) -> Parsed<ClauseKind> {
        Ok(ClauseKind::Delete {
            detach,
            targets: self.comma_list(Self::expression)?,
        })
    }

    fn merge(&mut self) -> Parsed<ClauseKind> {
        // The guides' `MERGE ON (n …) ON MATCH SET …` says no more than MERGE.
        if self.symbol_at(1, Sym::LParen) {
            self.eat_keyword("ON");
        }
        let pattern = self.path_pattern()?;
        let (mut on_create, mut on_match) = (Vec::new(), Vec::new());
        while self.eat_keyword("ON") {
            let list = if self.eat_keyword("CREATE") {
                &mut on_create
            } else {
                self.expect_keyword("MATCH")?;
                &mut on_match
            };
            self.expect_keyword("SET")?;
            list.extend(self.comma_list(Self::set_item)?);
        }
        Ok(ClauseKind::Merge {
            pattern,
            on_create,
            on_match,
        })
    }

    fn set_item(&mut self) -> Parsed<SetItem> {
        let target = self.write_target()?;
        match target.kind {
            ExprKind::Access(base, mut steps) => {
                let Some(AccessStep::Key(key)) = steps.pop() else {
                    return Err(self.error(
                        target.span,
                        "UnexpectedSyntax",
                        "SET needs a property here, such as n.name",
                    ));
                };
                self.expect_symbol(Sym::Equal)?;
                Ok(SetItem::Property {
                    target: shorten_access(*base, steps),
                    key,
                    value: self.expression()?,
                })
            }
            ExprKind::Variable(text) => {
                let name = Name {
                    text,
                    span: target.span,
                };
                if self.eat_symbol(Sym::Equal) {
                    return Ok(SetItem::Properties {
                        target: name,
                        value: self.expression()?,
                        merge: false,
                    });
                }
                if self.eat_symbol(Sym::PlusEqual) {
                    return Ok(SetItem::Properties {
                        target: name,
                        value: self.expression()?,
                        merge: true,
                    });
                }
                Ok(SetItem::Labels {
                    target: name,
                    labels: self.label_list()?,
                })
            }
            _ => Err(self.error(
                target.span,
                "UnexpectedSyntax",
                "SET needs a variable or a property here, such as n.name",
            )),
        }
    }

    fn remove_item(&mut self) -> Parsed<RemoveItem> {
        let target = self.write_target()?;
        match target.kind {
            ExprKind::Access(base, mut steps) => match steps.pop() {
                Some(AccessStep::Key(key)) => Ok(RemoveItem::Property {
                    target: shorten_access(*base, steps),
                    key,
                }),
                _ => Err(self.error(
                    target.span,
                    "UnexpectedSyntax",
                    "REMOVE needs a property here, such as n.name",
                )),
            },
            ExprKind::Variable(text) => Ok(RemoveItem::Labels {
                target: Name {
                    text,
                    span: target.span,
                },
                labels: self.label_list()?,
            }),
            _ => Err(self.error(
                target.span,
                "UnexpectedSyntax",
                "REMOVE needs n.property or n:Label here",
            )),
        }
    }

    /// `:A:B`, `:A&B` or `IS A & B`.
    fn label_list(&mut self) -> Parsed<Vec<Name>> {
        let start = self.span();
        if !self.at_symbol(Sym::Colon) && !self.at_keyword("IS") {
            self.eat_symbol(Sym::Dot);
            self.eat_symbol(Sym::Colon);
            return Err(self.unexpected());
        }
        let labels = self.label_part()?;
        let names = labels
            .conjunction()
            .map(|names| names.into_iter().cloned().collect());
        names.ok_or_else(|| {
            let span = self.since(start);
            self.error(
                span,
                "UnexpectedSyntax",
                "labels are set and removed by name; | ! and % have no meaning here",
            )
        })
    }
}

/// The access without its last step; without steps, the base itself.
fn shorten_access(base: Expr, steps: Vec<AccessStep>) -> Expr {
    if steps.is_empty() {
        return base;
    }
    let span = base.span;
    Expr {
        kind: ExprKind::Access(Box::new(base), steps),
        span,
    }
}
