//! Long-running programs of the cluster: start in a network namespace, recognise again, stop.
//!
//! A process is remembered as its id **and** its start time, so that a reused id is never taken for ours. Ends only such
//! processes, never any by name.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::layout::Layout;
use crate::command;
use crate::prerequisites::search_path;

/// How long a process may take to end when it is asked to.
const GRACE: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(20);

/// A program to run, and how.
pub(crate) struct Daemon<'a> {
    /// Its name in the cluster: of its log and of its pid file.
    pub(crate) name: String,
    /// Its network namespace.
    pub(crate) namespace: String,
    /// What to run.
    pub(crate) program: &'a Path,
    /// With what.
    pub(crate) arguments: Vec<String>,
    /// Further environment.
    pub(crate) environment: Vec<(&'static str, String)>,
}

/// A process that was started by this or an earlier xtask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Process {
    id: u32,
    started: u64,
}

impl Daemon<'_> {
    /// Starts it in a session of its own, so that it outlives xtask and its terminal. Keeps it when it runs already.
    pub(crate) fn start(&self, layout: &Layout) -> Result<()> {
        if is_running(layout, &self.name) {
            return Ok(());
        }
        let log_path = layout.log(&self.name);
        for folder in [log_path.parent(), Some(layout.pids().as_path())]
            .into_iter()
            .flatten()
        {
            fs::create_dir_all(folder)?;
        }
        let log = File::options().create(true).append(true).open(&log_path)?;
        let mut command = Command::new("setsid");
        command
            .arg("nsenter")
            .arg(format!("--net=/run/netns/{}", self.namespace))
            .arg(self.program);
        command
            .args(&self.arguments)
            .env("PATH", search_path())
            .current_dir("/");
        // The cluster's programs must not inherit the user's choice of cluster.
        command
            .env_remove("KUBECONFIG")
            .envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let child = command.spawn().with_context(|| format!("start {}", self.name))?;
        let process = Process::of(child.id())
            .with_context(|| format!("{} ended at once; see {}", self.name, log_path.display()))?;
        fs::write(
            pid_file(layout, &self.name),
            format!("{} {}\n", process.id, process.started),
        )
        .with_context(|| format!("remember the process of {}", self.name))
    }
}

impl Process {
    /// The process with this id, unless it has ended.
    pub(crate) fn of(id: u32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
        // The second field is the program's name in brackets, which may hold anything.
        let mut fields = stat.rsplit_once(") ")?.1.split(' ');
        let state = fields.next()?;
        // `starttime` is field 22 of stat(5), and `state` was field 3.
        let started = fields.nth(18)?.parse().ok()?;
        (state != "Z" && state != "X").then_some(Self { id, started })
    }

    fn is_alive(self) -> bool {
        Self::of(self.id) == Some(self)
    }
}

/// Whether the named daemon runs.
pub(crate) fn is_running(layout: &Layout, name: &str) -> bool {
    remembered(layout, name).is_some()
}

/// Ends the named daemons as a power cut would.
pub(crate) fn cut(layout: &Layout, names: &[String]) -> Result<()> {
    let processes: Vec<Process> = names.iter().filter_map(|name| remembered(layout, name)).collect();
    kill(&processes)?;
    forget(layout, names)
}

/// Ends processes by force and waits until they are gone.
pub(crate) fn kill(processes: &[Process]) -> Result<()> {
    let alive: Vec<String> = processes
        .iter()
        .filter(|process| process.is_alive())
        .map(|process| process.id.to_string())
        .collect();
    if alive.is_empty() {
        return Ok(());
    }
    // A process may end between the look and the signal: that is no error.
    let script = format!("kill -KILL {} 2>/dev/null || true", alive.join(" "));
    command::output(Command::new("sh").args(["-c", &script]))?;
    let start = Instant::now();
    while start.elapsed() < GRACE && processes.iter().any(|process| process.is_alive()) {
        thread::sleep(POLL);
    }
    Ok(())
}

/// The last lines of the logs of daemons that do not run but should.
pub(crate) fn fallen(layout: &Layout, names: &[String]) -> Option<String> {
    let tails: Vec<String> = names
        .iter()
        .filter(|name| !is_running(layout, name))
        .map(|name| {
            format!(
                "{name} does not run; its log {}",
                command::log_tail(&layout.log(name))
            )
        })
        .collect();
    (!tails.is_empty()).then(|| tails.join("\n"))
}

fn remembered(layout: &Layout, name: &str) -> Option<Process> {
    let text = fs::read_to_string(pid_file(layout, name)).ok()?;
    let (id, started) = text.trim().split_once(' ')?;
    let process = Process {
        id: id.parse().ok()?,
        started: started.parse().ok()?,
    };
    process.is_alive().then_some(process)
}

fn forget(layout: &Layout, names: &[String]) -> Result<()> {
    for name in names {
        match fs::remove_file(pid_file(layout, name)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
    }
    Ok(())
}

fn pid_file(layout: &Layout, name: &str) -> PathBuf {
    layout.pids().join(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_known_by_its_id_and_start() {
        let me = Process::of(std::process::id()).unwrap();
        assert!(me.is_alive());
        let other = Process {
            started: me.started + 1,
            ..me
        };
        assert!(
            !other.is_alive(),
            "the same id with another start is another process"
        );
    }

    #[test]
    fn an_ended_process_that_nobody_waited_for_is_not_alive() {
        let mut child = Command::new("true").spawn().unwrap();
        thread::sleep(Duration::from_millis(200));
        assert_eq!(Process::of(child.id()), None);
        child.wait().unwrap();
    }
}
