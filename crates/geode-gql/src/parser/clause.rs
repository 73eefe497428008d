//! Clauses that read: which one begins here, and the rules of MATCH, FILTER, LET, FOR and UNWIND.

use super::{Expected, Parsed, Parser};
use crate::ast::{Clause, ClauseKind, Counter};
use crate::token::Sym;

/// Words that begin a clause of the language that this version refuses, and what to use instead.
const REFUSED: &[(&str, &str)] = &[
    (
        "LOAD",
        "read the file in the client and pass its rows as a parameter: UNWIND $rows AS row",
    ),
    ("DROP", "to remove nodes and edges use MATCH … DETACH DELETE"),
];

impl Parser<'_> {
    /// The clause that begins here, or none when what follows is no clause.
    pub(super) fn clause(&mut self) -> Parsed<Option<ClauseKind>> {
        if self.eat_keyword("MATCH") {
            return self.match_clause(false).map(Some);
        }
        if self.eat_keyword("OPTIONAL") {
            if self.eat_keyword("CALL") {
                return self.call_clause(true).map(Some);
            }
            self.expect_keyword("MATCH")?;
            return self.match_clause(true).map(Some);
        }
        if self.eat_keyword("CALL") {
            return self.call_clause(false).map(Some);
        }
        if self.eat_keyword("RETURN") {
            return Ok(Some(ClauseKind::Return(self.return_projection()?)));
        }
        let start = self.span();
        if self.eat_keyword("WITH") {
            self.extension(start, "WITH", "RETURN … NEXT");
            return Ok(Some(ClauseKind::With(self.with_projection()?)));
        }
        if self.eat_keyword("FILTER") {
            self.eat_keyword("WHERE");
            return Ok(Some(ClauseKind::Filter(self.expression()?)));
        }
        if self.eat_keyword("LET") {
            let bindings = self.comma_list(|parser| {
                let name = parser.variable_name("a variable")?;
                parser.expect_symbol(Sym::Equal)?;
                Ok((name, parser.expression()?))
            })?;
            return Ok(Some(ClauseKind::Let(bindings)));
        }
        if self.eat_keyword("FOR") {
            return self.for_clause().map(Some);
        }
        if self.eat_keyword("UNWIND") {
            self.extension(start, "UNWIND", "FOR x IN list");
            let list = self.expression()?;
            self.expect_keyword("AS")?;
            let variable = self.variable_name("a variable")?;
            return Ok(Some(ClauseKind::For {
                variable,
                list,
                counter: None,
            }));
        }
        if self.eat_keyword("FOREACH") {
            self.extension(start, "FOREACH", "");
            return self.in_subquery(Self::foreach).map(Some);
        }
        if self.eat_keyword("FINISH") {
            return Ok(Some(ClauseKind::Finish));
        }
        if self.at_keyword("USE") {
            self.advance();
            return Ok(Some(ClauseKind::Use(self.graph_reference()?)));
        }
        if self.at_keyword("AT") {
            self.advance();
            return Ok(Some(ClauseKind::At(self.schema_reference()?)));
        }
        if let Some(kind) = self.write_clause()? {
            return Ok(Some(kind));
        }
        self.refuse_known_clause()?;
        Ok(None)
    }

    fn refuse_known_clause(&mut self) -> Parsed<()> {
        match REFUSED.iter().find(|(word, _)| self.at_keyword(word)) {
            Some((word, instead)) => Err(self.not_supported(self.span(), word, instead)),
            None => Ok(()),
        }
    }

    pub(super) fn match_clause(&mut self, optional: bool) -> Parsed<ClauseKind> {
        let repeatable = self.match_mode();
        let patterns = self.comma_list(Self::path_pattern)?;
        let condition = if self.eat_keyword("WHERE") {
            Some(self.expression()?)
        } else {
            None
        };
        Ok(ClauseKind::Match {
            optional,
            repeatable,
            patterns,
            condition,
        })
    }

    /// `DIFFERENT EDGES`, which is the default, or `REPEATABLE ELEMENTS` (ISO/IEC 39075, 16.4); whether it is the latter.
    fn match_mode(&mut self) -> bool {
        const MODES: [(&str, &[&str]); 2] = [
            ("REPEATABLE", &["ELEMENTS", "ELEMENT"]),
            ("DIFFERENT", &["EDGES", "EDGE", "RELATIONSHIPS", "RELATIONSHIP"]),
        ];
        for (mode, words) in MODES {
            if self.at_keyword(mode) && words.iter().any(|word| self.keyword_at(1, word)) {
                self.advance();
                self.advance();
                self.eat_keyword("BINDINGS");
                return mode == "REPEATABLE";
            }
        }
        false
    }

    /// `(variable IN list | clauses)`, all of which write.
    fn foreach(&mut self) -> Parsed<ClauseKind> {
        self.expect_symbol(Sym::LParen)?;
        let variable = self.variable_name("a variable")?;
        self.expect_keyword("IN")?;
        let list = self.expression()?;
        self.expect_symbol(Sym::Bar)?;
        let mut clauses = Vec::new();
        loop {
            let span = self.span();
            let kind = if self.eat_keyword("FOREACH") {
                self.in_subquery(Self::foreach)?
            } else if let Some(kind) = self.write_clause()? {
                kind
            } else if clauses.is_empty() {
                return self.missing("a clause that writes");
            } else {
                break;
            };
            clauses.push(Clause { kind, span });
        }
        self.expect_symbol(Sym::RParen)?;
        Ok(ClauseKind::Foreach {
            variable,
            list,
            clauses,
        })
    }

    fn for_clause(&mut self) -> Parsed<ClauseKind> {
        let variable = self.variable_name("a variable")?;
        self.expect_keyword("IN")?;
        let list = self.expression()?;
        let first = i64::from(self.keyword_at(1, "ORDINALITY"));
        // `WITH offset AS o` and `WITH offset RETURN …` are clauses of their own.
        let counted = self.at_keyword("WITH")
            && (self.keyword_at(1, "ORDINALITY") || self.keyword_at(1, "OFFSET"))
            && self.variable_at(2);
        if !counted {
            self.expect_note(Expected::Keyword("WITH"));
            return Ok(ClauseKind::For {
                variable,
                list,
                counter: None,
            });
        }
        self.advance();
        self.advance();
        let counter = Some(Counter {
            variable: self.variable_name("a variable")?,
            first,
        });
        Ok(ClauseKind::For {
            variable,
            list,
            counter,
        })
    }
}
