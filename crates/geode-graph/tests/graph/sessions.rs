//! Retried requests, fencing, and commands that must not be applied.

use crate::support::{Rig, memory};
use geode_graph::{
    Applied, Command, Commit, CommitSummary, Effect, GraphError, LogPosition, MAX_SESSIONS, NodeRecord,
    RequestState, SESSION_REQUESTS, apply, meta, position, put_meta, request_state, state_hash,
};
use geode_store::{MemStore, Store, WriteTxn};
use geode_types::{LogIndex, NodeId, RequestId, Term};
use uuid::Uuid;

fn request(session: u128, sequence: u64) -> RequestId {
    RequestId {
        session: Uuid::from_u128(session),
        sequence,
    }
}

fn create(rig: &mut Rig<MemStore>, request: RequestId) -> Command {
    let mut tx = rig.begin();
    tx.create_node(&[], vec![]).unwrap();
    rig.certify(tx.finish(), Some(request)).unwrap()
}

#[test]
fn a_retried_request_is_answered_and_not_applied_again() {
    let mut rig = memory();
    let first = create(&mut rig, request(1, 7));
    let Applied::Committed(summary) = rig.apply(1, &first) else {
        panic!("not committed")
    };
    let index = rig.log.last().unwrap().0.index;
    let again = create(&mut rig, request(1, 7));
    assert_eq!(rig.apply(1, &again), Applied::AlreadyCommitted { index, summary });
    // The same entry under a later leader: still the same answer, not a fence.
    rig.elect(2);
    assert_eq!(rig.apply(2, &first), Applied::AlreadyCommitted { index, summary });
    assert_eq!(rig.view().node_count(None).unwrap(), 1);
    let read = rig.store.read().unwrap();
    assert_eq!(
        request_state(&read, request(1, 7)).unwrap(),
        RequestState::Committed { index, summary }
    );
    assert_eq!(request_state(&read, request(1, 6)).unwrap(), RequestState::New);
    rig.check();
}

#[test]
fn requests_of_a_session_may_commit_out_of_order() {
    let mut rig = memory();
    for sequence in [3, 1, 2] {
        let command = create(&mut rig, request(1, sequence));
        assert!(matches!(rig.apply(1, &command), Applied::Committed(_)));
    }
}

#[test]
fn a_request_that_may_have_been_forgotten_is_refused() {
    let mut rig = memory();
    for sequence in 10..=10 + SESSION_REQUESTS {
        let command = create(&mut rig, request(1, sequence));
        assert!(matches!(rig.apply(1, &command), Applied::Committed(_)));
    }
    for (sequence, expected) in [(9, true), (10, true), (11, false), (11 + SESSION_REQUESTS, false)] {
        let state = request_state(&rig.store.read().unwrap(), request(1, sequence)).unwrap();
        assert_eq!(state == RequestState::TooOld, expected, "{sequence}: {state:?}");
    }
    let late = create(&mut rig, request(1, 10));
    assert_eq!(rig.apply(1, &late), Applied::RequestTooOld);
    rig.check();
}

#[test]
fn the_session_that_is_idle_longest_is_forgotten_first() {
    let mut rig = memory();
    for session in 0..u128::from(MAX_SESSIONS) {
        let command = create(&mut rig, request(session, 1));
        rig.apply(1, &command);
    }
    let busy = create(&mut rig, request(0, 2));
    rig.apply(1, &busy);
    let one_more = create(&mut rig, request(u128::MAX, 1));
    rig.apply(1, &one_more);
    let state = |session| request_state(&rig.store.read().unwrap(), request(session, 1)).unwrap();
    assert!(matches!(state(0), RequestState::Committed { .. }));
    assert_eq!(state(1), RequestState::New);
    assert!(matches!(state(2), RequestState::Committed { .. }));
    rig.check();
}

#[test]
fn a_command_of_another_term_or_out_of_order_is_void() {
    let mut rig = memory();
    let (first, second) = (create(&mut rig, request(1, 1)), create(&mut rig, request(1, 2)));
    assert!(matches!(rig.apply(1, &second), Applied::Committed(_)));
    assert_eq!(rig.apply(1, &first), Applied::Fenced);
    let third = create(&mut rig, request(1, 3));
    rig.elect(2);
    assert_eq!(rig.apply(2, &third), Applied::Fenced);
    assert_eq!(rig.view().node_count(None).unwrap(), 1);
    let now = position(&rig.store.read().unwrap()).unwrap();
    assert_eq!(
        (now.term, now.index, now.sequence),
        (Term(2), rig.log.last().unwrap().0.index, 2)
    );
    assert_eq!(rig.apply(2, &Command::Cut { at_micros: 5 }), Applied::Cut);
}

#[test]
fn an_effect_that_does_not_fit_stops_the_member() {
    let mut rig = memory();
    let (node, edge) = rig.write(|tx| {
        let node = tx.create_node(&[], vec![]).unwrap();
        (node, tx.create_edge(1, node, node, vec![]).unwrap())
    });
    let gone = NodeId(99);
    let loose = geode_graph::EdgeRecord {
        edge_type: 1,
        start: node,
        end: gone,
        properties: vec![],
    };
    let bad = [
        Effect::DeleteNode { id: node },
        Effect::DeleteNode { id: gone },
        Effect::CreateNode {
            id: node,
            record: NodeRecord::default(),
        },
        Effect::CreateNode {
            id: NodeId(0),
            record: NodeRecord::default(),
        },
        Effect::UpdateNode {
            id: gone,
            record: NodeRecord::default(),
        },
        Effect::CreateEdge {
            id: geode_types::EdgeId(50),
            record: loose.clone(),
        },
        Effect::CreateEdge {
            id: edge,
            record: loose,
        },
        Effect::DeleteEdge {
            id: geode_types::EdgeId(50),
        },
        Effect::DropUser {
            name: "nobody".into(),
        },
        Effect::DefineToken {
            kind: geode_graph::TokenKind::Label,
            id: 0,
            name: "L".into(),
        },
    ];
    let before = state_hash(&rig.store.read().unwrap()).unwrap();
    for effect in bad {
        let commit = Commit {
            request_id: None,
            certified_term: Term(1),
            sequence: 100,
            at_micros: 0,
            effects: vec![effect.clone()],
            summary: CommitSummary::default(),
        };
        let mut tx = rig.store.write().unwrap();
        let at = LogPosition {
            term: Term(1),
            index: LogIndex(100),
        };
        let result = apply(&mut tx, at, &Command::Commit(Box::new(commit)));
        assert!(
            matches!(result, Err(GraphError::InvalidCommand { .. })),
            "{effect:?}: {result:?}"
        );
    }
    let mut tx = rig.store.write().unwrap();
    let old = LogPosition {
        term: Term(1),
        index: LogIndex(1),
    };
    assert!(
        apply(&mut tx, old, &Command::Cut { at_micros: 0 }).is_err(),
        "an entry is applied once"
    );
    drop(tx);
    assert_eq!(state_hash(&rig.store.read().unwrap()).unwrap(), before);
}

#[test]
fn blobs_of_the_member_are_outside_the_hash() {
    let rig = memory();
    let before = state_hash(&rig.store.read().unwrap()).unwrap();
    let mut tx = rig.store.write().unwrap();
    put_meta(&mut tx, "membership", b"voters").unwrap();
    tx.commit().unwrap();
    let read = rig.store.read().unwrap();
    assert_eq!(
        meta(&read, "membership").unwrap().as_deref(),
        Some(&b"voters"[..])
    );
    assert_eq!(
        (meta(&read, "vote").unwrap(), state_hash(&read).unwrap()),
        (None, before)
    );
}
