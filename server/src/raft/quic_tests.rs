//! Members in one process, connected through QUIC on loopback with certificates of one authority.

use super::raft_tests::{SOON, cluster, hash, leader, open, until, write};
use super::*;
use crate::internal::{ApiService, Transport};
use crate::tls::{TlsMaterial, TlsWatch};
use geode_client::tls::Identity;
use geode_store::LmdbStore;
use geode_types::{FeatureLevel, Incarnation, MemberId, Role};
use geode_wire::client::MemberAddress;
use geode_wire::internal::InternalRequest;
use geode_wire::{INTERNAL_DNS_NAME, WireError};
use quinn::SendStream;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// The authority of the cluster.
struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let pem = params.self_signed(&key).unwrap().pem();
        Self {
            pem,
            issuer: Issuer::new(params, key),
        }
    }

    fn material(&self, names: &[&str]) -> TlsMaterial {
        let key = KeyPair::generate().unwrap();
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.use_authority_key_identifier_extension = true;
        let leaf = params.signed_by(&key, &self.issuer).unwrap();
        TlsMaterial {
            ca_pem: self.pem.clone().into_bytes(),
            identity: Identity {
                cert_pem: leaf.pem().into_bytes(),
                key_pem: key.serialize_pem().into_bytes(),
            },
        }
    }
}

/// Nothing is asked of it here.
struct NoApi;

impl ApiService for NoApi {
    fn answer(&self, _: InternalRequest, _: SendStream) -> BoxFuture<'static, Result<(), WireError>> {
        Box::pin(std::future::ready(Ok(())))
    }
}

impl Authority {
    fn watched(&self) -> TlsWatch {
        let material = self.material(&["127.0.0.1", INTERNAL_DNS_NAME]);
        watch::channel(Arc::new(material)).1
    }
}

struct Node {
    raft: Raft<LmdbStore>,
    transport: Transport,
}

impl Node {
    async fn start(authority: &Authority, directory: &Path, id: u64) -> Self {
        let transport = Transport::bind(
            "127.0.0.1:0",
            MemberId(id),
            FeatureLevel::NEWEST,
            authority.watched(),
        )
        .await
        .unwrap();
        let address = MemberAddress {
            id: MemberId(id),
            name: format!("m{id}"),
            client: "127.0.0.1:1".to_owned(),
            internal: transport.local_addr().unwrap().to_string(),
        };
        let raft = open(
            &directory.join(id.to_string()),
            address,
            false,
            Arc::new(transport.clone()),
        )
        .await;
        tokio::spawn(transport.clone().serve(raft.service(), Arc::new(NoApi)));
        Self { raft, transport }
    }

    async fn kill(self) {
        self.transport.close();
        self.raft.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn three_members_over_quic_elect_fail_over_and_change() {
    let directory = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let mut nodes = Vec::new();
    for id in 1..=3 {
        nodes.push(Node::start(&authority, directory.path(), id).await);
    }
    let one = nodes[0].raft.clone();
    one.initialize(cluster(), Incarnation(0)).await.unwrap();
    leader(&[&one]).await;
    for node in &nodes[1..] {
        one.add_learner(node.raft.address().clone()).await.unwrap();
    }
    one.change_voters([1, 2, 3].map(MemberId), one.status().membership.index)
        .await
        .unwrap();
    write(&one, 1..200).await;
    assert!(one.read_index().await.unwrap().0 >= 200);
    for node in &nodes {
        assert!(node.raft.wait_applied(one.applied(), SOON).await);
        assert_eq!(hash(&node.raft), hash(&one));
    }
    // The leader is gone: another one is elected and writes go on.
    nodes.remove(0).kill().await;
    let rest = [&nodes[0].raft, &nodes[1].raft];
    let next = rest[leader(&rest).await].clone();
    write(&next, 1000..1100).await;
    // A new member, far behind what the log holds, replaces it: learner by snapshot, voter, the old one out.
    until("a purge", || next.status().purged.0 > 200).await;
    let four = Node::start(&authority, directory.path(), 4).await;
    next.add_learner(four.raft.address().clone()).await.unwrap();
    assert!(four.raft.wait_applied(next.applied(), SOON).await);
    assert_eq!(
        (four.raft.status().role, hash(&four.raft)),
        (Role::Observer, hash(&next))
    );
    next.change_voters([2, 3, 4].map(MemberId), next.status().membership.index)
        .await
        .unwrap();
    assert_eq!(next.status().membership.members.len(), 3);
    // Leadership moves when asked.
    let all = [&nodes[0].raft, &nodes[1].raft, &four.raft];
    let mut now = next;
    for _ in 0..5 {
        let handed = now.transfer_leader(Some(MemberId(4))).await;
        now = all[leader(&all).await].clone();
        if handed.is_ok() {
            break;
        }
    }
    assert_eq!(now.member(), MemberId(4));
    write(&now, 2000..2050).await;
    assert!(nodes[0].raft.wait_applied(now.applied(), SOON).await);
    assert_eq!(hash(&nodes[0].raft), hash(&now));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_without_the_internal_name_or_of_another_authority_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let one = Node::start(&authority, directory.path(), 1).await;
    one.raft.initialize(cluster(), Incarnation(0)).await.unwrap();
    let stranger = Authority::new().material(&["127.0.0.1", INTERNAL_DNS_NAME]);
    let client = authority.material(&["127.0.0.1"]);
    for material in [stranger, client] {
        let (_, tls) = watch::channel(Arc::new(material));
        let transport = Transport::bind("127.0.0.1:0", MemberId(9), FeatureLevel::NEWEST, tls)
            .await
            .unwrap();
        let message = bytes::Bytes::from_static(b"hello");
        let answer = transport
            .call(one.raft.address(), Lane::Heartbeat, message, SOON)
            .await;
        assert!(answer.is_err(), "{answer:?}");
    }
}

/// A socket that was closed is free when its last connection has said so.
async fn bind_soon(authority: &Authority, address: &MemberAddress) -> Transport {
    for _ in 0..100 {
        match Transport::bind(
            &address.internal,
            address.id,
            FeatureLevel::NEWEST,
            authority.watched(),
        )
        .await
        {
            Ok(transport) => return transport,
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
    panic!("{} stays in use", address.internal);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_to_a_peer_that_comes_late_or_comes_back_is_made_without_being_asked_for() {
    let directory = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let one = Node::start(&authority, directory.path(), 1).await;
    let two = Node::start(&authority, directory.path(), 2).await;
    let peer = two.raft.address().clone();
    two.kill().await;
    one.transport.keep(vec![peer.clone()]);
    for _ in 0..2 {
        // Nobody is there: what is tried now fails.
        tokio::time::sleep(Duration::from_millis(2500)).await;
        let late = bind_soon(&authority, &peer).await;
        tokio::spawn(late.clone().serve(one.raft.service(), Arc::new(NoApi)));
        until("a connection", || late.has_heard(MemberId(1))).await;
        late.close();
    }
}
