//! What was found damaged of this member's own files. openraft carries an error on as text, so whoever finds damage leaves a note here; the process
//! then ends as one whose volumes may be given up. What only may be damage is not noted: a failed read, another version's bytes, what a client
//! asked for, what another member sent.

use std::fmt::Display;
use std::sync::{Arc, OnceLock};

/// The note. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Damage(Arc<OnceLock<String>>);

impl Damage {
    /// This was found; what was found first stands.
    pub(super) fn note(&self, found: &impl Display) {
        let _ = self.0.set(found.to_string());
    }

    /// What was found, if anything was.
    pub(super) fn found(&self) -> Option<String> {
        self.0.get().cloned()
    }
}
