//! Which tests run at the same time. Most share the Kubernetes; one that disturbs nodes, services or the operator, or that measures to the
//! second, has it to itself.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

static FIELD: Mutex<Field> = Mutex::new(Field {
    running: 0,
    is_taken: false,
    asked_for: 0,
});
static CHANGED: Condvar = Condvar::new();

struct Field {
    running: usize,
    /// Somebody has it alone.
    is_taken: bool,
    /// So many wait to have it alone: nobody else begins before them.
    asked_for: usize,
}

/// The right to use the Kubernetes, until it is dropped.
pub(crate) struct Turn {
    is_alone: bool,
}

impl Turn {
    /// Together with others.
    pub(crate) fn shared() -> Self {
        let mut field = wait_while(field(), |field| field.is_taken || field.asked_for > 0);
        field.running += 1;
        Self { is_alone: false }
    }

    /// Without others.
    pub(crate) fn alone() -> Self {
        let mut asking = field();
        asking.asked_for += 1;
        let mut field = wait_while(asking, |field| field.is_taken || field.running > 0);
        field.asked_for -= 1;
        field.is_taken = true;
        Self { is_alone: true }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut field = field();
        if self.is_alone {
            field.is_taken = false;
        } else {
            field.running -= 1;
        }
        CHANGED.notify_all();
    }
}

fn field() -> MutexGuard<'static, Field> {
    FIELD.lock().unwrap_or_else(PoisonError::into_inner)
}

fn wait_while(
    guard: MutexGuard<'static, Field>,
    condition: impl Fn(&Field) -> bool,
) -> MutexGuard<'static, Field> {
    CHANGED
        .wait_while(guard, |field| condition(field))
        .unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn who_is_alone_meets_nobody() {
        let inside = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for number in 0..12 {
                let inside = &inside;
                scope.spawn(move || {
                    let is_alone = number % 3 == 0;
                    let turn = if is_alone { Turn::alone() } else { Turn::shared() };
                    let others = inside.fetch_add(1, Ordering::SeqCst);
                    std::thread::sleep(std::time::Duration::from_millis(5));
                    let then = inside.fetch_sub(1, Ordering::SeqCst);
                    assert!(!is_alone || (others == 0 && then == 1), "{others}, {then}");
                    drop(turn);
                });
            }
        });
    }
}
