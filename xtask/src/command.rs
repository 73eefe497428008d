//! Running programs to their end: captured output, and errors that say what was run and what it said.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// How much of a failed program's output goes into the error.
const TAIL_LINES: usize = 20;

/// Runs a program and returns its standard output.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let out = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("run {}", shown(command)))?;
    finish(command, out)
}

/// Runs a program with the text on its standard input and returns its standard output.
pub(crate) fn output_with_input(command: &mut Command, input: &str) -> Result<String> {
    let mut feed = || -> std::io::Result<std::process::Output> {
        let piped = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = piped.spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(input.as_bytes())?;
        }
        child.wait_with_output()
    };
    let fed = feed();
    let out = fed.with_context(|| format!("run {}", shown(command)))?;
    finish(command, out)
}

/// Runs a program whose output the user should see as it comes.
pub(crate) fn passthrough(command: &mut Command) -> Result<()> {
    let status = command
        .status()
        .with_context(|| format!("run {}", shown(command)))?;
    if !status.success() {
        bail!("{} ended with {status}", shown(command));
    }
    Ok(())
}

fn finish(command: &Command, out: std::process::Output) -> Result<String> {
    if !out.status.success() {
        let said = String::from_utf8_lossy(&out.stderr).into_owned() + &String::from_utf8_lossy(&out.stdout);
        bail!(
            "{} ended with {}:\n{}",
            shown(command),
            out.status,
            last_lines(&said, TAIL_LINES)
        );
    }
    Ok(String::from_utf8_lossy(&out.stdout).into_owned())
}

fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let name = program
        .file_name()
        .unwrap_or(command.get_program())
        .to_string_lossy()
        .into_owned();
    command
        .get_args()
        .fold(name, |line, argument| line + " " + &argument.to_string_lossy())
}

/// The last lines of a text, indented.
pub(crate) fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let skipped = lines.len().saturating_sub(count);
    let kept = lines.get(skipped..).unwrap_or_default();
    kept.iter().map(|line| ["    ", line, "\n"].concat()).collect()
}

/// The last lines of a log file, or why there are none.
pub(crate) fn log_tail(path: &Path) -> String {
    match std::fs::read(path) {
        Ok(bytes) => format!(
            "{}:\n{}",
            path.display(),
            last_lines(&String::from_utf8_lossy(&bytes), TAIL_LINES)
        ),
        Err(error) => format!("{}: {error}", path.display()),
    }
}
