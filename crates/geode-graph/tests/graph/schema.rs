//! Indexes and constraints: kept by every write, built in steps, certified, checked.

use crate::support::{Rig, lmdb, memory};
use geode_graph::{
    Applied, BUILD_BATCH, Command, GraphError, KeyRange, Last, NewRule, Probe, PropertyType, Rule, RuleKind,
    RuleState, Transaction, fsck, next_step, rules, state_hash, statistics,
};
use geode_store::{ReadTxn, Store};
use geode_types::{NodeId, Value};
use proptest::prelude::*;

fn new<'a>(keys: &'a [&'a str], kind: RuleKind) -> NewRule<'a> {
    NewRule {
        name: Some("rule"),
        label: "Person",
        keys,
        kind,
        if_not_exists: false,
    }
}

fn person<R: ReadTxn>(tx: &mut Transaction<R>, properties: &[(&str, Value)]) -> NodeId {
    let label = tx.define_label("Person").unwrap();
    let properties = properties
        .iter()
        .map(|(key, value)| (tx.define_key(key).unwrap(), value.clone()))
        .collect();
    tx.create_node(&[label], properties).unwrap()
}

fn find<R: ReadTxn>(tx: &Transaction<R>, equal: &[Value], last: Last<'_>) -> Vec<NodeId> {
    let rule = tx.rules().unwrap().first().cloned().unwrap();
    let Some(range) = Probe { equal, last }.range(&rule) else {
        return Vec::new();
    };
    let mut found = all_of(tx, &rule, &range);
    found.sort_unstable();
    found
}

fn all_of<R: ReadTxn>(tx: &Transaction<R>, rule: &Rule, range: &KeyRange) -> Vec<NodeId> {
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        after = tx.scan_index(rule.id, range, after, 2, &mut found).unwrap();
        if after.is_none() {
            return found;
        }
    }
}

fn rule_of<S: Store>(rig: &Rig<S>) -> Option<Rule> {
    rules(&rig.store.read().unwrap()).unwrap().into_iter().next()
}

/// Proposes steps until nothing is open.
fn finish_building<S: Store>(rig: &mut Rig<S>) -> usize {
    let mut steps = 0;
    while let Some(command) = next_step(&rig.store.read().unwrap()).unwrap() {
        assert_eq!(rig.apply(1, &command), Applied::Stepped(true));
        steps += 1;
    }
    steps
}

#[test]
fn an_index_finds_what_was_there_before_it_and_what_comes_after() {
    let mut rig = memory();
    let (ada, bob) = rig.write(|tx| {
        (
            person(tx, &[("age", 30.into())]),
            person(tx, &[("age", Value::Float(40.5))]),
        )
    });
    rig.write(|tx| assert!(tx.create_rule(&new(&["age"], RuleKind::Index)).unwrap()));
    let cid = rig.write(|tx| person(tx, &[("age", 41.into()), ("name", "cid".into())]));
    rig.write(|tx| person(tx, &[("name", "dot".into())]));
    let tx = rig.begin();
    assert_eq!(find(&tx, &[Value::Float(30.0)], Last::Any), [ada]);
    let (low, high) = (Value::Int(40), Value::Int(41));
    assert_eq!(find(&tx, &[], Last::Between(Some(&low), Some(&high))), [bob, cid]);
    assert_eq!(find(&tx, &[], Last::Between(Some(&high), None)), [cid]);
    assert_eq!(find(&tx, &[], Last::Between(Some(&"x".into()), None)), []);
    assert_eq!(find(&tx, &[Value::Null], Last::Any), []);
    drop(tx);
    let key = rig.begin().key_id("age").unwrap().unwrap();
    rig.write(|tx| {
        tx.set_node_property(cid, key, 30.into()).unwrap();
        tx.delete_node(ada, false).unwrap();
        let eve = person(tx, &[("age", 30.into())]);
        assert_eq!(find(tx, &[30.into()], Last::Any), [cid, eve], "before the commit");
    });
    let tx = rig.begin();
    assert_eq!(find(&tx, &[30.into()], Last::Any).len(), 2);
    assert_eq!(find(&tx, &[41.into()], Last::Any), []);
    let read = rig.store.read().unwrap();
    let counts = statistics(&read, rule_of(&rig).unwrap().id).unwrap();
    assert_eq!((counts.entries, counts.distinct), (3, 2));
    assert_eq!(fsck(&read).unwrap().problems, Vec::<String>::new());
}

