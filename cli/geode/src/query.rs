//! `geode query`: one statement, its answer, an exit code.

use crate::args::QueryArgs;
use crate::{Failure, jsonl, show};
use geode_client::{ReadMode, Statement};
use geode_types::{Lsn, QueryError};
use serde_json::{Map, Value as Json};
use std::io::Write;

pub(crate) async fn run(args: QueryArgs) -> Result<(), Failure> {
    let failed = |error| Failure::query(error, &args.text, args.format);
    if args.flag {
        return flag(&args.text, &mut std::io::stdout().lock()).map_err(failed);
    }
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

/// The flagger (ISO/IEC 39075, 24.5.2).
fn flag(text: &str, out: &mut impl Write) -> Result<(), QueryError> {
    let (_, extensions) = geode_gql::parse_and_flag(text, geode_gql::Dialect::Gql)?;
    for extension in extensions {
        let place = geode_gql::Source::new(text).position(extension.span);
        let instead = match extension.instead {
            "" => String::new(),
            instead => format!("; GQL: {instead}"),
        };
        // Whoever reads may have gone; there is nothing else to do then.
        let _ = writeln!(
            out,
            "{}:{} {}{instead}",
            place.line, place.column, extension.construct
        );
    }
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
    fn what_is_not_of_the_standard_is_named_with_its_place() {
        let mut out = Vec::new();
        flag("MATCH (n)\nWITH n CREATE (:A)", &mut out).unwrap();
        let said = String::from_utf8(out).unwrap();
        assert_eq!(
            said,
            "2:1 WITH; GQL: RETURN … NEXT\n2:8 CREATE of nodes and edges; GQL: INSERT\n"
        );
        assert!(flag("MATCH (", &mut Vec::new()).is_err());
    }

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
