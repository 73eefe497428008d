//! The bytes of a command are for ever, and hostile bytes are refused.

use super::*;
use crate::roles::Actions;
use crate::schema::{RuleKind, RuleState};
use geode_types::Value;
use proptest::prelude::*;

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

fn sample() -> Command {
    let node = NodeRecord {
        labels: [1, 300].as_slice().into(),
        properties: vec![(2, "a".into()), (3, Value::Int(-1))],
    };
    let edge = EdgeRecord {
        edge_type: 1,
        start: NodeId(1),
        end: NodeId(2),
        properties: vec![(2, true.into())],
    };
    let user = UserRecord {
        name: "u".into(),
        hash: "h".into(),
        role: "reader".into(),
    };
    let mut role = RoleRecord::new("r".into());
    role.grant(None, Actions::SELECT);
    role.grant(Some(GraphId(3)), Actions::SELECT | Actions::INSERT);
    let rule = Rule {
        id: RuleId(7),
        name: "r".into(),
        label: 1,
        keys: [2, 3].as_slice().into(),
        kind: RuleKind::NodeKey,
        state: RuleState::Building(NodeId(0)),
    };
    Command::Commit(Box::new(Commit {
        request_id: Some(RequestId {
            session: Uuid::from_u128(0x0102),
            sequence: 300,
        }),
        certified_term: Term(3),
        sequence: 4,
        at_micros: -1,
        effects: vec![
            Effect::DefineToken {
                kind: TokenKind::EdgeType,
                id: 1,
                name: "T".into(),
            },
            Effect::CreateNode {
                id: NodeId(1),
                record: node.clone(),
            },
            Effect::UpdateNode {
                id: NodeId(1),
                record: node,
            },
            Effect::DeleteNode { id: NodeId(9) },
            Effect::CreateEdge {
                id: EdgeId(5),
                record: edge,
            },
            Effect::UpdateEdge {
                id: EdgeId(5),
                properties: vec![],
            },
            Effect::DeleteEdge { id: EdgeId(6) },
            Effect::PutUser(user),
            Effect::DropUser { name: "v".into() },
            Effect::PutCheckpoint { name: "c".into() },
            Effect::DropCheckpoint { name: "d".into() },
            Effect::PutRule(rule),
            Effect::DropRule { id: RuleId(7) },
            Effect::PutRole(role),
            Effect::DropRole { name: "w".into() },
        ],
        summary: CommitSummary {
            nodes_created: 1,
            labels_removed: 200,
            ..CommitSummary::default()
        },
    }))
}

#[test]
fn the_format_stays_what_it_is() {
    assert_eq!(
        Command::Cut { at_micros: 1_000_000 }.encode(),
        unhex("01 02 80897a")
    );
    let raise = Command::Raise { to: FeatureLevel(2) };
    assert_eq!(raise.encode(), unhex("01 04 02"));
    let expected = concat!(
        "0101",                                   // version 1, commit
        "0100000000000000000000000000000102ac02", // request: session, 300
        "03",                                     // term
        "04",                                     // sequence
        "01",                                     // at −1 µs
        "010000000000c801",                       // summary
        "0f",                                     // effects
        "0701010154",                             // edge type 1 is T
        "01010201ac0202020305016103020301",       // create node 1: labels 1, 300; 2 = "a", 3 = −1
        "02010201ac0202020305016103020301",       // update it
        "0309",                                   // delete node 9
        "040501010201020102",                     // create edge 5 of type 1 from 1 to 2: 2 = true
        "050500",                                 // edge 5 has no properties
        "0606",                                   // delete edge 6
        "0801750168067265616465 72",              // user u
        "090176",                                 // drop user v
        "0a0163",                                 // checkpoint c
        "0b0164",                                 // drop checkpoint d
        "0c07017201020203020000", // rule 7, r: nodes with label 1 have the key (2, 3); no node has been looked at
        "0d07",                   // drop rule 7
        "30017202000104 03",      // role r: select on every graph, insert and select on graph 3
        "310177",                 // drop role w
    );
    assert_eq!(sample().encode(), unhex(expected));
}

#[test]
fn every_command_survives_its_bytes_and_serde() {
    let raise = Command::Raise {
        to: FeatureLevel(200),
    };
    for command in [sample(), raise, Command::Cut { at_micros: i64::MIN }] {
        let bytes = command.encode();
        assert_eq!(Command::decode(&bytes), Ok(command.clone()));
        for length in 0..bytes.len() {
            assert!(Command::decode(&bytes[..length]).is_err(), "cut at {length}");
        }
        let longer = [bytes.as_slice(), &[0]].concat();
        assert_eq!(Command::decode(&longer), Err(DecodeError::Trailing));
    }
    assert_eq!(Command::decode(&[2, 1]), Err(DecodeError::UnknownTag(2)));
    assert_eq!(Command::decode(&[1, 9]), Err(DecodeError::UnknownTag(9)));
}

#[test]
fn forged_counts_are_refused() {
    let mut bytes = vec![VERSION, COMMIT, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0];
    bytes.extend([0xff, 0xff, 0xff, 0xff, 0x7f]);
    assert_eq!(Command::decode(&bytes), Err(DecodeError::Truncated));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Command::decode(&bytes);
        let _ = Command::decode(&[&[VERSION, COMMIT, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0][..], &bytes].concat());
    }

    #[test]
    fn flipped_bytes_never_panic_and_what_is_read_is_written_back(place in 0usize..150, mask in 1u8..) {
        let mut bytes = sample().encode();
        let place = place % bytes.len();
        bytes[place] ^= mask;
        if let Ok(command) = Command::decode(&bytes) {
            prop_assert_eq!(Command::decode(&command.encode()), Ok(command));
        }
    }
}
