//! What the objects of a cluster are called, and how its members are addressed. Per-pod DNS names only: a Service's address would
//! break QUIC connections when its pod moves.

use geode_api::OBSERVER_SUFFIX;
use geode_wire::{CLIENT_PORT, INTERNAL_DNS_NAME, INTERNAL_PORT};
use std::fmt;

/// The pods of a cluster come in groups, each a StatefulSet of its own. What tells them apart is membership.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    /// Members that vote, and those on their way to a vote.
    Voters,
    /// Members that copy the data and never vote.
    Observers,
}

impl Group {
    /// Both. Voters first: no observer holds them back.
    pub const ALL: [Self; 2] = [Self::Voters, Self::Observers];
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Voters => "voters",
            Self::Observers => "observers",
        })
    }
}

/// A pod of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its group.
    pub group: Group,
    /// Its number in the group.
    pub ordinal: u32,
}

/// The names that belong to one `GeodeCluster`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    /// Namespace of all objects.
    pub namespace: String,
    /// Name of the cluster, of the voters' StatefulSet and of the Service that leads to the leader.
    pub cluster: String,
}

impl Names {
    /// The headless Service that gives every pod its DNS name.
    pub fn peers(&self) -> String {
        format!("{}-peers", self.cluster)
    }

    /// The Service of the followers.
    pub fn read(&self) -> String {
        format!("{}-read", self.cluster)
    }

    /// The Service of the observers.
    pub fn observers(&self) -> String {
        format!("{}-observers", self.cluster)
    }

    /// The StatefulSet of a group.
    pub fn set(&self, group: Group) -> String {
        match group {
            Group::Voters => self.cluster.clone(),
            Group::Observers => format!("{}{OBSERVER_SUFFIX}", self.cluster),
        }
    }

    /// The ConfigMap with `geode.yaml`.
    pub fn config(&self) -> String {
        format!("{}-config", self.cluster)
    }

    /// The Secret with the authority.
    pub fn authority(&self) -> String {
        format!("{}-ca", self.cluster)
    }

    /// The Secret with the members' certificates.
    pub fn tls(&self) -> String {
        format!("{}-tls", self.cluster)
    }

    /// The Secret with the administrator's name and password.
    pub fn admin(&self) -> String {
        format!("{}-admin", self.cluster)
    }

    /// The pod of a group with this ordinal.
    pub fn pod(&self, group: Group, ordinal: u32) -> String {
        format!("{}-{ordinal}", self.set(group))
    }

    /// The place of a pod of this cluster.
    pub fn place(&self, pod: &str) -> Option<Place> {
        Group::ALL.into_iter().find_map(|group| {
            let ordinal = self.ordinal(group, pod)?;
            Some(Place { group, ordinal })
        })
    }

    /// The ordinal of a pod of this group.
    pub fn ordinal(&self, group: Group, pod: &str) -> Option<u32> {
        let digits = pod.strip_prefix(self.set(group).as_str())?.strip_prefix('-')?;
        let canonical = digits == "0" || !digits.starts_with('0');
        (canonical && digits.bytes().all(|byte| byte.is_ascii_digit()))
            .then(|| digits.parse().ok())
            .flatten()
    }

    /// The domain below which every pod has a name.
    pub fn peers_domain(&self) -> String {
        format!("{}.{}.svc", self.peers(), self.namespace)
    }

    /// `host:port` of a pod's client protocol.
    pub fn client_address(&self, pod: &str) -> String {
        format!("{pod}.{}:{CLIENT_PORT}", self.peers_domain())
    }

    /// `host:port` of a pod's internal protocol.
    pub fn internal_address(&self, pod: &str) -> String {
        format!("{pod}.{}:{INTERNAL_PORT}", self.peers_domain())
    }

    /// The DNS names in a member's certificate: under which others reach it, directly and through the Services.
    pub fn certificate_names(&self, pod: &str) -> Vec<String> {
        let Self { namespace, cluster } = self;
        let domain = self.peers_domain();
        let services = match self.place(pod).map(|place| place.group) {
            Some(Group::Observers) => vec![self.observers()],
            Some(Group::Voters) | None => vec![cluster.clone(), self.read()],
        };
        let mut names = vec![
            pod.to_owned(),
            format!("{pod}.{domain}"),
            format!("{pod}.{domain}.cluster.local"),
        ];
        names.extend(services.into_iter().flat_map(|service| {
            [
                format!("{service}.{namespace}"),
                format!("{service}.{namespace}.svc"),
                format!("{service}.{namespace}.svc.cluster.local"),
                service,
            ]
        }));
        names.extend(["localhost".to_owned(), INTERNAL_DNS_NAME.to_owned()]);
        names
    }
}

#[cfg(test)]
mod tests {
    use super::{Group, Names, Place};

    #[test]
    fn only_pods_of_the_cluster_have_a_place() {
        let names = Names {
            namespace: "db".into(),
            cluster: "a".into(),
        };
        let place = |group, ordinal| Some(Place { group, ordinal });
        for (pod, expected) in [
            ("a-0", place(Group::Voters, 0)),
            ("a-12", place(Group::Voters, 12)),
            ("a-observer-3", place(Group::Observers, 3)),
            ("a-01", None),
            ("a-b-0", None),
            ("b-0", None),
            ("a-", None),
            ("a", None),
            ("a-+1", None),
            ("a-observer", None),
            ("a-observer-", None),
            ("b-observer-0", None),
        ] {
            assert_eq!(names.place(pod), expected, "{pod}");
        }
        assert_eq!(names.internal_address("a-1"), "a-1.a-peers.db.svc:3142");
    }
}
