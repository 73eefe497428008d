//! Certification: what conflicts, what does not, and that whatever commits could have run one after the other.

use crate::support::{Rig, memory};
use geode_graph::{
    Applied, Certifier, Command, Conflict, Direction, Finished, LogPosition, ReadSet, Touch, Transaction,
    WriteSet, apply, position,
};
use geode_store::{MemRead, MemStore, Store, WriteTxn};
use geode_types::{LogIndex, NodeId, Term, Value};
use proptest::prelude::*;

type Tx = Transaction<MemRead>;

/// Three nodes of label 1 with property 1, of which the first two are joined by type 1.
fn small() -> (Rig<MemStore>, [NodeId; 3]) {
    let mut rig = memory();
    let nodes = rig.write(|tx| {
        let (label, key, kind) = (
            tx.define_label("L").unwrap(),
            tx.define_key("v").unwrap(),
            tx.define_type("T").unwrap(),
        );
        assert_eq!((label, key, kind, tx.define_label("M").unwrap()), (1, 1, 1, 2));
        let nodes = [0, 1, 2].map(|value| tx.create_node(&[1], vec![(1, Value::Int(value))]).unwrap());
        tx.create_edge(1, nodes[0], nodes[1], vec![]).unwrap();
        nodes
    });
    (rig, nodes)
}

/// Runs both on the same snapshot, commits the first, and tells what becomes of the second.
fn race(
    first: impl FnOnce(&mut Tx, [NodeId; 3]),
    second: impl FnOnce(&mut Tx, [NodeId; 3]),
) -> Result<(), Conflict> {
    let (mut rig, nodes) = small();
    let (mut one, mut two) = (rig.begin(), rig.begin());
    first(&mut one, nodes);
    second(&mut two, nodes);
    rig.commit(one).unwrap();
    let outcome = rig.commit(two);
    rig.check();
    outcome
}

fn value(tx: &Tx, node: NodeId) -> i64 {
    match tx.node_property(node, 1).unwrap() {
        Some(Value::Int(value)) => value,
        _ => 0,
    }
}

fn labelled(tx: &Tx) -> usize {
    let mut nodes = Vec::new();
    tx.scan_nodes(Some(1), None, 1000, &mut nodes).unwrap();
    nodes.len()
}

fn changed<T: std::fmt::Debug>(outcome: Result<T, Conflict>) -> Touch {
    match outcome {
        Err(Conflict::Changed { what }) => what,
        other => panic!("no conflict: {other:?}"),
    }
}

#[test]
fn blind_creations_never_conflict() {
    let create = |tx: &mut Tx, nodes: [NodeId; 3]| {
        let node = tx.create_node(&[1], vec![(1, 5.into())]).unwrap();
        tx.create_edge(1, node, nodes[0], vec![]).unwrap();
        tx.create_edge(1, nodes[0], nodes[1], vec![]).unwrap();
    };
    race(create, create).unwrap();
    race(
        |tx, nodes| tx.set_node_property(nodes[0], 1, 9.into()).unwrap(),
        create,
    )
    .unwrap();
}

#[test]
fn a_transaction_that_read_very_much_conflicts_with_any_change_of_a_node() {
    let (mut rig, nodes) = small();
    let mut wide = rig.begin();
    for id in 0..=geode_graph::MAX_POINT_READS as u64 {
        wide.node(NodeId(id + 1000)).unwrap();
    }
    wide.create_node(&[], vec![]).unwrap();
    rig.write(|tx| tx.set_node_property(nodes[0], 1, 9.into()).unwrap());
    assert_eq!(changed(rig.commit(wide)), Touch::AnyNode);
}

#[test]
fn lost_updates_conflict() {
    let add = |tx: &mut Tx, nodes: [NodeId; 3]| {
        let now = value(tx, nodes[0]);
        tx.set_node_property(nodes[0], 1, (now + 1).into()).unwrap();
    };
    assert!(matches!(changed(race(add, add)), Touch::Node(_)));
    let blind = |tx: &mut Tx, nodes: [NodeId; 3]| tx.set_node_property(nodes[0], 1, 7.into()).unwrap();
    changed(race(blind, blind));
}

#[test]
fn write_skew_conflicts() {
    let skew = |from: usize, to: usize| {
        move |tx: &mut Tx, nodes: [NodeId; 3]| {
            let seen = value(tx, nodes[from]);
            tx.set_node_property(nodes[to], 1, (seen + 10).into()).unwrap();
        }
    };
    changed(race(skew(0, 1), skew(1, 0)));
    race(skew(0, 1), skew(0, 2)).unwrap();
}

