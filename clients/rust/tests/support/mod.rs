//! A server that follows a script, over real QUIC on loopback: what it is asked, and what it answers or breaks.

use bytes::Bytes;
use geode_client::{Client, ClientBuilder};
use geode_types::{GroupId, LogIndex, Lsn, MemberId, RequestId, Role, Summary, Value, encode_value};
use geode_wire::client::{
    ClientReply, ClientRequest, ClusterView, Done, Execute, MemberAddress, MemberView, Rows,
};
use geode_wire::{CLIENT_ALPN, FRAME_BYTES_MAX, close_code, decode, encode, read_frame, write_frame};
use quinn::crypto::rustls::QuicServerConfig;
use quinn::{Connection, Endpoint, RecvStream, SendStream};
use rustls::ServerConfig;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::collections::{HashMap, VecDeque};
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub(crate) const PASSWORD: &str = "right";

/// What a scripted server does with the next statement.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// Commits it (remembering the request id) and says so.
    Commit,
    /// Commits it and drops the connection before the answer.
    CommitThenDrop,
    /// Drops the connection and forgets the statement.
    Drop,
    /// Sends the client to another server of the cluster.
    NotLeader(Option<usize>),
    /// Answers with this error.
    Fail(geode_types::QueryError),
    /// Answers one row with this value.
    Row(i64),
    /// Takes over how the session reads.
    Set(geode_types::ReadSettings),
    /// Says nothing.
    Hang,
}

#[derive(Default)]
pub(crate) struct Shared {
    committed: HashMap<RequestId, u64>,
    leader: Option<usize>,
    term: u64,
    addresses: Vec<MemberAddress>,
    /// How long a login takes.
    login: Duration,
}

/// Several scripted servers that share what was committed.
pub(crate) struct FakeCluster {
    pub(crate) servers: Vec<FakeServer>,
    shared: Arc<Mutex<Shared>>,
    ca: String,
}

pub(crate) struct FakeServer {
    pub(crate) address: String,
    script: Arc<Mutex<VecDeque<Step>>>,
    seen: Arc<Mutex<Vec<Execute>>>,
    sessions: Arc<AtomicUsize>,
    endpoint: Endpoint,
}

impl FakeServer {
    /// Adds steps to the script; when it is empty, statements are committed.
    pub(crate) fn then(&self, steps: impl IntoIterator<Item = Step>) -> &Self {
        self.script.lock().unwrap().extend(steps);
        self
    }

    pub(crate) fn seen(&self) -> Vec<Execute> {
        self.seen.lock().unwrap().clone()
    }

    /// How many were opened, the greetings among them.
    pub(crate) fn sessions(&self) -> usize {
        self.sessions.load(Ordering::Relaxed)
    }

    pub(crate) fn stop(&self) {
        self.endpoint.close(close_code::SHUTDOWN.into(), b"stopped");
    }
}

impl FakeCluster {
    pub(crate) fn start(count: usize) -> Self {
        let key = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let shared = Arc::new(Mutex::new(Shared {
            term: 1,
            ..Shared::default()
        }));
        let servers: Vec<FakeServer> = (0..count).map(|me| start(&key, me, &shared)).collect();
        shared.lock().unwrap().addresses = servers
            .iter()
            .enumerate()
            .map(|(index, server)| MemberAddress {
                id: MemberId(index as u64),
                name: format!("m{index}"),
                client: server.address.clone(),
                internal: String::new(),
            })
            .collect();
        Self {
            servers,
            shared,
            ca: key.cert.pem(),
        }
    }

    pub(crate) fn elect(&self, leader: usize) {
        let mut shared = self.shared.lock().unwrap();
        shared.leader = Some(leader);
        shared.term += 1;
    }

    /// From now on a login takes so long.
    pub(crate) fn slow_logins(&self, login: Duration) {
        self.shared.lock().unwrap().login = login;
    }

    pub(crate) fn committed(&self) -> usize {
        self.shared.lock().unwrap().committed.len()
    }

    pub(crate) fn builder(&self, endpoints: &[usize]) -> ClientBuilder {
        Client::builder()
            .endpoints(endpoints.iter().map(|index| self.servers[*index].address.clone()))
            .password(PASSWORD)
            .ca_pem(self.ca.clone())
    }
}

