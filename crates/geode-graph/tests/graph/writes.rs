//! Transactions: own writes, savepoints, limits, refusals, counts.

use crate::support::{Rig, memory};
use geode_graph::{
    Actions, CommitSummary, Direction, Effect, GraphError, GraphId, MAX_CHECKPOINTS, RoleRecord, UserRecord,
};
use geode_store::MemStore;
use geode_types::{ErrorClass, NodeId, NodeValue, QueryError, Value};

#[test]
fn a_transaction_sees_its_own_writes_and_others_do_not() {
    let mut rig = memory();
    let mut tx = rig.begin();
    let (person, knows, name) = (
        tx.define_label("Person").unwrap(),
        tx.define_type("KNOWS").unwrap(),
        tx.define_key("name").unwrap(),
    );
    let a = tx.create_node(&[person], vec![(name, "a".into())]).unwrap();
    let b = tx.create_node(&[], vec![(name, Value::Null)]).unwrap();
    let edge = tx.create_edge(knows, a, b, vec![]).unwrap();
    tx.set_node_property(b, name, "b".into()).unwrap();
    assert!(tx.add_label(b, person).unwrap());
    let check = |tx: &geode_graph::Transaction<_>| {
        assert_eq!(tx.label_id("Person").unwrap(), Some(person));
        assert_eq!(&*tx.label_name(person).unwrap(), "Person");
        let mut nodes = Vec::new();
        tx.scan_nodes(Some(person), None, 10, &mut nodes).unwrap();
        assert_eq!(nodes, [a, b]);
        assert_eq!(tx.node_property(b, name).unwrap(), Some("b".into()));
        let mut edges = Vec::new();
        tx.expand(b, Direction::In, Some(&[knows]), &mut edges).unwrap();
        assert_eq!((edges.len(), edges[0].edge, edges[0].other), (1, edge, a));
    };
    check(&tx);
    assert!(!rig.view().node_exists(a).unwrap());
    assert_eq!(rig.view().label_id("Person").unwrap(), None);
    rig.commit(tx).unwrap();
    check(&rig.view());
    assert_eq!(
        (
            rig.view().node_count(Some(person)).unwrap(),
            rig.view().edge_count(Some(knows)).unwrap()
        ),
        (2, 1)
    );
    rig.check();
}

#[test]
fn a_rollback_to_a_savepoint_leaves_no_trace() {
    let mut rig = memory();
    let (a, b) = rig.write(|tx| {
        let key = tx.define_key("k").unwrap();
        let label = tx.define_label("L").unwrap();
        let kind = tx.define_type("T").unwrap();
        let a = tx.create_node(&[label], vec![(key, 1.into())]).unwrap();
        let b = tx.create_node(&[label], vec![(key, 2.into())]).unwrap();
        tx.create_edge(kind, a, b, vec![]).unwrap();
        (a, b)
    });
    let mut tx = rig.begin();
    let key = tx.key_id("k").unwrap().unwrap();
    let kind = tx.type_id("T").unwrap().unwrap();
    tx.set_node_property(a, key, 10.into()).unwrap();
    let first = tx.savepoint();
    tx.set_node_property(a, key, 11.into()).unwrap();
    let second = tx.savepoint();
    tx.define_label("New").unwrap();
    tx.delete_node(b, true).unwrap();
    let c = tx.create_node(&[], vec![]).unwrap();
    tx.create_edge(kind, c, c, vec![]).unwrap();
    tx.put_user(UserRecord {
        name: "u".into(),
        hash: "h".into(),
        role: "reader".into(),
    })
    .unwrap();
    tx.rollback_to(&second);
    assert!(tx.node_exists(b).unwrap() && !tx.node_exists(c).unwrap());
    assert_eq!((tx.label_id("New").unwrap(), tx.user("u").unwrap()), (None, None));
    assert_eq!(tx.degree(a, Direction::Both, None).unwrap(), 1);
    assert_eq!(tx.node_property(a, key).unwrap(), Some(11.into()));
    tx.rollback_to(&first);
    assert_eq!(tx.node_property(a, key).unwrap(), Some(10.into()));
    let finished = tx.finish();
    assert_eq!(
        finished.summary,
        CommitSummary {
            properties_set: 1,
            ..CommitSummary::default()
        }
    );
    assert!(
        matches!(finished.effects.as_slice(), [Effect::UpdateNode { .. }]),
        "{:?}",
        finished.effects
    );
}

