//! Counts the calls by which an operator changes the world, and lets one of them go wrong.

use std::sync::Mutex;
use tokio::sync::watch;

/// What goes wrong with one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The call is done, and the operator's process ends before it hears of it.
    Ends,
    /// The same, and its successor does not get the answer to its first call.
    EndsAndAnswerLost,
    /// The call is done and its answer is lost; the operator lives.
    AnswerLost,
}

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is done and answered.
    Passes,
    /// It is done and not answered.
    AnswerLost,
    /// It is done, and then the operator ends.
    Ends,
    /// The operator that sent it has ended; nothing of it arrives any more.
    Late,
}

#[derive(Default)]
struct State {
    calls: Vec<String>,
    fault: Option<(usize, Fault)>,
}

/// Shared by the proxy and the members of one test.
pub(crate) struct Fuse {
    state: Mutex<State>,
    /// Whether the operator has ended.
    burnt: watch::Sender<bool>,
}

impl Fuse {
    pub(crate) fn new() -> Self {
        Self {
            state: Mutex::default(),
            burnt: watch::Sender::new(false),
        }
    }

    /// From now on calls are counted anew, and the `n`-th has this fault.
    pub(crate) fn set(&self, fault: Option<(usize, Fault)>) {
        *self.state.lock().unwrap() = State {
            calls: Vec::new(),
            fault,
        };
        self.burnt.send_replace(false);
    }

    /// Another operator begins after one that ended.
    pub(crate) fn succeed(&self) {
        let fault = self.state.lock().unwrap().fault;
        let again = fault.is_some_and(|(_, fault)| fault == Fault::EndsAndAnswerLost);
        self.set(again.then_some((1, Fault::AnswerLost)));
    }

    /// A call by which the world changes.
    pub(crate) fn call(&self, what: String) -> Verdict {
        if *self.burnt.borrow() {
            return Verdict::Late;
        }
        let mut state = self.state.lock().unwrap();
        state.calls.push(what);
        match state.fault {
            Some((at, Fault::AnswerLost)) if at == state.calls.len() => Verdict::AnswerLost,
            Some((at, _)) if at == state.calls.len() => Verdict::Ends,
            _ => Verdict::Passes,
        }
    }

    /// The call is done; now the operator ends.
    pub(crate) fn burn(&self) {
        self.burnt.send_replace(true);
    }

    /// Returns when the operator has to end.
    pub(crate) async fn burnt(&self) {
        let mut burnt = self.burnt.subscribe();
        burnt.wait_for(|burnt| *burnt).await.unwrap();
    }

    /// The calls so far.
    pub(crate) fn calls(&self) -> Vec<String> {
        self.state.lock().unwrap().calls.clone()
    }
}
