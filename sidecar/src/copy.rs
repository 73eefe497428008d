//! The loop of the DR copy: brings what is archived to a second bucket. The leader's sidecar does it. Archiving never waits for it: a copy that cannot be
//! reached makes the copy late, and its metrics say so.

use crate::metrics::Metrics;
use crate::watch::Seen;
use geode_archive::{Backoff, Copier, Lineage, ObjectError, ObjectStore, copy_object};
use geode_types::Role;
use geode_wire::internal::{MemberState, MemberStatus};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// Pause between two looks at what the copy lacks.
const PAUSE: Duration = Duration::from_secs(2);
const PAUSE_FIRST: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// Keeps a copy of the archive.
pub(crate) struct CopyLoop {
    archive: Arc<dyn ObjectStore>,
    copy: Arc<dyn ObjectStore>,
    metrics: Metrics,
    copier: Option<Copier>,
    /// Since when the copy has lacked something, as far as it is known.
    behind: Option<Instant>,
}

impl CopyLoop {
    pub(crate) fn new(archive: Arc<dyn ObjectStore>, copy: Arc<dyn ObjectStore>, metrics: Metrics) -> Self {
        Self {
            archive,
            copy,
            metrics,
            copier: None,
            behind: None,
        }
    }

    /// Copies until the process ends.
    pub(crate) async fn run(mut self, seen: watch::Receiver<Seen>) {
        let mut backoff = Backoff::new(PAUSE_FIRST, PAUSE_MAX);
        loop {
            let status = seen.borrow().fresh(Instant::now()).cloned();
            let pause = match status {
                Some(status) => self.attempt(&status, &mut backoff).await,
                None => PAUSE,
            };
            tokio::time::sleep(pause).await;
        }
    }

    /// One round and what follows from its failure; how long to pause.
    pub(crate) async fn attempt(&mut self, status: &MemberStatus, backoff: &mut Backoff) -> Duration {
        let Some(lineage) = led(status) else {
            // Whoever leads now says how it stands.
            (self.copier, self.behind) = (None, None);
            self.measure(false);
            return PAUSE;
        };
        let copied = self.round(lineage, Instant::now()).await;
        self.measure(copied.is_err());
        match copied {
            Ok(()) => {
                backoff.worked();
                PAUSE
            }
            Err(error) => {
                let pause = backoff.failed();
                tracing::warn!(%error, ?pause, "the copy of the archive does not get on");
                pause
            }
        }
    }

    async fn round(&mut self, lineage: Lineage, now: Instant) -> Result<(), ObjectError> {
        let known = self.copier.take().filter(|copier| copier.lineage() == lineage);
        let mut copier = known.unwrap_or_else(|| Copier::new(lineage));
        let missing = copier.missing(&*self.archive, &*self.copy).await;
        self.copier = Some(copier);
        let missing = missing.inspect_err(|_| {
            self.behind.get_or_insert(now);
        })?;
        if missing.is_empty() {
            self.behind = None;
            return Ok(());
        }
        self.behind.get_or_insert(now);
        for object in &missing {
            copy_object(&*self.archive, &*self.copy, object).await?;
            self.metrics.copied.inc();
            self.measure(false);
        }
        // Everything that was missed is there; what has come meanwhile is found in the next round.
        self.behind = None;
        Ok(())
    }

    fn measure(&self, failing: bool) {
        let lag = self.behind.map(|since| since.elapsed()).unwrap_or_default();
        self.metrics.copy_lag_seconds.set(lag.as_secs_f64());
        self.metrics.copy_failing.set(failing.into());
    }
}

/// The history of a member that leads.
fn led(status: &MemberStatus) -> Option<Lineage> {
    let cluster_id = status
        .cluster_id
        .filter(|_| status.state == MemberState::Running)?;
    (status.role == Role::Leader).then_some(Lineage {
        cluster_id,
        incarnation: status.incarnation,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::{cluster_id, status};
    use geode_archive::{Content, FailingStore, Fault, MemoryStore, Operation};

    async fn put(store: &dyn ObjectStore, name: &str) {
        let key = format!("{}/00000001/checkpoints/{name}", cluster_id());
        store
            .put_if_absent(&key, &Content::from_bytes("x"))
            .await
            .unwrap();
    }

    #[tokio::test]
    async fn a_copy_that_is_down_is_late_and_catches_up_when_it_is_back() {
        let archive = Arc::new(MemoryStore::new());
        let copy = Arc::new(FailingStore::new(Arc::new(MemoryStore::new())));
        let metrics = Metrics::new();
        let mut copying = CopyLoop::new(archive.clone(), copy.clone(), metrics.clone());
        let mut backoff = Backoff::new(PAUSE_FIRST, PAUSE_MAX);
        put(&*archive, "1").await;
        copy.fail(Operation::PutStream, Fault::Unavailable, 1);
        assert!(copying.attempt(&status(), &mut backoff).await < PAUSE);
        assert_eq!(metrics.copy_failing.get(), 1);
        tokio::time::sleep(Duration::from_millis(20)).await;
        copy.fail(Operation::PutStream, Fault::Unavailable, 1);
        copying.attempt(&status(), &mut backoff).await;
        assert!(metrics.copy_lag_seconds.get() >= 0.02);
        copying.attempt(&status(), &mut backoff).await;
        assert_eq!((metrics.copy_failing.get(), metrics.copied.get()), (0, 1));
        assert!(metrics.copy_lag_seconds.get() < f64::EPSILON);
        let mut follower = status();
        follower.role = Role::Follower;
        put(&*archive, "2").await;
        copying.attempt(&follower, &mut backoff).await;
        assert_eq!(metrics.copied.get(), 1, "the leader's sidecar copies");
        copying.attempt(&status(), &mut backoff).await;
        assert_eq!(metrics.copied.get(), 2);
    }
}
