//! The server's certificates: read from files and again when they change, or made on the first start of a member on loopback.
//!
//! Whoever holds a listener or dials peers takes a [`TlsWatch`] and rebuilds its QUIC settings when it changes: new connections use the
//! new certificates, old ones live on.

use geode_client::tls::{Identity, TlsError, authorities, parse_identity};
use geode_wire::{CLIENT_ALPN, INTERNAL_ALPN, INTERNAL_DNS_NAME};
use quinn::crypto::rustls::QuicServerConfig;
use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, ServerConfig, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use std::{fs, io};
use tokio::sync::watch;

/// How often the files are looked at.
const RELOAD_INTERVAL: Duration = Duration::from_secs(5);

/// What is in the files now.
#[derive(Clone)]
pub struct TlsMaterial {
    /// Authorities of members, sidecars and the operator, PEM.
    pub ca_pem: Vec<u8>,
    /// Our certificate and key.
    pub identity: Identity,
}

/// The current certificates, and word of new ones.
pub type TlsWatch = watch::Receiver<Arc<TlsMaterial>>;

/// Where the certificates lie.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// Certificate chain, PEM.
    pub cert: PathBuf,
    /// Private key, PEM.
    pub key: PathBuf,
    /// Authorities, PEM.
    pub ca: PathBuf,
}

/// The certificates cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A file cannot be read or written.
    #[error("cannot {act} {path}: {source}")]
    Io {
        /// Verb.
        act: &'static str,
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Their content is wrong.
    #[error("{path}: {source}")]
    Content {
        /// Where.
        path: PathBuf,
        /// Why.
        source: TlsError,
    },
    /// rustls or rcgen refuses.
    #[error("certificates are unusable: {0}")]
    Unusable(String),
}

impl TlsFiles {
    /// Reads and checks the three files.
    pub fn load(&self) -> Result<TlsMaterial, CertificateError> {
        let read = |path: &PathBuf| {
            fs::read(path).map_err(|source| CertificateError::Io {
                act: "read",
                path: path.clone(),
                source,
            })
        };
        let identity = Identity {
            cert_pem: read(&self.cert)?,
            key_pem: read(&self.key)?,
        };
        let material = TlsMaterial {
            ca_pem: read(&self.ca)?,
            identity,
        };
        client_listener(&material).map_err(|error| at(&self.cert, error))?;
        authorities(&material.ca_pem).map_err(|source| CertificateError::Content {
            path: self.ca.clone(),
            source,
        })?;
        Ok(material)
    }

    /// Reads the files and keeps looking at them; a broken new file is reported and the last good content kept.
    pub fn watch(self) -> Result<TlsWatch, CertificateError> {
        let (sender, receiver) = watch::channel(Arc::new(self.load()?));
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(RELOAD_INTERVAL).await;
                if sender.is_closed() {
                    return;
                }
                match self.load() {
                    Ok(new) => {
                        let changed = sender.send_if_modified(|held| {
                            let changed = !held.same(&new);
                            if changed {
                                *held = Arc::new(new);
                            }
                            changed
                        });
                        if changed {
                            tracing::info!(cert = %self.cert.display(), "new certificates are in use");
                        }
                    }
                    Err(error) => {
                        tracing::warn!(%error, "the certificate files are broken; the last good ones stay in use");
                    }
                }
            }
        });
        Ok(receiver)
    }
}

impl TlsMaterial {
    fn same(&self, other: &Self) -> bool {
        self.ca_pem == other.ca_pem
            && self.identity.cert_pem == other.identity.cert_pem
            && self.identity.key_pem == other.identity.key_pem
    }
}

fn at(path: &Path, error: TlsError) -> CertificateError {
    CertificateError::Content {
        path: path.to_owned(),
        source: error,
    }
}

/// TLS settings of the client port.
pub fn client_listener(material: &TlsMaterial) -> Result<QuicServerConfig, TlsError> {
    let builder = server_builder()?.with_no_client_auth();
    finish(builder, material, CLIENT_ALPN)
}

/// TLS settings of the internal port: the peer must hold a certificate of the cluster's CA with [`INTERNAL_DNS_NAME`].
pub fn internal_listener(material: &TlsMaterial) -> Result<QuicServerConfig, TlsError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let chain = WebPkiClientVerifier::builder_with_provider(
        Arc::new(authorities(&material.ca_pem)?),
        provider.clone(),
    )
    .build()
    .map_err(|error| rustls::Error::General(error.to_string()))?;
    let builder = server_builder()?.with_client_cert_verifier(Arc::new(InternalOnly { chain, provider }));
    finish(builder, material, INTERNAL_ALPN)
}