#[test]
fn a_node_with_edges_is_deleted_only_with_them() {
    let mut rig = memory();
    let (a, b) = rig.write(|tx| {
        let kind = tx.define_type("T").unwrap();
        let (a, b) = (
            tx.create_node(&[], vec![]).unwrap(),
            tx.create_node(&[], vec![]).unwrap(),
        );
        for (start, end) in [(a, b), (b, a), (a, a)] {
            tx.create_edge(kind, start, end, vec![]).unwrap();
        }
        (a, b)
    });
    let mut tx = rig.begin();
    assert!(matches!(tx.delete_node(a, false), Err(GraphError::NodeHasEdges(node)) if node == a));
    tx.delete_node(a, true).unwrap();
    assert!(matches!(
        tx.delete_node(a, true),
        Err(GraphError::NodeNotFound(_))
    ));
    assert!(matches!(
        tx.create_edge(1, a, b, vec![]),
        Err(GraphError::NodeNotFound(_))
    ));
    assert_eq!(tx.summary().edges_deleted, 3);
    rig.commit(tx).unwrap();
    assert_eq!(rig.view().degree(b, Direction::Both, None).unwrap(), 0);
    assert_eq!(
        (
            rig.view().node_count(None).unwrap(),
            rig.view().edge_count(None).unwrap()
        ),
        (1, 0)
    );
    rig.check();
}

#[test]
fn what_is_created_and_deleted_again_has_no_effect() {
    let mut rig = memory();
    let mut tx = rig.begin();
    let node = tx.create_node(&[], vec![]).unwrap();
    tx.create_edge(1, node, node, vec![]).unwrap();
    tx.delete_node(node, true).unwrap();
    let user = UserRecord {
        name: "u".into(),
        hash: "h".into(),
        role: "reader".into(),
    };
    tx.put_user(user).unwrap();
    assert!(tx.drop_user("u").unwrap() && !tx.drop_user("u").unwrap());
    let finished = tx.finish();
    assert!(finished.effects.is_empty(), "{:?}", finished.effects);
    rig.certify(finished, None).unwrap();
}

#[test]
fn a_transaction_that_writes_too_much_is_refused_with_its_limit() {
    let rig = memory();
    let mut tx = rig.begin();
    tx.set_limit_bytes(1000);
    let key = tx.define_key("k").unwrap();
    let node = tx.create_node(&[], vec![]).unwrap();
    let error = tx
        .set_node_property(node, key, "x".repeat(1001).into())
        .unwrap_err();
    assert!(matches!(error, GraphError::WriteSetTooLarge { limit: 1000 }));
    assert_eq!(QueryError::from(error).class, ErrorClass::LimitError);
}

#[test]
fn values_and_names_that_cannot_be_stored_are_refused() {
    let rig = memory();
    let mut tx = rig.begin();
    let key = tx.define_key("k").unwrap();
    let node = tx.create_node(&[], vec![]).unwrap();
    let element = Value::Node(Box::new(NodeValue {
        id: NodeId(1),
        labels: vec![],
        properties: vec![],
    }));
    let deep = (0..200).fold(Value::Null, |inner, _| Value::List(vec![inner]));
    for bad in [element.clone(), Value::List(vec![element]), deep] {
        assert!(matches!(
            tx.set_node_property(node, key, bad.clone()),
            Err(GraphError::NotStorable(_))
        ));
        assert!(tx.create_node(&[], vec![(key, bad)]).is_err());
    }
    for bad in [String::new(), "x".repeat(481)] {
        assert!(matches!(tx.define_label(&bad), Err(GraphError::NameLength(_))));
        assert_eq!(tx.label_id(&bad).unwrap(), None);
    }
}

#[test]
fn a_read_only_transaction_refuses_every_write() {
    let mut rig = memory();
    let (node, edge) = rig.write(|tx| {
        let node = tx.create_node(&[], vec![]).unwrap();
        (node, tx.create_edge(1, node, node, vec![]).unwrap())
    });
    let mut tx = rig.view();
    let results = [
        tx.define_label("L").map(drop),
        tx.create_node(&[], vec![]).map(drop),
        tx.create_edge(1, node, node, vec![]).map(drop),
        tx.set_node_property(node, 1, 1.into()),
        tx.remove_node_property(node, 1).map(drop),
        tx.replace_node_properties(node, vec![]),
        tx.add_label(node, 1).map(drop),
        tx.remove_label(node, 1).map(drop),
        tx.set_edge_property(edge, 1, 1.into()),
        tx.remove_edge_property(edge, 1).map(drop),
        tx.replace_edge_properties(edge, vec![]),
        tx.delete_edge(edge),
        tx.delete_node(node, true),
        tx.put_user(UserRecord {
            name: "u".into(),
            hash: String::new(),
            role: String::new(),
        }),
        tx.drop_user("u").map(drop),
        tx.create_checkpoint("c"),
        tx.drop_checkpoint("c").map(drop),
    ];
    assert!(
        results
            .iter()
            .all(|result| matches!(result, Err(GraphError::ReadOnly))),
        "{results:?}"
    );
    assert!(tx.finish().reads.is_empty());
}

