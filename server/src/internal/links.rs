//! The connections to peers. They stand before they are needed: a follower that hears its leader no more has the time of one vote, not that
//! of a look-up in DNS and a handshake. So a connection is made in the background, goes on when nobody waits for it any more, and is
//! made anew when it has broken.
//!
//! Who dials introduces itself ([`Hello`]). It dials from the socket on which it listens, so the other side learns where it can be
//! reached now, sooner than DNS tells, and that connections to its former process are worth nothing.

use super::calls::Line;
use super::transport::{dial_config, finish};
use crate::raft::Lane;
use crate::tls::TlsWatch;
use futures::future::{BoxFuture, FutureExt, Shared};
use geode_types::{FeatureLevel, MemberId};
use geode_wire::client::MemberAddress;
use geode_wire::internal::{Hello, StreamKind};
use geode_wire::{WireError, close_code, encode, write_frame};
use quinn::{Connection, Endpoint, VarInt};
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// How long a new connection may take.
const DIAL_TIMEOUT: Duration = Duration::from_secs(2);
/// How often it is looked whether all connections stand.
const TEND_PERIOD: Duration = Duration::from_millis(500);
/// Of how many members it is remembered what they said of themselves, so that nobody can fill the memory with names.
const HEARD_MAX: usize = 64;
/// What is kept ready for every peer. Snapshots are rare and can wait.
const KEPT: [Lane; 2] = [Lane::Heartbeat, Lane::Append];

/// A connection that stands, is being made, or could not be made.
type Link = Shared<BoxFuture<'static, Result<Line, Arc<str>>>>;

/// All connections to peers. Cheap to clone.
#[derive(Clone)]
pub(super) struct Links {
    endpoint: Endpoint,
    tls: TlsWatch,
    /// What is said on every new connection.
    hello: Hello,
    state: Arc<Mutex<State>>,
    changed: Arc<Notify>,
}

#[derive(Default)]
struct State {
    peers: Vec<MemberAddress>,
    open: HashMap<(MemberId, Lane), Link>,
    /// What peers said of themselves, and from where.
    heard: HashMap<MemberId, (Hello, SocketAddr)>,
    /// What they understand. Unlike an address, it stays true while a peer is not reached.
    levels: HashMap<MemberId, FeatureLevel>,
}

impl Links {
    pub(super) fn new(endpoint: Endpoint, tls: TlsWatch, me: MemberId, level: FeatureLevel) -> Self {
        Self {
            endpoint,
            tls,
            hello: Hello {
                member: me,
                run: rand::random(),
                level,
            },
            state: Arc::default(),
            changed: Arc::default(),
        }
    }

    /// From now on connections to these members are kept ready, and to no others. This member itself may be among them.
    pub(super) fn keep(&self, mut peers: Vec<MemberAddress>) {
        peers.retain(|peer| peer.id != self.hello.member);
        let mut state = self.lock();
        let is_peer = |id: MemberId| peers.iter().any(|peer| peer.id == id);
        state.open.retain(|(id, _), _| is_peer(*id));
        state.heard.retain(|id, _| is_peer(*id));
        state.levels.retain(|id, _| is_peer(*id));
        state.peers = peers;
        drop(state);
        self.changed.notify_one();
    }

    /// Looks after the connections for ever.
    pub(super) async fn tend(&self) {
        loop {
            let peers = self.lock().peers.clone();
            for peer in &peers {
                for lane in KEPT {
                    drop(self.link(peer, lane));
                }
            }
            let _ = tokio::time::timeout(TEND_PERIOD, self.changed.notified()).await;
        }
    }

    /// The connection to a peer; begins one where there is none.
    pub(super) async fn line(&self, peer: &MemberAddress, lane: Lane) -> Result<Line, Arc<str>> {
        self.link(peer, lane).await
    }

