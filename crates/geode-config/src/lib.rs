//! `geode.yaml` (or `.toml`): one file that the operator renders and that server and sidecar read.
//!
//! [`Config::load`] parses, fills in `${GEODE_…}` variables, checks every key against the schema (an unknown key is an error that names
//! the nearest right one) and every value against its limits. What comes out is valid. Nothing else reads a configuration.

mod archive;
mod check;
mod model;
mod units;

pub use check::{ConfigError, Problem, validate_overrides};
pub use model::{
    Archive, Auth, Azure, Cluster, Config, Discovery, DiscoveryMethod, Encryption, Gcs, LogFormat, Logging,
    Node, Performance, S3, Server, Sidecar, Storage, Timing, Tls, Wal,
};
pub use units::{Bytes, Duration};
