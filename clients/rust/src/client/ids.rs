//! Identities of requests. The cluster remembers the newest requests of a session, so no request in flight may fall far behind the
//! newest one: when the oldest does, the client goes on under a new session and the straggler keeps its own.

use geode_types::RequestId;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use uuid::Uuid;

/// How far the newest request may be ahead of the oldest one in flight: half of what the cluster remembers of a session.
const WINDOW: u64 = 128;

#[derive(Debug)]
struct State {
    session: Uuid,
    next: u64,
    in_flight: BTreeSet<u64>,
}

/// Gives out request ids.
#[derive(Clone, Debug)]
pub(crate) struct RequestIds {
    state: Arc<Mutex<State>>,
}

/// A request id in use; dropping it says that its request has ended.
#[derive(Debug)]
pub(crate) struct InFlight {
    pub(crate) id: RequestId,
    ids: RequestIds,
}

impl Default for State {
    fn default() -> Self {
        Self {
            session: Uuid::new_v4(),
            next: 1,
            in_flight: BTreeSet::new(),
        }
    }
}

impl RequestIds {
    pub(crate) fn new() -> Self {
        Self {
            state: Arc::new(Mutex::new(State::default())),
        }
    }

    pub(crate) fn next(&self) -> InFlight {
        let mut state = self.lock();
        let oldest = state.in_flight.first().copied().unwrap_or(state.next);
        if state.next - oldest >= WINDOW {
            *state = State::default();
        }
        let sequence = state.next;
        state.next += 1;
        state.in_flight.insert(sequence);
        let id = RequestId {
            session: state.session,
            sequence,
        };
        drop(state);
        InFlight {
            id,
            ids: self.clone(),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("no panic while the ids are locked")
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let mut state = self.ids.lock();
        if state.session == self.id.session {
            state.in_flight.remove(&self.id.sequence);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_grow_and_a_straggler_keeps_its_session_to_itself() {
        let ids = RequestIds::new();
        let straggler = ids.next();
        for expected in 2..=WINDOW {
            let next = ids.next();
            assert_eq!(
                (next.id.session, next.id.sequence),
                (straggler.id.session, expected)
            );
        }
        let fresh = ids.next();
        assert_ne!(fresh.id.session, straggler.id.session);
        assert_eq!(fresh.id.sequence, 1);
        drop(straggler);
        assert_eq!(ids.next().id.sequence, 2);
    }
}
