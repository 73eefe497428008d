//! The tests of the engine as its callers see it, on the in-memory store.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod chains;
mod clock;
mod indexes;
mod limits;
mod memory;
mod parallel;
mod paths;
mod reads;
mod scenarios;
mod stop;
mod support;
