//! Resident memory of the three programs where it matters, how fast the archive is beside a plain copy, and the sizes of images.

mod archive;
mod operator;

use crate::goals::{Better, Goals};
use crate::process::{Resident, resident};
use crate::program;
use anyhow::{Context, Result};
use geode_tests::members::Members;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What the project promises, in MiB.
pub(crate) const MEMORY_MAX: f64 = 64.0;
const IMAGE_MAX: f64 = 40.0;
/// How fast the archive has to be beside a plain copy of the same bytes.
const COPY_SHARE_MIN: f64 = 0.8;
pub(crate) const MIB: f64 = 1024.0 * 1024.0;
const IMAGES: [&str; 3] = ["geode", "geode-sidecar", "geode-operator"];
/// How long a server is left alone before it counts as idle.
const IDLE_AFTER: Duration = Duration::from_secs(20);

/// Prints everything. Arguments: MiB of log to archive and number of clusters, when others than usual are wanted.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let number = |at: usize, usual: usize| match arguments.get(at) {
        Some(text) => text.parse().with_context(|| format!("{text:?} is not a number")),
        None => Ok(usual),
    };
    let (log, clusters) = (number(0, 1024)?, number(1, 100)?);
    let mut rows = idle()?;
    let operator = operator::measure(clusters)?;
    rows.push((
        format!("operator with {clusters} clusters, {}", operator.what),
        operator.resident,
    ));
    let archived = archive::measure(log)?;
    rows.push((format!("sidecar, {log} MiB of log archived"), archived.resident));
    println!(
        "| process | now MiB | peak MiB | of that, own memory MiB | promised MiB | kept |\n|---|---|---|---|---|---|"
    );
    let mut goals = Goals::new("memory");
    for (what, seen) in rows {
        goals.within(&row(&what), seen.peak / MIB, MEMORY_MAX);
        println!(
            "| {what} | {:.1} | {:.1} | {:.1} | {MEMORY_MAX} | {} |",
            seen.now / MIB,
            seen.peak / MIB,
            seen.anonymous / MIB,
            kept(seen.peak / MIB, MEMORY_MAX)
        );
    }
    println!("\n{}\n", archived.throughput);
    let (ours, plain) = &archived.rates;
    goals.beside("archive-throughput", ours, plain, Better::Larger, COPY_SHARE_MIN);
    println!("| image | MiB | promised MiB | kept |\n|---|---|---|---|");
    for image in IMAGES {
        let file = Path::new(&program("IMAGES")?).join(format!("{image}.tar"));
        let size = std::fs::metadata(&file)
            .with_context(|| file.display().to_string())?
            .len() as f64
            / MIB;
        goals.within(&format!("image/{image}"), size, IMAGE_MAX);
        println!(
            "| {image} | {size:.1} | {IMAGE_MAX} | {} |",
            kept(size, IMAGE_MAX)
        );
    }
    goals.finish()
}

/// The first words of a row, as one.
fn row(what: &str) -> String {
    let name = what.split(',').next().unwrap_or(what);
    format!("memory/{}", name.replace(' ', "-"))
}

fn kept(size: f64, limit: f64) -> &'static str {
    if size <= limit { "yes" } else { "no" }
}

/// A server on its own, and the largest of three that form a cluster; nobody asks them anything.
fn idle() -> Result<Vec<(String, Resident)>> {
    let geode = program("GEODE")?;
    let mut rows = Vec::new();
    for (what, members) in [
        ("idle server on its own", Members::embedded(&geode)),
        ("idle server, the largest of three", Members::cluster(&geode, 3)),
    ] {
        std::thread::sleep(IDLE_AFTER);
        let all: Vec<Resident> = members.pids().into_iter().map(resident).collect::<Result<_>>()?;
        let largest = all
            .into_iter()
            .max_by(|left, right| left.peak.total_cmp(&right.peak));
        rows.push((what.to_owned(), largest.context("a server runs")?));
        eprintln!("{what}: {:?}", rows.last());
    }
    Ok(rows)
}

/// The body of a page of a local server.
pub(crate) fn page(port: u16, path: &str) -> Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// The sum of a metric's samples, zero while there are none.
pub(crate) fn metric(page: &str, name: &str) -> f64 {
    let samples = page.lines().filter(|line| {
        line.strip_prefix(name)
            .is_some_and(|rest| rest.starts_with(' ') || rest.starts_with('{'))
    });
    let values = samples.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
    values.sum()
}

/// A TCP port that was free a moment ago.
pub(crate) fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// The files below a folder whose name ends so, sorted.
pub(crate) fn files(folder: &Path, end: &str) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files(&path, end)?);
        } else if path.to_string_lossy().ends_with(end) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}
