//! The graph's promises, through its public API, on both stores.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod graphs;
mod model;
mod passes;
mod reads;
mod schema;
mod serial;
mod sessions;
mod stream;
mod supernode;
mod support;
mod writes;
