//! What is fuzzed, and what must hold whatever the input is. A panic is a finding as well.

use crate::corpus;
use crate::mutate::Corpus;
use geode_gql::parse;
use geode_graph::{Command, index_key};
use geode_query::{Dialect, NoSystemTables, prepare};
use geode_types::{ErrorClass, QueryError, Value, decode_value, encode_value, from_json, to_json};
use geode_wire::client::{ClientReply, ClientRequest};
use geode_wire::internal::{InternalReply, InternalRequest};
use std::cmp::Ordering;

/// Something that takes input from outside.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// What it is called on the command line.
    pub name: &'static str,
    /// What its inputs are made of.
    pub corpus: fn() -> Corpus,
    /// What is wrong, if anything.
    pub check: fn(&[u8]) -> Result<(), String>,
}

/// All of them.
pub static TARGETS: [Target; 6] = [
    Target {
        name: "parser",
        corpus: corpus::statements,
        check: parser,
    },
    Target {
        name: "binder",
        corpus: corpus::statements,
        check: binder,
    },
    Target {
        name: "values",
        corpus: corpus::values,
        check: values,
    },
    Target {
        name: "wire",
        corpus: corpus::messages,
        check: wire,
    },
    Target {
        name: "log",
        corpus: corpus::commands,
        check: log,
    },
    Target {
        name: "keys",
        corpus: corpus::values,
        check: keys,
    },
];

const DIALECTS: [Dialect; 2] = [Dialect::Gql, Dialect::Cypher];

/// The answer is a tree that is printed and read back as itself, or an error with a place in the text.
fn parser(input: &[u8]) -> Result<(), String> {
    let text = String::from_utf8_lossy(input);
    for dialect in DIALECTS {
        let tree = match parse(&text, dialect) {
            Ok(tree) => tree,
            Err(error) => {
                placed(&error, &text)?;
                continue;
            }
        };
        let printed = tree.to_string();
        match parse(&printed, dialect) {
            Ok(again) if again == tree => {}
            Ok(_) => return Err(format!("printed as {printed}, which is another statement")),
            // Parentheses that make the printed text unambiguous may pass the limit of nesting, and the length.
            Err(error) if error.class == ErrorClass::LimitError => {}
            Err(error) => return Err(format!("printed as {printed}, which is refused: {error}")),
        }
    }
    Ok(())
}

/// A statement is bound, or refused because of what it says.
fn binder(input: &[u8]) -> Result<(), String> {
    let text = String::from_utf8_lossy(input);
    for dialect in DIALECTS {
        if let Err(error) = prepare(&text, dialect, &NoSystemTables) {
            placed(&error, &text)?;
        }
    }
    Ok(())
}

fn placed(error: &QueryError, text: &str) -> Result<(), String> {
    if error.class == ErrorClass::InternalError {
        return Err(error.to_string());
    }
    let at = error
        .position
        .ok_or_else(|| format!("without a place: {error}"))?;
    let line = text.split('\n').nth(at.line as usize - 1);
    let columns = line.map_or(0, |line| line.chars().count() + 1);
    if at.column as usize > columns {
        return Err(format!("outside of the text: {error}"));
    }
    Ok(())
}

/// What is decoded is encoded and decoded to the same bytes, and has a JSON form.
fn values(mut input: &[u8]) -> Result<(), String> {
    while let Ok(value) = decode_value(&mut input) {
        let bytes = encoded(&value);
        let again = decode_value(&mut bytes.as_slice()).map_err(|error| format!("{value:?}: {error}"))?;
        if encoded(&again) != bytes {
            return Err(format!("{value:?} came back as {again:?}"));
        }
        // Elements of a graph have a form, and nobody sends them.
        let _ = from_json(&to_json(&value));
    }
    Ok(())
}

fn encoded(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_value(value, &mut bytes);
    bytes
}

/// A message of either protocol that is read is written and read again.
fn wire(input: &[u8]) -> Result<(), String> {
    macro_rules! comes_back {
        ($($message:ty),*) => {
            $(if let Ok(message) = geode_wire::decode::<$message>(input) {
                let bytes = geode_wire::encode(&message);
                let again = geode_wire::decode::<$message>(&bytes).map_err(|error| format!("{message:?}: {error}"))?;
                if geode_wire::encode(&again) != bytes {
                    return Err(format!("{message:?} came back as {again:?}"));
                }
            })*
        };
    }
    comes_back!(ClientRequest, ClientReply, InternalRequest, InternalReply);
    Ok(())
}

