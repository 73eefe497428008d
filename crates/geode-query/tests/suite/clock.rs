//! Which clock a statement sees: the caller's, and the same one all the time.

use crate::support::Db;
use geode_query::{Context, Dialect, NoSystemTables, Params, execute, prepare};
use geode_types::{Temporal, Value};
use std::ops::ControlFlow;

const DAY_MICROS: i64 = 86_400_000_000;

#[test]
fn a_transaction_keeps_the_time_of_its_first_statement_and_every_statement_has_its_own() {
    let db = Db::new(Dialect::Gql);
    let mut transaction = db.begin();
    let text =
        "RETURN datetime.transaction() AS t, datetime.statement() AS s, datetime.realtime() >= NOW() AS r";
    let prepared = prepare(text, Dialect::Gql, &NoSystemTables).expect("a statement");
    let mut seen = Vec::new();
    for day in [1, 2] {
        let context = Context {
            now_micros: day * DAY_MICROS,
            ..Context::default()
        };
        execute(
            &prepared,
            &mut transaction,
            &Params::new(),
            &context,
            &mut |rows| {
                seen.extend(rows);
                ControlFlow::Continue(())
            },
        )
        .expect("an answer");
    }
    let text = |value: &Value| match value {
        Value::Temporal(value @ Temporal::DateTime(_)) => value.to_string(),
        other => format!("{other:?}"),
    };
    let seen: Vec<Vec<String>> = seen.iter().map(|row| row.iter().map(text).collect()).collect();
    let first = "1970-01-02T00:00Z";
    assert_eq!(
        seen,
        [
            [first, first, "Bool(true)"],
            [first, "1970-01-03T00:00Z", "Bool(true)"],
        ]
    );
}
