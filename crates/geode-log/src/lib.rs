//! geode-log
