//! `kubectl geode backup NAME [--wait]`: creates a `GeodeBackup`.

use crate::args::BackupArgs;
use crate::kubectl::Kubectl;
use anyhow::{Result, bail};
use geode_api::{BackupPhase, GROUP, GeodeBackup, VERSION};
use serde_json::json;
use std::process::ExitCode;
use std::thread::sleep;
use std::time::Duration;

const ASK_EVERY: Duration = Duration::from_secs(1);

pub(crate) fn run(kubectl: &Kubectl, args: &BackupArgs) -> Result<ExitCode> {
    kubectl.cluster(&args.name)?;
    let created = kubectl.create(&json!({
        "apiVersion": format!("{GROUP}/{VERSION}"), "kind": "GeodeBackup",
        "metadata": { "generateName": format!("{}-", args.name) },
        "spec": { "cluster": args.name, "type": args.kind },
    }))?;
    let name = created["metadata"]["name"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    if !args.wait {
        println!("geodebackup/{name} created; see `kubectl get geodebackup {name}`");
        return Ok(ExitCode::SUCCESS);
    }
    let mut said = String::new();
    loop {
        let backup: GeodeBackup =
            serde_json::from_value(kubectl.json(&["get", "geodebackup", &name, "--output", "json"])?)?;
        let status = backup.status.unwrap_or_default();
        let message = status.message.clone().unwrap_or_default();
        match status.phase {
            BackupPhase::Completed => {
                println!(
                    "geodebackup/{name} completed: {}, LSN {}, {} bytes at {}, state hash {}",
                    status.kind.unwrap_or_default(),
                    status.lsn.unwrap_or_default(),
                    status.bytes.unwrap_or_default(),
                    status.location.unwrap_or_default(),
                    status.state_hash.unwrap_or_default(),
                );
                return Ok(ExitCode::SUCCESS);
            }
            BackupPhase::Failed => bail!("geodebackup/{name} failed: {message}"),
            BackupPhase::Pending | BackupPhase::Running if message != said => {
                eprintln!("{message}");
                said = message;
            }
            BackupPhase::Pending | BackupPhase::Running => {}
        }
        sleep(ASK_EVERY);
    }
}
