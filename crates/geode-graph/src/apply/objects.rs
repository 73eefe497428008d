//! Schemas, graphs and graph types as entries of the log change them.

use super::Applier;
use crate::error::Result;
use crate::graphs::{self, GraphId, Object, ObjectKind};
use crate::{catalog, counters};
use geode_store::WriteTxn;

impl<W: WriteTxn> Applier<'_, W> {
    pub(super) fn put_object(&mut self, path: &str, object: &Object) -> Result<()> {
        catalog::check_name(path)?;
        if let Object::Graph(graph) = object {
            let next = counters::next_graph(self.tx)?;
            if graph.id.is_home() {
                return self.invalid(format!("graph {path} cannot have the number of the home graph"));
            }
            counters::set_next_graph(self.tx, next.max(u32::from(graph.id.0) + 1))?;
            self.leave_graph(path, Some(graph.id))?;
        }
        self.scratch.clear();
        object.encode(&mut self.scratch);
        Ok(self.tx.put(&graphs::key(object.kind(), path), &self.scratch)?)
    }

    pub(super) fn drop_object(&mut self, kind: ObjectKind, path: &str) -> Result<()> {
        catalog::check_name(path)?;
        if kind == ObjectKind::Graph {
            self.leave_graph(path, None)?;
        }
        if self.tx.delete(&graphs::key(kind, path))? {
            Ok(())
        } else {
            self.invalid(format!("no {} {path}", kind.name()))
        }
    }

    /// The graph of this path is to be emptied, unless it is the one that stays.
    fn leave_graph(&mut self, path: &str, stays: Option<GraphId>) -> Result<()> {
        match graphs::object(self.tx, ObjectKind::Graph, path)? {
            Some(Object::Graph(old)) if Some(old.id) != stays => graphs::mark(self.tx, old.id),
            _ => Ok(()),
        }
    }
}
