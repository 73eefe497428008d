//! Answers and errors as text: tables, CSV, JSON.

use crate::args::Format;
use comfy_table::{Cell, CellAlignment, ContentLineStyle, LineStyle, Table, TableStyle};
use geode_client::QueryResult;
use geode_types::{EdgeValue, NodeValue, Properties, QueryError, TemporalKind, Value, to_json};
use serde_json::{Value as Json, json};
use std::fmt::Write as _;
use std::io::{self, Write};

/// The guides' boxes: a line below the header, none between rows.
const BOX: TableStyle = TableStyle::new()
    .top_border(LineStyle::new('┌', '─', '┬', '┐'))
    .header_lines(ContentLineStyle::new('│', '│', '│'))
    .header_separator(LineStyle::new('├', '─', '┼', '┤'))
    .content_lines(ContentLineStyle::new('│', '│', '│'))
    .bottom_border(LineStyle::new('└', '─', '┴', '┘'));

/// Writes an answer.
pub(crate) fn answer(out: &mut impl Write, result: &QueryResult, format: Format) -> io::Result<()> {
    match format {
        Format::Table => table_answer(out, result),
        Format::Csv => csv(out, result),
        Format::Json => writeln!(out, "{}", answer_json(result)),
        Format::Jsonl => result.rows.iter().try_for_each(|row| {
            let fields = result.columns.iter().cloned().zip(row.iter().map(to_json));
            writeln!(out, "{}", Json::Object(fields.collect()))
        }),
    }
}

/// `{"columns":…,"rows":…,"stats":…,"lsn":…}`.
pub(crate) fn answer_json(result: &QueryResult) -> Json {
    let rows: Vec<Json> = result
        .rows
        .iter()
        .map(|row| row.iter().map(to_json).collect())
        .collect();
    let mut answer = json!({"columns": result.columns, "rows": rows, "stats": result.summary});
    if let Some(lsn) = result.lsn {
        answer["lsn"] = json!(lsn.to_string());
    }
    answer
}

/// `{"error":…}`.
pub(crate) fn error_json(error: &QueryError) -> Json {
    json!({ "error": error })
}

/// The error with the line of the text it points at.
pub(crate) fn error_text(error: &QueryError, text: &str) -> String {
    let mut shown = format!("error [{}]: {}", error.gqlstatus, error.message);
    if let Some(position) = error.position {
        let _ = write!(shown, "\n  at {position}");
        let line = usize::try_from(position.line)
            .ok()
            .and_then(|line| text.lines().nth(line.checked_sub(1)?));
        if let Some(line) = line {
            let indent = " ".repeat(position.column.saturating_sub(1) as usize);
            let _ = write!(shown, "\n  | {line}\n  | {indent}^");
        }
    }
    if let Some(hint) = &error.hint {
        let _ = write!(shown, "\n  hint: {hint}");
    }
    if let Some(outcome) = error.outcome {
        let _ = write!(
            shown,
            "\n  outcome: {}",
            json!(outcome).as_str().unwrap_or_default()
        );
    }
    shown
}

