//! Services and the disruption budget. The role Services are for the first contact; the server then names all members to the driver.

use crate::build::metadata;
use crate::object::{Kind, Object};
use crate::want::Want;
use geode_api::{CLIENT_PORT, CLUSTER_PORT, LABEL_CLUSTER, LABEL_ROLE, METRICS_PORT};
use serde_json::{Value, json};

fn client_port() -> Value {
    json!({ "name": "client", "port": CLIENT_PORT, "targetPort": CLIENT_PORT, "protocol": "UDP" })
}

/// Gives every pod its DNS name, ready or not: members must find each other before they are ready.
pub(super) fn peers(want: &Want) -> Object {
    let spec = json!({
        "type": "ClusterIP",
        "clusterIP": "None",
        "publishNotReadyAddresses": true,
        "selector": { LABEL_CLUSTER: want.names.cluster },
        "ports": [
            client_port(),
            { "name": "cluster", "port": CLUSTER_PORT, "targetPort": CLUSTER_PORT, "protocol": "UDP" },
            { "name": "metrics", "port": METRICS_PORT, "targetPort": METRICS_PORT, "protocol": "TCP" },
        ],
    });
    Object::new(
        Kind::Service,
        want.names.peers(),
        json!({ "metadata": metadata(want, &[]), "spec": spec }),
    )
}

/// Leads to the leader.
pub(super) fn leader(want: &Want) -> Object {
    by_role(want, want.names.cluster.clone(), "leader", json!("ClusterIP"))
}

/// Leads to the followers.
pub(super) fn followers(want: &Want) -> Object {
    by_role(want, want.names.read(), "follower", json!(want.read_service))
}

fn by_role(want: &Want, name: String, role: &str, service_type: Value) -> Object {
    let spec = json!({
        "type": service_type,
        "selector": { LABEL_CLUSTER: want.names.cluster, LABEL_ROLE: role },
        "ports": [client_port()],
    });
    Object::new(
        Kind::Service,
        name,
        json!({ "metadata": metadata(want, &[]), "spec": spec }),
    )
}

/// One pod at a time may be evicted, and a broken one always. A single member has no budget: it would block every drain for ever.
pub(super) fn disruption_budget(want: &Want) -> Option<Object> {
    if want.members < 3 {
        return None;
    }
    let spec = json!({
        "maxUnavailable": 1,
        "unhealthyPodEvictionPolicy": "AlwaysAllow",
        "selector": { "matchLabels": { LABEL_CLUSTER: want.names.cluster } },
    });
    let body = json!({ "metadata": metadata(want, &[]), "spec": spec });
    Some(Object::new(
        Kind::PodDisruptionBudget,
        want.names.cluster.clone(),
        body,
    ))
}
