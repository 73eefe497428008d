//! The keys, their types and defaults. A key that is not here is not a key.

use crate::{Bytes, Duration};
use geode_types::{Compression, FeatureLevel};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

macro_rules! section {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident : $type:ty = $default:expr),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(default)]
        pub struct $name { $($(#[$field_doc])* pub $field: $type),* }

        impl Default for $name {
            fn default() -> Self {
                Self { $($field: $default),* }
            }
        }
    };
}

section!(
    /// Everything. `Config::default()` is the embedded single member of `geode serve` without a file.
    Config {
        /// Who we are and how we find the others.
        cluster: Cluster = Cluster::default(),
        /// Listeners and TLS.
        server: Server = Server::default(),
        /// Users.
        auth: Auth = Auth::default(),
        /// Directories and the log.
        storage: Storage = Storage::default(),
        /// The sidecar's own listener.
        sidecar: Sidecar = Sidecar::default(),
        /// Where the WAL is archived.
        archive: Archive = Archive::default(),
        /// Limits of queries and transactions.
        performance: Performance = Performance::default(),
        /// Logs.
        logging: Logging = Logging::default(),
    }
);

section!(
    /// `cluster:`
    Cluster {
        /// Name of the cluster, for people.
        name: String = "geode".to_owned(),
        /// This member.
        node: Node = Node::default(),
        /// `host:port` under which other members reach the internal port; `node.address` with port 3142 when empty.
        internal_address: String = String::new(),
        /// Timing profile of elections.
        timing: Timing = Timing::Default,
        /// This member announces no higher feature level than this, so that the cluster stays where an older version can come back to it.
        feature_level_max: FeatureLevel = FeatureLevel::NEWEST,
        /// How other members are found.
        discovery: Discovery = Discovery::default(),
    }
);

section!(
    /// `cluster.node:`
    Node {
        /// Name of this member, unique in the cluster.
        id: String = "geode-0".to_owned(),
        /// `host:port` under which clients and members reach the client port.
        address: String = "localhost:3141".to_owned(),
    }
);

/// Timing profiles: heartbeat, and the range from which election timeouts are drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Timing {
    /// 60 ms, 300–480 ms: one data centre with fast disks.
    Fast,
    /// 250 ms, 1–2 s.
    #[default]
    Default,
    /// 500 ms, 3–6 s: members far apart.
    Wan,
}

section!(
    /// `cluster.discovery:`
    Discovery {
        /// How.
        method: DiscoveryMethod = DiscoveryMethod::Static,
        /// For `static`: `host:port` of members.
        seeds: Vec<String> = Vec::new(),
        /// For `dns` and `kubernetes`: the name whose addresses are the members'.
        service: String = String::new(),
    }
);

/// How members find each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DiscoveryMethod {
    /// A list of seeds.
    #[default]
    Static,
    /// The addresses of a DNS name.
    Dns,
    /// The operator adds members; the headless service names them.
    Kubernetes,
}

section!(
    /// `server:`
    Server {
        /// Address of the client protocol (UDP).
        listen: String = "127.0.0.1:3141".to_owned(),
        /// Address of the internal protocol (UDP); empty for a single member that will stay alone.
        internal_listen: String = String::new(),
        /// Address of the server's own metrics (TCP), which the sidecar merges; empty for none.
        metrics_listen: String = "127.0.0.1:9091".to_owned(),
        /// Most client connections at a time; more are closed with code `BUSY`.
        max_connections: u32 = 1000,
        /// Certificates. Made in the data directory when absent and the listener is on loopback.
        tls: Option<Tls> = None,
    }
);

section!(
    /// `server.tls:`
    Tls {
        /// Certificate chain, PEM; re-read when it changes.
        cert_file: PathBuf = PathBuf::new(),
        /// Private key, PEM.
        key_file: PathBuf = PathBuf::new(),
        /// Authorities of members (and of client certificates), PEM.
        client_ca: PathBuf = PathBuf::new(),
    }
);

section!(
    /// `auth:`
    Auth {
        /// Name of the user that exists from the start, an administrator.
        admin_user: String = "admin".to_owned(),
        /// File with that user's first password; made in the data directory when absent.
        admin_password_file: Option<PathBuf> = None,
    }
);

section!(
    /// `storage:`
    Storage {
        /// The graph, the member's identity and snapshots.
        data_dir: PathBuf = PathBuf::from("./geode-data"),
        /// The log; `wal` inside `data_dir` when absent.
        wal_dir: Option<PathBuf> = None,
        /// The log's settings.
        wal: Wal = Wal::default(),
        /// Writes stop while less than this is free on either volume.
        free_space_min: Bytes = Bytes::mebi(32),
        /// Address space reserved for the graph; not disk space. Must exceed the graph's size.
        map_size: Bytes = Bytes::mebi(64 * 1024),
        /// A snapshot is taken after this many entries, so that the log can be purged.
        snapshot_entries: u64 = 20_000,
        /// A leader hands over when the disk of its graph has not got on with what is to be applied for this time.
        stall_hand_over: Duration = Duration::seconds(5),
    }
);