/// A table with this header.
pub(crate) fn table(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> Table {
    let mut table = Table::new();
    table.load_style(BOX).set_header(header.to_vec());
    for row in rows {
        table.add_row(row);
    }
    table
}

fn table_answer(out: &mut impl Write, result: &QueryResult) -> io::Result<()> {
    if !result.columns.is_empty() {
        let mut table = Table::new();
        table.load_style(BOX).set_header(&result.columns);
        for row in &result.rows {
            table.add_row(row.iter().map(|value| {
                let cell = Cell::new(plain(value));
                match value {
                    Value::Int(_) | Value::Float(_) | Value::Decimal(_) => {
                        cell.set_alignment(CellAlignment::Right)
                    }
                    _ => cell,
                }
            }));
        }
        writeln!(out, "{table}")?;
        let rows = result.rows.len();
        writeln!(out, "{rows} row{}", if rows == 1 { "" } else { "s" })?;
    }
    if let Some(changes) = changes(result) {
        writeln!(out, "{changes}")?;
    }
    Ok(())
}

/// `2 nodes created, 1 edge created (lsn 0/12)`; nothing for a statement that changed nothing.
fn changes(result: &QueryResult) -> Option<String> {
    let Ok(Json::Object(counts)) = serde_json::to_value(result.summary) else {
        return None;
    };
    let told: Vec<String> = counts
        .iter()
        .map(|(name, count)| format!("{count} {}", name.replace('_', " ")))
        .collect();
    if told.is_empty() {
        return result
            .repeated
            .then(|| "already committed by an earlier attempt".to_owned());
    }
    let lsn = result.lsn.map(|lsn| format!(" (lsn {lsn})")).unwrap_or_default();
    Some(format!("{}{lsn}", told.join(", ")))
}

fn csv(out: &mut impl Write, result: &QueryResult) -> io::Result<()> {
    let mut line = |fields: &mut dyn Iterator<Item = String>| {
        let fields: Vec<String> = fields.map(|field| csv_field(&field)).collect();
        write!(out, "{}\r\n", fields.join(","))
    };
    line(&mut result.columns.iter().cloned())?;
    for row in &result.rows {
        line(&mut row.iter().map(|value| match value {
            Value::Null => String::new(),
            Value::String(_) | Value::Decimal(_) | Value::Temporal(_) => plain(value),
            other => to_json(other).to_string(),
        }))?;
    }
    Ok(())
}

/// RFC 4180.
fn csv_field(field: &str) -> String {
    if field.contains([',', '"', '\r', '\n']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.to_owned()
    }
}

/// A value as a cell: text without quotes.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Decimal(number) => number.to_string(),
        Value::Temporal(value) => value.to_string(),
        other => literal(other),
    }
}

/// The word before the text of a temporal literal; whether there is a zone, the text says.
fn literal_type(kind: TemporalKind) -> &'static str {
    match kind {
        TemporalKind::Date => "DATE",
        TemporalKind::LocalTime | TemporalKind::Time => "TIME",
        TemporalKind::LocalDateTime | TemporalKind::DateTime => "DATETIME",
        TemporalKind::Duration => "DURATION",
    }
}

/// A value as GQL would write it.
fn literal(value: &Value) -> String {
    match value {
        Value::Null => "NULL".to_owned(),
        Value::Bool(truth) => truth.to_string().to_uppercase(),
        Value::Int(number) => number.to_string(),
        Value::Float(_) | Value::Bytes(_) => match to_json(value) {
            Json::Object(kind) => kind.values().next().map(Json::to_string).unwrap_or_default(),
            number => number.to_string(),
        },
        Value::Decimal(number) => format!("{number}M"),
        Value::Temporal(value) => format!("{} '{value}'", literal_type(value.kind())),
        Value::String(text) => format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'")),
        Value::List(items) => format!("[{}]", items.iter().map(literal).collect::<Vec<_>>().join(", ")),
        Value::Map(entries) => properties(entries),
        Value::Node(node) => node_text(node),
        Value::Edge(edge) => edge_text(edge),
        Value::Path(path) => {
            let mut text = String::new();
            for (index, node) in path.nodes.iter().enumerate() {
                text.push_str(&node_text(node));
                if let Some(edge) = path.edges.get(index) {
                    let (left, right) = if edge.start == node.id {
                        ("-", "->")
                    } else {
                        ("<-", "-")
                    };
                    let _ = write!(text, "{left}{}{right}", edge_text(edge));
                }
            }
            text
        }
    }
}

fn node_text(node: &NodeValue) -> String {
    let labels = if node.labels.is_empty() {
        String::new()
    } else {
        format!(":{}", node.labels.join("&"))
    };
    format!("({})", spaced(&labels, &node.properties))
}

fn edge_text(edge: &EdgeValue) -> String {
    format!("[{}]", spaced(&format!(":{}", edge.edge_type), &edge.properties))
}

fn spaced(head: &str, entries: &Properties) -> String {
    match (head.is_empty(), entries.is_empty()) {
        (_, true) => head.to_owned(),
        (true, false) => properties(entries),
        (false, false) => format!("{head} {}", properties(entries)),
    }
}

fn properties(entries: &Properties) -> String {
    let entries: Vec<String> = entries
        .iter()
        .map(|(name, value)| format!("{name}: {}", literal(value)))
        .collect();
    format!("{{{}}}", entries.join(", "))
}

#[cfg(test)]
#[path = "show_tests.rs"]
mod tests;
