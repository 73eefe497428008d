//! The names of labels, edge types and property keys that a plan mentions. A plan carries numbers of its own, so that it can be
//! cached without knowing the catalog; [`crate::exec`] turns them into catalog ids when it runs.

use geode_graph::TokenKind;
use std::collections::HashMap;
use std::sync::Arc;

/// A name's number within its plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct NameIndex(pub usize);

/// The names of a plan.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names {
    entries: Vec<(TokenKind, Arc<str>)>,
    index: HashMap<(TokenKind, Arc<str>), NameIndex>,
}

impl Names {
    /// The number of a name, given on first sight.
    pub(crate) fn intern(&mut self, kind: TokenKind, name: &str) -> NameIndex {
        let key = (kind, Arc::from(name));
        if let Some(known) = self.index.get(&key) {
            return *known;
        }
        let number = NameIndex(self.entries.len());
        self.entries.push(key.clone());
        self.index.insert(key, number);
        number
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// What a number stands for.
    pub(crate) fn get(&self, index: NameIndex) -> (TokenKind, &Arc<str>) {
        let (kind, name) = &self.entries[index.0];
        (*kind, name)
    }
}
