//! geode-config
