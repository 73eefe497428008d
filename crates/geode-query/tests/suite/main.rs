//! The tests of the engine as its callers see it, on the in-memory store.

mod clock;
mod limits;
mod scenarios;
mod support;
