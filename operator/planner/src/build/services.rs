//! Services. The role Services are for the first contact; the server then names all members to the driver.

use crate::build::{metadata, selected};
use crate::names::Group;
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
    let selector = by_role(want, "leader");
    for_clients(want, want.names.cluster.clone(), &selector, json!("ClusterIP"))
}

/// Leads to the followers.
pub(super) fn followers(want: &Want) -> Object {
    let selector = by_role(want, "follower");
    for_clients(want, want.names.read(), &selector, json!(want.read_service))
}

/// Leads to the observers. They are none by election, so it needs no operator that labels them.
pub(super) fn observers(want: &Want) -> Object {
    let selector = selected(want, Group::Observers);
    for_clients(want, want.names.observers(), &selector, json!(want.read_service))
}

fn by_role(want: &Want, role: &str) -> Value {
    json!({ LABEL_CLUSTER: want.names.cluster, LABEL_ROLE: role })
}

fn for_clients(want: &Want, name: String, selector: &Value, service_type: Value) -> Object {
    let spec = json!({
        "type": service_type,
        "selector": selector,
        "ports": [client_port()],
    });
    Object::new(
        Kind::Service,
        name,
        json!({ "metadata": metadata(want, &[]), "spec": spec }),
    )
}
