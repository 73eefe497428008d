//! The seam to tables that the caller fills: `SELECT … FROM system.cluster_nodes`.

use geode_types::Value;

/// Tables beside the graph. Names are dotted and compared without case.
pub trait SystemTables {
    /// The names of all tables, for messages and look-ups.
    fn names(&self) -> Vec<String>;

    /// The columns of a table, or none when there is no such table. Must not change while the process lives.
    fn columns(&self, name: &str) -> Option<Vec<String>>;

    /// The rows of a table now, each as wide as its columns.
    fn rows(&self, name: &str) -> Vec<Vec<Value>>;
}

/// A caller without tables.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoSystemTables;

impl SystemTables for NoSystemTables {
    fn names(&self) -> Vec<String> {
        Vec::new()
    }

    fn columns(&self, _name: &str) -> Option<Vec<String>> {
        None
    }

    fn rows(&self, _name: &str) -> Vec<Vec<Value>> {
        Vec::new()
    }
}