#[test]
fn composite_indexes_are_found_by_their_first_keys_and_by_prefixes() {
    let mut rig = memory();
    rig.write(|tx| tx.create_rule(&new(&["city", "name"], RuleKind::Index)).unwrap());
    let made = rig.write(|tx| {
        [
            ("rome", "ada"),
            ("rome", "adele"),
            ("rome", "bob"),
            ("oslo", "ada"),
        ]
        .map(|(city, name)| person(tx, &[("city", city.into()), ("name", name.into())]))
    });
    rig.write(|tx| person(tx, &[("city", "rome".into())]));
    let tx = rig.begin();
    let rome = ["rome".into()];
    assert_eq!(find(&tx, &rome, Last::Any), made[..3]);
    assert_eq!(find(&tx, &rome, Last::Prefix("ad")), made[..2]);
    assert_eq!(find(&tx, &["oslo".into(), "ada".into()], Last::Any), [made[3]]);
}

#[test]
fn a_constraint_is_tested_at_the_end_of_a_statement_and_names_itself_and_the_node() {
    let mut rig = memory();
    rig.write(|tx| tx.create_rule(&new(&["id"], RuleKind::NodeKey)).unwrap());
    let (ada, bob) = rig.write(|tx| (person(tx, &[("id", 1.into())]), person(tx, &[("id", 2.into())])));
    let mut tx = rig.begin();
    let start = tx.savepoint();
    let eve = person(&mut tx, &[("id", Value::Float(1.0))]);
    let error = tx.check_constraints(&start).unwrap_err().to_string();
    assert_eq!(
        error,
        format!("the constraint rule is violated: node {ada} has the same id as node {eve}")
    );
    tx.rollback_to(&start);
    let nameless = person(&mut tx, &[]);
    let error = tx.check_constraints(&start).unwrap_err().to_string();
    assert!(
        error.ends_with(&format!("node {nameless} has no property id")),
        "{error}"
    );
    tx.rollback_to(&start);
    let key = tx.key_id("id").unwrap().unwrap();
    // For a moment both have 2.
    tx.set_node_property(ada, key, 2.into()).unwrap();
    assert!(tx.check_constraints(&start).is_err());
    tx.set_node_property(bob, key, 1.into()).unwrap();
    tx.check_constraints(&start).unwrap();
    rig.commit(tx).unwrap();
    assert_eq!(find(&rig.begin(), &[2.into()], Last::Any), [ada]);
    assert_eq!(
        fsck(&rig.store.read().unwrap()).unwrap().problems,
        Vec::<String>::new()
    );
}

#[test]
fn types_and_presence_are_constraints_too() {
    let mut rig = memory();
    let number = PropertyType::Int as u16 | PropertyType::Float as u16;
    rig.write(|tx| tx.create_rule(&new(&["age"], RuleKind::Typed(number))).unwrap());
    rig.write(|tx| {
        let start = tx.savepoint();
        person(tx, &[]);
        person(tx, &[("age", Value::Float(1.5))]);
        tx.check_constraints(&start).unwrap();
        person(tx, &[("age", "old".into())]);
        assert!(matches!(
            tx.check_constraints(&start),
            Err(GraphError::RuleBroken { .. })
        ));
        tx.rollback_to(&start);
    });
}

