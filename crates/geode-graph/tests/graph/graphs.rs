//! Several graphs in one database: they share nothing but the catalog, and a dropped one leaves nothing behind.

use crate::support::{Rig, lmdb, memory};
use geode_graph::{
    EdgeTypeRecord, GraphError, GraphId, GraphType, NodeTypeRecord, Object, ObjectKind, PropertyRecord,
    Transaction, ValueType, dropped_graphs, state_hash,
};
use geode_store::{ReadTxn, Store};
use geode_types::{NodeId, Value};

/// A node with a label and an edge to a second one, in the graph that is worked on.
fn fill<R: ReadTxn>(tx: &mut Transaction<R>, graph: GraphId) -> NodeId {
    tx.use_graph(graph);
    let (label, kind) = (tx.define_label("A").unwrap(), tx.define_type("T").unwrap());
    let key = tx.define_key("name").unwrap();
    let start = tx.create_node(&[label], vec![(key, "x".into())]).unwrap();
    let end = tx.create_node(&[label], Vec::new()).unwrap();
    tx.create_edge(kind, start, end, Vec::new()).unwrap();
    start
}

fn nodes<R: ReadTxn>(tx: &mut Transaction<R>, graph: GraphId) -> (Vec<NodeId>, u64, u64, usize) {
    tx.use_graph(graph);
    let label = tx.label_id("A").unwrap();
    let mut found = Vec::new();
    tx.scan_nodes(label, None, 100, &mut found).unwrap();
    let mut edges = Vec::new();
    tx.scan_edges(None, None, 100, &mut edges).unwrap();
    let count = tx.node_count(None).unwrap();
    (
        found,
        count,
        tx.edge_count(tx.type_id("T").unwrap()).unwrap(),
        edges.len(),
    )
}

fn two_graphs<S: Store>(rig: &mut Rig<S>) -> GraphId {
    let other = rig.write(|tx| {
        fill(tx, GraphId::HOME);
        let other = tx.create_graph("/g", None).unwrap();
        fill(tx, other);
        other
    });
    rig.write(|tx| fill(tx, other));
    rig.check();
    other
}

#[test]
fn graphs_side_by_side_have_elements_counts_and_ids_of_their_own() {
    let directory = tempfile::tempdir().unwrap();
    let mut rig = lmdb(&directory);
    let other = two_graphs(&mut rig);
    let mut view = rig.view();
    let (home, count, of_type, edges) = nodes(&mut view, GraphId::HOME);
    assert_eq!((home.len(), count, of_type, edges), (2, 2, 1, 1));
    let (found, count, of_type, edges) = nodes(&mut view, other);
    assert_eq!((found.len(), count, of_type, edges), (4, 4, 2, 2));
    assert!(found.iter().all(|node| GraphId::of_node(*node) == other));
    drop(view);
    // Another leader goes on where this one ended.
    rig.elect(2);
    rig.write(|tx| fill(tx, other));
    let third = rig.write(|tx| tx.create_graph("/h", None).unwrap());
    assert!(third > other);
    assert_eq!(nodes(&mut rig.view(), other).1, 6);
    rig.check();
}

#[test]
fn what_a_transaction_writes_is_seen_in_its_graph_only() {
    let mut rig = memory();
    let other = two_graphs(&mut rig);
    let mut tx = rig.begin();
    fill(&mut tx, GraphId::HOME);
    assert_eq!(nodes(&mut tx, other).0.len(), 4);
    assert_eq!(nodes(&mut tx, GraphId::HOME).0.len(), 4);
}

#[test]
fn an_edge_never_joins_two_graphs() {
    let mut rig = memory();
    let other = two_graphs(&mut rig);
    let mut tx = rig.begin();
    let (here, there) = (fill(&mut tx, GraphId::HOME), fill(&mut tx, other));
    let kind = tx.type_id("T").unwrap().unwrap();
    let refused = tx.create_edge(kind, here, there, Vec::new());
    assert!(matches!(refused, Err(GraphError::BetweenGraphs)), "{refused:?}");
}

#[test]
fn a_dropped_graph_is_gone_at_once_and_emptied_in_batches() {
    let mut rig = memory();
    let before = rig.write(|tx| {
        fill(tx, GraphId::HOME);
        tx.create_graph("/g", None).unwrap()
    });
    for _ in 0..700 {
        rig.write(|tx| fill(tx, before));
    }
    rig.write(|tx| assert!(tx.drop_object(ObjectKind::Graph, "/g").unwrap()));
    assert!(matches!(
        rig.view().graph_named("/g"),
        Err(GraphError::ObjectNotFound { .. })
    ));
    let mut batches = 0;
    while let Some(graph) = dropped_graphs(&rig.store.read().unwrap())
        .unwrap()
        .first()
        .copied()
    {
        rig.check();
        rig.write(|tx| tx.purge_graph(graph).unwrap());
        batches += 1;
        assert!(batches < 100, "it never ends");
    }
    assert!(batches > 1, "one batch took it all");
    rig.check();
    assert_eq!(nodes(&mut rig.view(), before), (Vec::new(), 0, 0, 0));
    assert_eq!(nodes(&mut rig.view(), GraphId::HOME).1, 2);
    // Nothing of it is left but the names of labels and the number that is never given again.
    let again = rig.write(|tx| tx.create_graph("/g", None).unwrap());
    assert!(again > before);
}

