//! TLS 1.3 settings for QUIC clients: what is trusted, who we are, which protocol is spoken.

use quinn::crypto::rustls::QuicClientConfig;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use std::sync::Arc;

/// A certificate chain and its key, PEM.
#[derive(Clone)]
pub struct Identity {
    /// The leaf certificate first.
    pub cert_pem: Vec<u8>,
    /// Its private key.
    pub key_pem: Vec<u8>,
}

/// Which servers are believed.
#[derive(Clone)]
pub enum Trust {
    /// Those with a certificate of these authorities, PEM.
    Authorities(Vec<u8>),
    /// Any at all: only for servers on this machine.
    Anyone,
}

/// The PEM text or the pair of certificate and key is unusable.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file is not PEM.
    #[error("the {what} is not PEM: {reason}")]
    Pem {
        /// Which file.
        what: &'static str,
        /// What the parser said.
        reason: String,
    },
    /// No certificate in the file of authorities.
    #[error("the CA file holds no certificate")]
    NoAuthority,
    /// rustls refuses the combination.
    #[error("the certificate and key are unusable: {0}")]
    Unusable(#[from] rustls::Error),
}

/// The settings for QUIC connections that speak `alpn`.
pub fn client_config(
    trust: &Trust,
    identity: Option<&Identity>,
    alpn: &[u8],
) -> Result<quinn::ClientConfig, TlsError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])?;
    let builder = match trust {
        Trust::Authorities(pem) => builder.with_root_certificates(authorities(pem)?),
        Trust::Anyone => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AcceptAnyone(provider))),
    };
    let mut config = match identity {
        Some(identity) => {
            let (chain, key) = parse_identity(identity)?;
            builder.with_client_auth_cert(chain, key)?
        }
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![alpn.to_vec()];
    let quic =
        QuicClientConfig::try_from(config).expect("TLS 1.3 with the provider's cipher suites suits QUIC");
    Ok(quinn::ClientConfig::new(Arc::new(quic)))
}

/// Reads a PEM bundle of authorities.
pub fn authorities(pem: &[u8]) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates("CA file", pem)? {
        roots.add(certificate)?;
    }
    if roots.is_empty() {
        Err(TlsError::NoAuthority)
    } else {
        Ok(roots)
    }
}

/// Reads a chain and its key.
pub fn parse_identity(
    identity: &Identity,
) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), TlsError> {
    let chain = certificates("certificate", &identity.cert_pem)?;
    let key = PrivateKeyDer::from_pem_slice(&identity.key_pem).map_err(|error| TlsError::Pem {
        what: "private key",
        reason: error.to_string(),
    })?;
    Ok((chain, key))
}

fn certificates(what: &'static str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    CertificateDer::pem_slice_iter(pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| TlsError::Pem {
            what,
            reason: error.to_string(),
        })
}

/// Believes every certificate; the handshake's signatures are still checked.
#[derive(Debug)]
struct AcceptAnyone(Arc<CryptoProvider>);

impl ServerCertVerifier for AcceptAnyone {
    fn verify_server_cert(
        &self,
        _leaf: &CertificateDer<'_>,
        _chain: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(
            message,
            certificate,
            signature,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(
            message,
            certificate,
            signature,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
