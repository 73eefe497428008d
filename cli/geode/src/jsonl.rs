//! The scripting interface: one JSON request a line in, one JSON answer a line out (design.md section 6).
//!
//! A line that is not a request is answered with an error, and the next line is read. The end of the input ends the shell.

use crate::engine::{Engine, Request};
use crate::show::{answer_json, error_json};
use geode_client::Dialect;
use geode_types::{ErrorClass, QueryError, Value, from_json};
use serde::Deserialize;
use serde_json::{Map, Value as Json, json};
use std::io;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};

/// The longest line that is read.
const LINE_BYTES_MAX: usize = 64 << 20;
/// Input is read in pieces of this size.
const BUFFER_BYTES: usize = 64 << 10;

#[derive(Debug, Deserialize)]
#[serde(tag = "op", rename_all = "lowercase", deny_unknown_fields)]
enum Op {
    Hello,
    Reset,
    Query {
        text: String,
        #[serde(default)]
        params: Option<Map<String, Json>>,
        #[serde(default)]
        dialect: Dialect,
    },
    Close,
}

/// Answers requests until `close` or the end of the input.
pub(crate) async fn serve(
    engine: &mut Engine,
    input: impl AsyncRead + Unpin,
    mut output: impl AsyncWrite + Unpin,
) -> io::Result<()> {
    let mut input = BufReader::with_capacity(BUFFER_BYTES, input);
    let mut line = Vec::new();
    while read_line(&mut input, &mut line).await? {
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let (answer, last) = match parse(&line) {
            Ok(Op::Close) => (json!({"ok": true}), true),
            Ok(op) => (
                respond(engine, op)
                    .await
                    .unwrap_or_else(|error| error_json(&error)),
                false,
            ),
            Err(error) => (error_json(&error), false),
        };
        let mut bytes = serde_json::to_vec(&answer)?;
        bytes.push(b'\n');
        output.write_all(&bytes).await?;
        output.flush().await?;
        if last {
            break;
        }
    }
    Ok(())
}

async fn respond(engine: &mut Engine, op: Op) -> Result<Json, QueryError> {
    match op {
        Op::Hello => Ok(json!({"name": "geode", "version": env!("CARGO_PKG_VERSION")})),
        Op::Close => Ok(json!({"ok": true})),
        Op::Reset => {
            engine.reset().await?;
            Ok(json!({"ok": true}))
        }
        Op::Query {
            text,
            params,
            dialect,
        } => {
            let params = read_params(params.unwrap_or_default())?;
            let result = engine
                .execute(Request {
                    text,
                    params,
                    dialect,
                })
                .await?;
            let mut answer = answer_json(&result);
            // Only a committed write is told where it stands: the position of a read would look like one.
            if result.summary == geode_types::Summary::default()
                && !result.repeated
                && let Some(fields) = answer.as_object_mut()
            {
                fields.remove("lsn");
            }
            Ok(answer)
        }
    }
}

/// Reads a line into `line`; false at the end of the input. A line that is too long is cut, which makes it malformed.
async fn read_line(input: &mut (impl AsyncBufReadExt + Unpin), line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    loop {
        let chunk = input.fill_buf().await?;
        if chunk.is_empty() {
            return Ok(!line.is_empty());
        }
        let end = chunk.iter().position(|byte| *byte == b'\n');
        let taken = end.unwrap_or(chunk.len());
        let room = LINE_BYTES_MAX.saturating_sub(line.len());
        line.extend_from_slice(&chunk[..taken.min(room)]);
        input.consume(end.map_or(taken, |end| end + 1));
        if end.is_some() {
            return Ok(true);
        }
    }
}

fn parse(line: &[u8]) -> Result<Op, QueryError> {
    serde_json::from_slice(line).map_err(|error| {
        let message = format!("the line is not a request: {error}");
        QueryError::compile(ErrorClass::ArgumentError, "MalformedRequest", "22000", message)
            .hint(r#"write one JSON object a line, for example {"op":"query","text":"RETURN 1"}"#)
    })
}

/// Parameters from JSON.
pub(crate) fn read_params(params: Map<String, Json>) -> Result<Vec<(String, Value)>, QueryError> {
    params
        .into_iter()
        .map(|(name, json)| match from_json(&json) {
            Ok(value) => Ok((name, value)),
            Err(error) => {
                let message = format!("parameter ${name}: {error}");
                Err(QueryError::compile(
                    ErrorClass::ArgumentError,
                    "InvalidParameter",
                    "22000",
                    message,
                ))
            }
        })
        .collect()
}

#[cfg(test)]
#[path = "jsonl_tests.rs"]
mod tests;
