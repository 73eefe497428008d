//! Indexes and constraints as statements see them: creating, dropping, and the tables that list them.

use crate::error;
use crate::exec::Graph;
use crate::needs::Access;
use geode_gql::ast::{self, SchemaCommand, ValueType};
use geode_graph::{GraphId, NewRule, PropertyType, Rule, RuleKind, RuleState, TokenKind, Transaction};
use geode_store::ReadTxn;
use geode_types::{ErrorClass, QueryError, Value};

/// A row, unless the rule is not in the table.
type Listed = Option<Vec<Value>>;

/// A table that lists rules.
struct Table {
    name: &'static str,
    columns: &'static [&'static str],
    row: fn(&Rule, &dyn Graph, &Access) -> Result<Listed, QueryError>,
}

const TABLES: [Table; 2] = [
    Table {
        name: "system.indexes",
        columns: &[
            "name",
            "state",
            "type",
            "entityType",
            "labelsOrTypes",
            "properties",
            "owningConstraint",
            "entries",
            "distinctValues",
        ],
        row: index,
    },
    Table {
        name: "system.constraints",
        columns: &[
            "name",
            "state",
            "type",
            "entityType",
            "labelsOrTypes",
            "properties",
            "ownedIndex",
            "propertyType",
        ],
        row: constraint,
    },
];

/// The columns of a table of this name, in lower case, if it is one of these.
pub(crate) fn columns(name: &str) -> Option<&'static [&'static str]> {
    TABLES
        .iter()
        .find(|table| table.name == name)
        .map(|table| table.columns)
}

/// The names of these tables.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    TABLES.iter().map(|table| table.name)
}

/// The rows of a table of this name that somebody may see, in the order of the rules' names.
pub(crate) fn rows(name: &str, graph: &dyn Graph, access: &Access) -> Result<Vec<Vec<Value>>, QueryError> {
    let Some(table) = TABLES.iter().find(|table| table.name == name) else {
        return Ok(Vec::new());
    };
    let mut rules = graph.rules()?.to_vec();
    rules.sort_by(|left, right| left.name.cmp(&right.name));
    let rows = rules.iter().map(|rule| (table.row)(rule, graph, access));
    rows.filter_map(Result::transpose).collect()
}

fn index(rule: &Rule, graph: &dyn Graph, access: &Access) -> Result<Listed, QueryError> {
    if !rule.is_index() {
        return Ok(None);
    }
    let owner = if rule.is_constraint() {
        rule.name.as_str().into()
    } else {
        Value::Null
    };
    let counts = graph.index_statistics(rule.id)?;
    // How many nodes have which values is known to who may read them. Indexes are about the home graph.
    let may_count = access.may_read(GraphId::HOME);
    let number = |count: u64| {
        if may_count {
            Value::Int(i64::try_from(count).unwrap_or(i64::MAX))
        } else {
            Value::Null
        }
    };
    let mut row = head(rule, "RANGE", graph)?;
    row.extend([owner, number(counts.entries), number(counts.distinct)]);
    Ok(Some(row))
}

fn constraint(rule: &Rule, graph: &dyn Graph, _: &Access) -> Result<Listed, QueryError> {
    let kind = match rule.kind {
        RuleKind::Index => return Ok(None),
        RuleKind::Unique => "UNIQUENESS",
        RuleKind::NodeKey => "NODE_KEY",
        RuleKind::NotNull => "NODE_PROPERTY_EXISTENCE",
        RuleKind::Typed(_) => "NODE_PROPERTY_TYPE",
    };
    let owned = if rule.is_index() {
        rule.name.as_str().into()
    } else {
        Value::Null
    };
    let types = match rule.kind {
        RuleKind::Typed(types) => type_names(types).into(),
        _ => Value::Null,
    };
    let mut row = head(rule, kind, graph)?;
    row.extend([owned, types]);
    Ok(Some(row))
}

/// The columns that both tables begin with.
fn head(rule: &Rule, kind: &str, graph: &dyn Graph) -> Result<Vec<Value>, QueryError> {
    let text = |name: std::sync::Arc<str>| Value::String(name.as_ref().to_owned());
    let state = if rule.state == RuleState::Online {
        "ONLINE"
    } else {
        "POPULATING"
    };
    let label = graph.token_name(TokenKind::Label, rule.label)?;
    let keys = rule
        .keys
        .iter()
        .map(|key| graph.token_name(TokenKind::PropertyKey, *key).map(text));
    Ok(vec![
        rule.name.as_str().into(),
        state.into(),
        kind.into(),
        "NODE".into(),
        Value::List(vec![text(label)]),
        Value::List(keys.collect::<Result<_, _>>()?),
    ])
}