#[test]
fn of_two_transactions_that_take_one_value_the_second_conflicts() {
    let mut rig = memory();
    rig.write(|tx| tx.create_rule(&new(&["id"], RuleKind::Unique)).unwrap());
    rig.write(|tx| person(tx, &[("id", 9.into())]));
    let take = |rig: &Rig<_>, id: i64| {
        let mut tx = rig.begin();
        let start = tx.savepoint();
        person(&mut tx, &[("id", id.into())]);
        tx.check_constraints(&start).unwrap();
        tx
    };
    let (first, second, other) = (take(&rig, 1), take(&rig, 1), take(&rig, 2));
    rig.commit(first).unwrap();
    assert!(rig.commit(second).is_err());
    rig.commit(other).unwrap();
}

#[test]
fn a_range_that_was_read_conflicts_with_what_appears_in_it_and_with_nothing_else() {
    let mut rig = memory();
    rig.write(|tx| tx.create_rule(&new(&["age"], RuleKind::Index)).unwrap());
    rig.write(|tx| person(tx, &[("age", 1.into())]));
    let reader = |rig: &Rig<_>| {
        let mut tx = rig.begin();
        let (low, high) = (Value::Int(10), Value::Int(20));
        find(&tx, &[], Last::Between(Some(&low), Some(&high)));
        let label = tx.define_label("Other").unwrap();
        tx.create_node(&[label], Vec::new()).unwrap();
        tx
    };
    let (inside, outside) = (reader(&rig), reader(&rig));
    rig.write(|tx| person(tx, &[("age", 30.into())]));
    rig.commit(outside).unwrap();
    rig.write(|tx| person(tx, &[("age", 15.into())]));
    assert!(rig.commit(inside).is_err());
}

#[test]
fn writers_conflict_with_a_new_constraint_that_they_do_not_know() {
    let mut rig = memory();
    let mut writer = rig.begin();
    person(&mut writer, &[("id", 1.into())]);
    rig.write(|tx| tx.create_rule(&new(&["id"], RuleKind::Unique)).unwrap());
    assert!(rig.commit(writer).is_err());
}

#[test]
fn a_constraint_that_the_graph_breaks_is_refused() {
    let mut rig = memory();
    rig.write(|tx| {
        person(tx, &[("id", 1.into())]);
        person(tx, &[("id", 1.into())])
    });
    let mut tx = rig.begin();
    assert!(matches!(
        tx.create_rule(&new(&["id"], RuleKind::Unique)),
        Err(GraphError::RuleBroken { .. })
    ));
    assert!(tx.create_rule(&new(&["id"], RuleKind::Index)).unwrap());
    assert!(matches!(
        tx.create_rule(&new(&["id"], RuleKind::Index)),
        Err(GraphError::RuleExists(_))
    ));
    assert!(matches!(
        tx.define_label("Person")
            .and_then(|label| tx.create_node(&[label], Vec::new())),
        Err(GraphError::SchemaAndData)
    ));
    assert!(tx.drop_rule("rule").unwrap());
    assert!(!tx.drop_rule("rule").unwrap());
    assert!(tx.rules().unwrap().is_empty());
}

