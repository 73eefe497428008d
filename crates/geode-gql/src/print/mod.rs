//! The tree as text again: what is printed is read back as the same tree (`parse(print(parse(q))) = parse(q)`).
//!
//! What one construct of the tree can be written as in several ways has one here: GQL's where GQL has it. So UNWIND comes back as FOR,
//! `-->` with brackets, `x:A` as `x IS LABELED A`. Trees from elsewhere than the parser may have no text.

mod clause;
mod command;
mod expr;
mod names;
mod pattern;
mod users;

use crate::ast::{CheckpointCommand, Query, Statement};
use clause::Clauses;
use expr::quoted;
use std::fmt::{self, Display, Formatter};

impl Display for Statement {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Query(query) => match clause::shown_table(query) {
                Some(shown) => write!(f, "{shown}"),
                None => write!(f, "{query}"),
            },
            Self::Transaction(command) => write!(f, "{command}"),
            Self::Checkpoint(CheckpointCommand::Create(name)) => {
                write!(f, "CREATE CHECKPOINT {}", quoted(name))
            }
            Self::Checkpoint(CheckpointCommand::Drop(name)) => write!(f, "DROP CHECKPOINT {}", quoted(name)),
            Self::Explain(command, query) => {
                let json = if command.json { " JSON" } else { "" };
                let word = if command.profile { "PROFILE" } else { "EXPLAIN" };
                write!(f, "{word}{json} {query}")
            }
            Self::Schema(command) => write!(f, "{command}"),
            Self::Session(command) => write!(f, "SESSION {command}"),
            Self::Catalog(commands) => write!(f, "{}", Joined(commands, " ")),
            Self::KillQuery(id) => write!(f, "KILL QUERY {}", quoted(id)),
            Self::Reads(setting) => write!(f, "{setting}"),
            Self::Users(command) => write!(f, "{command}"),
        }
    }
}

impl Display for Query {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Clauses(&self.first.clauses))?;
        for (operator, linear) in &self.rest {
            write!(f, " {} {}", operator.operation.text(), Clauses(&linear.clauses))?;
        }
        Ok(())
    }
}

/// Items with a text between them.
struct Joined<'a, T>(&'a [T], &'static str);

impl<T: Display> Display for Joined<'_, T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        each(self.0, self.1, f, |item, f| write!(f, "{item}"))
    }
}

/// Prints items in a way of their own, with a text between them.
fn each<T>(
    items: &[T],
    between: &str,
    f: &mut Formatter<'_>,
    print: impl Fn(&T, &mut Formatter<'_>) -> fmt::Result,
) -> fmt::Result {
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            f.write_str(between)?;
        }
        print(item, f)?;
    }
    Ok(())
}

/// A text in front of something that may be there.
struct Opt<'a, T>(&'static str, Option<&'a T>);

impl<T: Display> Display for Opt<'_, T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.1 {
            Some(item) => write!(f, "{}{item}", self.0),
            None => Ok(()),
        }
    }
}
