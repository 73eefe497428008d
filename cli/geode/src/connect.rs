//! From flags, variables and a local data directory to a `Client`.
//!
//! A server that was started on this machine without a configuration keeps its CA and the first password in its data directory; for a
//! loopback address they are found there, so that `geode serve` and `geode shell` work together without flags.

use crate::args::ConnectArgs;
use geode_client::{Client, ClientBuilder};
use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

const DATA_DIR_VARIABLE: &str = "GEODE_DATA_DIR";
const DATA_DIR: &str = "./geode-data";
const PASSWORD_VARIABLE: &str = "GEODE_PASSWORD";

/// What to do about a connection that cannot even be tried.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    #[error("cannot read {what} {path}: {source}")]
    File {
        what: &'static str,
        path: PathBuf,
        source: std::io::Error,
    },
    #[error(
        "no CA certificate is given for {hosts}{looked}\n  hint: pass --ca FILE (or GEODE_CA) with the cluster's CA; --insecure tries without one"
    )]
    NoCa { hosts: String, looked: Looked },
    #[error(
        "no password is given for {hosts}{looked}\n  hint: pass --password-file FILE, or set GEODE_PASSWORD_FILE or GEODE_PASSWORD"
    )]
    NoPassword { hosts: String, looked: Looked },
    #[error(transparent)]
    Client(#[from] geode_client::ClientError),
}

/// Where a file would have been found.
#[derive(Debug)]
pub(crate) struct Looked(Option<PathBuf>);

impl fmt::Display for Looked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(path) => write!(
                f,
                ", and there is no {} (is `geode serve` running in this directory?)",
                path.display()
            ),
            None => Ok(()),
        }
    }
}

impl ConnectArgs {
    /// A client for commands that ask the database something.
    pub(crate) fn client(&self) -> Result<Client, ConnectError> {
        Ok(self.builder()?.password(self.password()?).build()?)
    }

    /// The settings without a password.
    pub(crate) fn builder(&self) -> Result<ClientBuilder, ConnectError> {
        let builder = Client::builder()
            .endpoints(self.host.iter().cloned())
            .user(self.user.clone());
        if self.insecure {
            return Ok(builder.danger_accept_any_certificate());
        }
        let local = self.local_file("tls/ca.crt");
        let path = match (&self.ca, &local) {
            (Some(path), _) => path,
            (None, Some(path)) if path.exists() => path,
            _ => {
                return Err(ConnectError::NoCa {
                    hosts: self.host.join(","),
                    looked: Looked(local),
                });
            }
        };
        Ok(builder.ca_pem(read("the CA certificate", path)?))
    }

    /// The password: from its file, its variable, or the local server's data directory.
    pub(crate) fn password(&self) -> Result<String, ConnectError> {
        let local = self.local_file("admin-password");
        let from_file = |path: &Path| {
            let bytes = read("the password file", path)?;
            Ok(String::from_utf8_lossy(&bytes)
                .trim_end_matches(['\r', '\n'])
                .to_owned())
        };
        if let Some(path) = &self.password_file {
            return from_file(path);
        }
        if let Ok(password) = std::env::var(PASSWORD_VARIABLE) {
            return Ok(password);
        }
        match &local {
            Some(path) if path.exists() => from_file(path),
            _ => Err(ConnectError::NoPassword {
                hosts: self.host.join(","),
                looked: Looked(local),
            }),
        }
    }

    /// A file of the server's data directory, when every address is on this machine.
    fn local_file(&self, name: &str) -> Option<PathBuf> {
        let dir = std::env::var_os(DATA_DIR_VARIABLE).map_or_else(|| PathBuf::from(DATA_DIR), PathBuf::from);
        self.host
            .iter()
            .all(|host| is_local(host))
            .then(|| dir.join(name))
    }

    /// The address to which reads stick that must not leave a member: the only one that is given.
    pub(crate) fn pinned(&self) -> Option<&str> {
        match self.host.as_slice() {
            [only] => Some(only),
            _ => None,
        }
    }
}

fn is_local(address: &str) -> bool {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn read(what: &'static str, path: &Path) -> Result<Vec<u8>, ConnectError> {
    std::fs::read(path).map_err(|source| ConnectError::File {
        what,
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(host: &str) -> ConnectArgs {
        ConnectArgs {
            host: vec![host.to_owned()],
            user: "admin".to_owned(),
            password_file: None,
            ca: None,
            insecure: false,
        }
    }

    #[test]
    fn only_a_server_on_this_machine_is_looked_up_in_the_data_directory() {
        for (host, local) in [
            ("127.0.0.1:3141", true),
            ("localhost", true),
            ("[::1]:5", true),
            ("db.example:3141", false),
            ("10.0.0.1:1", false),
        ] {
            assert_eq!(args(host).local_file("x").is_some(), local, "{host}");
        }
    }

    #[test]
    fn a_missing_ca_is_an_error_that_says_what_to_pass() {
        let error = args("db.example:3141").builder().err().unwrap().to_string();
        assert!(
            error.contains("--ca") && error.contains("db.example:3141"),
            "{error}"
        );
    }
}
