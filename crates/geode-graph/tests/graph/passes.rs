//! What reads many nodes or lists in one pass gives what reading them one by one gives.

use crate::support::{Rig, lmdb, memory};
use geode_graph::{Direction, GraphId, NodeScan, Transaction};
use geode_store::{MemStore, ReadTxn, Store};
use geode_types::{NodeId, Value};

/// Nodes in groups, of which each has the label, or none has, or every few have.
fn in_groups() -> (Rig<MemStore>, Vec<NodeId>) {
    let mut rig = memory();
    let nodes = rig.write(|tx| {
        tx.define_label("L").unwrap();
        tx.define_label("M").unwrap();
        let key = tx.define_key("k").unwrap();
        let is_labelled = |place: u64| match place / 100 {
            0 | 3 => true,
            1 => false,
            2 => place.is_multiple_of(2),
            _ => place.is_multiple_of(17),
        };
        (0..600)
            .map(|place| {
                let labels: &[u32] = if is_labelled(place) { &[1, 2] } else { &[2] };
                let value = (key, Value::Int(place as i64));
                tx.create_node(labels, vec![value]).unwrap()
            })
            .collect()
    });
    (rig, nodes)
}

fn scanned<R: ReadTxn>(
    tx: &Transaction<R>,
    label: Option<u32>,
    limit: usize,
) -> Vec<(NodeId, Option<Value>)> {
    let (mut scan, mut found) = (NodeScan::default(), Vec::new());
    loop {
        let before = found.len();
        let done = tx
            .visit_scan(label, &mut scan, limit, |id, node| {
                let mut value = None;
                node.properties(&[1], |_, property| value = Some(property.value().unwrap()))?;
                found.push((id, value));
                Ok(())
            })
            .unwrap();
        assert!(found.len() <= before + limit);
        if done {
            return found;
        }
    }
}

fn one_by_one<R: ReadTxn>(tx: &Transaction<R>, label: Option<u32>) -> Vec<(NodeId, Option<Value>)> {
    let mut ids = Vec::new();
    tx.scan_nodes(label, None, usize::MAX, &mut ids).unwrap();
    let value = |id| tx.node_property(id, 1).unwrap();
    ids.into_iter().map(|id| (id, value(id))).collect()
}

#[test]
fn a_scan_shows_each_node_once_however_labels_lie() {
    let (rig, nodes) = in_groups();
    let view = rig.view();
    let mut own = rig.begin();
    own.delete_node(nodes[3], true).unwrap();
    own.remove_label(nodes[5], 1).unwrap();
    own.add_label(nodes[150], 1).unwrap();
    own.set_node_property(nodes[7], 1, Value::from("own")).unwrap();
    own.create_node(&[1], vec![(1, Value::from("new"))]).unwrap();
    for label in [None, Some(1), Some(2), Some(3)] {
        for limit in [1, 2, 7, 64, 1000] {
            assert_eq!(
                scanned(&view, label, limit),
                one_by_one(&view, label),
                "{label:?} {limit}"
            );
            assert_eq!(
                scanned(&own, label, limit),
                one_by_one(&own, label),
                "{label:?} {limit}"
            );
        }
    }
}

#[test]
fn parts_of_a_scan_show_together_what_it_shows() {
    let (rig, nodes) = in_groups();
    let view = rig.view();
    let (first, end) = (nodes[0].0, nodes[nodes.len() - 1].0 + 1);
    for label in [None, Some(1), Some(2), Some(3)] {
        for (width, limit) in [(1, 1), (7, 3), (100, 64), (250, 7), (1000, 1000)] {
            let mut found = Vec::new();
            for from in (first..end).step_by(width) {
                let mut scan = NodeScan::part(NodeId(from), NodeId(from + width as u64));
                while !view
                    .visit_scan(label, &mut scan, limit, |id, _| {
                        found.push(id);
                        Ok(())
                    })
                    .unwrap()
                {}
            }
            let expected: Vec<NodeId> = one_by_one(&view, label).into_iter().map(|(id, _)| id).collect();
            assert_eq!(found, expected, "{label:?} {width} {limit}");
            let last = view.snapshot().last_node(GraphId::HOME, label);
            assert_eq!(last.unwrap(), expected.last().copied(), "{label:?}");
        }
    }
}

