//! geode-server
