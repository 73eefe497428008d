//! The procedures of a scenario: tables from arguments to results.

use crate::expected;
use geode_query::{ParameterType, Signature, SystemTables};
use geode_types::{QueryError, Value};

/// Procedures by name.
#[derive(Clone, Debug, Default)]
pub struct Procedures {
    all: Vec<Procedure>,
}

#[derive(Clone, Debug)]
struct Procedure {
    name: String,
    signature: Signature,
    /// Arguments, then results.
    rows: Vec<Vec<Value>>,
}

impl Procedures {
    /// Adds one as the kit writes it, `name(in :: TYPE?) :: (out :: TYPE?)`, or says what is not understood.
    pub fn add(&mut self, signature: &str, rows: &[Vec<String>]) -> Result<(), String> {
        let read = || {
            let (head, outputs) = signature.split_once(") ::")?;
            let (name, inputs) = head.split_once('(')?;
            let outputs = outputs.trim().strip_prefix('(')?.strip_suffix(')')?;
            let signature = Signature {
                inputs: parameters(inputs)?,
                outputs: parameters(outputs)?,
            };
            Some((name.trim().to_owned(), signature))
        };
        let (name, signature) = read().ok_or_else(|| format!("procedure {signature}"))?;
        let mut values = Vec::with_capacity(rows.len());
        for row in rows.iter().filter(|row| !row.is_empty()) {
            let row = row.iter().map(|cell| {
                let value = expected::parse(cell)?.to_value();
                value.ok_or_else(|| format!("value of a procedure: {cell}"))
            });
            values.push(row.collect::<Result<_, _>>()?);
        }
        self.all.push(Procedure {
            name,
            signature,
            rows: values,
        });
        Ok(())
    }

    fn get(&self, name: &str) -> Option<&Procedure> {
        self.all.iter().find(|procedure| procedure.name == name)
    }
}

fn parameters(text: &str) -> Option<Vec<(String, ParameterType)>> {
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    let each = parts.map(|part| {
        let (name, ty) = part.split_once("::")?;
        let ty = match ty.trim().trim_end_matches('?') {
            "ANY" => ParameterType::Any,
            "BOOLEAN" => ParameterType::Bool,
            "INTEGER" => ParameterType::Int,
            "FLOAT" => ParameterType::Float,
            "NUMBER" => ParameterType::Number,
            "STRING" => ParameterType::String,
            "MAP" => ParameterType::Map,
            list if list.starts_with("LIST") => ParameterType::List,
            _ => return None,
        };
        Some((name.trim().to_owned(), ty))
    });
    each.collect()
}

impl SystemTables for Procedures {
    fn names(&self) -> Vec<String> {
        Vec::new()
    }

    fn columns(&self, _name: &str) -> Option<Vec<String>> {
        None
    }

    fn rows(&self, _name: &str) -> Vec<Vec<Value>> {
        Vec::new()
    }

    fn procedure(&self, name: &str) -> Option<Signature> {
        self.get(name).map(|procedure| procedure.signature.clone())
    }

    fn call(&self, name: &str, arguments: &[Value]) -> Result<Vec<Vec<Value>>, QueryError> {
        let rows = self
            .get(name)
            .map(|procedure| procedure.rows.as_slice())
            .unwrap_or_default();
        let fitting = rows.iter().filter_map(|row| {
            let (inputs, outputs) = row.split_at_checked(arguments.len())?;
            (inputs == arguments).then(|| outputs.to_vec())
        });
        Ok(fitting.collect())
    }
}
