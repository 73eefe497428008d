//! From text to a valid [`Config`], or to problems that say what is wrong, where, and what is right.

use crate::Config;
use crate::archive;
use geode_types::{FeatureLevel, nearest};
use serde_json::{Map, Value};
use std::fmt;
use std::path::Path;

/// One thing that is wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The key, with dots.
    pub key: String,
    /// What is wrong and what to write instead.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.key.is_empty() {
            f.write_str(&self.message)
        } else {
            write!(f, "{}: {}", self.key, self.message)
        }
    }
}

/// The configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// Which file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// It is not YAML or TOML.
    #[error("{origin}: {reason}")]
    Syntax {
        /// Which file.
        origin: String,
        /// What the parser said.
        reason: String,
    },
    /// Keys or values are wrong.
    #[error("{origin}: {}", .problems.iter().map(Problem::to_string).collect::<Vec<_>>().join("; "))]
    Invalid {
        /// Which file.
        origin: String,
        /// All of them.
        problems: Vec<Problem>,
    },
}

impl Config {
    /// Reads `path` (TOML when it ends in `.toml`, else YAML). `variable` looks up `${GEODE_…}`: the environment, in `main`.
    pub fn load(path: &Path, variable: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let origin = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read {
            path: origin.clone(),
            source,
        })?;
        let toml = path.extension().is_some_and(|extension| extension == "toml");
        Self::parse(&text, toml, &origin, variable)
    }

    /// Reads text.
    pub fn parse(
        text: &str,
        toml: bool,
        origin: &str,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigError> {
        let syntax = |reason: String| ConfigError::Syntax {
            origin: origin.to_owned(),
            reason,
        };
        let mut tree: Value = if toml {
            toml::from_str(text).map_err(|error| syntax(error.to_string()))?
        } else if text.trim().is_empty() {
            Value::Object(Map::new())
        } else {
            serde_saphyr::from_str(text).map_err(|error| syntax(error.to_string()))?
        };
        let mut problems = Vec::new();
        expand(&mut tree, "", &variable, &mut problems);
        let config = check(tree, problems);
        config.map_err(|problems| ConfigError::Invalid {
            origin: origin.to_owned(),
            problems,
        })
    }
}

/// Checks what a manifest's `spec.config` adds: keys and values as in `geode.yaml`.
pub fn validate_overrides(overrides: &Value) -> Result<(), Vec<String>> {
    check(overrides.clone(), Vec::new())
        .map(drop)
        .map_err(|problems| problems.iter().map(Problem::to_string).collect())
}

fn check(tree: Value, mut problems: Vec<Problem>) -> Result<Config, Vec<Problem>> {
    let mut schema = sample(&Config::default());
    complete(&mut schema);
    unknown_keys(&tree, &schema, "", &mut problems);
    if !problems.is_empty() {
        return Err(problems);
    }
    let mut config = Config::default();
    for section in [
        "cluster",
        "server",
        "auth",
        "storage",
        "sidecar",
        "archive",
        "performance",
        "logging",
    ] {
        let Some(value) = tree.get(section) else { continue };
        if let Err(problem) = read_section(&mut config, section, value.clone()) {
            problems.push(problem);
        }
    }
    limits(&config, &mut problems);
    if problems.is_empty() {
        Ok(config)
    } else {
        Err(problems)
    }
}

/// `Option` sections serialise as null; show their keys, so that they are known.
fn complete(schema: &mut Value) {
    schema["server"]["tls"] = sample(&crate::Tls::default());
    schema["archive"]["s3"] = sample(&crate::S3::default());
    schema["archive"]["gcs"] = sample(&crate::Gcs::default());
    schema["archive"]["azure"] = sample(&crate::Azure::default());
    schema["archive"]["copy"] = sample(&crate::S3::default());
    schema["archive"]["encryption"] = sample(&crate::Encryption::default());
}

fn sample(section: &impl serde::Serialize) -> Value {
    serde_json::to_value(section).expect("the model is plain data")
}

fn read_section(config: &mut Config, section: &str, value: Value) -> Result<(), Problem> {
    fn into<T: serde::de::DeserializeOwned>(
        target: &mut T,
        section: &str,
        value: Value,
    ) -> Result<(), Problem> {
        *target = serde_json::from_value(value).map_err(|error| Problem {
            key: section.to_owned(),
            message: error.to_string(),
        })?;
        Ok(())
    }
    match section {
        "cluster" => into(&mut config.cluster, section, value),
        "server" => into(&mut config.server, section, value),
        "auth" => into(&mut config.auth, section, value),
        "storage" => into(&mut config.storage, section, value),
        "sidecar" => into(&mut config.sidecar, section, value),
        "archive" => into(&mut config.archive, section, value),
        "performance" => into(&mut config.performance, section, value),
        _ => into(&mut config.logging, section, value),
    }
}

