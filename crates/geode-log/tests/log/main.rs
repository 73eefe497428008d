//! What the log promises, on a real directory and on a disk that fails.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod common;
mod crash;
mod directory;
