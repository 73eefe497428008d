//! Clauses, and the statements that become several of them: SELECT, NEXT, SHOW.

use super::expr::accessible;
use super::names::Key;
use super::{Joined, Opt, each};
use crate::ast::{
    Clause, ClauseKind, Expr, Name, ProcedureCall, Projection, ProjectionItem, Query, RemoveItem, SetItem,
    SortItem, Yield,
};
use std::fmt::{self, Display, Formatter};

/// The clauses of a linear query. A table and a braced query can only be written as the FROM of the SELECT that they come from, and a
/// composite query behind others only with NEXT before it.
pub(super) struct Clauses<'a>(pub &'a [Clause]);

impl Display for Clauses<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        let mut blank = "";
        while let [clause, behind @ ..] = rest {
            f.write_str(std::mem::replace(&mut blank, " "))?;
            if let Some((select, behind)) = selected(rest) {
                let next = if behind.is_empty() { "" } else { " NEXT" };
                write!(f, "{select}{next}")?;
                rest = behind;
                continue;
            }
            let before_composite =
                matches!(behind.first(), Some(next) if is_composite(next)) && selected(behind).is_none();
            match &clause.kind {
                ClauseKind::With(projection) if before_composite => write!(f, "RETURN {projection} NEXT")?,
                ClauseKind::Composite(query) if !behind.is_empty() => write!(f, "{query} NEXT")?,
                kind => write!(f, "{kind}")?,
            }
            rest = behind;
        }
        Ok(())
    }
}

fn is_composite(clause: &Clause) -> bool {
    matches!(clause.kind, ClauseKind::Composite(_))
}

/// `SELECT items FROM source WHERE condition …`.
struct Select<'a> {
    source: Option<&'a ClauseKind>,
    condition: Option<&'a Expr>,
    projection: &'a Projection,
}

/// The SELECT that the first clauses are, and the clauses behind it: one with HAVING, or from what cannot stand as a clause.
fn selected(clauses: &[Clause]) -> Option<(Select<'_>, &[Clause])> {
    let (source, rest) = match clauses {
        [first, rest @ ..] if is_composite(first) || matches!(first.kind, ClauseKind::Table(_)) => {
            (Some(&first.kind), rest)
        }
        rest => (None, rest),
    };
    let (condition, rest) = match source {
        Some(_) => filtered(rest),
        None => (None, rest),
    };
    let (last, behind) = rest.split_first()?;
    let (ClauseKind::Return(projection) | ClauseKind::With(projection)) = &last.kind else {
        return None;
    };
    let select = Select {
        source,
        condition,
        projection,
    };
    let is_select = (source.is_some() || projection.having.is_some()) && projection.condition.is_none();
    is_select.then_some((select, behind))
}

/// The condition of a FILTER that comes first, and the clauses behind it.
fn filtered(clauses: &[Clause]) -> (Option<&Expr>, &[Clause]) {
    match clauses.split_first() {
        Some((first, rest)) => match &first.kind {
            ClauseKind::Filter(condition) => (Some(condition), rest),
            _ => (None, clauses),
        },
        None => (None, clauses),
    }
}

impl Display for Select<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "SELECT {}", Items(self.projection))?;
        match self.source {
            Some(ClauseKind::Table(name)) => write!(f, " FROM {}", Dotted(name))?,
            Some(ClauseKind::Composite(query)) => write!(f, " FROM {{ {query} }}")?,
            _ => {}
        }
        write!(f, "{}{}", Opt(" WHERE ", self.condition), Behind(self.projection))
    }
}

/// A table whose rows go through WITH comes from SHOW.
pub(super) fn shown_table(query: &Query) -> Option<impl Display + '_> {
    let (table, rest) = query.first.clauses.split_first()?;
    let ClauseKind::Table(name) = &table.kind else {
        return None;
    };
    let (condition, rest) = filtered(rest);
    let [yielded, returned] = rest else {
        return None;
    };
    match (&yielded.kind, &returned.kind) {
        (ClauseKind::With(yielded), ClauseKind::Return(returned)) => Some(Shown {
            table: &name.last()?.text,
            condition,
            yielded,
            returned,
        }),
        _ => None,
    }
}

/// `SHOW INDEXES YIELD … RETURN …` or `SHOW INDEXES WHERE … RETURN …`.
struct Shown<'a> {
    table: &'a str,
    condition: Option<&'a Expr>,
    yielded: &'a Projection,
    returned: &'a Projection,
}

impl Display for Shown<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "SHOW {}", self.table)?;
        match self.condition {
            Some(condition) => write!(f, " WHERE {condition}")?,
            None => write!(f, " YIELD {}", self.yielded)?,
        }
        write!(f, " RETURN {}", self.returned)
    }
}

/// Names with dots between them.
struct Dotted<'a>(&'a [Name]);

impl Display for Dotted<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        each(self.0, ".", f, |name, f| write!(f, "{}", Key(&name.text)))
    }
}