#[test]
fn only_a_transaction_that_only_reads_has_helpers_and_they_see_what_it_sees() {
    let (mut rig, nodes) = in_groups();
    assert!(rig.begin().helper().unwrap().is_none());
    let view = rig.view();
    rig.write(|tx| tx.delete_node(nodes[0], true).unwrap());
    // A store in memory can give every state again.
    let helper = view.helper().unwrap().unwrap();
    assert_eq!(scanned(&helper, None, 64), scanned(&view, None, 64));
    assert_eq!(scanned(&helper, None, 64).len(), nodes.len());
}

#[test]
fn on_lmdb_there_are_helpers_until_something_is_committed() {
    let directory = tempfile::tempdir().unwrap();
    let mut rig = lmdb(&directory);
    let view = rig.view();
    let helper = view.helper().unwrap().unwrap();
    assert_eq!(helper.position(), view.position());
    rig.write(|tx| tx.create_node(&[], Vec::new()).unwrap());
    assert!(view.helper().unwrap().is_none());
    assert_eq!(scanned(&helper, None, 64), Vec::new());
    assert_eq!(scanned(&rig.view(), None, 64).len(), 1);
}

#[test]
fn a_scan_that_can_write_notes_the_label_and_the_nodes_that_it_showed() {
    let (rig, nodes) = in_groups();
    let tx = rig.begin();
    let mut scan = NodeScan::default();
    for _ in 0..3 {
        tx.visit_scan(Some(1), &mut scan, 2, |_, _| Ok(())).unwrap();
    }
    let reads = tx.finish().reads;
    let mut noted: Vec<_> = reads.iter().cloned().collect();
    noted.sort();
    let mut expected: Vec<_> = nodes[..6]
        .iter()
        .map(|id| geode_graph::Touch::Node(*id))
        .collect();
    expected.push(geode_graph::Touch::Label(1));
    assert_eq!(noted, expected);
}

fn degrees_are_right<S: Store>(mut rig: Rig<S>) {
    let nodes = rig.write(|tx| {
        for name in ["A", "B", "C"] {
            tx.define_type(name).unwrap();
        }
        (0..300)
            .map(|_| tx.create_node(&[], vec![]).unwrap())
            .collect::<Vec<_>>()
    });
    rig.write(|tx| {
        // A hub with lists of many blocks amid nodes with few edges.
        for number in 0..9000u64 {
            let (kind, other) = (1 + (number % 3) as u32, nodes[(number * 7919 % 300) as usize]);
            tx.create_edge(kind, nodes[100], other, vec![]).unwrap();
            if number % 5 == 0 {
                let start = nodes[(number * 31 % 97) as usize];
                tx.create_edge(kind, start, other, vec![]).unwrap();
            }
        }
    });
    let view = rig.view();
    let mut own = rig.begin();
    own.create_edge(2, nodes[1], nodes[2], vec![]).unwrap();
    let every = |step: usize| nodes.iter().copied().step_by(step).collect::<Vec<_>>();
    for nodes in [every(1), every(7), every(200), vec![nodes[100]], vec![]] {
        for direction in [Direction::Out, Direction::In, Direction::Both] {
            for types in [
                None,
                Some(&[2][..]),
                Some(&[3]),
                Some(&[4]),
                Some(&[1, 3]),
                Some(&[]),
            ] {
                for tx in [&view, &own] {
                    let degrees = tx.degrees(&nodes, direction, types).unwrap();
                    let degree = |node: &NodeId| tx.degree(*node, direction, types).unwrap();
                    let expected: Vec<u64> = nodes.iter().map(degree).collect();
                    assert_eq!(degrees, expected, "{direction:?} {types:?}");
                }
            }
        }
    }
}

#[test]
fn degrees_of_many_nodes_are_those_of_each() {
    degrees_are_right(memory());
    degrees_are_right(lmdb(&tempfile::tempdir().unwrap()));
}
