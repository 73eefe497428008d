//! Prepared statements by their texts, so that a repeated text is parsed and bound once.
//!
//! Two generations: a full young one becomes the old one, and what is used in the old one becomes young again. That forgets roughly the
//! least recently used, in constant time.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

/// Texts in one generation.
const GENERATION: usize = 1024;
/// Longer texts are not kept: they are loads of data, seldom repeated.
pub(super) const MAX_KEPT_TEXT_BYTES: usize = 16 << 10;

pub(super) struct Generations<K, V> {
    inner: Mutex<Inner<K, V>>,
}

struct Inner<K, V> {
    young: HashMap<K, Arc<V>>,
    old: HashMap<K, Arc<V>>,
}

impl<K: Hash + Eq, V> Generations<K, V> {
    pub(super) fn new() -> Self {
        Self {
            inner: Mutex::new(Inner {
                young: HashMap::new(),
                old: HashMap::new(),
            }),
        }
    }

    pub(super) fn get(&self, key: &K) -> Option<Arc<V>> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(value) = inner.young.get(key) {
            return Some(value.clone());
        }
        let (key, value) = inner.old.remove_entry(key)?;
        inner.insert(key, value.clone());
        Some(value)
    }

    pub(super) fn insert(&self, key: K, value: Arc<V>) {
        self.inner
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(key, value);
    }
}

impl<K: Hash + Eq, V> Inner<K, V> {
    fn insert(&mut self, key: K, value: Arc<V>) {
        if self.young.len() >= GENERATION {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_stays_and_what_is_not_is_forgotten() {
        let plans = Generations::new();
        for number in 0..3 * GENERATION {
            plans.insert(number, Arc::new(number));
            assert_eq!(plans.get(&0).as_deref(), Some(&0), "after {number}");
        }
        assert_eq!(plans.get(&1), None);
    }
}
