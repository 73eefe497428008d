//! A real single-member server in this process, and its clients.

use geode_client::{Client, ClientError};
use geode_config::Config;
use geode_server::{ServeOptions, Server};
use geode_types::QueryError;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};
use tempfile::TempDir;

pub(crate) struct Running {
    pub(crate) server: Server,
    pub(crate) address: SocketAddr,
    pub(crate) data: TempDir,
}

/// A port that was free a moment ago: the member must know its address before it listens.
pub(crate) fn free_port() -> u16 {
    UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

pub(crate) async fn start(change: impl FnOnce(&mut Config)) -> Running {
    let data = tempfile::tempdir().unwrap();
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
    let mut config = Config::default();
    config.storage.data_dir = data.path().join("data");
    config.server.listen = address.to_string();
    config.cluster.node.address = format!("localhost:{}", address.port());
    config.server.metrics_listen.clear();
    change(&mut config);
    let server = Server::start(ServeOptions {
        config,
        ..ServeOptions::default()
    })
    .await
    .unwrap();
    let running = Running {
        server,
        address,
        data,
    };
    running.wait_for_first_user().await;
    running
}

impl Running {
    pub(crate) fn file(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.data.path().join("data").join(name)).unwrap()
    }

    pub(crate) fn password(&self) -> String {
        String::from_utf8(self.file("admin-password")).unwrap()
    }

    pub(crate) fn client(&self) -> Client {
        self.client_of("admin", &self.password())
    }

    pub(crate) fn client_of(&self, user: &str, password: &str) -> Client {
        Client::builder()
            .endpoints([self.address.to_string()])
            .user(user)
            .password(password)
            .ca_pem(self.file("tls/ca.crt"))
            .build()
            .unwrap()
    }

    pub(crate) async fn wait_for_first_user(&self) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while let Err(error) = self.client().query("RETURN 1 AS one").await {
            assert!(Instant::now() < deadline, "the server does not serve: {error}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

pub(crate) fn query_error(result: Result<geode_client::QueryResult, ClientError>) -> QueryError {
    match result.unwrap_err() {
        ClientError::Query(error) => *error,
        other => panic!("{other}"),
    }
}
