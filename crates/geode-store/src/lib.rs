//! geode-store
