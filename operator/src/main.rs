//! geode-operator
fn main() {}
