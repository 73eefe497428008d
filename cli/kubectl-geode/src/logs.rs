//! `kubectl geode logs NAME`.

use crate::args::LogsArgs;
use crate::kubectl::Kubectl;
use anyhow::Result;
use geode_api::{CONTAINER_SERVER, CONTAINER_SIDECAR, LABEL_CLUSTER};
use std::process::ExitCode;

/// As many as a cluster can have members.
const STREAMS_MAX: &str = "--max-log-requests=8";

pub(crate) fn run(kubectl: &Kubectl, args: &LogsArgs) -> Result<ExitCode> {
    let container = if args.sidecar {
        CONTAINER_SIDECAR
    } else {
        CONTAINER_SERVER
    };
    let (selector, tail) = (
        format!("--selector={LABEL_CLUSTER}={}", args.name),
        format!("--tail={}", args.tail),
    );
    let mut command = vec!["logs", "--container", container, &tail];
    match &args.pod {
        Some(pod) => command.push(pod),
        None => command.extend([selector.as_str(), "--prefix", STREAMS_MAX]),
    }
    if args.follow {
        command.push("--follow");
    }
    kubectl.become_it(&command)
}
