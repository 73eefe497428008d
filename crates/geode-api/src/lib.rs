//! geode-api