#[test]
fn a_graph_that_is_replaced_is_another_one() {
    let mut rig = memory();
    let old = two_graphs(&mut rig);
    let new = rig.write(|tx| tx.create_graph("/g", None).unwrap());
    assert_ne!(old, new);
    assert_eq!(nodes(&mut rig.view(), new).1, 0);
    assert_eq!(dropped_graphs(&rig.store.read().unwrap()).unwrap(), [old]);
}

#[test]
fn who_writes_into_a_graph_conflicts_with_who_drops_it() {
    let mut rig = memory();
    two_graphs(&mut rig);
    let mut writer = rig.begin();
    let graph = writer.graph_named("/g").unwrap().id;
    fill(&mut writer, graph);
    rig.write(|tx| tx.drop_object(ObjectKind::Graph, "/g").unwrap());
    assert!(rig.commit(writer).is_err());
}

#[test]
fn the_state_hash_covers_every_graph_and_the_catalog() {
    let mut rig = memory();
    let other = two_graphs(&mut rig);
    let hash = |rig: &Rig<geode_store::MemStore>| state_hash(&rig.store.read().unwrap()).unwrap();
    let first = hash(&rig);
    rig.write(|tx| fill(tx, other));
    let second = hash(&rig);
    rig.write(|tx| tx.put_object("/s", Object::Schema).unwrap());
    assert!(first != second && second != hash(&rig));
}

fn person() -> GraphType {
    let name = PropertyRecord {
        name: "name".to_owned(),
        value_type: ValueType {
            base: "STRING".to_owned(),
            lists: 0,
        },
        required: false,
    };
    GraphType {
        nodes: vec![
            NodeTypeRecord {
                labels: vec!["A".to_owned()],
                properties: vec![name],
            },
            NodeTypeRecord::default(),
        ],
        edges: vec![EdgeTypeRecord {
            label: "T".to_owned(),
            properties: Vec::new(),
            source: vec!["A".to_owned()],
            target: vec!["A".to_owned()],
        }],
    }
}

#[test]
fn a_closed_type_looks_at_what_was_written_and_at_edges_whose_ends_change() {
    let mut rig = memory();
    let graph = rig.write(|tx| tx.create_graph("/g", Some(person())).unwrap());
    let node = rig.write(|tx| {
        let since = tx.savepoint();
        let node = fill(tx, graph);
        tx.check_types(&since).unwrap();
        node
    });
    let mut tx = rig.begin();
    let (label, key) = (
        tx.label_id("A").unwrap().unwrap(),
        tx.key_id("name").unwrap().unwrap(),
    );
    for write in [
        &mut |tx: &mut Transaction<_>| tx.set_node_property(node, key, Value::Int(1)).unwrap(),
        &mut |tx: &mut Transaction<_>| {
            let other = tx.define_label("B").unwrap();
            tx.add_label(node, other).unwrap();
        },
        // A node without labels may be there, but not at the end of this edge.
        &mut |tx: &mut Transaction<_>| {
            tx.remove_node_property(node, key).unwrap();
            tx.remove_label(node, label).unwrap();
        },
    ] as [&mut dyn FnMut(&mut Transaction<_>); 3]
    {
        let since = tx.savepoint();
        write(&mut tx);
        let refused = tx.check_types(&since);
        assert!(
            matches!(refused, Err(GraphError::TypeViolated { .. })),
            "{refused:?}"
        );
        tx.rollback_to(&since);
    }
    let since = tx.savepoint();
    tx.check_types(&since).unwrap();
}

#[test]
fn savepoints_are_a_stack_of_names() {
    let mut rig = memory();
    let mut tx = rig.begin();
    let count = |tx: &mut Transaction<_>, add: usize| {
        for _ in 0..add {
            tx.create_node(&[], Vec::new()).unwrap();
        }
        let mut found = Vec::new();
        tx.scan_nodes(None, None, 100, &mut found).unwrap();
        found.len()
    };
    count(&mut tx, 1);
    tx.set_savepoint("a").unwrap();
    count(&mut tx, 1);
    tx.set_savepoint("b").unwrap();
    assert_eq!(count(&mut tx, 1), 3);
    tx.rollback_to_savepoint("b").unwrap();
    assert_eq!(count(&mut tx, 0), 2);
    tx.rollback_to_savepoint("b").unwrap();
    tx.set_savepoint("a").unwrap();
    count(&mut tx, 1);
    tx.rollback_to_savepoint("a").unwrap();
    assert_eq!(count(&mut tx, 0), 2, "the newer one of the name");
    tx.release_savepoint("a").unwrap();
    tx.rollback_to_savepoint("a").unwrap();
    assert_eq!(count(&mut tx, 0), 1);
    assert!(matches!(
        tx.rollback_to_savepoint("b"),
        Err(GraphError::NoSavepoint(_))
    ));
    tx.release_savepoint("a").unwrap();
    assert!(matches!(
        tx.release_savepoint("a"),
        Err(GraphError::NoSavepoint(_))
    ));
    rig.commit(tx).unwrap();
    assert_eq!(rig.view().node_count(None).unwrap(), 1);
}