#[test]
fn a_large_index_is_built_in_steps_while_writes_go_on_and_dropped_in_steps() {
    let directory = tempfile::tempdir().unwrap();
    let mut rig = lmdb(&directory);
    let many = 2 * i64::from(BUILD_BATCH) + 5;
    for from in (0..many).step_by(5000) {
        rig.write(|tx| {
            (from..(from + 5000).min(many))
                .map(|id| person(tx, &[("id", id.into())]))
                .count()
        });
    }
    rig.write(|tx| tx.create_rule(&new(&["id"], RuleKind::Unique)).unwrap());
    assert!(matches!(rule_of(&rig).unwrap().state, RuleState::Building(_)));
    // A node that has been looked at, one that has not, a new one.
    let key = rig.begin().key_id("id").unwrap().unwrap();
    rig.write(|tx| {
        tx.set_node_property(NodeId(3), key, (-3).into()).unwrap();
        tx.set_node_property(NodeId(many as u64 - 1), key, (-4).into())
            .unwrap();
        tx.delete_node(NodeId(many as u64 - 2), false).unwrap();
        person(tx, &[("id", (-5).into())])
    });
    let step = next_step(&rig.store.read().unwrap()).unwrap().unwrap();
    assert_eq!(rig.apply(1, &step), Applied::Stepped(true));
    assert_eq!(
        rig.apply(1, &step),
        Applied::Stepped(false),
        "the same step again"
    );
    assert_eq!(
        fsck(&rig.store.read().unwrap()).unwrap().problems,
        Vec::<String>::new()
    );
    assert!(finish_building(&mut rig) >= 1);
    assert_eq!(rule_of(&rig).unwrap().state, RuleState::Online);
    let tx = rig.begin();
    for id in [-3, -4, -5] {
        assert_eq!(find(&tx, &[id.into()], Last::Any).len(), 1, "{id}");
    }
    drop(tx);
    assert_eq!(
        fsck(&rig.store.read().unwrap()).unwrap().problems,
        Vec::<String>::new()
    );
    rig.write(|tx| tx.drop_rule("rule").unwrap());
    assert!(rig.begin().rules().unwrap().is_empty());
    finish_building(&mut rig);
    assert_eq!(rule_of(&rig), None);
    assert_eq!(
        fsck(&rig.store.read().unwrap()).unwrap().problems,
        Vec::<String>::new()
    );
}

#[test]
fn a_large_graph_that_breaks_a_constraint_ends_its_building() {
    let mut rig = memory();
    let many = i64::from(BUILD_BATCH) + 5;
    for from in (0..many).step_by(5000) {
        rig.write(|tx| {
            (from..(from + 5000).min(many))
                .map(|id| person(tx, &[("id", id.into())]))
                .count()
        });
    }
    let last = rig.write(|tx| person(tx, &[("id", 7.into())]));
    rig.write(|tx| tx.create_rule(&new(&["id"], RuleKind::Unique)).unwrap());
    let step = next_step(&rig.store.read().unwrap()).unwrap().unwrap();
    rig.apply(1, &step);
    assert_eq!(rule_of(&rig).unwrap().state, RuleState::Dropping(Some(last)));
    finish_building(&mut rig);
    assert_eq!(rule_of(&rig), None);
}

#[test]
fn a_command_of_every_kind_survives_its_bytes() {
    let step = Command::Step {
        rule: geode_graph::RuleId(3),
        after: NodeId(700),
        limit: 9,
    };
    assert_eq!(step.encode(), [1, 3, 3, 188, 5, 9]);
    assert_eq!(Command::decode(&step.encode()), Ok(step));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whether an index is built before or after the writes, the store is the same.
    #[test]
    fn the_entries_do_not_tell_the_way(
        changes in prop::collection::vec((0usize..8, prop::option::of(0i64..4), any::<bool>()), 1..40),
    ) {
        let run = |early: bool| {
            let mut rig = memory();
            let create = |rig: &mut Rig<_>| rig.write(|tx| tx.create_rule(&new(&["id"], RuleKind::Index)).unwrap());
            // The names are defined in the same order either way.
            let (label, key) = rig.write(|tx| (tx.define_label("Person").unwrap(), tx.define_key("id").unwrap()));
            if early {
                create(&mut rig);
            }
            let nodes: Vec<NodeId> = rig.write(|tx| (0..8).map(|_| tx.create_node(&[label], Vec::new()).unwrap()).collect());
            for (at, value, labelled) in &changes {
                rig.write(|tx| {
                    tx.set_node_property(nodes[*at], key, value.map_or(Value::Null, Value::Int)).unwrap();
                    if *labelled {
                        tx.add_label(nodes[*at], label).unwrap();
                    } else {
                        tx.remove_label(nodes[*at], label).unwrap();
                    }
                });
            }
            if !early {
                create(&mut rig);
            }
            let read = rig.store.read().unwrap();
            prop_assert_eq!(fsck(&read).unwrap().problems, Vec::<String>::new());
            Ok(state_hash(&read).unwrap())
        };
        prop_assert_eq!(run(true)?, run(false)?);
    }
}
