//! etcd and kube-apiserver as child processes on loopback, with the CRDs installed. Ends with the last test that uses it.

use crate::kubernetes::Namespaced;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, DynamicObject, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config, ResourceExt};
use serde_json::json;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

const READY_TIMEOUT: Duration = Duration::from_secs(180);
/// In memory: a disk that is busy with what was just compiled holds etcd up for longer than kube-apiserver waits.
const FOLDERS: &str = "/dev/shm";
const ADMIN: &str = "admin-token";
const OPERATOR: &str = "operator-token";

static SHARED: Mutex<std::sync::Weak<ApiServer>> = Mutex::const_new(std::sync::Weak::new());

pub(crate) struct ApiServer {
    children: Vec<Child>,
    url: String,
    namespaces: AtomicU32,
    /// Removed when the server ends.
    folder: tempfile::TempDir,
}

impl Drop for ApiServer {
    fn drop(&mut self) {
        for child in self.children.iter_mut().rev() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The server that the tests share.
pub(crate) async fn server() -> Arc<ApiServer> {
    let mut shared = SHARED.lock().await;
    if let Some(running) = shared.upgrade() {
        return running;
    }
    let started = Arc::new(ApiServer::start().await);
    *shared = Arc::downgrade(&started);
    started
}

impl ApiServer {
    async fn start() -> Self {
        let folder = tempfile::tempdir_in(FOLDERS).unwrap();
        let [etcd, peer, secure] = [free_port(), free_port(), free_port()];
        let mut server = Self {
            children: Vec::new(),
            url: format!("https://127.0.0.1:{secure}"),
            namespaces: AtomicU32::new(0),
            folder,
        };
        let at = server.folder.path().to_owned();
        server.children.push(run_etcd(&at, etcd, peer));
        wait_listening(&at, etcd).await;
        server.children.push(run_api_server(&at, etcd, secure));
        server.wait_ready(&at).await;
        server.install().await;
        server
    }

    async fn wait_ready(&self, folder: &Path) {
        let client = self.admin().await;
        let begun = Instant::now();
        loop {
            let request = kube::core::Request::new("/readyz")
                .list(&kube::api::ListParams::default())
                .unwrap();
            if client.request_text(request).await.is_ok() {
                return;
            }
            assert!(
                begun.elapsed() < READY_TIMEOUT,
                "kube-apiserver is not ready after {READY_TIMEOUT:?}:\n{}",
                end_of_log(folder, "kube-apiserver")
            );
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// CRDs, and the rights that the chart gives the operator.
    async fn install(&self) {
        let client = self.admin().await;
        let crds: Api<CustomResourceDefinition> = Api::all(client.clone());
        for crd in geode_api::crds() {
            crds.create(&PostParams::default(), &crd.definition)
                .await
                .expect("the API server accepts the CRD");
        }
        Self::wait_served::<geode_api::GeodeBackup>(&client).await;
        Self::wait_served::<geode_api::GeodeBackupSchedule>(&client).await;
        Self::wait_served::<geode_api::GeodeRestore>(&client).await;
        self.install_rights(&client).await;
    }

    async fn wait_served<K: Namespaced>(client: &Client) {
        let begun = Instant::now();
        while let Err(error) = Api::<K>::all(client.clone()).list(&Default::default()).await {
            assert!(
                begun.elapsed() < READY_TIMEOUT,
                "the CRDs are not served: {error}"
            );
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    async fn install_rights(&self, client: &Client) {
        let manifest = Path::new("../manifests/install.yaml");
        let text =
            fs::read_to_string(manifest).expect("manifests/install.yaml; `cargo xtask generate` makes it");
        let mut roles = 0;
        for document in text.split("\n---\n") {
            for kind in ["ClusterRole", "ClusterRoleBinding"] {
                if !document.lines().any(|line| line == format!("kind: {kind}")) {
                    continue;
                }
                let resource = kube::api::ApiResource::from_gvk(&kube::core::GroupVersionKind::gvk(
                    "rbac.authorization.k8s.io",
                    "v1",
                    kind,
                ));
                let object: DynamicObject = serde_saphyr::from_str(document).unwrap();
                let api: Api<DynamicObject> = Api::all_with(client.clone(), &resource);
                api.patch(
                    &object.name_any(),
                    &PatchParams::apply("test"),
                    &Patch::Apply(&object),
                )
                .await
                .unwrap();
                roles += 1;
            }
        }
        assert_eq!(
            roles, 2,
            "manifests/install.yaml holds a ClusterRole and its binding"
        );
    }

    /// A client that may do everything.
    pub(crate) async fn admin(&self) -> Client {
        self.client(ADMIN).await
    }

    /// A client with the rights of the operator's service account.
    pub(crate) async fn operator(&self) -> Client {
        self.client(OPERATOR).await
    }

    async fn client(&self, token: &str) -> Client {
        let file: Kubeconfig = serde_json::from_value(json!({
            "clusters": [{"name": "c", "cluster": {"server": self.url, "insecure-skip-tls-verify": true}}],
            "users": [{"name": "u", "user": {"token": token}}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
            "current-context": "c",
        }))
        .unwrap();
        let config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default())
            .await
            .unwrap();
        Client::try_from(config).unwrap()
    }

    /// A namespace of its own for a test.
    pub(crate) async fn namespace(&self) -> String {
        let name = format!("t{}", self.namespaces.fetch_add(1, Ordering::Relaxed));
        let namespace = serde_json::from_value(json!({"metadata": {"name": name}})).unwrap();
        let api: Api<k8s_openapi::api::core::v1::Namespace> = Api::all(self.admin().await);
        api.create(&PostParams::default(), &namespace).await.unwrap();
        name
    }
}

/// kube-apiserver gives up when it finds no etcd for 20 s, so it is started when there is one.
async fn wait_listening(folder: &Path, etcd: u16) {
    let begun = Instant::now();
    while tokio::net::TcpStream::connect(("127.0.0.1", etcd)).await.is_err() {
        assert!(
            begun.elapsed() < READY_TIMEOUT,
            "etcd does not listen after {READY_TIMEOUT:?}:\n{}",
            end_of_log(folder, "etcd")
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn end_of_log(folder: &Path, name: &str) -> String {
    let log = fs::read_to_string(folder.join(format!("{name}.log"))).unwrap_or_default();
    log[log.floor_char_boundary(log.len().saturating_sub(2000))..].to_owned()
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

/// A program of the test cluster, in any version.
fn tool(name: &str) -> PathBuf {
    let cache = std::env::var_os("GEODE_CACHE").map_or_else(
        || PathBuf::from(std::env::var_os("HOME").expect("HOME")).join(".cache/geode"),
        PathBuf::from,
    );
    let folders = fs::read_dir(cache.join("tools")).into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = folders
        .filter(|folder| {
            folder
                .file_name()
                .to_string_lossy()
                .strip_prefix(name)
                .is_some_and(|rest| rest.starts_with("-1") || rest.starts_with("-3"))
        })
        .map(|folder| folder.path().join(name))
        .filter(|program| program.is_file())
        .collect();
    found.sort();
    found.pop().unwrap_or_else(|| {
        panic!(
            "{name} is not in {}/tools: `cargo xtask cluster up` builds it",
            cache.display()
        )
    })
}

fn spawn(folder: &Path, name: &str, arguments: &[String]) -> Child {
    let log = fs::File::create(folder.join(format!("{name}.log"))).unwrap();
    Command::new(tool(name))
        .args(arguments)
        // Memory for time: without it a third of the work is to collect garbage.
        .env("GOGC", "500")
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap()
}

fn run_etcd(folder: &Path, client: u16, peer: u16) -> Child {
    let (client, peer) = (
        format!("http://127.0.0.1:{client}"),
        format!("http://127.0.0.1:{peer}"),
    );
    let arguments = [
        format!("--data-dir={}", folder.join("etcd").display()),
        format!("--listen-client-urls={client}"),
        format!("--advertise-client-urls={client}"),
        format!("--listen-peer-urls={peer}"),
        format!("--initial-advertise-peer-urls={peer}"),
        format!("--initial-cluster=default={peer}"),
        "--unsafe-no-fsync".to_owned(),
    ];
    spawn(folder, "etcd", &arguments)
}

fn run_api_server(folder: &Path, etcd: u16, port: u16) -> Child {
    let key = rcgen::KeyPair::generate().unwrap();
    fs::write(folder.join("sa.key"), key.serialize_pem()).unwrap();
    fs::write(folder.join("sa.pub"), key.public_key_pem()).unwrap();
    let operator = "system:serviceaccount:geode-system:geode-operator";
    let tokens = format!("{ADMIN},admin,1,system:masters\n{OPERATOR},{operator},2\n");
    fs::write(folder.join("tokens.csv"), tokens).unwrap();
    let file = |name: &str| folder.join(name).display().to_string();
    let arguments = [
        format!("--etcd-servers=http://127.0.0.1:{etcd}"),
        "--bind-address=127.0.0.1".to_owned(),
        "--advertise-address=127.0.0.1".to_owned(),
        format!("--secure-port={port}"),
        format!("--cert-dir={}", file("certs")),
        "--authorization-mode=RBAC".to_owned(),
        format!("--token-auth-file={}", file("tokens.csv")),
        "--service-account-issuer=https://test".to_owned(),
        format!("--service-account-key-file={}", file("sa.pub")),
        format!("--service-account-signing-key-file={}", file("sa.key")),
        "--service-cluster-ip-range=10.200.0.0/16".to_owned(),
        "--disable-admission-plugins=ServiceAccount".to_owned(),
        "--endpoint-reconciler-type=none".to_owned(),
        "--enable-priority-and-fairness=false".to_owned(),
        "--profiling=false".to_owned(),
    ];
    spawn(folder, "kube-apiserver", &arguments)
}