impl Display for ClauseKind {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Match {
                optional,
                repeatable,
                patterns,
                condition,
            } => {
                let optional = if *optional { "OPTIONAL " } else { "" };
                let mode = if *repeatable { "REPEATABLE ELEMENTS " } else { "" };
                let condition = Opt(" WHERE ", condition.as_ref());
                write!(f, "{optional}MATCH {mode}{}{condition}", Joined(patterns, ", "))
            }
            Self::Filter(condition) => write!(f, "FILTER {condition}"),
            Self::Let(bindings) => {
                f.write_str("LET ")?;
                each(bindings, ", ", f, |(name, value), f| {
                    write!(f, "{name} = {value}")
                })
            }
            Self::For {
                variable,
                list,
                counter,
            } => {
                write!(f, "FOR {variable} IN {list}")?;
                match counter {
                    Some(counter) if counter.first == 1 => write!(f, " WITH ORDINALITY {}", counter.variable),
                    Some(counter) => write!(f, " WITH OFFSET {}", counter.variable),
                    None => Ok(()),
                }
            }
            Self::With(projection) => write!(f, "WITH {projection}"),
            Self::Return(projection) => write!(f, "RETURN {projection}"),
            Self::Finish => f.write_str("FINISH"),
            Self::Use(graph) => write!(f, "USE {graph}"),
            Self::At(schema) => write!(f, "AT {schema}"),
            Self::Table(name) => write!(f, "{}", Dotted(name)),
            Self::CallProcedure(call) => write!(f, "CALL {call}"),
            Self::CallQuery {
                optional,
                variables,
                query,
            } => {
                f.write_str(if *optional { "OPTIONAL CALL " } else { "CALL " })?;
                if let Some(variables) = variables {
                    write!(f, "({}) ", Joined(variables, ", "))?;
                }
                write!(f, "{{ {query} }}")
            }
            Self::Foreach {
                variable,
                list,
                clauses,
            } => write!(f, "FOREACH ({variable} IN {list} | {})", Clauses(clauses)),
            Self::Composite(query) => write!(f, "{{ {query} }}"),
            Self::Insert(patterns) => write!(f, "INSERT {}", Joined(patterns, ", ")),
            Self::Merge {
                pattern,
                on_create,
                on_match,
            } => {
                write!(f, "MERGE {pattern}")?;
                for (event, items) in [("CREATE", on_create), ("MATCH", on_match)] {
                    if !items.is_empty() {
                        write!(f, " ON {event} SET {}", Joined(items, ", "))?;
                    }
                }
                Ok(())
            }
            Self::Set(items) => write!(f, "SET {}", Joined(items, ", ")),
            Self::Remove(items) => write!(f, "REMOVE {}", Joined(items, ", ")),
            Self::Delete { detach, targets } => {
                let detach = if *detach { "DETACH " } else { "" };
                write!(f, "{detach}DELETE {}", Joined(targets, ", "))
            }
        }
    }
}

impl Display for ProcedureCall {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Dotted(&self.name))?;
        if let Some(arguments) = &self.arguments {
            write!(f, "({})", Joined(arguments, ", "))?;
        }
        match &self.yields {
            None => Ok(()),
            Some(Yield::All(_)) => f.write_str(" YIELD *"),
            Some(Yield::Items(items, _)) if items.is_empty() => f.write_str(" YIELD -"),
            Some(Yield::Items(items, condition)) => {
                f.write_str(" YIELD ")?;
                each(items, ", ", f, |(column, alias), f| {
                    write!(f, "{column}{}", Opt(" AS ", alias.as_ref()))
                })?;
                write!(f, "{}", Opt(" WHERE ", condition.as_ref()))
            }
        }
    }
}

impl Display for Projection {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", Items(self), Behind(self))?;
        write!(f, "{}", Opt(" WHERE ", self.condition.as_ref()))
    }
}

/// `DISTINCT`, the star, the columns.
struct Items<'a>(&'a Projection);

impl Display for Items<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Projection {
            distinct,
            star,
            items,
            ..
        } = self.0;
        f.write_str(if *distinct { "DISTINCT " } else { "" })?;
        if star.is_some() {
            f.write_str(if items.is_empty() { "*" } else { "*, " })?;
        }
        write!(f, "{}", Joined(items, ", "))
    }
}

/// Groups, order and page.
struct Behind<'a>(&'a Projection);

impl Display for Behind<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let projection = self.0;
        match projection.group_by.as_deref() {
            None => {}
            Some([]) => f.write_str(" GROUP BY ()")?,
            Some(keys) => write!(f, " GROUP BY {}", Joined(keys, ", "))?,
        }
        write!(f, "{}", Opt(" HAVING ", projection.having.as_ref()))?;
        if !projection.order_by.is_empty() {
            write!(f, " ORDER BY {}", Joined(&projection.order_by, ", "))?;
        }
        write!(f, "{}", Opt(" OFFSET ", projection.offset.as_ref()))?;
        write!(f, "{}", Opt(" LIMIT ", projection.limit.as_ref()))
    }
}

impl Display for ProjectionItem {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.expr, Opt(" AS ", self.alias.as_ref()))
    }
}

impl Display for SortItem {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let order = if self.descending { " DESC" } else { "" };
        let nulls = match self.nulls_first {
            None => "",
            Some(true) => " NULLS FIRST",
            Some(false) => " NULLS LAST",
        };
        write!(f, "{}{order}{nulls}", self.expr)
    }
}

impl Display for SetItem {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Property { target, key, value } => {
                write!(f, "{}.{} = {value}", accessible(target), Key(&key.text))
            }
            Self::Properties { target, value, merge } => {
                write!(f, "{target} {} {value}", if *merge { "+=" } else { "=" })
            }
            Self::Labels { target, labels } => write!(f, "{target}{}", Labels(labels)),
        }
    }
}

impl Display for RemoveItem {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Property { target, key } => write!(f, "{}.{}", accessible(target), Key(&key.text)),
            Self::Labels { target, labels } => write!(f, "{target}{}", Labels(labels)),
        }
    }
}

/// `:A:B`.
struct Labels<'a>(&'a [Name]);

impl Display for Labels<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .try_for_each(|label| write!(f, ":{}", Key(&label.text)))
    }
}
