//! What tests and benchmarks share: real members on loopback, and a bad network between them.

pub mod certificates;
pub mod machine;
pub mod members;
pub mod network;
pub mod scrape;
