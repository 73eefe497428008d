//! What a load generator reports, and what several rounds of it come to.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::process::{Command, Stdio};

/// One run of one load.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figures {
    /// Operations a second.
    pub(crate) rate: f64,
    /// Milliseconds that 99 of 100 operations stay below.
    pub(crate) p99_ms: f64,
    /// Processor seconds of all servers for 1,000 operations.
    pub(crate) cpu: f64,
    /// The longest time without an acknowledged write, milliseconds.
    pub(crate) gap_ms: f64,
}

/// Runs a load generator and reads the JSON that it prints about `operation`. `cpu` tells what the servers have used.
pub(crate) fn measure(load: &mut Command, operation: &str, cpu: impl Fn() -> Result<f64>) -> Result<Figures> {
    let before = cpu()?;
    let output = load.stdin(Stdio::null()).output().context("the load generator")?;
    let used = cpu()? - before;
    ensure!(
        output.status.success(),
        "{load:?} failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let report: Value = serde_json::from_slice(&output.stdout).context("the load generator's report")?;
    let number = |value: &Value| value.as_f64();
    let measured = &report[operation];
    let count = number(&measured["count"]).filter(|count| *count > 0.0);
    let count = count.with_context(|| format!("no {operation} was acknowledged: {report}"))?;
    Ok(Figures {
        rate: number(&measured["per_second"]).context("per_second")?,
        p99_ms: number(&measured["p99_ms"]).context("p99_ms")?,
        cpu: used / count * 1000.0,
        gap_ms: number(&report["longest_write_gap_ms"]).unwrap_or(0.0),
    })
}

/// What half, and what 99 of 100, of the answers of a round took, in the samples' unit.
#[derive(Clone, Copy)]
pub(crate) struct Latency {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
}

impl Latency {
    /// Of at least one sample.
    pub(crate) fn of(mut samples: Vec<f64>) -> Self {
        samples.sort_by(f64::total_cmp);
        let at = |part: f64| samples[((samples.len() - 1) as f64 * part).round() as usize];
        Self {
            p50: at(0.50),
            p99: at(0.99),
        }
    }
}

/// The middle of several samples, and how far they spread: half of the distance between the lowest and the highest, in hundredths of the middle.
#[derive(Clone, Copy)]
pub(crate) struct Median {
    pub(crate) middle: f64,
    pub(crate) spread: f64,
}

impl Median {
    /// Of at least one sample.
    pub(crate) fn of(samples: impl IntoIterator<Item = f64>) -> Self {
        let mut sorted: Vec<f64> = samples.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let (Some(lowest), Some(highest)) = (sorted.first(), sorted.last()) else {
            return Self {
                middle: f64::NAN,
                spread: f64::NAN,
            };
        };
        let half = sorted.len() / 2;
        let middle = if sorted.len().is_multiple_of(2) {
            f64::midpoint(sorted[half - 1], sorted[half])
        } else {
            sorted[half]
        };
        Self {
            middle,
            spread: (highest - lowest) / 2.0 / middle * 100.0,
        }
    }
}

impl std::fmt::Display for Median {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let digits = if self.middle < 100.0 { 2 } else { 0 };
        write!(f, "{:.digits$} ±{:.0} %", self.middle, self.spread)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_is_the_middle_and_the_spread_half_of_the_range() {
        assert_eq!(Median::of([3.0, 1.0, 2.0]).to_string(), "2.00 ±50 %");
        assert_eq!(Median::of([100.0, 300.0]).to_string(), "200 ±50 %");
        assert_eq!(Median::of([5.0]).to_string(), "5.00 ±0 %");
    }
}
