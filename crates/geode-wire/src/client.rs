//! The client protocol. The first stream of a connection carries `Hello` and its answer; every later bidirectional stream is a session:
//! requests on it are answered one after the other, a transaction belongs to the stream and ends with it.

use bytes::Bytes;
use geode_types::{ClusterId, Lsn, MemberId, QueryError, ReadSettings, RequestId, Role, Summary};
use serde::{Deserialize, Serialize};

/// The version of the messages in this module; a server refuses a `Hello` with another one.
pub const PROTOCOL_VERSION: u32 = 1;

/// Which spelling of the language a text is in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dialect {
    /// ISO/IEC 39075.
    #[default]
    Gql,
    /// openCypher where the two differ.
    Cypher,
}

/// What a read must have seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReadMode {
    /// Everything acknowledged before the read began (read index on the leader). Writes always use it.
    #[default]
    Linearizable,
    /// At least the commit with this LSN; any member may answer and waits for it.
    AtLeast(Lsn),
    /// Whatever this member has applied.
    Local,
}

/// From client to server.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientRequest {
    /// Opens a connection. Answered by `Welcome`, or the connection is closed with `UNAUTHENTICATED`.
    Hello(Hello),
    /// Runs one statement. Answered by `Columns`, any number of `Rows`, `Done`; or by `NotLeader` or `Failed`.
    Execute(Execute),
    /// Asks for the cluster as this member sees it. Answered by `Cluster`.
    Cluster,
    /// Moves leadership, to a named member or to the best one. Administrators only. Answered by `Cluster` or `Failed`.
    TransferLeader {
        /// A member's name; the most caught-up follower when absent.
        to: Option<String>,
    },
    /// While it is on, nothing changes the graph. Administrators only. Answered by `Done` with the LSN of the change, `NotLeader` or `Failed`.
    SetReadOnly {
        /// On or off.
        on: bool,
    },
    /// Answered by `Pong`.
    Ping,
}

/// The first message of a connection.
#[derive(Clone, Serialize, Deserialize)]
pub struct Hello {
    /// [`PROTOCOL_VERSION`].
    pub protocol: u32,
    /// Name and version of the client, for logs.
    pub client: String,
    /// User name.
    pub user: String,
    /// Password; TLS protects it.
    pub password: String,
}

impl std::fmt::Debug for Hello {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hello")
            .field("protocol", &self.protocol)
            .field("client", &self.client)
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

/// One statement.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Execute {
    /// GQL text.
    pub text: String,
    /// Parameters: a map value in the binary form of `geode_types`; empty for none.
    pub params: Bytes,
    /// Spelling.
    #[serde(default)]
    pub dialect: Dialect,
    /// Makes a write repeatable without being applied twice. Only outside explicit transactions, and for COMMIT.
    #[serde(default)]
    pub request_id: Option<RequestId>,
    /// What a read must have seen.
    #[serde(default)]
    pub read: ReadMode,
    /// Ends the statement after this many milliseconds; the server's `query_timeout` bounds it.
    #[serde(default)]
    pub timeout_ms: Option<u64>,
    /// How the session reads, from a client that keeps that itself, as its statements go to several members. It counts where `read` is
    /// [`ReadMode::Linearizable`]; absent, what was set on this stream does. An older server answers as the leader with everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reads: Option<SessionReads>,
}

/// How a session reads, and what it has seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionReads {
    /// What was set.
    pub settings: ReadSettings,
    /// The newest position that one of its answers told.
    #[serde(default)]
    pub seen: Option<Lsn>,
}

impl SessionReads {
    /// Takes in what a statement was answered with.
    pub fn learn(&mut self, done: Option<Lsn>, settings: Option<ReadSettings>) {
        self.seen = self.seen.max(done);
        if let Some(settings) = settings {
            self.settings = settings;
        }
    }
}

/// From server to client.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientReply {
    /// The connection is open.
    Welcome(ClusterView),
    /// The statement's columns; rows follow.
    Columns(Vec<String>),
    /// Some rows.
    Rows(Rows),
    /// The statement ended well.
    Done(Done),
    /// Only the leader does this; nothing was done here.
    NotLeader {
        /// Where to go, when known.
        leader: Option<MemberAddress>,
    },
    /// The statement ended with an error.
    Failed(Box<QueryError>),
    /// The cluster as this member sees it.
    Cluster(ClusterView),
    /// The answer to `Ping`.
    Pong,
}

/// A batch of rows.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Rows {
    /// How many rows.
    pub count: u32,
    /// `count` × columns values, one after the other, in the binary form of `geode_types`.
    pub data: Bytes,
}

/// How a statement ended.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Done {
    /// What it changed.
    pub summary: Summary,
    /// For a committed write its LSN; for a read the position it saw.
    #[serde(default)]
    pub lsn: Option<Lsn>,
    /// This request had been committed before: the summary is the recorded one, and rows are not repeated.
    #[serde(default)]
    pub repeated: bool,
    /// The statement has set how its session reads: from now on like this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reads: Option<ReadSettings>,
}

/// How to reach a member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberAddress {
    /// Its identity.
    pub id: MemberId,
    /// Its name (on Kubernetes the pod's).
    pub name: String,
    /// `host:port` of the client protocol.
    pub client: String,
    /// `host:port` of the internal protocol.
    pub internal: String,
}

/// The cluster as one member sees it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ClusterView {
    /// Version of the server that answers.
    pub version: String,
    /// Name of the cluster.
    pub cluster: String,
    /// Identity of the cluster, once it has one.
    pub cluster_id: Option<ClusterId>,
    /// Who answers.
    pub me: MemberId,
    /// The leader, when known.
    pub leader: Option<MemberId>,
    /// The current term.
    pub term: u64,
    /// All members.
    pub members: Vec<MemberView>,
}

/// A member as another one sees it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MemberView {
    /// Identity, name and addresses.
    pub address: MemberAddress,
    /// What it does.
    pub role: Role,
    /// Whether the leader heard from it lately; `None` when a follower answers and cannot know.
    #[serde(default)]
    pub online: Option<bool>,
    /// How far it is behind the leader, log entries; `None` when a follower answers.
    #[serde(default)]
    pub lag_entries: Option<u64>,
    /// Milliseconds since the leader last heard an acknowledgement from it.
    #[serde(default)]
    pub lag_ms: Option<u64>,
}