fn server_builder() -> Result<rustls::ConfigBuilder<ServerConfig, rustls::WantsVerifier>, TlsError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    Ok(ServerConfig::builder_with_provider(provider).with_protocol_versions(&[&rustls::version::TLS13])?)
}

fn finish(
    builder: rustls::ConfigBuilder<ServerConfig, rustls::server::WantsServerCert>,
    material: &TlsMaterial,
    alpn: &[u8],
) -> Result<QuicServerConfig, TlsError> {
    let (chain, key) = parse_identity(&material.identity)?;
    let mut config = builder.with_single_cert(chain, key)?;
    config.alpn_protocols = vec![alpn.to_vec()];
    Ok(QuicServerConfig::try_from(config).expect("TLS 1.3 with the provider's cipher suites suits QUIC"))
}

/// The chain must be right, and the certificate must be meant for the internal port.
#[derive(Debug)]
struct InternalOnly {
    chain: Arc<dyn ClientCertVerifier>,
    provider: Arc<CryptoProvider>,
}

impl ClientCertVerifier for InternalOnly {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.chain.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        let verified = self.chain.verify_client_cert(leaf, intermediates, now)?;
        let name = ServerName::try_from(INTERNAL_DNS_NAME).expect("a DNS name");
        rustls::client::verify_server_name(&ParsedCertificate::try_from(leaf)?, &name)?;
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.chain.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.chain.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// Certificates of its own for a member without any: a CA and a leaf for `localhost` and `host`, in `dir`. Made once, used again.
pub fn own_certificates(dir: &Path, host: &str) -> Result<TlsFiles, CertificateError> {
    let files = TlsFiles {
        cert: dir.join("tls.crt"),
        key: dir.join("tls.key"),
        ca: dir.join("ca.crt"),
    };
    if files.cert.exists() && files.key.exists() && files.ca.exists() {
        return Ok(files);
    }
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| CertificateError::Io {
            act: "write",
            path,
            source,
        }
    };
    fs::create_dir_all(dir).map_err(failed(dir))?;
    let (ca, leaf, key) = make(host).map_err(|error| CertificateError::Unusable(error.to_string()))?;
    write_private(&files.key, key.as_bytes()).map_err(failed(&files.key))?;
    fs::write(&files.cert, leaf).map_err(failed(&files.cert))?;
    fs::write(&files.ca, ca).map_err(failed(&files.ca))?;
    Ok(files)
}

fn make(host: &str) -> Result<(String, String, String), rcgen::Error> {
    let mut ca = CertificateParams::new(Vec::<String>::new())?;
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    ca.distinguished_name
        .push(rcgen::DnType::CommonName, "Geode local CA");
    let ca_key = KeyPair::generate()?;
    let ca_cert = ca.self_signed(&ca_key)?;

    let mut names = vec![
        "localhost".to_owned(),
        "127.0.0.1".to_owned(),
        "::1".to_owned(),
        INTERNAL_DNS_NAME.to_owned(),
    ];
    if !names.iter().any(|name| name == host) {
        names.push(host.to_owned());
    }
    let mut leaf = CertificateParams::new(names)?;
    leaf.distinguished_name.push(rcgen::DnType::CommonName, "geode");
    leaf.use_authority_key_identifier_extension = true;
    leaf.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    let key = KeyPair::generate()?;
    let leaf = leaf.signed_by(&key, &Issuer::new(ca, ca_key))?;
    Ok((ca_cert.pem(), leaf.pem(), key.serialize_pem()))
}

/// Writes a file that only its owner reads.
pub(crate) fn write_private(path: &Path, content: &[u8]) -> io::Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let mut file = fs::OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_certificates_are_made_once_and_work_for_both_ports() {
        let dir = tempfile::tempdir().unwrap();
        let first = own_certificates(dir.path(), "db.example.com")
            .unwrap()
            .load()
            .unwrap();
        let again = own_certificates(dir.path(), "db.example.com")
            .unwrap()
            .load()
            .unwrap();
        assert!(first.same(&again));
        internal_listener(&first).unwrap();
    }

    #[test]
    fn a_broken_certificate_names_its_file() {
        let dir = tempfile::tempdir().unwrap();
        let files = own_certificates(dir.path(), "localhost").unwrap();
        fs::write(&files.ca, "no PEM").unwrap();
        assert!(files.load().err().unwrap().to_string().contains("ca.crt"));
    }
}
