//! An oracle for the query engine: a second, naive implementation of the language, and random statements and transactions to ask both.
//!
//! `generate` writes statements from `choices`, `evaluate` runs them on `graph` by the rules, `judge` says what is promised of the answer, `engine`
//! is what is under test. [`queries`] compares answers, [`mixes`] looks for a serial order of interleaved transactions. Of the engine's own code the
//! evaluator shares the parser and its syntax tree, and nothing that computes, matches, groups, orders or writes.

mod choices;
mod engine;
mod evaluate;
mod generate;
mod graph;
mod judge;
pub mod mixes;
pub mod queries;
mod temporal;
mod value;
