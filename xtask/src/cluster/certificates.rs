//! The cluster's certificate authority, certificates and kubeconfigs. They are made once, when the cluster is.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::layout::{API_PORT, API_SERVICE_ADDRESS, CONTROL_PLANE_ADDRESS, Layout, Node};
use super::templates::{self, render};
use crate::command;
use crate::tools::Tool;

/// The administrator: also the identity of DNS and the volume provisioner, which are no part of what is tested.
pub(crate) const ADMINISTRATOR: &str = "admin";
pub(crate) const CONTROLLER_MANAGER: &str = "controller-manager";
pub(crate) const SCHEDULER: &str = "scheduler";
pub(crate) const KUBE_PROXY: &str = "kube-proxy";

/// The identity of a node's agent.
pub(crate) fn kubelet(node: &Node) -> String {
    format!("kubelet-{}", node.name())
}

/// Makes all certificates and kubeconfigs; `nodes` is as many as the cluster may ever have.
pub(crate) fn make(layout: &Layout, nodes: &[Node]) -> Result<()> {
    if layout.kubeconfig().exists() {
        return Ok(());
    }
    let plan = json!({"directory": layout.certificates(), "certificates": plan(nodes)});
    command::output_with_input(&mut Command::new(Tool::Certificates.path()?), &plan.to_string())?;
    let kubelets: Vec<String> = nodes.iter().map(kubelet).collect();
    let own = [ADMINISTRATOR, CONTROLLER_MANAGER, SCHEDULER, KUBE_PROXY];
    for user in own.into_iter().chain(kubelets.iter().map(String::as_str)) {
        fs::write(layout.kubeconfig_of(user), kubeconfig(layout, user)?)?;
    }
    // Last, because its presence says that all the others are there.
    fs::copy(layout.kubeconfig_of(ADMINISTRATOR), layout.kubeconfig())
        .context("write the kubeconfig")
        .map(drop)
}

fn plan(nodes: &[Node]) -> Vec<Value> {
    let client = |name: &str, common_name: &str, organisations: &[&str]| json!({"name": name, "commonName": common_name, "organizations": organisations});
    let mut plan = vec![
        json!({
            "name": "apiserver",
            "commonName": "kube-apiserver",
            "dnsNames": ["localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc",
                "kubernetes.default.svc.cluster.local"],
            "ipAddresses": [CONTROL_PLANE_ADDRESS, API_SERVICE_ADDRESS, "127.0.0.1"],
        }),
        client(
            "apiserver-kubelet-client",
            "kube-apiserver-kubelet-client",
            &["system:masters"],
        ),
        client(ADMINISTRATOR, "geode-administrator", &["system:masters"]),
        client(CONTROLLER_MANAGER, "system:kube-controller-manager", &[]),
        client(SCHEDULER, "system:kube-scheduler", &[]),
        client(KUBE_PROXY, "system:kube-proxy", &[]),
    ];
    plan.extend(nodes.iter().map(|node| {
        json!({
            "name": kubelet(node),
            "commonName": format!("system:node:{}", node.name()),
            "organizations": ["system:nodes"],
            "dnsNames": [node.name()],
            "ipAddresses": [node.address()],
        })
    }));
    plan
}

fn kubeconfig(layout: &Layout, user: &str) -> Result<String> {
    let encoded = |file: String| -> Result<String> {
        let path = layout.certificates().join(file);
        Ok(base64(
            &fs::read(&path).with_context(|| format!("read {}", path.display()))?,
        ))
    };
    render(
        templates::KUBECONFIG,
        &[
            ("SERVER", &format!("{CONTROL_PLANE_ADDRESS}:{API_PORT}")),
            ("CA", &encoded("ca.crt".to_owned())?),
            ("USER", user),
            ("CERTIFICATE", &encoded(format!("{user}.crt"))?),
            ("KEY", &encoded(format!("{user}.key"))?),
        ],
    )
}

/// Standard base64 (RFC 4648) with padding; too little code for a dependency.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let byte = |index: usize| u32::from(group.get(index).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * place)) as usize & 63];
            text.push(if place <= group.len() { letter as char } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_the_rfc() {
        for (plain, encoded) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(plain.as_bytes()), encoded);
        }
    }
}
