//! Deliberate defects, to show that the tests notice them: `cargo xtask mutants` switches one on at a time and expects a test to fail.
//!
//! Each is one line at the place that it breaks. Without the feature `on` [`is_on`] is a constant, and nothing of this is in a binary.

/// A classic way to lose data, or to tell lies about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutation {
    /// The log calls a record durable that it has only written.
    SkipFsync,
    /// The leader acknowledges a write before a majority has it.
    AckBeforeQuorum,
    /// A new leader gives out a node id that is taken.
    ReuseNodeId,
    /// The log is purged although its segments are not archived.
    PurgeBeforeArchive,
    /// A request that is retried is applied again.
    ApplyTwice,
    /// A leader answers reads without asking a majority whether it still leads.
    StaleLeaseRead,
    /// What was committed for a session is not remembered.
    LostSessionEntry,
    /// A vote is given before it is durable.
    UnorderedVoteWrite,
    /// A transaction's scans are not compared with the writes of others.
    MissingReadSetRange,
    /// A segment is offered to the archive before its entries are committed.
    UploadUncommitted,
}

impl Mutation {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::SkipFsync,
        Self::AckBeforeQuorum,
        Self::ReuseNodeId,
        Self::PurgeBeforeArchive,
        Self::ApplyTwice,
        Self::StaleLeaseRead,
        Self::LostSessionEntry,
        Self::UnorderedVoteWrite,
        Self::MissingReadSetRange,
        Self::UploadUncommitted,
    ];
}

/// The variable that names the mutation which is switched on.
pub const VARIABLE: &str = "GEODE_MUTATION";

/// Whether this mutation is switched on.
#[cfg(not(feature = "on"))]
pub const fn is_on(_: Mutation) -> bool {
    false
}

/// Whether this mutation is switched on.
///
/// # Panics
/// When the variable names none: a run that breaks nothing would show nothing.
#[cfg(feature = "on")]
pub fn is_on(mutation: Mutation) -> bool {
    static ON: std::sync::OnceLock<Option<Mutation>> = std::sync::OnceLock::new();
    let named = || {
        let name = std::env::var(VARIABLE).ok()?;
        let mut all = Mutation::ALL.into_iter();
        let found = all.find(|mutation| format!("{mutation:?}") == name);
        assert!(found.is_some(), "{VARIABLE}={name} is no mutation");
        found
    };
    *ON.get_or_init(named) == Some(mutation)
}
