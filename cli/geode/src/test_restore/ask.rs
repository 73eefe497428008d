//! Asks the throw-away server of a restore test, and judges its answers. What it is asked can read and not write.

use super::{millis, said};
use geode_client::{Client, ClientError, QueryResult};
use geode_config::Config;
use geode_types::{RestoreCheck, RestoreCheckResult, Value, to_json};
use std::time::{Duration, Instant};

/// The server has so long to answer; an election of one, and the administrator's password.
const BOOT_TIMEOUT: Duration = Duration::from_secs(120);
const BOOT_PAUSE: Duration = Duration::from_millis(50);
/// A first value is told up to this length.
const VALUE_BYTES: usize = 200;

/// With the certificate and the password that the server made for itself.
pub(super) fn client(config: &Config) -> Result<Client, String> {
    let data_dir = &config.storage.data_dir;
    let read = |file: &str| {
        let path = data_dir.join(file);
        std::fs::read(&path).map_err(|error| format!("cannot read {}: {error}", path.display()))
    };
    let password = String::from_utf8_lossy(&read("admin-password")?).into_owned();
    Client::builder()
        .endpoints([config.cluster.node.address.as_str()])
        .user(config.auth.admin_user.as_str())
        .password(password)
        .ca_pem(read("tls/ca.crt")?)
        .build()
        .map_err(said)
}

/// The administrator of the source has another password; until the server has changed it, nobody is let in.
pub(super) async fn until_it_answers(client: &Client, begun: Instant) -> Result<(), String> {
    loop {
        match client.query("RETURN 1").await {
            Ok(_) => return Ok(()),
            Err(error) if begun.elapsed() > BOOT_TIMEOUT => {
                return Err(format!(
                    "the server did not answer within {} s: {error}",
                    BOOT_TIMEOUT.as_secs()
                ));
            }
            Err(_) => tokio::time::sleep(BOOT_PAUSE).await,
        }
    }
}

pub(super) async fn answer(client: &Client, check: &RestoreCheck) -> RestoreCheckResult {
    let begun = Instant::now();
    let mut result = match read(client, &check.statement).await {
        Ok(answer) => judged(check, &answer),
        Err(error) => RestoreCheckResult {
            message: Some(error.to_query_error().message),
            ..RestoreCheckResult::default()
        },
    };
    result.millis = millis(begun);
    result
}

/// In a transaction that cannot write.
async fn read(client: &Client, statement: &str) -> Result<QueryResult, ClientError> {
    let mut session = client.session();
    session.query("START TRANSACTION READ ONLY").await?;
    let answer = session.query(statement).await?;
    session.rollback().await?;
    Ok(answer)
}

fn judged(check: &RestoreCheck, answer: &QueryResult) -> RestoreCheckResult {
    let first = answer.rows.first().and_then(|row| row.first());
    let value = first.map(|value| match value {
        Value::String(text) => text.clone(),
        other => to_json(other).to_string(),
    });
    let rows = answer.rows.len() as u64;
    let message = match (check.expect_rows, &check.expect) {
        (Some(expected), _) if expected != rows => Some(format!("{rows} rows instead of {expected}")),
        (_, Some(expected)) if value.as_ref() != Some(expected) => Some(format!(
            "{} instead of {expected}",
            value.as_deref().unwrap_or("nothing")
        )),
        _ => None,
    };
    RestoreCheckResult {
        passed: message.is_none(),
        rows,
        value: value.map(|mut value| {
            value.truncate(value.floor_char_boundary(VALUE_BYTES));
            value
        }),
        message,
        millis: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(rows: Vec<Vec<Value>>) -> QueryResult {
        QueryResult {
            rows,
            ..QueryResult::default()
        }
    }

    #[test]
    fn an_answer_is_compared_with_the_rows_and_the_first_value_that_are_expected() {
        let one = answered(vec![vec![Value::Int(42), Value::Null]]);
        let text = answered(vec![vec![Value::String("a".into())], vec![Value::Null]]);
        let check = |rows: Option<u64>, value: Option<&str>| RestoreCheck {
            statement: String::new(),
            expect_rows: rows,
            expect: value.map(str::to_owned),
        };
        for (check, answer, said) in [
            (check(None, None), &answered(Vec::new()), None),
            (check(Some(1), Some("42")), &one, None),
            (check(Some(2), Some("a")), &text, None),
            (check(Some(2), None), &one, Some("1 rows instead of 2")),
            (check(None, Some("41")), &one, Some("42 instead of 41")),
            (
                check(None, Some("42")),
                &answered(Vec::new()),
                Some("nothing instead of 42"),
            ),
        ] {
            let result = judged(&check, answer);
            assert_eq!(
                (result.passed, result.message.as_deref()),
                (said.is_none(), said),
                "{check:?}"
            );
        }
    }
}
