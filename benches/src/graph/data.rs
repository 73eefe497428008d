//! The graph that every engine gets: random, the same for a size, without parallel edges and self loops.

use anyhow::{Context, Result};
use std::collections::HashSet;
use std::io::Write;
use std::path::Path;

/// Edges a node, on average.
const DEGREE: usize = 10;
const SEED: u64 = 20_251_121;
const STARTS: usize = 20;

/// Nodes are numbers below `nodes`.
pub(crate) struct Data {
    pub(crate) nodes: u32,
    pub(crate) edges: Vec<(u32, u32)>,
    /// Nodes to start from, any.
    pub(crate) starts: Vec<u32>,
    /// Nodes to which many edges lead.
    pub(crate) hubs: Vec<u32>,
}

/// SplitMix64: small, and the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// In `0.0..1.0`.
    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}

impl Data {
    /// Edges start anywhere and end at `nodes * u * u`: few nodes have many of them.
    pub(crate) fn generate(nodes: u32) -> Self {
        let mut random = Random(SEED);
        let count = nodes as usize * DEGREE;
        let (mut seen, mut edges) = (HashSet::with_capacity(count), Vec::with_capacity(count));
        let below = f64::from(nodes);
        while edges.len() < count {
            let start = (random.unit() * below) as u32;
            let end = (random.unit().powi(2) * below) as u32;
            if start != end && seen.insert((start, end)) {
                edges.push((start, end));
            }
        }
        let starts = (0..STARTS).map(|_| (random.unit() * below) as u32).collect();
        let hubs = (0..STARTS as u32).collect();
        Self {
            nodes,
            edges,
            starts,
            hubs,
        }
    }

    /// As CSV, for peers.
    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        let file = std::fs::File::create(path).with_context(|| path.display().to_string())?;
        let mut file = std::io::BufWriter::new(file);
        for (start, end) in &self.edges {
            writeln!(file, "{start},{end}")?;
        }
        Ok(file.flush()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_graph_is_simple_skewed_and_always_the_same() {
        let data = Data::generate(1000);
        assert_eq!(data.edges, Data::generate(1000).edges);
        let simple: HashSet<_> = data.edges.iter().collect();
        assert_eq!(simple.len(), 10_000);
        assert!(data.edges.iter().all(|(start, end)| start != end && *end < 1000));
        let to_hub = data.edges.iter().filter(|(_, end)| *end == 0).count();
        assert!(to_hub > 100, "{to_hub}");
    }
}
