//! The tree as an s-expression: what tests compare and what a curious reader prints.

mod expr;
mod session;
mod users;

pub use expr::expression_to_sexpr;

use crate::ast::{
    CheckpointCommand, Clause, ClauseKind, Direction, EdgePattern, Expr, LabelExpr, Name, NodePattern,
    PathPattern, PathSearch, ProcedureCall, Projection, Query, RemoveItem, RuleDefinition, RuleKind,
    SchemaCommand, SetItem, Statement, Yield,
};
use expr::{list, pair};

/// A statement as an s-expression.
pub fn to_sexpr(statement: &Statement) -> String {
    match statement {
        Statement::Transaction(command) => session::transaction(command),
        Statement::Session(command) => session::session(command),
        Statement::Catalog(commands) => join(commands.iter().map(session::catalog)),
        Statement::KillQuery(id) => format!("(kill-query {id:?})"),
        Statement::Reads(setting) => session::reads(*setting),
        Statement::Users(command) => users::command(command),
        Statement::Checkpoint(CheckpointCommand::Create(name)) => format!("(checkpoint {name:?})"),
        Statement::Checkpoint(CheckpointCommand::Drop(name)) => format!("(drop-checkpoint {name:?})"),
        Statement::Schema(command) => schema(command),
        Statement::Explain(command, body) => {
            let name = if command.profile { "profile" } else { "explain" };
            format!(
                "({name}{} {})",
                if command.json { " json" } else { "" },
                query(body)
            )
        }
        Statement::Query(body) => query(body),
    }
}

fn query(query: &Query) -> String {
    let mut parts = vec![join(query.first.clauses.iter().map(clause))];
    for (operator, linear) in &query.rest {
        let name = operator.operation.text().to_lowercase().replace(' ', "-");
        parts.push(format!("({name})"));
        parts.push(join(linear.clauses.iter().map(clause)));
    }
    parts.join(" ")
}

fn rule_kind(kind: &RuleKind) -> String {
    match kind {
        RuleKind::Index => "index".to_owned(),
        RuleKind::Unique => "unique".to_owned(),
        RuleKind::NodeKey => "node-key".to_owned(),
        RuleKind::NotNull => "not-null".to_owned(),
        RuleKind::Typed(types) => format!("typed \"{types}\""),
    }
}

fn schema(command: &SchemaCommand) -> String {
    let text = |name: &Name| name.text.clone();
    match command {
        SchemaCommand::Create(RuleDefinition {
            name,
            if_not_exists,
            label,
            keys,
            kind,
        }) => {
            let mut parts = vec!["create".to_owned(), rule_kind(kind)];
            parts.extend(if_not_exists.then(|| "if-not-exists".to_owned()));
            parts.extend(name.as_ref().map(text));
            parts.push(format!(":{}", label.text));
            parts.extend(keys.iter().map(text));
            format!("({})", parts.join(" "))
        }
        SchemaCommand::Drop {
            constraint,
            name,
            if_exists,
        } => {
            let object = if *constraint { "constraint" } else { "index" };
            let condition = if *if_exists { "if-exists " } else { "" };
            format!("(drop-{object} {condition}{})", name.text)
        }
    }
}

fn join(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join(" ")
}

fn condition(condition: &Expr) -> String {
    format!("(where {})", expression_to_sexpr(condition))
}

fn labels(expr: &LabelExpr) -> String {
    match expr {
        LabelExpr::Name(name) => name.text.clone(),
        LabelExpr::Wildcard(_) => "%".to_owned(),
        LabelExpr::Not(inner) => format!("(! {})", labels(inner)),
        LabelExpr::And(parts) => format!("(& {})", join(parts.iter().map(labels))),
        LabelExpr::Or(parts) => format!("(| {})", join(parts.iter().map(labels))),
    }
}

fn element(
    variable: Option<&Name>,
    label: Option<&LabelExpr>,
    properties: Option<&Expr>,
    filter: Option<&Expr>,
) -> String {
    let mut parts: Vec<String> = variable.iter().map(|name| name.text.clone()).collect();
    parts.extend(label.iter().map(|label| format!(":{}", labels(label))));
    parts.extend(
        properties
            .iter()
            .map(|properties| expression_to_sexpr(properties)),
    );
    parts.extend(filter.iter().map(|filter| condition(filter)));
    parts.join(" ")
}

