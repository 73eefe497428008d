//! `geode query`: one statement, its answer, an exit code.

use crate::args::QueryArgs;
use crate::{Failure, jsonl, show};
use geode_client::{ReadMode, Statement};
use geode_types::Lsn;
use serde_json::{Map, Value as Json};

pub(crate) async fn run(args: QueryArgs) -> Result<(), Failure> {
    let failed = |error| Failure::query(error, &args.text, args.format);
    let mut statement = Statement::new(args.text.clone());
    for (name, value) in jsonl::read_params(parameters(&args.params)?).map_err(failed)? {
        statement = statement.param(name, value);
    }
    if let Some(timeout) = args.timeout {
        statement = statement.timeout(timeout);
    }
    if let Some(lsn) = &args.read_lsn {
        let lsn: Lsn = lsn
            .parse()
            .map_err(|error| Failure::Message(format!("--read-lsn: {error}")))?;
        statement = statement.read(ReadMode::AtLeast(lsn));
    }
    let client = args.connect.client()?;
    let result = match args.connect.pinned() {
        Some(endpoint) => client.execute_on(endpoint, statement).await,
        None => client.execute(statement).await,
    };
    client.close().await;
    let result = result.map_err(|error| failed(error.to_query_error()))?;
    show::answer(&mut std::io::stdout().lock(), &result, args.format)?;
    Ok(())
}

/// `name=JSON`, several times.
fn parameters(given: &[String]) -> Result<Map<String, Json>, Failure> {
    given
        .iter()
        .map(|param| {
            let (name, text) = param.split_once('=').ok_or_else(|| {
                Failure::Message(format!("--param {param:?} has no value; write --param name=JSON, for example --param age=42"))
            })?;
            let value = serde_json::from_str(text).map_err(|error| {
                Failure::Message(format!(
                    "--param {name}: {text:?} is not JSON ({error}); text needs quotes, for example --param 'name=\"Ada\"'"
                ))
            })?;
            Ok((name.trim_start_matches('$').to_owned(), value))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_names_and_json() {
        let given = ["a=1".to_owned(), "$b={\"c\":\"=\"}".to_owned()];
        let read = parameters(&given).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), r#"{"a":1,"b":{"c":"="}}"#);
        for bad in ["a", "a=Ada"] {
            let Err(Failure::Message(message)) = parameters(&[bad.to_owned()]) else {
                panic!("{bad}")
            };
            assert!(message.contains("example"), "{message}");
        }
    }
}
