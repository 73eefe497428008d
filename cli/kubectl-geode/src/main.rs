//! kubectl-geode
fn main() {}
