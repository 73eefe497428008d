//! geode-archive