section!(
    /// `storage.wal:`
    Wal {
        /// A segment is ended early when it passes this size.
        segment_bytes: Bytes = Bytes::mebi(16),
        /// A leader hands over when its disk has not finished a write to the log for this time.
        stall_hand_over: Duration = Duration::millis(1500),
        /// The process ends when its disk has not finished a write to the log for this time.
        stall_max: Duration = Duration::seconds(20),
    }
);

section!(
    /// `sidecar:`
    Sidecar {
        /// Address of probes and merged metrics (TCP).
        listen: String = "0.0.0.0:9090".to_owned(),
    }
);

section!(
    /// `archive:`
    Archive {
        /// A bucket of S3 or of what speaks its protocol. No archive when this, `gcs` and `azure` are absent.
        s3: Option<S3> = None,
        /// A bucket of Google Cloud Storage, in place of `s3`.
        gcs: Option<Gcs> = None,
        /// A container of Azure Blob Storage, in place of `s3`.
        azure: Option<Azure> = None,
        /// A second bucket: everything that is archived goes there too, and a restore reads it for what is missing or damaged in the first.
        copy: Option<S3> = None,
        /// How what is archived is made smaller. When absent base backups are compressed with zstd, and segments are stored as they are.
        compression: Option<Compression> = None,
        /// What is archived is sealed with AES-256-GCM; not when absent.
        encryption: Option<Encryption> = None,
        /// Writes wait in the open segment at most this long before they are archived.
        max_lag: Duration = Duration::seconds(5),
        /// Writes are refused while more than this waits for the archive, or more than half of the WAL volume when that is less.
        backlog_max: Bytes = Bytes::mebi(4096),
        /// A write is delayed by at most this; the delay begins when half of what may wait for the archive waits, and grows.
        slow_down_max: Duration = Duration::millis(200),
    }
);

section!(
    /// `archive.s3:`
    S3 {
        /// Bucket.
        bucket: String = String::new(),
        /// Prefix of all objects of this cluster.
        prefix: String = String::new(),
        /// `http(s)://host:port`; AWS when empty.
        endpoint: String = String::new(),
        /// Region.
        region: String = "us-east-1".to_owned(),
        /// Storage class of what is stored, for example STANDARD_IA; the bucket's own when empty.
        storage_class: String = String::new(),
        /// Directory with the files `access-key` and `secret-key`; the SDK's default chain when absent.
        credentials_dir: Option<PathBuf> = None,
    }
);

section!(
    /// `archive.gcs:`
    Gcs {
        /// Bucket.
        bucket: String = String::new(),
        /// Prefix of all objects of this cluster.
        prefix: String = String::new(),
        /// `http(s)://host:port`; Google when empty.
        endpoint: String = String::new(),
        /// The key of a service account, or a directory with it as `credentials.json`; the machine's or pod's own identity when absent.
        credentials_file: Option<PathBuf> = None,
    }
);

section!(
    /// `archive.azure:`
    Azure {
        /// Container.
        container: String = String::new(),
        /// Prefix of all objects of this cluster.
        prefix: String = String::new(),
        /// The storage account.
        account: String = String::new(),
        /// `http(s)://host:port`; Azure when empty.
        endpoint: String = String::new(),
        /// Directory with the file `account-key` or `connection-string`; the machine's or pod's own identity when absent.
        credentials_dir: Option<PathBuf> = None,
    }
);

section!(
    /// `archive.encryption:`
    Encryption {
        /// Directory with a file for each key (64 hexadecimal digits, the name is its id) and the file `current` with the id of the one to use; or one
        /// file with a line a key, the current one first. Read again whenever a key is needed.
        keys: PathBuf = PathBuf::new(),
    }
);

section!(
    /// `performance:`
    Performance {
        /// A statement ends with an error after this time.
        query_timeout: Duration = Duration::seconds(60),
        /// A transaction ends with an error after this time.
        transaction_timeout: Duration = Duration::seconds(30),
        /// A statement ends with an error when its intermediate results pass this size.
        max_query_memory: Bytes = Bytes::mebi(256),
        /// Statements that run at the same time; more wait. 0: four per core.
        worker_threads: u32 = 0,
    }
);

section!(
    /// `logging:`
    Logging {
        /// `error`, `warn`, `info`, `debug` or `trace`, or a `tracing` filter.
        level: String = "info".to_owned(),
        /// A file, `stdout` or `stderr`.
        output: String = "stderr".to_owned(),
        /// Text or JSON.
        format: LogFormat = LogFormat::Text,
    }
);

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// For machines.
    Json,
}

impl Config {
    /// The directory of the log.
    pub fn wal_dir(&self) -> PathBuf {
        self.storage
            .wal_dir
            .clone()
            .unwrap_or_else(|| self.storage.data_dir.join("wal"))
    }

    /// `host:port` under which members reach this one's internal port.
    pub fn internal_address(&self) -> String {
        if !self.cluster.internal_address.is_empty() {
            return self.cluster.internal_address.clone();
        }
        let host = self
            .cluster
            .node
            .address
            .rsplit_once(':')
            .map_or(self.cluster.node.address.as_str(), |(host, _)| host);
        let port = self
            .server
            .internal_listen
            .rsplit_once(':')
            .map_or("3142", |(_, port)| port);
        format!("{host}:{port}")
    }
}