fn node(node: &NodePattern) -> String {
    let inner = element(
        node.variable.as_ref(),
        node.labels.as_ref(),
        node.properties.as_ref(),
        node.condition.as_ref(),
    );
    format!("({inner})")
}

fn edge(edge: &EdgePattern) -> String {
    let inner = element(
        edge.variable.as_ref(),
        edge.labels.as_ref(),
        edge.properties.as_ref(),
        edge.condition.as_ref(),
    );
    let quantifier = edge.quantifier.map_or_else(String::new, |quantifier| {
        format!(
            "{{{},{}}}",
            quantifier.min,
            quantifier.max.map_or_else(String::new, |max| max.to_string())
        )
    });
    if let Some(group) = &edge.group {
        let mut parts = vec![path(&group.pattern)];
        parts.extend(group.condition.iter().map(condition));
        return format!("({}){quantifier}", parts.join(" "));
    }
    let (left, right) = match edge.direction {
        Direction::Right => ("-", "->"),
        Direction::Left => ("<-", "-"),
        Direction::Any => ("-", "-"),
        Direction::LeftOrRight => ("<-", "->"),
        Direction::Undirected => ("~", "~"),
    };
    format!("{left}[{inner}]{right}{quantifier}")
}

fn path(path: &PathPattern) -> String {
    let mut out = path
        .variable
        .as_ref()
        .map_or_else(String::new, |name| format!("{} = ", name.text));
    match path.search {
        PathSearch::Every => {}
        PathSearch::Shortest(count) => out.push_str(&format!("shortest {count} ")),
        PathSearch::ShortestGroups(count) => out.push_str(&format!("shortest-groups {count} ")),
    }
    if let Some(mode) = path.mode {
        out.push_str(&format!("{mode:?} ").to_lowercase());
    }
    out.push_str(&node(&path.start));
    for (step_edge, step_node) in &path.steps {
        out.push_str(&edge(step_edge));
        out.push_str(&node(step_node));
    }
    out
}

fn paths(patterns: &[PathPattern]) -> String {
    patterns.iter().map(path).collect::<Vec<_>>().join(", ")
}

fn projection(projection: &Projection) -> String {
    let mut parts = Vec::new();
    parts.extend(projection.distinct.then(|| "distinct".to_owned()));
    parts.extend(projection.star.map(|_| "*".to_owned()));
    parts.extend(projection.items.iter().map(|item| match &item.alias {
        Some(alias) => format!("(as {} {})", alias.text, expression_to_sexpr(&item.expr)),
        None => expression_to_sexpr(&item.expr),
    }));
    parts.extend(
        projection
            .group_by
            .iter()
            .map(|keys| format!("(group-by {})", list(keys))),
    );
    let having = projection.having.iter();
    parts.extend(having.map(|having| format!("(having {})", expression_to_sexpr(having))));
    for item in &projection.order_by {
        let order = if item.descending { "desc" } else { "asc" };
        let nulls = item
            .nulls_first
            .map_or("", |first| if first { " nulls-first" } else { " nulls-last" });
        parts.push(format!("({order} {}{nulls})", expression_to_sexpr(&item.expr)));
    }
    parts.extend(
        projection
            .offset
            .iter()
            .map(|offset| format!("(offset {})", expression_to_sexpr(offset))),
    );
    parts.extend(
        projection
            .limit
            .iter()
            .map(|limit| format!("(limit {})", expression_to_sexpr(limit))),
    );
    parts.extend(projection.condition.iter().map(condition));
    parts.join(" ")
}

fn names(names: &[Name]) -> String {
    names.iter().flat_map(|name| [":", name.text.as_str()]).collect()
}

fn set_item(item: &SetItem) -> String {
    match item {
        SetItem::Property { target, key, value } => {
            format!(
                "(= {}.{} {})",
                expression_to_sexpr(target),
                key.text,
                expression_to_sexpr(value)
            )
        }
        SetItem::Properties { target, value, merge } => {
            format!(
                "({} {} {})",
                if *merge { "+=" } else { "=" },
                target.text,
                expression_to_sexpr(value)
            )
        }
        SetItem::Labels { target, labels } => format!("(label {} {})", target.text, names(labels)),
    }
}

fn remove_item(item: &RemoveItem) -> String {
    match item {
        RemoveItem::Property { target, key } => format!("{}.{}", expression_to_sexpr(target), key.text),
        RemoveItem::Labels { target, labels } => format!("{}{}", target.text, names(labels)),
    }
}