#[test]
fn phantoms_conflict() {
    let guarded = |tx: &mut Tx, _: [NodeId; 3]| {
        if labelled(tx) < 4 {
            tx.create_node(&[1], vec![]).unwrap();
        }
    };
    assert_eq!(changed(race(guarded, guarded)), Touch::Label(1));
    let unlabel = |tx: &mut Tx, nodes: [NodeId; 3]| {
        tx.remove_label(nodes[2], 1).unwrap();
    };
    assert_eq!(changed(race(unlabel, guarded)), Touch::Label(1));
    race(
        |tx, _| {
            tx.create_node(&[2], vec![]).unwrap();
        },
        guarded,
    )
    .unwrap();
}

#[test]
fn an_edge_conflicts_with_the_deletion_of_its_end_and_the_other_way_round() {
    let connect = |tx: &mut Tx, nodes: [NodeId; 3]| {
        tx.create_edge(1, nodes[0], nodes[2], vec![]).unwrap();
    };
    let delete = |tx: &mut Tx, nodes: [NodeId; 3]| tx.delete_node(nodes[2], true).unwrap();
    assert!(matches!(changed(race(delete, connect)), Touch::Existence(_)));
    assert!(matches!(changed(race(connect, delete)), Touch::Adjacency(..)));
}

#[test]
fn an_expansion_conflicts_with_edges_of_its_types_only() {
    let connect = |kind| {
        move |tx: &mut Tx, n: [NodeId; 3]| {
            tx.create_edge(kind, n[0], n[1], vec![]).unwrap();
        }
    };
    let expand = |types: Option<&'static [u32]>| {
        move |tx: &mut Tx, nodes: [NodeId; 3]| {
            let degree = tx.degree(nodes[0], Direction::Out, types).unwrap();
            tx.create_node(&[], vec![(1, (degree as i64).into())]).unwrap();
        }
    };
    assert!(matches!(
        changed(race(connect(1), expand(Some(&[1])))),
        Touch::Adjacency(..)
    ));
    assert!(matches!(
        changed(race(connect(1), expand(None))),
        Touch::Adjacency(..)
    ));
    let race_types = |kind| {
        let (mut rig, nodes) = small();
        rig.write(|tx| tx.define_type("U").unwrap());
        let (mut one, mut two) = (rig.begin(), rig.begin());
        connect(kind)(&mut one, nodes);
        expand(Some(&[1]))(&mut two, nodes);
        rig.commit(one).unwrap();
        rig.commit(two)
    };
    race_types(2).unwrap();
    changed(race_types(1));
}

#[test]
fn two_definitions_of_one_name_conflict_and_of_two_names_do_not() {
    let define = |name: &'static str| {
        move |tx: &mut Tx, _: [NodeId; 3]| {
            tx.define_label(name).unwrap();
        }
    };
    assert!(matches!(
        changed(race(define("X"), define("X"))),
        Touch::Token(..)
    ));
    race(define("X"), define("Y")).unwrap();
    let look = |tx: &mut Tx, _: [NodeId; 3]| {
        assert_eq!(tx.label_id("X").unwrap(), None);
        tx.create_node(&[], vec![]).unwrap();
    };
    changed(race(define("X"), look));
}

#[test]
fn snapshots_of_another_term_or_beyond_the_window_conflict() {
    let (mut rig, nodes) = small();
    let mut old = rig.begin();
    old.set_node_property(nodes[0], 1, 5.into()).unwrap();
    rig.elect(2);
    assert_eq!(rig.commit(old), Err(Conflict::OtherTerm));

    let now = position(&rig.store.read().unwrap()).unwrap();
    rig.certifier = Certifier::with_window(Term(2), &now, 50);
    let slow = rig.begin();
    let mut commits = 0;
    while rig
        .certifier
        .certify(slow.position(), &ReadSet::default(), &WriteSet::default())
        .is_ok()
    {
        rig.write(|tx| {
            tx.create_node(&[1], vec![]).unwrap();
        });
        commits += 1;
        assert!(commits < 50);
    }
    assert!(commits > 5);
    assert_eq!(rig.commit(slow), Err(Conflict::TooOld));
    rig.write(|tx| tx.set_node_property(nodes[0], 1, 5.into()).unwrap());
}

