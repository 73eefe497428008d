//! The planner's promises: tables of single decisions, and random worlds that must converge without ever breaking a rule.
#![allow(missing_docs, reason = "tests")]

mod model;
mod objects;
mod raft;
mod rules;
mod status;
mod tables;
