//! What a manifest means, and what is refused in one.

use super::*;
use serde_json::json;

fn cluster(spec: Value, status: Value) -> GeodeCluster {
    serde_json::from_value(json!({
        "apiVersion": "geodedb.com/v1alpha1", "kind": "GeodeCluster",
        "metadata": {"name": "a", "namespace": "db", "uid": "6f2c1d9e-0000-4000-8000-000000000001"},
        "spec": spec, "status": status,
    }))
    .unwrap()
}

fn defaults() -> Defaults {
    Defaults {
        server_image: "reg:5000/geode:0.1.0".into(),
        sidecar_image: "reg:5000/side".into(),
        release: "0.1.0".into(),
    }
}

#[test]
fn the_image_in_use_stays_until_the_spec_names_another() {
    let in_use = json!({"images": {"server": "s:9", "sidecar": "c:9"}});
    for (spec, status, server, sidecar) in [
        (json!({}), json!(null), "reg:5000/geode:0.1.0", "reg:5000/side"),
        (json!({}), in_use.clone(), "s:9", "c:9"),
        (
            json!({"version": "0.2.0"}),
            in_use.clone(),
            "reg:5000/geode:0.2.0",
            "reg:5000/side:0.2.0",
        ),
        (
            json!({"image": "reg:5000/mine:1"}),
            in_use,
            "reg:5000/mine:1",
            "reg:5000/mine-sidecar:1",
        ),
    ] {
        let want = validate(&cluster(spec.clone(), status), &defaults()).unwrap();
        assert_eq!(
            (want.images.server.as_str(), want.images.sidecar.as_str()),
            (server, sidecar),
            "{spec}"
        );
    }
}

#[test]
fn a_version_that_skips_one_or_is_older_is_refused_and_one_that_never_got_through_is_taken_back() {
    let ran = json!({"images": {"server": "reg:5000/geode:0.2.0", "sidecar": "reg:5000/side:0.2.0"}});
    for (spec, said) in [
        (json!({"version": "0.4.0"}), Some("upgrade to 0.3 first")),
        (json!({"version": "0.1.9"}), Some("it is older")),
        (json!({"image": "reg:5000/geode:0.1.0"}), Some("it is older")),
        (json!({"version": "0.3.0"}), None),
        (json!({"version": "0.2.0"}), None),
        (json!({}), None),
    ] {
        let refused = validate(&cluster(spec.clone(), ran.clone()), &defaults());
        let refused = refused.err().map(|Invalid(message)| message);
        match said {
            Some(said) => assert!(refused.is_some_and(|message| message.contains(said)), "{spec}"),
            None => assert_eq!(refused, None, "{spec}"),
        }
    }
}

#[test]
fn config_keys_are_known_and_not_the_operators() {
    for (config, said) in [
        (json!({"sever": {"listen": "x"}}), "server"),
        (
            json!({"server": {"listen": "0.0.0.0:1"}}),
            "spec.config.server.listen is set by the operator",
        ),
        (json!({"cluster": {"timing": "fast"}}), "spec.timing"),
        (json!({"archive": {"s3": {"bucket": "b"}}}), "spec.archive.s3"),
    ] {
        let Err(Invalid(message)) = validate(&cluster(json!({"config": config}), json!(null)), &defaults())
        else {
            panic!("{config} was accepted")
        };
        assert!(message.contains(said), "{message}");
    }
    for fine in [
        json!({"performance": {"query_timeout": "30s"}}),
        json!({"cluster": {"feature_level_max": 1}}),
    ] {
        assert!(validate(&cluster(json!({"config": fine}), json!(null)), &defaults()).is_ok());
    }
}

#[test]
fn an_archive_in_any_of_three_services_is_what_geode_yaml_says_and_where_its_history_is() {
    for (archive, section, history) in [
        (
            json!({"gcs": {"bucket": "b", "credentials": {"secretName": "key"}}}),
            json!({"gcs": {"bucket": "b", "prefix": "db/a", "endpoint": "", "credentials_file": "/etc/geode/s3"}, "max_lag": "5s"}),
            "gs://b/db/a/",
        ),
        (
            json!({"azure": {"container": "c", "account": "backups", "prefix": "p", "credentials": {"secretName": "key"}}}),
            json!({
                "azure": {"container": "c", "prefix": "p", "account": "backups", "endpoint": "", "credentials_dir": "/etc/geode/s3"},
                "max_lag": "5s",
            }),
            "az://c/p/",
        ),
        (
            json!({"s3": {"bucket": "b", "endpoint": "https://s3.example.com"}, "maxLag": "2s"}),
            json!({
                "s3": {"bucket": "b", "prefix": "db/a", "endpoint": "https://s3.example.com", "region": "us-east-1"}, "max_lag": "2s",
            }),
            "s3://b/db/a/",
        ),
    ] {
        let want = validate(&cluster(json!({"archive": archive}), json!(null)), &defaults()).unwrap();
        let yaml: Value = serde_saphyr::from_str(&crate::build::geode_yaml(&want)).unwrap();
        assert_eq!(yaml["archive"], section);
        let id = want.cluster_id().unwrap();
        assert_eq!(want.archive.unwrap().history(id), format!("{history}{id}"));
    }
}