/// So does an entry of the log.
fn log(input: &[u8]) -> Result<(), String> {
    let Ok(command) = Command::decode(input) else {
        return Ok(());
    };
    let bytes = command.encode();
    let again = Command::decode(&bytes).map_err(|error| format!("{command:?}: {error}"))?;
    if again.encode() == bytes {
        Ok(())
    } else {
        Err(format!("{command:?} came back as {again:?}"))
    }
}

/// Keys of an index stand in the order of the values, and none is the beginning of another.
fn keys(mut input: &[u8]) -> Result<(), String> {
    let mut before: Option<Value> = None;
    while let Ok(value) = decode_value(&mut input) {
        if let Some(before) = before.replace(value.clone()) {
            ordered(&before, &value)?;
        }
    }
    Ok(())
}

fn ordered(left: &Value, right: &Value) -> Result<(), String> {
    let keys = [index_key(left), index_key(right)];
    let wrong = || format!("{left:?} {right:?}: keys {:02x?}, {:02x?}", keys[0], keys[1]);
    if keys[0] != keys[1] && (keys[0].starts_with(&keys[1]) || keys[1].starts_with(&keys[0])) {
        return Err(wrong());
    }
    let wanted = match (left, right) {
        (Value::Int(left), Value::Int(right)) => Some(left.cmp(right)),
        (Value::Bool(left), Value::Bool(right)) => Some(left.cmp(right)),
        // What both are exactly: every float is whole beyond 2^53.
        (Value::Float(left), Value::Float(right)) => left.partial_cmp(right),
        (Value::Decimal(left), Value::Decimal(right)) => Some(left.cmp(right)),
        (Value::Int(left), Value::Float(right)) => int_and_float(*left, *right),
        (Value::Float(left), Value::Int(right)) => int_and_float(*right, *left).map(Ordering::reverse),
        // Longer ones keep their beginning and a hash, and have no order any more.
        (Value::String(left), Value::String(right)) if left.len().max(right.len()) < 100 => {
            Some(left.cmp(right))
        }
        (Value::Bytes(left), Value::Bytes(right)) if left.len().max(right.len()) < 100 => {
            Some(left.cmp(right))
        }
        _ => None,
    };
    match wanted {
        Some(wanted) if keys[0].cmp(&keys[1]) != wanted => Err(wrong()),
        _ => Ok(()),
    }
}

/// Exact: a float within the range of integers is one and a fraction.
fn int_and_float(int: i64, float: f64) -> Option<Ordering> {
    if float.is_nan() {
        return None;
    }
    if float.abs() >= 1e19 {
        return Some(if float > 0.0 {
            Ordering::Less
        } else {
            Ordering::Greater
        });
    }
    let whole = float.floor();
    let order = i128::from(int).cmp(&(whole as i128));
    Some(if order.is_eq() && whole < float {
        Ordering::Less
    } else {
        order
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mutate::bend;

    #[test]
    fn the_corpus_itself_has_no_findings() {
        for target in TARGETS {
            let corpus = (target.corpus)();
            assert!(corpus.inputs.len() > 2, "{}", target.name);
            for input in corpus.inputs {
                assert_eq!(
                    (target.check)(&input),
                    Ok(()),
                    "{}: {}",
                    target.name,
                    String::from_utf8_lossy(&input)
                );
            }
        }
    }

    /// What is refused at its first word shows nothing of the rest.
    #[test]
    fn bending_leaves_enough_that_is_taken() {
        let taken = |corpus: Corpus, takes: fn(&[u8]) -> bool| {
            let inputs = (0..2000).map(|case| bend(&corpus, case));
            inputs.filter(|input| takes(input)).count()
        };
        let is_statement = |input: &[u8]| parse(&String::from_utf8_lossy(input), Dialect::Gql).is_ok();
        let statements = taken(corpus::statements(), is_statement);
        assert!(statements > 300, "{statements} of 2000 are statements");
        let is_value = |mut input: &[u8]| decode_value(&mut input).is_ok();
        let values = taken(corpus::values(), is_value);
        assert!(values > 500, "{values} of 2000 are values");
        let is_command = |input: &[u8]| Command::decode(input).is_ok();
        let commands = taken(corpus::commands(), is_command);
        assert!(commands > 50, "{commands} of 2000 are log entries");
    }

    #[test]
    fn values_of_the_corpus_have_ordered_keys_whatever_stands_beside_them() {
        let values = corpus::sample_values();
        for left in &values {
            for right in &values {
                assert_eq!(ordered(left, right), Ok(()));
            }
        }
    }
}
