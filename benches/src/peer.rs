//! A peer in a process of its own: a program of `benches/peers` that speaks JSON lines.

use crate::program;
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

pub(crate) struct Peer {
    process: Child,
    to: Option<ChildStdin>,
    from: BufReader<ChildStdout>,
    pub(crate) name: String,
}

impl Peer {
    /// Starts `<script>.py`, which keeps its files in the folder.
    pub(crate) fn start(script: &str, folder: &Path) -> Result<Self> {
        let mut process = Command::new(program("PEER_PYTHON")?)
            .arg(Path::new(&program("PEER_SCRIPTS")?).join(format!("{script}.py")))
            .arg(folder)
            .arg(program("PEER_JARS")?)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("start {script}"))?;
        let to = process.stdin.take();
        let from = BufReader::new(process.stdout.take().context("its output is piped")?);
        let mut peer = Self {
            process,
            to,
            from,
            name: script.to_owned(),
        };
        let hello = peer.hear()?;
        let text = |key: &str| hello[key].as_str().unwrap_or_default().to_owned();
        peer.name = format!("{} {}", text("name"), text("version"));
        Ok(peer)
    }

    fn hear(&mut self) -> Result<Value> {
        let mut line = String::new();
        if self.from.read_line(&mut line)? == 0 {
            bail!("{} has ended: {}", self.name, self.process.wait()?);
        }
        serde_json::from_str(&line).with_context(|| format!("{} said {line:?}", self.name))
    }

    /// Sends a request and waits for its answer; what the peer cannot be asked is an answer with `error`.
    pub(crate) fn ask(&mut self, request: &Value) -> Result<Value> {
        let to = self.to.as_mut().context("its input is piped")?;
        writeln!(to, "{request}").with_context(|| format!("{} reads", self.name))?;
        self.hear()
    }
}

/// What an answer took, as the peer measured it.
pub(crate) fn seconds(answer: &Value) -> Result<f64> {
    answer["seconds"].as_f64().context("seconds")
}

impl Drop for Peer {
    fn drop(&mut self) {
        // The end of its input is the peer's end; it takes its own children with it.
        drop(self.to.take());
        let _ = self.process.wait();
    }
}