fn unknown_keys(tree: &Value, schema: &Value, prefix: &str, problems: &mut Vec<Problem>) {
    let Some(known) = schema.as_object() else { return };
    let Some(fields) = tree.as_object() else {
        if !tree.is_null() {
            problems.push(Problem {
                key: prefix.to_owned(),
                message: "must be a section with keys".to_owned(),
            });
        }
        return;
    };
    for (name, value) in fields {
        let key = if prefix.is_empty() {
            name.clone()
        } else {
            format!("{prefix}.{name}")
        };
        match known.get(name) {
            Some(inner) => unknown_keys(value, inner, &key, problems),
            None => {
                let near = nearest(name, known.keys().map(String::as_str));
                let advice = near.map_or_else(
                    || {
                        format!(
                            "known keys here: {}",
                            known.keys().cloned().collect::<Vec<_>>().join(", ")
                        )
                    },
                    |near| format!("did you mean {near}?"),
                );
                problems.push(Problem {
                    key,
                    message: format!("unknown key; {advice}"),
                });
            }
        }
    }
}

/// Replaces `${GEODE_X}` in every string.
fn expand(
    tree: &mut Value,
    key: &str,
    variable: &impl Fn(&str) -> Option<String>,
    problems: &mut Vec<Problem>,
) {
    match tree {
        Value::String(text) => {
            while let Some((start, end)) = text
                .find("${")
                .and_then(|start| Some((start, start + text[start..].find('}')?)))
            {
                let name = &text[start + 2..end];
                let Some(value) = name.starts_with("GEODE_").then(|| variable(name)).flatten() else {
                    let message = format!(
                        "the environment variable {name} is not set (only names that begin with GEODE_ are read)"
                    );
                    problems.push(Problem {
                        key: key.to_owned(),
                        message,
                    });
                    return;
                };
                text.replace_range(start..=end, &value.replace("${", ""));
            }
        }
        Value::Array(items) => items
            .iter_mut()
            .for_each(|item| expand(item, key, variable, problems)),
        Value::Object(fields) => {
            for (name, value) in fields.iter_mut() {
                let key = if key.is_empty() {
                    name.clone()
                } else {
                    format!("{key}.{name}")
                };
                expand(value, &key, variable, problems);
            }
        }
        _ => {}
    }
}

