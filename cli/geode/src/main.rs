//! geode-cli
fn main() {}
