//! geode-query
