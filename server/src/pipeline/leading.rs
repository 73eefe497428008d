//! What a leader holds for one term: the certifier and the allocator of ids. It begins when everything that stood in the log before is
//! applied, and is thrown away with the term.

use geode_graph::{Certifier, IdAllocator, Position};
use geode_types::Term;
use std::sync::Arc;

pub(super) struct Leading {
    pub(super) term: Term,
    pub(super) certifier: Certifier,
    pub(super) ids: Arc<IdAllocator>,
}

impl Leading {
    pub(super) fn new(term: Term, applied: &Position, ids: IdAllocator) -> Self {
        Self {
            term,
            certifier: Certifier::new(term, applied),
            ids: Arc::new(ids),
        }
    }
}
