//! Progress on standard error: one line a step, with its time; a running line on a terminal, plain lines elsewhere.
//!
//! Standard output is left to results (`KUBECONFIG=…`), so that scripts can read them.

use std::io::{IsTerminal, Write, stderr};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

const TERMINAL_TICK: Duration = Duration::from_millis(100);
const PLAIN_TICK: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(100);

/// Does one named step and reports its end and its time.
pub(crate) fn step<T>(what: &str, act: impl FnOnce() -> Result<T>) -> Result<T> {
    let start = Instant::now();
    let result = thread::scope(|scope| {
        let (done, ended) = mpsc::channel::<()>();
        scope.spawn(move || report_until(what, start, &ended));
        let result = act();
        drop(done);
        result
    });
    let seconds = start.elapsed().as_secs_f64();
    let clear = if stderr().is_terminal() { "\r\x1b[K" } else { "" };
    match &result {
        Ok(_) => eprintln!("{clear}  ok    {what} ({seconds:.1} s)"),
        Err(_) => eprintln!("{clear}  FAIL  {what} ({seconds:.1} s)"),
    }
    result
}

/// One line that is no step.
pub(crate) fn note(text: &str) {
    eprintln!("        {text}");
}

fn report_until(what: &str, start: Instant, ended: &mpsc::Receiver<()>) {
    let terminal = stderr().is_terminal();
    let tick = if terminal { TERMINAL_TICK } else { PLAIN_TICK };
    while let Err(mpsc::RecvTimeoutError::Timeout) = ended.recv_timeout(tick) {
        let seconds = start.elapsed().as_secs();
        if terminal {
            eprint!("\r\x1b[K  ...   {what} ({seconds} s)");
            let _ = stderr().flush();
        } else {
            eprintln!("  ...   {what} ({seconds} s)");
        }
    }
}

/// Asks again and again until the answer is yes; the error names what was waited for, and why the last answer was no.
pub(crate) fn wait_until(
    what: &str,
    limit: Duration,
    mut ask: impl FnMut() -> Result<Result<(), String>>,
) -> Result<()> {
    let start = Instant::now();
    loop {
        match ask()? {
            Ok(()) => return Ok(()),
            Err(why) if start.elapsed() > limit => {
                bail!("waited {} s for {what}: {why}", limit.as_secs());
            }
            Err(_) => thread::sleep(POLL),
        }
    }
}
