//! Adjacency lists of many blocks.

use crate::support::{Rig, lmdb, memory};
use geode_graph::{Direction, fsck};
use geode_store::Store;
use geode_types::NodeId;

/// A permutation of 0..count that visits the numbers in a scattered order.
fn scattered(count: u64) -> impl Iterator<Item = u64> {
    (0..count).map(move |number| number * 7919 % count)
}

fn hub<S: Store>(mut rig: Rig<S>, edges: u64, scatter: bool) {
    let (hub, first) = rig.write(|tx| {
        assert_eq!(tx.define_type("T").unwrap(), 1);
        let hub = tx.create_node(&[], vec![]).unwrap();
        let leaves: Vec<NodeId> = (0..edges).map(|_| tx.create_node(&[], vec![]).unwrap()).collect();
        (hub, leaves[0].0)
    });
    let order: Vec<u64> = if scatter {
        scattered(edges).collect()
    } else {
        (0..edges).collect()
    };
    for batch in order.chunks(977) {
        rig.write(|tx| {
            for number in batch {
                tx.create_edge(1, hub, NodeId(first + number), vec![]).unwrap();
            }
        });
    }
    rig.check();
    let report = fsck(&rig.store.read().unwrap()).unwrap();
    // One block for the incoming edge of each leaf; the others are the hub's. A pair takes up to 4 bytes here.
    let hub_blocks = report.blocks - edges;
    assert!(
        hub_blocks >= edges * 2 / 1960 && hub_blocks <= edges * 4 / 980 + 2,
        "{hub_blocks} blocks"
    );
    let mut list = Vec::new();
    rig.view().expand(hub, Direction::Out, None, &mut list).unwrap();
    let others: Vec<u64> = list.iter().map(|adjacent| adjacent.other.0).collect();
    assert_eq!(others, (first..first + edges).collect::<Vec<_>>());

    for other in [
        first,
        first + 1,
        first + edges / 2,
        first + edges - 1,
        first + edges,
    ] {
        let mut between = Vec::new();
        let ends = (hub, NodeId(other));
        rig.view()
            .expand_to(ends, Direction::Out, Some(&[1]), &mut between)
            .unwrap();
        assert_eq!(between.len(), usize::from(other < first + edges), "{other}");
    }
    let keep = 50;
    let doomed: Vec<_> = list
        .iter()
        .filter(|adjacent| adjacent.other.0 >= first + keep)
        .map(|a| a.edge)
        .collect();
    for batch in doomed.chunks(1013) {
        rig.write(|tx| batch.iter().for_each(|edge| tx.delete_edge(*edge).unwrap()));
    }
    rig.check();
    assert_eq!(rig.view().degree(hub, Direction::Out, None).unwrap(), keep);
    assert_eq!(fsck(&rig.store.read().unwrap()).unwrap().blocks, 1 + keep);
    rig.write(|tx| tx.delete_node(hub, true).unwrap());
    rig.check();
}

#[test]
fn a_hub_of_100_000_edges_splits_and_merges_its_blocks() {
    hub(lmdb(&tempfile::tempdir().unwrap()), 100_000, true);
}

#[test]
fn a_hub_that_grows_in_order_fills_its_blocks() {
    hub(memory(), 20_000, false);
}

#[test]
fn parallel_edges_between_two_nodes_are_told_apart() {
    let mut rig = memory();
    let (a, b, edges) = rig.write(|tx| {
        assert_eq!(tx.define_type("T").unwrap(), 1);
        let (a, b) = (
            tx.create_node(&[], vec![]).unwrap(),
            tx.create_node(&[], vec![]).unwrap(),
        );
        (
            a,
            b,
            (0..5000)
                .map(|_| tx.create_edge(1, a, b, vec![]).unwrap())
                .collect::<Vec<_>>(),
        )
    });
    rig.check();
    rig.write(|tx| {
        for edge in edges.iter().step_by(2) {
            tx.delete_edge(*edge).unwrap();
        }
    });
    rig.check();
    assert_eq!(rig.view().degree(a, Direction::Out, Some(&[1])).unwrap(), 2500);
    assert_eq!(rig.view().degree(b, Direction::In, Some(&[1])).unwrap(), 2500);
}
