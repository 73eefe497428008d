//! Where to send the next attempt: the given endpoints, the members that servers told us about, and who is believed to lead. Pure:
//! no sockets and no clock.

use geode_types::MemberId;
use geode_wire::client::{ClusterView, MemberAddress};
use std::time::Duration;

/// How reads that any member may answer are spread over the endpoints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LoadBalancing {
    /// One after the other.
    #[default]
    RoundRobin,
    /// By chance.
    Random,
    /// The first endpoint while it answers.
    First,
}

#[derive(Debug)]
pub(crate) struct Routing {
    endpoints: Vec<String>,
    learned: Vec<MemberAddress>,
    /// Address of the believed leader.
    leader: Option<String>,
    /// The highest term any server told us of.
    term: u64,
    /// The leader in the newest view, and how many views there were.
    seen: Option<MemberAddress>,
    views: u64,
    /// Which candidate is next while no leader is known.
    turn: usize,
}

impl Routing {
    pub(crate) fn new(endpoints: Vec<String>) -> Self {
        Self {
            endpoints,
            learned: Vec::new(),
            leader: None,
            term: 0,
            seen: None,
            views: 0,
            turn: 0,
        }
    }

    /// How many views of the cluster were taken in.
    pub(crate) fn views(&self) -> u64 {
        self.views
    }

    /// Everything that may be tried: the given endpoints first, then the members they told us about.
    pub(crate) fn candidates(&self) -> Vec<String> {
        let mut all = self.endpoints.clone();
        for member in &self.learned {
            if !all.contains(&member.client) {
                all.push(member.client.clone());
            }
        }
        all
    }

    /// Takes in what a server says about the cluster, unless we know newer.
    pub(crate) fn learn(&mut self, view: &ClusterView) {
        if view.term < self.term {
            return;
        }
        self.term = view.term;
        self.views += 1;
        self.seen = leader_of(view).cloned();
        if !view.members.is_empty() {
            self.learned = view.members.iter().map(|member| member.address.clone()).collect();
        }
        if let Some(leader) = leader_of(view) {
            self.leader = Some(leader.client.clone());
        }
    }

    /// A server said that it does not lead, and who does as far as it knows.
    pub(crate) fn not_leader(&mut self, asked: &str, leader: Option<&MemberAddress>) {
        match leader {
            Some(leader) if leader.client != asked => self.leader = Some(leader.client.clone()),
            _ => {
                self.failed(asked);
            }
        }
    }

    /// An address did not answer: do not start there next time. Whether another one is believed to lead.
    pub(crate) fn failed(&mut self, address: &str) -> bool {
        if self.leader.as_deref() == Some(address) {
            self.leader = None;
        }
        self.turn = self.turn.wrapping_add(1);
        self.leader.is_some()
    }

    /// Where a write or a linearizable read goes now.
    pub(crate) fn for_leader(&self) -> String {
        self.leader.clone().unwrap_or_else(|| {
            let all = self.candidates();
            all[self.turn % all.len()].clone()
        })
    }

    /// Where a read that any member may answer goes now; `draw` is a random number.
    pub(crate) fn for_read(&mut self, balancing: LoadBalancing, draw: usize) -> String {
        let turn = match balancing {
            LoadBalancing::RoundRobin => {
                self.turn = self.turn.wrapping_add(1);
                self.turn
            }
            LoadBalancing::Random => draw,
            LoadBalancing::First => self.turn,
        };
        self.endpoints[turn % self.endpoints.len()].clone()
    }

    /// Where a read goes that rather a member answers which does not lead: one of the given endpoints if there is another one than the
    /// leader's, else a member that servers told of; the leader when nobody else is known.
    pub(crate) fn for_replica(&mut self) -> String {
        let leader = self.leader.clone();
        let others = |mut all: Vec<String>| {
            all.retain(|address| Some(address) != leader.as_ref());
            all
        };
        let mut replicas = others(self.endpoints.clone());
        if replicas.is_empty() {
            replicas = others(self.candidates());
        }
        if replicas.is_empty() {
            return self.for_leader();
        }
        self.turn = self.turn.wrapping_add(1);
        replicas.swap_remove(self.turn % replicas.len())
    }

    /// The addresses that were given.
    pub(crate) fn endpoints(&self) -> &[String] {
        &self.endpoints
    }

    /// Whether a view that came after the first `views` shows that somebody else leads than the member at `address` (whose identity is
    /// `asked`, once it said so).
    pub(crate) fn moved_on(&self, address: &str, asked: Option<MemberId>, views: u64) -> bool {
        let another = self.seen.as_ref().is_some_and(|leader| match asked {
            Some(asked) => leader.id != asked,
            None => leader.client != address,
        });
        self.views > views && another
    }
}

/// One of so many reads goes to an endpoint whose round trip is not known, so that it becomes known and one that is down costs little.
const MEASURE_EVERY: usize = 16;

/// The endpoint with the shortest round trip; `draw` is a random number. There is at least one endpoint.
pub(crate) fn nearest(measured: &[(String, Option<Duration>)], draw: usize) -> String {
    let known = measured
        .iter()
        .filter_map(|(endpoint, time)| Some((time.as_ref()?, endpoint)));
    let mut unknown = measured.iter().filter(|(_, time)| time.is_none());
    let fastest = known.min().map(|(_, endpoint)| endpoint.clone());
    let count = unknown.clone().count();
    match fastest {
        Some(fastest) if count == 0 || !draw.is_multiple_of(MEASURE_EVERY) => fastest,
        fastest => unknown
            .nth(draw / MEASURE_EVERY % count.max(1))
            .map(|(endpoint, _)| endpoint.clone())
            .or(fastest)
            .unwrap_or_default(),
    }
}

