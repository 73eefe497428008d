//! Finds the kit's files and runs their scenarios on all cores.

use crate::gherkin::{self, Scenario};
use crate::trial::{self, Failure, Verdict};
use std::cell::RefCell;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Deeply nested statements need room, as they have in a server.
const STACK_BYTES: usize = 8 << 20;

/// Which scenarios are run.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// The folder of features.
    pub features: PathBuf,
    /// Only below this folder of it, such as `clauses/match`.
    pub folder: Option<String>,
    /// Only scenarios whose file or name contains this.
    pub only: Option<String>,
}

/// A scenario, where it is from, and how it ended.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The file's folder below the features.
    pub folder: String,
    /// The file's name.
    pub file: String,
    /// The scenario's name.
    pub scenario: String,
    /// How it ended.
    pub verdict: Verdict,
}

/// Runs what is selected; outcomes come in the order of files and scenarios.
pub fn run(selection: &Selection) -> io::Result<Vec<Outcome>> {
    let cases = cases(selection)?;
    let graphs = selection.features.join("..").join("graphs");
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::with_capacity(cases.len()));
    quiet_panics();
    let work = || {
        while let Some((outcome, scenario)) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
            let mut outcome = outcome.clone();
            outcome.verdict = judged(scenario, &graphs);
            done.lock().unwrap_or_else(PoisonError::into_inner).push(outcome);
        }
    };
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| -> io::Result<()> {
        for _ in 0..workers {
            std::thread::Builder::new()
                .stack_size(STACK_BYTES)
                .spawn_scoped(scope, work)?;
        }
        Ok(())
    })?;
    let mut outcomes = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    outcomes.sort_by_cached_key(|outcome| {
        (
            outcome.folder.clone(),
            outcome.file.clone(),
            natural(&outcome.scenario),
        )
    });
    Ok(outcomes)
}

/// `[10] …` comes behind `[9] …`.
fn natural(name: &str) -> (u32, String) {
    let number = name
        .trim_start_matches('[')
        .split(']')
        .next()
        .and_then(|number| number.parse().ok());
    (number.unwrap_or(0), name.to_owned())
}

fn cases(selection: &Selection) -> io::Result<Vec<(Outcome, Scenario)>> {
    let mut files = Vec::new();
    let start = match &selection.folder {
        Some(folder) => selection.features.join(folder),
        None => selection.features.clone(),
    };
    collect(&start, &mut files)?;
    files.sort();
    let mut cases = Vec::new();
    for path in files {
        let relative = path.strip_prefix(&selection.features).unwrap_or(&path);
        let folder = relative.parent().map(|folder| folder.display().to_string());
        let file = path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
        let (folder, file) = (folder.unwrap_or_default(), file.unwrap_or_default());
        let scenarios = gherkin::parse(&std::fs::read_to_string(&path)?)
            .map_err(|line| io::Error::other(format!("{}:{line}: not understood", path.display())))?;
        for scenario in scenarios {
            let outcome = Outcome {
                folder: folder.clone(),
                file: file.clone(),
                scenario: scenario.name.clone(),
                verdict: Verdict::Passed,
            };
            let wanted = |part: &String| format!("{file} {}", scenario.name).contains(part.as_str());
            if selection.only.as_ref().is_none_or(wanted) {
                cases.push((outcome, scenario));
            }
        }
    }
    Ok(cases)
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let listed = std::fs::read_dir(&folder)
            .map_err(|error| io::Error::other(format!("{}: {error}", folder.display())))?;
        for entry in listed {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "feature") {
                files.push(path);
            }
        }
    }
    Ok(())
}

thread_local! {
    /// What the last panic of this thread said.
    static PANIC: RefCell<String> = const { RefCell::new(String::new()) };
}

fn quiet_panics() {
    std::panic::set_hook(Box::new(|info| {
        PANIC.with(|said| *said.borrow_mut() = info.to_string());
    }));
}

fn judged(scenario: &Scenario, graphs: &Path) -> Verdict {
    catch_unwind(AssertUnwindSafe(|| trial::run(scenario, graphs)))
        .unwrap_or_else(|_| Verdict::Failed(Failure::Panic, PANIC.with(|said| said.borrow().clone())))
}
