//! Where work that may wait for a disk runs: on tokio's threads for such work, or, in a simulation, right here.

use std::io;

/// How blocking work is run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Blocking {
    /// On tokio's blocking threads; the log has a thread of its own.
    #[default]
    Threads,
    /// Inline, for single-threaded simulations; the log is written by a task that dawdles at random, from this seed.
    Inline(u64),
}

impl Blocking {
    /// Runs `work` to its end.
    pub(super) async fn run<T: Send + 'static>(
        self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<T> {
        match self {
            Self::Threads => tokio::task::spawn_blocking(work).await.map_err(io::Error::other),
            Self::Inline(_) => Ok(work()),
        }
    }
}