fn call(optional: bool, variables: Option<&[Name]>, body: &Query) -> String {
    let mut parts = vec![if optional { "optional-call" } else { "call" }.to_owned()];
    parts.extend(
        variables.map(|variables| format!("[{}]", join(variables.iter().map(|name| name.text.clone())))),
    );
    parts.push(query(body));
    parts.join(" ")
}

fn dotted(name: &[Name]) -> String {
    let parts: Vec<&str> = name.iter().map(|part| part.text.as_str()).collect();
    parts.join(".")
}

fn procedure(call: &ProcedureCall) -> String {
    let mut parts = vec!["call".to_owned(), dotted(&call.name)];
    parts.extend(
        call.arguments
            .iter()
            .map(|arguments| format!("[{}]", list(arguments))),
    );
    match &call.yields {
        None => {}
        Some(Yield::All(_)) => parts.push("(yield *)".to_owned()),
        Some(Yield::Items(items, filter)) => {
            let items = items.iter().map(|(column, alias)| match alias {
                Some(alias) => format!("(as {} {})", alias.text, column.text),
                None => column.text.clone(),
            });
            parts.push(format!("(yield {})", join(items)));
            parts.extend(filter.iter().map(condition));
        }
    }
    parts.join(" ")
}

fn clause(clause: &Clause) -> String {
    format!("({})", body(&clause.kind))
}

fn merge(pattern: &PathPattern, on_create: &[SetItem], on_match: &[SetItem]) -> String {
    let mut parts = vec!["merge".to_owned(), path(pattern)];
    let created = on_create
        .iter()
        .map(|item| format!("(on-create {})", set_item(item)));
    parts.extend(
        created.chain(
            on_match
                .iter()
                .map(|item| format!("(on-match {})", set_item(item))),
        ),
    );
    parts.join(" ")
}

fn body(kind: &ClauseKind) -> String {
    match kind {
        ClauseKind::Match {
            optional,
            repeatable,
            patterns,
            condition: filter,
        } => {
            let mut parts = vec![if *optional { "optional-match" } else { "match" }.to_owned()];
            parts.extend(repeatable.then(|| "repeatable".to_owned()));
            parts.push(paths(patterns));
            parts.extend(filter.iter().map(condition));
            parts.join(" ")
        }
        ClauseKind::Filter(condition) => format!("filter {}", expression_to_sexpr(condition)),
        ClauseKind::Let(bindings) => format!(
            "let {}",
            join(bindings.iter().map(|(name, value)| pair(name, value)))
        ),
        ClauseKind::For {
            variable,
            list,
            counter,
        } => {
            let mut parts = vec!["for".to_owned(), variable.text.clone(), expression_to_sexpr(list)];
            parts.extend(
                counter
                    .iter()
                    .map(|counter| format!("(count {} from {})", counter.variable.text, counter.first)),
            );
            parts.join(" ")
        }
        ClauseKind::With(body) => format!("with {}", projection(body)),
        ClauseKind::Return(body) => format!("return {}", projection(body)),
        ClauseKind::Finish => "finish".to_owned(),
        ClauseKind::Use(graph) => format!("use {}", session::graph(graph)),
        ClauseKind::At(schema) => format!("at {}", session::schema(schema)),
        ClauseKind::Table(name) => format!("table {}", dotted(name)),
        ClauseKind::CallProcedure(call) => procedure(call),
        ClauseKind::CallQuery {
            optional,
            variables,
            query,
        } => call(*optional, variables.as_deref(), query),
        ClauseKind::Foreach {
            variable,
            list: elements,
            clauses,
        } => format!(
            "foreach {} {} {}",
            variable.text,
            expression_to_sexpr(elements),
            join(clauses.iter().map(clause))
        ),
        ClauseKind::Composite(body) => format!("composite {}", query(body)),
        ClauseKind::Insert(patterns) => format!("insert {}", paths(patterns)),
        ClauseKind::Merge {
            pattern,
            on_create,
            on_match,
        } => merge(pattern, on_create, on_match),
        ClauseKind::Set(items) => format!("set {}", join(items.iter().map(set_item))),
        ClauseKind::Remove(items) => format!("remove {}", join(items.iter().map(remove_item))),
        ClauseKind::Delete { detach, targets } => {
            format!(
                "{} {}",
                if *detach { "detach-delete" } else { "delete" },
                list(targets)
            )
        }
    }
}
