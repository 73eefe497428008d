//! The corpus: statements in a file, values and messages as they are written here, and what was found before.

use crate::mutate::Corpus;
use geode_graph::{Command, Commit, CommitSummary, EdgeRecord, Effect, NodeRecord, RuleId, TokenKind};
use geode_types::{
    Decimal, EdgeId, EdgeValue, LogIndex, Lsn, NodeId, NodeValue, PathValue, Temporal, TemporalKind, Term,
    Value, encode_value,
};
use geode_wire::client::{ClientReply, ClientRequest, Done, Execute, ReadMode, Rows};
use geode_wire::encode;
use geode_wire::internal::{InternalReply, InternalRequest};

/// One a line.
const STATEMENTS: &str = include_str!("../corpus/statements.txt");
/// What the fuzzer found in texts, one a line.
const FOUND_TEXTS: &str = include_str!("../corpus/found-texts.txt");
/// What it found in bytes, one a line, in hexadecimal digits.
const FOUND_BYTES: &str = include_str!("../corpus/found-bytes.txt");

/// Statements.
pub fn statements() -> Corpus {
    Corpus::of_texts(STATEMENTS.lines().chain(FOUND_TEXTS.lines()))
}

/// Encoded values.
pub fn values() -> Corpus {
    let encoded = sample_values().into_iter().map(|value| {
        let mut bytes = Vec::new();
        encode_value(&value, &mut bytes);
        bytes
    });
    bytes(encoded.collect())
}

/// Messages of both protocols.
pub fn messages() -> Corpus {
    let execute = Execute {
        text: "RETURN $x".to_owned(),
        read: ReadMode::AtLeast(Lsn::default()),
        ..Execute::default()
    };
    let to = Some("geode-1".to_owned());
    let rows = Rows {
        count: 1,
        data: encode(&7u8),
    };
    let after = LogIndex(9);
    let messages = [
        encode(&ClientRequest::Execute(execute)),
        encode(&ClientRequest::TransferLeader { to }),
        encode(&ClientReply::Columns(vec!["a".to_owned(), String::new()])),
        encode(&ClientReply::Rows(rows)),
        encode(&ClientReply::Done(Done::default())),
        encode(&ClientReply::NotLeader { leader: None }),
        encode(&InternalRequest::Segments { after }),
        encode(&InternalRequest::Fence { fenced: true }),
        encode(&InternalReply::Ok),
        encode(&InternalReply::Tasks(Vec::new())),
    ];
    bytes(messages.iter().map(|message| message.to_vec()).collect())
}

/// Log entries.
pub fn commands() -> Corpus {
    let effects = vec![
        Effect::CreateNode {
            id: NodeId(1),
            record: NodeRecord {
                labels: [1, 2].into_iter().collect(),
                properties: vec![(3, Value::Int(-1)), (4, "x".into())],
            },
        },
        Effect::CreateEdge {
            id: EdgeId(2),
            record: EdgeRecord {
                edge_type: 1,
                start: NodeId(1),
                end: NodeId(1),
                properties: Vec::new(),
            },
        },
        Effect::DefineToken {
            kind: TokenKind::Label,
            id: 1,
            name: "A".to_owned(),
        },
        Effect::DropCheckpoint { name: "c".to_owned() },
    ];
    let commit = Commit {
        request_id: None,
        certified_term: Term(3),
        sequence: 17,
        at_micros: 1_700_000_000_000_000,
        effects,
        summary: CommitSummary::default(),
    };
    let commands = [
        Command::Commit(Box::new(commit)),
        Command::Cut { at_micros: -1 },
        Command::Step {
            rule: RuleId(2),
            after: NodeId(9),
            limit: 100,
        },
    ];
    bytes(commands.iter().map(Command::encode).collect())
}

fn bytes(mut inputs: Vec<Vec<u8>>) -> Corpus {
    inputs.extend(FOUND_BYTES.lines().map(unhex));
    Corpus {
        inputs,
        ..Corpus::default()
    }
}

fn unhex(line: &str) -> Vec<u8> {
    let digits: Vec<u8> = line
        .chars()
        .filter_map(|c| c.to_digit(16))
        .map(|digit| digit as u8)
        .collect();
    digits
        .chunks_exact(2)
        .map(|pair| pair[0] << 4 | pair[1])
        .collect()
}

/// Values of every type, at the edges of their ranges.
pub fn sample_values() -> Vec<Value> {
    let temporal = |kind, text| Temporal::parse(kind, text).map_or(Value::Null, Value::Temporal);
    let properties = vec![("a".to_owned(), Value::Int(1)), ("b".to_owned(), "x".into())];
    let node = |id| NodeValue {
        id: NodeId(id),
        labels: vec!["A".to_owned(), "B".to_owned()],
        properties: properties.clone(),
    };
    let edge = EdgeValue {
        id: EdgeId(7),
        edge_type: "T".to_owned(),
        start: NodeId(1),
        end: NodeId(2),
        properties: Vec::new(),
    };
    let mut values = vec![
        Value::Null,
        true.into(),
        "".into(),
        "a\0b".into(),
        "zażółć".into(),
        Value::Bytes(vec![0, 1, 255]),
        temporal(TemporalKind::Date, "2024-02-29"),
        temporal(TemporalKind::LocalTime, "23:59:59.999999999"),
        temporal(TemporalKind::Time, "00:00+18:00"),
        temporal(TemporalKind::LocalDateTime, "-999999999-01-01T00:00"),
        temporal(TemporalKind::DateTime, "2024-03-31T02:30+02:00[Europe/Warsaw]"),
        temporal(TemporalKind::Duration, "P1Y2M3DT4H5M6.7S"),
        Value::Node(Box::new(node(1))),
        Value::Edge(Box::new(edge.clone())),
        Value::Path(Box::new(PathValue {
            nodes: vec![node(1), node(2)],
            edges: vec![edge],
        })),
        Value::Map(properties.clone()),
    ];
    values.extend([0, 1, -1, 127, 128, 1 << 53, i64::MAX, i64::MIN].map(Value::Int));
    values.extend([0.0, -0.0, 0.5, 1e300, f64::INFINITY, f64::NAN, 5e-324].map(Value::Float));
    values.extend(
        [(0, 0), (15, 1), (-1, 28), (i64::MAX, 3)]
            .map(|(digits, scale)| Value::Decimal(Decimal::new(digits, scale))),
    );
    values.push(Value::List(values[..6].to_vec()));
    values
}
