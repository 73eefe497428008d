//! Requests that are under way, by their ids: a repetition waits for the first to end, so that it finds its result in the session table
//! instead of running beside it.

use geode_types::RequestId;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use tokio::sync::watch;

type Running = HashMap<RequestId, watch::Receiver<()>>;

/// The requests under way on this member.
#[derive(Clone, Debug, Default)]
pub(crate) struct InFlight {
    running: Arc<Mutex<Running>>,
}

/// A request under way; it ends when this is dropped. Whoever waits for a commit holds it until the outcome is decided.
#[derive(Debug)]
pub(crate) struct Ticket {
    id: RequestId,
    in_flight: InFlight,
    _ended: watch::Sender<()>,
}

impl InFlight {
    /// Waits until nobody else works on this request; `None` when the deadline comes first.
    pub(crate) async fn enter(&self, id: RequestId, deadline: Instant) -> Option<Ticket> {
        loop {
            let mut other = match self.try_enter(id) {
                Ok(ticket) => return Some(ticket),
                Err(other) => other,
            };
            // Ends with an error when the other ticket is dropped, which is what we wait for.
            if tokio::time::timeout_at(deadline.into(), other.changed())
                .await
                .is_err()
            {
                return None;
            }
        }
    }

    fn try_enter(&self, id: RequestId) -> Result<Ticket, watch::Receiver<()>> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(other) = running.get(&id) {
            return Err(other.clone());
        }
        let (sender, receiver) = watch::channel(());
        running.insert(id, receiver);
        Ok(Ticket {
            id,
            in_flight: self.clone(),
            _ended: sender,
        })
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.in_flight
            .running
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use uuid::Uuid;

    #[tokio::test]
    async fn a_repetition_waits_for_the_first_and_others_do_not() {
        let in_flight = InFlight::default();
        let id = |sequence| RequestId {
            session: Uuid::from_u128(7),
            sequence,
        };
        let soon = || Instant::now() + Duration::from_millis(30);
        let first = in_flight.enter(id(1), soon()).await.unwrap();
        assert!(in_flight.enter(id(2), soon()).await.is_some());
        assert!(in_flight.enter(id(1), soon()).await.is_none());
        let waiting = tokio::spawn({
            let in_flight = in_flight.clone();
            async move {
                in_flight
                    .enter(id(1), Instant::now() + Duration::from_secs(5))
                    .await
                    .is_some()
            }
        });
        tokio::time::sleep(Duration::from_millis(10)).await;
        drop(first);
        assert!(waiting.await.unwrap());
        assert!(in_flight.running.lock().unwrap().is_empty());
    }
}
