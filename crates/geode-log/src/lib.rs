//! The log, which is the write-ahead log and what is archived: checksummed segments of records, the vote, the purge mark.
//!
//! * [`segment`]: the format and its reader, for everyone who meets a segment file (docs/formats/log-segment.md).
//! * [`Log`]: the directory of one Raft group: append, truncate, purge, read, recovery. Synchronous, one owner.
//! * [`Writer`] and [`LogReader`]: the same log shared: a worker that commits in groups, readers with a cache of recent records.
//! * [`Disk`]: the file system as the log uses it: real, or in memory with power cuts.
//!
//! It must not know what a record means: payloads are bytes of the Raft adapter.

pub mod disk;
mod error;
mod log;
mod reader;
mod recovery;
pub mod segment;
mod shared;
mod small_file;
mod truncate;
mod writer;

pub use disk::{Disk, DiskFile, RealDisk};
pub use error::LogError;
pub use log::{DEFAULT_SEGMENT_ENTRIES, Log, LogOptions, WRITE_BYTES_MAX};
pub use reader::LogReader;
pub use segment::{Position, Record, RecordKind, SegmentName};
pub use shared::{DEFAULT_CACHE_BYTES, LogState};
pub use small_file::Vote;
pub use writer::{Done, Step, Worker, Writer};
