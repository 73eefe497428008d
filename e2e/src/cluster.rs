//! A `GeodeCluster` under test, in a namespace of its own that goes away with it.

use crate::turn::Turn;
use crate::{kubectl, kubectl_input, kubectl_status, wait_for};
use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// How long a cluster may take to become Ready.
const READY_TIMEOUT: Duration = Duration::from_secs(180);

/// A cluster and its namespace.
pub struct Cluster {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// The namespace goes away with this value, and the Kubernetes is somebody else's then.
    owned: Option<Turn>,
}

impl Cluster {
    /// Makes the namespace, beside those of other tests; nothing is applied yet.
    pub fn new(name: &str) -> Result<Self> {
        Self::begin(name, Turn::shared())
    }

    /// The same for a test that disturbs nodes, services or the operator, or that measures to the second: no other one runs meanwhile.
    pub fn alone(name: &str) -> Result<Self> {
        Self::begin(name, Turn::alone())
    }

    fn begin(name: &str, turn: Turn) -> Result<Self> {
        let namespace = format!("e2e-{name}-{}", std::process::id());
        kubectl(&["create", "namespace", &namespace])?;
        Ok(Self {
            namespace,
            name: name.to_owned(),
            owned: Some(turn),
        })
    }

    /// A cluster in a namespace that stays.
    pub fn existing(namespace: &str, name: &str) -> Self {
        Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            owned: None,
        }
    }

    /// Another cluster in the same namespace; it ends with the first.
    pub fn sibling(&self, name: &str) -> Self {
        Self::existing(&self.namespace, name)
    }

    /// Applies a spec.
    pub fn apply(&self, spec: &Value) -> Result<()> {
        let manifest = json!({
            "apiVersion": "geodedb.com/v1alpha1", "kind": "GeodeCluster",
            "metadata": {"name": self.name, "namespace": self.namespace}, "spec": spec,
        });
        kubectl_input(&["apply", "-f", "-"], &manifest.to_string()).map(drop)
    }

    /// Waits for condition Ready of the newest generation.
    pub fn wait_ready(&self) -> Result<Duration> {
        let ready = wait_for(&format!("{} is Ready", self.name), READY_TIMEOUT, || {
            let object = self.object()?;
            let generation = object["metadata"]["generation"].as_i64();
            let observed = object["status"]["observedGeneration"].as_i64();
            let conditions = object["status"]["conditions"]
                .as_array()
                .cloned()
                .unwrap_or_default();
            let ready = conditions
                .iter()
                .any(|condition| condition["type"] == "Ready" && condition["status"] == "True");
            if ready && observed == generation {
                Ok(Some(()))
            } else {
                bail!("conditions {conditions:?}")
            }
        });
        let (_, took) = ready.inspect_err(|_| self.describe())?;
        Ok(took)
    }

    /// The object as the API server has it.
    pub fn object(&self) -> Result<Value> {
        Ok(serde_json::from_str(&kubectl(&[
            "get",
            "geodecluster",
            &self.name,
            "-n",
            &self.namespace,
            "-o",
            "json",
        ])?)?)
    }

    /// `kubectl geode status`.
    pub fn status(&self) -> Result<Value> {
        Ok(serde_json::from_str(&kubectl(&[
            "geode",
            "status",
            &self.name,
            "-n",
            &self.namespace,
            "-o",
            "json",
        ])?)?)
    }

    /// `kubectl geode query`, with further flags.
    pub fn query(&self, text: &str, flags: &[&str]) -> Result<Value> {
        let mut arguments = vec![
            "geode",
            "query",
            &self.name,
            "-n",
            &self.namespace,
            text,
            "-o",
            "json",
        ];
        arguments.extend(flags);
        serde_json::from_str(&kubectl(&arguments)?)
            .with_context(|| format!("the answer to {text} is not JSON"))
    }

    /// Pods by name.
    pub fn pods(&self) -> Result<BTreeMap<String, Value>> {
        let selector = format!("geodedb.com/cluster={}", self.name);
        let list: Value = serde_json::from_str(&kubectl(&[
            "get",
            "pods",
            "-n",
            &self.namespace,
            "-l",
            &selector,
            "-o",
            "json",
        ])?)?;
        let pods = list["items"].as_array().cloned().unwrap_or_default();
        Ok(pods
            .into_iter()
            .map(|pod| {
                (
                    pod["metadata"]["name"].as_str().unwrap_or_default().to_owned(),
                    pod,
                )
            })
            .collect())
    }

    /// What identifies the pods: uid and resourceVersion.
    pub fn fingerprint(&self) -> Result<BTreeMap<String, (String, String)>> {
        let text = |pod: &Value, field: &str| pod["metadata"][field].as_str().unwrap_or_default().to_owned();
        Ok(self
            .pods()?
            .iter()
            .map(|(name, pod)| (name.clone(), (text(pod, "uid"), text(pod, "resourceVersion"))))
            .collect())
    }

    /// The one pod that is labelled leader.
    pub fn leader(&self) -> Result<String> {
        let pods = self.pods()?;
        let leaders: Vec<&String> = pods
            .iter()
            .filter(|(_, pod)| {
                pod["metadata"]["labels"]["geodedb.com/role"] == "leader"
                    && pod["metadata"]["deletionTimestamp"].is_null()
            })
            .map(|(name, _)| name)
            .collect();
        match leaders.as_slice() {
            [leader] => Ok((*leader).clone()),
            others => bail!("{} pods are labelled leader", others.len()),
        }
    }

    /// Kills pods without a word, by name or `-l SELECTOR`, and does not wait for it.
    pub fn kill(&self, pods: &[&str]) -> Result<()> {
        let mut arguments = vec!["delete", "pods", "-n", &self.namespace];
        arguments.extend(["--force", "--grace-period=0", "--wait=false"]);
        arguments.extend(pods);
        kubectl(&arguments).map(drop)
    }

    /// Starts a pod beside the members that has what a program needs to use them, for [`Ledger::start`](crate::Ledger::start): it stays when
    /// they restart. Returns its name.
    pub fn client(&self) -> Result<String> {
        let pods = self.pods()?;
        let image = pods
            .values()
            .next()
            .and_then(|pod| pod["spec"]["containers"][0]["image"].as_str());
        self.client_of(image.context("no pod names an image")?)
    }

    /// The same with the program of an image: clients and members need not be of one version.
    pub fn client_of(&self, image: &str) -> Result<String> {
        let pods = self.pods()?;
        let host = |pod: &String| format!("{pod}.{}-peers.{}.svc:3141", self.name, self.namespace);
        let hosts: Vec<String> = pods.keys().map(host).collect();
        let secret =
            |what: &str| json!({"name": what, "secret": {"secretName": format!("{}-{what}", self.name)}});
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "client", "namespace": self.namespace},
            "spec": {
                "securityContext": {"runAsNonRoot": true, "runAsUser": 65532},
                "terminationGracePeriodSeconds": 0,
                "containers": [{
                    // The plugin looks for a server's container, and its shell needs these variables.
                    "name": "geode", "image": image, "command": ["/geode", "shell", "--format", "jsonl"], "stdin": true,
                    "env": [
                        {"name": "GEODE_HOST", "value": hosts.join(",")},
                        {"name": "GEODE_USER", "value": "admin"},
                        {"name": "GEODE_PASSWORD_FILE", "value": "/admin/password"},
                        {"name": "GEODE_CA", "value": "/tls/ca.crt"},
                    ],
                    "volumeMounts": [{"name": "admin", "mountPath": "/admin"}, {"name": "tls", "mountPath": "/tls"}],
                }],
                "volumes": [secret("admin"), secret("tls")],
            },
        });
        kubectl_input(&["apply", "-f", "-"], &pod.to_string())?;
        kubectl(&[
            "wait",
            "pod/client",
            "--for=jsonpath={.status.phase}=Running",
            "-n",
            &self.namespace,
            "--timeout=60s",
        ])?;
        Ok("client".to_owned())
    }

    /// Prints what a person would look at first.
    pub fn describe(&self) {
        for arguments in [
            vec![
                "get",
                "geodecluster,statefulset,pods,pvc",
                "-n",
                &self.namespace,
                "-o",
                "wide",
            ],
            vec![
                "get",
                "geodecluster",
                &self.name,
                "-n",
                &self.namespace,
                "-o",
                "jsonpath={.status}",
            ],
            vec!["get", "events", "-n", &self.namespace, "--sort-by=.lastTimestamp"],
        ] {
            if let Ok(output) = kubectl_status(&arguments) {
                eprintln!(
                    "--- kubectl {}\n{}",
                    arguments.join(" "),
                    String::from_utf8_lossy(&output.stdout)
                );
            }
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.describe();
        }
        if self.owned.is_some() && std::env::var_os("GEODE_E2E_KEEP").is_none() {
            let _ = kubectl_status(&["delete", "namespace", &self.namespace, "--wait=false"]);
        }
    }
}