pub(crate) fn leader_of(view: &ClusterView) -> Option<&MemberAddress> {
    let leader = view.leader?;
    view.members
        .iter()
        .map(|member| &member.address)
        .find(|address| address.id == leader)
}

#[cfg(test)]
mod tests {
    use super::*;
    use geode_types::Role;
    use geode_wire::client::MemberView;

    fn address(id: u64) -> MemberAddress {
        MemberAddress {
            id: MemberId(id),
            name: format!("m{id}"),
            client: format!("m{id}:3141"),
            internal: format!("m{id}:3142"),
        }
    }

    fn view(term: u64, leader: Option<u64>) -> ClusterView {
        let member = |id| MemberView {
            address: address(id),
            role: Role::Follower,
            online: None,
            lag_entries: None,
            lag_ms: None,
        };
        ClusterView {
            version: "0".into(),
            cluster: "c".into(),
            cluster_id: None,
            me: MemberId(1),
            leader: leader.map(MemberId),
            term,
            members: vec![member(1), member(2), member(3)],
        }
    }

    #[test]
    fn the_leader_is_followed_and_forgotten_when_it_fails() {
        let mut routing = Routing::new(vec!["lb:3141".into()]);
        assert_eq!(routing.for_leader(), "lb:3141");
        routing.learn(&view(4, Some(2)));
        assert_eq!(routing.for_leader(), "m2:3141");
        routing.failed("m2:3141");
        assert_ne!(routing.for_leader(), "m2:3141");
        routing.not_leader("m1:3141", Some(&address(3)));
        assert_eq!(routing.for_leader(), "m3:3141");
        routing.not_leader("m3:3141", None);
        assert_ne!(routing.for_leader(), "m3:3141");
    }

    #[test]
    fn every_candidate_gets_its_turn_while_no_leader_is_known() {
        let mut routing = Routing::new(vec!["lb:3141".into()]);
        routing.learn(&view(4, None));
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..4 {
            let next = routing.for_leader();
            routing.failed(&next);
            seen.insert(next);
        }
        assert_eq!(seen.len(), 4, "{seen:?}");
    }

    #[test]
    fn an_older_view_changes_nothing() {
        let mut routing = Routing::new(vec!["lb:3141".into()]);
        routing.learn(&view(4, Some(2)));
        routing.learn(&view(3, Some(1)));
        assert_eq!((routing.for_leader().as_str(), routing.views()), ("m2:3141", 1));
        let mut moved = |view: &ClusterView, asked| {
            let views = routing.views();
            routing.learn(view);
            routing.moved_on("m2:3141", asked, views)
        };
        assert!(!moved(&view(3, Some(1)), None));
        assert!(!moved(&view(5, None), None));
        assert!(moved(&view(5, Some(1)), None));
        assert!(
            !moved(&view(5, Some(1)), Some(MemberId(1))),
            "the same member under another address"
        );
        assert!(!routing.moved_on("m2:3141", None, routing.views()), "seen before");
    }

    #[test]
    fn reads_are_spread_over_the_given_endpoints_only() {
        let mut routing = Routing::new(vec!["a:1".into(), "b:1".into()]);
        routing.learn(&view(1, Some(3)));
        let first = routing.for_read(LoadBalancing::RoundRobin, 0);
        let second = routing.for_read(LoadBalancing::RoundRobin, 0);
        assert_ne!(first, second);
        assert!(
            [first, second]
                .iter()
                .all(|read| ["a:1", "b:1"].contains(&read.as_str()))
        );
        assert_eq!(routing.for_read(LoadBalancing::Random, 5), "b:1");
    }

    #[test]
    fn a_replica_is_another_endpoint_than_the_leaders_or_another_member() {
        let mut routing = Routing::new(vec!["m1:3141".into(), "m2:3141".into()]);
        routing.learn(&view(1, Some(2)));
        assert_eq!(routing.for_replica(), "m1:3141");
        let mut routing = Routing::new(vec!["m2:3141".into()]);
        assert_eq!(routing.for_replica(), "m2:3141", "nobody else is known");
        routing.learn(&view(1, Some(2)));
        for _ in 0..4 {
            assert_ne!(routing.for_replica(), "m2:3141");
        }
    }

    #[test]
    fn the_nearest_endpoint_has_the_shortest_round_trip_and_unknown_ones_get_known() {
        let ms = |ms| Some(Duration::from_millis(ms));
        let all = |times: [Option<Duration>; 3]| {
            let named = ["a", "b", "c"].map(str::to_owned).into_iter().zip(times);
            named.collect::<Vec<_>>()
        };
        let known = all([ms(9), ms(1), ms(5)]);
        assert!((0..64).all(|draw| nearest(&known, draw) == "b"));
        let partly = all([ms(9), None, ms(5)]);
        assert_eq!(nearest(&partly, 1), "c");
        assert_eq!(nearest(&partly, 0), "b");
        let unknown = all([None, None, None]);
        assert_eq!(
            (nearest(&unknown, 0).as_str(), nearest(&unknown, 16).as_str()),
            ("a", "b")
        );
    }
}