#[test]
fn users_are_kept_changed_and_dropped() {
    let mut rig = memory();
    let user = |name: &str, role: &str| UserRecord {
        name: name.into(),
        hash: "$argon2id$x".into(),
        role: role.into(),
    };
    rig.write(|tx| ["b", "a"].map(|name| tx.put_user(user(name, "reader")).unwrap()));
    rig.write(|tx| {
        tx.put_user(user("a", "administrator")).unwrap();
        assert!(tx.drop_user("b").unwrap());
        assert!(!tx.drop_user("c").unwrap());
        assert_eq!(tx.users().unwrap(), [user("a", "administrator")]);
    });
    let read = rig.snapshot();
    assert_eq!(
        geode_graph::user(read.reader(), "a").unwrap(),
        Some(user("a", "administrator"))
    );
    assert_eq!(geode_graph::users(read.reader()).unwrap().len(), 1);
    assert_eq!(geode_graph::user(read.reader(), "").unwrap(), None);
}

#[test]
fn roles_are_kept_changed_and_dropped_and_a_rollback_takes_them_back() {
    let mut rig = memory();
    let role = |name: &str, actions| {
        let mut role = RoleRecord::new(name.to_owned());
        role.grant(Some(GraphId(7)), actions);
        role
    };
    rig.write(|tx| ["b", "a"].map(|name| tx.put_role(role(name, Actions::SELECT)).unwrap()));
    rig.write(|tx| {
        let savepoint = tx.savepoint();
        tx.put_role(role("a", Actions::ALL)).unwrap();
        assert_eq!(tx.role("a").unwrap(), Some(role("a", Actions::ALL)));
        tx.rollback_to(&savepoint);
        assert!(tx.drop_role("b").unwrap());
        assert!(!tx.drop_role("c").unwrap());
        assert_eq!(tx.roles().unwrap(), [role("a", Actions::SELECT)]);
    });
    let read = rig.snapshot();
    let user = |role: &str| UserRecord {
        name: "ada".into(),
        hash: String::new(),
        role: role.into(),
    };
    let rights = |role: &str| geode_graph::rights(read.reader(), &user(role)).unwrap();
    assert!(rights("admin").is_administrator);
    assert!(rights("a").missing(GraphId(7), Actions::SELECT).is_empty());
    assert!(!rights("a").missing(GraphId::HOME, Actions::SELECT).is_empty());
    assert!(rights("writer").missing(GraphId(9), Actions::ALL).is_empty());
    assert_eq!(
        rights("reader").missing(GraphId(9), Actions::INSERT),
        Actions::INSERT
    );
    assert!(rights("b").grants.is_empty() && rights("").grants.is_empty());
}

#[test]
fn a_checkpoint_names_its_commit_and_a_name_is_taken_until_it_is_dropped() {
    let mut rig = memory();
    rig.write(|tx| tx.create_checkpoint("first").unwrap());
    rig.write(|tx| {
        tx.create_checkpoint("second").unwrap();
        let taken = ["first", "second"].map(|name| tx.create_checkpoint(name));
        assert!(
            taken
                .iter()
                .all(|result| matches!(result, Err(GraphError::CheckpointExists(_)))),
            "{taken:?}"
        );
        assert!(matches!(tx.create_checkpoint(""), Err(GraphError::NameLength(0))));
    });
    let names_and_places = |rig: &Rig<MemStore>| {
        let found = geode_graph::checkpoints(rig.snapshot().reader()).unwrap();
        let place = |checkpoint: geode_types::Checkpoint| (checkpoint.name, checkpoint.index.0);
        found.into_iter().map(place).collect::<Vec<_>>()
    };
    let before = names_and_places(&rig);
    let last = before[1].1;
    assert_eq!(
        before,
        [("first".to_owned(), last - 1), ("second".to_owned(), last)]
    );
    rig.write(|tx| {
        assert!(tx.drop_checkpoint("first").unwrap());
        assert!(!tx.drop_checkpoint("first").unwrap());
        tx.create_checkpoint("passing").unwrap();
        assert!(tx.drop_checkpoint("passing").unwrap());
    });
    rig.write(|tx| tx.create_checkpoint("first").unwrap());
    let after = names_and_places(&rig);
    assert_eq!(
        after,
        [("second".to_owned(), last), ("first".to_owned(), last + 2)]
    );
}

#[test]
fn checkpoints_are_bounded() {
    let mut rig = memory();
    rig.write(|tx| {
        for number in 0..MAX_CHECKPOINTS {
            tx.create_checkpoint(&number.to_string()).unwrap();
        }
        let further = tx.create_checkpoint("further");
        assert!(
            matches!(further, Err(GraphError::TooManyCheckpoints)),
            "{further:?}"
        );
    });
}
