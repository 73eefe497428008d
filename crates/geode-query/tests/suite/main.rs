//! The tests of the engine as its callers see it, on the in-memory store.

mod chains;
mod clock;
mod indexes;
mod limits;
mod paths;
mod scenarios;
mod support;