    /// Somebody introduced itself on a connection that it made from `address`.
    pub(super) fn heard(&self, hello: Hello, address: SocketAddr) {
        let mut state = self.lock();
        let news = (hello, address);
        let is_full = state.heard.len() >= HEARD_MAX && !state.heard.contains_key(&hello.member);
        if is_full || state.heard.insert(hello.member, news) == Some(news) {
            return;
        }
        state.levels.insert(hello.member, hello.level);
        for lane in [Lane::Heartbeat, Lane::Append, Lane::Snapshot] {
            let former = state.open.remove(&(hello.member, lane));
            if let Some(Ok(line)) = former.as_ref().and_then(outcome) {
                line.connection
                    .close(VarInt::from_u32(close_code::DONE), b"another run of the member");
            }
        }
        drop(state);
        self.changed.notify_one();
    }

    /// The highest feature level that a member understands, as it said last.
    pub(super) fn level(&self, member: MemberId) -> Option<FeatureLevel> {
        self.lock().levels.get(&member).copied()
    }

    fn link(&self, peer: &MemberAddress, lane: Lane) -> Link {
        let mut state = self.lock();
        let known = state.open.get(&(peer.id, lane));
        let usable = known.filter(|link| match outcome(link) {
            Some(Ok(line)) => line.connection.close_reason().is_none(),
            Some(Err(_)) => false,
            None => true,
        });
        if let Some(link) = usable {
            return link.clone();
        }
        // A task of its own: who asks may stop waiting, the next one finds what has become of it.
        let dialling = tokio::spawn(self.clone().dial(peer.clone()));
        let link = dialling
            .map(|dialled| dialled.unwrap_or_else(|error| Err(error.to_string().into())))
            .boxed()
            .shared();
        state.open.insert((peer.id, lane), link.clone());
        link
    }

    async fn dial(self, peer: MemberAddress) -> Result<Line, Arc<str>> {
        let heard = self.lock().heard.get(&peer.id).copied();
        let dialled = tokio::time::timeout(DIAL_TIMEOUT, async {
            let address = match heard {
                Some((_, address)) => address,
                None => resolve(&peer.internal).await.map_err(|error| error.to_string())?,
            };
            self.connect(&peer, address).await
        });
        let dialled = dialled
            .await
            .unwrap_or_else(|_| Err(format!("no answer within {DIAL_TIMEOUT:?}")));
        if dialled.is_err() && heard.is_some() {
            let mut state = self.lock();
            // It is not there any more: DNS may know more, unless it has just called from elsewhere.
            if state.heard.get(&peer.id).copied() == heard {
                state.heard.remove(&peer.id);
            }
        }
        dialled
            .map(Line::new)
            .map_err(|reason| format!("{} at {}: {reason}", peer.name, peer.internal).into())
    }

    async fn connect(&self, peer: &MemberAddress, address: SocketAddr) -> Result<Connection, String> {
        let name = peer
            .internal
            .rsplit_once(':')
            .map_or(peer.internal.as_str(), |(host, _)| host);
        let config = dial_config(&self.tls.borrow()).map_err(|error| error.to_string())?;
        let connecting = self
            .endpoint
            .connect_with(config, address, name)
            .map_err(|error| error.to_string())?;
        let connection = connecting.await.map_err(|error| error.to_string())?;
        let introduced = introduce(&connection, &self.hello).await;
        introduced.map_err(|error| error.to_string())?;
        Ok(connection)
    }

    /// Whether a member has introduced itself.
    #[cfg(test)]
    pub(super) fn has_heard(&self, member: MemberId) -> bool {
        self.lock().heard.contains_key(&member)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What has become of a link, if it is decided. It is asked, as `peek` sees nothing before somebody has waited.
fn outcome(link: &Link) -> Option<Result<Line, Arc<str>>> {
    link.clone().now_or_never()
}

async fn introduce(connection: &Connection, hello: &Hello) -> Result<(), WireError> {
    let (mut send, _) = connection.open_bi().await.map_err(io::Error::from)?;
    let kind = [StreamKind::Hello as u8];
    send.write_all(&kind).await.map_err(io::Error::from)?;
    write_frame(&mut send, &encode(hello)).await?;
    finish(&mut send)
}

/// The first address that a name has.
pub(super) async fn resolve(address: &str) -> io::Result<SocketAddr> {
    let mut found = tokio::net::lookup_host(address).await?;
    found
        .next()
        .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, format!("{address} has no address")))
}
