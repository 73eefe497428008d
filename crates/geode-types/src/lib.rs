//! The words that every other crate shares: ids, the graph's values and their two encodings, and the one error a user sees.
//!
//! Nothing here does I/O, knows a protocol or depends on another crate of Geode.

mod backup;
mod compression;
mod error;
mod exit;
mod hex;
mod ids;
mod level;
mod nearest;
mod reads;
mod restore;
mod restore_test;
mod retention;
mod summary;
mod value;

pub use backup::{BackupKind, BackupKindError};
pub use compression::{Compression, CompressionError};
pub use error::{ErrorClass, Outcome, Phase, Position, QueryError};
pub use exit::EXIT_DAMAGED;
pub use hex::hex;
pub use ids::{
    ClusterId, EdgeId, GroupId, Incarnation, LogIndex, Lsn, LsnError, MemberId, NodeId, RequestId, Role, Term,
};
pub use level::FeatureLevel;
pub use nearest::nearest;
pub use reads::{ConsistencyLevel, ReadPreference, ReadSetting, ReadSettings};
pub use restore::{
    Checkpoint, FetchedBackup, FetchedBase, FetchedSegment, GraphSelection, RESTORE_FILE, RESTORE_FORMAT,
    RESTORE_PROGRESS_FILE, RestoreGoal, RestoreTarget,
};
pub use restore_test::{
    RESTORE_CHECKS_MAX, RESTORE_REPORT_BYTES_MAX, RestoreCheck, RestoreCheckResult, RestoreTestReport,
    RestoreTestStep,
};
pub use retention::{CleanedUp, Retention};
pub use rust_decimal::{Decimal, RoundingStrategy};
pub use summary::Summary;
pub use value::codec::{CodecError, MAX_VALUE_DEPTH, decode_value, encode_value};
pub use value::json::{JsonError, from_json, to_json};
pub use value::scalar::{Scalar, decode_scalar};
pub use value::temporal;
pub use value::temporal::{Temporal, TemporalKind};
pub use value::{EdgeValue, NodeValue, PathValue, Properties, Value};
