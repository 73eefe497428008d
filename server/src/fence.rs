//! A member that is fenced: a person wants it to take no part, and its data to stay as it is. The order is a file in the data directory, so it outlives
//! the process, the pod and the node. The process that finds it is held: it opens neither log nor graph and takes no client, it only says on the
//! internal port who it is, until it is told to take part again. Then it ends, and the next process starts as ever.
//!
//! The data directory is not locked meanwhile, so that `geode verify` can look at it.

use crate::identity::{DataDir, Identity};
use crate::internal::{ApiService, Transport};
use crate::member::VERSION;
use crate::node::{StartError, certificates, wait_for_predecessor};
use crate::raft::{BoxFuture, RaftService, SnapshotReceiver};
use bytes::Bytes;
use futures::FutureExt;
use geode_config::Config;
use geode_types::{LogIndex, Role};
use geode_wire::client::MemberAddress;
use geode_wire::internal::{InternalReply, InternalRequest, MemberState, MemberStatus, Membership};
use geode_wire::{WireError, encode, write_frame};
use quinn::SendStream;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

const FILE: &str = "fenced";
/// How long an answer may take to leave.
const ANSWER_GRACE: Duration = Duration::from_millis(200);

/// Whether the member of this data directory is fenced.
pub fn is_fenced(config: &Config) -> bool {
    config.storage.data_dir.join(FILE).exists()
}

/// Leaves the order, durably.
pub(crate) fn leave(data_dir: &Path) -> io::Result<()> {
    File::create(data_dir.join(FILE))?.sync_all()?;
    File::open(data_dir)?.sync_all()
}

/// Takes it back, durably.
fn lift(data_dir: &Path) -> io::Result<()> {
    match fs::remove_file(data_dir.join(FILE)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    File::open(data_dir)?.sync_all()
}

/// The process of a fenced member.
pub struct Held {
    transport: Transport,
    lifted: watch::Receiver<bool>,
    answers: tokio::task::JoinHandle<()>,
}

impl Held {
    /// Opens the internal port, and nothing else. A server that is alone has none; it cannot be fenced.
    pub fn start(config: Config) -> BoxFuture<'static, Result<Self, StartError>> {
        Self::open(config).boxed()
    }

    async fn open(config: Config) -> Result<Self, StartError> {
        let data_dir = config.storage.data_dir.clone();
        wait_for_predecessor(&data_dir).await;
        let identity = DataDir::open(&data_dir, rand::random)?.identity().clone();
        let tls = certificates(&config)?.watch()?;
        let transport = Transport::bind(
            &config.server.internal_listen,
            identity.member,
            config.cluster.feature_level_max,
            tls,
        )
        .await?;
        let (tell, lifted) = watch::channel(false);
        let api = HeldApi(Arc::new(Account {
            status: status(&config, &identity),
            data_dir,
            tell,
        }));
        let answers = tokio::spawn(transport.clone().serve(Arc::new(NoPart), Arc::new(api)));
        tracing::warn!(member = %identity.member, "this member is fenced and takes no part; its log and its graph stay closed");
        Ok(Self {
            transport,
            lifted,
            answers,
        })
    }

    /// Ends when the member is to take part again.
    pub fn lifted(&self) -> BoxFuture<'static, ()> {
        let mut lifted = self.lifted.clone();
        async move {
            if lifted.wait_for(|lifted| *lifted).await.is_err() {
                std::future::pending::<()>().await;
            }
            // The answer to whoever lifted it is on its way.
            tokio::time::sleep(ANSWER_GRACE).await;
        }
        .boxed()
    }

    /// Closes the port.
    pub fn shutdown(self) {
        self.answers.abort();
        self.transport.close();
    }
}

