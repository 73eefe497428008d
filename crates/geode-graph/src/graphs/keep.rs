//! A restored database may keep some of its graphs only. The others go before it begins another life, so no log says so: the graphs with
//! names as if they had been dropped, what is in the home graph at once.

use super::object::{Object, ObjectKind, key, objects};
use super::purge::{mark, ranges_of, remove_next};
use super::{GraphId, GraphRecord};
use crate::counters::Totals;
use crate::error::{GraphError, Result};
use geode_store::{Store, WriteTxn};
use geode_types::GraphSelection;

/// The home graph, where graphs are named. No other one can have this name: it is a keyword.
const HOME: &str = "HOME_GRAPH";

/// The graphs that were asked for could not be kept alone.
#[derive(Debug, thiserror::Error)]
pub enum KeepError {
    /// Some of them do not exist. Nothing was changed.
    #[error("there is no graph {}; there are {}", .unknown.join(", "), .there.join(", "))]
    Unknown {
        /// Those.
        unknown: Vec<String>,
        /// The graphs that exist.
        there: Vec<String>,
    },
    /// The store.
    #[error(transparent)]
    Graph(#[from] GraphError),
}

impl From<geode_store::StoreError> for KeepError {
    fn from(error: geode_store::StoreError) -> Self {
        Self::Graph(error.into())
    }
}

/// As the catalog writes a graph that people may call by its name alone.
fn path(name: &str) -> String {
    if name.eq_ignore_ascii_case(HOME) {
        HOME.to_owned()
    } else if name.starts_with('/') {
        name.to_owned()
    } else {
        format!("/{name}")
    }
}

/// Keeps the selected graphs and lets the others go. Schemas, graph types, users and checkpoints stay. What was in the graphs that go is removed later,
/// as after `DROP GRAPH`; the indexes and constraints of the home graph stay, and are empty when it goes.
pub fn keep_graphs(store: &impl Store, selection: &GraphSelection) -> std::result::Result<(), KeepError> {
    let graphs = objects(&store.read()?, ObjectKind::Graph)?;
    let asked: Vec<String> = selection.names().iter().map(|name| path(name)).collect();
    let there: Vec<String> = std::iter::once(HOME.to_owned())
        .chain(graphs.iter().map(|(path, _)| path.clone()))
        .collect();
    let unknown: Vec<String> = asked
        .iter()
        .filter(|path| !there.contains(path))
        .cloned()
        .collect();
    if !unknown.is_empty() {
        return Err(KeepError::Unknown { unknown, there });
    }
    let goes = |path: &str| !selection.keeps(asked.iter().any(|asked| asked == path));
    let mut tx = store.write()?;
    for (path, object) in &graphs {
        if let Object::Graph(GraphRecord { id, .. }) = object
            && goes(path)
        {
            tx.delete(&key(ObjectKind::Graph, path))?;
            mark(&mut tx, *id)?;
        }
    }
    tx.commit()?;
    if goes(HOME) {
        empty_home(store)?;
    }
    Ok(())
}

/// In transactions of bounded size. The next ids stay: no id is given twice.
fn empty_home(store: &impl Store) -> Result<()> {
    let mut is_empty = false;
    while !is_empty {
        let mut tx = store.write()?;
        let ranges = ranges_of(&tx, GraphId::HOME)?;
        is_empty = remove_next(&mut tx, &ranges)?;
        if is_empty {
            let mut totals = Totals::read(&tx)?;
            (totals.nodes, totals.edges) = (0, 0);
            totals.write(&mut tx)?;
        }
        tx.commit()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Command, Commit, CommitSummary, EdgeRecord, Effect, LogPosition, NodeRecord, Rule, RuleId, RuleKind,
        RuleState, TokenKind, apply, dropped_graphs, fsck, statistics,
    };
    use geode_store::{MemStore, Reader};
    use geode_types::{EdgeId, LogIndex, NodeId, Term};

    const NODES: u64 = 3000;

    /// Nodes 1 to `NODES` of a graph, each with an edge to itself.
    fn content(graph: GraphId) -> impl Iterator<Item = Effect> {
        let ids = graph.ids().start + 1..=graph.ids().start + NODES;
        ids.flat_map(|id| {
            let node = Effect::CreateNode {
                id: NodeId(id),
                record: NodeRecord {
                    labels: std::iter::once(1).collect(),
                    properties: vec![(1, "x".into())],
                },
            };
            let edge = Effect::CreateEdge {
                id: EdgeId(id),
                record: EdgeRecord {
                    edge_type: 1,
                    start: NodeId(id),
                    end: NodeId(id),
                    properties: Vec::new(),
                },
            };
            [node, edge]
        })
    }

    fn graph(path: &str, number: u16) -> Effect {
        Effect::PutObject {
            path: path.to_owned(),
            object: Object::Graph(GraphRecord {
                id: GraphId(number),
                graph_type: None,
            }),
        }
    }

    /// The home graph with an index, `/social` and `/archive/old`.
    fn database() -> MemStore {
        let token = |kind, name: &str| Effect::DefineToken {
            kind,
            id: 1,
            name: name.to_owned(),
        };
        let rule = Rule {
            id: RuleId(1),
            name: "by_name".into(),
            label: 1,
            keys: [1].as_slice().into(),
            kind: RuleKind::Index,
            state: RuleState::Building(NodeId(0)),
        };
        let mut effects = vec![
            token(TokenKind::Label, "Person"),
            token(TokenKind::EdgeType, "KNOWS"),
            token(TokenKind::PropertyKey, "name"),
            graph("/social", 1),
            graph("/archive/old", 2),
        ];
        for number in 0..3 {
            effects.extend(content(GraphId(number)));
        }
        effects.push(Effect::PutRule(rule));
        let store = MemStore::new();
        let mut tx = store.write().unwrap();
        let commit = Commit {
            request_id: None,
            certified_term: Term(1),
            sequence: 1,
            at_micros: 0,
            effects,
            summary: CommitSummary::default(),
        };
        let at = LogPosition {
            term: Term(1),
            index: LogIndex(1),
        };
        apply(&mut tx, at, &Command::Commit(Box::new(commit))).unwrap();
        tx.commit().unwrap();
        store
    }

    fn nodes_of(read: &impl Reader, graph: GraphId) -> u64 {
        crate::counters::Sizes::read(read, graph).unwrap().nodes
    }

    #[test]
    fn only_the_graphs_that_were_asked_for_are_kept() {
        let store = database();
        keep_graphs(&store, &GraphSelection::Only(vec!["social".to_owned()])).unwrap();
        let read = store.read().unwrap();
        let graphs = objects(&read, ObjectKind::Graph).unwrap();
        assert_eq!(
            graphs.iter().map(|(path, _)| path).collect::<Vec<_>>(),
            ["/social"]
        );
        assert_eq!(dropped_graphs(&read).unwrap(), [GraphId(2)]);
        assert_eq!([0, 1].map(|graph| nodes_of(&read, GraphId(graph))), [0, NODES]);
        assert_eq!(statistics(&read, RuleId(1)).unwrap().entries, 0);
        assert_eq!(Totals::read(&read).unwrap().next_node, NODES + 1);
        let report = fsck(&read).unwrap();
        assert!(report.problems.is_empty(), "{report:?}");
    }

    #[test]
    fn the_graphs_that_were_named_go_and_all_others_stay() {
        let store = database();
        let without = GraphSelection::Without(vec!["/archive/old".to_owned(), "social".to_owned()]);
        keep_graphs(&store, &without).unwrap();
        let read = store.read().unwrap();
        assert!(objects(&read, ObjectKind::Graph).unwrap().is_empty());
        assert_eq!(nodes_of(&read, GraphId::HOME), NODES);
        assert_eq!(statistics(&read, RuleId(1)).unwrap().entries, NODES);
        assert!(fsck(&read).unwrap().problems.is_empty());
    }

    #[test]
    fn a_graph_that_does_not_exist_is_refused_with_those_that_do_and_nothing_is_changed() {
        let store = database();
        let before = crate::state_hash(&store.read().unwrap()).unwrap();
        let asked = GraphSelection::Without(vec!["home_graph".to_owned(), "sozial".to_owned()]);
        let refused = keep_graphs(&store, &asked).unwrap_err().to_string();
        assert_eq!(
            refused,
            "there is no graph /sozial; there are HOME_GRAPH, /archive/old, /social"
        );
        assert_eq!(crate::state_hash(&store.read().unwrap()).unwrap(), before);
    }
}
