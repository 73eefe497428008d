//! Clauses that read: which one begins here, and the rules of MATCH, FILTER, LET, FOR and UNWIND.

use super::{Expected, Parsed, Parser};
use crate::ast::{ClauseKind, Counter};
use crate::token::Sym;

/// Words that begin a clause of the language that this version refuses, and what to use instead.
const REFUSED: &[(&str, &str)] = &[
    (
        "CALL",
        "procedures and subqueries come in a later version; write the clauses one after the other",
    ),
    ("FOREACH", "use FOR or UNWIND followed by the writing clause"),
    (
        "LOAD",
        "read the file in the client and pass its rows as a parameter: UNWIND $rows AS row",
    ),
    ("USE", "there is one graph; leave USE away"),
    ("SESSION", "pass values as parameters of each statement"),
    ("DROP", "to remove nodes and edges use MATCH … DETACH DELETE"),
];

impl Parser<'_> {
    /// The clause that begins here, or none when what follows is no clause.
    pub(super) fn clause(&mut self) -> Parsed<Option<ClauseKind>> {
        if self.eat_keyword("MATCH") {
            return self.match_clause(false).map(Some);
        }
        if self.eat_keyword("OPTIONAL") {
            self.expect_keyword("MATCH")?;
            return self.match_clause(true).map(Some);
        }
        if self.eat_keyword("RETURN") {
            return Ok(Some(ClauseKind::Return(self.return_projection()?)));
        }
        if self.eat_keyword("WITH") {
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
            let list = self.expression()?;
            self.expect_keyword("AS")?;
            let variable = self.variable_name("a variable")?;
            return Ok(Some(ClauseKind::For {
                variable,
                list,
                counter: None,
            }));
        }
        if self.eat_keyword("FINISH") {
            return Ok(Some(ClauseKind::Finish));
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
        self.refuse_match_mode()?;
        let patterns = self.comma_list(Self::path_pattern)?;
        let condition = if self.eat_keyword("WHERE") {
            Some(self.expression()?)
        } else {
            None
        };
        Ok(ClauseKind::Match {
            optional,
            patterns,
            condition,
        })
    }

    /// `DIFFERENT EDGES` is what Geode always does; `REPEATABLE ELEMENTS` would change answers and is refused.
    fn refuse_match_mode(&mut self) -> Parsed<()> {
        if self.at_keyword("REPEATABLE") && self.word_at(1).is_some() {
            let span = self.span();
            return Err(self.not_supported(
                span,
                "REPEATABLE ELEMENTS",
                "an edge is matched once within one MATCH; use two MATCH clauses",
            ));
        }
        if self.at_keyword("DIFFERENT") && (self.keyword_at(1, "EDGES") || self.keyword_at(1, "EDGE")) {
            self.advance();
            self.advance();
        }
        Ok(())
    }

    fn for_clause(&mut self) -> Parsed<ClauseKind> {
        let variable = self.variable_name("a variable")?;
        self.expect_keyword("IN")?;
        let list = self.expression()?;
        let first = i64::from(self.keyword_at(1, "ORDINALITY"));
        let counted = self.at_keyword("WITH")
            && (self.keyword_at(1, "ORDINALITY") || self.keyword_at(1, "OFFSET"))
            && self
                .word_at(2)
                .is_some_and(|word| !word.eq_ignore_ascii_case("AS"));
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
