//! The variables that an expression can name.

use crate::types::Type;
use std::collections::HashMap;

/// A variable: a cell and what is known of its type.
#[derive(Clone, Debug)]
pub(super) struct Variable {
    pub slot: usize,
    pub ty: Type,
}

/// Variables in the order of their definition.
#[derive(Clone, Debug, Default)]
pub(super) struct Scope {
    order: Vec<String>,
    variables: HashMap<String, Variable>,
}

impl Scope {
    pub(super) fn get(&self, name: &str) -> Option<&Variable> {
        self.variables.get(name)
    }

    /// Defines a variable; an older one of the name is hidden.
    pub(super) fn define(&mut self, name: &str, slot: usize, ty: Type) {
        if self
            .variables
            .insert(name.to_owned(), Variable { slot, ty })
            .is_none()
        {
            self.order.push(name.to_owned());
        }
    }

    /// The cells, in the order of definition.
    pub(super) fn slots(&self) -> Vec<usize> {
        self.names()
            .filter_map(|name| self.get(name))
            .map(|variable| variable.slot)
            .collect()
    }

    pub(super) fn len(&self) -> usize {
        self.order.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.order.iter().map(String::as_str)
    }

    /// A few names for a message.
    pub(super) fn some_names(&self) -> String {
        const MOST: usize = 8;
        let shown: Vec<&str> = self.names().take(MOST).collect();
        format!(
            "{}{}",
            shown.join(", "),
            if self.order.len() > MOST { ", …" } else { "" }
        )
    }
}
