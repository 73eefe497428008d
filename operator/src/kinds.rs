//! The kinds of the planner as kube's dynamic API, so that one function applies or lists any of them.

use geode_api::LABEL_CLUSTER;
use geode_planner::Kind;
use kube::Client;
use kube::api::{Api, ApiResource, DynamicObject, ListParams};

/// Name under which the operator owns fields.
pub(crate) const FIELD_MANAGER: &str = "geode-operator";

pub(crate) fn api(client: &Client, kind: Kind, namespace: &str) -> Api<DynamicObject> {
    let (group, version, kind, plural) = kind.names();
    let api_version = if group.is_empty() {
        version.to_owned()
    } else {
        format!("{group}/{version}")
    };
    let resource = ApiResource {
        group: group.to_owned(),
        version: version.to_owned(),
        api_version,
        kind: kind.to_owned(),
        plural: plural.to_owned(),
    };
    Api::namespaced_with(client.clone(), namespace, &resource)
}

/// Selects what belongs to a cluster.
pub(crate) fn of_cluster(cluster: &str) -> ListParams {
    ListParams::default().labels(&format!("{LABEL_CLUSTER}={cluster}"))
}
