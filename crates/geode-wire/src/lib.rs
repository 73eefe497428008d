//! geode-wire
