//! Certificates for members on loopback.

use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use std::path::Path;

/// A CA and one certificate for everybody on loopback: `ca.crt`, `tls.crt`, `tls.key`.
pub fn certificates(root: &Path) {
    let mut ca = CertificateParams::new(Vec::<String>::new()).expect("no names");
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca_key = KeyPair::generate().expect("a key");
    let ca_pem = ca.self_signed(&ca_key).expect("a CA").pem();
    let names = ["localhost", "127.0.0.1", "internal.geodedb.com"].map(str::to_owned);
    let mut leaf = CertificateParams::new(names).expect("valid names");
    leaf.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    let key = KeyPair::generate().expect("a key");
    let leaf = leaf
        .signed_by(&key, &Issuer::new(ca, ca_key))
        .expect("a certificate");
    for (name, text) in [
        ("ca.crt", ca_pem),
        ("tls.crt", leaf.pem()),
        ("tls.key", key.serialize_pem()),
    ] {
        std::fs::write(root.join(name), text).expect("write a certificate");
    }
}
