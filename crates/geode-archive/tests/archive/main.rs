//! The archive against its stores, a real S3 server among them.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail like tests"
)]

mod clouds;
mod history;
mod http;
mod journeys;
mod line;
mod s3;
mod sealed;
mod stores;
mod unreadable;
