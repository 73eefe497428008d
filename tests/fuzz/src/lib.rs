//! A mutational fuzzer: [`bend`](mutate::bend) makes an input from a committed corpus, a [`Target`](targets::Target) says whether what came of it is
//! allowed, [`worker`] does so until its time is up.
//!
//! It needs no nightly compiler and no instrumentation, so CI runs it on every commit. A case is a number: the same number makes the same input as
//! long as the corpus stays, and what a case finds belongs into the corpus.

pub mod corpus;
pub mod mutate;
pub mod targets;
pub mod worker;
