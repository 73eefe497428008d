//! The part of `kubectl geode why` about what was ordered for a cluster: backups, restores and schedules that wait or stand still. They are
//! objects beside the cluster, whose status does not tell of them.

use k8s_openapi::jiff::Timestamp;
use serde_json::Value;

/// The kinds, as kubectl takes them in one call.
pub(crate) const KINDS: &str = "geodebackups,geoderestores,geodebackupschedules";

/// What is not as it was ordered.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Order {
    /// For example `geodebackup/a-1`.
    pub(crate) object: String,
    pub(crate) reason: String,
    pub(crate) waits_for: String,
    pub(crate) since: Timestamp,
}

/// Those of a list that belong to this cluster and are not carried out, the oldest first.
pub(crate) fn waiting(cluster: &str, list: &Value) -> Vec<Order> {
    let items = list["items"].as_array().into_iter().flatten();
    let ours = items.filter(|item| item["spec"]["cluster"] == cluster);
    let mut orders: Vec<Order> = ours.filter_map(order).collect();
    orders.sort_by_key(|order| order.since);
    orders
}

fn order(item: &Value) -> Option<Order> {
    let kind = item["kind"].as_str()?.to_lowercase();
    let name = item["metadata"]["name"].as_str()?;
    let mut conditions = item["status"]["conditions"].as_array().into_iter().flatten();
    let ready = conditions.find(|condition| condition["type"] == "Ready");
    // A backup that failed is not tried again: nothing is waited for.
    let is_over = kind == "geodebackup" && item["status"]["phase"] == "Failed";
    if is_over || ready.is_some_and(|ready| ready["status"] == "True") {
        return None;
    }
    let said = |field: &str| {
        let text = ready.and_then(|ready| ready[field].as_str());
        text.filter(|text| !text.is_empty())
    };
    let since = said("lastTransitionTime").or(item["metadata"]["creationTimestamp"].as_str())?;
    Some(Order {
        object: format!("{kind}/{name}"),
        reason: said("reason").unwrap_or("Pending").to_owned(),
        waits_for: said("message").unwrap_or("its turn").to_owned(),
        since: since.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_was_ordered_for_this_cluster_and_waits_is_named_and_what_is_over_is_not() {
        let item = |kind: &str, name: &str, cluster: &str, status: Value| {
            let metadata = json!({"name": name, "creationTimestamp": "2026-03-01T12:00:00Z"});
            json!({"kind": kind, "metadata": metadata, "spec": {"cluster": cluster}, "status": status})
        };
        let ready = |holds: &str, reason: &str, message: &str| {
            let at = "2026-03-01T11:00:00Z";
            json!([{"type": "Ready", "status": holds, "reason": reason, "message": message, "lastTransitionTime": at}])
        };
        let done = json!({"phase": "Completed", "conditions": ready("True", "BackupCompleted", "")});
        let failed = json!({"phase": "Failed", "conditions": ready("False", "BackupFailed", "x")});
        let runs = json!({"phase": "Running", "conditions": ready("False", "Restoring", "fetching")});
        let list = json!({"items": [
            item("GeodeBackup", "new", "a", Value::Null),
            item("GeodeBackup", "done", "a", done),
            item("GeodeBackup", "failed", "a", failed),
            item("GeodeBackup", "other", "b", Value::Null),
            item("GeodeRestore", "r", "a", runs),
        ]});
        let orders = waiting("a", &list);
        let said: Vec<[&str; 3]> = orders
            .iter()
            .map(|order| [&*order.object, &*order.reason, &*order.waits_for])
            .collect();
        assert_eq!(
            said,
            [
                ["geoderestore/r", "Restoring", "fetching"],
                ["geodebackup/new", "Pending", "its turn"],
            ]
        );
        assert_eq!(orders[1].since.to_string(), "2026-03-01T12:00:00Z");
        assert!(waiting("a", &json!({"items": []})).is_empty());
    }
}
