//! Runs cases until the time is up, or until one is a finding.

use crate::mutate::{Corpus, Random, bend};
use crate::targets::Target;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

/// A case that takes longer is a finding; on a busy machine none comes near it.
const LONGEST_CASE: Duration = Duration::from_secs(20);

/// A case that must not be.
#[derive(Debug)]
pub struct Finding {
    /// Its number.
    pub case: u64,
    /// What happened.
    pub message: String,
}

/// Runs cases of a target, which the seed chooses, and notes each one's number in `state` before it begins, as a stack that overflows ends the
/// process. How many there were.
pub fn run(target: &Target, seed: u64, time: Duration, state: Option<&File>) -> Result<u64, Finding> {
    let corpus = (target.corpus)();
    let mut random = Random(seed);
    let end = Instant::now() + time;
    let mut count = 0;
    while Instant::now() < end {
        let case = random.number();
        if let Some(state) = state {
            // Without the note a finding is less easy to repeat, and no less a finding.
            let _ = state.write_all_at(&case.to_le_bytes(), 0);
        }
        run_case(target, &corpus, case)?;
        count += 1;
    }
    Ok(count)
}

/// Runs one case.
pub fn run_case(target: &Target, corpus: &Corpus, case: u64) -> Result<(), Finding> {
    let input = bend(corpus, case);
    let began = Instant::now();
    let checked = catch_unwind(AssertUnwindSafe(|| (target.check)(&input)));
    let took = began.elapsed();
    let message = match checked {
        Ok(Ok(())) if took <= LONGEST_CASE => return Ok(()),
        Ok(Ok(())) => format!("took {} s", took.as_secs()),
        Ok(Err(message)) => message,
        Err(panic) => format!("panicked: {}", panic_text(panic.as_ref())),
    };
    let input = String::from_utf8_lossy(&input).into_owned();
    let message = format!("{message}\n  input: {input:?}");
    Err(Finding { case, message })
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("without a text")
}
