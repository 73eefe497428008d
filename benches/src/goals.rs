//! What a benchmark ends with: a line for every ratio that has a goal, for scripts, and all samples as JSON below `target/bench`.
//!
//! `ratio NAME ROW VALUE goal GOAL ok|short`: VALUE is the median of the rounds, larger is better, whatever was measured.

use crate::figures::Median;
use crate::program;
use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::path::Path;

/// Which way of two figures is the better one.
#[derive(Clone, Copy)]
pub(crate) enum Better {
    /// Operations a second.
    Larger,
    /// Times, memory, bytes.
    Smaller,
}

impl Better {
    /// How many times as good ours are, round by round.
    pub(crate) fn ratios(self, ours: &[f64], theirs: &[f64]) -> Vec<f64> {
        let ratio = |(ours, theirs): (&f64, &f64)| match self {
            Self::Larger => ours / theirs,
            Self::Smaller => theirs / ours,
        };
        ours.iter().zip(theirs).map(ratio).collect()
    }
}

/// The ratios of one benchmark.
pub(crate) struct Goals {
    name: &'static str,
    lines: Vec<String>,
    rows: Vec<Value>,
}

impl Goals {
    pub(crate) fn new(name: &'static str) -> Self {
        Self {
            name,
            lines: Vec::new(),
            rows: Vec::new(),
        }
    }

    /// Our figures beside those of a peer, round by round.
    pub(crate) fn beside(&mut self, row: &str, ours: &[f64], theirs: &[f64], better: Better, goal: f64) {
        let ratio = Median::of(better.ratios(ours, theirs));
        let verdict = if ratio.middle >= goal { "ok" } else { "short" };
        self.lines.push(format!(
            "ratio {} {row} {:.2} goal {goal:.2} {verdict}",
            self.name, ratio.middle
        ));
        self.rows.push(json!({
            "row": row, "ours": ours, "theirs": theirs, "value": ratio.middle, "spread_percent": ratio.spread, "goal": goal,
            "verdict": verdict,
        }));
    }

    /// A figure that must stay below a limit: the ratio is the limit's share of it.
    pub(crate) fn within(&mut self, row: &str, ours: f64, limit: f64) {
        self.beside(row, &[ours], &[limit], Better::Smaller, 1.0);
    }

    /// Prints the lines and writes the samples.
    pub(crate) fn finish(self) -> Result<()> {
        let folder = program("BENCH_OUTPUT")?;
        let file = Path::new(&folder).join(format!("{}.json", self.name));
        std::fs::create_dir_all(&folder).with_context(|| folder.clone())?;
        let all = json!({"name": self.name, "rows": self.rows});
        std::fs::write(&file, format!("{all:#}\n")).with_context(|| file.display().to_string())?;
        println!("All samples: {}", file.display());
        self.lines.iter().for_each(|line| println!("{line}"));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_larger_when_geode_is_better() {
        let mut goals = Goals::new("write");
        goals.beside("write/1", &[20.0, 30.0, 10.0], &[10.0; 3], Better::Larger, 1.0);
        goals.beside("write/1/p99", &[4.0], &[2.0], Better::Smaller, 1.0);
        goals.within("idle", 48.0, 64.0);
        assert_eq!(
            goals.lines,
            [
                "ratio write write/1 2.00 goal 1.00 ok",
                "ratio write write/1/p99 0.50 goal 1.00 short",
                "ratio write idle 1.33 goal 1.00 ok",
            ]
        );
    }
}
