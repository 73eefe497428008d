//! `kubectl geode`: a plugin that is a set of kubectl calls. It reaches the database by running `geode` inside a member's pod, because UDP cannot be
//! forwarded; so it works wherever kubectl works, with the same credentials. Logic of the database is not here.
#![allow(clippy::print_stdout, reason = "a program for the terminal")]

mod args;
mod backup;
mod duration;
mod kubectl;
mod logs;
mod maintenance;
mod plan;
mod pods;
mod promote;
mod query;
mod restore;
mod shell;
mod status;
mod test_restore;
mod upgrade;
mod upgrade_turn;
mod why;
mod why_orders;

use anyhow::Result;
use args::{Cli, Verb};
use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> Result<ExitCode> {
    let kubectl = kubectl::Kubectl::new(&cli.global);
    match cli.verb {
        Verb::Status(args) => status::run(&kubectl, &args),
        Verb::Query(args) => query::run(&kubectl, &args),
        Verb::Shell(args) => shell::run(&kubectl, &args),
        Verb::Promote(args) => promote::run(&kubectl, &args),
        Verb::Backup(args) => backup::run(&kubectl, &args),
        Verb::Restore(args) => restore::run(&kubectl, &args),
        Verb::TestRestore(args) => test_restore::run(&kubectl, &args),
        Verb::Upgrade(args) => match &args.to {
            Some(to) => upgrade::run(&kubectl, &args, to),
            None => upgrade_turn::run(&kubectl, &args),
        },
        Verb::Logs(args) => logs::run(&kubectl, &args),
        Verb::Plan(args) => plan::run(&kubectl, &args),
        Verb::Why(args) => why::run(&kubectl, &args),
        Verb::Maintenance(args) => maintenance::pause(&kubectl, &args),
        Verb::Fence(args) => maintenance::fence(&kubectl, &args),
        Verb::Hibernate(args) => maintenance::hibernate(&kubectl, &args),
    }
}
