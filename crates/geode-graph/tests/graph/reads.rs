//! Scans and expansions: order, paging, self loops, types.

use crate::support::memory;
use geode_graph::Direction;
use geode_types::NodeId;

#[test]
fn scans_page_through_stored_and_own_things_in_order() {
    let mut rig = memory();
    let (label, kind) = rig.write(|tx| (tx.define_label("L").unwrap(), tx.define_type("T").unwrap()));
    let stored = rig.write(|tx| {
        (0..10)
            .map(|place| {
                tx.create_node(if place % 2 == 0 { &[1] } else { &[] }, vec![])
                    .unwrap()
            })
            .collect::<Vec<_>>()
    });
    rig.write(|tx| {
        for node in &stored {
            tx.create_edge(kind, *node, stored[0], vec![]).unwrap();
        }
    });
    let mut tx = rig.begin();
    tx.remove_label(stored[2], label).unwrap();
    tx.add_label(stored[3], label).unwrap();
    tx.delete_node(stored[4], true).unwrap();
    let new = tx.create_node(&[label], vec![]).unwrap();
    let own = tx.create_edge(kind, new, new, vec![]).unwrap();
    let all = |label| {
        for limit in [1, 2, 3, 100] {
            let mut nodes: Vec<NodeId> = Vec::new();
            loop {
                let (before, after) = (nodes.len(), nodes.last().copied());
                tx.scan_nodes(label, after, limit, &mut nodes).unwrap();
                if nodes.len() < before + limit {
                    break;
                }
            }
            let expected: Vec<NodeId> = match label {
                None => stored
                    .iter()
                    .copied()
                    .filter(|node| *node != stored[4])
                    .chain([new])
                    .collect(),
                Some(_) => vec![stored[0], stored[3], stored[6], stored[8], new],
            };
            assert_eq!(nodes, expected, "limit {limit}");
        }
    };
    all(None);
    all(Some(label));
    let mut edges = Vec::new();
    tx.scan_edges(Some(kind), None, 4, &mut edges).unwrap();
    tx.scan_edges(Some(kind), edges.last().map(|edge| edge.edge), 100, &mut edges)
        .unwrap();
    assert_eq!((edges.len(), edges.last().map(|edge| edge.edge)), (10, Some(own)));
    assert!(edges.is_sorted() && edges.iter().all(|edge| edge.start != stored[4]));
    let mut none = Vec::new();
    tx.scan_edges(Some(kind + 1), None, 100, &mut none).unwrap();
    assert!(none.is_empty());
}

#[test]
fn a_self_loop_is_seen_once_in_both_directions() {
    let mut rig = memory();
    let node = rig.write(|tx| {
        let node = tx.create_node(&[], vec![]).unwrap();
        tx.create_edge(1, node, node, vec![]).unwrap();
        node
    });
    let mut tx = rig.begin();
    for expected in [1, 2] {
        for direction in [Direction::Out, Direction::In, Direction::Both] {
            let mut edges = Vec::new();
            tx.expand(node, direction, None, &mut edges).unwrap();
            assert_eq!(edges.len(), expected, "{direction:?}");
            assert_eq!(tx.degree(node, direction, None).unwrap(), expected as u64);
        }
        tx.create_edge(1, node, node, vec![]).unwrap();
    }
}

#[test]
fn an_expansion_honours_types_and_directions() {
    let mut rig = memory();
    let (a, b) = rig.write(|tx| {
        let (a, b) = (
            tx.create_node(&[], vec![]).unwrap(),
            tx.create_node(&[], vec![]).unwrap(),
        );
        for kind in 1..=3 {
            tx.create_edge(kind, a, b, vec![]).unwrap();
            tx.create_edge(kind, b, a, vec![]).unwrap();
        }
        (a, b)
    });
    let mut tx = rig.begin();
    tx.create_edge(2, a, b, vec![]).unwrap();
    let found = |direction, types: Option<&[u32]>| {
        let mut edges = Vec::new();
        tx.expand(a, direction, types, &mut edges).unwrap();
        assert!(edges.iter().all(|edge| edge.other == b));
        edges
            .iter()
            .map(|edge| (edge.edge_type, edge.outgoing))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        found(Direction::Out, None),
        [(1, true), (2, true), (3, true), (2, true)]
    );
    assert_eq!(found(Direction::In, Some(&[3])), [(3, false)]);
    assert_eq!(
        found(Direction::Both, Some(&[2, 2])),
        [(2, true), (2, false), (2, true)]
    );
    assert_eq!(found(Direction::Both, Some(&[])), []);
}

#[test]
fn a_transaction_may_move_to_another_thread() {
    fn moves<T: Send + 'static>() {}
    moves::<geode_graph::Transaction<geode_store::LmdbRead>>();
    moves::<geode_graph::Transaction<geode_store::MemRead>>();
}
