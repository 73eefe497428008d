//! A writer that keeps books: one numbered write after another through `kubectl geode shell`, each acknowledged, refused or unknown.

use crate::{Cluster, kubectl::command};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// What became of the writes.
#[derive(Debug, Default)]
pub struct Account {
    /// Acknowledged as committed.
    pub acknowledged: Vec<i64>,
    /// Refused: certainly not written.
    pub refused: Vec<i64>,
    /// Neither.
    pub unknown: Vec<i64>,
    /// The longest time between two acknowledgements.
    pub longest_gap: Duration,
}

/// A running writer.
pub struct Ledger {
    stop: Arc<AtomicBool>,
    acknowledged: Arc<AtomicUsize>,
    thread: JoinHandle<Result<Account>>,
}

impl Ledger {
    /// Starts writing through the pod `via`.
    pub fn start(cluster: &Cluster, via: &str) -> Self {
        let (stop, acknowledged) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let arguments = [
            "geode",
            "shell",
            &cluster.name,
            "-n",
            &cluster.namespace,
            "--via",
            via,
            "--format",
            "jsonl",
        ]
        .map(str::to_owned);
        let thread = {
            let (stop, acknowledged) = (stop.clone(), acknowledged.clone());
            std::thread::spawn(move || write(&arguments, &stop, &acknowledged))
        };
        Self {
            stop,
            acknowledged,
            thread,
        }
    }

    /// Acknowledged writes so far.
    pub fn acknowledged(&self) -> usize {
        self.acknowledged.load(Ordering::Relaxed)
    }

    /// Ends the writer and gives its account.
    pub fn finish(self) -> Result<Account> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread
            .join()
            .map_err(|_| anyhow::anyhow!("the ledger's thread panicked"))?
    }
}

impl Account {
    /// Writes went on: no two acknowledgements lie further apart.
    pub fn ensure_gap_below(&self, max: Duration) -> Result<()> {
        ensure!(
            self.longest_gap < max,
            "{:?} without an acknowledged write",
            self.longest_gap
        );
        Ok(())
    }

    /// No write failed for good: the client's retries covered whatever happened.
    pub fn ensure_none_refused(&self) -> Result<()> {
        ensure!(self.refused.is_empty(), "refused: {:?}", self.refused);
        Ok(())
    }

    /// Holds the account against what the cluster has: nothing acknowledged lost, nothing twice, nothing refused there.
    pub fn check(&self, cluster: &Cluster) -> Result<()> {
        let answer = cluster.query("MATCH (l:Ledger) RETURN l.n AS n, count(*) AS c ORDER BY n", &[])?;
        let rows = answer["rows"].as_array().context("rows")?;
        let found: BTreeMap<i64, i64> = rows
            .iter()
            .filter_map(|row| Some((row[0].as_i64()?, row[1].as_i64()?)))
            .collect();
        let lost: Vec<_> = self
            .acknowledged
            .iter()
            .filter(|number| !found.contains_key(number))
            .collect();
        ensure!(lost.is_empty(), "acknowledged writes are lost: {lost:?}");
        let twice: Vec<_> = found.iter().filter(|(_, count)| **count != 1).collect();
        ensure!(twice.is_empty(), "writes were applied twice: {twice:?}");
        let ghosts: Vec<_> = self
            .refused
            .iter()
            .filter(|number| found.contains_key(number))
            .collect();
        ensure!(ghosts.is_empty(), "refused writes are there: {ghosts:?}");
        Ok(())
    }
}

struct Shell {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Shell {
    fn open(arguments: &[String]) -> Result<Self> {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let mut child = command(&arguments)?
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let to = child.stdin.take().context("stdin is piped")?;
        let from = BufReader::new(child.stdout.take().context("stdout is piped")?);
        Ok(Self { child, to, from })
    }

    /// `None` when the shell is gone.
    fn ask(&mut self, request: &Value) -> Option<Value> {
        writeln!(self.to, "{request}")
            .and_then(|()| self.to.flush())
            .ok()?;
        let mut line = String::new();
        self.from.read_line(&mut line).ok().filter(|length| *length > 0)?;
        serde_json::from_str(&line).ok()
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn write(arguments: &[String], stop: &AtomicBool, acknowledged: &AtomicUsize) -> Result<Account> {
    let mut account = Account::default();
    let mut shell = Shell::open(arguments)?;
    let mut last = Instant::now();
    for number in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let reply =
            shell.ask(&json!({"op": "query", "text": "INSERT (:Ledger {n: $n})", "params": {"n": number}}));
        match reply {
            None => {
                account.unknown.push(number);
                std::thread::sleep(Duration::from_millis(200));
                shell = Shell::open(arguments)?;
            }
            Some(reply) if reply["error"]["outcome"] == "unknown" => account.unknown.push(number),
            Some(reply) if !reply["error"].is_null() => account.refused.push(number),
            Some(_) => {
                account.longest_gap = account.longest_gap.max(last.elapsed());
                last = Instant::now();
                account.acknowledged.push(number);
                acknowledged.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
    Ok(account)
}
