//! The property graph on a [`geode_store::Store`]: what transactions read and write, how a commit is certified, and how a log
//! entry changes the store.
//!
//! A [`Transaction`] runs on the leader against a snapshot, buffers its writes as effects and remembers what it read. The
//! [`Certifier`] lets it commit or not. The effects go through Raft as a [`Command`], and [`apply`] is the only thing that
//! changes a graph: the same on every member, with no clock, no randomness and no order of a hash table in what it writes.
//! [`export`], [`import`], [`state_hash`] and [`fsck`] move and check whole graphs.

mod adjacency;
mod apply;
mod block;
mod catalog;
mod certifier;
mod checkpoints;
mod codec;
mod command;
mod counters;
mod degrees;
mod edges;
mod error;
mod fsck;
mod graphs;
mod hash;
mod ids;
mod keys;
mod level;
mod position;
mod readset;
mod record;
mod roles;
mod scan;
mod schema;
mod session;
mod snapshot;
mod stream;
mod summary;
mod transaction;
mod users;
mod view;

pub use adjacency::{Adjacent, Direction};
pub use apply::{Applied, apply, apply_empty};
pub use catalog::{MAX_NAME_BYTES, TokenKind};
pub use certifier::{Certifier, Conflict, WINDOW_TOUCHES};
pub use checkpoints::{MAX_CHECKPOINTS, checkpoints};
pub use codec::DecodeError;
pub use command::{Command, Commit, Effect};
pub use error::{GraphError, Result};
pub use fsck::{MAX_PROBLEMS, Report, fsck};
pub use graphs::{
    EdgeTypeRecord, GraphId, GraphRecord, GraphType, KeepError, NodeTypeRecord, Object, ObjectKind,
    PropertyRecord, ValueType, dropped_graphs, keep_graphs, object, objects,
};
pub use hash::state_hash;
pub use ids::IdAllocator;
pub use level::{highest as highest_level, level};
pub use position::{LogPosition, Position, meta, position, put_meta};
pub use readset::{MAX_POINT_READS, ReadSet, Touch, WriteSet};
pub use record::{EdgeRecord, EdgeRef, Labels, NodeRecord, PropertyList};
pub use roles::{
    ADMIN_ROLE, Actions, BUILT_IN_ROLES, Grant, Rights, RoleRecord, built_in_actions, is_built_in, rights,
    role, roles, shown_role, stored_role,
};
pub use scan::NodeScan;
pub use schema::{
    BUILD_BATCH, Broken, IndexStatistics, KeyRange, Last, MAX_RULE_KEYS, Probe, PropertyType, Rule, RuleId,
    RuleKind, RuleState, index_key, next_step, rules, statistics,
};
pub use session::{MAX_SESSIONS, RequestState, SESSION_REQUESTS, request_state};
pub use snapshot::Snapshot;
pub use stream::{SnapshotHeader, SnapshotInfo, StreamError, check, export, import};
pub use summary::CommitSummary;
pub use transaction::{
    DEFAULT_WRITE_LIMIT_BYTES, Finished, IndexCursor, MAX_RULES, MAX_VALUE_BYTES, NewRule, Savepoint,
    Transaction,
};
pub use users::{UserRecord, has_users, user, users};
pub use view::{NodeView, Property};