fn start(key: &rcgen::CertifiedKey<rcgen::KeyPair>, me: usize, shared: &Arc<Mutex<Shared>>) -> FakeServer {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let chain = vec![CertificateDer::from(key.cert.der().to_vec())];
    let private = PrivateKeyDer::try_from(key.signing_key.serialize_der()).unwrap();
    let mut tls = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, private)
        .unwrap();
    tls.alpn_protocols = vec![CLIENT_ALPN.to_vec()];
    let config = quinn::ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(tls).unwrap()));
    let endpoint = Endpoint::server(config, (Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let server = FakeServer {
        address: endpoint.local_addr().unwrap().to_string(),
        script: Arc::default(),
        seen: Arc::default(),
        sessions: Arc::default(),
        endpoint: endpoint.clone(),
    };
    let (script, seen, shared) = (server.script.clone(), server.seen.clone(), shared.clone());
    let sessions = server.sessions.clone();
    tokio::spawn(async move {
        while let Some(incoming) = endpoint.accept().await {
            let (script, seen, shared) = (script.clone(), seen.clone(), shared.clone());
            let sessions = sessions.clone();
            tokio::spawn(async move {
                let Ok(connection) = incoming.await else { return };
                while let Ok((send, recv)) = connection.accept_bi().await {
                    sessions.fetch_add(1, Ordering::Relaxed);
                    let session = serve(
                        connection.clone(),
                        send,
                        recv,
                        me,
                        script.clone(),
                        seen.clone(),
                        shared.clone(),
                    );
                    tokio::spawn(session);
                }
            });
        }
    });
    server
}

async fn serve(
    connection: Connection,
    mut send: SendStream,
    mut recv: RecvStream,
    me: usize,
    script: Arc<Mutex<VecDeque<Step>>>,
    seen: Arc<Mutex<Vec<Execute>>>,
    shared: Arc<Mutex<Shared>>,
) {
    while let Ok(Some(frame)) = read_frame(&mut recv, FRAME_BYTES_MAX).await {
        let replies = match decode::<ClientRequest>(&frame).unwrap() {
            ClientRequest::Hello(hello) if hello.password == PASSWORD => {
                let login = shared.lock().unwrap().login;
                tokio::time::sleep(login).await;
                vec![ClientReply::Welcome(view(&shared, me))]
            }
            ClientRequest::Hello(_) => {
                connection.close(close_code::UNAUTHENTICATED.into(), b"wrong user or password");
                return;
            }
            ClientRequest::Execute(execute) => {
                seen.lock().unwrap().push(execute.clone());
                let step = script.lock().unwrap().pop_front().unwrap_or(Step::Commit);
                match play(&step, &execute, &shared) {
                    Some(replies) => replies,
                    None if matches!(step, Step::Hang) => std::future::pending().await,
                    None => {
                        connection.close(close_code::SHUTDOWN.into(), b"dropped by the script");
                        return;
                    }
                }
            }
            ClientRequest::Ping => vec![ClientReply::Pong],
            _ => vec![ClientReply::Cluster(view(&shared, me))],
        };
        for reply in replies {
            write_frame(&mut send, &encode(&reply)).await.unwrap();
        }
    }
}

fn play(step: &Step, execute: &Execute, shared: &Mutex<Shared>) -> Option<Vec<ClientReply>> {
    let mut shared = shared.lock().unwrap();
    match step {
        Step::Commit | Step::CommitThenDrop => {
            let next = shared.committed.len() as u64 + 1;
            let (index, repeated) = match execute.request_id {
                Some(id) => {
                    let repeated = shared.committed.contains_key(&id);
                    (*shared.committed.entry(id).or_insert(next), repeated)
                }
                None => (0, false),
            };
            let done = ClientReply::Done(Done {
                summary: Summary::default(),
                lsn: Some(Lsn {
                    group: GroupId(0),
                    index: LogIndex(index),
                }),
                repeated,
                reads: None,
            });
            matches!(step, Step::Commit).then(|| vec![ClientReply::Columns(vec![]), done])
        }
        Step::NotLeader(to) => {
            let leader = to.map(|to| shared.addresses[to].clone());
            Some(vec![ClientReply::NotLeader { leader }])
        }
        Step::Fail(error) => Some(vec![ClientReply::Failed(Box::new(error.clone()))]),
        Step::Set(settings) => {
            let done = Done {
                reads: Some(*settings),
                ..Done::default()
            };
            Some(vec![ClientReply::Columns(vec![]), ClientReply::Done(done)])
        }
        Step::Row(value) => {
            let mut data = Vec::new();
            encode_value(&Value::Int(*value), &mut data);
            Some(vec![
                ClientReply::Columns(vec!["n".into()]),
                ClientReply::Rows(Rows {
                    count: 1,
                    data: Bytes::from(data),
                }),
                ClientReply::Done(Done::default()),
            ])
        }
        Step::Drop | Step::Hang => None,
    }
}

fn view(shared: &Mutex<Shared>, me: usize) -> ClusterView {
    let shared = shared.lock().unwrap();
    let members = shared.addresses.iter().map(|address| MemberView {
        address: address.clone(),
        role: Role::Follower,
        online: None,
        lag_entries: None,
        lag_ms: None,
    });
    ClusterView {
        version: "0".into(),
        cluster: "fake".into(),
        cluster_id: None,
        me: MemberId(me as u64),
        leader: shared.leader.map(|leader| MemberId(leader as u64)),
        term: shared.term,
        members: members.collect(),
    }
}
