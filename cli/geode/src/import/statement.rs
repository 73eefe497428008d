//! The statements of an import. A batch and the mark that it is done are one statement, hence one transaction: a batch is written once, however
//! often it is sent and whoever sends it. Pure.

use super::rows::Row;
use crate::args::{EdgeFile, NodeFile};
use geode_client::{Dialect, Statement};
use geode_types::Value;

/// Columns of an edge file that are not properties.
const ENDS: [&str; 2] = ["from", "to"];
/// How many rejected lines are told.
pub(super) const TOLD_MAX: usize = 10;

/// A constraint that lets no batch be marked twice, also not by two imports at a time.
pub(super) const MARK: &str =
    "CREATE CONSTRAINT geode_import IF NOT EXISTS FOR (m:GeodeImport) REQUIRE m.batch IS UNIQUE";
pub(super) const UNMARK: &str = "DROP CONSTRAINT geode_import IF EXISTS";
/// The marks of an unfinished import.
pub(super) const MARKS: &str =
    "MATCH (m:GeodeImport {import: $import}) RETURN m.batch AS batch, m.batch_rows AS batch_rows";
pub(super) const FORGET: &str = "MATCH (m:GeodeImport {import: $import}) DELETE m";
pub(super) const OTHERS: &str = "MATCH (m:GeodeImport) RETURN count(*) AS marks";

/// What a batch of an import is marked with.
pub(super) struct Mark<'a> {
    pub(super) import: &'a str,
    pub(super) batch: &'a str,
    pub(super) batch_rows: u32,
}

/// A file and what its rows become.
#[derive(Clone, Debug)]
pub(super) enum Target {
    Nodes(NodeFile),
    Edges(EdgeFile),
}

impl Target {
    /// Labels whose nodes are found by their key.
    pub(super) fn keyed(&self) -> Vec<&str> {
        match self {
            Self::Nodes(file) => file.labels.first().map(String::as_str).into_iter().collect(),
            Self::Edges(file) => vec![&file.from, &file.to],
        }
    }

    /// Writes rows and the mark. What it created without the mark's node is in the summary.
    pub(super) fn write(&self, key: &str, rows: Vec<Row>, mark: &Mark<'_>) -> Result<Statement, String> {
        let write = match self {
            Self::Nodes(file) => {
                let labels: Vec<String> = file.labels.iter().map(|label| name(label)).collect();
                format!("CREATE (n:{}) SET n = row", labels.join(":"))
            }
            Self::Edges(file) => format!(
                "{} CREATE (a)-[e:{}]->(b) SET e = row.properties",
                matches(file, key, "MATCH"),
                name(&file.edge_type)
            ),
        };
        let text = format!(
            "UNWIND $rows AS row {write} WITH count(*) AS written \
             CREATE (:GeodeImport {{import: $import, batch: $batch, batch_rows: $batch_rows}})"
        );
        let rows = rows.into_iter().map(|row| self.parameter(key, row));
        Ok(Statement::new(text)
            .dialect(Dialect::Cypher)
            .param("rows", Value::List(rows.collect::<Result<_, _>>()?))
            .param("import", mark.import)
            .param("batch", mark.batch)
            .param("batch_rows", i64::from(mark.batch_rows)))
    }

    /// Which lines have ends that are not there.
    pub(super) fn without_ends(&self, key: &str, rows: Vec<Row>) -> Option<Statement> {
        let Self::Edges(file) = self else { return None };
        let text = format!(
            "UNWIND $rows AS row {} WITH row, a, b WHERE a IS NULL OR b IS NULL \
             RETURN row.line AS line, a IS NULL AS no_from, b IS NULL AS no_to ORDER BY line LIMIT {TOLD_MAX}",
            matches(file, key, "OPTIONAL MATCH")
        );
        let rows = rows.into_iter().filter_map(|row| self.parameter(key, row).ok());
        Some(
            Statement::new(text)
                .dialect(Dialect::Cypher)
                .param("rows", Value::List(rows.collect())),
        )
    }

    /// A row as the statements take it.
    fn parameter(&self, key: &str, row: Row) -> Result<Value, String> {
        let needed: &[&str] = match self {
            Self::Nodes(_) => &[key],
            Self::Edges(_) => &ENDS,
        };
        let has = |wanted: &str| {
            row.values
                .iter()
                .any(|(name, value)| name == wanted && *value != Value::Null)
        };
        if let Some(missing) = needed.iter().find(|wanted| !has(wanted)) {
            return Err(format!("line {}: the row has no {missing}", row.line));
        }
        if matches!(self, Self::Nodes(_)) {
            return Ok(Value::Map(row.values));
        }
        let is_end = |(name, _): &(String, Value)| ENDS.contains(&name.as_str());
        let (mut entries, properties): (Vec<_>, Vec<_>) = row.values.into_iter().partition(is_end);
        entries.push((
            "line".to_owned(),
            Value::Int(i64::try_from(row.line).unwrap_or(i64::MAX)),
        ));
        entries.push(("properties".to_owned(), Value::Map(properties)));
        entries.sort_by(|(left, _), (right, _)| left.cmp(right));
        Ok(Value::Map(entries))
    }
}

/// Finds both ends of an edge.
fn matches(file: &EdgeFile, key: &str, verb: &str) -> String {
    let (from, to, key) = (name(&file.from), name(&file.to), name(key));
    format!("{verb} (a:{from} {{{key}: row.`from`}}) {verb} (b:{to} {{{key}: row.`to`}})")
}

/// Nodes of a label are found by their key, and no two have the same.
pub(super) fn unique(label: &str, key: &str) -> String {
    format!(
        "CREATE CONSTRAINT IF NOT EXISTS FOR (n:{}) REQUIRE n.{} IS UNIQUE",
        name(label),
        name(key)
    )
}

/// A name as a statement writes it, whatever is in it.
fn name(text: &str) -> String {
    format!("`{}`", text.replace('`', "``"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(values: &[(&str, i64)]) -> Row {
        Row {
            line: 7,
            values: values
                .iter()
                .map(|(name, value)| ((*name).to_owned(), Value::Int(*value)))
                .collect(),
        }
    }

    #[test]
    fn names_are_quoted_whatever_is_in_them() {
        assert_eq!(name("a` b"), "`a`` b`");
        assert_eq!(
            unique("Person", "i`d"),
            "CREATE CONSTRAINT IF NOT EXISTS FOR (n:`Person`) REQUIRE n.`i``d` IS UNIQUE"
        );
    }

    #[test]
    fn an_edge_has_two_ends_and_a_node_its_key_or_the_line_is_told() {
        let nodes = Target::Nodes("Person=p.csv".parse().unwrap());
        let edges = Target::Edges("Person:KNOWS:Person=k.csv".parse().unwrap());
        assert!(nodes.parameter("id", row(&[("id", 1)])).is_ok());
        assert_eq!(
            nodes.parameter("id", row(&[("name", 1)])),
            Err("line 7: the row has no id".to_owned())
        );
        assert_eq!(
            edges.parameter("id", row(&[("from", 1), ("since", 2)])),
            Err("line 7: the row has no to".to_owned())
        );
        let Ok(Value::Map(entries)) = edges.parameter("id", row(&[("from", 1), ("since", 2), ("to", 3)]))
        else {
            panic!("an edge");
        };
        let names: Vec<&str> = entries.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["from", "line", "properties", "to"]);
    }
}
