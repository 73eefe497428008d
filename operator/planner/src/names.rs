//! What the objects of a cluster are called, and how its members are addressed. Per-pod DNS names only: a Service's address would
//! break QUIC connections when its pod moves.

use geode_wire::{CLIENT_PORT, INTERNAL_DNS_NAME, INTERNAL_PORT};

/// The names that belong to one `GeodeCluster`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    /// Namespace of all objects.
    pub namespace: String,
    /// Name of the cluster, of its StatefulSet and of the Service that leads to the leader.
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

    /// The pod with this ordinal.
    pub fn pod(&self, ordinal: u32) -> String {
        format!("{}-{ordinal}", self.cluster)
    }

    /// The ordinal of a pod of this cluster.
    pub fn ordinal(&self, pod: &str) -> Option<u32> {
        let digits = pod.strip_prefix(self.cluster.as_str())?.strip_prefix('-')?;
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
        let (domain, read) = (self.peers_domain(), self.read());
        vec![
            pod.to_owned(),
            format!("{pod}.{domain}"),
            format!("{pod}.{domain}.cluster.local"),
            cluster.clone(),
            format!("{cluster}.{namespace}"),
            format!("{cluster}.{namespace}.svc"),
            format!("{cluster}.{namespace}.svc.cluster.local"),
            read.clone(),
            format!("{read}.{namespace}"),
            format!("{read}.{namespace}.svc"),
            format!("{read}.{namespace}.svc.cluster.local"),
            "localhost".to_owned(),
            INTERNAL_DNS_NAME.to_owned(),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::Names;

    #[test]
    fn only_pods_of_the_cluster_have_an_ordinal() {
        let names = Names {
            namespace: "db".into(),
            cluster: "a".into(),
        };
        for (pod, ordinal) in [
            ("a-0", Some(0)),
            ("a-12", Some(12)),
            ("a-01", None),
            ("a-b-0", None),
            ("b-0", None),
            ("a-", None),
            ("a", None),
            ("a-+1", None),
        ] {
            assert_eq!(names.ordinal(pod), ordinal, "{pod}");
        }
        assert_eq!(names.internal_address("a-1"), "a-1.a-peers.db.svc:3142");
    }
}
