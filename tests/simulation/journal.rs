//! What happened in a run, for whoever has to understand a failure; and panics that a task would swallow.
//!
//! A run has one thread, so both are kept for the thread.

use std::cell::RefCell;
use std::sync::Once;

thread_local! {
    static EVENTS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
    static PANICS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Begins a run. From here on panics are remembered: the runtime turns the panic of a task into the end of that task, which looks
/// like a member that stopped by itself.
pub(crate) fn begin() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            // A panic while the thread ends has nowhere to be kept, and no run to belong to.
            let _ = PANICS.try_with(|panics| panics.borrow_mut().push(panic.to_string()));
            before(panic);
        }));
    });
    EVENTS.with_borrow_mut(Vec::clear);
    PANICS.with_borrow_mut(Vec::clear);
}

/// Remembers an event.
pub(crate) fn note(event: String) {
    EVENTS.with_borrow_mut(|events| events.push(event));
}

/// The last events.
pub(crate) fn tail(count: usize) -> Vec<String> {
    EVENTS.with_borrow(|events| events[events.len().saturating_sub(count)..].to_vec())
}

/// Panics if something has panicked.
pub(crate) fn check() {
    let first = PANICS.with_borrow(|panics| panics.first().cloned());
    if let Some(first) = first {
        panic!("a task panicked: {first}");
    }
}
