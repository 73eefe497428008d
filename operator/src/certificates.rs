//! The authority of a cluster and the certificates it issues. Keys are made here and nowhere else, and leave only into Secrets.

use geode_client::tls::Identity;
use geode_planner::{Authority, Certificate};
use geode_wire::INTERNAL_DNS_NAME;
use k8s_openapi::jiff::civil::Date;
use k8s_openapi::jiff::tz::TimeZone;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PublicKeyData,
};
use sha2::{Digest, Sha256};
use x509_parser::extensions::GeneralName;
use x509_parser::pem::parse_x509_pem;

/// Life of an authority. It is not rotated in this release; ten years are longer than a cluster of it.
const AUTHORITY_DAYS: i64 = 3650;
/// Life of a member's certificate; the planner renews it when a third is left.
const MEMBER_DAYS: i64 = 365;
/// Life of the operator's own certificate; it is made anew every day.
const OPERATOR_DAYS: i64 = 7;
/// Clocks differ; a certificate begins a day before it is made.
const BACKDATE_DAYS: i64 = 1;

/// A certificate or key is unusable.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// rcgen refuses.
    #[error("cannot issue a certificate: {0}")]
    Issue(#[from] rcgen::Error),
    /// The content of a Secret is not a certificate.
    #[error("the Secret {secret} holds no readable certificate in {key}")]
    Unreadable {
        /// Secret.
        secret: String,
        /// Key in it.
        key: String,
    },
}

/// PEM of a certificate and its key.
pub struct Issued {
    /// Certificate.
    pub certificate: String,
    /// Private key.
    pub key: String,
}

/// A new authority for a cluster.
pub fn create_authority(cluster: &str, now: Timestamp) -> Result<Issued, CertificateError> {
    let mut params = CertificateParams::new(Vec::<String>::new())?;
    params
        .distinguished_name
        .push(DnType::CommonName, format!("Geode CA of {cluster}"));
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    lasts(&mut params, now, AUTHORITY_DAYS);
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?;
    Ok(Issued {
        certificate: certificate.pem(),
        key: key.serialize_pem(),
    })
}

/// A certificate for a member, under these DNS names.
pub fn issue_member(
    authority: &Issued,
    pod: &str,
    names: Vec<String>,
    now: Timestamp,
) -> Result<Issued, CertificateError> {
    let addresses = ["127.0.0.1", "::1"].map(str::to_owned);
    issue(
        authority,
        pod,
        names.into_iter().chain(addresses).collect(),
        MEMBER_DAYS,
        now,
    )
}

/// The operator's own certificate for the internal ports.
pub fn issue_operator(authority: &Issued, now: Timestamp) -> Result<Identity, CertificateError> {
    let issued = issue(
        authority,
        "geode-operator",
        vec![INTERNAL_DNS_NAME.to_owned()],
        OPERATOR_DAYS,
        now,
    )?;
    Ok(Identity {
        cert_pem: issued.certificate.into_bytes(),
        key_pem: issued.key.into_bytes(),
    })
}

fn issue(
    authority: &Issued,
    name: &str,
    names: Vec<String>,
    days: i64,
    now: Timestamp,
) -> Result<Issued, CertificateError> {
    let issuer = Issuer::from_ca_cert_pem(&authority.certificate, KeyPair::from_pem(&authority.key)?)?;
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name.push(DnType::CommonName, name);
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    lasts(&mut params, now, days);
    let key = KeyPair::generate()?;
    let certificate = params.signed_by(&key, &issuer)?;
    Ok(Issued {
        certificate: certificate.pem(),
        key: key.serialize_pem(),
    })
}

fn lasts(params: &mut CertificateParams, now: Timestamp, days: i64) {
    let date = |offset_days: i64| -> Date {
        let at = now
            .saturating_add(SignedDuration::from_hours(offset_days * 24))
            .unwrap_or(now);
        at.to_zoned(TimeZone::UTC).date()
    };
    let (from, until) = (date(-BACKDATE_DAYS), date(days));
    let moment = |date: Date| {
        rcgen::date_time_ymd(
            i32::from(date.year()),
            date.month().unsigned_abs(),
            date.day().unsigned_abs(),
        )
    };
    params.not_before = moment(from);
    params.not_after = moment(until);
}

/// Hash of a PEM text.
pub fn fingerprint(pem: &[u8]) -> String {
    geode_types::hex(&Sha256::digest(pem))
}

/// What the planner needs to know about an authority; `None` when the text is no certificate.
pub fn describe_authority(pem: &[u8]) -> Option<Authority> {
    let (_, parsed) = parse_x509_pem(pem).ok()?;
    let certificate = parsed.parse_x509().ok()?;
    let not_after = Timestamp::from_second(certificate.validity().not_after.timestamp()).ok()?;
    Some(Authority {
        fingerprint: fingerprint(pem),
        not_after,
    })
}

/// What the planner needs to know about a member's certificate; `None` when the text is no certificate, or the key is not the one it is for:
/// no member could start with them.
pub fn describe_member(pem: &[u8], key_pem: &[u8], genuine: bool) -> Option<Certificate> {
    let (_, parsed) = parse_x509_pem(pem).ok()?;
    let certificate = parsed.parse_x509().ok()?;
    let key = KeyPair::from_pem(std::str::from_utf8(key_pem).ok()?).ok()?;
    if key.subject_public_key_info() != certificate.public_key().raw {
        return None;
    }
    let names = certificate.subject_alternative_name().ok()??;
    let names = names.value.general_names.iter().filter_map(|name| match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        _ => None,
    });
    Some(Certificate {
        not_before: Timestamp::from_second(certificate.validity().not_before.timestamp()).ok()?,
        not_after: Timestamp::from_second(certificate.validity().not_after.timestamp()).ok()?,
        genuine,
        names: names.collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_members_certificate_says_what_it_was_issued_for() {
        let now: Timestamp = "2026-03-01T12:00:00Z".parse().unwrap();
        let authority = create_authority("db/a", now).unwrap();
        let leaf = issue_member(
            &authority,
            "a-0",
            vec!["a-0".into(), INTERNAL_DNS_NAME.into()],
            now,
        )
        .unwrap();
        let seen = describe_member(leaf.certificate.as_bytes(), leaf.key.as_bytes(), true).unwrap();
        assert_eq!(
            describe_member(leaf.certificate.as_bytes(), authority.key.as_bytes(), true),
            None
        );
        assert!(seen.names.contains("a-0") && seen.names.contains(INTERNAL_DNS_NAME));
        assert_eq!(seen.not_after.duration_since(now).as_hours(), 365 * 24 - 12);
        assert!(seen.not_before < now);
        assert_eq!(
            describe_authority(authority.certificate.as_bytes())
                .unwrap()
                .fingerprint,
            fingerprint(authority.certificate.as_bytes())
        );
    }
}
