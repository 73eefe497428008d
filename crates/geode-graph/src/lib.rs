//! geode-graph
