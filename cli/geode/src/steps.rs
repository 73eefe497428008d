//! What people see of steps that nobody knows the length of: on a terminal a line that changes, else a line a step. All of it is on standard error,
//! so that standard output is the answer alone.

use indicatif::{ProgressBar, ProgressStyle};
use std::io::{self, IsTerminal};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, ReadBuf};

const MIB: u64 = 1 << 20;
/// The spinner turns so often.
const TICK: Duration = Duration::from_millis(120);

/// Steps, until it is dropped.
pub(crate) struct Steps(Option<ProgressBar>);

impl Steps {
    pub(crate) fn new() -> Self {
        let spinner = || {
            let style = ProgressStyle::with_template("{spinner} {elapsed} {wide_msg}");
            let style = style.unwrap_or_else(|_| ProgressStyle::default_spinner());
            let spinner = ProgressBar::new_spinner().with_style(style);
            spinner.enable_steady_tick(TICK);
            spinner
        };
        Self(io::stderr().is_terminal().then(spinner))
    }

    /// A step begins.
    pub(crate) fn step(&self, what: String) {
        match &self.0 {
            Some(spinner) => spinner.set_message(what),
            None => eprintln!("{what}"),
        }
    }

    /// How far the step is, which only a terminal shows.
    pub(crate) fn note(&self, what: String) {
        if let Some(spinner) = &self.0 {
            spinner.set_message(what);
        }
    }

    /// What is read from it is noted.
    pub(crate) fn watch<R>(&self, inner: R, what: String) -> Watched<'_, R> {
        Watched {
            inner,
            steps: self,
            what,
            read: 0,
        }
    }
}

impl Drop for Steps {
    fn drop(&mut self) {
        if let Some(spinner) = &self.0 {
            spinner.finish_and_clear();
        }
    }
}

/// A reader that says how much has passed.
pub(crate) struct Watched<'s, R> {
    inner: R,
    steps: &'s Steps,
    what: String,
    read: u64,
}

impl<R: AsyncRead + Unpin> AsyncRead for Watched<'_, R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.inner).poll_read(cx, buf);
        let said = self.read / MIB;
        self.read += (buf.filled().len() - before) as u64;
        let mib = self.read / MIB;
        if mib > said {
            self.steps.note(format!("{}: {mib} MiB", self.what));
        }
        polled
    }
}
