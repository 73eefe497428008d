//! `kubectl geode query NAME 'TEXT'`.

use crate::args::QueryArgs;
use crate::kubectl::Kubectl;
use crate::pods::choose;
use anyhow::Result;
use geode_api::CONTAINER_SERVER;
use std::process::ExitCode;

pub(crate) fn run(kubectl: &Kubectl, args: &QueryArgs) -> Result<ExitCode> {
    let pod = choose(kubectl, &args.name, args.via.as_deref())?;
    let mut command = vec![
        "exec",
        &pod,
        "--container",
        CONTAINER_SERVER,
        "--",
        "/geode",
        "query",
        "--format",
        &args.output,
    ];
    for param in &args.params {
        command.extend(["--param", param]);
    }
    if let Some(lsn) = &args.read_lsn {
        command.extend(["--read-lsn", lsn]);
    }
    command.extend(["--", &args.text]);
    kubectl.become_it(&command)
}
