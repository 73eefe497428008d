//! What tests and benchmarks share: real members on loopback.

pub mod members;
