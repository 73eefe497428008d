//! `kubectl geode logs NAME`.

use crate::args::LogsArgs;
use crate::kubectl::Kubectl;
use anyhow::Result;
use geode_api::{CONTAINER_SERVER, CONTAINER_SIDECAR, LABEL_CLUSTER, OBSERVERS_MAX};
use std::process::ExitCode;

/// Seven voters, and one more while a volume is replaced.
const VOTERS_MAX: i32 = 8;

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
    // As many as a cluster can have members; kubectl's own limit is five.
    let streams = format!("--max-log-requests={}", VOTERS_MAX + OBSERVERS_MAX);
    let mut command = vec!["logs", "--container", container, &tail];
    match &args.pod {
        Some(pod) => command.push(pod),
        None => command.extend([selector.as_str(), "--prefix", &streams]),
    }
    if args.follow {
        command.push("--follow");
    }
    kubectl.become_it(&command)
}
