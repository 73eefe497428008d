//! Runs kubectl with the user's namespace, context and kubeconfig. `KUBECTL` names another binary.

use crate::args::Global;
use anyhow::{Context, Result, bail};
use geode_api::GeodeCluster;
use serde_json::Value;
use std::ffi::OsString;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode, Output, Stdio};

pub(crate) struct Kubectl {
    program: OsString,
    flags: Vec<String>,
}

impl Kubectl {
    pub(crate) fn new(global: &Global) -> Self {
        let mut flags = Vec::new();
        for (flag, value) in [
            ("--namespace", &global.namespace),
            ("--context", &global.context),
            ("--kubeconfig", &global.kubeconfig),
        ] {
            flags.extend(value.as_ref().map(|value| format!("{flag}={value}")));
        }
        Self {
            program: std::env::var_os("KUBECTL").unwrap_or_else(|| "kubectl".into()),
            flags,
        }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        // Flags of kubectl stand before `--`, behind which another program's arguments begin.
        command.args(&self.flags).args(arguments);
        command
    }

    fn missing(&self) -> String {
        format!("cannot run {}; is kubectl in the PATH?", self.program.display())
    }

    /// Replaces this program: input, output, signals and exit code are kubectl's from here on.
    pub(crate) fn become_it(&self, arguments: &[&str]) -> Result<ExitCode> {
        Err(self.command(arguments).exec()).with_context(|| self.missing())
    }

    /// What it prints as JSON; its own words when it fails.
    pub(crate) fn json(&self, arguments: &[&str]) -> Result<Value> {
        let output = self
            .command(arguments)
            .stdin(Stdio::null())
            .output()
            .with_context(|| self.missing())?;
        read(&output)
    }

    /// Merges this into an object; answers with it.
    pub(crate) fn merge(&self, kind: &str, name: &str, patch: &str) -> Result<Value> {
        self.json(&[
            "patch", kind, name, "--type", "merge", "--patch", patch, "--output", "json",
        ])
    }

    /// A GeodeCluster; an error when there is none of this name.
    pub(crate) fn cluster(&self, name: &str) -> Result<GeodeCluster> {
        let object = self.json(&["get", "geodecluster", name, "--output", "json"])?;
        serde_json::from_value(object).context("read the GeodeCluster")
    }

    /// Creates an object; answers with it.
    pub(crate) fn create(&self, object: &Value) -> Result<Value> {
        let mut command = self.command(&["create", "-f", "-", "-o", "json"]);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| self.missing())?;
        if let Some(mut input) = child.stdin.take() {
            input
                .write_all(object.to_string().as_bytes())
                .context("write to kubectl")?;
        }
        read(&child.wait_with_output().context("wait for kubectl")?)
    }
}

fn read(output: &Output) -> Result<Value> {
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!(
            "{}",
            said.trim()
                .trim_start_matches("Error from server ")
                .trim_start_matches("error: ")
        );
    }
    serde_json::from_slice(&output.stdout).context("kubectl printed something else than JSON")
}