fn type_names(types: u16) -> String {
    let named = PropertyType::ALL
        .iter()
        .filter(|(bit, _)| types & *bit as u16 != 0);
    named.map(|(_, name)| *name).collect::<Vec<_>>().join(" | ")
}

/// Creates or drops a rule.
pub(crate) fn carry_out<R: ReadTxn>(
    command: &SchemaCommand,
    transaction: &mut Transaction<R>,
) -> Result<(), QueryError> {
    match command {
        SchemaCommand::Create(definition) => create(definition, transaction),
        SchemaCommand::Drop {
            constraint,
            name,
            if_exists,
        } => drop_named(*constraint, &name.text, *if_exists, transaction),
    }
}

fn create<R: ReadTxn>(
    definition: &ast::RuleDefinition,
    transaction: &mut Transaction<R>,
) -> Result<(), QueryError> {
    let keys: Vec<&str> = definition.keys.iter().map(|key| key.text.as_str()).collect();
    transaction.create_rule(&NewRule {
        name: definition.name.as_ref().map(|name| name.text.as_str()),
        label: &definition.label.text,
        keys: &keys,
        kind: kind(&definition.kind)?,
        if_not_exists: definition.if_not_exists,
    })?;
    Ok(())
}

fn kind(kind: &ast::RuleKind) -> Result<RuleKind, QueryError> {
    Ok(match kind {
        ast::RuleKind::Index => RuleKind::Index,
        ast::RuleKind::Unique => RuleKind::Unique,
        ast::RuleKind::NodeKey => RuleKind::NodeKey,
        ast::RuleKind::NotNull => RuleKind::NotNull,
        ast::RuleKind::Typed(ValueType::Union(types)) => {
            let bits = types.iter().map(property_type);
            RuleKind::Typed(
                bits.collect::<Result<Vec<_>, _>>()?
                    .iter()
                    .fold(0, |all, bit| all | bit),
            )
        }
        ast::RuleKind::Typed(one) => RuleKind::Typed(property_type(one)?),
    })
}

/// The bit of a type that a constraint can ask for.
fn property_type(wanted: &ValueType) -> Result<u16, QueryError> {
    let found = match wanted {
        ValueType::Bool => PropertyType::Bool,
        int if *int == ValueType::INT => PropertyType::Int,
        ValueType::Float => PropertyType::Float,
        ValueType::Decimal(None) => PropertyType::Decimal,
        ValueType::String(None) => PropertyType::String,
        ValueType::Bytes(None) => PropertyType::Bytes,
        ValueType::Temporal(kind) => PropertyType::of_kind(*kind),
        ValueType::List(element) if **element == ValueType::Any => PropertyType::List,
        other => {
            let message = format!("a constraint cannot ask for the type {other}");
            return Err(error::argument("InvalidRule", message)
                .hint("it asks for whole types, such as INT | FLOAT, DATE or LIST<ANY>; IS NOT NULL is a constraint of its own"));
        }
    };
    Ok(found as u16)
}

fn drop_named<R: ReadTxn>(
    constraint: bool,
    name: &str,
    if_exists: bool,
    transaction: &mut Transaction<R>,
) -> Result<(), QueryError> {
    let rules = transaction.rules()?;
    let found = rules.iter().find(|rule| rule.name == name);
    let object = if constraint { "constraint" } else { "index" };
    match found {
        Some(rule) if rule.is_constraint() != constraint => {
            let other = if constraint { "an index" } else { "a constraint" };
            let statement = if constraint {
                "DROP INDEX"
            } else {
                "DROP CONSTRAINT"
            };
            let error = error::argument("InvalidRule", format!("{name} is {other}"));
            Err(error.hint(format!("write {statement} {name}")))
        }
        Some(_) => {
            transaction.drop_rule(name)?;
            Ok(())
        }
        None if if_exists => Ok(()),
        None => {
            let message = format!("there is no {object} {name}");
            let error = QueryError::runtime(ErrorClass::EntityNotFound, "RuleNotFound", "22N71", message);
            let near = geode_types::nearest(name, rules.iter().map(|rule| rule.name.as_str()));
            Err(match near.filter(|_| name.len() <= 64) {
                Some(near) => error.hint(format!("did you mean {near}?")),
                None => error.hint(format!(
                    "SHOW {} lists them",
                    if constraint { "CONSTRAINTS" } else { "INDEXES" }
                )),
            })
        }
    }
}
