//! geode-e2e