#[test]
fn an_abandoned_number_stands_in_nobodys_way() {
    let (mut rig, nodes) = small();
    let set = |rig: &Rig<MemStore>| {
        let mut tx = rig.begin();
        tx.set_node_property(nodes[0], 1, 5.into()).unwrap();
        tx
    };
    let older = set(&rig);
    rig.write(|tx| tx.set_node_property(nodes[0], 1, 6.into()).unwrap());
    let lost = set(&rig).finish();
    let Command::Commit(lost) = rig.certify(lost, None).unwrap() else {
        panic!("a commit")
    };
    let next = set(&rig);
    changed(
        rig.certifier
            .certify(next.position(), &set(&rig).finish().reads, &WriteSet::default()),
    );
    rig.certifier.abandon(lost.sequence);
    changed(rig.commit(older));
    rig.commit(next).unwrap();
}

#[test]
fn several_abandoned_numbers_stand_in_nobodys_way_in_whatever_order_they_are_taken_back() {
    for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
        let (mut rig, nodes) = small();
        let numbers: Vec<u64> = (0..3)
            .map(|step| {
                let mut tx = rig.begin();
                tx.set_node_property(nodes[0], 1, step.into()).unwrap();
                let Finished { start, writes, .. } = tx.finish();
                rig.certifier
                    .certify(start, &ReadSet::default(), &writes)
                    .unwrap()
            })
            .collect();
        for number in order {
            rig.certifier.abandon(numbers[number]);
        }
        rig.write(|tx| tx.set_node_property(nodes[0], 1, 7.into()).unwrap());
    }
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Read(usize),
    Add(usize),
    CountLabel,
    CountAll,
    CreateIfFew(usize),
    Degree(usize),
    Connect(usize, usize),
    Delete(usize),
    Relabel(usize),
    Name(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let node = 0usize..4;
    let step = prop_oneof![
        3 => node.clone().prop_map(Step::Read),
        3 => node.clone().prop_map(Step::Add),
        1 => Just(Step::CountLabel),
        1 => Just(Step::CountAll),
        2 => (3usize..8).prop_map(Step::CreateIfFew),
        2 => node.clone().prop_map(Step::Degree),
        2 => (node.clone(), node.clone()).prop_map(|(a, b)| Step::Connect(a, b)),
        1 => node.clone().prop_map(Step::Delete),
        1 => node.prop_map(Step::Relabel),
        1 => (0usize..3).prop_map(Step::Name),
    ];
    prop::collection::vec(step, 1..6)
}

/// A transaction as a program: what it writes follows from what it saw.
struct Run {
    tx: Tx,
    program: usize,
    next: usize,
    seen: Vec<i64>,
}

impl Run {
    fn step(&mut self, step: Step) {
        let tx = &mut self.tx;
        let id = |place: usize| NodeId(place as u64 + 1);
        let mark = self.seen.iter().fold(self.program as i64 + 1, |mark, seen| {
            mark.wrapping_mul(31).wrapping_add(*seen)
        });
        let seen = match step {
            Step::Read(node) => tx.node(id(node)).unwrap().map_or(-1, |_| value(tx, id(node))),
            Step::Add(node) => tx.set_node_property(id(node), 1, mark.into()).map_or(-1, |()| 0),
            Step::CountLabel => labelled(tx) as i64,
            Step::CountAll => {
                let mut nodes = Vec::new();
                tx.scan_nodes(None, None, 1000, &mut nodes).unwrap();
                nodes.iter().fold(0, |sum, node| sum + value(tx, *node) % 1000)
            }
            Step::CreateIfFew(few) => {
                let count = labelled(tx);
                if count < few {
                    tx.create_node(&[1], vec![(1, mark.into())]).unwrap();
                }
                count as i64
            }
            Step::Degree(node) => tx.degree(id(node), Direction::Both, None).unwrap() as i64,
            Step::Connect(a, b) => tx.create_edge(1, id(a), id(b), vec![]).map_or(-1, |_| 0),
            Step::Delete(node) => tx.delete_node(id(node), true).map_or(-1, |()| 0),
            Step::Relabel(node) => {
                if tx.node_has_label(id(node), 1).unwrap() {
                    i64::from(tx.remove_label(id(node), 1).unwrap())
                } else {
                    tx.add_label(id(node), 1).map_or(-1, |_| 0)
                }
            }
            Step::Name(name) => {
                let name = ["A", "B", "C"][name];
                let known = tx.label_id(name).unwrap().is_some();
                let label = tx.define_label(name).unwrap();
                tx.create_node(&[label], vec![(1, mark.into())]).unwrap();
                i64::from(known)
            }
        };
        self.seen.push(seen);
        self.next += 1;
    }
}

