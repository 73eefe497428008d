//! `CREATE INDEX`, `CREATE CONSTRAINT`, `DROP …`, `SHOW …`.
//!
//! ISO/IEC 39075 has none of them; the forms are those of Cypher, with the older `ON :Label(key)` and `ASSERT`.

use super::{Expected, Parsed, Parser};
use crate::Span;
use crate::ast::{
    Clause, ClauseKind, LinearQuery, Name, Projection, Query, RuleDefinition, RuleKind, SchemaCommand,
};
use crate::token::{Sym, TokenKind};

/// Kinds of indexes that other engines have.
const OTHER_INDEXES: [&str; 5] = ["TEXT", "POINT", "FULLTEXT", "VECTOR", "LOOKUP"];

impl Parser<'_> {
    pub(super) fn schema_command(&mut self) -> Parsed<Option<SchemaCommand>> {
        // `CREATE index = (a)-->(b)` names a path.
        if self.symbol_at(2, Sym::Equal) {
            return Ok(None);
        }
        if self.at_keyword("DROP") {
            for (object, constraint) in [("INDEX", false), ("CONSTRAINT", true)] {
                if self.keyword_at(1, object) {
                    self.advance();
                    self.advance();
                    return self.drop_rule(constraint).map(Some);
                }
            }
            return Ok(None);
        }
        if !self.at_keyword("CREATE") {
            return Ok(None);
        }
        if let Some(word) = OTHER_INDEXES.iter().find(|word| self.keyword_at(1, word))
            && self.keyword_at(2, "INDEX")
        {
            let span = self.peek(1).span;
            let what = format!("a {} index", word.to_lowercase());
            return Err(self.not_supported(
                span,
                &what,
                "CREATE INDEX finds equal values, ranges and beginnings of texts",
            ));
        }
        let ranged =
            ["RANGE", "BTREE"].iter().any(|word| self.keyword_at(1, word)) && self.keyword_at(2, "INDEX");
        if ranged || self.keyword_at(1, "INDEX") {
            self.advance();
            if ranged {
                self.advance();
            }
            self.advance();
            return self.create_index().map(Some);
        }
        if self.keyword_at(1, "CONSTRAINT") {
            self.advance();
            self.advance();
            return self.create_constraint().map(Some);
        }
        Ok(None)
    }

    fn drop_rule(&mut self, constraint: bool) -> Parsed<SchemaCommand> {
        let name = self.any_name("a name")?;
        let if_exists = self.eat_keyword("IF");
        if if_exists {
            self.expect_keyword("EXISTS")?;
        }
        Ok(SchemaCommand::Drop {
            constraint,
            name,
            if_exists,
        })
    }

    /// The name, unless `next` comes, and `IF NOT EXISTS`.
    fn rule_name(&mut self, next: &[&'static str]) -> Parsed<(Option<Name>, bool)> {
        let starts = |parser: &Self| {
            next.iter().any(|word| parser.at_keyword(word))
                || (parser.at_keyword("IF") && parser.keyword_at(1, "NOT"))
        };
        let name = if starts(self) {
            None
        } else {
            Some(self.any_name("a name")?)
        };
        let if_not_exists = self.eat_keyword("IF");
        if if_not_exists {
            self.expect_keyword("NOT")?;
            self.expect_keyword("EXISTS")?;
        }
        Ok((name, if_not_exists))
    }

    fn create_index(&mut self) -> Parsed<SchemaCommand> {
        let (name, if_not_exists) = self.rule_name(&["FOR", "ON"])?;
        let (label, keys) = if self.eat_keyword("ON") {
            // The older form: ON :Label(key, …).
            self.expect_symbol(Sym::Colon)?;
            let label = self.any_name("a label")?;
            self.expect_symbol(Sym::LParen)?;
            let keys = self.comma_list(|parser| parser.any_name("a property"))?;
            self.expect_symbol(Sym::RParen)?;
            (label, keys)
        } else {
            self.expect_keyword("FOR")?;
            let (variable, label) = self.rule_pattern("an index on edges")?;
            self.expect_keyword("ON")?;
            self.expect_symbol(Sym::LParen)?;
            let keys = self.comma_list(|parser| parser.rule_key(&variable))?;
            self.expect_symbol(Sym::RParen)?;
            (label, keys)
        };
        self.refuse_repeated(&keys)?;
        Ok(SchemaCommand::Create(RuleDefinition {
            name,
            if_not_exists,
            label,
            keys,
            kind: RuleKind::Index,
        }))
    }

    fn create_constraint(&mut self) -> Parsed<SchemaCommand> {
        let (name, if_not_exists) = self.rule_name(&["FOR", "ON"])?;
        if !self.eat_keyword("FOR") {
            self.expect_keyword("ON")?;
        }
        let (variable, label) = self.rule_pattern("a constraint on edges")?;
        let asserts = self.eat_keyword("ASSERT");
        if !asserts {
            self.expect_keyword("REQUIRE")?;
        }
        let (keys, kind) = if asserts && self.at_keyword("EXISTS") {
            self.advance();
            self.expect_symbol(Sym::LParen)?;
            let key = self.rule_key(&variable)?;
            self.expect_symbol(Sym::RParen)?;
            (vec![key], RuleKind::NotNull)
        } else {
            let keys = if self.eat_symbol(Sym::LParen) {
                let keys = self.comma_list(|parser| parser.rule_key(&variable))?;
                self.expect_symbol(Sym::RParen)?;
                keys
            } else {
                vec![self.rule_key(&variable)?]
            };
            self.expect_keyword("IS")?;
            (keys, self.rule_kind()?)
        };
        self.refuse_repeated(&keys)?;
        if let (RuleKind::NotNull | RuleKind::Typed(_), [_, second, ..]) = (&kind, keys.as_slice()) {
            let message = "this constraint is about a single property";
            return Err(self
                .error(second.span, "UnexpectedSyntax", message)
                .hint("create one constraint for each property"));
        }
        Ok(SchemaCommand::Create(RuleDefinition {
            name,
            if_not_exists,
            label,
            keys,
            kind,
        }))
    }

    fn rule_kind(&mut self) -> Parsed<RuleKind> {
        let of_node = self.eat_keyword("NODE");
        if self.eat_keyword("UNIQUE") {
            return Ok(RuleKind::Unique);
        }
        if self.eat_keyword("KEY") {
            return Ok(RuleKind::NodeKey);
        }
        if of_node {
            return Err(self.unexpected());
        }
        if self.eat_keyword("NOT") {
            self.expect_keyword("NULL")?;
            return Ok(RuleKind::NotNull);
        }
        if !self.eat_keyword("TYPED") {
            self.expect_symbol(Sym::Colon)?;
            self.expect_symbol(Sym::Colon)?;
        }
        Ok(RuleKind::Typed(self.value_type()?))
    }

    /// `(n:Label)`: the variable and the label.
    fn rule_pattern(&mut self, of_edges: &str) -> Parsed<(Name, Name)> {
        let start = self.expect_symbol(Sym::LParen)?;
        if self.at_symbol(Sym::RParen) {
            let instead = "indexes and constraints are on nodes: FOR (n:Label)";
            return Err(self.not_supported(start, of_edges, instead));
        }
        let variable = self.variable_name("a variable")?;
        self.expect_symbol(Sym::Colon)?;
        let label = self.any_name("a label")?;
        self.expect_symbol(Sym::RParen)?;
        Ok((variable, label))
    }

    /// `n.key`.
    fn rule_key(&mut self, variable: &Name) -> Parsed<Name> {
        let start = self.span();
        let name = self.variable_name("a variable")?;
        if name.text != variable.text {
            let message = format!("the variable {} is not defined here", name.text);
            return Err(self
                .error(start, "UndefinedVariable", message)
                .hint(format!("the pattern names {}", variable.text)));
        }
        self.expect_symbol(Sym::Dot)?;
        self.any_name("a property")
    }

    fn refuse_repeated(&self, keys: &[Name]) -> Parsed<()> {
        for (at, key) in keys.iter().enumerate() {
            if keys[..at].iter().any(|before| before.text == key.text) {
                let message = format!("the property {} stands twice", key.text);
                return Err(self.error(key.span, "UnexpectedSyntax", message));
            }
        }
        Ok(())
    }

    /// `SHOW INDEXES`, `CONSTRAINTS`, `USERS`, `ROLES`, `GRANTS`: the system table of that name, with `YIELD`, `WHERE` and `RETURN`.
    pub(super) fn show(&mut self) -> Parsed<Option<Query>> {
        let start = self.span();
        if !self.at_keyword("SHOW") || !matches!(self.peek(1).kind, TokenKind::Word) {
            return Ok(None);
        }
        self.advance();
        if !self.eat_keyword("ALL") {
            self.eat_keyword("RANGE");
        }
        let table = if self.eat_keyword("INDEXES") || self.eat_keyword("INDEX") {
            "indexes"
        } else if self.eat_keyword("CONSTRAINTS") || self.eat_keyword("CONSTRAINT") {
            "constraints"
        } else if self.eat_keyword("USERS") {
            "users"
        } else if self.eat_keyword("ROLES") {
            "roles"
        } else if self.eat_keyword("GRANTS") {
            "grants"
        } else {
            return Err(self.unexpected());
        };
        let span = self.since(start);
        let part = |text: &str| Name {
            text: text.to_owned(),
            span,
        };
        let mut clauses = vec![Clause {
            kind: ClauseKind::Table(vec![part("system"), part(table)]),
            span,
        }];
        self.shown(span, &mut clauses)?;
        let first = LinearQuery {
            clauses,
            span: self.since(start),
        };
        Ok(Some(Query {
            first,
            rest: Vec::new(),
        }))
    }

    fn shown(&mut self, shown: Span, clauses: &mut Vec<Clause>) -> Parsed<()> {
        let everything = |span| Projection {
            star: Some(span),
            ..Projection::default()
        };
        let mut last = everything(shown);
        let span = self.span();
        if self.eat_keyword("YIELD") {
            last = self.with_projection()?;
        } else if self.eat_keyword("WHERE") {
            let condition = self.expression()?;
            clauses.push(Clause {
                kind: ClauseKind::Filter(condition),
                span,
            });
        }
        let span = self.span();
        if self.at_keyword("RETURN") {
            clauses.push(Clause {
                kind: ClauseKind::With(last),
                span: shown,
            });
            self.advance();
            last = self.return_projection()?;
        } else if last.condition.is_some() {
            clauses.push(Clause {
                kind: ClauseKind::With(last),
                span: shown,
            });
            last = everything(shown);
        } else {
            self.expect_note(Expected::Keyword("RETURN"));
        }
        clauses.push(Clause {
            kind: ClauseKind::Return(last),
            span,
        });
        Ok(())
    }
}
