//! `geode import`: files of nodes and edges into the graph, in large transactions through the log, several at a time.
//!
//! A reader (`rows`) cuts a file into batches, always at the same lines; each becomes one statement (`statement`) that also leaves a mark.
//! An import that was ended in whatever way goes on behind its marks, and takes them away when it is through.

mod columns;
mod rows;
mod statement;

use crate::args::{Format, ImportArgs};
use crate::{Failure, archive};
use geode_client::{Client, Statement};
use geode_types::Value;
use indicatif::ProgressBar;
use rows::{Batch, Row, Rows};
use serde_json::json;
use statement::{FORGET, MARK, MARKS, Mark, OTHERS, TOLD_MAX, Target, UNMARK, unique};
use std::collections::{BTreeSet, HashSet};
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// A batch may wait long while the cluster elects a leader or slows writers down.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(300);

/// What has been written, by this run alone.
#[derive(Debug, Default)]
struct Report {
    nodes: u64,
    edges: u64,
    /// Rows that an earlier run had written.
    before: u64,
    rejected: u64,
    /// The first rejected lines, for people.
    told: Vec<String>,
}

/// What all batches share.
struct Import {
    client: Client,
    name: String,
    key: String,
    batch_rows: u32,
    /// The batches that are written.
    done: HashSet<String>,
}

/// One batch on its way.
struct Work {
    target: Target,
    path: PathBuf,
    batch: String,
    rows: Vec<Row>,
}

pub(crate) async fn run(args: ImportArgs) -> Result<(), Failure> {
    let nodes = args
        .nodes
        .iter()
        .cloned()
        .map(|file| (file.path.clone(), Target::Nodes(file)));
    let edges = args
        .edges
        .iter()
        .cloned()
        .map(|file| (file.path.clone(), Target::Edges(file)));
    let files: Vec<(PathBuf, Target)> = nodes.chain(edges).collect();
    if files.is_empty() {
        return Err(Failure::Message(
            "there is nothing to import\n  hint: name files with --nodes Person=people.csv and --edges Person:KNOWS:Person=knows.csv".to_owned(),
        ));
    }
    // All are opened before anything is written: a name that is wrong is told at once.
    for (path, _) in &files {
        Rows::open(path).map_err(Failure::Message)?;
    }
    let began = Instant::now();
    let import = Arc::new(Import::begin(&args, &files).await?);
    let mut report = Report::default();
    for (path, target) in &files {
        let written = import.file(path, target, args.parallel.into(), &mut report).await;
        written.map_err(|error| {
            Failure::Message(format!(
                "{error}\n  hint: the same command, started again, goes on from here"
            ))
        })?;
    }
    import.end().await?;
    print(&report, began.elapsed(), args.format);
    match report.rejected {
        0 => Ok(()),
        many => Err(Failure::Message(format!(
            "{many} edge(s) were not imported: an end is not in the graph"
        ))),
    }
}

impl Import {
    /// Keys are unique, and what an earlier run has done is known.
    async fn begin(args: &ImportArgs, files: &[(PathBuf, Target)]) -> Result<Self, Failure> {
        let client = args.connect.client()?;
        let labels: BTreeSet<&str> = files.iter().flat_map(|(_, target)| target.keyed()).collect();
        client.execute(MARK).await?;
        for label in labels {
            client.execute(unique(label, &args.key)).await?;
        }
        let mut import = Self {
            client,
            name: args.name.clone(),
            key: args.key.clone(),
            batch_rows: args.batch_rows,
            done: HashSet::new(),
        };
        if args.restart {
            import.client.execute(import.named(FORGET)).await?;
            return Ok(import);
        }
        let marks = import.client.execute(import.named(MARKS)).await?;
        for row in marks.rows {
            if let [Value::String(batch), Value::Int(rows)] = row.as_slice() {
                if *rows != i64::from(args.batch_rows) {
                    return Err(Failure::Message(format!(
                        "the import {:?} is unfinished, with {rows} rows a transaction\n  hint: go on with --batch-rows {rows}, give this one another --name, or forget the other with --restart",
                        args.name
                    )));
                }
                import.done.insert(batch.clone());
            }
        }
        Ok(import)
    }

    /// No mark is left, and no constraint of marks unless another import is unfinished.
    async fn end(&self) -> Result<(), Failure> {
        self.client.execute(self.named(FORGET)).await?;
        let others = self.client.execute(OTHERS).await?;
        if others.rows == [[Value::Int(0)]] {
            self.client.execute(UNMARK).await?;
        }
        self.client.close().await;
        Ok(())
    }

    fn named(&self, text: &str) -> Statement {
        Statement::new(text).param("import", self.name.as_str())
    }

