//! `kubectl geode shell NAME`: interactive on a terminal, line by line for programs.

use crate::args::ShellArgs;
use crate::kubectl::Kubectl;
use crate::pods::choose;
use anyhow::Result;
use geode_api::CONTAINER_SERVER;
use std::io::IsTerminal;
use std::process::ExitCode;

pub(crate) fn run(kubectl: &Kubectl, args: &ShellArgs) -> Result<ExitCode> {
    let pod = choose(kubectl, &args.name, args.via.as_deref())?;
    let streams = if std::io::stdin().is_terminal() && args.format != "jsonl" {
        "-it"
    } else {
        "-i"
    };
    kubectl.become_it(&[
        "exec",
        streams,
        &pod,
        "--container",
        CONTAINER_SERVER,
        "--",
        "/geode",
        "shell",
        "--format",
        &args.format,
    ])
}
