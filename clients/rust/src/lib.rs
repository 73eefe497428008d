//! geode-client
