//! `kubectl geode upgrade NAME --pause | --resume | --abort`: an upgrade stands still, goes on, or is taken back.

use crate::args::UpgradeArgs;
use crate::kubectl::Kubectl;
use anyhow::{Result, bail};
use geode_api::GeodeCluster;
use serde_json::{Value, json};
use std::process::ExitCode;

pub(crate) fn run(kubectl: &Kubectl, args: &UpgradeArgs) -> Result<ExitCode> {
    let cluster = kubectl.cluster(&args.name)?;
    let (patch, said) = turn(&cluster, args)?;
    kubectl.merge("geodecluster", &args.name, &patch.to_string())?;
    println!("{said}");
    Ok(ExitCode::SUCCESS)
}

/// What is changed in the manifest, and a line about it.
fn turn(cluster: &GeodeCluster, args: &UpgradeArgs) -> Result<(Value, String)> {
    let name = &args.name;
    let hold = |held: Value| json!({ "spec": { "maintenance": { "holdUpdates": held } } });
    if args.pause {
        let said =
            format!("{name}: no further pod restarts; members of both versions work together meanwhile.");
        return Ok((hold(true.into()), said));
    }
    if args.resume {
        return Ok((hold(Value::Null), format!("{name}: the upgrade goes on.")));
    }
    let images = cluster.status.as_ref().and_then(|status| status.images.as_ref());
    let Some(ran) = images
        .and_then(|images| images.server.rsplit_once(':'))
        .map(|(_, tag)| tag)
    else {
        bail!("the operator has not recorded what the members of {name} run; nothing was changed");
    };
    if let Some(image) = &cluster.spec.image {
        bail!("spec.image names {image}; apply the manifest from before instead. Nothing was changed");
    }
    if cluster
        .spec
        .version
        .as_deref()
        .is_none_or(|version| version == ran)
    {
        bail!(
            "there is nothing to take back: every member of {name} has run {ran}, and the manifest asks for nothing else"
        );
    }
    let mut patch = hold(Value::Null);
    patch["spec"]["version"] = ran.into();
    Ok((
        patch,
        format!("{name}: back to {ran}; only members that run something else restart."),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster(version: Value) -> GeodeCluster {
        serde_json::from_value(json!({
            "apiVersion": "geodedb.com/v1alpha1", "kind": "GeodeCluster", "metadata": {"name": "a"}, "spec": {"version": version},
            "status": {"images": {"server": "reg:5000/geode:1.0.0", "sidecar": "s:1.0.0"}},
        }))
        .unwrap()
    }

    fn args(pause: bool, resume: bool, abort: bool) -> UpgradeArgs {
        UpgradeArgs {
            name: "a".into(),
            to: None,
            plan: false,
            wait: false,
            backup_within: "24h".into(),
            without_backup: false,
            pause,
            resume,
            abort,
        }
    }

    #[test]
    fn an_upgrade_is_held_goes_on_and_is_taken_back_to_what_all_members_ran() {
        let underway = cluster(json!("1.1.0"));
        for (args, patch) in [
            (
                args(true, false, false),
                json!({"spec": {"maintenance": {"holdUpdates": true}}}),
            ),
            (
                args(false, true, false),
                json!({"spec": {"maintenance": {"holdUpdates": null}}}),
            ),
            (
                args(false, false, true),
                json!({"spec": {"maintenance": {"holdUpdates": null}, "version": "1.0.0"}}),
            ),
        ] {
            assert_eq!(turn(&underway, &args).unwrap().0, patch);
        }
        for done in [cluster(json!("1.0.0")), cluster(Value::Null)] {
            let error = turn(&done, &args(false, false, true)).unwrap_err().to_string();
            assert!(error.contains("nothing to take back"), "{error}");
        }
    }
}
