//! Random transactions against a naive graph of maps, own writes and savepoints included, on both stores.

use crate::support::{Rig, lmdb, memory};
use geode_graph::{Adjacent, Direction, GraphError, Transaction};
use geode_store::{ReadTxn, Store};
use geode_types::{EdgeId, NodeId, Value};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

const NAMES: u32 = 3;

#[derive(Clone, Debug, Default, PartialEq)]
struct Model {
    nodes: BTreeMap<NodeId, (BTreeSet<u32>, BTreeMap<u32, Value>)>,
    edges: BTreeMap<EdgeId, (u32, NodeId, NodeId, BTreeMap<u32, Value>)>,
}

#[derive(Clone, Debug)]
enum Op {
    CreateNode(Vec<u32>, Vec<(u32, i64)>),
    CreateEdge(u32, usize, usize, Vec<(u32, i64)>),
    SetNode(usize, u32, Option<i64>),
    SetEdge(usize, u32, Option<i64>),
    ReplaceNode(usize, Vec<(u32, i64)>),
    Label(usize, u32, bool),
    DeleteNode(usize, bool),
    DeleteEdge(usize),
    Savepoint,
    Rollback,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let name = 1..=NAMES;
    let properties = prop::collection::vec((name.clone(), 0i64..4), 0..3);
    let place = 0usize..40;
    let op = prop_oneof![
        4 => (prop::collection::vec(name.clone(), 0..3), properties.clone()).prop_map(|(l, p)| Op::CreateNode(l, p)),
        6 => (name.clone(), place.clone(), place.clone(), properties.clone())
            .prop_map(|(t, a, b, p)| Op::CreateEdge(t, a, b, p)),
        3 => (place.clone(), name.clone(), prop::option::of(0i64..4)).prop_map(|(n, k, v)| Op::SetNode(n, k, v)),
        2 => (place.clone(), name.clone(), prop::option::of(0i64..4)).prop_map(|(e, k, v)| Op::SetEdge(e, k, v)),
        1 => (place.clone(), properties).prop_map(|(n, p)| Op::ReplaceNode(n, p)),
        3 => (place.clone(), name, any::<bool>()).prop_map(|(n, l, add)| Op::Label(n, l, add)),
        2 => (place.clone(), any::<bool>()).prop_map(|(n, detach)| Op::DeleteNode(n, detach)),
        2 => place.prop_map(Op::DeleteEdge),
        1 => Just(Op::Savepoint),
        1 => Just(Op::Rollback),
    ];
    prop::collection::vec(op, 0..40)
}

fn values(properties: &[(u32, i64)]) -> Vec<(u32, Value)> {
    properties
        .iter()
        .map(|(key, value)| (*key, Value::Int(*value)))
        .collect()
}

fn set(properties: &mut BTreeMap<u32, Value>, key: u32, value: Option<i64>) {
    match value {
        Some(value) => drop(properties.insert(key, value.into())),
        None => drop(properties.remove(&key)),
    }
}

impl Model {
    fn node(&self, place: usize) -> Option<NodeId> {
        self.nodes.keys().nth(place % self.nodes.len().max(1)).copied()
    }

    fn edge(&self, place: usize) -> Option<EdgeId> {
        self.edges.keys().nth(place % self.edges.len().max(1)).copied()
    }

    fn step<R: ReadTxn>(&mut self, tx: &mut Transaction<R>, op: &Op) {
        match op {
            Op::CreateNode(labels, properties) => {
                let id = tx.create_node(labels, values(properties)).unwrap();
                let labels = labels.iter().copied().collect();
                self.nodes
                    .insert(id, (labels, values(properties).into_iter().collect()));
            }
            Op::CreateEdge(kind, a, b, properties) => {
                let (Some(a), Some(b)) = (self.node(*a), self.node(*b)) else {
                    return;
                };
                let id = tx.create_edge(*kind, a, b, values(properties)).unwrap();
                self.edges
                    .insert(id, (*kind, a, b, values(properties).into_iter().collect()));
            }
            Op::SetNode(node, key, value) => {
                let Some(node) = self.node(*node) else { return };
                tx.set_node_property(node, *key, value.map_or(Value::Null, Value::Int))
                    .unwrap();
                set(&mut self.nodes.get_mut(&node).unwrap().1, *key, *value);
            }
            Op::SetEdge(edge, key, value) => {
                let Some(edge) = self.edge(*edge) else { return };
                tx.set_edge_property(edge, *key, value.map_or(Value::Null, Value::Int))
                    .unwrap();
                set(&mut self.edges.get_mut(&edge).unwrap().3, *key, *value);
            }
            Op::ReplaceNode(node, properties) => {
                let Some(node) = self.node(*node) else { return };
                tx.replace_node_properties(node, values(properties)).unwrap();
                self.nodes.get_mut(&node).unwrap().1 = values(properties).into_iter().collect();
            }
            Op::Label(node, label, add) => {
                let Some(node) = self.node(*node) else { return };
                let labels = &mut self.nodes.get_mut(&node).unwrap().0;
                if *add {
                    assert_eq!(tx.add_label(node, *label).unwrap(), labels.insert(*label));
                } else {
                    assert_eq!(tx.remove_label(node, *label).unwrap(), labels.remove(label));
                }
            }
            Op::DeleteNode(node, detach) => {
                let Some(node) = self.node(*node) else { return };
                let connected = self.edges.values().any(|edge| edge.1 == node || edge.2 == node);
                if connected && !detach {
                    assert!(matches!(
                        tx.delete_node(node, false),
                        Err(GraphError::NodeHasEdges(_))
                    ));
                    return;
                }
                tx.delete_node(node, *detach).unwrap();
                self.edges.retain(|_, edge| edge.1 != node && edge.2 != node);
                self.nodes.remove(&node);
            }
            Op::DeleteEdge(edge) => {
                let Some(edge) = self.edge(*edge) else { return };
                tx.delete_edge(edge).unwrap();
                self.edges.remove(&edge);
            }
            Op::Savepoint | Op::Rollback => {}
        }
    }

