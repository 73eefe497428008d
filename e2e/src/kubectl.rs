//! Runs kubectl and reads the environment of the tests.

use anyhow::{Context, Result, bail};
use std::io::Write;
use std::process::{Command, Output, Stdio};

/// A variable that `cargo xtask e2e` sets.
pub fn environment(name: &str) -> Result<String> {
    std::env::var(name)
        .with_context(|| format!("{name} is not set; run the end-to-end tests with `cargo xtask e2e`"))
}

/// The S3 server that pods reach.
#[derive(Clone)]
pub struct S3 {
    /// `http://host:port`.
    pub endpoint: String,
    /// Bucket.
    pub bucket: String,
    pub(crate) access_key: String,
    pub(crate) secret_key: String,
}

impl S3 {
    /// From the environment.
    pub fn from_environment() -> Result<Self> {
        Ok(Self {
            endpoint: environment("S3_ENDPOINT")?,
            bucket: environment("S3_BUCKET")?,
            access_key: environment("S3_ACCESS_KEY")?,
            secret_key: environment("S3_SECRET_KEY")?,
        })
    }

    /// Gives a program on this host the credentials.
    pub fn give_credentials<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command
            .env("AWS_ACCESS_KEY_ID", &self.access_key)
            .env("AWS_SECRET_ACCESS_KEY", &self.secret_key)
    }

    /// Makes the Secret `name` in a namespace.
    pub fn secret(&self, namespace: &str, name: &str) -> Result<()> {
        let access = format!("--from-literal=access-key={}", self.access_key);
        let secret = format!("--from-literal=secret-key={}", self.secret_key);
        kubectl(&[
            "create", "secret", "generic", name, "-n", namespace, &access, &secret,
        ])
        .map(drop)
    }
}

/// Runs kubectl; an exit code other than 0 is an error with what it said.
pub fn kubectl(arguments: &[&str]) -> Result<String> {
    read(arguments, &kubectl_status(arguments)?)
}

/// Runs kubectl with `input` on its standard input.
pub fn kubectl_input(arguments: &[&str], input: &str) -> Result<String> {
    let mut child = command(arguments)?
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    child
        .stdin
        .take()
        .context("stdin is piped")?
        .write_all(input.as_bytes())?;
    read(arguments, &child.wait_with_output()?)
}

/// Runs kubectl and gives all that came of it.
pub fn kubectl_status(arguments: &[&str]) -> Result<Output> {
    Ok(command(arguments)?.stdin(Stdio::null()).output()?)
}

pub(crate) fn command(arguments: &[&str]) -> Result<Command> {
    let mut command = Command::new(environment("KUBECTL")?);
    command.args(arguments);
    Ok(command)
}

fn read(arguments: &[&str], output: &Output) -> Result<String> {
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let answer = String::from_utf8_lossy(&output.stdout);
        bail!(
            "kubectl {}: {}: {} {}",
            arguments.join(" "),
            output.status,
            said.trim(),
            answer.trim()
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
