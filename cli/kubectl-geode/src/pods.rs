//! Which pod to go through.

use crate::kubectl::Kubectl;
use anyhow::{Result, bail};
use geode_api::{CONTAINER_SERVER, LABEL_CLUSTER, LABEL_ROLE};
use k8s_openapi::api::core::v1::Pod;
use serde_json::Value;

/// The pod that the user names, or a live one: the leader's, else any whose server runs.
pub(crate) fn choose(kubectl: &Kubectl, cluster: &str, named: Option<&str>) -> Result<String> {
    if let Some(named) = named {
        return Ok(named.to_owned());
    }
    let selector = format!("{LABEL_CLUSTER}={cluster}");
    let list = kubectl.json(&["get", "pods", "--selector", &selector, "--output", "json"])?;
    let pods =
        serde_json::from_value::<Vec<Pod>>(list.get("items").cloned().unwrap_or(Value::Array(Vec::new())))?;
    match best(&pods) {
        Some(pod) => Ok(pod),
        None if pods.is_empty() => {
            // Says so when there is no such cluster at all.
            kubectl.cluster(cluster)?;
            bail!("{cluster} has no pods yet; see `kubectl geode status {cluster}`")
        }
        None => bail!(
            "no server of {cluster} runs; see `kubectl geode status {cluster}` and `kubectl get pods -l {selector}`"
        ),
    }
}

fn best(pods: &[Pod]) -> Option<String> {
    let rank = |pod: &&Pod| {
        let leads = pod
            .metadata
            .labels
            .as_ref()
            .and_then(|labels| labels.get(LABEL_ROLE))
            .is_some_and(|role| role == "leader");
        (is_ready(pod), leads)
    };
    let live = pods
        .iter()
        .filter(|pod| pod.metadata.deletion_timestamp.is_none() && server_runs(pod));
    live.max_by_key(rank).and_then(|pod| pod.metadata.name.clone())
}

fn server_runs(pod: &Pod) -> bool {
    let containers = pod
        .status
        .as_ref()
        .and_then(|status| status.container_statuses.as_deref())
        .unwrap_or_default();
    containers.iter().any(|container| {
        container.name == CONTAINER_SERVER
            && container
                .state
                .as_ref()
                .is_some_and(|state| state.running.is_some())
    })
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod
        .status
        .as_ref()
        .and_then(|status| status.conditions.as_deref())
        .unwrap_or_default();
    conditions
        .iter()
        .any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod(name: &str, role: &str, ready: bool, running: bool) -> Pod {
        let state = if running {
            json!({"running": {}})
        } else {
            json!({"waiting": {}})
        };
        serde_json::from_value(json!({
            "metadata": {"name": name, "labels": {"geodedb.com/role": role}},
            "status": {
                "conditions": [{"type": "Ready", "status": if ready { "True" } else { "False" }}],
                "containerStatuses": [{"name": "geode", "state": state, "image": "", "imageID": "", "ready": ready, "restartCount": 0}],
            },
        }))
        .unwrap()
    }

    #[test]
    fn the_leader_is_asked_if_it_is_ready_and_a_dead_pod_never() {
        for (pods, expected) in [
            (
                vec![
                    pod("a-0", "follower", true, true),
                    pod("a-1", "leader", true, true),
                ],
                Some("a-1"),
            ),
            (
                vec![
                    pod("a-0", "follower", true, true),
                    pod("a-1", "leader", false, true),
                ],
                Some("a-0"),
            ),
            (vec![pod("a-0", "leader", false, false)], None),
            (vec![pod("a-0", "follower", false, true)], Some("a-0")),
        ] {
            assert_eq!(best(&pods).as_deref(), expected);
        }
    }
}
