//! Threads that help statements while cores are idle.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::available_parallelism;

/// Those of the process: all cores but the one that a statement runs on.
static OF_PROCESS: LazyLock<Helpers> =
    LazyLock::new(|| Helpers::new(available_parallelism().map_or(1, usize::from) - 1));

/// How many threads may help. Nobody waits for one: a busy server has none to spare.
#[derive(Debug)]
pub struct Helpers {
    free: AtomicUsize,
}

impl Helpers {
    /// So many.
    pub const fn new(threads: usize) -> Self {
        Self {
            free: AtomicUsize::new(threads),
        }
    }

    /// Those that all statements of the process share.
    pub fn of_process() -> &'static Self {
        &OF_PROCESS
    }

    /// Takes those that are free, up to so many, until the result is dropped.
    pub(super) fn take(&self, most: usize) -> Taken<'_> {
        let mut threads = 0;
        let _ = self
            .free
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |free| {
                threads = free.min(most);
                Some(free - threads)
            });
        Taken {
            helpers: self,
            threads,
        }
    }
}

/// Threads that were taken.
#[derive(Debug)]
pub(super) struct Taken<'h> {
    helpers: &'h Helpers,
    threads: usize,
}

impl Taken<'_> {
    /// How many.
    pub(super) fn threads(&self) -> usize {
        self.threads
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.helpers.free.fetch_add(self.threads, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::Helpers;

    #[test]
    fn helpers_are_given_out_once_and_come_back() {
        let helpers = Helpers::new(3);
        let two = helpers.take(2);
        let rest = helpers.take(5);
        let none = helpers.take(1);
        assert_eq!((two.threads(), rest.threads(), none.threads()), (2, 1, 0));
        drop(two);
        assert_eq!(helpers.take(5).threads(), 2);
        drop((rest, none));
        assert_eq!(helpers.take(5).threads(), 3);
    }
}
