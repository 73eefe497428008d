//! geode-tests
