//! geode-sidecar
fn main() {}
