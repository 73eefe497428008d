//! `geode.yaml`: what the manifest says, then `spec.config` on top. Every member reads the same text; `${GEODE_NODE_ID}` makes the difference.

use crate::archive::{Archive, ArchiveService};
use crate::build::metadata;
use crate::object::{Kind, Object};
use crate::want::Want;
use geode_api::{ANNOTATION_BUILDER, ANNOTATION_TEMPLATE};
use serde_json::{Value, json};

pub(crate) const CONFIG_FILE: &str = "geode.yaml";
/// Where a pod finds the credentials of its archive.
pub(crate) const CREDENTIALS: &str = "/etc/geode/s3";
/// Where it finds those of the archive's copy.
pub(super) const COPY_CREDENTIALS: &str = "/etc/geode/s3-copy";
/// Where it finds the keys of its archive.
pub(crate) const ARCHIVE_KEYS: &str = "/etc/geode/archive-keys";

pub(super) fn build(want: &Want, template: &str) -> Object {
    let annotations = [
        (ANNOTATION_TEMPLATE, template),
        (ANNOTATION_BUILDER, want.release.as_str()),
    ];
    Object::new(
        Kind::ConfigMap,
        want.names.config(),
        json!({ "metadata": metadata(want, &annotations), "data": { CONFIG_FILE: geode_yaml(want) } }),
    )
}

/// The text of `geode.yaml`.
pub fn geode_yaml(want: &Want) -> String {
    let mut config = from_manifest(want);
    merge(&mut config, &Value::Object(want.config.clone()));
    serde_saphyr::to_string(&config).expect("invariant: plain data is YAML")
}

fn from_manifest(want: &Want) -> Value {
    let names = &want.names;
    let node = "${GEODE_NODE_ID}";
    let mut config = json!({
        "cluster": {
            "name": names.cluster,
            "node": { "id": node, "address": names.client_address(node) },
            "internal_address": names.internal_address(node),
            "timing": want.timing,
            "discovery": { "method": "kubernetes", "service": names.peers_domain() },
        },
        "server": {
            "listen": "0.0.0.0:3141",
            "internal_listen": "0.0.0.0:3142",
            "tls": {
                "cert_file": format!("/etc/geode/tls/{node}.crt"),
                "key_file": format!("/etc/geode/tls/{node}.key"),
                "client_ca": "/etc/geode/tls/ca.crt",
            },
        },
        "auth": { "admin_user": "admin", "admin_password_file": "/etc/geode/auth/password" },
        "storage": { "data_dir": "/var/lib/geode/data", "wal_dir": "/var/lib/geode/wal" },
        "sidecar": { "listen": "0.0.0.0:9090" },
        "logging": { "level": "info", "format": "json" },
    });
    if let Some(archive) = &want.archive {
        let (service, place) = place(archive);
        config["archive"] = json!({ service: place, "max_lag": archive.max_lag });
        if let Some(copy) = &archive.copy {
            config["archive"]["copy"] = json!({
                "bucket": copy.bucket, "prefix": copy.prefix, "endpoint": copy.endpoint, "region": copy.region,
            });
            if let Some(class) = &copy.storage_class {
                config["archive"]["copy"]["storage_class"] = class.as_str().into();
            }
            if copy.credentials.is_some() {
                config["archive"]["copy"]["credentials_dir"] = COPY_CREDENTIALS.into();
            }
        }
        if let Some(compression) = &archive.compression {
            config["archive"]["compression"] = compression.as_str().into();
        }
        if archive.encryption.is_some() {
            config["archive"]["encryption"] = json!({ "keys": ARCHIVE_KEYS });
        }
    }
    config
}

/// The section of an archive's place, and its name.
fn place(archive: &Archive) -> (&'static str, Value) {
    let (service, mut place) = match &archive.service {
        ArchiveService::S3 => (
            "s3",
            json!({ "bucket": archive.bucket, "prefix": archive.prefix, "endpoint": archive.endpoint, "region": archive.region }),
        ),
        ArchiveService::Google => (
            "gcs",
            json!({ "bucket": archive.bucket, "prefix": archive.prefix, "endpoint": archive.endpoint }),
        ),
        ArchiveService::Azure { account } => (
            "azure",
            json!({ "container": archive.bucket, "prefix": archive.prefix, "account": account, "endpoint": archive.endpoint }),
        ),
    };
    if archive.credentials.is_some() {
        let key = match archive.service {
            ArchiveService::Google => "credentials_file",
            ArchiveService::S3 | ArchiveService::Azure { .. } => "credentials_dir",
        };
        place[key] = CREDENTIALS.into();
    }
    if let Some(class) = &archive.storage_class {
        place["storage_class"] = class.as_str().into();
    }
    (service, place)
}

/// Maps are merged key by key; anything else on top replaces what is below.
fn merge(base: &mut Value, top: &Value) {
    match (base, top) {
        (Value::Object(base), Value::Object(top)) => {
            for (key, value) in top {
                merge(base.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (base, top) => *base = top.clone(),
    }
}
