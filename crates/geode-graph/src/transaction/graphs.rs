//! The catalog in a transaction, which graph it works on, and whether what it writes fits the types of graphs.

use super::overlay::Named;
use super::{Savepoint, Transaction};
use crate::adjacency::Direction;
use crate::catalog::{TokenKind, check_name};
use crate::error::{GraphError, Result};
use crate::graphs::{self, GraphId, GraphRecord, GraphType, Object, ObjectKind};
use crate::readset::Touch;
use crate::record::PropertyList;
use crate::transaction::overlay::Undo;
use geode_store::ReadTxn;
use geode_types::{EdgeId, NodeId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

impl<R: ReadTxn> Transaction<R> {
    /// The graph that scans read and new nodes go to: the home graph at first.
    pub fn graph(&self) -> GraphId {
        self.graph
    }

    /// Works on this graph from now on. Whoever looked its number up has made sure that it is there.
    pub fn use_graph(&mut self, graph: GraphId) {
        self.graph = graph;
    }

    /// What has this path in the catalog.
    pub fn object(&self, kind: ObjectKind, path: &str) -> Result<Option<Object>> {
        self.note(|| Touch::Object(kind, path.to_owned()));
        match self.overlay.object(kind, path) {
            Some(object) => Ok(object.now.clone()),
            None => graphs::object(self.snapshot.reader(), kind, path),
        }
    }

    /// The graph of this path.
    pub fn graph_named(&self, path: &str) -> Result<GraphRecord> {
        match self.object(ObjectKind::Graph, path)? {
            Some(Object::Graph(graph)) => Ok(graph),
            _ => Err(GraphError::ObjectNotFound {
                kind: ObjectKind::Graph,
                path: path.to_owned(),
            }),
        }
    }

    /// All of a kind in the catalog, by path.
    pub fn objects(&self, kind: ObjectKind) -> Result<BTreeMap<String, Object>> {
        self.note(|| Touch::Objects(kind));
        let mut all: BTreeMap<String, Object> = graphs::objects(self.snapshot.reader(), kind)?
            .into_iter()
            .collect();
        for (path, object) in self.overlay.objects(kind) {
            match &object.now {
                Some(object) => all.insert(path.clone(), object.clone()),
                None => all.remove(path),
            };
        }
        Ok(all)
    }

    /// Puts a schema or a graph type into the catalog, in place of what has its path.
    pub fn put_object(&mut self, path: &str, object: Object) -> Result<()> {
        self.ids()?;
        check_name(path)?;
        self.object(object.kind(), path)?;
        self.set_object(object.kind(), path, Some(object))
    }

    /// Creates a graph; one that has its path is dropped.
    pub fn create_graph(&mut self, path: &str, graph_type: Option<GraphType>) -> Result<GraphId> {
        check_name(path)?;
        let id = self.ids()?.graph()?;
        self.put_object(path, Object::Graph(GraphRecord { id, graph_type }))?;
        Ok(id)
    }

    /// Removes something from the catalog; whether it was there.
    pub fn drop_object(&mut self, kind: ObjectKind, path: &str) -> Result<bool> {
        self.ids()?;
        let known = self.object(kind, path)?.is_some();
        if known {
            self.set_object(kind, path, None)?;
        }
        Ok(known)
    }

    fn set_object(&mut self, kind: ObjectKind, path: &str, now: Option<Object>) -> Result<()> {
        let stored = match self.overlay.object(kind, path) {
            Some(object) => object.stored,
            None => graphs::object(self.snapshot.reader(), kind, path)?.is_some(),
        };
        self.types.borrow_mut().clear();
        let undo = self.overlay.set_object(kind, path, Some(Named { stored, now }));
        self.remember(undo);
        self.check_limit()
    }

    /// Removes the next part of a dropped graph.
    pub fn purge_graph(&mut self, graph: GraphId) -> Result<()> {
        self.ids()?;
        self.overlay.purge(graph);
        Ok(())
    }

    /// Whether everything written since the savepoint fits the closed types of its graphs. An edge is looked at again when the labels of its
    /// ends have changed.
    pub fn check_types(&self, since: &Savepoint) -> Result<()> {
        let written = self.undo.as_deref().unwrap_or_default();
        let (mut nodes, mut edges) = (BTreeSet::new(), BTreeSet::new());
        for step in written.get(since.undo..).unwrap_or_default() {
            match step {
                Undo::Node(id, _) if !GraphId::of_node(*id).is_home() => drop(nodes.insert(*id)),
                Undo::Edge(id, _) if !GraphId::of_edge(*id).is_home() => drop(edges.insert(*id)),
                _ => {}
            }
        }
        for node in nodes {
            if let Some(graph_type) = self.type_of(GraphId::of_node(node))? {
                self.check_node_type(node, &graph_type)?;
                if self.has_other_labels(node) {
                    let mut adjacent = Vec::new();
                    self.expand(node, Direction::Both, None, &mut adjacent)?;
                    edges.extend(adjacent.into_iter().map(|adjacent| adjacent.edge));
                }
            }
        }
        for edge in edges {
            if let Some(graph_type) = self.type_of(GraphId::of_edge(edge))? {
                self.check_edge_type(edge, &graph_type)?;
            }
        }
        Ok(())
    }

    fn has_other_labels(&self, node: NodeId) -> bool {
        let version = self.overlay.node(node);
        version.is_some_and(|version| match (&version.base, &version.now) {
            (Some(base), Some(now)) => base.labels != now.labels,
            _ => false,
        })
    }

    /// The closed type of a graph that is not the home graph, which has none.
    fn type_of(&self, graph: GraphId) -> Result<Option<Arc<GraphType>>> {
        if let Some(known) = self.types.borrow().get(&graph) {
            return Ok(known.clone());
        }
        let objects = self.objects(ObjectKind::Graph)?;
        let found = objects.into_values().find_map(|object| match object {
            Object::Graph(record) if record.id == graph => Some(record.graph_type),
            _ => None,
        });
        let found = found.flatten().map(Arc::new);
        self.types.borrow_mut().insert(graph, found.clone());
        Ok(found)
    }

    fn check_node_type(&self, id: NodeId, graph_type: &GraphType) -> Result<()> {
        let Some(record) = self.node(id)? else {
            return Ok(());
        };
        let labels = self.sorted_labels(id)?;
        let labels: Vec<&str> = labels.iter().map(AsRef::as_ref).collect();
        let keys = self.key_names(&record.properties)?;
        let named: Vec<_> = keys
            .iter()
            .zip(&record.properties)
            .map(|(key, (_, value))| (key.as_ref(), value))
            .collect();
        graph_type
            .admit_node(&labels, &named)
            .map_err(|why| GraphError::TypeViolated {
                what: format!("node {id}"),
                why,
            })
    }

    fn check_edge_type(&self, id: EdgeId, graph_type: &GraphType) -> Result<()> {
        let Some(record) = self.edge(id)? else {
            return Ok(());
        };
        let label = self.token_name(TokenKind::EdgeType, record.edge_type)?;
        let (start, end) = (self.sorted_labels(record.start)?, self.sorted_labels(record.end)?);
        let start: Vec<&str> = start.iter().map(AsRef::as_ref).collect();
        let end: Vec<&str> = end.iter().map(AsRef::as_ref).collect();
        let keys = self.key_names(&record.properties)?;
        let named: Vec<_> = keys
            .iter()
            .zip(&record.properties)
            .map(|(key, (_, value))| (key.as_ref(), value))
            .collect();
        let admitted = graph_type.admit_edge(&label, (&start, &end), &named);
        admitted.map_err(|why| GraphError::TypeViolated {
            what: format!("edge {id}"),
            why,
        })
    }

    /// The names of a node's labels, ascending.
    fn sorted_labels(&self, id: NodeId) -> Result<Vec<Arc<str>>> {
        let labels = self.node_labels(id)?.unwrap_or_default();
        let names = labels
            .into_iter()
            .map(|label| self.token_name(TokenKind::Label, label));
        let mut names = names.collect::<Result<Vec<_>>>()?;
        names.sort();
        Ok(names)
    }

    fn key_names(&self, properties: &PropertyList) -> Result<Vec<Arc<str>>> {
        let names = properties
            .iter()
            .map(|(key, _)| self.token_name(TokenKind::PropertyKey, *key));
        names.collect()
    }
}