fn rig_with_nodes() -> Rig<MemStore> {
    let mut rig = memory();
    rig.write(|tx| {
        let (label, key, kind) = (
            tx.define_label("L").unwrap(),
            tx.define_key("v").unwrap(),
            tx.define_type("T").unwrap(),
        );
        assert_eq!((label, key, kind), (1, 1, 1));
        (0..4).for_each(|value| {
            tx.create_node(&[1], vec![(1, Value::Int(value))]).unwrap();
        });
    });
    rig
}

/// Labels, property values, degree.
type NodeDigest = (Vec<String>, Vec<Value>, u64);

/// What can be compared between two executions: ids of new things may differ.
fn digest(tx: &Tx) -> (Vec<NodeDigest>, u64) {
    let mut nodes = Vec::new();
    tx.scan_nodes(None, None, 10_000, &mut nodes).unwrap();
    let mut digest: Vec<_> = nodes
        .iter()
        .map(|node| {
            let record = tx.node(*node).unwrap().unwrap();
            let mut labels: Vec<String> = record
                .labels
                .iter()
                .map(|id| tx.label_name(*id).unwrap().to_string())
                .collect();
            labels.sort();
            let values = record.properties.into_iter().map(|(_, value)| value).collect();
            (labels, values, tx.degree(*node, Direction::Both, None).unwrap())
        })
        .collect();
    digest.sort_by(|a, b| format!("{a:?}").cmp(&format!("{b:?}")));
    (digest, tx.edge_count(None).unwrap())
}

/// Runs the programs interleaved, then those that committed one after the other, in the order of their commits. Whether
/// nothing differs. With `certified` false every transaction commits.
fn serializable(programs: &[Vec<Step>], schedule: &[usize], certified: bool) -> Result<usize, String> {
    let mut rig = rig_with_nodes();
    let mut open: [Option<Run>; 3] = [None, None, None];
    let mut waiting = 0..programs.len();
    let mut committed: Vec<(usize, Vec<i64>)> = Vec::new();
    let turns = schedule.iter().copied().chain((0..1000).map(|turn| turn % 3));
    for slot in turns {
        let Some(run) = &mut open[slot] else {
            if let Some(program) = waiting.next() {
                open[slot] = Some(Run {
                    tx: rig.begin(),
                    program,
                    next: 0,
                    seen: Vec::new(),
                });
            }
            continue;
        };
        if let Some(step) = programs[run.program].get(run.next) {
            run.step(*step);
            continue;
        }
        let Some(run) = open[slot].take() else { continue };
        let mut finished = run.tx.finish();
        if finished.effects.is_empty() {
            continue;
        }
        if !certified {
            finished = Finished {
                reads: ReadSet::default(),
                ..finished
            };
        }
        let Ok(command) = rig.certify(finished, None) else {
            continue;
        };
        let at = LogPosition {
            term: Term(1),
            index: LogIndex(1000 + committed.len() as u64),
        };
        let mut writer = rig.store.write().unwrap();
        let applied = apply(&mut writer, at, &command).map_err(|error| error.to_string())?;
        assert!(matches!(applied, Applied::Committed(_)));
        writer.commit().unwrap();
        committed.push((run.program, run.seen));
    }
    let mut serial = rig_with_nodes();
    for (program, seen) in &committed {
        let mut run = Run {
            tx: serial.begin(),
            program: *program,
            next: 0,
            seen: Vec::new(),
        };
        programs[*program].iter().for_each(|step| run.step(*step));
        if run.seen != *seen {
            return Err(format!(
                "program {program} saw {seen:?}, alone it sees {:?}",
                run.seen
            ));
        }
        serial.commit(run.tx).unwrap();
    }
    if digest(&rig.view()) != digest(&serial.view()) {
        return Err("the final states differ".to_owned());
    }
    rig.check();
    Ok(committed.len())
}

fn histories() -> impl Strategy<Value = (Vec<Vec<Step>>, Vec<usize>)> {
    (
        prop::collection::vec(steps(), 2..14),
        prop::collection::vec(0usize..3, 0..80),
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_histories_are_serializable((programs, schedule) in histories()) {
        prop_assert_eq!(serializable(&programs, &schedule, true).err(), None);
    }
}

#[test]
fn without_certification_the_same_histories_are_not_serializable() {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut broken = 0;
    for _ in 0..200 {
        let (programs, schedule) = histories().new_tree(&mut runner).unwrap().current();
        broken += usize::from(serializable(&programs, &schedule, false).is_err());
    }
    assert!(
        broken > 20,
        "only {broken} of 200 histories broke: the test above would show nothing"
    );
}