fn status(config: &Config, identity: &Identity) -> MemberStatus {
    MemberStatus {
        address: MemberAddress {
            id: identity.member,
            name: config.cluster.node.id.clone(),
            client: config.cluster.node.address.clone(),
            internal: config.internal_address(),
        },
        version: VERSION.to_owned(),
        state: MemberState::Fenced,
        cluster_id: identity.cluster,
        incarnation: identity.incarnation,
        role: Role::Joining,
        term: 0,
        leader: None,
        last_log: LogIndex(0),
        committed: LogIndex(0),
        applied: LogIndex(0),
        snapshot: LogIndex(0),
        purged: LogIndex(0),
        not_ready: Some("this member is fenced: it takes no part until that is lifted".to_owned()),
        read_only: None,
        membership: Membership::default(),
        replication: Vec::new(),
        quorum_age_ms: None,
        archive: None,
        tasks: Vec::new(),
    }
}

struct Account {
    status: MemberStatus,
    data_dir: PathBuf,
    tell: watch::Sender<bool>,
}

impl Account {
    fn answer(&self, request: &InternalRequest) -> InternalReply {
        match request {
            InternalRequest::Status => InternalReply::Status(Box::new(self.status.clone())),
            // The sidecar reports as ever and gets nothing to do.
            InternalRequest::ArchiveReport(_) => InternalReply::Tasks(Vec::new()),
            InternalRequest::Fence { fenced: true } => InternalReply::Ok,
            InternalRequest::Fence { fenced: false } => match lift(&self.data_dir) {
                Ok(()) => {
                    tracing::info!("the fence is lifted: this process ends, and the next one takes part");
                    self.tell.send_replace(true);
                    InternalReply::Ok
                }
                Err(error) => InternalReply::Failed(format!("the fence cannot be lifted: {error}")),
            },
            _ => InternalReply::Failed("this member is fenced".to_owned()),
        }
    }
}

struct HeldApi(Arc<Account>);

impl ApiService for HeldApi {
    fn answer(
        &self,
        request: InternalRequest,
        mut send: SendStream,
    ) -> BoxFuture<'static, Result<(), WireError>> {
        let account = self.0.clone();
        Box::pin(async move {
            write_frame(&mut send, &encode(&account.answer(&request))).await?;
            send.finish()
                .map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe).into())
        })
    }
}

/// Raft's messages are answered with nothing, which no peer takes for an answer: to them this member is away.
struct NoPart;

impl RaftService for NoPart {
    fn handle(&self, _: Bytes) -> BoxFuture<'static, Bytes> {
        Box::pin(async { Bytes::new() })
    }

    fn begin_snapshot(&self, _: Bytes) -> Result<Box<dyn SnapshotReceiver>, Bytes> {
        Err(Bytes::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_outlives_the_process_and_is_lifted_once_and_for_all() {
        let dir = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.storage.data_dir = dir.path().to_owned();
        assert!(!is_fenced(&config));
        leave(dir.path()).unwrap();
        leave(dir.path()).unwrap();
        assert!(is_fenced(&config));
        lift(dir.path()).unwrap();
        lift(dir.path()).unwrap();
        assert!(!is_fenced(&config));
    }

    #[test]
    fn a_held_member_says_who_it_is_and_refuses_to_take_part() {
        let dir = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.storage.data_dir = dir.path().to_owned();
        leave(dir.path()).unwrap();
        let identity = DataDir::open(dir.path(), || 41).unwrap().identity().clone();
        let (tell, told) = watch::channel(false);
        let account = Account {
            status: status(&config, &identity),
            data_dir: dir.path().to_owned(),
            tell,
        };
        let InternalReply::Status(said) = account.answer(&InternalRequest::Status) else {
            panic!("a status is answered in every state");
        };
        assert_eq!(
            (said.address.id, said.state),
            (identity.member, MemberState::Fenced)
        );
        assert!(said.not_ready.is_some());
        let refused = account.answer(&InternalRequest::TransferLeader { to: None });
        assert!(matches!(refused, InternalReply::Failed(_)));
        assert!(!*told.borrow() && is_fenced(&config));
        let lifted = account.answer(&InternalRequest::Fence { fenced: false });
        assert!(matches!(lifted, InternalReply::Ok));
        assert!(*told.borrow() && !is_fenced(&config));
    }
}