    /// Writes all of a file, at most so many batches at a time.
    async fn file(
        self: &Arc<Self>,
        path: &Path,
        target: &Target,
        parallel: usize,
        report: &mut Report,
    ) -> Result<(), String> {
        let (sender, mut batches) = mpsc::channel(parallel);
        let (source, batch_rows) = (path.to_owned(), self.batch_rows);
        let reading = tokio::task::spawn_blocking(move || read(&source, batch_rows, &sender));
        let bar = bar(path);
        let mut working = JoinSet::new();
        while let Some(Batch { rows, end }) = batches.recv().await {
            bar.set_position(end);
            let first = rows.first().map_or(0, |row| row.line);
            let batch = format!("{} {}:{first}", self.name, path.display());
            if self.done.contains(&batch) {
                report.before += rows.len() as u64;
                continue;
            }
            if working.len() >= parallel {
                report.take(working.join_next().await)?;
            }
            let work = Work {
                target: target.clone(),
                path: path.to_owned(),
                batch,
                rows,
            };
            working.spawn(self.clone().write(work));
        }
        while let Some(written) = working.join_next().await {
            report.take(Some(written))?;
        }
        bar.finish_and_clear();
        reading.await.map_err(|error| format!("reading broke: {error}"))?
    }

    /// Writes one batch; what it could not write is in the report.
    async fn write(self: Arc<Self>, work: Work) -> Result<Report, String> {
        let Work {
            target,
            path,
            batch,
            rows,
        } = work;
        let at = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        let mark = Mark {
            import: &self.name,
            batch: &batch,
            batch_rows: self.batch_rows,
        };
        let sent = rows.len() as u64;
        let lines = matches!(target, Target::Edges(_)).then(|| rows.clone());
        let statement = target.write(&self.key, rows, &mark).map_err(|error| at(&error))?;
        let written = self.client.execute(statement.timeout(STATEMENT_TIMEOUT)).await;
        let summary = written.map_err(|error| at(&error))?.summary;
        let mut report = Report::default();
        match lines {
            // The mark is a node, too.
            None => report.nodes = summary.nodes_created.saturating_sub(1),
            Some(lines) => {
                report.edges = summary.edges_created;
                report.rejected = sent.saturating_sub(summary.edges_created);
                if report.rejected > 0 {
                    report.told = self
                        .missing(&target, &path, lines)
                        .await
                        .map_err(|error| at(&error))?;
                }
            }
        }
        Ok(report)
    }

    /// The first lines of a batch whose ends are not in the graph.
    async fn missing(&self, target: &Target, path: &Path, rows: Vec<Row>) -> Result<Vec<String>, String> {
        let Some(statement) = target.without_ends(&self.key, rows) else {
            return Ok(Vec::new());
        };
        let found = self.client.execute(statement.timeout(STATEMENT_TIMEOUT)).await;
        let rows = found.map_err(|error| error.to_string())?.rows;
        Ok(rows
            .iter()
            .filter_map(|row| match row.as_slice() {
                [Value::Int(line), Value::Bool(no_from), Value::Bool(no_to)] => {
                    let which = match (no_from, no_to) {
                        (true, true) => "both ends are",
                        (true, false) => "the node `from` is",
                        _ => "the node `to` is",
                    };
                    Some(format!(
                        "{}, line {line}: {which} not in the graph",
                        path.display()
                    ))
                }
                _ => None,
            })
            .collect())
    }
}

impl Report {
    /// Adds what a batch did.
    fn take(
        &mut self,
        written: Option<Result<Result<Self, String>, tokio::task::JoinError>>,
    ) -> Result<(), String> {
        let Some(written) = written else { return Ok(()) };
        let batch = written.map_err(|error| format!("a batch broke: {error}"))??;
        self.nodes += batch.nodes;
        self.edges += batch.edges;
        self.rejected += batch.rejected;
        let room = TOLD_MAX.saturating_sub(self.told.len());
        self.told.extend(batch.told.into_iter().take(room));
        Ok(())
    }
}

/// Sends the batches of a file on, as fast as they are taken.
fn read(path: &Path, batch_rows: u32, batches: &mpsc::Sender<Batch>) -> Result<(), String> {
    let mut rows = Rows::open(path)?;
    while let Some(batch) = rows.batch(batch_rows)? {
        // Nobody takes it: writing has failed, and says so.
        if batches.blocking_send(batch).is_err() {
            break;
        }
    }
    Ok(())
}

fn bar(path: &Path) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = archive::bar();
    bar.set_length(path.metadata().map_or(0, |file| file.len()));
    bar.set_message(path.display().to_string());
    bar
}

fn print(report: &Report, took: Duration, format: Format) {
    for line in &report.told {
        eprintln!("{line}");
    }
    let seconds = took.as_secs_f64();
    let rate = (report.nodes + report.edges) as f64 / seconds.max(0.001);
    if format == Format::Table {
        let before = match report.before {
            0 => String::new(),
            rows => format!(", {rows} row(s) were there from an earlier run"),
        };
        println!(
            "imported {} node(s) and {} edge(s) in {seconds:.1} s, {rate:.0} a second{before}",
            report.nodes, report.edges
        );
    } else {
        println!(
            "{}",
            json!({
                "nodes": report.nodes, "edges": report.edges, "rows_of_an_earlier_run": report.before, "rejected": report.rejected, "seconds": seconds,
            })
        );
    }
}