    fn compare<R: ReadTxn>(&self, tx: &Transaction<R>) {
        for label in (0..=NAMES).map(|label| Some(label).filter(|label| *label > 0)) {
            let mut nodes = Vec::new();
            tx.scan_nodes(label, None, usize::MAX >> 1, &mut nodes).unwrap();
            let wanted = self
                .nodes
                .iter()
                .filter(|(_, node)| label.is_none_or(|label| node.0.contains(&label)));
            assert_eq!(nodes, wanted.map(|(id, _)| *id).collect::<Vec<_>>());
        }
        for (id, (labels, properties)) in &self.nodes {
            let record = tx.node(*id).unwrap().unwrap();
            assert_eq!(record.labels.iter().copied().collect::<BTreeSet<_>>(), *labels);
            assert_eq!(
                record.properties.into_iter().collect::<BTreeMap<_, _>>(),
                *properties
            );
            for key in 1..=NAMES {
                assert_eq!(tx.node_property(*id, key).unwrap(), properties.get(&key).cloned());
            }
            self.compare_adjacency(tx, *id);
        }
        let mut edges = Vec::new();
        tx.scan_edges(None, None, usize::MAX >> 1, &mut edges).unwrap();
        assert_eq!(
            edges.iter().map(|edge| edge.edge).collect::<Vec<_>>(),
            self.edges.keys().copied().collect::<Vec<_>>()
        );
        for (id, (kind, start, end, properties)) in &self.edges {
            let record = tx.edge(*id).unwrap().unwrap();
            assert_eq!(
                (record.edge_type, record.start, record.end),
                (*kind, *start, *end)
            );
            assert_eq!(
                record.properties.into_iter().collect::<BTreeMap<_, _>>(),
                *properties
            );
        }
    }

    fn compare_adjacency<R: ReadTxn>(&self, tx: &Transaction<R>, node: NodeId) {
        for direction in [Direction::Out, Direction::In, Direction::Both] {
            for types in [None, Some(&[1][..]), Some(&[3, 2][..])] {
                let mut found = Vec::new();
                tx.expand(node, direction, types, &mut found).unwrap();
                assert_eq!(tx.degree(node, direction, types).unwrap(), found.len() as u64);
                found.sort();
                let mut wanted = Vec::new();
                for (edge, (kind, start, end, _)) in &self.edges {
                    if types.is_some_and(|types| !types.contains(kind)) {
                        continue;
                    }
                    let seen = |other, outgoing| Adjacent {
                        edge: *edge,
                        edge_type: *kind,
                        other,
                        outgoing,
                    };
                    if *start == node && direction != Direction::In {
                        wanted.push(seen(*end, true));
                    }
                    if *end == node
                        && (direction == Direction::In || (direction == Direction::Both && start != end))
                    {
                        wanted.push(seen(*start, false));
                    }
                }
                wanted.sort();
                assert_eq!(found, wanted);
                for other in self.nodes.keys() {
                    let mut between = Vec::new();
                    tx.expand_to((node, *other), direction, types, &mut between)
                        .unwrap();
                    between.sort();
                    let wanted: Vec<_> = wanted
                        .iter()
                        .filter(|edge| edge.other == *other)
                        .copied()
                        .collect();
                    assert_eq!(between, wanted);
                }
            }
        }
    }
}

fn run<S: Store>(rig: &mut Rig<S>, transactions: &[(Vec<Op>, bool)]) {
    rig.write(|tx| {
        for name in ["a", "b", "c"] {
            tx.define_label(name).unwrap();
            tx.define_type(name).unwrap();
            tx.define_key(name).unwrap();
        }
    });
    let mut model = Model::default();
    for (ops, commit) in transactions {
        let mut tx = rig.begin();
        let mut next = model.clone();
        let mut saved = Vec::new();
        for op in ops {
            match op {
                Op::Savepoint => saved.push((tx.savepoint(), next.clone())),
                Op::Rollback => {
                    if let Some((savepoint, state)) = saved.pop() {
                        tx.rollback_to(&savepoint);
                        next = state;
                    }
                }
                op => next.step(&mut tx, op),
            }
        }
        next.compare(&tx);
        if *commit {
            rig.commit(tx).unwrap();
            model = next;
        }
        model.compare(&rig.view());
        rig.check();
        let view = rig.view();
        assert_eq!(view.node_count(None).unwrap(), model.nodes.len() as u64);
        for kind in 1..=NAMES {
            let edges = model.edges.values().filter(|edge| edge.0 == kind).count();
            assert_eq!(view.edge_count(Some(kind)).unwrap(), edges as u64);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_transactions_equal_a_naive_graph(transactions in prop::collection::vec((ops(), prop::bool::weighted(0.8)), 1..8)) {
        run(&mut memory(), &transactions);
        run(&mut lmdb(&tempfile::tempdir().unwrap()), &transactions);
    }
}
