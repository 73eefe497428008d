//! When the leader was last heard. openraft calls the one that its vote names the leader until somebody else is voted for: on a member that never
//! stands for election that may be for ever. Whether the leader is there is asked here.

use super::types::Types;
use openraft::alias::InstantOf;
use openraft::type_config::TypeConfigExt;
use openraft::{AsyncRuntime, Instant};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// The last sign of life of a leader.
pub(super) struct Contact<R: AsyncRuntime>(Mutex<Option<InstantOf<Types<R>>>>);

impl<R: AsyncRuntime> Contact<R> {
    pub(super) fn new() -> Self {
        Self(Mutex::new(None))
    }

    /// A leader's message was taken.
    pub(super) fn heard(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Types::<R>::now());
    }

    /// Since then. `None`: never by this process.
    pub(super) fn age(&self) -> Option<Duration> {
        let heard = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        heard.map(|at| at.elapsed())
    }
}
