//! What can go wrong in the graph, and how a user reads it.

use crate::codec::DecodeError;
use crate::graphs::ObjectKind;
use crate::schema::Broken;
use geode_store::StoreError;
use geode_types::{EdgeId, ErrorClass, FeatureLevel, LogIndex, NodeId, QueryError};

/// Why an operation on the graph failed.
#[derive(Debug, thiserror::Error)]
pub enum GraphError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Stored bytes contradict each other or cannot be read. The member has to stop and be rebuilt.
    #[error(
        "the stored graph is damaged: {what}; run `geode verify`, then let this member join again with an empty volume"
    )]
    Corrupt {
        /// What was found, and where.
        what: String,
    },
    /// A command does not fit the graph it is applied to. Replicas must not continue past it.
    #[error("the command at log index {index} cannot be applied: {what}")]
    InvalidCommand {
        /// Its log index.
        index: LogIndex,
        /// What does not fit.
        what: String,
    },
    /// The log or a snapshot is of a level that this version does not understand.
    #[error(
        "the cluster has feature level {level}, and this version understands level {newest}: run a newer version of geode on this member; a level is never lowered",
        newest = FeatureLevel::NEWEST
    )]
    LevelTooNew {
        /// The level.
        level: FeatureLevel,
    },
    /// A write in a read-only transaction.
    #[error("the transaction is read-only")]
    ReadOnly,
    /// The node is gone, or never was.
    #[error("node {0} does not exist")]
    NodeNotFound(NodeId),
    /// The edge is gone, or never was.
    #[error("edge {0} does not exist")]
    EdgeNotFound(EdgeId),
    /// A node is deleted without its edges.
    #[error("node {0} still has edges")]
    NodeHasEdges(NodeId),
    /// The transaction writes more than it may.
    #[error("the transaction writes more than {limit} bytes")]
    WriteSetTooLarge {
        /// The limit.
        limit: usize,
    },
    /// A value that cannot be a property.
    #[error("a property cannot hold {0}")]
    NotStorable(&'static str),
    /// A name of a label, type, property, user or checkpoint that is empty or too long.
    #[error("a name must have 1 to {max} bytes, this one has {0}", max = crate::MAX_NAME_BYTES)]
    NameLength(usize),
    /// A checkpoint of this name is there already.
    #[error("there is a checkpoint {0:?} already")]
    CheckpointExists(String),
    /// No further checkpoint fits.
    #[error("there are {max} checkpoints, and there may be no more", max = crate::MAX_CHECKPOINTS)]
    TooManyCheckpoints,
    /// An index or a constraint of this name, or of the same kind about the same, is there already.
    #[error("there is the index or constraint {0} already")]
    RuleExists(String),
    /// No further index or constraint fits.
    #[error("there are {max} indexes and constraints, and there may be no more", max = crate::MAX_RULES)]
    TooManyRules,
    /// An index on no property or on too many.
    #[error("an index or a constraint has 1 to {max} properties, this one has {0}", max = crate::MAX_RULE_KEYS)]
    RuleKeys(usize),
    /// A transaction changes both indexes or constraints and nodes or edges.
    #[error("a transaction changes either indexes and constraints or nodes and edges, not both")]
    SchemaAndData,
    /// A node does not keep a constraint.
    #[error("the constraint {rule} is violated: {why}")]
    RuleBroken {
        /// The constraint's name.
        rule: String,
        /// Which node, and what of it.
        why: String,
        /// The same for programs.
        broken: Broken,
    },
    /// A schema, a graph or a graph type of this path is there already.
    #[error("there is a {kind} {path} already", kind = .kind.name())]
    ObjectExists {
        /// What it is.
        kind: ObjectKind,
        /// Its path.
        path: String,
    },
    /// No schema, graph or graph type has this path.
    #[error("there is no {kind} {path}", kind = .kind.name())]
    ObjectNotFound {
        /// What is looked for.
        kind: ObjectKind,
        /// Its path.
        path: String,
    },
    /// A schema that still has graphs or graph types.
    #[error("the schema {0} is not empty")]
    SchemaNotEmpty(String),
    /// An edge between nodes of two graphs.
    #[error("an edge joins nodes of one graph; these are of two")]
    BetweenGraphs,
    /// A node or an edge that the closed type of its graph does not allow.
    #[error("{what} does not fit the type of its graph: {why}")]
    TypeViolated {
        /// Which.
        what: String,
        /// Why not.
        why: String,
    },
    /// A savepoint that the transaction does not have.
    #[error("the transaction has no savepoint {0}")]
    NoSavepoint(String),
    /// No further savepoint fits.
    #[error("the transaction has too many savepoints")]
    TooManySavepoints,
    /// All ids are used up.
    #[error("no {0} id is left")]
    OutOfIds(&'static str),
}

/// What every operation on the graph returns.
pub type Result<T> = std::result::Result<T, GraphError>;

impl GraphError {
    /// Whether what is stored is certainly damaged.
    pub fn is_corrupt(&self) -> bool {
        match self {
            Self::Corrupt { .. } => true,
            Self::Store(error) => error.is_corrupt(),
            _ => false,
        }
    }

    pub(crate) fn corrupt(what: impl Into<String>) -> Self {
        Self::Corrupt { what: what.into() }
    }

    /// Turns a decoding error into one that says what was decoded.
    pub(crate) fn undecodable(what: impl std::fmt::Display) -> impl FnOnce(DecodeError) -> Self {
        move |error| Self::Corrupt {
            what: format!("{what}: {error}"),
        }
    }
}

impl From<GraphError> for QueryError {
    fn from(error: GraphError) -> Self {
        use ErrorClass as Class;
        let message = error.to_string();
        let runtime = |class, detail, gqlstatus| Self::runtime(class, detail, gqlstatus, message.clone());
        match error {
            GraphError::Store(store) if store.is_full() => {
                runtime(Class::UnavailableError, "StorageFull", "5GU03")
            }
            GraphError::Store(StoreError::TooManyReaders) => {
                runtime(Class::LimitError, "TooManyReaders", "5GL02")
                    .hint("try again when other statements have ended")
            }
            GraphError::Store(_) => runtime(Class::InternalError, "StoreFailed", "5GI01"),
            GraphError::Corrupt { .. } => runtime(Class::InternalError, "GraphDamaged", "5GI02"),
            GraphError::InvalidCommand { .. } => runtime(Class::InternalError, "InvalidCommand", "5GI03"),
            GraphError::LevelTooNew { .. } => runtime(Class::UnavailableError, "FeatureLevel", "5GU05"),
            GraphError::ReadOnly => runtime(Class::SemanticError, "ReadOnlyTransaction", "25G03"),
            GraphError::NodeNotFound(_) | GraphError::EdgeNotFound(_) => {
                runtime(Class::EntityNotFound, "DeletedEntityAccess", "22G12")
            }
            GraphError::NodeHasEdges(_) => {
                runtime(Class::ConstraintValidationFailed, "DeleteConnectedNode", "G1001")
                    .hint("delete its edges first, or use DETACH DELETE")
            }
            GraphError::WriteSetTooLarge { .. } => runtime(Class::LimitError, "WriteSetTooLarge", "5GL01")
                .hint("split the work into smaller transactions"),
            GraphError::NotStorable(_) => runtime(Class::TypeError, "InvalidPropertyType", "22G03"),
            GraphError::NameLength(_) => runtime(Class::ArgumentError, "InvalidName", "42002"),
            GraphError::CheckpointExists(_) => {
                runtime(Class::ConstraintValidationFailed, "CheckpointExists", "5GS01")
                    .hint("choose another name, or remove the old one: DROP CHECKPOINT 'name'")
            }
            GraphError::TooManyCheckpoints => runtime(Class::LimitError, "TooManyCheckpoints", "5GL04")
                .hint("remove some that are not needed any more: DROP CHECKPOINT 'name'"),
            GraphError::RuleExists(_) => runtime(Class::ConstraintValidationFailed, "RuleExists", "22N70")
                .hint("SHOW INDEXES and SHOW CONSTRAINTS list them; IF NOT EXISTS leaves one that is there"),
            GraphError::TooManyRules => runtime(Class::LimitError, "TooManyRules", "5GL05")
                .hint("drop some that are not needed any more: DROP INDEX name"),
            GraphError::RuleKeys(_) => runtime(Class::ArgumentError, "InvalidRule", "42002"),
            GraphError::SchemaAndData => {
                runtime(Class::SemanticError, "SchemaAndDataInOneTransaction", "25G02")
                    .hint("commit first, then go on in another transaction")
            }
            GraphError::RuleBroken { broken, .. } => {
                let gqlstatus = match broken {
                    Broken::Missing(_) => "22N77",
                    Broken::Mistyped(_) => "22N78",
                    Broken::Taken(_) => "22N79",
                };
                runtime(Class::ConstraintValidationFailed, "ConstraintViolated", gqlstatus)
            }
            // 42: a name that is taken, or not there, as the standard has it for catalog statements (clause 12, syntax rules).
            GraphError::ObjectExists { .. } => {
                runtime(Class::ConstraintValidationFailed, "ObjectExists", "42N06")
                    .hint("IF NOT EXISTS leaves it as it is, OR REPLACE replaces a graph or a graph type")
            }
            GraphError::ObjectNotFound { kind, .. } => {
                let (detail, list) = match kind {
                    ObjectKind::Schema => ("SchemaNotFound", "SELECT * FROM system.schemas lists them"),
                    ObjectKind::Graph => ("GraphNotFound", "SELECT * FROM system.graphs lists them"),
                    ObjectKind::GraphType => {
                        ("GraphTypeNotFound", "SELECT * FROM system.graph_types lists them")
                    }
                };
                runtime(Class::EntityNotFound, detail, "42002").hint(list)
            }
            GraphError::SchemaNotEmpty(_) => {
                runtime(Class::ConstraintValidationFailed, "SchemaNotEmpty", "42N07")
                    .hint("drop its graphs and graph types first")
            }
            GraphError::BetweenGraphs => runtime(Class::SemanticError, "EdgeBetweenGraphs", "22G0P")
                .hint("create a node in the graph of the other one, or keep the other's id as a property"),
            // G2000: graph type violation.
            GraphError::TypeViolated { .. } => {
                runtime(Class::ConstraintValidationFailed, "GraphTypeViolation", "G2000")
            }
            GraphError::NoSavepoint(_) => {
                runtime(Class::SemanticError, "NoSavepoint", "3B001").hint("set it first: SAVEPOINT name")
            }
            GraphError::TooManySavepoints => runtime(Class::LimitError, "TooManySavepoints", "5GL06")
                .hint("release those that are not needed any more: RELEASE SAVEPOINT name"),
            GraphError::OutOfIds(_) => runtime(Class::LimitError, "OutOfIds", "5GL03"),
        }
    }
}