fn limits(config: &Config, problems: &mut Vec<Problem>) {
    let mut require = |holds: bool, key: &str, message: &str| {
        if !holds {
            problems.push(Problem {
                key: key.to_owned(),
                message: message.to_owned(),
            });
        }
    };
    let address = |text: &str| {
        text.rsplit_once(':')
            .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
    };
    require(
        address(&config.server.listen),
        "server.listen",
        "must be host:port, for example 0.0.0.0:3141",
    );
    require(
        address(&config.cluster.node.address),
        "cluster.node.address",
        "must be host:port, for example db-0.example.com:3141",
    );
    for (key, text) in [
        ("server.internal_listen", &config.server.internal_listen),
        ("server.metrics_listen", &config.server.metrics_listen),
        ("sidecar.listen", &config.sidecar.listen),
        ("cluster.internal_address", &config.cluster.internal_address),
    ] {
        require(
            text.is_empty() || address(text),
            key,
            "must be host:port, or empty",
        );
    }
    require(
        !config.cluster.node.id.is_empty(),
        "cluster.node.id",
        "must not be empty",
    );
    let levels = FeatureLevel::FIRST..=FeatureLevel::NEWEST;
    require(
        levels.contains(&config.cluster.feature_level_max),
        "cluster.feature_level_max",
        &format!("must be between {} and {}", levels.start(), levels.end()),
    );
    require(
        (1..=100_000).contains(&config.server.max_connections),
        "server.max_connections",
        "must be between 1 and 100000",
    );
    require(
        config.storage.snapshot_entries >= 100,
        "storage.snapshot_entries",
        "must be at least 100",
    );
    require(
        config.storage.wal.segment_bytes.0 >= 1 << 20,
        "storage.wal.segment_bytes",
        "must be at least 1Mi",
    );
    for (key, stall) in [
        ("storage.stall_hand_over", config.storage.stall_hand_over),
        ("storage.wal.stall_hand_over", config.storage.wal.stall_hand_over),
    ] {
        let long_enough = stall.0 >= std::time::Duration::from_millis(500);
        require(long_enough, key, "must be at least 500ms");
    }
    require(
        config.storage.wal.stall_max > config.storage.wal.stall_hand_over,
        "storage.wal.stall_max",
        "must be longer than storage.wal.stall_hand_over",
    );
    require(
        config.storage.map_size.0 >= 64 << 20,
        "storage.map_size",
        "must be at least 64Mi",
    );
    require(
        !config.performance.query_timeout.0.is_zero(),
        "performance.query_timeout",
        "must be longer than zero",
    );
    require(
        !config.performance.transaction_timeout.0.is_zero(),
        "performance.transaction_timeout",
        "must be longer than zero",
    );
    archive::limits(&config.archive, require);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Duration, Timing};

    fn parse(text: &str) -> Result<Config, ConfigError> {
        Config::parse(text, false, "geode.yaml", |name| {
            (name == "GEODE_NODE_ID").then(|| "social-1".to_owned())
        })
    }

    #[test]
    fn an_empty_file_is_the_embedded_default() {
        assert_eq!(parse("").unwrap(), Config::default());
    }

    #[test]
    fn keys_of_the_guides_are_read_in_yaml_and_toml() {
        let yaml = "server:\n  listen: 0.0.0.0:3141\n  max_connections: 50\nstorage:\n  data_dir: /var/lib/geode/data\ncluster:\n  timing: fast\n";
        let toml = "[server]\nlisten = \"0.0.0.0:3141\"\nmax_connections = 50\n[storage]\ndata_dir = \"/var/lib/geode/data\"\n[cluster]\ntiming = \"fast\"\n";
        let read = parse(yaml).unwrap();
        assert_eq!(
            (read.server.max_connections, read.cluster.timing),
            (50, Timing::Fast)
        );
        assert_eq!(Config::parse(toml, true, "geode.toml", |_| None).unwrap(), read);
    }

    #[test]
    fn variables_are_filled_in_and_only_geodes_own() {
        let read =
            parse("cluster:\n  node:\n    id: ${GEODE_NODE_ID}\n    address: ${GEODE_NODE_ID}.peers:3141\n")
                .unwrap();
        assert_eq!(
            (read.cluster.node.id.as_str(), read.internal_address().as_str()),
            ("social-1", "social-1.peers:3142")
        );
        for bad in ["${HOME}", "${GEODE_OTHER}"] {
            assert!(
                parse(&format!("cluster: {{name: \"{bad}\"}}"))
                    .unwrap_err()
                    .to_string()
                    .contains("not set")
            );
        }
    }

    #[test]
    fn an_unknown_key_is_refused_with_the_nearest_right_one() {
        let error = parse("sever:\n  listen: x\n").unwrap_err().to_string();
        assert_eq!(error, "geode.yaml: sever: unknown key; did you mean server?");
        let error = parse("server:\n  tls:\n    cert_fiel: x\n")
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("server.tls.cert_fiel: unknown key; did you mean cert_file?"),
            "{error}"
        );
        assert_eq!(
            validate_overrides(&serde_json::json!({"sever": {}})).unwrap_err(),
            ["sever: unknown key; did you mean server?"]
        );
    }

    #[test]
    fn wrong_values_say_what_is_right() {
        for (text, part) in [
            ("server: {listen: nonsense}", "server.listen: must be host:port"),
            ("archive: {max_lag: soon}", "a duration such as 300ms"),
            ("cluster: {timing: slow}", "fast"),
            (
                "archive: {s3: {endpoint: minio:9000, bucket: b}}",
                "must begin with http",
            ),
            (
                "archive: {copy: {bucket: b}}",
                "archive.copy: is a copy of an archive",
            ),
            (
                "archive: {s3: {bucket: b}, gcs: {bucket: b}}",
                "archive: goes to one place",
            ),
            (
                "archive: {gcs: {prefix: p}}",
                "archive.gcs.bucket: must name a bucket",
            ),
            (
                "archive: {azure: {container: c}}",
                "archive.azure.account: must name a storage account",
            ),
            ("archive: {compression: bzip2}", "zstd"),
            ("archive: {encryption: {}}", "archive.encryption.keys: must name"),
            ("archive: {encryption: {key: x}}", "did you mean keys?"),
            ("storage: 5", "must be a section"),
            ("server: [", "geode.yaml"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn a_rendered_config_reads_back() {
        let mut config = Config::default();
        config.archive.max_lag = Duration::millis(1500);
        let tree = serde_json::to_value(&config).unwrap();
        assert_eq!(check(tree, Vec::new()).unwrap(), config);
    }
}
