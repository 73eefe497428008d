//! `kubectl geode promote NAME [--to POD]`: a planned transfer of leadership.

use crate::args::PromoteArgs;
use crate::kubectl::Kubectl;
use crate::pods::choose;
use anyhow::Result;
use geode_api::CONTAINER_SERVER;
use std::process::ExitCode;

pub(crate) fn run(kubectl: &Kubectl, args: &PromoteArgs) -> Result<ExitCode> {
    let pod = choose(kubectl, &args.name, None)?;
    let mut command = vec![
        "exec",
        &pod,
        "--container",
        CONTAINER_SERVER,
        "--",
        "/geode",
        "cluster",
        "failover",
    ];
    if let Some(to) = &args.to {
        command.extend(["--promote", to]);
    }
    kubectl.become_it(&command)
}
