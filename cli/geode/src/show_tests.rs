use super::*;
use geode_types::{
    Decimal, EdgeId, ErrorClass, GroupId, LogIndex, Lsn, NodeId, Outcome, PathValue, Position, Summary,
    Temporal,
};

fn sample() -> QueryResult {
    QueryResult {
        columns: vec!["name".into(), "born".into()],
        rows: vec![
            vec!["Ada, \"Countess\"".into(), 1815.into()],
            vec![Value::Null, Value::Float(1.5)],
        ],
        summary: Summary {
            nodes_created: 2,
            ..Summary::default()
        },
        lsn: Some(Lsn {
            group: GroupId(0),
            index: LogIndex(12),
        }),
        repeated: false,
        reads: None,
    }
}

fn shown(format: Format) -> String {
    let mut out = Vec::new();
    answer(&mut out, &sample(), format).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn a_table_is_drawn_as_in_the_guides() {
    let expected = "\
┌─────────────────┬──────┐
│ name            │ born │
├─────────────────┼──────┤
│ Ada, \"Countess\" │ 1815 │
│ NULL            │  1.5 │
└─────────────────┴──────┘
2 rows
2 nodes created (lsn 0/12)
";
    assert_eq!(shown(Format::Table), expected);
}

#[test]
fn csv_quotes_what_needs_it_and_leaves_null_empty() {
    assert_eq!(
        shown(Format::Csv),
        "name,born\r\n\"Ada, \"\"Countess\"\"\",1815\r\n,1.5\r\n"
    );
}

#[test]
fn json_has_columns_rows_stats_and_lsn() {
    let expected = json!({
        "columns": ["name", "born"], "rows": [["Ada, \"Countess\"", 1815], [null, 1.5]],
        "stats": {"nodes_created": 2}, "lsn": "0/12",
    });
    assert_eq!(
        serde_json::from_str::<Json>(&shown(Format::Json)).unwrap(),
        expected
    );
    assert_eq!(shown(Format::Jsonl).lines().count(), 2);
}

#[test]
fn an_error_points_at_its_place() {
    let error = QueryError::compile(ErrorClass::SyntaxError, "UnexpectedSyntax", "42001", "expected )")
        .at(Position { line: 2, column: 4 })
        .hint("close the node")
        .outcome(Outcome::Failed);
    let expected = "\
error [42001]: expected )
  at line 2, column 4
  | (n RETURN
  |    ^
  hint: close the node
  outcome: failed";
    assert_eq!(error_text(&error, "MATCH\n(n RETURN"), expected);
}

#[test]
fn graph_values_look_like_patterns() {
    let node = |id: u64, labels: &[&str]| NodeValue {
        id: NodeId(id),
        labels: labels.iter().map(ToString::to_string).collect(),
        properties: vec![],
    };
    let edge = EdgeValue {
        id: EdgeId(1),
        edge_type: "KNOWS".into(),
        start: NodeId(2),
        end: NodeId(1),
        properties: vec![("since".into(), Value::List(vec![1833.into(), "it's".into()]))],
    };
    let path = PathValue {
        nodes: vec![node(1, &["A", "B"]), node(2, &[])],
        edges: vec![edge],
    };
    assert_eq!(
        literal(&Value::Path(Box::new(path))),
        r"(:A&B)<-[:KNOWS {since: [1833, 'it\'s']}]-()"
    );
}

#[test]
fn dates_and_decimals_are_plain_in_a_cell_and_literals_within_a_value() {
    let date: Value = Temporal::parse(TemporalKind::Date, "2015-07-21").unwrap().into();
    let price: Value = Decimal::new(150, 2).into();
    assert_eq!(plain(&date), "2015-07-21");
    assert_eq!(plain(&price), "1.50");
    assert_eq!(
        literal(&Value::List(vec![date, price])),
        "[DATE '2015-07-21', 1.50M]"
    );
}
