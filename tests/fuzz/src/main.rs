//! `geode-fuzz [--seconds N] [--target NAME] [--seed N] [--case N]`: each target for so long, as many at a time as there are cores, each in a
//! process of its own, as a stack that overflows takes its process with it.

use clap::Parser;
use geode_fuzz::targets::{TARGETS, Target};
use geode_fuzz::worker;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

/// Deeply nested statements need room, as they have in a server.
const STACK_BYTES: usize = 8 << 20;

/// Feeds what takes input from outside with bent input.
#[derive(Debug, Parser)]
#[command(name = "geode-fuzz")]
struct Arguments {
    /// How long, each target.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Only this target.
    #[arg(long)]
    target: Option<String>,
    /// Chooses the cases; the time of day when absent.
    #[arg(long)]
    seed: Option<u64>,
    /// Only this case.
    #[arg(long)]
    case: Option<u64>,
    /// Where to note the number of the case under way; whoever gives it waits for this process.
    #[arg(long, hide = true)]
    state: Option<PathBuf>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let chosen: Vec<&Target> = TARGETS
        .iter()
        .filter(|target| arguments.target.as_deref().is_none_or(|name| name == target.name))
        .collect();
    if chosen.is_empty() {
        let names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
        eprintln!("error: there is no such target; there are {}", names.join(", "));
        return ExitCode::FAILURE;
    }
    let work = move || match (&arguments.state, arguments.case) {
        (None, None) => all_watched(&chosen, &arguments),
        (state, case) => chosen
            .iter()
            .all(|target| alone(target, &arguments, state.as_deref(), case)),
    };
    let thread = std::thread::Builder::new().stack_size(STACK_BYTES).spawn(work);
    match thread.map(std::thread::JoinHandle::join) {
        Ok(Ok(true)) => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

/// Runs each target, one on each core; whether all went well.
fn all_watched(chosen: &[&Target], arguments: &Arguments) -> bool {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let (waiting, well) = (Mutex::new(chosen.iter()), AtomicBool::new(true));
    // On its own, so that the lock is not held while a target runs.
    let next = || waiting.lock().ok()?.next();
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                while let Some(target) = next() {
                    if !watched(target, arguments) {
                        well.store(false, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    well.into_inner()
}

/// Runs a target in a process of its own; whether it went well.
fn watched(target: &Target, arguments: &Arguments) -> bool {
    let seed = arguments.seed.unwrap_or_else(time_of_day);
    let Ok(state) = tempfile::NamedTempFile::new() else {
        eprintln!("error: no temporary file can be made");
        return false;
    };
    let mut worker = Command::new(std::env::current_exe().unwrap_or_else(|_| "geode-fuzz".into()));
    worker.args(["--target", target.name, "--seed", &seed.to_string()]);
    worker
        .args(["--seconds", &arguments.seconds.to_string(), "--state"])
        .arg(state.path());
    match worker.status() {
        Ok(status) if status.success() => true,
        // The worker has said what it found.
        Ok(status) if status.code().is_some() => false,
        Ok(status) => {
            let mut case = [0; 8];
            let _ = state.reopen().and_then(|mut file| file.read_exact(&mut case));
            println!("{}: the process ended: {status}", target.name);
            replay(target, u64::from_le_bytes(case));
            false
        }
        Err(error) => {
            eprintln!("error: {error}");
            false
        }
    }
}

/// Runs a target, or one case of it, in this process; whether it went well.
fn alone(target: &Target, arguments: &Arguments, state: Option<&Path>, case: Option<u64>) -> bool {
    // Panics are told with their case.
    std::panic::set_hook(Box::new(|_| {}));
    let state = state.and_then(|path| std::fs::OpenOptions::new().write(true).open(path).ok());
    let seed = arguments.seed.unwrap_or_else(time_of_day);
    let result = match case {
        Some(case) => worker::run_case(target, &(target.corpus)(), case).map(|()| 1),
        None => worker::run(
            target,
            seed,
            Duration::from_secs(arguments.seconds),
            state.as_ref(),
        ),
    };
    match result {
        Ok(count) => {
            println!("{}: {count} cases, nothing found (seed {seed})", target.name);
            true
        }
        Err(finding) => {
            println!("{}: {}", target.name, finding.message);
            replay(target, finding.case);
            false
        }
    }
}

/// The one line that repeats a finding.
fn replay(target: &Target, case: u64) {
    println!("  again: cargo xtask fuzz --target {} --case {case}", target.name);
}

fn time_of_day() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(1, |since| since.as_nanos() as u64)
}
