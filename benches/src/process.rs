//! What processes cost.

use anyhow::{Context, Result};

/// Linux counts processor time for `/proc` in hundredths of a second, whatever the kernel's own tick (proc(5), `_SC_CLK_TCK`).
const TICKS_PER_SECOND: f64 = 100.0;

/// Processor seconds that these processes have used so far, in user and kernel mode.
pub(crate) fn cpu_seconds(pids: &[u32]) -> Result<f64> {
    let mut ticks = 0;
    for pid in pids {
        let path = format!("/proc/{pid}/stat");
        let stat = std::fs::read_to_string(&path).context(path)?;
        // The name in parentheses may hold anything; the fields after it are numbers. utime and stime are the 14th and 15th of all.
        let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
        for field in fields.split_whitespace().skip(11).take(2) {
            ticks += field.parse::<u64>().context("a field of /proc/PID/stat")?;
        }
    }
    Ok(ticks as f64 / TICKS_PER_SECOND)
}

/// Bytes of main memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Resident {
    /// At the moment.
    pub(crate) now: f64,
    /// At most, since the start.
    pub(crate) peak: f64,
    /// At the moment, without pages of files.
    pub(crate) anonymous: f64,
}

/// What a process occupies.
pub(crate) fn resident(pid: u32) -> Result<Resident> {
    let path = format!("/proc/{pid}/status");
    let status = std::fs::read_to_string(&path).with_context(|| path.clone())?;
    let field = |name: &str| -> Result<f64> {
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let kibibytes = line.and_then(|rest| rest.trim().strip_suffix(" kB"));
        let kibibytes = kibibytes.with_context(|| format!("{path} has no {name}"))?;
        Ok(kibibytes.parse::<f64>()? * 1024.0)
    };
    Ok(Resident {
        now: field("VmRSS")?,
        peak: field("VmHWM")?,
        anonymous: field("RssAnon")?,
    })
}
