//! The archive: log segments and base backups in an object store, and the way back.
//!
//! * [`ObjectStore`]: the seam to S3, Google and Azure, a directory, memory; the only code that names the AWS SDK is below `store/s3`, and `object_store` below
//!   `store/cloud`.
//! * [`layout`]: what stands where.
//! * [`archive_plan`], [`restore_plan`], [`cleanup_plan`]: pure decisions about listings.
//! * [`Codec`]: how objects are compressed and sealed.
//! * [`write_base_backup`], [`write_increment`], [`SoundSegment`], [`upload_segment`]: what a sidecar does; [`fetch`]: what a restore does.
//!
//! The store itself is the only record of what is archived: nothing here keeps local state. It must not know the graph, the
//! server's protocol or a configuration file.

mod backoff;
mod base;
mod catalogue;
mod checkpoints;
mod content;
mod copy;
mod download;
mod fetch;
mod increment;
mod inventory;
mod keys;
pub mod layout;
mod lives;
mod location;
mod named;
mod object;
mod plan;
mod preview;
mod retention;
mod segment;
mod store;
mod upload;
mod verify;

pub use backoff::Backoff;
pub use base::{SnapshotFacts, write_base_backup};
pub use catalogue::Unreadable;
pub use checkpoints::{checkpoints, write_checkpoints};
pub use content::{Content, HashError, HashingReader, Sha256, Source};
pub use copy::{Copier, copy_object};
pub use fetch::{
    Arrived, Fetch, FetchError, OnProgress, PARALLEL, PLANS, Progress, fetch, fetch_segment, open_history,
    resolve,
};
pub use increment::{INCREMENT_FORMAT, Increment, IncrementError, IncrementFacts, write_increment};
pub use inventory::{
    ArchivedSegment, Backups, BaseBackup, Inventory, MANIFEST_FORMAT, Manifest, backups, bases, inventory,
    segments,
};
pub use keys::KeyError;
pub use layout::{Lineage, SegmentRange};
pub use lives::find_history;
pub use location::{Access, LineageError, Location, LocationError, Service, split_backup};
pub use object::{Codec, DecodeError, Decoder};
pub use plan::{
    ArchivePlan, CLOCK_SKEW_MICROS, RestoreGap, RestorePlan, advance, archive_plan, archived_until, describe,
    restore_plan,
};
pub use preview::{Preview, preview};
pub use retention::{CleanupPlan, clean_up, clean_up_telling, cleanup_plan};
pub use segment::SoundSegment;
pub use store::{
    Answer, Cloud, CloudOptions, CloudStore, DirectoryStore, ErrorKind, FailingStore, Fault, LIST_PAGE,
    Listed, MemoryStore, ObjectError, ObjectInfo, ObjectStore, Operation, PairedStore, Put, ReadOnlyStore,
    Reader, S3Options, S3Store, Stored, get_small, list_all,
};
pub use upload::{UploadError, upload_segment, verify_segment};
pub use verify::{ArchiveReport, Checks, verify_archive, verify_backup};
