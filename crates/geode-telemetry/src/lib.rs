//! geode-telemetry
