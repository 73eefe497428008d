//! The seam to tables that the caller fills: `SELECT … FROM system.cluster_nodes`.

use geode_types::{QueryError, Value};

/// Tables beside the graph. Names are dotted and compared without case.
pub trait SystemTables: Sync {
    /// The names of all tables, for messages and look-ups.
    fn names(&self) -> Vec<String>;

    /// The columns of a table, or none when there is no such table. Must not change while the process lives.
    fn columns(&self, name: &str) -> Option<Vec<String>>;

    /// The rows of a table now, each as wide as its columns.
    fn rows(&self, name: &str) -> Vec<Vec<Value>>;

    /// The signature of a procedure, or none when there is no such procedure. Must not change while the process lives.
    fn procedure(&self, _name: &str) -> Option<Signature> {
        None
    }

    /// The rows of a procedure of which there is a signature, each as wide as its outputs.
    fn call(&self, _name: &str, _arguments: &[Value]) -> Result<Vec<Vec<Value>>, QueryError> {
        Ok(Vec::new())
    }
}

/// What a procedure takes and gives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Signature {
    /// Its arguments, in order.
    pub inputs: Vec<(String, ParameterType)>,
    /// The columns of its rows; without any it gives no rows.
    pub outputs: Vec<(String, ParameterType)>,
}

/// The type of an argument or a column of a procedure. Null is always one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ParameterType {
    /// Any.
    #[default]
    Any,
    /// A truth value.
    Bool,
    /// An integer.
    Int,
    /// A float; an integer becomes one.
    Float,
    /// An integer or a float.
    Number,
    /// Text.
    String,
    /// A list.
    List,
    /// A map.
    Map,
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
