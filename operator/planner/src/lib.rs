//! geode-planner
